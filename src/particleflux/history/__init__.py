"""The history: every source on one axis of days, which the forecasters read."""

from particleflux.history.assembly import assemble, measured_fluences
from particleflux.history.folding import fold_days
from particleflux.history.periods import parse_periods, training_only
from particleflux.history.reading import open_history

__all__ = ["assemble", "fold_days", "measured_fluences", "open_history", "parse_periods", "training_only"]
