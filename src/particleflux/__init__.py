"""Particle spectra from radiation-monitor count rates, with intervals that hold."""

from importlib.metadata import version

__version__ = version("particleflux")
