"""The exceptions a caller can meet.

Every message says what was found, what was expected, where, and what to do. A bad *sample* never raises: it becomes
NaN with a flag (see `particleflux.names.Quality`).
"""


class ParticleFluxError(Exception):
    """Base of every error this package raises on purpose."""


class DataError(ParticleFluxError, ValueError):
    """The data given cannot be used as they are."""


class AxisError(DataError):
    """A dimension, coordinate or channel is missing, unknown or not the one expected."""


class UnitError(DataError):
    """A variable carries no unit, or another one than its name promises."""


class MissingDataError(DataError):
    """No data where data were asked for."""


class ArtefactError(ParticleFluxError):
    """A trained model or its card is missing, damaged, or from another version."""
