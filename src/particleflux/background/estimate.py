"""The background of quiet time: measured from counts, or taken from the instrument file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from particleflux.background._hours import Known, gather
from particleflux.errors import DataError, MissingDataError
from particleflux.names import attributes, require

if TYPE_CHECKING:
    from particleflux.background._hours import Array
    from particleflux.instruments import Instrument

#: Relative uncertainty of a background that is assumed and not measured.
ASSUMED_STD = 0.12


#: What an estimate says of its own standard deviation: the part that is drift of the true daily rate, s-1.
DRIFT_STD = "background_rate_drift_std"


def _table(names: list[str], rate: Array, std: Array, **attrs: Any) -> xr.Dataset:
    return xr.Dataset(
        {
            "background_rate": ("channel", rate, attributes("background_rate")),
            "background_rate_std": ("channel", std, attributes("background_rate_std")),
        },
        coords={"channel": names},
        attrs=attrs,
    )


def default_background(instrument: Instrument) -> xr.Dataset:
    """Give the quiet level written in the instrument file, with a wide uncertainty.

    Parameters
    ----------
    instrument : Instrument
        Its quiet rate per channel.

    Returns
    -------
    Dataset, dims (channel)
        `background_rate` and `background_rate_std` (s-1), at least 12 % of the rate; attribute `source` "instrument".
    """
    quiet = Known.of(instrument, instrument.channels)
    std = quiet.rate * np.hypot(ASSUMED_STD, quiet.spread)
    return _table(quiet.names, quiet.rate, std, source="instrument", span="", n_samples=0)


def estimate_background(quiet: xr.Dataset, instrument: Instrument, *, source: str = "files") -> xr.Dataset:
    r"""Measure the background of each channel from counts of quiet time.

    The rate is the mean over the hours that stay; an hour goes where any channel leaves its median by 15 % and five
    Poisson deviations. With the daily means :math:`r_d` and their Poisson variances :math:`v_d`,

    .. math:: \sigma^2 = \max(\mathrm{var}(r_d) - \overline{v_d}, 0) + N / T^2

    is the spread of the true rate and not the scatter of a minute. Fewer than three days cannot show it: then it is
    the instrument file's. The first term is drift, part of which `follow_background` follows; the second is counting.

    Parameters
    ----------
    quiet : Dataset, dims (time, channel)
        Counts with `exposure` (s) and `quality`; samples flagged unusable are left out.
    instrument : Instrument
        Its channels, which `quiet` must hold.
    source : str
        Where the counts come from, for the attribute of that name.

    Returns
    -------
    Dataset, dims (channel)
        `background_rate`, `background_rate_std` and the drift in it, `background_rate_drift_std` (s-1); attributes
        `source`, `span`, `n_samples`.

    Raises
    ------
    AxisError
        If a channel is absent.
    MissingDataError
        If no sample is usable.
    DataError
        If the rates are those of a particle event.
    """
    require(quiet, "counts")
    known = Known.of(instrument, quiet["channel"].values)
    names, expected, steady = known.names, known.rate, known.is_steady
    hours = gather(quiet, names)
    seen = hours.exposure > 0
    if not seen.any():
        msg = (
            f"none of the {quiet.sizes['time']} samples of the background counts is usable; "
            "give files of quiet time outside the instrument's do-not-use windows"
        )
        raise MissingDataError(msg)
    with np.errstate(divide="ignore", invalid="ignore"):
        median = np.median((hours.counts / hours.exposure[:, None])[seen], axis=0)
        ratio = hours.counts / (hours.exposure[:, None] * median)
        # Of the counts expected and not of those found: an hour of zeros has a scatter too, and must go.
        scatter = 1 / np.sqrt(hours.exposure[:, None] * median)
    seen &= ~(np.abs(ratio - 1) > 0.15 + 5 * scatter)[:, steady].any(axis=1)
    number, exposure = hours.counts[seen].sum(axis=0), hours.exposure[seen].sum()
    rate = number / exposure
    if (high := (rate > 2 * expected) & steady).any():
        found = ", ".join(f"{names[i]} {rate[i]:.3g} s-1 (quiet {expected[i]:.3g})" for i in np.flatnonzero(high))
        msg = f"the background counts hold a particle event: {found}; give files of quiet time"
        raise DataError(msg)
    day, index = np.unique(np.floor(hours.hour[seen] / 24), return_inverse=True)
    day_exposure = np.bincount(index, hours.exposure[seen], len(day))
    long = day_exposure > 6 * 3600
    variance = (known.spread * rate) ** 2
    if long.sum() >= 3:
        day_counts = np.stack([np.bincount(index, c, len(day)) for c in hours.counts[seen].T], axis=1)[long]
        daily = day_counts / day_exposure[long, None]
        poisson = (day_counts / day_exposure[long, None] ** 2).mean(axis=0)
        variance = np.maximum(daily.var(axis=0, ddof=1) - poisson, 0.0)
    used = hours.usable & seen[hours.index]
    times = quiet["time"].to_numpy()[used]
    span = f"{np.datetime_as_string(times.min(), 's')}/{np.datetime_as_string(times.max(), 's')}"
    std = np.sqrt(variance + number / exposure**2)
    drift = {"units": "s-1", "long_name": "standard deviation of the true daily background count rate"}
    table = _table(names, rate, std, source=source, span=span, n_samples=int(used.sum()))
    return table.assign({DRIFT_STD: ("channel", np.sqrt(variance), drift)})
