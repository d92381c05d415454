r"""The background of each channel: galactic cosmic rays, their modulation in time, and its uncertainty.

The rate of channel i is modelled with one level common to all channels,

.. math:: b_i(t) = b_{i,quiet} \, L(t)^{\kappa_i},

L = 1 at the time of the reference and the exponents from the instrument file. The level is read off the monitor
channels, which protons reach last; where protons do reach them it is carried over from clean time
(`follow_background`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.names import UNUSABLE, Quality, attributes, require

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from particleflux.instruments import Instrument

    Array = NDArray[np.float64]

#: Relative uncertainty of a background that is assumed and not measured.
ASSUMED_STD = 0.12
#: How much more a channel rises than the monitors in the hardest event, relative to its background: the ground level
#: enhancement of 2024-05-11. Softest channel first; an instrument without these channels is followed without guards.
HARDEST = {"PDH1": 10.0, "PDH3": 2.4, "PDH4": 2.1, "PDH5": 1.6}
#: Time that must be quiet before a background is measured from it, s.
NEEDED_QUIET = 24 * 3600.0


@dataclass(frozen=True)
class Following:
    """Settings with which the background level is followed; set from quiet days and from injected events.

    Attributes
    ----------
    window : float
        Width of the running window, h. Seven hours of two RADEM monitors give the level to 0.7 %.
    level_range : tuple of float
        What the level can be, relative to the reference: solar modulation and Forbush decreases.
    rise : float
        How far the level may stand above its last day, per day of distance. A faster rise is protons.
    held_std, drift_std : float
        Uncertainty of a level that is carried over: at once, and per square root of a day.
    modulation_std : float
        Uncertainty of the exponents.
    spread_factor : float
        Spread of a channel's own part from month to month, over the one of the reference from day to day.
    """

    window: float = 7.0
    level_range: tuple[float, float] = (0.7, 1.15)
    rise: float = 0.03
    held_std: float = 0.02
    drift_std: float = 0.03
    modulation_std: float = 0.15
    spread_factor: float = 2.0


FOLLOWING = Following()


@dataclass(frozen=True)
class _Hours:
    """Usable counts gathered by the hour: counts (hour, channel), exposure (hour) s, and the hour of each sample."""

    hour: Array
    index: NDArray[np.intp]
    usable: NDArray[np.bool_]
    counts: Array
    exposure: Array

    def running(self, half: float, keep: NDArray[np.bool_] | None = None) -> tuple[Array, Array]:
        # Windows are cut by time and not by number of samples: a gap or the edge narrows them, never shifts them.
        first, last = (
            np.searchsorted(self.hour, self.hour - half),
            np.searchsorted(self.hour, self.hour + half, "right"),
        )
        kept = np.column_stack([self.counts, self.exposure])
        if keep is not None:
            kept = kept * keep[:, None]
        total = np.vstack([np.zeros(kept.shape[1]), np.cumsum(kept, axis=0)])
        window = total[last] - total[first]
        return window[:, :-1], window[:, -1]


def _gather(counts: xr.Dataset, channels: list[str]) -> _Hours:
    require(counts, "counts", "exposure", "quality")
    if counts.sizes["time"] == 0:
        msg = "counts hold no sample; give files or a start and stop that contain data"
        raise MissingDataError(msg)
    number = counts["counts"].sel(channel=channels).transpose("time", "channel").to_numpy().astype(float)
    exposure = counts["exposure"].to_numpy().astype(float)
    usable = (counts["quality"].to_numpy().astype(np.int64) & int(UNUSABLE)) == 0
    usable &= np.isfinite(number).all(axis=1) & (exposure > 0)
    middle = (
        counts["time"].to_numpy().astype("datetime64[ns]").astype(np.int64) / 3.6e12 + np.nan_to_num(exposure) / 7200
    )
    hour, index = np.unique(np.floor(middle), return_inverse=True)
    number, exposure = np.where(usable[:, None], number, 0.0), np.where(usable, exposure, 0.0)
    gathered = np.stack([np.bincount(index, column, len(hour)) for column in number.T], axis=1).astype(float)
    return _Hours(hour, index, usable, gathered, np.bincount(index, exposure, len(hour)).astype(float))


@dataclass(frozen=True)
class _Quiet:
    """What the instrument file says of some of its channels; arrays have the shape (channel,)."""

    names: list[str]
    rate: Array
    spread: Array
    exponent: Array
    is_monitor: NDArray[np.bool_]
    is_steady: NDArray[np.bool_]

    @classmethod
    def of(cls, instrument: Instrument, channels: Iterable[object]) -> _Quiet:
        names = [str(name) for name in channels]
        if unknown := [name for name in names if name not in instrument.channels]:
            msg = f"unknown channels {unknown}: {instrument.name} has {list(instrument.channels)}; drop or rename them"
            raise AxisError(msg)
        if missing := [name for name in instrument.monitors if name not in names]:
            msg = (
                f"channels {missing} are absent: found {names}; the background level is read off {instrument.monitors}"
            )
            raise AxisError(msg)
        exponent = np.array([instrument.modulation[name] for name in names])
        # A channel with spikes, or one that does not follow the cosmic rays, says nothing about quiet.
        noisy = [item.channel for item in instrument.noisy_channels]
        return cls(
            names,
            np.array([instrument.quiet_rate[name] for name in names]),
            np.array([instrument.quiet_relative_std[name] for name in names]),
            exponent,
            np.isin(names, instrument.monitors),
            ~np.isin(names, noisy) & (exponent > 0),
        )


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
    quiet = _Quiet.of(instrument, instrument.channels)
    std = quiet.rate * np.hypot(ASSUMED_STD, quiet.spread)
    return _table(quiet.names, quiet.rate, std, source="instrument", span="", n_samples=0)


def estimate_background(quiet: xr.Dataset, instrument: Instrument, *, source: str = "files") -> xr.Dataset:
    r"""Measure the background of each channel from counts of quiet time.

    The rate is the mean over the hours that stay; an hour goes where any channel leaves its median by 15 % and five
    Poisson deviations. With the daily means :math:`r_d` and their Poisson variances :math:`v_d`,

    .. math:: \sigma^2 = \max(\mathrm{var}(r_d) - \overline{v_d}, 0) + N / T^2

    is the spread of the true rate and not the scatter of a minute. Fewer than three days cannot show it: then it is
    the instrument file's.

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
        `background_rate` and `background_rate_std` (s-1); attributes `source`, `span`, `n_samples`.

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
    known = _Quiet.of(instrument, quiet["channel"].values)
    names, expected, steady = known.names, known.rate, known.is_steady
    hours = _gather(quiet, names)
    seen = hours.exposure > 0
    if not seen.any():
        msg = (
            f"none of the {quiet.sizes['time']} samples of the background counts is usable; "
            "give files of quiet time outside the instrument's do-not-use windows"
        )
        raise MissingDataError(msg)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = hours.counts / (
            hours.exposure[:, None] * np.median((hours.counts / hours.exposure[:, None])[seen], axis=0)
        )
        scatter = 1 / np.sqrt(hours.counts / ratio)
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
    return _table(names, rate, std, source=source, span=span, n_samples=int(used.sum()))


