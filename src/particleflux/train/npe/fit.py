"""How badly simulated samples fit: what a sample's own discrepancy is judged by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from particleflux.unfold.npe_targets import FIT_LEFT_OUT, FIT_LEVELS

Array = npt.NDArray[np.float64]

#: Bins in the logarithm of the total signal, of equal numbers of samples.
N_BINS = 8


def tabulate_discrepancy(
    discrepancy: Array, log_total: Array, n_left_out: npt.NDArray[np.intp]
) -> dict[str, list[list[list[float]]] | list[float]]:
    """Write down the distribution of the discrepancy of samples that the prior gives.

    Parameters
    ----------
    discrepancy : ndarray, shape (n,)
        Of simulated samples that nothing was fitted to.
    log_total : ndarray, shape (n,)
        Logarithm of their total signal counts.
    n_left_out : ndarray of int, shape (n,)
        Channels that were not read.

    Returns
    -------
    dict
        `log_total`, the middles of the bins, and `discrepancy` (left out, bin, level): what the share `FIT_LEVELS` of
        samples exceeds.
    """
    edges = np.quantile(log_total, np.linspace(0, 1, N_BINS + 1))
    middles = np.quantile(log_total, (np.arange(N_BINS) + 0.5) / N_BINS)
    which = np.clip(np.searchsorted(edges, log_total) - 1, 0, N_BINS - 1)
    group = np.minimum(n_left_out, FIT_LEFT_OUT)
    levels = 1.0 - np.array(FIT_LEVELS)
    table = []
    for left_out in range(FIT_LEFT_OUT + 1):
        rows = []
        for index in range(N_BINS):
            # A class that never occurs is judged as the nearest one that does.
            distance = np.abs(np.where(which == index, group, 99) - left_out)
            rows.append(np.quantile(discrepancy[distance == distance.min()], levels).round(4).tolist())
        table.append(rows)
    return {"log_total": middles.round(4).tolist(), "discrepancy": table}
