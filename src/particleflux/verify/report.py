"""All scores of several forecasts of the same days, with their intervals, as one labelled result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError
from particleflux.forecast import BASELINES, THRESHOLDS
from particleflux.verify import _sums
from particleflux.verify._sums import Sums
from particleflux.verify.bootstrap import BLOCK, LEVEL, REPLICATE, bound, draw_weights, weighted_sum
from particleflux.verify.probability import N_DRAWS, consistency
from particleflux.verify.samples import gather
from particleflux.verify.terms import COUNTS, RULES, SCORES, SKILLS, make_terms

#: The period of all days together.
ALL = "all"
_ORDER = ("period", "forecaster", "reference", "lead_time", "threshold", "interval", "rule", "bin")
_FLUENCE = "cm-2 sr-1 d-1"


def verify(
    forecasts: Mapping[str, xr.Dataset],
    history: xr.Dataset,
    *,
    by: str = "year",
    thresholds: Sequence[float] = THRESHOLDS,
    references: Sequence[str] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 1,
) -> xr.Dataset:
    r"""Score forecasts against what was observed, all on the same days.

    The days are those within the span of all lead times of all methods; a day counts for a lead time if it was
    observed and every method has a forecast of it. Squared errors, CRPS and
    intervals are of log10 fluence. Intervals are the central 95 % of a circular block bootstrap of the days that
    count: blocks of 27, the same draws for all methods, so that skills and differences have intervals too; NaN with
    fewer than 81 days or without draws. A year is that of the valid day, which is the day forecast: `init_time` plus
    the lead time minus one day.

    Onset days reach a threshold after a day below it; the false alarm ratio beside their hit rate is of all days
    after a day below. Dropout days lie 1 dex or more below the day before. Both compare with the day before the valid
    day, also where that had not been observed when the forecast was issued.

    Parameters
    ----------
    forecasts : mapping of str to Dataset, dims (init_time, lead_time, quantile[, threshold])
        By the name of the method, as the methods of `particleflux.forecast` give them. The point forecast is
        `fluence_gt2mev_mean` where it is there, else the median. Probabilities of thresholds that a forecast does not
        give are taken from its quantiles; with the median alone there are none.
    history : Dataset, dims (time, ...)
        `fluence_gt2mev` (time), cm-2 sr-1 d-1; NaN where not observed.
    by : {"year", "all"}
        Periods: each year and all days together, or only the latter.
    thresholds : sequence of float
        Fluences to reach, cm-2 sr-1 d-1.
    references : sequence of str, optional
        Methods to compare with; by default those named as in `particleflux.forecast.BASELINES`.
    n_bootstrap : int
        Draws; 0 for no intervals.
    seed : int
        The same seed gives the same intervals.

    Returns
    -------
    Dataset, dims (period, forecaster, reference, lead_time, threshold, interval, rule, bin)
        For each score of `particleflux.verify.SCORES` the value, and with `_lower` and `_upper` its interval; with
        `_difference` the method's minus the reference's, with its interval; the skills of `SKILLS` over each
        reference; `n` and other numbers of days; `reliability_*`, the reliability curve of all days together. The
        attributes tell settings and what was left out.

    Raises
    ------
    AxisError
        If a forecast or the history lacks what is needed, or lead times differ.
    UnitError
        If a unit is absent or another one.
    MissingDataError
        If there is no day to score.
    DataError
        If a setting cannot be used, or forecast and history are of different scales.

    References
    ----------
    Wei et al. (2018), Space Weather 16, 903, doi 10.1029/2018SW001829: prediction efficiency by year. The scores'
    functions name theirs; `particleflux.verify.bootstrap` names those of the intervals.
    """
    levels = _check_settings(by, thresholds, n_bootstrap, seed)
    compared = _check_references(references, forecasts)
    samples = gather(forecasts, history, levels)
    terms = make_terms(samples, levels.tolist())
    # Days that count for no lead time would only thin the blocks.
    counted = samples.point.notnull().any(("forecaster", "lead_time")).to_numpy()
    days = samples.obs["day"].to_numpy()[counted]
    labels = {
        str(name): term[name]
        for item in terms.values()
        for term in item.values()
        for name in term.dims
        if name in _ORDER
    }
    labels["reference"] = xr.DataArray(np.array(compared, dtype=np.str_), dims="reference")
    # Without labels: xarray would compare them again in each of the thousands of operations that follow.
    rows = {
        group: {name: term.isel(day=counted).drop_vars(term.coords) for name, term in item.items()}
        for group, item in terms.items()
    }
    places = [list(forecasts).index(name) for name in compared]
    parts = []
    for name, inside in _periods(days, by):
        weights = draw_weights(int(inside.sum()), n_bootstrap=n_bootstrap, seed=seed)
        sums = {
            group: {key: weighted_sum(term.isel(day=inside), weights) for key, term in item.items()}
            for group, item in rows.items()
        }
        parts.append(_score(sums, places).expand_dims(period=[name]))
    report = xr.concat(parts, "period", coords="minimal", compat="override", join="exact", data_vars="all")
    report["period"] = report["period"].astype(np.str_)
    report = report.assign(_reliability(rows["bins"], seed, n_bootstrap))
    report = report.assign_coords({name: labels[name].to_numpy() for name in labels if name in report.dims})
    for key, count in samples.counts.drop_vars("n").items():
        report[f"count_{key}"] = count.assign_attrs(units="1")
    report.attrs = {
        "title": "scores of forecasts of the daily fluence of electrons above 2 MeV at geostationary orbit",
        "by": by, "n_bootstrap": n_bootstrap, "seed": seed, "block_days": BLOCK, "interval_probability": LEVEL,
        "first_day": str(days[0].astype("datetime64[D]")), "last_day": str(days[-1].astype("datetime64[D]")),
        "rule_point": "the point forecast reaches the threshold: the mean of log10 where the method has one, else "
        "the median",
        "rule_probability": "the probability to exceed the threshold is above 0.5; where the method has no "
        "probabilities, as rule_point",
        "trained_on": json.dumps({name: str(item.attrs.get("trained_on", "")) for name, item in forecasts.items()}),
        "model": json.dumps({name: str(item.attrs.get("model", "")) for name, item in forecasts.items()}),
        "satellite": str(history.attrs.get("satellite", "")),
        "reference_scale": str(history.attrs.get("reference", "")),
    }  # fmt: skip
    return _finish(report)


def _check_settings(by: str, thresholds: Sequence[float], n_bootstrap: int, seed: int) -> npt.NDArray[np.float64]:
    if by not in ("year", ALL):
        msg = f"by={by!r}: expected 'year' or 'all'"
        raise DataError(msg)
    levels = np.asarray(list(thresholds), dtype=np.float64)
    if not levels.size or not (np.isfinite(levels) & (levels > 0)).all() or len(np.unique(levels)) < len(levels):
        msg = f"thresholds={levels.tolist()}: expected fluences above 0 in {_FLUENCE}, each once, such as 1e8"
        raise DataError(msg)
    draw_weights(0, n_bootstrap=n_bootstrap, seed=seed)
    return levels


def _check_references(references: Sequence[str] | None, forecasts: Mapping[str, xr.Dataset]) -> list[str]:
    if references is None:
        return [name for name in forecasts if name in BASELINES]
    unknown = [name for name in references if name not in forecasts]
    if unknown or len(set(references)) < len(references):
        msg = f"references {list(references)}: expected some of the forecasts {list(forecasts)}, each once"
        raise DataError(msg)
    return list(references)


def _periods(days: npt.NDArray[np.datetime64], by: str) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    if by == "year":
        years = days.astype("datetime64[Y]")
        for year in np.unique(years):
            yield str(year), years == year
    yield ALL, np.ones(len(days), dtype=bool)


def _score(sums: Mapping[str, Sums], references: list[int]) -> xr.Dataset:
    """Give all scores from the sums under each draw, dims (replicate, forecaster, ...)."""
    # A plain dictionary: a Dataset checks all its variables again with every one that is added.
    scored: dict[str, xr.DataArray] = {}
    for score in SCORES:
        values = score.formula(sums[score.group])
        _add(scored, score.name, values, score.units, score.long_name)
        if references:
            others = values.isel(forecaster=references).rename(forecaster="reference")
            long_name = f"{score.long_name}, minus that of the reference"
            _add(scored, f"{score.name}_difference", values - others, score.units, long_name)
    for score in SKILLS if references else ():
        values = score.formula(sums[score.group])
        others = values.isel(forecaster=references).rename(forecaster="reference")
        _add(scored, score.name, _sums.skill(values, others), score.units, f"{score.long_name} over the reference")
    for score in COUNTS:
        values = score.formula(sums[score.group]).isel({REPLICATE: 0, "forecaster": 0}, drop=True)
        values = values.isel(rule=0, drop=True) if "rule" in values.dims else values
        scored[score.name] = values.round().astype(np.int64).assign_attrs(units=score.units, long_name=score.long_name)
    return xr.Dataset(scored)


def _add(scored: dict[str, xr.DataArray], name: str, replicates: xr.DataArray, units: str, long_name: str) -> None:
    ends = ("", ""), ("_lower", ", 2.5 % quantile"), ("_upper", ", 97.5 % quantile")
    for (suffix, meaning), values in zip(ends, bound(replicates), strict=True):
        scored[name + suffix] = values.astype(np.float32).assign_attrs(units=units, long_name=long_name + meaning)


def _reliability(terms: Sums, seed: int, n_bootstrap: int) -> dict[str, xr.DataArray]:
    b = {name: term.sum("day").transpose(..., "bin") for name, term in terms.items()}
    drawn = consistency(b["n"].to_numpy(), b["p"].to_numpy(), n_draws=N_DRAWS if n_bootstrap else 0, seed=seed)
    curve = {
        "n": (b["n"].round().astype(np.int64), "number of forecasts in the bin"),
        "probability": (_sums.ratio(b["p"], b["n"]), "mean probability in the bin"),
        "frequency": (_sums.ratio(b["o"], b["n"]), "frequency of the event in the bin"),
        "lower": (b["n"].copy(data=drawn[..., 0, :]), "2.5 % quantile of the frequency if the forecasts are right"),
        "upper": (b["n"].copy(data=drawn[..., 1, :]), "97.5 % quantile of the frequency if the forecasts are right"),
    }
    return {
        f"reliability_{name}": values.astype(values.dtype if name == "n" else np.float32).assign_attrs(
            units="1", long_name=long_name
        )
        for name, (values, long_name) in curve.items()
    }


def _finish(report: xr.Dataset) -> xr.Dataset:
    described: dict[str, dict[str, Any]] = {
        "period": {"long_name": f"year of the valid day, or {ALL!r}"},
        "forecaster": {"long_name": "forecast method"},
        "reference": {"long_name": "method compared with"},
        "lead_time": {"units": "d", "long_name": "lead time; 1 is the day that begins at the issue time"},
        "threshold": {"units": _FLUENCE, "long_name": "daily fluence to reach"},
        "interval": {"units": "percent", "long_name": "probability of the central interval"},
        "rule": {"long_name": f"how a forecast says yes: {' or '.join(RULES)}"},
        "bin": {"units": "1", "long_name": "middle of the bin of probability"},
    }
    for name, attrs in described.items():
        if name in report.coords:
            report[name].attrs = attrs
    return report.transpose(*[dim for dim in _ORDER if dim in report.dims])
