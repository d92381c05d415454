"""The background through time: one level, read off the monitor channels, carried over where protons reach them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from particleflux.background._hours import Known, gather
from particleflux.background.estimate import ASSUMED_STD, DRIFT_STD
from particleflux.errors import AxisError, DataError
from particleflux.names import Quality, attributes, require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from particleflux.background._hours import Array, Hours
    from particleflux.instruments import Instrument


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
        How far the level may stand above any earlier one, at once and again per day between them.
    held_std, drift_std : float
        Uncertainty of a level that is carried over: at once, and per square root of a day.
    modulation_std : float
        Uncertainty of the exponents.
    spread_factor : float
        A channel that drifts more than the monitors do from day to day drifts further from month to month: by the
        ratio of the two, up to this factor.
    """

    window: float = 7.0
    level_range: tuple[float, float] = (0.7, 1.15)
    rise: float = 0.03
    held_std: float = 0.02
    drift_std: float = 0.03
    modulation_std: float = 0.10
    spread_factor: float = 2.2


FOLLOWING = Following()
#: What a background may say of its own standard deviation: the part that all channels share, s-1.
COMMON_STD = "background_rate_common_std"


def follow_background(
    background: xr.Dataset, counts: xr.Dataset, instrument: Instrument, following: Following = FOLLOWING
) -> xr.Dataset:
    r"""Follow the background through a time by the level of the monitor channels.

    With M the rate of the monitors over their background in a running window, and c the most that protons can add to
    it judging by the softer channels (`instrument.hardest`, `_bound_protons`), the level and its error are

    .. math:: L = M - c / 2, \qquad \sigma_L^2 = 1 / N + (c / 2)^2

    with N counts expected in the window. Where c / 2 is larger than the error of a carried level, M leaves the physical
    range, or M rises faster than cosmic rays do, the level is carried over from clean time and the sample flagged.

    A stated standard deviation stays whole. One that says how much of it is drift (`estimate_background`) loses the
    drift shared with the monitors, which is followed. A background that is zero in all channels is used as it is.

    Parameters
    ----------
    background : Dataset, dims (channel)
        The reference: `background_rate` and `background_rate_std` (s-1), channels in any order; and, where it was
        measured by `estimate_background`, `background_rate_drift_std` (s-1).
    counts : Dataset, dims (time, channel)
        Counts with `exposure` (s) and `quality`, at any cadence, with the monitor channels among theirs.
    instrument : Instrument
        Its monitor channels and exponents, and the bound on protons if it states one.
    following : Following
        The settings.

    Returns
    -------
    Dataset, dims (time, channel)
        `background_rate` and `background_rate_std` (s-1) for the channels of `counts`, and the part of the latter that
        comes from the level, `background_rate_common_std`; `background_level` and `background_level_std` (time);
        `quality` (time) with `BACKGROUND_HELD`, and `BACKGROUND_ASSUMED` where the reference is the instrument file's.

    Raises
    ------
    AxisError
        If a channel or a dimension is absent or unknown.
    DataError
        If the background of some channels is not positive.
    MissingDataError
        If `counts` are empty.
    """
    require(background, "background_rate", "background_rate_std")
    if background["background_rate"].dims != ("channel",):
        found = background["background_rate"].dims
        msg = f"background_rate has dimensions {found}, expected ('channel',); average it over time"
        raise AxisError(msg)
    require(counts, "counts")
    known = Known.of(instrument, counts["channel"].values)
    given = [str(name) for name in background["channel"].values]
    if missing := [name for name in known.names if name not in given]:
        msg = f"no background for the channels {missing}: found {given}; drop them from the counts or estimate one"
        raise AxisError(msg)
    rate = background["background_rate"].sel(channel=known.names).to_numpy()
    guards = [name for name in instrument.hardest if name in known.names]
    watched = [known.names.index(name) for name in (*instrument.monitors, *guards)]
    hours = gather(counts, [known.names[i] for i in watched])
    hardest = np.array([instrument.hardest[name] for name in guards])
    if (rate == 0).all():
        # A laboratory or a simulation without background: no level can be read off it, and none is needed.
        level, level_std, held = np.ones(len(hours.hour)), np.zeros(len(hours.hour)), np.zeros(len(hours.hour), bool)
        own, reference_std = background["background_rate_std"].sel(channel=known.names).to_numpy(), 0.0
    else:
        _check_positive(known.names, rate)
        level, level_std, held = _follow(hours, rate[watched], known.exponent[watched], hardest, following)
        own, reference_std = _split(background, known, rate, following)
    level_std = np.hypot(level_std, level * reference_std)
    # The samples of an hour share its level: the window is far wider than the hour.
    level, level_std, held = level[hours.index], level_std[hours.index], held[hours.index]
    change = level[:, None] ** known.exponent
    common = known.exponent * (level_std / level)[:, None]
    modulation = following.modulation_std * np.log(level)[:, None]
    followed, shared = rate * change, rate * change * common
    if COMMON_STD in background:
        shared = np.hypot(shared, change * background[COMMON_STD].sel(channel=known.names).to_numpy())
    followed_std = change * np.hypot(rate * np.hypot(common, modulation), own)
    flags = np.where(held, int(Quality.BACKGROUND_HELD), 0)
    if background.attrs.get("source") == "instrument":
        flags = flags | int(Quality.BACKGROUND_ASSUMED)
    named = {"units": "1", "long_name": "background level relative to the reference"}
    return xr.Dataset(
        {
            "background_rate": (("time", "channel"), followed, attributes("background_rate")),
            "background_rate_std": (("time", "channel"), followed_std, attributes("background_rate_std")),
            "background_rate_common_std": (("time", "channel"), shared, attributes("background_rate_common_std")),
            "background_level": ("time", level, named),
            "background_level_std": ("time", level_std, {"units": "1", "long_name": "standard deviation of the level"}),
            "quality": ("time", flags.astype(np.int32), attributes("quality")),
        },
        coords={"time": counts["time"], "channel": counts["channel"]},
        attrs=dict(background.attrs),
    )


