"""When an event begins and ends: the rule of NOAA SWPC, and one relative to the quiet level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from particleflux.errors import DataError, MissingDataError
from particleflux.products.quiet import Window, find_quiet_window

Array = npt.NDArray[np.float64]


class Level(NamedTuple):
    """Flux that makes an event, cm-2 s-1 sr-1, and where it comes from."""

    threshold: float
    source: str


@dataclass(frozen=True)
class EventRule:
    r"""What makes an event in a series of integral flux.

    An event begins with the first of `points` consecutive points at or above the threshold, and ends with the last
    point at or above it before the flux stays below for `dwell`. NOAA SWPC lists proton events so: the start is the
    first of three consecutive 5-minute values at or above 10 pfu above 10 MeV, the end the last value at or above it.
    SWPC names no dwell; three hours are those of NASA's FetchSEP. Two flares may make one event. Points that are
    missing begin nothing, end nothing and count for no dwell.

    Attributes
    ----------
    threshold : float or None
        Flux in cm-2 s-1 sr-1; None for a threshold relative to the quiet level, by the next two.
    factor : float or None
        Threshold over the mean of quiet time.
    n_sigma : float or None
        Threshold is the mean of quiet time plus so many standard deviations of its points.
    quiet : tuple of two datetime64 or None
        Quiet time; None for the `quiet_length` with the lowest mean.
    quiet_length : str
        How long the quiet time is that is looked for.
    points : int
        Consecutive points it takes.
    every : str
        Cadence. A finer series is averaged to it; a coarser one is kept as it is.
    keep_duration : bool
        In a series coarser than `every`, let as few points do as cover the same time: three of 5 minutes, one of 15.
    dwell : str
        How long the flux must stay below the threshold.

    References
    ----------
    NOAA SWPC, Solar Proton Events Affecting the Earth Environment,
    https://www.ngdc.noaa.gov/stp/space-weather/interplanetary-data/solar-proton-events/SEP%20page%20code.html.
    Whitman, FetchSEP (opsep 3.3), https://github.com/ktindiana/fetchsep.
    """

    threshold: float | None = 10.0
    factor: float | None = None
    n_sigma: float | None = None
    quiet: Window | None = None
    quiet_length: str = "24h"
    points: int = 3
    every: str = "5min"
    keep_duration: bool = True
    dwell: str = "3h"

    def __post_init__(self) -> None:
        """Refuse settings that make no rule."""
        given = [name for name in ("threshold", "factor", "n_sigma") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"event rule: found {' and '.join(given) or 'none'} of threshold, factor, n_sigma; give exactly one"
            raise DataError(msg)
        size = float(getattr(self, given[0]))
        if not np.isfinite(size) or size <= (1.0 if given[0] == "factor" else 0.0):
            least = "1" if given[0] == "factor" else "0"
            msg = f"event rule: found {given[0]}={size:g}, expected a number above {least}; correct it"
            raise DataError(msg)
        if self.points < 1:
            msg = f"event rule: found points={self.points}, expected 1 or more; correct it"
            raise DataError(msg)
        for name in ("every", "dwell", "quiet_length"):
            text = getattr(self, name)
            try:
                good = pd.Timedelta(text) > pd.Timedelta(0)
            except ValueError:
                good = False
            if not good:
                msg = f"event rule: found {name}={text!r}, expected a length of time such as 5min or 3h; correct it"
                raise DataError(msg)

    @classmethod
    def background(cls, *, n_sigma: float = 3.0, quiet: Window | None = None) -> EventRule:
        """Give the rule for deep space, where 10 pfu is no natural level: the quiet mean plus `n_sigma` deviations.

        Its three points guard against noise, so that it takes three at any cadence.

        Parameters
        ----------
        n_sigma : float
            Standard deviations above the mean.
        quiet : tuple of two datetime64, optional
            Quiet time.

        Returns
        -------
        EventRule
            The rule.
        """
        return cls(threshold=None, n_sigma=n_sigma, quiet=quiet, keep_duration=False)

    def level(
        self,
        time: npt.NDArray[np.datetime64],
        flux: Array,
        *,
        is_limit: npt.NDArray[np.bool_] | None = None,
        upper95: Array | None = None,
    ) -> Level:
        """Give the threshold for a series.

        The quiet level is that of the points at which something was detected: at the others the best value is what
        the method assumed beforehand. Where quiet time has fewer than ten such points, the level is the median of the
        upper 95 % bounds of the limits, with no deviations added: only what is above it differs from quiet time.

        Parameters
        ----------
        time : ndarray of datetime64, shape (time,)
            Rising instants.
        flux : ndarray, shape (time,)
            Integral flux; NaN is missing.
        is_limit : ndarray of bool, shape (time,), optional
            Points at which nothing was detected.
        upper95 : ndarray, shape (time,), optional
            Upper 95 % bounds.

        Returns
        -------
        Level
            Flux in cm-2 s-1 sr-1; source `given`, `quiet detections` or `quiet limits`.

        Raises
        ------
        MissingDataError
            If the quiet time holds fewer than ten measurements, or none can be found.
        DataError
            If the quiet level is not positive.
        """
        if self.threshold is not None:
            return Level(self.threshold, "given")
        limit = np.zeros(len(flux), dtype=bool) if is_limit is None else is_limit
        # A limit is as quiet as can be, whatever its best value.
        counted = np.where(limit & np.isfinite(flux), 0.0, flux)
        start, stop = self.quiet or find_quiet_window(time, counted, length=self.quiet_length)
        inside = (time >= start) & (time < stop) & np.isfinite(flux)
        values = flux[inside & ~limit]
        if len(values) >= 10:
            mean, deviation = float(values.mean()), float(values.std(ddof=1))
            level = self.factor * mean if self.factor is not None else mean + (self.n_sigma or 0.0) * deviation
            source = "quiet detections"
        else:
            bounds = np.full(0, np.nan) if upper95 is None else upper95[inside & limit]
            bounds = bounds[np.isfinite(bounds)]
            if len(bounds) < 10:
                msg = (
                    f"quiet time {start} to {stop}: found {len(values)} measurements and {len(bounds)} upper limits, "
                    "expected ten or more of either; give another"
                )
                raise MissingDataError(msg)
            mean = float(np.median(bounds))
            level = self.factor * mean if self.factor is not None else mean
            source = "quiet limits"
        if level <= 0:
            msg = f"quiet time {start} to {stop}: its mean flux of {mean:g} makes no threshold; give --threshold"
            raise DataError(msg)
        return Level(level, source)

    def in_points(self, step: np.timedelta64) -> tuple[int, int]:
        """Give `points` and `dwell` as numbers of points.

        Parameters
        ----------
        step : timedelta64
            Cadence of the series.

        Returns
        -------
        tuple of two int
            Consecutive points it takes, and points below it takes.
        """
        every, dwell = (pd.Timedelta(text).to_timedelta64() for text in (self.every, self.dwell))
        points = self.points
        if self.keep_duration and step > every:
            points = max(1, int(np.ceil(self.points * (every / step))))
        return points, max(1, int(np.ceil(dwell / step)))
