"""The terms of all scores, one number per method, lead time and day, and the scores that their sums give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from particleflux.forecast.distribution import exceedance
from particleflux.verify import _sums
from particleflux.verify._sums import Sums, mark
from particleflux.verify.categories import exceeds
from particleflux.verify.events import FALL
from particleflux.verify.probability import N_BINS
from particleflux.verify.quantiles import crps_of_each, inside_interval
from particleflux.verify.samples import Samples

#: Intervals whose coverage is told, by their probability in per cent.
INTERVALS = (50, 68, 90, 95)
#: How a forecast says yes to a threshold: `point`, its point forecast (the mean of log10 where it has one, else the
#: median) reaches it; `probability`, the probability to exceed it is above one half (in effect the median), or the
#: point forecast reaches it where the method has no probabilities.
RULES = ("point", "probability")

#: Terms by the group of scores that uses them.
Terms = dict[str, Sums]


def make_terms(samples: Samples, thresholds: Sequence[float]) -> Terms:
    """Give the terms of all scores.

    Parameters
    ----------
    samples : Samples
        What is scored.
    thresholds : sequence of float
        Fluences, cm-2 sr-1 d-1.

    Returns
    -------
    dict of dict of DataArray, dims (forecaster, lead_time, day[, threshold][, rule][, interval][, bin])
        By group and name; 0 on days that do not count.
    """
    point, obs, before = samples.point, samples.obs, samples.before
    log = xr.DataArray(np.log10(thresholds), {"threshold": list(thresholds)}, ("threshold",))
    forecasters = point["forecaster"]
    came = exceeds(obs, log)
    probability = _probabilities(samples, log)
    likely = probability.where(probability.isnull(), (probability > 0.5).astype(np.float64))
    by_point = exceeds(point, log)
    yes = xr.concat([by_point, likely.fillna(by_point)], xr.Variable("rule", list(RULES)))
    # Events could begin only where the threshold was not reached the day before.
    could_begin = before < log
    fell = (before - obs >= FALL - 1e-9) & obs.notnull()
    dropped = mark(before - point >= FALL - 1e-9, point.notnull())
    several = {name: array for name, array in samples.quantiles.items() if array.sizes["quantile"] > 1}
    crps = _over_forecasters({name: crps_of_each(array, obs) for name, array in several.items()}, forecasters, point)
    inside = xr.concat(
        [
            _over_forecasters(
                {n: inside_interval(a, obs, percent / 100) for n, a in several.items()}, forecasters, point
            )
            for percent in INTERVALS
        ],
        xr.Variable("interval", list(INTERVALS)),
    )
    return {
        "number": _sums.moments(point, obs),
        "crps": _sums.values(crps),
        "inside": _sums.values(inside),
        "probability": _sums.probabilities(probability, came),
        "bins": _sums.by_bin(probability, came, N_BINS),
        "table": _sums.table(yes, came),
        "onset": _sums.table(yes.where(could_begin), came),
        "onset_error": _sums.errors(point.where(could_begin & (came == 1)), obs),
        "dropout": _sums.errors(point.where(fell), obs),
        "dropout_hit": _sums.values(dropped.where(fell)),
        "dropout_inside": _sums.values(inside.sel(interval=95, drop=True).where(fell)),
    }


def _probabilities(samples: Samples, log: xr.DataArray) -> xr.DataArray:
    """Give what the forecasts say themselves, and what their quantiles say where they do not."""
    pieces = []
    for name, quantiles in samples.quantiles.items():
        given = samples.probability.sel(forecaster=name)
        if quantiles.sizes["quantile"] > 1:
            levels = quantiles["quantile"].to_numpy().tolist()
            derived = exceedance(quantiles.to_numpy(), log.to_numpy(), quantiles=levels)
            given = given.fillna(given.transpose("lead_time", "day", "threshold").copy(data=derived))
        pieces.append(given)
    return xr.concat(pieces, "forecaster", coords="minimal", compat="override")


def _over_forecasters(pieces: dict[str, xr.DataArray], forecasters: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Put the pieces along `forecaster`; NaN for a method that gives no distribution."""
    nothing = like.isel(forecaster=0, drop=True).where(False)
    return xr.concat([pieces.get(str(name), nothing) for name in forecasters.to_numpy()], forecasters).drop_vars(
        "quantile", errors="ignore"
    )


