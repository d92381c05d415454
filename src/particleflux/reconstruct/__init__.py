"""The whole road from counts to spectra in one call: screen, accumulate, background, method, labelled result."""

from __future__ import annotations

import xarray as xr

from particleflux.instruments import Instrument
from particleflux.reconstruct.assessment import assess
from particleflux.reconstruct.compare import compare
from particleflux.reconstruct.methods import (
    DEFAULT_METHOD,
    METHODS,
    SPECIES,
    check_method,
    check_response,
    load_method,
)
from particleflux.reconstruct.prepared import DEFAULT_LENGTH, Prepared, prepare
from particleflux.reconstruct.validity import tell_unusable
from particleflux.unfold import Unfolder

__all__ = [
    "DEFAULT_LENGTH",
    "DEFAULT_METHOD",
    "METHODS",
    "SPECIES",
    "Prepared",
    "assess",
    "check_method",
    "check_response",
    "compare",
    "load_method",
    "prepare",
    "reconstruct",
    "tell_unusable",
]


def reconstruct(
    counts: xr.Dataset,
    *,
    instrument: str | Instrument = "radem",
    method: str | Unfolder = DEFAULT_METHOD,
    background: str | xr.Dataset | None = None,
    every: str | None = "auto",
) -> xr.Dataset:
    """Reconstruct particle spectra from count rates.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        `counts` (1), `exposure` (s), `quality`, at the native cadence: what a reader gives. Of the rest, only a
        background is used. With the attribute `independent_samples`, as simulations have it, the samples are no time
        series: they are neither summed nor compared with each other.
    instrument : str or Instrument
        The instrument, by name or file.
    method : str or Unfolder
        A name of `METHODS`, or a method with its settings.
    background : str or Dataset, optional
        By default `background_rate` and `background_rate_std` (s-1) of the counts, where they are among them; else
        "auto", which measures it from the quiet time in the counts themselves. Else counts of quiet time; a background
        with dims (channel), which is followed by the monitor channels; or one with dims (time, channel), used as it is.
    every : str or None
        Length of the accumulation such as "1h"; None keeps the native cadence. "auto" is 15 min, but None for
        independent samples.

    Returns
    -------
    Dataset, dims (time, energy)
        `flux` with its bounds, and what else the method gives; `quality` (time). A sample that cannot be
        reconstructed is NaN with a flag.

    Raises
    ------
    DataError
        If the method is unknown, or the counts or background cannot be used.
    ArtefactError
        If the method's trained model is missing or damaged.
    """
    chosen = load_method(method, instrument=instrument) if isinstance(method, str) else method
    return prepare(counts, instrument=instrument, background=background, every=every).unfold(chosen)