def _check_positive(names: list[str], rate: Array) -> None:
    if (bad := ~(np.isfinite(rate) & (rate > 0))).any():
        found = ", ".join(f"{names[i]} {rate[i]:.3g}" for i in np.flatnonzero(bad))
        msg = (
            f"background_rate of {found} s-1: expected a positive rate in every channel, or zero in all of them; drop "
            "these channels from the counts or give their rates"
        )
        raise DataError(msg)


def _split(background: xr.Dataset, known: Known, rate: Array, following: Following) -> tuple[Array, float]:
    """Give the standard deviation each channel keeps, s-1, and the relative counting error of the level's reference."""
    stated = background["background_rate_std"].sel(channel=known.names).to_numpy()
    if DRIFT_STD not in background:
        # Nothing says how it came about: none of it is taken for what is followed.
        return stated, 0.0
    drift = np.minimum(background[DRIFT_STD].sel(channel=known.names).to_numpy(), stated)
    counting = stated**2 - drift**2
    monitor = known.is_monitor
    reference_std = float(np.sqrt(counting[monitor].sum()) / rate[monitor].sum())
    # The drift a channel shares with the monitors is followed; the rest of it is its own.
    common = (drift / rate)[monitor].mean()
    own = np.sqrt(np.maximum((drift / rate) ** 2 - (known.exponent * common) ** 2, 0.0))
    own *= np.clip(own / max(np.hypot(common, reference_std), 1e-9), 1.0, following.spread_factor)
    return np.sqrt((own * rate) ** 2 + counting), reference_std


