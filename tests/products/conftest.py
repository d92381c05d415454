"""Series and spectra with known answers, for the products."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import xarray as xr

from particleflux.names import attributes

START = np.datetime64("2024-05-01T00:00", "ns")


@pytest.fixture
def series() -> Callable[..., xr.Dataset]:
    """Give a maker of integral flux above 10 MeV: values at a cadence, with bounds or draws."""

    def make(
        values: Sequence[float], *, minutes: float = 5, bounds: dict[str, Sequence[float]] | None = None,
        draws: Any = None, quality: Sequence[int] | None = None, threshold: float = 10.0,
    ) -> xr.Dataset:  # fmt: skip
        step = np.timedelta64(round(minutes * 60), "s")
        time = START + np.arange(len(values)) * step
        units = attributes("integral_flux")
        data: dict[str, Any] = {"integral_flux": (("time", "threshold"), np.asarray(values, float)[:, None], units)}
        for suffix, curve in (bounds or {}).items():
            data[f"integral_flux{suffix}"] = (("time", "threshold"), np.asarray(curve, float)[:, None], units)
        if draws is not None:
            data["integral_flux_sample"] = (("time", "threshold", "sample"), np.asarray(draws, float)[:, None], units)
        if quality is not None:
            data["quality"] = ("time", np.asarray(quality), attributes("quality"))
        return xr.Dataset(data, {"time": time, "threshold": ("threshold", [threshold], attributes("threshold"))})

    return make


@pytest.fixture
def spectra() -> Callable[..., xr.Dataset]:
    """Give a maker of spectra: flux by energy, one row a sample of 15 minutes, or more variables."""

    def make(energy: Any, flux: Any, *, minutes: float = 15, **more: Any) -> xr.Dataset:
        rows = np.atleast_2d(np.asarray(flux, float))
        time = START + np.arange(len(rows)) * np.timedelta64(round(minutes * 60), "s")
        data: dict[str, Any] = {"flux": (("time", "energy"), rows, attributes("flux"))}
        for name, values in more.items():
            if name == "flux_sample":
                dims: tuple[str, ...] = ("time", "sample", "energy")
            elif name in ("exposure", "quality"):
                dims = ("time",)
            else:
                dims = ("time", "energy")
                values = np.atleast_2d(values)
            data[name] = (dims, np.asarray(values), attributes(name))
        axis = ("energy", np.asarray(energy, float), attributes("energy"))
        return xr.Dataset(data, {"time": time, "energy": axis}, {"species": "proton"})

    return make
