"""One satellite's electron flux onto another's scale: fits over an overlap, and estimates where there is none."""

from particleflux.calibrate.calibration import Calibration
from particleflux.calibrate.chain import chain, uncalibrated
from particleflux.calibrate.estimate import estimate_without_overlap
from particleflux.calibrate.overlap import METHODS, fit_overlap
from particleflux.calibrate.sources import calibrate_sources, daily_fluences, tabulate
from particleflux.calibrate.stations import describe_difference

__all__ = [
    "METHODS",
    "Calibration",
    "calibrate_sources",
    "chain",
    "daily_fluences",
    "describe_difference",
    "estimate_without_overlap",
    "fit_overlap",
    "tabulate",
    "uncalibrated",
]
