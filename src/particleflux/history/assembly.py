"""Sources -> history: one axis of days, one satellite a day, derived drivers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.history.days import DAY, Days, cadence_of, check_series
from particleflux.history.drivers import Drivers, merge_drivers
from particleflux.history.layout import CALIBRATION_MEANINGS, dataset_of
from particleflux.history.merging import Calibration, merge_pieces
from particleflux.history.periods import Periods
from particleflux.history.pieces import daily_fluences, leave_out, read_piece, split_satellites
from particleflux.io.times import TimeLike, TimeRange


def assemble(
    electrons: Sequence[xr.Dataset],
    *,
    omni: xr.Dataset | None = None,
    kp: xr.Dataset | None = None,
    dst: xr.Dataset | None = None,
    others: Sequence[xr.Dataset] = (),
    calibrations: Mapping[str, Calibration] | None = None,
    reference: str | None = None,
    exclude: Mapping[str, Periods] | None = None,
    day_start: float = 0.0,
    start: TimeLike | None = None,
    stop: TimeLike | None = None,
) -> xr.Dataset:
    """Bring sources onto one axis of days, and derive what drives the flux.

    Each day has the electrons of one satellite: of the first source that gives a fluence for it. Kp and ap come from
    the Kp file, Dst from its own; where these have nothing, and for all else, from OMNI, then from the others. The
    dynamic pressure is taken as it comes, else made of density and speed with 0.05 alpha particles per proton, as OMNI
    does; the stand-off distance is made of hourly values where there are any. Hours below the detection limit of a
    censored product count as `particleflux.history.fluence.daily_fluence` says.

    Parameters
    ----------
    electrons : sequence of Dataset, dims (time,)
        In order of preference, each with the attribute or variable `satellite`; the attributes `product` and
        `detection_limit` (cm-2 s-1 sr-1) are used where present.
    omni, kp, dst : Dataset, dims (time,), optional
        Drivers as the readers of `particleflux.io` give them.
    others : sequence of Dataset, dims (time,)
        More drivers, used where those before have nothing.
    calibrations : mapping of str to Calibration, optional
        By satellite, or by satellite and product as in "GOES-13/science". Each has `apply`, from log10 of the fluence
        to log10 on the reference scale, and `kind`: "reference", "overlap", "estimated" or "uncalibrated".
        Hours are calibrated like days.
    reference : str, optional
        The satellite whose scale the fluence is on; by default the one with the most days.
    exclude : mapping of str to periods, optional
        By satellite, or by satellite and product, the time in which its electrons are not to be used; as
        `parse_periods` takes it.
    day_start : float
        Hours from 00:00 UTC to the start of a day. Daily sources need 0.
    start, stop : str, date, datetime or datetime64, optional
        First day, and the first instant after the last; a bare date as stop is included whole.

    Returns
    -------
    Dataset, dims (time, hour)
        The history. `time` is every day from the first to the last that electrons, OMNI or the others touch and that
        is over when they end; `fluence_gt2mev` is on the scale of the reference where `calibration` says so,
        `fluence_gt2mev_measured` is not calibrated.

    Raises
    ------
    MissingDataError
        If there are no electrons, or no day in the range.
    DataError
        If a source is not a series, a satellite or a calibration is not known, or daily sources do not fit the day.

    Warns
    -----
    UserWarning
        If two products of one satellite contradict each other.
    """
    if calibrations and reference is None:
        msg = "calibrations without a reference: name the satellite whose scale they lead to, such as 'GOES-13'"
        raise DataError(msg)
    parts = leave_out([part for source in electrons for part in split_satellites(source)], exclude or {})
    if not parts:
        msg = "no source of electrons: expected at least one dataset with a flux above 2 MeV; give one"
        raise MissingDataError(msg)
    spanning = [*parts, *(source for source in (omni, dst, *others) if source is not None)]
    days = _days(spanning, day_start, TimeRange.parse(start, stop))
    return combine(
        parts,
        merge_drivers({"kp": kp, "dst": dst, "omni": omni}, others, days),
        days,
        day_start=day_start,
        reference=reference,
        calibrations=calibrations,
    )


def measured_fluences(
    electrons: Sequence[xr.Dataset],
    *,
    exclude: Mapping[str, Periods] | None = None,
    day_start: float = 0.0,
    start: TimeLike | None = None,
    stop: TimeLike | None = None,
) -> dict[str, xr.DataArray]:
    """Give the daily fluence of every satellite and product as measured: what calibrations are fitted to.

    Parameters
    ----------
    electrons : sequence of Dataset, dims (time,)
        As `assemble` takes them.
    exclude : mapping of str to periods, optional
        As `assemble` takes it.
    day_start : float
        Hours from 00:00 UTC to the start of a day.
    start, stop : str, date, datetime or datetime64, optional
        As `assemble` takes them: nothing outside is looked at.

    Returns
    -------
    dict of str to DataArray, dims (time,)
        cm-2 sr-1 d-1, by names such as "GOES-12" or "GOES-13/science". NaN where some of the hours are below the
        detection limit.

    Raises
    ------
    DataError
        If a source is not a series, or a satellite is not known.
    """
    parts = leave_out([part for source in electrons for part in split_satellites(source)], exclude or {})
    if not parts:
        return {}
    days = _days(parts, day_start, TimeRange.parse(start, stop))
    return daily_fluences([read_piece(part, days) for part in parts], days)


def combine(
    parts: Sequence[xr.Dataset],
    drivers: Drivers,
    days: Days,
    *,
    day_start: float,
    reference: str | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    find_limit: bool = True,
) -> xr.Dataset:
    """Bring electrons of one satellite each and the drivers together.

    Parameters
    ----------
    parts : sequence of Dataset, dims (time,)
        In order of preference, each with the attribute `satellite`.
    drivers : Drivers
        On the same days.
    days : Days
        The axis.
    day_start : float
        Hours from 00:00 UTC to the start of a day.
    reference : str, optional
        As in `assemble`.
    calibrations : mapping of str to Calibration, optional
        As in `assemble`.
    find_limit : bool
        Estimate detection limits that are not stated.

    Returns
    -------
    Dataset, dims (time, hour)
        The history.
    """
    pieces = [read_piece(part, days, find_limit=find_limit) for part in parts]
    if reference is None:
        reference = most_days(
            [piece.satellite for piece in pieces for _ in range(int(np.isfinite(piece.daily["fluence_gt2mev"]).sum()))]
        )
    merged = merge_pieces(pieces, days, reference=reference, calibrations=calibrations or {})
    history = dataset_of(
        days.time, {**merged.daily, **drivers.daily}, {**merged.hourly, **drivers.hourly}, day_start=day_start
    )
    for name, preference in drivers.preference.items():
        history[name].attrs["preference"] = preference
    limits = {piece.satellite: piece.limit for piece in pieces if piece.limit is not None}
    if limits:
        stated = [f"{name} {limit:.4g} cm-2 s-1 sr-1" for name, limit in limits.items()]
        history.attrs["detection_limits"] = ", ".join(stated)
    return finish(history, reference)


def most_days(satellites: Iterable[str]) -> str:
    """Give the satellite that comes most often.

    Parameters
    ----------
    satellites : iterable of str
        One name a day; empty ones do not count.

    Returns
    -------
    str
        Its name; empty where there is none.

    Examples
    --------
    >>> most_days(["GOES-12", "", "GOES-13", "GOES-13"])
    'GOES-13'
    """
    counts = Counter(name for name in satellites if name)
    return counts.most_common(1)[0][0] if counts else ""


def finish(history: xr.Dataset, reference: str) -> xr.Dataset:
    """Add the attributes that say where the fluxes of a history come from.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        With `satellite` and `calibration`.
    reference : str
        The satellite whose scale the fluence is on.

    Returns
    -------
    Dataset
        The same, described.
    """
    names = history["satellite"].to_numpy()
    found, first = np.unique(names[names != ""], return_index=True)
    history.attrs |= {"satellite": ", ".join(found[np.argsort(first)]), "reference": reference}
    history["calibration"].attrs = {
        "units": "1",
        "long_name": "how the fluence relates to the scale of the reference satellite",
        "flag_values": list(CALIBRATION_MEANINGS),
        "flag_meanings": " ".join(CALIBRATION_MEANINGS.values()),
    }
    return history


def _days(sources: Sequence[xr.Dataset], day_start: float, span: TimeRange) -> Days:
    """Give the days all sources together cover; the last only if it is over."""
    times: list[npt.NDArray[np.datetime64]] = []
    ends = []
    for source in sources:
        check_series(source)
        time = source["time"].to_numpy().astype("datetime64[ns]")
        times.append(time[[0, -1]])
        ends.append(time[-1] + cadence_of(source))
    days = Days.spanning(np.concatenate(times), day_start).time
    inside = span.contains(days) & (days + DAY <= max(ends))
    if not inside.any():
        msg = (
            f"no whole day in {span}: the sources hold {days[0].astype('datetime64[s]')} to "
            f"{max(ends).astype('datetime64[s]')}; give other files, or another start and stop"
        )
        raise MissingDataError(msg)
    days = days[inside]
    return Days(days[0], len(days))
