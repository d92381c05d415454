"""Methods that turn counts into spectra; all of one shape, `Unfolder`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import xarray as xr


class Unfolder(Protocol):
    """What a method is: a frozen dataclass of its settings with one verb."""

    @property
    def trained_for(self) -> str | None:
        """Digest of the response that the method is tied to; None if it takes any."""
        ...

    def unfold(
        self, counts: xr.Dataset, background: xr.Dataset, *, progress: Callable[[int, int], None] | None = None
    ) -> xr.Dataset:
        """Turn counts into spectra.

        Parameters
        ----------
        counts : Dataset
            `counts` (time, channel), `exposure` (time) in s and `quality` (time).
        background : Dataset
            `background_rate` and `background_rate_std` in s-1, dims (channel) or (time, channel).
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        Dataset
            `flux` (time, energy) with its intervals, and `quality` (time); NaN and a flag where a sample is bad.
        """
        ...
