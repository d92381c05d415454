"""Spectra, response, background and a seed give synthetic counts: for training, for demonstrations and for tests."""

from particleflux.simulate.draw import TRUTH_ENERGIES, Draw
from particleflux.simulate.mixture import FAMILIES, HELD_OUT_FAMILIES, Mixture, MixtureDraw, Population
from particleflux.simulate.ranges import ELECTRON_PARAMETERS, MIXTURE_PARAMETERS, PARAMETERS, Range
from particleflux.simulate.simulation import Simulation
from particleflux.simulate.table import RateTable

__all__ = [
    "ELECTRON_PARAMETERS",
    "FAMILIES",
    "HELD_OUT_FAMILIES",
    "MIXTURE_PARAMETERS",
    "PARAMETERS",
    "TRUTH_ENERGIES",
    "Draw",
    "Mixture",
    "MixtureDraw",
    "Population",
    "Range",
    "RateTable",
    "Simulation",
]
