"""The whole road from counts to spectra in one call: screen, accumulate, background, method, labelled result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from particleflux.background import auto_background, estimate_background, follow_background
from particleflux.errors import AxisError, DataError
from particleflux.instruments import Instrument, load_instrument
from particleflux.names import attributes, require
from particleflux.quality import accumulate, screen
from particleflux.response import Response
from particleflux.spectra import RollingPowerLaw
from particleflux.unfold import Unfolder

#: Names of the methods that can be asked for, and what each is.
METHODS = {"ensemble": "neural networks over several sets of channels, with intervals from the counting statistics"}
#: Species a method exists for.
SPECIES = ("proton",)


@dataclass(frozen=True)
class Prepared:
    """What a method works on.

    Attributes
    ----------
    counts : Dataset, dims (time, channel)
        Screened and accumulated.
    background : Dataset, dims (time, channel)
        `background_rate` and `background_rate_std` (s-1) at the times of the counts; its attribute `source` says
        where the level came from.
    """

    counts: xr.Dataset
    background: xr.Dataset

    def unfold(self, method: Unfolder) -> xr.Dataset:
        """Run a method and label its result with what is known against each sample.

        Parameters
        ----------
        method : Unfolder
            The method.

        Returns
        -------
        Dataset, dims (time, energy)
            Its spectra; `quality` joined with the flags of counts and background, attributes of both.
        """
        spectra = method.unfold(self.counts, self.background)
        require(spectra, "flux", "energy")
        quality = self.counts["quality"].to_numpy().astype(np.int32)
        for dataset in (self.background, spectra):
            if "quality" in dataset:
                quality = quality | dataset["quality"].to_numpy().astype(np.int32)
        spectra = spectra.assign(quality=("time", quality, attributes("quality")))
        if "configuration" in self.counts.coords:
            spectra = spectra.assign_coords(configuration=self.counts["configuration"])
        own = {"background_source": self.background.attrs.get("source", "given")}
        own |= {"background_span": span} if (span := self.background.attrs.get("span")) else {}
        inherited = {key: self.counts.attrs[key] for key in ("instrument", "source_files") if key in self.counts.attrs}
        return spectra.assign_attrs({**inherited, **spectra.attrs, **own})


def reconstruct(
    counts: xr.Dataset,
    *,
    instrument: str | Instrument = "radem",
    method: str | Unfolder = "ensemble",
    background: str | xr.Dataset = "auto",
    every: str | None = "15min",
) -> xr.Dataset:
    """Reconstruct particle spectra from count rates.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        `counts` (1), `exposure` (s), `quality`, at the native cadence: what a reader gives.
    instrument : str or Instrument
        The instrument, by name or file.
    method : str or Unfolder
        A name of `METHODS`, or a method with its settings.
    background : str or Dataset
        "auto" measures it from the quiet time in the counts themselves. Else counts of quiet time; a background with
        dims (channel), which is followed by the monitor channels; or one with dims (time, channel), used as it is.
    every : str or None
        Length of the accumulation such as "15min" or "1h"; None keeps the native cadence.

    Returns
    -------
    Dataset, dims (time, energy)
        `flux` with its bounds, and what else the method gives; `quality` (time). A sample that cannot be
        reconstructed is NaN with a flag.

    Raises
    ------
    DataError
        If the method is unknown, or the counts or background cannot be used.
    ArtefactError
        If the method's trained model is missing or damaged.
    """
    chosen = load_method(method) if isinstance(method, str) else method
    return prepare(counts, instrument=instrument, background=background, every=every).unfold(chosen)


def prepare(
    counts: xr.Dataset,
    *,
    instrument: str | Instrument = "radem",
    background: str | xr.Dataset = "auto",
    every: str | None = "15min",
) -> Prepared:
    """Screen and accumulate counts, and give each sample its background.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        As `reconstruct` takes them.
    instrument : str or Instrument
        The instrument, by name or file.
    background : str or Dataset
        As `reconstruct` takes it.
    every : str or None
        Length of the accumulation; None keeps the native cadence.

    Returns
    -------
    Prepared
        Counts and background for a method.

    Raises
    ------
    DataError
        If the counts or the background cannot be used.
    """
    chosen = load_instrument(instrument) if isinstance(instrument, str) else instrument
    # Spikes and moved thresholds show at the native cadence only: screen before accumulating.
    screened = screen(counts, chosen)
    accumulated = accumulate(screened, every)
    level = _reference(background, screened, chosen)
    if "time" in level["background_rate"].dims:
        _check_times(level, accumulated)
        return Prepared(accumulated, level)
    followed = follow_background(level, accumulated, chosen)
    return Prepared(accumulated, followed.assign_attrs({**level.attrs, **followed.attrs}))


def load_method(
    name: str = "ensemble",
    *,
    model: str | None = None,
    species: str = "proton",
    energies: Sequence[float] | None = None,
    response_error: float | None = None,
) -> Unfolder:
    """Make a method by its name, with its trained model.

    Parameters
    ----------
    name : str
        A name of `METHODS`.
    model : str, optional
        Name or folder of a trained model; by default the one that ships for the method.
    species : str
        The particles.
    energies : sequence of float, optional
        Energies of the spectra, MeV; by default those of the model.
    response_error : float, optional
        Relative uncertainty of the response, carried into the intervals.

    Returns
    -------
    Unfolder
        Ready to unfold.

    Raises
    ------
    DataError
        If there is no such method, no method for the species, or a setting is out of range.
    ArtefactError
        If the model is missing, damaged, or of another version.
    """
    check_method(name, species=species, energies=energies, response_error=response_error)
    # onnxruntime takes a moment to load: only where a network is to run.
    from particleflux.unfold.ensemble import SHIPPED, EnsembleUnfolder

    settings: dict[str, Any] = {}
    if energies is not None:
        settings["energies"] = tuple(float(energy) for energy in energies)
    if response_error is not None:
        settings["response_error"] = float(response_error)
    return EnsembleUnfolder.load(SHIPPED if model is None else model, **settings)


def check_method(
    name: str,
    *,
    species: str = "proton",
    energies: Sequence[float] | None = None,
    response_error: float | None = None,
) -> None:
    """Check a method's settings without loading its model, so that a mistake shows before any work.

    Parameters
    ----------
    name : str
        A name of `METHODS`.
    species : str
        The particles.
    energies : sequence of float, optional
        Energies of the spectra, MeV.
    response_error : float, optional
        Relative uncertainty of the response.

    Raises
    ------
    DataError
        If there is no such method, no method for the species, or a setting is out of range.
    """
    if name not in METHODS:
        msg = f"method {name!r} is not available; choose one of: {', '.join(METHODS)}"
        raise DataError(msg)
    if species not in SPECIES:
        msg = f"method {name!r} has no model for species {species!r}; choose one of: {', '.join(SPECIES)}"
        raise DataError(msg)
    if energies is not None:
        values = np.asarray(energies, dtype=float)
        if not len(values) or not (np.isfinite(values) & (values > 0)).all() or (np.diff(values) <= 0).any():
            msg = f"energies {list(energies)}: expected positive numbers in MeV that increase; correct the list"
            raise DataError(msg)
    if response_error is not None and not 0 <= response_error <= 1:
        msg = f"response error {response_error}: expected a fraction from 0 to 1, such as 0.05; correct it"
        raise DataError(msg)


def check_response(response: Response, instrument: Instrument, *, tolerance: float) -> None:
    """Check that another response gives the rates of the one a model was trained for.

    Parameters
    ----------
    response : Response
        Such as a user's own tables.
    instrument : Instrument
        Its own response is what the shipped model was trained for.
    tolerance : float
        Largest relative difference of the rates allowed: the uncertainty of the response that the intervals carry.

    Raises
    ------
    DataError
        If the rates of a solar particle spectrum differ by more.
    """
    own = instrument.response(response.species, instrument.configurations[0].number)
    channels = list(dict.fromkeys(name for bins in instrument.ensemble.bins for name in bins))
    # From hard and flat to soft and steep, as solar particle spectra are.
    form = RollingPowerLaw(
        intensity=np.ones((4, 1)),
        spectral_index=np.array([[1.0], [1.0], [3.0], [3.0]]),
        rollover_energy=np.array([[5.0], [50.0], [5.0], [50.0]]),
    )
    ratio = response.select(channels).fold_form(form).to_numpy() / own.select(channels).fold_form(form).to_numpy()
    difference = np.abs(ratio - 1).max(axis=0)
    worst = int(difference.argmax())
    if difference[worst] > tolerance:
        msg = (
            f"the response tables give rates up to {difference[worst]:.1%} off those of {instrument.name} in "
            f"{channels[worst]}, more than the {tolerance:.1%} the intervals carry; allow for it with a larger "
            "response error, or train a model for these tables with `particleflux train spectra --response`"
        )
        raise DataError(msg)


def _reference(background: str | xr.Dataset, screened: xr.Dataset, instrument: Instrument) -> xr.Dataset:
    if isinstance(background, xr.Dataset):
        if "background_rate" in background:
            require(background, "background_rate", "background_rate_std")
            return background
        return estimate_background(screen(background, instrument), instrument)
    if background != "auto":
        msg = f"background {background!r}: expected 'auto', or a dataset of quiet counts or of background rates"
        raise DataError(msg)
    return auto_background(screened, instrument)


def _check_times(background: xr.Dataset, counts: xr.Dataset) -> None:
    if not np.array_equal(background["time"].to_numpy(), counts["time"].to_numpy()):
        msg = (
            f"the {background.sizes['time']} times of the background are not the {counts.sizes['time']} of the "
            "accumulated counts; give a background with dims (channel), or one at the times of the counts"
        )
        raise AxisError(msg)
