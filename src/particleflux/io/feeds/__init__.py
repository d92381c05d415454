"""Live JSON feeds of NOAA's Space Weather Prediction Center: saved answers -> labelled arrays at their own cadence.

Every reader takes one saved answer or many of them, overlapping or not. The feeds reach back one day (solar wind) or
seven; a longer history is the answers kept from day to day, which `particleflux fetch --keep` names by their time.
"""

from particleflux.io.feeds.electrons import open_swpc_electrons
from particleflux.io.feeds.indices import open_swpc_dst, open_swpc_kp
from particleflux.io.feeds.solar_wind import open_swpc_solar_wind

__all__ = ["open_swpc_dst", "open_swpc_electrons", "open_swpc_kp", "open_swpc_solar_wind"]
