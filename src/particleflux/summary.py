"""What became of the samples of a reconstruction, in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from particleflux.names import Assessment, Quality, require


@dataclass(frozen=True)
class Summary:
    """What became of the samples of a reconstruction.

    Attributes
    ----------
    n_samples : int
        Samples in all.
    n_reconstructed : int
        Samples with a spectrum.
    flags : mapping of str to int
        Flag -> number of samples that carry it; flags that none carries are left out.
    ensembles : mapping of int to int
        Number of input bins -> number of samples that ensemble answered.
    background : str
        Where the background came from, in words.
    assessments : mapping of str to int
        Assessment -> number of samples, of those that occur.
    """

    n_samples: int
    n_reconstructed: int
    flags: Mapping[str, int]
    ensembles: Mapping[int, int]
    background: str
    assessments: Mapping[str, int] = field(default_factory=dict)


def summarise(spectra: xr.Dataset) -> Summary:
    """Count what became of the samples.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        What `reconstruct` gave.

    Returns
    -------
    Summary
        The numbers.

    Raises
    ------
    AxisError
        If `flux` or `quality` is missing.
    UnitError
        If a unit is absent or another one.
    """
    require(spectra, "flux", "quality")
    quality = spectra["quality"].to_numpy()
    counted = {str(flag.name): int(((quality & flag.value) != 0).sum()) for flag in Quality if flag}
    numbers = spectra["ensemble"].to_numpy() if "ensemble" in spectra else np.zeros(0, int)
    found, times = np.unique(numbers[numbers > 0], return_counts=True)
    levels = spectra["assessment"].to_numpy() if "assessment" in spectra else np.zeros(0, int)
    assessed = {item.name: int((levels == item.value).sum()) for item in Assessment}
    source, span = spectra.attrs.get("background_source", "given"), spectra.attrs.get("background_span", "")
    words = {
        "auto": "measured from quiet time in the data",
        "files": "measured from the background files",
        "file": "the one that the file of counts holds",
        "instrument": "the quiet level of the instrument file, for want of quiet data",
    }
    # An upper limit has no median.
    bound = spectra["flux_upper95"] if "flux_upper95" in spectra else spectra["flux"]
    return Summary(
        n_samples=spectra.sizes["time"],
        n_reconstructed=int(bound.notnull().any("energy").sum()),
        flags={name: number for name, number in counted.items() if number},
        ensembles={int(bins): int(number) for bins, number in zip(found, times, strict=True)},
        background=words.get(str(source), str(source)) + (f", {span}" if span else ""),
        assessments={name: number for name, number in assessed.items() if number},
    )