def _follow(
    hours: Hours, rate: Array, exponent: Array, hardest: Array, following: Following
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Level, its standard deviation and whether it is carried over, for each hour; monitors first, then guards."""
    low, high = following.level_range
    n_monitors = len(rate) - len(hardest)

    def look(counts: Array, exposure: Array) -> tuple[Array, Array, Array]:
        expected = exposure[:, None] * rate
        monitor = expected[:, :n_monitors].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio, noise = counts[:, :n_monitors].sum(axis=1) / monitor, 1 / np.sqrt(monitor)
            guard = counts[:, n_monitors:] / expected[:, n_monitors:]
            scatter = np.sqrt(1 / expected[:, n_monitors:] + noise[:, None] ** 2)
        return ratio, noise, _bound_protons(ratio, guard, scatter, exponent[n_monitors:], hardest)

    # Hours contaminated by themselves go first, lest the window smear them over their neighbours.
    ratio, noise, bound = look(hours.counts, hours.exposure)
    clean = (bound < 6 * following.held_std) & (ratio < high + 3 * noise)
    ratio, noise, bound = look(*hours.running((following.window - 1) / 2, clean))
    # Beyond the error of a carried level, carrying is better; and nothing but protons moves M out of the range.
    good = clean & (bound / 2 < following.held_std) & (ratio > low - 3 * noise) & (ratio < high + 3 * noise)
    # A Forbush decrease falls in hours but recovers in days: a faster rise is protons.
    lowest = np.minimum.accumulate(np.where(good, ratio - following.rise * hours.hour / 24, np.inf))
    good &= ratio - 3 * noise < lowest + following.rise * (1 + hours.hour / 24)
    # The guards lag the monitors at an onset (slower protons), and the window ahead of it reaches into the event: an
    # hour is good if those that follow it within the window are.
    behind = np.searchsorted(hours.hour, hours.hour + following.window / 2)
    spoiled = np.concatenate([[0], np.cumsum((hours.exposure > 0) & ~good)])
    good &= spoiled[behind] == spoiled[:-1]

    seen = np.isfinite(ratio)
    level = np.where(seen, np.clip(ratio - bound / 2, low, high), 1.0)
    error = np.where(seen, np.hypot(noise, bound / 2), 1e3)
    # Protons only add: what the monitors show bounds from above a level that is not read off them.
    ceiling = np.where(seen, np.clip(ratio, low, high), high)
    if good.any():
        held, held_std = _carry(hours.hour, level[good], error[good], hours.hour[good], following)
    else:
        # Nothing to carry over but the reference, which each hour draws towards its own level by their errors.
        weight = ASSUMED_STD**2 / (ASSUMED_STD**2 + error**2)
        ceiling = np.minimum(1.0, ceiling.min())
        held, held_std = 1 + weight * (level - 1), np.hypot(np.sqrt(weight) * error, following.held_std)
    std = np.minimum(np.where(good, error, held_std), ASSUMED_STD)
    return np.where(good, level, np.minimum(held, ceiling)), std, ~good


def _carry(hour: Array, level: Array, error: Array, known: Array, following: Following) -> tuple[Array, Array]:
    """Carry the level at the known hours over to all, between its neighbours, with an error that grows with time."""
    after = np.searchsorted(known, hour).clip(0, len(known) - 1)
    before = (np.searchsorted(known, hour, "right") - 1).clip(0)
    days = np.minimum(np.abs(hour - known[before]), np.abs(known[after] - hour)) / 24
    # Nobody saw when, between two levels, the one became the other.
    jump = (level[after] - level[before]) / 2
    variance = np.interp(hour, known, error**2) + following.held_std**2 + following.drift_std**2 * days + jump**2
    return np.interp(hour, known, level), np.sqrt(variance)


def _bound_protons(ratio: Array, guard: Array, scatter: Array, exponent: Array, hardest: Array) -> Array:
    r"""Bound the protons in the monitors, relative to their background, by the excess of softer channels.

    With the monitors' ratio M to their background and the guards' :math:`g_i` to theirs, protons that make the part c
    of M leave the guards the excess :math:`x_i = g_i - (M - c)^{\kappa_i}`, in the hardest event :math:`R_i c`. In a
    softer one it falls on, in the k steps from guard i to the monitors, at least as fast as it fell from guard i-1;
    this is asked of the two hardest guards. With :math:`y_i = x_i / R_i`,

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
    # Solved for c with (M - c)^kappa = M^kappa - kappa c, for M is near 1 wherever the bound matters. Two deviations on
    # top: the least of several noisy bounds would lie below all of them.
    excess = np.maximum(guard - ratio[:, None] ** exponent, 0.0)
    most = np.min((excess + 2 * scatter) / (hardest - exponent), axis=1)
    error = 2 * scatter / hardest
    for i in range(max(1, n_guards - 2), n_guards):
        # No closed form: iterated from above, for of two fixed points the larger is the bound. Only a fall that is
        # significant bounds, for an insignificant one is steepened by each iteration.
        for _ in range(15):
            y = (guard - np.maximum(ratio - most, 0.1)[:, None] ** exponent) / hardest
            hard = np.maximum(y[:, i], 0.0) + error[:, i]
            soft = np.maximum(y[:, i - 1] - error[:, i - 1], 1e-9)
            most = np.where(hard < soft, np.minimum(hard * (hard / soft) ** (n_guards - i), most), most)
    return np.asarray(most)
