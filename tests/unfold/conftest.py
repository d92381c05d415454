"""Counts as RADEM would show them, and the methods that unfold them."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from particleflux.artefact import list_artefacts
from particleflux.instruments import Instrument, load_instrument
from particleflux.names import attributes
from particleflux.spectra import SpectralForm
from particleflux.unfold.ensemble import SHIPPED


@pytest.fixture(scope="session")
def model_path() -> str:
    """Give the name of the model that ships, which the tests are about."""
    assert SHIPPED in list_artefacts(), "the package ships no model: train one with `particleflux train spectra`"
    return SHIPPED


@pytest.fixture(scope="session")
def radem() -> Instrument:
    return load_instrument("radem")


@pytest.fixture(scope="session")
def quiet(radem) -> xr.Dataset:
    """Give the quiet background of all channels, dims (channel)."""
    return radem.quiet_background()


@pytest.fixture(scope="session")
def observe(radem, quiet) -> Callable[..., xr.Dataset]:
    """Give a function that folds spectra into the expected counts of all sixteen channels, one sample a spectrum."""
    response = radem.response()

    def observe(form: SpectralForm, *, exposure: float = 900.0, background: bool = True) -> xr.Dataset:
        rate = response.fold_form(form).values
        if background:
            rate = rate + quiet["background_rate"].values
        return label(rate * exposure, exposure)

    def label(counts: np.ndarray, exposure: float) -> xr.Dataset:
        n = len(counts)
        time = np.datetime64("2024-03-10T00:00", "ns") + np.arange(n) * np.timedelta64(15, "m")
        return xr.Dataset(
            {
                "counts": (("time", "channel"), counts, attributes("counts")),
                "exposure": ("time", np.full(n, exposure), attributes("exposure")),
                "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
            },
            coords={
                "time": time,
                "channel": list(response.channels),
                "configuration": ("time", np.ones(n, dtype=np.int32), attributes("configuration")),
            },
            attrs={"instrument": "radem"},
        )

    return observe
