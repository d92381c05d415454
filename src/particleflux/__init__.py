"""Particle spectra from radiation-monitor count rates, and forecasts of the electron flux at geostationary orbit."""

from importlib.metadata import version

__version__ = version("particleflux")
