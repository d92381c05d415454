"""Particle events in a series of integral flux: onset, peak, end and fluence, each with its uncertainty."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, MissingDataError
from particleflux.names import require
from particleflux.products.detection import Reading, Span, average, detect, read_curve, read_span, regular_grid
from particleflux.products.doubt import find_doubtful, find_limits
from particleflux.products.integral import BOUNDS
from particleflux.products.intervals import Curves, Interval, Teller, crossing, independent_fluence
from particleflux.products.rules import EventRule, Level
from particleflux.products.scale import s_scale

Array = npt.NDArray[np.float64]

#: The energy that NOAA's scale is for, MeV.
S_ENERGY = 10.0


@dataclass(frozen=True)
class Event:
    """One particle event.

    Attributes
    ----------
    energy, threshold : float
        Integral flux above this energy (MeV), and the flux that makes an event of it (cm-2 s-1 sr-1).
    onset : Interval
        Start of the first point at or above the threshold.
    threshold_crossing : str or None
        Instant between the point before and the onset where the logarithm of the flux crosses; None after a gap.
    peak, peak_time : Interval
        Highest flux (cm-2 s-1 sr-1), and the start of its point.
    end : Interval
        Start of the last point at or above the threshold; None while the event is on.
    duration : Interval
        From onset to end with its last point, hours.
    fluence : Interval
        Flux integrated from onset to end, cm-2 sr-1; 4 pi times as much passes 1 cm2 from all sides where the flux is
        isotropic. Its interval takes the errors of all points for fully correlated: those of response and background
        do not average down. Points below detection count nothing in it, but for its upper ends.
    fluence_independent : Interval
        The same with errors that are independent from point to point: the least it can be.
    s_scale : Interval
        NOAA's level of the peak, which is defined for protons above 10 MeV at Earth; None for others.
    step : float
        Length of a point, s.
    n_missing : int
        Missing points between onset and end; bridged in the fluence.
    seen_share : float or None
        Share of the joint draws that show the event.
    flags : tuple of str
        `ongoing`, `began_before` (already above at the first point), `gap_at_onset`, `gap_inside`, `gap_at_end`,
        `limits_inside` (points below detection between onset and end), `doubtful_inside` (samples left out there).
    """

    energy: float
    threshold: float
    onset: Interval
    threshold_crossing: str | None
    peak: Interval
    peak_time: Interval
    end: Interval
    duration: Interval
    fluence: Interval
    fluence_independent: Interval
    s_scale: Interval
    step: float
    n_missing: int
    seen_share: float | None
    flags: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the event as plain nested values for JSON.

        Returns
        -------
        dict
            One key per attribute; intervals as objects.
        """
        return asdict(self) | {"flags": list(self.flags)}


@dataclass(frozen=True)
class Survey:
    """What a series is searched with, and how much of it is there.

    Attributes
    ----------
    threshold : float
        Flux that makes an event, cm-2 s-1 sr-1.
    threshold_source : str
        `given`; `quiet detections`, of the points of quiet time; `quiet limits`, of their upper 95 % bounds, where
        nothing was detected in quiet time.
    coverage : float
        Share of the points between the first and the last that hold a flux or a limit.
    limit_share : float
        Share of the points that are limits.
    doubtful_share : float
        Share of the points with samples that were left out because their flux cannot be trusted.
    """

    threshold: float
    threshold_source: str
    coverage: float
    limit_share: float
    doubtful_share: float


def survey(fluxes: xr.Dataset, rule: EventRule | None = None, *, energy: float = 10.0) -> Survey:
    """Tell what `find_events` searches a series with, and how much of the series is there.

    Parameters
    ----------
    fluxes : Dataset, dims (time, threshold[, sample])
        As `integral_flux` gives it.
    rule : EventRule, optional
        By default that of NOAA SWPC.
    energy : float
        Threshold of the integral flux, MeV.

    Returns
    -------
    Survey
        Without it "no event" cannot be told from "no data".

    Raises
    ------
    AxisError
        As `find_events`.
    UnitError
        As `find_events`.
    MissingDataError
        As `find_events`.
    """
    rule = rule or EventRule()
    curves, level = _prepare(fluxes.drop_vars("integral_flux_sample", errors="ignore"), rule, energy)
    coverage, limits, doubtful = (
        float(flags.mean()) for flags in (np.isfinite(curves.best), curves.is_limit, curves.is_doubtful)
    )
    return Survey(level.threshold, level.source, coverage, limits, doubtful)


def find_events(fluxes: xr.Dataset, rule: EventRule | None = None, *, energy: float = 10.0) -> tuple[Event, ...]:
    """Find particle events in a series of integral flux.

    The uncertainties are those of whole curves: of the joint draws, each taken as one curve through time, or of the
    bounds, each a curve. That takes the errors of all points for fully correlated, as those of the response are. In
    each curve the event is found anew, between the events before and after. Points flagged as below detection are
    limits: they are below any threshold, in every curve. Samples whose flux cannot be trusted (flagged as extrapolated,
    or assessed as made by the other species or outside the validity of the method) count as missing.

    Parameters
    ----------
    fluxes : Dataset, dims (time, threshold[, sample])
        As `integral_flux` gives it.
    rule : EventRule, optional
        By default that of NOAA SWPC.
    energy : float
        Threshold of the integral flux, MeV.

    Returns
    -------
    tuple of Event
        In the order of time; empty where there is none.

    Raises
    ------
    AxisError
        If there is no integral flux above this energy, no time, or time does not rise.
    UnitError
        If its units are others.
    MissingDataError
        If no flux is there at all, or a rule relative to quiet time finds none.
    """
    rule = rule or EventRule()
    curves, (threshold, _) = _prepare(fluxes, rule, energy)
    is_scaled = energy == S_ENERGY and fluxes.attrs.get("species", "proton") == "proton"
    points = rule.in_points(np.timedelta64(round(curves.step * 1e9), "ns"))
    spans = detect(curves.best, threshold, *points, curves.is_limit)
    events = []
    for number, span in enumerate(spans):
        begin = spans[number - 1].last + 1 if number else 0
        stop = spans[number + 1].first if number + 1 < len(spans) else len(curves.best)
        events.append(_event(curves, span, slice(begin, stop), threshold, points, energy, is_scaled=is_scaled))
    return tuple(events)


