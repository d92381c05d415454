"""Files to labelled arrays: one module per source, each reader named `open_<source>`."""

from particleflux.io.counts import open_counts
from particleflux.io.radem import iter_radem_days, open_radem
from particleflux.io.stereo import open_stereo_het, open_stereo_let

__all__ = ["iter_radem_days", "open_counts", "open_radem", "open_stereo_het", "open_stereo_let"]
