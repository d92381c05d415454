"""From a table of rank correlations to the inputs of a forecast and the number of days it looks back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError

#: The electron flux under its two names: the target's own past.
FLUX = ("fluence_gt2mev", "electron_flux_gt2mev")
_DAYS = {"d": 1.0, "h": 1 / 24}


@dataclass(frozen=True)
class Suggestion:
    """The inputs a table of rank correlations speaks for.

    Parameters
    ----------
    inputs : tuple of str
        Candidates, the target's own past first, then by what they add to it.
    n_days : int
        Number of consecutive days before the target's day.
    left_out : tuple of (str, str)
        Each other candidate, and why it is not among the inputs.
    """

    inputs: tuple[str, ...]
    n_days: int
    left_out: tuple[tuple[str, str], ...] = ()


def suggest(
    correlations: xr.Dataset,
    *,
    max_inputs: int = 6,
    within: int = 10,
    fraction: float = 0.5,
    redundant: float = 0.9,
) -> Suggestion:
    """Suggest inputs and the number of days to look back.

    The rule, over offsets from 1 to `within` days:

    1. The target's own past, where it is a candidate, comes first: the rest must add to it.
    2. A driver's strength is its largest `added_correlation`, in magnitude: the correlation with what yesterday's
       target does not explain. A plain correlation would favour what only follows the solar cycle, as the flux does.
    3. Left out are drivers whose interval there includes 0, those weaker than `fraction` of the strongest, and those
       whose correlation with a stronger input at the same time exceeds `redundant`; then those beyond `max_inputs`.
    4. The window reaches from the day before the target to the last offset up to which the plain correlation of the
       best driver (of the target itself, where no driver is left), once at its maximum, stays above `fraction` of it.

    With one half for the fraction these are the full widths at half maximum; nothing was tuned on scores.

    Parameters
    ----------
    correlations : Dataset, dims (candidate, offset)
        What `correlate` gave for the training days.
    max_inputs : int
        Most inputs, the target's own past included.
    within : int
        Largest offset that counts, days.
    fraction : float
        Of the maximum, above 0 and below 1.
    redundant : float
        Largest correlation between two inputs.

    Returns
    -------
    Suggestion
        Inputs and number of days.

    Raises
    ------
    AxisError
        If this is no result of `correlate`.
    DataError
        If a setting cannot be used, or the table holds no offset from 1 to `within` days.
    MissingDataError
        If no candidate is correlated beyond its interval.
    """
    needed = {"correlation", "correlation_lower", "correlation_upper", "added_correlation", "candidate_correlation"}
    missing = sorted(needed - set(map(str, correlations.data_vars)))
    unit = correlations["offset"].attrs.get("units") if "offset" in correlations.coords else None
    if missing or unit not in _DAYS:
        msg = f"the table lacks {missing or 'offsets in d or h'}: found {sorted(map(str, correlations.data_vars))}; "
        msg += "give a result of correlate as it is"
        raise AxisError(msg)
    if max_inputs < 1 or not 0 < fraction < 1 or not 0 < redundant <= 1:
        msg = (
            f"max_inputs={max_inputs}, fraction={fraction:g}, redundant={redundant:g}: expected 1 input at least, "
            "a fraction between 0 and 1, and a correlation from 0 to 1"
        )
        raise DataError(msg)
    day = correlations["offset"] * _DAYS[unit]
    own = FLUX if correlations.attrs.get("target") in FLUX else (str(correlations.attrs.get("target")),)
    table = correlations.isel(offset=((day > 0) & (day <= within)).to_numpy())
    if not table.sizes["offset"]:
        msg = f"the table has no offset from 1 to {within} days: found {correlations['offset'].to_numpy().tolist()}"
        raise DataError(msg)
    chosen: list[str] = []
    left_out: dict[str, str] = {}
    strongest = 0.0
    for name, strength, certain in _order(table, own):
        twin = _find_twin(table, name, chosen, redundant)
        is_own = name in own
        if not certain:
            left_out[name] = "its interval includes 0"
        elif not is_own and strength < fraction * strongest:
            left_out[name] = f"adds {strength:.2f}, less than {fraction:g} of the strongest driver's {strongest:.2f}"
        elif twin:
            left_out[name] = twin
        elif len(chosen) == max_inputs:
            left_out[name] = f"adds {strength:.2f}, beyond the {max_inputs} inputs asked for"
        else:
            chosen.append(name)
            strongest = max(strongest, 0.0 if is_own else strength)
    if not chosen:
        msg = f"no candidate is correlated with the target beyond its interval: {left_out}; give a longer history"
        raise MissingDataError(msg)
    drivers = [name for name in chosen if name not in own]
    return Suggestion(tuple(chosen), _measure_window(table, drivers or chosen, fraction), tuple(left_out.items()))


def _order(table: xr.Dataset, own: tuple[str, ...]) -> list[tuple[str, float, bool]]:
    """List candidates, the target's own past first, then by strength; each with its strength and if that is certain."""
    rows = []
    for name in map(str, table["candidate"].to_numpy()):
        kind = "correlation" if name in own else "added_correlation"
        one = table.sel(candidate=name)
        size = np.abs(one[kind].to_numpy())
        best = int(np.argmax(np.nan_to_num(size)))
        lower, upper = (float(one[kind + end][best]) for end in ("_lower", "_upper"))
        rows.append((name, float(np.nan_to_num(size[best])), lower > 0 or upper < 0))
    return sorted(rows, key=lambda row: (row[0] not in own, -row[1]))


def _find_twin(table: xr.Dataset, name: str, chosen: list[str], redundant: float) -> str:
    mutual = table["candidate_correlation"].sel(candidate=name)
    for other in chosen:
        coefficient = float(mutual.sel(other=other))
        if abs(coefficient) > redundant:
            return f"correlation {coefficient:+.2f} with {other}"
    return ""


def _measure_window(table: xr.Dataset, names: list[str], fraction: float) -> int:
    size = np.abs(table["correlation"].sel(candidate=names).to_numpy())
    curve = np.nan_to_num(size[np.nanargmax(size) // size.shape[1]])
    peak = int(np.argmax(curve))
    low = np.flatnonzero(curve[peak:] < fraction * curve[peak])
    last = peak + int(low[0]) - 1 if len(low) else len(curve) - 1
    offset = table["offset"]
    return int(np.ceil(float(offset[last]) * _DAYS[str(offset.attrs["units"])]))
