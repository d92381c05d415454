"""What an operator reads off spectra: integral flux, events, NOAA's scale, Scoreboard reports, dose."""

from particleflux.products.averaging import average_spectra
from particleflux.products.dose import GEOMETRIES, NUCLEAR, dose_behind_aluminium
from particleflux.products.events import Event, Survey, find_events, survey
from particleflux.products.integral import THRESHOLDS, integral_flux
from particleflux.products.intervals import Interval
from particleflux.products.quiet import find_quiet_window, subtract_quiet
from particleflux.products.rules import EventRule, Level
from particleflux.products.scale import S_LEVELS, s_scale
from particleflux.products.scoreboard import scoreboard

__all__ = [
    "GEOMETRIES",
    "NUCLEAR",
    "S_LEVELS",
    "THRESHOLDS",
    "Event",
    "EventRule",
    "Interval",
    "Level",
    "Survey",
    "average_spectra",
    "dose_behind_aluminium",
    "find_events",
    "find_quiet_window",
    "integral_flux",
    "s_scale",
    "scoreboard",
    "subtract_quiet",
    "survey",
]
