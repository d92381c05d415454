"""Simulated samples: bare numbers, their spectra, and their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.names import attributes
from particleflux.spectra import FORMS, SpectralForm

Array = npt.NDArray[np.float64]

#: Energies, MeV, at which a simulated truth is written down.
TRUTH_ENERGIES = tuple(float(energy) for energy in np.geomspace(2.0, 200.0, 21))
_EPOCH = np.datetime64("2024-01-01T00:00:00", "ns")


def make_form(family: str, intensity: Array, shape: Mapping[str, Array]) -> SpectralForm:
    """Make n spectra of one form.

    Parameters
    ----------
    family : str
        A key of `particleflux.spectra.FORMS`.
    intensity : ndarray, shape (n,)
        The form's first parameter.
    shape : mapping of str to ndarray, shape (n,)
        Its other parameters.

    Returns
    -------
    SpectralForm
        With parameters of shape (n, 1).
    """
    form: Callable[..., SpectralForm] = FORMS[family]
    return form(intensity=intensity[:, None], **{name: values[:, None] for name, values in shape.items()})


@dataclass(frozen=True)
class Draw:
    """Bare numbers of n simulated samples; see `Simulation` for what they mean."""

    family: str
    shape: Mapping[str, Array]
    intensity: Array
    exposure: Array
    signal: Array
    background: Array
    background_error: Array
    response_error: Array
    counts: Array

    @property
    def form(self) -> SpectralForm:
        """The true spectra, parameters of shape (n, 1)."""
        return make_form(self.family, self.intensity, self.shape)


def label_draw(drawn: Draw, channels: Sequence[str], *, seed: int, first: int) -> xr.Dataset:
    """Put names and units on simulated samples.

    Parameters
    ----------
    drawn : Draw
        Of n samples.
    channels : sequence of str
        Names of the channels.
    seed, first : int
        Of the draw, and the number of its first sample.

    Returns
    -------
    Dataset, dims (time, channel, energy)
        See `Simulation.sample`.
    """
    n = len(drawn.counts)
    time = _EPOCH + np.arange(first, first + n) * np.timedelta64(1, "s")
    rate = drawn.background / drawn.exposure[:, None]
    both, time_only = ("time", "channel"), ("time",)
    variables: dict[str, tuple[tuple[str, ...], npt.NDArray[np.generic], dict[str, str]]] = {
        "counts": (both, drawn.counts, attributes("counts")),
        "exposure": (time_only, drawn.exposure, attributes("exposure")),
        "quality": (time_only, np.zeros(n, dtype=np.int32), attributes("quality")),
        "background_rate": (both, rate, attributes("background_rate")),
        "background_rate_std": (both, rate * drawn.background_error, attributes("background_rate_std")),
        "response_error": (
            time_only,
            drawn.response_error,
            {"units": "1", "long_name": "relative error of the response"},
        ),
        "flux_true": (
            ("time", "energy"),
            drawn.form.flux(np.array(TRUTH_ENERGIES)),
            attributes("flux_true"),
        ),
    }
    for name, values in {"intensity": drawn.intensity, **drawn.shape}.items():
        units = attributes("intensity")["units"] if name == "intensity" else "MeV" if name.endswith("_energy") else "1"
        long_name = f"{name.replace('_', ' ')}, simulated truth"
        variables[f"{name}_true"] = (time_only, values, {"units": units, "long_name": long_name})
    configuration = (time_only, np.ones(n, dtype=np.int32), attributes("configuration"))
    return xr.Dataset(
        variables,
        coords={
            "time": time,
            "channel": list(channels),
            "energy": ("energy", list(TRUTH_ENERGIES), attributes("energy")),
            "configuration": configuration,
        },
        attrs={"family": drawn.family, "seed": seed, "independent_samples": 1, "simulated": 1},
    )
