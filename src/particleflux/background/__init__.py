r"""The background of each channel: galactic cosmic rays, their modulation in time, and its uncertainty.

The rate of channel i is modelled with one level common to all channels,

.. math:: b_i(t) = b_{i,quiet} \, L(t)^{\kappa_i},

L = 1 at the time of the reference and the exponents from the instrument file. The reference is measured in quiet time
(`estimate`), which can be found in the data themselves (`quiet`). The level is read off the monitor channels, which
protons reach last; where protons do reach them it is carried over from clean time (`follow`).
"""

from particleflux.background.estimate import ASSUMED_STD, default_background, estimate_background
from particleflux.background.follow import FOLLOWING, Following, follow_background
from particleflux.background.quiet import NEEDED_QUIET, auto_background, find_quiet

__all__ = [
    "ASSUMED_STD",
    "FOLLOWING",
    "NEEDED_QUIET",
    "Following",
    "auto_background",
    "default_background",
    "estimate_background",
    "find_quiet",
    "follow_background",
]
