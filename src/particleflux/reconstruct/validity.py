"""What the instrument file forbids to process, told in words."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from particleflux.errors import MissingDataError
from particleflux.instruments import Instrument
from particleflux.quality import is_series, last_instant


def tell_unusable(
    screened: xr.Dataset, instrument: Instrument, what: str = "the counts", fate: str = "flagged, not processed"
) -> None:
    """Say which samples the instrument file forbids to process, and why.

    Parameters
    ----------
    screened : Dataset, dims (time, channel)
        What `particleflux.quality.screen` gave.
    instrument : Instrument
        Its configurations and do-not-use windows.
    what, fate : str
        What the samples are and what becomes of those named, for the message.

    Raises
    ------
    MissingDataError
        If no response is known for any of the samples.

    Warns
    -----
    UserWarning
        If none is known for some; and for each do-not-use window, once, with its reason.
    """
    time = screened["time"].to_numpy()
    if not len(time):
        return
    series = is_series(screened)
    last = last_instant(time, screened["exposure"].to_numpy().astype(np.float64))
    if series:
        for item in instrument.exclusions:
            n = int(((time < item.stop) & (last >= item.start)).sum())
            if n:
                warnings.warn(
                    f"{_count(n, len(time))} of {what} reach into {_second(item.start)} to {_second(item.stop)} UTC, "
                    f"which {instrument.name} marks as not to be used ({item.reason}): {fate}",
                    stacklevel=3,
                )
    with_response = [item for item in instrument.configurations if item.response]
    number = screened["configuration"].to_numpy()
    unknown = ~np.isin(number, [item.number for item in with_response])
    # A sample stated or begun with a response may lie, or end, in a time without one.
    for dated in (instrument.configuration_at(time), instrument.configuration_at(last)) if series else ():
        number = np.where(unknown, number, dated)
        unknown = ~np.isin(number, [item.number for item in with_response])
    if not unknown.any():
        return
    first = int(np.flatnonzero(unknown)[0])
    description = {
        item.number: f"configuration {item.number}, {item.description}" for item in instrument.configurations
    }
    spans = " and ".join(
        f"from {_second(item.start)}" + ("" if np.isnat(item.stop) else f" to {_second(item.stop)}")
        for item in with_response
    )
    found = (
        f"no response of {instrument.name} is public for {_count(int(unknown.sum()), len(time))} of {what}, the first "
        f"at {_second(time[first])} UTC ({description.get(int(number[first]), 'no configuration known')}); a response "
        f"is known {spans or 'for no time'}"
    )
    if unknown.all():
        msg = f"{found}: nothing can be done with them; choose other times, or name a response in an instrument file"
        raise MissingDataError(msg)
    warnings.warn(f"{found}: these samples are {fate}", stacklevel=3)


def _count(n: int, total: int) -> str:
    return f"all {total} samples" if n == total else f"{n} of the {total} samples"


def _second(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="s"))