def _prepare(fluxes: xr.Dataset, rule: EventRule, energy: float) -> tuple[Curves, Level]:
    require(fluxes, "integral_flux", "threshold")
    held = fluxes["threshold"].to_numpy()
    if not np.isclose(held, energy, rtol=1e-9).any():
        msg = f"no integral flux above {energy:g} MeV: found {held.tolist()}; compute it with `integral_flux`"
        raise AxisError(msg)
    series = fluxes.isel(threshold=int(np.argmin(np.abs(held - energy))))
    time = series["time"].to_numpy()
    if not len(time) or (np.diff(time) <= np.timedelta64(0, "ns")).any():
        msg = f"time: found {len(time)} instants that do not rise, expected one or more that do; sort them"
        raise AxisError(msg)
    curves = _on_grid(series, rule)
    if not np.isfinite(curves.best).any():
        doubtful = int(_left_out(series).sum())
        msg = (
            f"integral flux above {energy:g} MeV: found none in {len(time)} samples ({doubtful} of them left out, "
            "because their flux cannot be trusted), expected some: without it nothing can be said of events; give "
            "spectra of another method or another time"
        )
        raise MissingDataError(msg)
    upper = curves.bounds.get("upper95")
    return curves, rule.level(curves.time, curves.best, is_limit=curves.is_limit, upper95=upper)


def _left_out(series: xr.Dataset) -> npt.NDArray[np.bool_]:
    # A sample without a flux is missing, whatever else is known of it.
    return np.asarray(find_doubtful(series) & np.isfinite(series["integral_flux"].to_numpy()))


def _on_grid(series: xr.Dataset, rule: EventRule) -> Curves:
    grid, index, n_expected = regular_grid(series["time"].to_numpy(), rule.every)
    # One point has no cadence: it is as long as was asked for.
    width = grid[1] - grid[0] if len(grid) > 1 else pd.Timedelta(rule.every).to_timedelta64()
    step = float(width / np.timedelta64(1, "s"))
    doubtful = _left_out(series)

    def gridded(name: str) -> Array:
        values = series[name].transpose("time", ...).to_numpy().astype(np.float64)
        values[doubtful] = np.nan
        return average(values, index, len(grid), n_expected)

    names = {suffix.lstrip("_"): f"integral_flux{suffix}" for suffix in BOUNDS}
    bounds = {key: gridded(name) for key, name in names.items() if name in series}
    draws = gridded("integral_flux_sample") if "integral_flux_sample" in series else None
    below = np.where(doubtful, np.nan, find_limits(series).astype(np.float64))
    limit = average(below, index, len(grid), n_expected) > 0.5
    left_out = np.zeros(len(grid), dtype=bool)
    left_out[index[doubtful]] = True
    return Curves(grid, step, gridded("integral_flux"), bounds, draws, limit, left_out)


def _event(
    curves: Curves, span: Span, window: slice, threshold: float, points: tuple[int, int], energy: float, *,
    is_scaled: bool,
) -> Event:  # fmt: skip
    best = read_span(curves.best, span, curves.step, curves.is_limit)
    others: dict[str, Reading] = {}
    sampled: list[Reading] | None = None
    if curves.draws is not None:
        sampled = [
            read_curve(curve, span, window, threshold, points, curves.is_limit, curves.step) for curve in curves.draws.T
        ]
    else:
        for key, curve in curves.bounds.items():
            others[key] = read_curve(curve, span, window, threshold, points, curves.is_limit, curves.step)

    rows = slice(span.first, span.last + 1)
    missing = ~np.isfinite(curves.best)
    flags = {
        "ongoing": not span.is_over,
        "began_before": span.first == 0,
        "gap_at_onset": span.first > 0 and bool(missing[span.first - 1]),
        "gap_inside": bool(missing[rows].any()),
        "gap_at_end": span.last + 1 < len(missing) and bool(missing[span.last + 1]),
        "limits_inside": bool(curves.is_limit[rows].any()),
        "doubtful_inside": bool(curves.is_doubtful[rows].any()),
    }
    tell = Teller(curves, span, sampled, others)
    peak = tell.number("peak", best.peak)
    return Event(
        energy=energy,
        threshold=threshold,
        onset=tell.instant("first", span.first),
        threshold_crossing=crossing(curves, span, threshold),
        peak=peak,
        peak_time=tell.instant("peak_at", best.peak_at),
        end=tell.instant("last", span.last) if span.is_over else Interval(None),
        duration=tell.number("duration", (span.last - span.first + 1) * curves.step / 3600),
        fluence=tell.number("fluence", best.floor),
        fluence_independent=independent_fluence(curves, span, best.floor),
        s_scale=_level(peak) if is_scaled else Interval(None),
        step=curves.step,
        n_missing=int(missing[rows].sum()),
        seen_share=None if sampled is None else sum(one.is_seen for one in sampled) / len(sampled),
        flags=tuple(name for name, is_set in flags.items() if is_set),
    )


def _level(peak: Interval) -> Interval:
    ends = (peak.value, peak.lower, peak.upper, peak.lower95, peak.upper95)
    return Interval(*(None if end is None else int(s_scale(float(end))) for end in ends))
