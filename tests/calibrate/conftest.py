"""Satellites that measure one known flux, each in its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy.signal import lfilter

Array = npt.NDArray[Any]
Series = Callable[..., xr.DataArray]
Belt = Callable[..., Array]


def _series(log: Array, first: str = "2011-01-01", units: str = "cm-2 sr-1 d-1") -> xr.DataArray:
    time = np.datetime64(first, "ns") + np.arange(len(log)) * np.timedelta64(1, "D")
    return xr.DataArray(10.0**log, {"time": time}, "time", attrs={"units": units})


def _belt(n: int, seed: int = 1, spread: float = 0.7) -> Array:
    noise = np.random.default_rng(seed).normal(size=n + 100)
    return np.asarray(7.5 + spread * lfilter([np.sqrt(1 - 0.8**2)], [1, -0.8], noise)[100:])


@pytest.fixture
def series() -> Series:
    """Give the function that makes a daily series of its logarithms."""
    return _series


@pytest.fixture
def belt() -> Belt:
    """Give the function that makes log10 of a flux that remembers itself for about five days."""
    return _belt


@pytest.fixture
def pair() -> tuple[xr.DataArray, xr.DataArray]:
    """Give two satellites of one flux, both wrong by 0.1 dex a day: y = 7.9 + 0.9 (x - 7.5)."""
    rng, truth = np.random.default_rng(2), _belt(900)
    x, y = (values + rng.normal(0, 0.1, 900) for values in (truth, 7.9 + 0.9 * (truth - 7.5)))
    return _series(x), _series(y)
