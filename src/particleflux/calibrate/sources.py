"""Every satellite of a set of sources onto one scale: direct overlaps, chains of them, and what stays untied."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from particleflux.calibrate.calibration import KINDS, Calibration
from particleflux.calibrate.chain import chain, identity, uncalibrated
from particleflux.calibrate.estimate import MAX_ERROR, estimate_without_overlap
from particleflux.calibrate.overlap import MIN_DAYS, fit_overlap
from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.names import attributes

if TYPE_CHECKING:
    import pandas as pd

#: Least number of hours of a day whose mean stands for the day.
MIN_HOURS = 18
SECONDS_PER_DAY = 86400.0


def daily_fluences(electrons: Sequence[xr.Dataset]) -> dict[str, xr.DataArray]:
    """Split electron sources by satellite and bring them to daily fluences above 2 MeV.

    Hours are folded to UTC days with at least 18 of them. A product that leaves out hours of low flux makes the mean of
    such a day too high; those days lie near its floor, where `fit_overlap` cuts them.

    Parameters
    ----------
    electrons : sequence of Dataset, dims (time)
        `fluence_gt2mev` (cm-2 sr-1 d-1) or `electron_flux_gt2mev` (cm-2 s-1 sr-1), with an attribute `satellite` or a
        variable `satellite` (time); an attribute `product` names the second product of a satellite.

    Returns
    -------
    dict of str to DataArray, dims (time)
        Daily fluence, cm-2 sr-1 d-1, by satellite; "GOES-13/science" where the source names its product.

    Raises
    ------
    AxisError
        If a source names no satellite, holds no electron flux, or a satellite comes in two sources.
    """
    fluences: dict[str, xr.DataArray] = {}
    for number, source in enumerate(electrons, 1):
        where = f"electron source {number}"
        if "fluence_gt2mev" in source:
            daily = source["fluence_gt2mev"]
        elif "electron_flux_gt2mev" in source:
            daily = source["electron_flux_gt2mev"] * SECONDS_PER_DAY
        else:
            msg = f"{where} holds {sorted(map(str, source.data_vars))}, expected fluence_gt2mev or electron_flux_gt2mev"
            raise AxisError(msg)
        if "satellite" not in source and "satellite" not in source.attrs:
            msg = f"{where} names no satellite; give it an attribute or a variable (time) of that name"
            raise AxisError(msg)
        satellite = source.get("satellite")
        names = (
            [str(source.attrs["satellite"])] if satellite is None else sorted(set(satellite.to_numpy().tolist()) - {""})
        )
        for name in names:
            one = daily if satellite is None else daily[(satellite == name).to_numpy()]
            key = f"{name}/{source.attrs['product']}" if source.attrs.get("product") else name
            if key in fluences:
                msg = f"{where} holds {key}, which an earlier source holds too; give one an attribute product"
                raise AxisError(msg)
            fluences[key] = _fold(one).assign_attrs(attributes("fluence_gt2mev"))
    return fluences


def _fold(values: xr.DataArray) -> xr.DataArray:
    """Fold to UTC days; daily values stay."""
    import pandas as pd

    series = values.dropna("time").to_series().sort_index()
    steps = np.diff(series.index.to_numpy())
    if not len(steps) or steps.min() >= np.timedelta64(1, "D"):
        return values.dropna("time").sortby("time")
    per_day = np.timedelta64(1, "D") / np.median(steps)
    days = series.groupby(pd.DatetimeIndex(series.index).floor("D"))
    means = days.mean()[days.count() >= MIN_HOURS / 24 * per_day]
    return xr.DataArray(means.to_numpy(), {"time": means.index.to_numpy()}, "time")


def calibrate_sources(
    electrons: Mapping[str, xr.DataArray] | Sequence[xr.Dataset],
    *,
    reference: str,
    drivers: xr.Dataset | None = None,
    form: str = "auto",
    method: str = "orthogonal",
    min_days: int = MIN_DAYS,
    max_error: float = MAX_ERROR,
) -> tuple[dict[str, Calibration], pd.DataFrame]:
    """Tie every satellite to the scale of the reference, by the chain of overlaps with the least scatter.

    Two satellites are fitted to each other where they share `min_days` days above their floors. A satellite goes
    straight to the reference or by way of others, whichever leaves less scatter out of sample (that of a chain adds in
    squares): two products of one detector are a better bridge than a short overlap at low flux. One that no chain
    reaches is estimated from the drivers where those are given and the estimate is good enough, and is
    marked uncalibrated else. Give training days only: all days that are given are used.

    Parameters
    ----------
    electrons : mapping of str to DataArray, or sequence of Dataset
        Daily fluence (cm-2 sr-1 d-1) by satellite, dims (time); or sources as of `daily_fluences`.
    reference : str
        The satellite whose scale all others are brought to.
    drivers : Dataset, dims (time), optional
        What `estimate_without_overlap` takes; without it, no estimate is made.
    form, method : str
        Of `fit_overlap`.
    min_days : int
        Least number of common days.
    max_error : float
        Largest standard error (dex) of an estimate that is used.

    Returns
    -------
    calibrations : dict of str to Calibration
        One for each satellite, the reference included.
    table : DataFrame
        One row per satellite: `satellite`, `reference`, `kind`, `form`, `offset` (dex, at the pivot) and `slope` with
        standard errors, `knots`, `slopes_above`, the scatter, days, span, and what the mapping removes.

    Raises
    ------
    DataError
        If the reference is not among the satellites.
    """
    fluences = dict(electrons) if isinstance(electrons, Mapping) else daily_fluences(electrons)
    if reference not in fluences:
        msg = f"the reference is {reference!r}, expected one of: {', '.join(sorted(fluences)) or 'no satellite'}"
        raise DataError(msg)
    found = {reference: identity(reference)}
    tried: dict[tuple[str, str], Calibration | None] = {}

    def link(name: str, through: str) -> Calibration | None:
        """Tie one satellite to another by their overlap, fitted once."""
        if (name, through) not in tried:
            try:
                tried[name, through] = fit_overlap(
                    fluences[name], fluences[through], satellite=name, reference_satellite=through,
                    form=form, method=method, min_days=min_days,
                )  # fmt: skip
            except MissingDataError:
                tried[name, through] = None
        return tried[name, through]

    marks: dict[str, Calibration] = {}
    heads: dict[str, str] = {}
    # Overlaps reach as far as they can before an estimate is made; from there overlaps go on.
    while missing := sorted(set(fluences) - set(found)):
        steps = [(link(name, through), found[through]) for name in missing for through in found]
        reached = [fit if to.kind == "reference" else chain(fit, to) for fit, to in steps if fit is not None]
        if not reached and drivers is not None and not marks:
            known = {reference: _pool(fluences, found)}
            rest = {name: fluences[name] for name in missing}
            while rest:
                # Satellites that overlap among themselves are estimated as one, on the scale of the longest.
                head = max(rest, key=lambda name: int(rest[name].count()))
                tied, _ = calibrate_sources(rest, reference=head, form=form, method=method, min_days=min_days)
                tied = {name: each for name, each in tied.items() if each.kind != "uncalibrated"}
                known[head] = _pool(rest, tied)
                heads.update(dict.fromkeys(tied, head))
                rest = {name: each for name, each in rest.items() if name not in tied}
            marks = estimate_without_overlap(known, drivers, reference=reference, max_error=max_error)
            reached = [mark for mark in marks.values() if mark.kind == "estimated"]
        if not reached:
            break
        best = min(reached, key=_rank)
        found[best.satellite] = best
    why = "no overlap with the reference or with a satellite tied to it"
    for name in set(fluences) - set(found):
        mark = marks.get(heads.get(name, name)) or uncalibrated(name, reference, "no drivers given for an estimate")
        found[name] = dataclasses.replace(mark, satellite=name, note=f"{why}; {mark.note}")
    ordered = {name: found[name] for name in sorted(found, key=lambda name: (KINDS.index(found[name].kind), name))}
    return ordered, tabulate(ordered.values())


def _pool(fluences: Mapping[str, xr.DataArray], found: Mapping[str, Calibration]) -> xr.DataArray:
    """Give the reference with the days it lacks filled by those tied to it."""
    import pandas as pd

    whole = pd.Series(dtype=float)
    for name, mapping in found.items():
        series = fluences[name].dropna("time").to_series()
        series = series[series > 0]
        whole = whole.combine_first(10 ** pd.Series(mapping.apply(np.log10(series.to_numpy())), series.index))
    return xr.DataArray(whole.to_numpy(), {"time": whole.index.to_numpy()}, "time")


def _rank(mapping: Calibration) -> tuple[int, float, int, str]:
    """Put the better mapping first: by kind, then the lesser scatter, then the shorter chain."""
    scatter = mapping.scatter_out if math.isfinite(mapping.scatter_out) else math.inf
    return KINDS.index(mapping.kind), scatter, mapping.method.count(", then "), mapping.satellite


def tabulate(calibrations: Iterable[Calibration]) -> pd.DataFrame:
    """Put calibrations in a table, one row each.

    Parameters
    ----------
    calibrations : iterable of Calibration
        What to list.

    Returns
    -------
    DataFrame
        Columns as of `calibrate_sources`; numbers in dex, slopes without unit.
    """
    import pandas as pd

    rows = []
    for each in calibrations:
        errors = np.sqrt(np.diag(np.array(each.covariance)))
        rows.append(
            {
                "satellite": each.satellite,
                "reference": each.reference,
                "kind": each.kind,
                "form": each.form,
                "pivot": each.pivot,
                "offset": each.coefficients[0] - each.pivot,
                "offset_std": errors[0],
                "slope": each.coefficients[1],
                "slope_std": errors[1],
                "knots": " ".join(f"{knot:.3f}" for knot in each.knots),
                "slopes_above": " ".join(f"{slope:.3f}" for slope in each.coefficients[2:]),
                "slopes_above_std": " ".join(f"{error:.3f}" for error in errors[2:]),
                "scatter_before": each.scatter_before,
                "scatter_in": each.scatter_in,
                "scatter_out": each.scatter_out,
                "lowest": each.valid[0],
                "highest": each.valid[1],
                "n_days": each.n_days,
                "first": each.span[0],
                "last": each.span[1],
                "method": each.method,
                "removes": each.removes,
                "note": each.note,
            }
        )
    return pd.DataFrame(rows)
