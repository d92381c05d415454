"""Screening and accumulation: which samples a method may use, and their sums on a coarser grid.

`screen` sets flags and changes no datum. `accumulate` sums samples and never mixes usable with unusable ones.
"""

from particleflux.quality._checks import cadence, is_series, last_instant
from particleflux.quality.accumulation import accumulate
from particleflux.quality.screening import screen

__all__ = ["accumulate", "cadence", "is_series", "last_instant", "screen"]
