"""Particle events in a series of integral flux: onset, peak, end and fluence, each with its uncertainty."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError
from particleflux.names import Quality, require
from particleflux.products.detection import Reading, Span, average, detect, read_curve, read_span, regular_grid
from particleflux.products.integral import BOUNDS
from particleflux.products.intervals import Curves, Interval, Teller, crossing, independent_fluence
from particleflux.products.rules import EventRule
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
        do not average down.
    fluence_independent : Interval
        The same with errors that are independent from point to point: the least it can be.
    s_scale : Interval
        NOAA's level of the peak, which is defined above 10 MeV at Earth; None at another energy.
    step : float
        Length of a point, s.
    n_missing : int
        Missing points between onset and end; bridged in the fluence.
    seen_share : float or None
        Share of the joint draws that show the event.
    flags : tuple of str
        `ongoing`, `began_before` (already above at the first point), `gap_at_onset`, `gap_inside`, `gap_at_end`.
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


def find_events(fluxes: xr.Dataset, rule: EventRule | None = None, *, energy: float = 10.0) -> tuple[Event, ...]:
    """Find particle events in a series of integral flux.

    The uncertainties are those of whole curves: of the joint draws, each taken as one curve through time, or of the
    bounds, each a curve. That takes the errors of all points for fully correlated, as those of the response are. In
    each curve the event is found anew, between the events before and after. Points flagged as below detection are
    limits: they are below any threshold, in every curve.

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
        If a rule relative to quiet time finds none.
    """
    rule = rule or EventRule()
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
    threshold = rule.level(curves.time, curves.best)
    points = rule.in_points(np.timedelta64(round(curves.step * 1e9), "ns"))
    spans = detect(curves.best, threshold, *points, curves.is_limit)
    events = []
    for number, span in enumerate(spans):
        begin = spans[number - 1].last + 1 if number else 0
        stop = spans[number + 1].first if number + 1 < len(spans) else len(curves.best)
        events.append(_event(curves, span, slice(begin, stop), threshold, points, energy))
    return tuple(events)


def _on_grid(series: xr.Dataset, rule: EventRule) -> Curves:
    grid, index, n_expected = regular_grid(series["time"].to_numpy(), rule.every)
    step = float((grid[1] - grid[0]) / np.timedelta64(1, "s")) if len(grid) > 1 else 0.0

    def gridded(name: str) -> Array:
        values = series[name].transpose("time", ...).to_numpy().astype(np.float64)
        return average(values, index, len(grid), n_expected)

    names = {suffix.lstrip("_"): f"integral_flux{suffix}" for suffix in BOUNDS}
    bounds = {key: gridded(name) for key, name in names.items() if name in series}
    draws = gridded("integral_flux_sample") if "integral_flux_sample" in series else None
    limit = np.zeros(len(grid), dtype=bool)
    if "quality" in series:
        below = (series["quality"].to_numpy() & int(Quality.BELOW_DETECTION)) != 0
        limit = average(below.astype(np.float64), index, len(grid), n_expected) > 0.5
    return Curves(grid, step, gridded("integral_flux"), bounds, draws, limit)


def _event(
    curves: Curves, span: Span, window: slice, threshold: float, points: tuple[int, int], energy: float
) -> Event:
    best = read_span(curves.best, span, curves.step)
    others: dict[str, Reading | None] = {}
    sampled: list[Reading | None] | None = None
    if curves.draws is not None:
        sampled = [
            read_curve(curve, span, window, threshold, points, curves.is_limit, curves.step) for curve in curves.draws.T
        ]
    else:
        for key, curve in curves.bounds.items():
            others[key] = read_curve(curve, span, window, threshold, points, curves.is_limit, curves.step)

    inside = curves.best[span.first : span.last + 1]
    missing = ~np.isfinite(curves.best)
    flags = {
        "ongoing": not span.is_over,
        "began_before": span.first == 0,
        "gap_at_onset": span.first > 0 and bool(missing[span.first - 1]),
        "gap_inside": bool(missing[span.first : span.last + 1].any()),
        "gap_at_end": span.last + 1 < len(missing) and bool(missing[span.last + 1]),
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
        fluence=tell.number("fluence", best.fluence),
        fluence_independent=independent_fluence(curves, span, best.fluence),
        s_scale=_level(peak) if energy == S_ENERGY else Interval(None),
        step=curves.step,
        n_missing=int(np.isnan(inside).sum()),
        seen_share=None if sampled is None else sum(one is not None for one in sampled) / len(sampled),
        flags=tuple(name for name, is_set in flags.items() if is_set),
    )


def _level(peak: Interval) -> Interval:
    ends = (peak.value, peak.lower, peak.upper, peak.lower95, peak.upper95)
    return Interval(*(None if end is None else int(s_scale(float(end))) for end in ends))
