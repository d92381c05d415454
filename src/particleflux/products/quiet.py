"""The quiet level that events stand on: found in the data or given, and subtracted where an instrument does not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.names import require

Window = tuple[np.datetime64, np.datetime64]

#: Share of a window that must hold measurements for it to count as quiet time.
COVERAGE = 0.8


def find_quiet_window(
    time: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64], *, length: str = "24h"
) -> Window:
    """Find the stretch of time with the lowest means.

    Of several series the worst decides: the mean of each over its own lowest mean is as low as can be in all. So a
    dip of the cosmic rays in the highest channels is not taken for quiet time while the lower ones are still high.

    Parameters
    ----------
    time : ndarray of datetime64, shape (time,)
        Rising instants.
    values : ndarray, shape (time,) or (time, series)
        What is averaged; NaN is missing.
    length : str
        How long the window is.

    Returns
    -------
    tuple of two datetime64
        Its half-open ends. It begins at a sample.

    Raises
    ------
    MissingDataError
        If no window of this length is measured to 80 %.
    """
    width = pd.Timedelta(length).to_timedelta64()
    instants = np.asarray(time, dtype="datetime64[ns]")
    step = np.median(np.diff(instants)) if len(instants) > 1 else width
    table = values.reshape(len(values), -1)
    finite = np.isfinite(table)
    nothing = np.zeros((1, table.shape[1]))
    sums = np.concatenate([nothing, np.cumsum(np.where(finite, table, 0.0), axis=0)])
    counts = np.concatenate([nothing, np.cumsum(finite, axis=0)])
    stops = np.searchsorted(instants, instants + width)
    number = counts[stops] - counts[:-1]
    good = (number >= COVERAGE * max(1, round(width / step))).all(axis=1) & (instants + width <= instants[-1:] + step)
    if not good.any():
        msg = (
            f"found no {length} with {COVERAGE:.0%} of its samples measured, where the quiet level could be; give "
            "longer data, the quiet time itself, or none"
        )
        raise MissingDataError(msg)
    means = (sums[stops] - sums[:-1])[good] / number[good]
    lowest = means.min(axis=0)
    scaled = means / np.where(lowest > 0, lowest, 1.0)
    begin = instants[np.flatnonzero(good)[int(np.argmin(scaled.max(axis=1)))]]
    return begin, begin + width


def subtract_quiet(spectra: xr.Dataset, window: Window | None = None, *, length: str = "24h") -> xr.Dataset:
    """Subtract the mean spectrum of quiet time from spectra whose instrument leaves its background in.

    Particles of cosmic rays, and counts they make on their way through the instrument, are in uncorrected fluxes as
    those of GOES EPEAD. Net fluxes scatter around 0 in quiet time: negative ones stay, so that means stay right.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        Measured `flux`, with `flux_std` or without.
    window : tuple of two datetime64, optional
        Half-open quiet time. By default that of `find_quiet_window`; with only disturbed time in the data that is no
        background: look at the attribute.
    length : str
        How much quiet time to look for.

    Returns
    -------
    Dataset
        With net flux, `quiet_flux` (energy), and the attribute `quiet_window`. The error of the level is added to
        `flux_std` in quadrature.

    Raises
    ------
    AxisError
        If there is no flux along energy.
    MissingDataError
        If there is no quiet time, or a channel was not measured in it.
    DataError
        If the window is empty.
    """
    require(spectra, "flux", "energy")
    flux = spectra["flux"].transpose("time", "energy")
    time = spectra["time"].to_numpy()
    if window is None:
        window = find_quiet_window(time, flux.to_numpy(), length=length)
    start, stop = window
    if not start < stop:
        msg = f"quiet time: {start} is not before {stop}; give a start earlier than the stop"
        raise DataError(msg)
    inside = flux.isel(time=(time >= start) & (time < stop))
    level, number = inside.mean("time"), inside.count("time")
    if not bool((number > 1).all()):
        bad = ", ".join(f"{energy:.4g}" for energy in flux["energy"].to_numpy()[(number <= 1).to_numpy()])
        msg = f"quiet time {start} to {stop}: the flux at {bad} MeV was not measured in it; give another quiet time"
        raise MissingDataError(msg)
    net = spectra.copy()
    net["flux"] = (spectra["flux"] - level).assign_attrs(spectra["flux"].attrs)
    net["flux"].attrs["long_name"] = "differential flux, measured, quiet level subtracted"
    if "flux_std" in spectra:
        error = inside.std("time") / np.sqrt(number)
        total = (spectra["flux_std"] ** 2 + error**2) ** 0.5
        net["flux_std"] = total.assign_attrs(spectra["flux_std"].attrs)
    net["quiet_flux"] = level.assign_attrs(units=spectra["flux"].attrs["units"], long_name="flux of quiet time")
    net.attrs["quiet_window"] = "/".join(np.datetime_as_string(end, unit="s") + "Z" for end in (start, stop))
    return net