def follow_background(
    background: xr.Dataset, counts: xr.Dataset, instrument: Instrument, following: Following = FOLLOWING
) -> xr.Dataset:
    r"""Follow the background through a time by the level of the monitor channels.

    With M the monitors' rate over their background in a running window, and :math:`x_1, x_2` the excess of the softer
    and the harder guard channel over theirs,

    .. math:: L = M - c / 2, \qquad c = x_2 \min(1, x_2 / x_1).

    c bounds the protons in the monitors: an excess falls from channel to channel at least as fast as it did between
    the guards, for protons are fewer at higher energies. Where c is too large, M leaves the physical range, or M
    rises faster than cosmic rays do, the level is carried over from clean time and the sample flagged.

    Parameters
    ----------
    background : Dataset, dims (channel)
        The reference: `background_rate` and `background_rate_std` (s-1), channels in any order.
    counts : Dataset, dims (time, channel)
        Counts with `exposure` (s) and `quality`, at any cadence, with the monitor channels among theirs.
    instrument : Instrument
        Its monitor channels and exponents.
    following : Following
        The settings.

    Returns
    -------
    Dataset, dims (time, channel)
        `background_rate` and `background_rate_std` (s-1) for the channels of `counts`; `background_level` and
        `background_level_std` (time); `quality` (time) with `BACKGROUND_HELD`, and `BACKGROUND_ASSUMED` where the
        reference is the instrument file's.

    Raises
    ------
    AxisError
        If a channel or a dimension is absent or unknown.
    MissingDataError
        If `counts` are empty.
    """
    require(background, "background_rate", "background_rate_std")
    if background["background_rate"].dims != ("channel",):
        found = background["background_rate"].dims
        msg = f"background_rate has dimensions {found}, expected ('channel',); average it over time"
        raise AxisError(msg)
    require(counts, "counts")
    quiet = _Quiet.of(instrument, counts["channel"].values)
    known = [str(name) for name in background["channel"].values]
    if missing := [name for name in quiet.names if name not in known]:
        msg = f"no background for the channels {missing}: found {known}; drop them from the counts or estimate one"
        raise AxisError(msg)
    rate = background["background_rate"].sel(channel=quiet.names).to_numpy()
    std = background["background_rate_std"].sel(channel=quiet.names).to_numpy()
    guards = [name for name in HARDEST if name in quiet.names]
    watched = [quiet.names.index(name) for name in (*instrument.monitors, *guards)]
    hours = _gather(counts, [quiet.names[i] for i in watched])
    hardest = np.array([HARDEST[name] for name in guards])
    level, level_std, held = _follow(hours, rate[watched], quiet.exponent[watched], hardest, following)
    exponent, own = quiet.exponent, std / rate
    if not (assumed := background.attrs.get("source") == "instrument"):
        # What the monitors share with a channel is followed; the rest is its own.
        common = exponent * own[quiet.is_monitor].mean()
        own = following.spread_factor * np.sqrt(np.maximum(own**2 - common**2, (own / 2) ** 2))

    # The samples of an hour share its level: the window is far wider than the hour.
    level, level_std, held = level[hours.index], level_std[hours.index], held[hours.index]
    followed = rate * level[:, None] ** exponent
    relative = np.sqrt(
        (exponent * (level_std / level)[:, None]) ** 2
        + (following.modulation_std * np.log(level)[:, None]) ** 2
        + own**2
    )
    flags = np.where(held, int(Quality.BACKGROUND_HELD), 0)
    if assumed:
        flags = flags | int(Quality.BACKGROUND_ASSUMED)
    return xr.Dataset(
        {
            "background_rate": (("time", "channel"), followed, attributes("background_rate")),
            "background_rate_std": (("time", "channel"), followed * relative, attributes("background_rate_std")),
            "background_level": (
                "time",
                level,
                {"units": "1", "long_name": "background level relative to the reference"},
            ),
            "background_level_std": ("time", level_std, {"units": "1", "long_name": "standard deviation of the level"}),
            "quality": ("time", flags.astype(np.int32), attributes("quality")),
        },
        coords={"time": counts["time"], "channel": counts["channel"]},
        attrs=dict(background.attrs),
    )


