"""What the networks of `npe` read: numbers of every channel, finite whatever was counted, and 0 where none was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from particleflux.features import COUNT_CAP
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

# Added to a relative error before the logarithm: below half a percent, counting noise or the network's own error rules.
_ERROR_FLOOR = 0.005
_PER_CHANNEL = (
    "read", "log share", "log relative error", "significance", "log background", "log background error",
    "common share", "log response error",
)  # fmt: skip


def npe_features(observation: Observation) -> tuple[Array, Array]:
    """Compute what the networks read.

    Given the counts and the expected background, the posterior of the fluence does not depend on the exposure: fluxes
    come out in units of (total signal counts / exposure), and one network serves accumulations of any length.

    Parameters
    ----------
    observation : Observation
        n samples.

    Returns
    -------
    features : ndarray, shape (n, 8 * channel + 1)
        Those of `npe_feature_names`; finite for finite input.
    log_scale : ndarray, shape (n,)
        Natural logarithm of the signal counts that fluxes are expressed in.
    """
    is_read = observation.is_read
    shrink = np.minimum(1.0, COUNT_CAP / np.maximum(observation.counts.max(axis=1), 1.0))[:, None]
    counts, background = observation.counts * shrink, observation.background * shrink
    error, response = observation.background_error, observation.response_error
    variance = counts + 1.0 + (error * background) ** 2
    net = counts - background
    # Positive root of s^2 - net s - variance = 0: the net count where it is significant, about variance / |net| else.
    signal = 0.5 * (net + np.sqrt(net**2 + 4.0 * variance))
    signal = np.where(net < 0, variance / np.maximum(signal - net, 1e-300), signal)
    log_total = np.log(np.where(is_read, signal, 0.0).sum(axis=1) + 1e-300)
    log_signal = np.log(signal)
    # The response's own error enters as well, so that the width of the posterior can be read off one number.
    uncertainty = variance + (response * signal) ** 2
    share = np.zeros_like(error)
    np.divide(observation.background_common, error, out=share, where=error > 0)
    columns = np.stack(
        [
            np.ones_like(counts),
            log_signal - log_total[:, None],
            0.5 * np.log(uncertainty) - log_signal,
            np.arcsinh(net / np.sqrt(variance)),
            np.log1p(background) - log_total[:, None],
            np.log(error + _ERROR_FLOOR),
            share,
            np.log(response + _ERROR_FLOOR),
        ],
        axis=1,
    )
    flat = np.where(is_read[:, None, :], columns, 0.0).reshape(len(counts), -1)
    return np.concatenate([flat, log_total[:, None]], axis=1), log_total - np.log(shrink[:, 0])


def npe_feature_names(channels: Sequence[str]) -> list[str]:
    """Name the columns that `npe_features` gives, in order.

    Parameters
    ----------
    channels : sequence of str
        Of the observation.

    Returns
    -------
    list of str
        The names.
    """
    return [f"{kind} {channel}" for kind in _PER_CHANNEL for channel in channels] + ["log total"]
