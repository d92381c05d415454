"""From counts to what a method works on: screened, accumulated, each sample with its background."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from particleflux.background import auto_background, estimate_background, follow_background
from particleflux.errors import AxisError, DataError
from particleflux.instruments import Instrument, load_instrument
from particleflux.names import Quality, attributes, require
from particleflux.quality import accumulate, cadence, is_series, screen
from particleflux.reconstruct.assessment import assess
from particleflux.reconstruct.validity import tell_unusable
from particleflux.unfold import Unfolder

#: Accumulation of a time series when none is asked for; one whose samples are longer is kept as it is.
DEFAULT_LENGTH = "15min"
_BACKGROUND = ("background_rate", "background_rate_std")
#: What the background may say besides: how much of its error the channels share.
_COMMON = "background_rate_common_std"
#: What screening concludes from the times and from the neighbours of a sample.
_FROM_TIME = Quality.GAP | Quality.SHORT | Quality.SPIKE | Quality.DO_NOT_USE | Quality.SATURATED


@dataclass(frozen=True)
class Prepared:
    """What a method works on.

    Attributes
    ----------
    counts : Dataset, dims (time, channel)
        Screened and accumulated.
    background : Dataset, dims (time, channel)
        `background_rate` and `background_rate_std` (s-1) at the times of the counts; its attribute `source` says
        where the level came from.
    length : str or None
        Length of the accumulation; None where the samples were kept.
    instrument : Instrument or None
        What counted; without it the species are not judged.
    """

    counts: xr.Dataset
    background: xr.Dataset
    length: str | None = None
    instrument: Instrument | None = None

    def unfold(self, method: Unfolder, *, progress: Callable[[int, int], None] | None = None) -> xr.Dataset:
        """Run a method and label its result with what is known against each sample.

        Parameters
        ----------
        method : Unfolder
            The method.
        progress : callable, optional
            Called with the samples done and the samples in all.

        Returns
        -------
        Dataset, dims (time, energy)
            Its spectra; `quality` joined with the flags of counts and background, `assessment` (time), attributes of
            both. MISSING is the method's to set, for it may do without the channel.
        """
        told: dict[str, Any] = {} if progress is None else {"progress": progress}
        spectra = method.unfold(self.counts, self.background, **told)
        require(spectra, "flux", "energy")
        quality = np.zeros(spectra.sizes["time"], dtype=np.int32)
        for dataset in (self.counts, self.background):
            if "quality" in dataset:
                quality |= dataset["quality"].to_numpy().astype(np.int32)
        if "quality" in spectra:
            quality = (quality & ~np.int32(Quality.MISSING)) | spectra["quality"].to_numpy().astype(np.int32)
        spectra = spectra.assign(quality=("time", quality, attributes("quality")))
        assessment, judged = assess(
            spectra, self.counts, self.background, self.instrument, channels_read(method, self.instrument)
        )
        spectra = spectra.assign(assessment=assessment.variable)
        if "configuration" in self.counts.coords:
            spectra = spectra.assign_coords(configuration=self.counts["configuration"])
        own = {"background_source": self.background.attrs.get("source", "given"), "assessment_species": judged}
        own |= {"background_span": span} if (span := self.background.attrs.get("span")) else {}
        kept = ("instrument", "source_files", "independent_samples", "simulated")
        inherited = {key: self.counts.attrs[key] for key in kept if key in self.counts.attrs}
        return spectra.assign_attrs({**inherited, **spectra.attrs, **own})

    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """Give the time that the samples cover.

        Returns
        -------
        start, stop : datetime64[ns]
            From the beginning of the first to the end of the last, UTC.
        """
        time = self.counts["time"].to_numpy().astype("datetime64[ns]")
        exposure = np.nan_to_num(self.counts["exposure"].to_numpy().astype(float), posinf=0.0)
        # Live time is at most the length of a sample, of which some may be missing.
        step = np.median(np.diff(time)) if len(time) > 1 else np.timedelta64(0, "ns")
        last = max(np.timedelta64(round(exposure[-1] * 1e9), "ns"), step)
        return time[0], time[-1] + last


def channels_read(method: Unfolder, instrument: Instrument | None = None) -> tuple[str, ...]:
    """Tell which channels a method reads where they are there.

    Parameters
    ----------
    method : Unfolder
        The method.
    instrument : Instrument, optional
        Its channels for protons are what a method reads that does not say.

    Returns
    -------
    tuple of str
        Names of channels; empty if nothing is known.
    """
    for holder in (method, getattr(method, "detector", None)):
        if (channels := getattr(holder, "channels", None)) is not None:
            return tuple(map(str, channels))
    return () if instrument is None else instrument.reads["proton"]


def prepare(
    counts: xr.Dataset,
    *,
    instrument: str | Instrument = "radem",
    background: str | xr.Dataset | None = None,
    every: str | None = "auto",
) -> Prepared:
    """Screen and accumulate counts, and give each sample its background.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        As `reconstruct` takes them.
    instrument : str or Instrument
        The instrument, by name or file.
    background : str or Dataset, optional
        As `reconstruct` takes it.
    every : str or None
        As `reconstruct` takes it; "auto" keeps samples that are longer than 15 min.

    Returns
    -------
    Prepared
        Counts and background for a method.

    Raises
    ------
    MissingDataError
        If no response is known for any of the samples.
    DataError
        If the counts or the background cannot be used.

    Warns
    -----
    UserWarning
        If no response is known for some of the samples, for each do-not-use window the samples reach into, and where
        the instrument file's background is used.
    """
    chosen = load_instrument(instrument) if isinstance(instrument, str) else instrument
    series = is_series(counts)
    length = _choose_length(every, counts, series=series)
    own = background is None and _BACKGROUND[0] in counts
    if own:
        require(counts, *_BACKGROUND)
    stated = [name for name in (*_BACKGROUND, _COMMON) if own and name in counts]
    wanted = ("counts", "exposure", "quality", *stated)
    counts = _without_dead_channels(counts[[name for name in wanted if name in counts]], chosen)
    # Spikes and moved thresholds show at the native cadence only: screen before accumulating.
    screened = _screen(counts, chosen, series=series)
    tell_unusable(screened, chosen)
    # A background at the times of the counts is averaged over the same samples as they are summed.
    accumulated = accumulate(screened, length)
    if own:
        level = accumulated[stated].assign_attrs(source="file")
        accumulated = accumulated.drop_vars(stated)
    else:
        level = _reference("auto" if background is None else background, screened, chosen)
    if "time" in level["background_rate"].dims:
        _check_times(level, accumulated)
        return Prepared(accumulated, level, length, chosen)
    if not series:
        return Prepared(accumulated, level.expand_dims(time=accumulated["time"]), length, chosen)
    followed = follow_background(level, _without_missing(accumulated), chosen)
    return Prepared(accumulated, followed.assign_attrs({**level.attrs, **followed.attrs}), length, chosen)


def _without_missing(counts: xr.Dataset) -> xr.Dataset:
    """Drop the flag of a missing channel: the background looks for itself whether the channels it needs are there."""
    quality = counts["quality"].to_numpy().astype(np.int32) & ~np.int32(Quality.MISSING)
    return counts.assign(quality=("time", quality, attributes("quality")))


def _without_dead_channels(counts: xr.Dataset, instrument: Instrument) -> xr.Dataset:
    """Leave out channels without a single count, unless the background level is read from them.

    Whether spectra can do without is for the method to say.
    """
    require(counts, "counts")
    if not counts.sizes.get("time") or "channel" not in counts.coords:
        return counts
    is_dead = np.isnan(counts["counts"].transpose("time", "channel").to_numpy().astype(float)).all(axis=0)
    dead = [str(name) for name in counts["channel"].to_numpy()[is_dead] if str(name) not in instrument.monitors]
    if not dead:
        return counts
    warnings.warn(f"{', '.join(dead)} held fill values throughout and were left out", stacklevel=4)
    kept = counts.drop_sel(channel=dead)
    if "quality" not in kept or not np.isfinite(kept["counts"].to_numpy().astype(float)).any():
        return kept
    # A reader may have flagged the samples for these channels; screening flags anew what is missing in the others.
    return _without_missing(kept)


def _choose_length(every: str | None, counts: xr.Dataset, *, series: bool) -> str | None:
    if series:
        if every != "auto":
            return every
        require(counts, "exposure")
        # Longer samples are kept: no sum of them is due, and bins of their length would only shift their times.
        native = cadence(counts["exposure"].to_numpy().astype(np.float64))
        return DEFAULT_LENGTH if native <= pd.Timedelta(DEFAULT_LENGTH).total_seconds() else None
    if every not in (None, "auto"):
        msg = (
            f"an accumulation of {every} was asked for, but the samples are independent of each other (attribute "
            "'independent_samples'): sums of them mean nothing; keep them as they are ('native'; None in Python)"
        )
        raise DataError(msg)
    return None


def _screen(counts: xr.Dataset, instrument: Instrument, *, series: bool) -> xr.Dataset:
    screened = screen(counts, instrument)
    if series:
        return screened
    # Times that only number the samples say nothing, nor do neighbours; and a count may be as low as its own
    # background. What remains of these tests is the limit of each channel.
    limit = xr.DataArray(
        [instrument.implausible_rate[str(name)] for name in counts["channel"].to_numpy()],
        coords={"channel": counts["channel"]},
    )
    saturated = (counts["counts"] > limit * counts["exposure"]).any("channel").to_numpy()
    given, found = counts["quality"].to_numpy(), screened["quality"].to_numpy()
    quality = (found & ~int(_FROM_TIME)) | (given & int(_FROM_TIME)) | np.where(saturated, int(Quality.SATURATED), 0)
    return screened.assign(quality=("time", quality.astype(np.int32), attributes("quality")))


def _reference(background: str | xr.Dataset, screened: xr.Dataset, instrument: Instrument) -> xr.Dataset:
    if isinstance(background, xr.Dataset):
        if _BACKGROUND[0] in background:
            require(background, *_BACKGROUND)
            return background
        quiet = screen(_without_dead_channels(background, instrument), instrument)
        tell_unusable(quiet, instrument, "the background counts", "left out")
        return estimate_background(quiet, instrument)
    if background != "auto":
        msg = f"background {background!r}: expected 'auto', or a dataset of quiet counts or of background rates"
        raise DataError(msg)
    if screened.attrs.get("independent_samples", 0):
        msg = (
            "the samples are independent of each other (attribute 'independent_samples'), so that no quiet time can be "
            "found among them; give a background: files of quiet time, or background_rate and background_rate_std "
            "with the counts"
        )
        raise DataError(msg)
    return auto_background(screened, instrument)


def _check_times(background: xr.Dataset, counts: xr.Dataset) -> None:
    if not np.array_equal(background["time"].to_numpy(), counts["time"].to_numpy()):
        msg = (
            f"the {background.sizes['time']} times of the background are not the {counts.sizes['time']} of the "
            "accumulated counts; give a background with dims (channel), or one at the times of the counts"
        )
        raise AxisError(msg)