def _follow(
    hours: _Hours, quiet: Array, exponent: Array, hardest: Array, following: Following
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Level, its standard deviation and whether it is carried over, for each hour."""
    low, high = following.level_range
    n_monitors = len(quiet) - len(hardest)

    def look(counts: Array, exposure: Array) -> tuple[Array, Array, Array]:
        expected = exposure[:, None] * quiet
        monitor = expected[:, :n_monitors].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio, noise = counts[:, :n_monitors].sum(axis=1) / monitor, 1 / np.sqrt(monitor)
            guard = counts[:, n_monitors:] / expected[:, n_monitors:]
            scatter = np.sqrt(1 / expected[:, n_monitors:] + noise[:, None] ** 2)
        bound = _bound_protons(ratio, guard, scatter, exponent[n_monitors:], hardest)
        return ratio, noise, bound

    # Half the bound is the error left in M: beyond the error of a carried level, carrying is better.
    tolerance = 2 * following.held_std
    # First the hours that are contaminated by themselves, lest the window smear them over their neighbours.
    ratio, noise, bound = look(hours.counts, hours.exposure)
    clean = (bound < 3 * tolerance) & (ratio < high + 3 * noise)
    ratio, noise, bound = look(*hours.running((following.window - 1) / 2, clean))
    good = clean & (bound < tolerance) & (ratio > low - 3 * noise) & (ratio < high + 3 * noise)
    good &= _rises_slowly(hours.hour, ratio, noise, good, following.rise)
    # The guards lag the monitors at an onset (slower protons), and the window ahead of it reaches into the event: an
    # hour is good if those that follow it within the window are.
    behind = np.searchsorted(hours.hour, hours.hour + following.window / 2)
    spoiled = np.concatenate([[0], np.cumsum((hours.exposure > 0) & ~good)])
    good &= spoiled[behind] == spoiled[:-1]

    seen = np.isfinite(ratio)

    # The reference is itself an estimate of the level: it counts where the window holds few counts, and nowhere else.
    prior = 1 / ASSUMED_STD**2
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = 1 / (noise**2 + (bound / 2) ** 2)
        level = np.clip((weight * (ratio - bound / 2) + prior) / (weight + prior), low, high)
    std = 1 / np.sqrt(weight + prior)
    if not good.any():
        # Nothing to carry over: each hour stands with the error its own bound leaves, drawn to the reference.
        ceiling = np.clip(ratio[seen].min(), low, high) if seen.any() else 1.0
        alone = np.where(seen, np.minimum(np.where(seen, level, 1.0), max(1.0, ceiling)), min(1.0, ceiling))
        return alone, np.where(seen, np.minimum(np.hypot(std, following.held_std), ASSUMED_STD), ASSUMED_STD), ~good
    at = hours.hour[good]
    after = np.searchsorted(at, hours.hour).clip(0, len(at) - 1)
    before = (np.searchsorted(at, hours.hour, "right") - 1).clip(0)
    days = np.minimum(np.abs(hours.hour - at[before]), np.abs(at[after] - hours.hour)) / 24
    carried = np.interp(hours.hour, at, level[good])
    jump = np.abs(level[good][after] - level[good][before]) / 2
    carried_std = np.sqrt(
        np.interp(hours.hour, at, std[good] ** 2) + following.held_std**2 + following.drift_std**2 * days + jump**2
    )
    # Protons only add: what the monitors show bounds a carried level from above.
    carried = np.where(seen, np.minimum(carried, np.clip(np.where(seen, ratio, high), low, high)), carried)
    return np.where(good, level, carried), np.where(good, std, np.minimum(carried_std, ASSUMED_STD)), ~good


def _bound_protons(ratio: Array, guard: Array, scatter: Array, exponent: Array, hardest: Array) -> Array:
    r"""Bound the protons in the monitors, relative to their background, by the excess of softer channels.

    With the monitors' ratio M to their background and the guards' :math:`g_i` to theirs, protons that make the part c
    of M leave the guards the excess :math:`x_i = g_i - (M - c)^{\kappa_i}`. In the hardest event it is
    :math:`R_i c`. In a softer one it falls on, in the k steps from guard i to the monitors, at least as fast as it fell
    from guard i-1; this is asked of the two hardest guards. With :math:`y_i = x_i / R_i`,

    .. math:: c \le \min_i y_i(c), \qquad c \le y_i \left( y_i / y_{i-1} \right)^k .

    Parameters
    ----------
    ratio : array, shape (hour,)
        M.
    guard, scatter : array, shape (hour, guard)
        :math:`g_i` and its standard deviation with that of M, the softest guard first.
    exponent, hardest : array, shape (guard,)
        :math:`\kappa_i` and :math:`R_i`.

    Returns
    -------
    array, shape (hour,)
        The bound on c, with its noise on top; 0 without guards.
    """
    n_guards = len(hardest)
    if not n_guards:
        return np.zeros(len(ratio))

    def relative(c: Array) -> Array:
        return np.asarray((guard - np.maximum(ratio[:, None] - c, 0.1) ** exponent) / hardest)

    error = scatter / hardest
    # Fixed points, iterated from below: M holds c itself. The gain of a step is at most exponent / hardest < 0.7.
    c = np.zeros_like(guard)
    for _ in range(30):
        c = np.maximum(relative(c), 0.0)
    # Two deviations on top: the least of several noisy bounds would lie below all of them.
    most = np.min(c + 2 * scatter / (hardest - exponent), axis=1)
    for i in range(max(1, n_guards - 2), n_guards):
        # From above: of two fixed points the larger is the bound. Only a fall that is significant bounds, for an
        # insignificant one is steepened by each iteration.
        for _ in range(15):
            y = relative(most[:, None])
            hard = np.maximum(y[:, i], 0.0) + 2 * error[:, i]
            soft = np.maximum(y[:, i - 1] - 2 * error[:, i - 1], 1e-9)
            most = np.where(hard < soft, np.minimum(hard * (hard / soft) ** (n_guards - i), most), most)
    return np.asarray(most)


def _rises_slowly(
    hour: Array, ratio: Array, noise: Array, candidate: NDArray[np.bool_], rise: float
) -> NDArray[np.bool_]:
    """Whether the level keeps to what it was on its last accepted day, or falls."""
    accepted = np.zeros(len(hour), dtype=bool)
    reference, last = np.inf, -np.inf
    for i in np.flatnonzero(candidate):
        away = (hour[i] - last) / 24
        if ratio[i] > reference + rise * (1 + away) + 3 * noise[i]:
            continue
        accepted[i] = True
        # Quick to fall, slow to rise: a Forbush decrease takes hours and its recovery days.
        step = ratio[i] - reference if np.isfinite(reference) else 0.0
        share = 1 - np.exp(-(hour[i] - last) / (6.0 if step < 0 else 24.0)) if np.isfinite(last) else 1.0
        reference = reference + share * step if np.isfinite(reference) else ratio[i]
        last = hour[i]
    return accepted


def find_quiet(
    counts: xr.Dataset, instrument: Instrument, window: float = 7.0, tolerance: float = 0.08
) -> xr.DataArray:
    """Find the time without solar particles in the data themselves.

    Each channel is divided by what the monitors expect of it. Quiet is where, in a running window, every channel that
    is not noisy stays within the tolerance of the lowest value seen, and that value within 25 % of the instrument's.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        Counts with `exposure` (s) and `quality`.
    instrument : Instrument
        Its quiet rates, exponents and monitor channels.
    window : float
        Width of the running window, h.
    tolerance : float
        How far a channel may stand above its lowest, relative, beside three Poisson deviations.

    Returns
    -------
    DataArray of bool, dims (time)
        False where a sample is unusable.

    Raises
    ------
    AxisError
        If a channel is absent.
    """
    require(counts, "counts")
    known = _Quiet.of(instrument, counts["channel"].values)
    hours = _gather(counts, known.names)
    low, high = FOLLOWING.level_range
    number, exposure = hours.running((window - 1) / 2)
    rate, monitor, used = known.rate, known.is_monitor, known.is_steady & ~known.is_monitor
    with np.errstate(divide="ignore", invalid="ignore"):
        level = number[:, monitor].sum(axis=1) / (exposure * rate[monitor].sum())
        expected = exposure[:, None] * rate * level[:, None] ** known.exponent
        excess = (number / expected)[:, used]
        scatter = 3 / np.sqrt(expected[:, used])
    seen = np.isfinite(level)
    quiet = seen & (level > low) & (level < high)
    if quiet.any():
        # The fifth percentile and not the minimum: a minimum of noise lies below the true level.
        lowest = np.minimum(np.percentile(excess[quiet], 5, axis=0), 1 + 0.25 - tolerance)
        allowed = lowest + tolerance + scatter + 2 * known.spread[used]
        quiet &= (excess < allowed).all(axis=1)
    return xr.DataArray(
        quiet[hours.index] & hours.usable,
        coords={"time": counts["time"]},
        dims="time",
        attrs={"long_name": "no solar particles", "units": "1"},
    )


def auto_background(counts: xr.Dataset, instrument: Instrument) -> xr.Dataset:
    """Measure the background from the quiet time in the data themselves, or fall back on the instrument file.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        Counts with `exposure` (s) and `quality`.
    instrument : Instrument
        What to fall back on, with a warning, where less than 24 h are quiet.

    Returns
    -------
    Dataset, dims (channel)
        As `estimate_background`, with the attribute `source` "auto", or `default_background`.

    Warns
    -----
    UserWarning
        If the instrument file's level is used.
    """
    quiet = find_quiet(counts, instrument).to_numpy()
    found = float(counts["exposure"].to_numpy()[quiet].sum())
    if found < NEEDED_QUIET:
        warnings.warn(
            f"{found / 3600:.1f} h of quiet time in the data, {NEEDED_QUIET / 3600:.0f} h are needed: the background "
            f"is the quiet level of {instrument.name} with {ASSUMED_STD:.0%} uncertainty; give files of quiet days",
            stacklevel=2,
        )
        return default_background(instrument)
    return estimate_background(counts.isel(time=quiet), instrument, source="auto")
