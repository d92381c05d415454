"""The response of an instrument's channels to particles, and the one forward model: spectrum -> count rates."""

from particleflux.response.checks import SPECIES
from particleflux.response.folding import Response
from particleflux.response.tables import open_fitted, open_response, write_fitted

__all__ = ["SPECIES", "Response", "open_fitted", "open_response", "write_fitted"]
