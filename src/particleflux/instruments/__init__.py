"""Instruments: one TOML file each, with channels, configurations, do-not-use windows, quiet levels and responses.

Another instrument is a new TOML file (and its response tables), and no code.
"""

from particleflux.instruments.description import Configuration, Ensemble, Exclusion, Instrument, NoisyChannel
from particleflux.instruments.parse import load_instrument, shipped_instruments

__all__ = [
    "Configuration",
    "Ensemble",
    "Exclusion",
    "Instrument",
    "NoisyChannel",
    "load_instrument",
    "shipped_instruments",
]
