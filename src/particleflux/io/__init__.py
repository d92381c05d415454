"""Files to labelled arrays: one module per source, each reader named `open_<source>`."""

from particleflux.io.counts import open_counts
from particleflux.io.dst import open_dst
from particleflux.io.goes import open_goes_hourly
from particleflux.io.goes_epead import open_goes_epead
from particleflux.io.goes_ncei import open_goes_ncei
from particleflux.io.kp import open_kp
from particleflux.io.omni import open_omni
from particleflux.io.radem import iter_radem_days, open_radem
from particleflux.io.stereo import open_stereo_het, open_stereo_let
from particleflux.io.swpc import open_dpd

__all__ = [
    "iter_radem_days",
    "open_counts",
    "open_dpd",
    "open_dst",
    "open_goes_epead",
    "open_goes_hourly",
    "open_goes_ncei",
    "open_kp",
    "open_omni",
    "open_radem",
    "open_stereo_het",
    "open_stereo_let",
]
