"""What a trained network predicts: shared by the training and by the method that runs it."""

from __future__ import annotations

#: The posterior is given by these quantiles: median, 68 % and 95 % interval.
QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
#: Their distances from the median of a normal distribution, in standard deviations.
QUANTILE_SIGMAS = (-1.959964, -0.994458, 0.0, 0.994458, 1.959964)
SUFFIXES = ("_lower95", "_lower", "", "_upper", "_upper95")
#: MeV; where the networks describe a spectrum by its flux and slope.
PIVOT_ENERGY = 10.0
#: The last targets, after the flux at the nodes and the integral flux above the thresholds.
PARAMETERS = ("spectral_index", "rollover_energy", "intensity")
#: Largest relative error of the response that the networks are trained for.
MAX_RESPONSE_ERROR = 0.2
#: Largest relative error of the background that they are trained for.
MAX_BACKGROUND_ERROR = 0.3
KIND = "ensemble-spectra"
SHIPPED = "radem-protons"
