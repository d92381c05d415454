"""What the networks of `npe` predict: shared by the training and by the method that runs them."""

from __future__ import annotations

#: Kind of the artefact.
NPE_KIND = "npe-spectra"
#: Model that ships for each species.
NPE_SHIPPED = {"proton": "radem-protons-npe", "electron": "radem-electrons-npe"}
#: Files of the artefact: the quantiles, and how the energies go together.
QUANTILE_FILE, COPULA_FILE = "quantiles.onnx", "copula.onnx"
#: A normal score beyond this is none that training saw.
LARGEST_SCORE = 5.0
#: Levels at which the distribution of the discrepancy is written down: share of simulated samples that fit worse.
FIT_LEVELS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
#: Channels left out, up to which the discrepancy is judged apart; more count as this many.
FIT_LEFT_OUT = 3