@dataclass(frozen=True)
class Score:
    """A score of the report.

    Parameters
    ----------
    name : str
        Name of its variable.
    group : str
        Group of terms it is a function of.
    formula : callable
        From sums to the score.
    units : str
        Its unit.
    long_name : str
        What it is.
    """

    name: str
    group: str
    formula: Callable[[Sums], xr.DataArray]
    units: str
    long_name: str


def _brier_skill_frequency(s: Sums) -> xr.DataArray:
    return _sums.skill(_sums.brier_score(s), _sums.brier_uncertainty(s))


def _n_onsets(t: Sums) -> xr.DataArray:
    return t["hits"] + t["misses"]


SCORES = (
    Score("prediction_efficiency", "number", _sums.prediction_efficiency, "1", "prediction efficiency, log10 fluence"),
    Score("rmse", "number", _sums.rmse, "dex", "root mean square error of log10 fluence"),
    Score("bias", "number", _sums.bias, "dex", "mean error of log10 fluence"),
    Score("correlation", "number", _sums.correlation, "1", "Pearson correlation of log10 fluence"),
    Score("crps", "crps", _sums.mean, "dex", "continuous ranked probability score of log10 fluence"),
    Score("coverage", "inside", _sums.mean, "1", "part of the observations inside the central interval"),
    Score("brier_score", "probability", _sums.brier_score, "1", "Brier score"),
    Score("brier_skill_frequency", "probability", _brier_skill_frequency, "1",
          "skill in the Brier score over the frequency of the event in the sample"),
    Score("brier_reliability", "bins", _sums.brier_reliability, "1", "reliability part of the Brier score, 0 is best"),
    Score("brier_resolution", "bins", _sums.brier_resolution, "1", "resolution part of the Brier score, 0 is worst"),
    Score("pod", "table", _sums.pod, "1", "probability of detection"),
    Score("far", "table", _sums.false_alarm_ratio, "1", "false alarm ratio"),
    Score("hss", "table", _sums.heidke_skill, "1", "Heidke skill score"),
    Score("onset_hit_rate", "onset", _sums.pod, "1", "part of the onset days on which the threshold was forecast"),
    Score("onset_far", "onset", _sums.false_alarm_ratio, "1", "false alarm ratio on days after a day below"),
    Score("onset_bias", "onset_error", _sums.bias, "dex", "mean error of log10 fluence on onset days"),
    Score("onset_rmse", "onset_error", _sums.rmse, "dex", "root mean square error of log10 fluence on onset days"),
    Score("dropout_hit_rate", "dropout_hit", _sums.mean, "1",
          "part of the dropout days on which a fall of 1 dex from the day before was forecast"),
    Score("dropout_bias", "dropout", _sums.bias, "dex", "mean error of log10 fluence on dropout days"),
    Score("dropout_rmse", "dropout", _sums.rmse, "dex", "root mean square error of log10 fluence on dropout days"),
    Score("dropout_coverage95", "dropout_inside", _sums.mean, "1", "part of the dropout days inside the 95 % interval"),
)  # fmt: skip
#: Skills over a reference: the term whose sums are compared.
SKILLS = (
    Score("skill", "number", lambda s: s["ee"], "1", "skill in mean square error"),
    Score("crps_skill", "crps", lambda s: s["value"], "1", "skill in CRPS"),
    Score("brier_skill", "probability", lambda s: s["bb"], "1", "skill in the Brier score"),
)
#: Numbers of days; those of one method are those of all.
COUNTS = (
    Score("n", "number", _sums.count, "1", "number of days"),
    Score("n_above", "probability", lambda s: s["o"], "1", "number of days that reached the threshold"),
    Score("n_onset", "onset", _n_onsets, "1", "number of onset days"),
    Score("n_dropout", "dropout", _sums.count, "1", "number of dropout days"),
)
