"""Scores of forecasts: one function per score, and `verify` for all of them at once with intervals and baselines."""

from __future__ import annotations

from particleflux.verify.bootstrap import bound, draw_weights, weighted_sum
from particleflux.verify.categories import contingency, exceeds, false_alarm_ratio, heidke_skill, pod
from particleflux.verify.checks import check_forecast
from particleflux.verify.events import day_before, dropouts, onsets
from particleflux.verify.probability import brier_decomposition, brier_score, brier_skill, reliability_curve
from particleflux.verify.quantiles import coverage, crps, crps_skill
from particleflux.verify.reference import baselines
from particleflux.verify.report import ALL, verify
from particleflux.verify.scores import bias, correlation, prediction_efficiency, rmse, skill
from particleflux.verify.table import summarise, to_table
from particleflux.verify.terms import SCORES, SKILLS

__all__ = [
    "ALL",
    "SCORES",
    "SKILLS",
    "baselines",
    "bias",
    "bound",
    "brier_decomposition",
    "brier_score",
    "brier_skill",
    "check_forecast",
    "contingency",
    "correlation",
    "coverage",
    "crps",
    "crps_skill",
    "day_before",
    "draw_weights",
    "dropouts",
    "exceeds",
    "false_alarm_ratio",
    "heidke_skill",
    "onsets",
    "pod",
    "prediction_efficiency",
    "reliability_curve",
    "rmse",
    "skill",
    "summarise",
    "to_table",
    "verify",
    "weighted_sum",
]
