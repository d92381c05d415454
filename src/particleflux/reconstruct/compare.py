"""Several methods side by side on the same counts, and how well each one's spectrum explains them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.names import UNUSABLE, Quality, attributes, require
from particleflux.reconstruct.assessment import assess
from particleflux.reconstruct.prepared import Prepared, channels_read
from particleflux.reconstruct.refold import refold
from particleflux.unfold import Unfolder

Array = npt.NDArray[np.float64]

# Flags that say how a sample lies among its neighbours: nothing of them is left in a sum.
_OF_NEIGHBOURS = Quality.GAP | Quality.SHORT
# So far the power law through its outermost energies is a spectrum's own.
_REACH = 1.5
# Energies at which a method is asked besides its own, to predict the rates, MeV; and the ranges to try in turn, for a
# network knows no more than it was trained for.
_BEYOND = (2.0, 2.5, 3.2, 4.0, 120.0, 150.0, 200.0, 270.0, 360.0, 500.0, 700.0, 1000.0, 1600.0, 2700.0, 5000.0, 10000.0)
_RANGES = ((2.0, 10000.0), (2.0, 300.0), (2.0, 200.0), (3.0, 150.0))


def compare(
    prepared: Prepared,
    methods: Mapping[str, Unfolder],
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, xr.Dataset]:
    """Run several methods on the same counts, and fold each spectrum back into the rates it predicts.

    Parameters
    ----------
    prepared : Prepared
        Counts and background, with their instrument.
    methods : mapping of str to Unfolder
        The methods by the names to show.
    progress : callable, optional
        Called with the name of the method, the samples done and the samples in all.

    Returns
    -------
    dict of str to Dataset, dims (time, energy, channel)
        For each method its spectra with, of every channel that the instrument reads for protons, `count_rate`,
        `predicted_rate` (s-1; both with the background, the latter from the median spectrum), `residual`, their
        difference over its standard deviation, and `is_read`, whether the method reads it. A residual is NaN
        where the spectrum would add more than a standard deviation beyond 1.5 times the energies that the method
        can answer at, 2 MeV to 10 GeV at most: it says nothing of them.

    Raises
    ------
    DataError
        If no method is given, or the instrument of the counts is not known.
    """
    instrument = prepared.instrument
    if not methods or instrument is None:
        msg = (
            f"found {len(methods)} methods and instrument {instrument}: expected at least one method, and counts of a "
            "known instrument; give both"
        )
        raise DataError(msg)
    there = {str(name) for name in prepared.counts["channel"].to_numpy()}
    channels = [name for name in instrument.reads["proton"] if name in there]
    response = instrument.response("proton", instrument.configurations[0].number).select(channels)
    results = {}
    for name, method in methods.items():
        told = None if progress is None else _bind(progress, name)
        spectra = prepared.unfold(_widen(method), progress=told)
        signal, inside = refold(spectra, response), refold(spectra, response, reach=_REACH)
        stated = float(spectra.attrs.get("response_error", 0.0))
        error = np.hypot(stated, [instrument.response_errors.get(channel, 0.0) for channel in channels])
        own = _residuals(prepared, signal, signal - inside, error)
        labels = {"units": "1", "long_name": "whether the method reads the channel"}
        own["is_read"] = (("time", "channel"), _tell_read(prepared, channels, method), labels)
        shown = spectra.sel(energy=list(energies)) if (energies := getattr(method, "energies", None)) else spectra
        assessment, _ = assess(shown, prepared.counts, prepared.background, instrument, channels_read(method))
        results[name] = shown.assign(assessment=assessment.variable).merge(own, combine_attrs="override")
    return results


def _widen(method: Unfolder) -> Unfolder:
    """Give a method that answers far beyond its energies as well, where it can: the channels count there too."""
    own = getattr(method, "energies", None)
    settings: Any = method
    if not own or not hasattr(method, "__dataclass_fields__"):
        return method
    for low, high in _RANGES:
        more = [energy for energy in _BEYOND if low <= energy <= high and not own[0] <= energy <= own[-1]]
        try:
            wider: Unfolder = dataclasses.replace(settings, energies=tuple(sorted({*own, *more})))
        except DataError:  # Beyond what it knows: try less.
            continue
        return wider
    return method


def _bind(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


def _residuals(prepared: Prepared, signal: xr.DataArray, outside: xr.DataArray, response_error: Array) -> xr.Dataset:
    r"""Give observed and predicted rates, and :math:`(n - m) / \sqrt{m + (B \sigma_B)^2 + (S \sigma_S)^2}`."""
    channels = list(signal["channel"].to_numpy())
    spread = signal * xr.DataArray(response_error, {"channel": channels}, ("channel",))
    exposure = prepared.counts["exposure"].astype(float)
    observed = prepared.counts["counts"].sel(channel=channels).astype(float)
    level = prepared.background["background_rate"].sel(channel=channels)
    error = prepared.background["background_rate_std"].sel(channel=channels)
    predicted = signal + level
    variance = predicted * exposure + (error * exposure) ** 2 + (spread * exposure) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = (observed - predicted * exposure) / np.sqrt(variance)
    residual = residual.where(outside * exposure < np.sqrt(variance))
    labels = attributes("count_rate")
    named = {
        "count_rate": (observed / exposure, "count rate observed"),
        "predicted_rate": (predicted, "count rate predicted, spectrum and background"),
        "residual": (residual, "observed minus predicted counts over their standard deviation"),
    }
    made = xr.Dataset(coords={"time": prepared.counts["time"], "channel": channels})
    for name, (values, long_name) in named.items():
        described = {"units": "1" if name == "residual" else labels["units"], "long_name": long_name}
        made[name] = (("time", "channel"), values.transpose("time", "channel").to_numpy(), described)
    return made


def _tell_read(prepared: Prepared, channels: list[str], method: Unfolder) -> npt.NDArray[np.bool_]:
    """Tell the channels that a method reads of each sample, as `particleflux.unfold.observation.observe` does."""
    counts, background, instrument = prepared.counts, prepared.background, prepared.instrument
    quality = counts["quality"].to_numpy().astype(np.int32)
    if "quality" in background:
        quality = quality | background["quality"].to_numpy().astype(np.int32)
    read = np.isfinite(counts["counts"].sel(channel=channels).transpose("time", "channel").to_numpy().astype(float))
    read &= np.isin(channels, channels_read(method, instrument))
    if instrument is not None:
        noisy = [item.channel for item in instrument.noisy_channels]
        read &= ~(((quality & int(Quality.SPIKE)) != 0)[:, None] & np.isin(channels, noisy))
        if "background_level" in background:
            followed = (quality & int(Quality.BACKGROUND_HELD)) == 0
            read &= ~(followed[:, None] & np.isin(channels, instrument.monitors))
    return np.asarray(read)


def sum_samples(prepared: Prepared) -> Prepared:
    """Sum all usable samples into one: its spectrum is the mean over the time, and its interval counts each error once.

    Parameters
    ----------
    prepared : Prepared
        Counts and background of some time.

    Returns
    -------
    Prepared
        One sample, at the time of the first one summed. The background is the mean over the live time; so are its
        errors, which neighbouring samples share. Samples with a SPIKE are left out where half of the live time remains
        without them. Of the flags GAP and SHORT are dropped, and BACKGROUND_HELD is kept
        only if all samples had it, so that no channel is read that the background was read off in part of the time.

    Raises
    ------
    MissingDataError
        If no sample is usable.
    """
    counts, background = prepared.counts, prepared.background
    quality = counts["quality"].to_numpy().astype(np.int32)
    exposure = counts["exposure"].to_numpy().astype(float)
    usable = ((quality & int(UNUSABLE & ~Quality.MISSING)) == 0) & (exposure > 0)
    # One spike would cost the noisy channel of the whole sum: where enough remains, the samples with spikes go instead.
    calm = usable & ((quality & int(Quality.SPIKE)) == 0)
    if exposure[calm].sum() >= 0.5 * exposure[usable].sum():
        usable = calm
    if not usable.any():
        msg = (
            f"none of the {len(usable)} samples can be used: the instrument, its configuration or a do-not-use window "
            "forbids them; give another time"
        )
        raise MissingDataError(msg)
    counts, background = counts.isel(time=usable), background.isel(time=usable)
    exposure = exposure[usable]
    weight = xr.DataArray(exposure / exposure.sum(), {"time": counts["time"]}, ("time",))
    first = counts.isel(time=[0])
    total = counts["counts"].astype(float).sum("time", skipna=False)
    summed = first.assign(
        counts=total.expand_dims(time=first["time"])
        .transpose(*first["counts"].dims)
        .assign_attrs(attributes("counts")),
        exposure=("time", [exposure.sum()], attributes("exposure")),
        quality=("time", _join(quality[usable]), attributes("quality")),
    )
    mean = background.isel(time=[0]).copy()
    for name, variable in background.data_vars.items():
        if "time" not in variable.dims:
            continue
        if name == "quality":
            mean["quality"] = ("time", _join(variable.to_numpy().astype(np.int32)), attributes("quality"))
        else:
            average = (variable * weight).sum("time", skipna=False).expand_dims(time=first["time"])
            mean[name] = average.transpose(*variable.dims).assign_attrs(variable.attrs)
    return Prepared(summed, mean, prepared.length, prepared.instrument)


def _join(quality: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    held = int(Quality.BACKGROUND_HELD)
    joined = int(np.bitwise_or.reduce(quality)) & ~int(_OF_NEIGHBOURS) & ~held
    return np.array([joined | (int(np.bitwise_and.reduce(quality)) & held)], dtype=np.int32)


def select_sample(prepared: Prepared, moment: str) -> Prepared:
    """Take the sample that a moment lies in.

    Parameters
    ----------
    prepared : Prepared
        Counts and background of some time.
    moment : str
        UTC, such as 2024-05-15T12:00.

    Returns
    -------
    Prepared
        One sample.

    Raises
    ------
    DataError
        If the moment cannot be read.
    MissingDataError
        If it lies in no sample.
    """
    try:
        stamp = pd.Timestamp(moment)
        wanted = (stamp.tz_convert(None) if stamp.tzinfo else stamp).to_datetime64().astype("datetime64[ns]")
    except (ValueError, TypeError) as error:
        msg = f"{moment!r} is no time ({error}); give one such as 2024-05-15T12:00"
        raise DataError(msg) from error
    time = prepared.counts["time"].to_numpy()
    row = int(np.searchsorted(time, wanted, "right")) - 1
    seconds = float(prepared.counts["exposure"].to_numpy()[max(row, 0)])
    step = np.median(np.diff(time)) if len(time) > 1 else np.timedelta64(0, "ns")
    # A sample of which part of the live time is missing still stands for its step.
    length = max(np.timedelta64(round(seconds * 1e9) if seconds > 0 else 0, "ns"), step)
    if row < 0 or np.isnat(wanted) or wanted >= time[row] + length:
        ends = f"{np.datetime_as_string(time[0], 's')} to {np.datetime_as_string(time[-1], 's')}"
        msg = f"no sample holds {moment}: they begin from {ends} UTC; give a time in one of them"
        raise MissingDataError(msg)
    return Prepared(
        prepared.counts.isel(time=[row]), prepared.background.isel(time=[row]), prepared.length, prepared.instrument
    )


def average_reference(reference: xr.Dataset, start: np.datetime64, stop: np.datetime64) -> xr.Dataset:
    """Average what another instrument measured over a time.

    Parameters
    ----------
    reference : Dataset, dims (time, energy)
        `flux` and, where known, `flux_std`, as `open_stereo_het` and `open_stereo_let` give them.
    start, stop : datetime64
        Samples that begin from `start` until just before `stop` are averaged; where none does, the last that began
        before.

    Returns
    -------
    Dataset, dims (energy)
        `flux`, and `flux_std` of the mean, from the stated errors of the samples.

    Raises
    ------
    MissingDataError
        If no sample lies in the time.
    """
    require(reference, "flux", "energy")
    time = reference["time"].to_numpy()
    inside = (time >= start) & (time < stop)
    if not inside.any() and len(time):
        row = int(np.searchsorted(time, start, "right")) - 1
        step = np.median(np.diff(time)) if len(time) > 1 else np.timedelta64(1, "h")
        inside[row] = row >= 0 and time[row] + step > start
    if not inside.any():
        name = reference.attrs.get("instrument", "the reference")
        span = "nothing" if not len(time) else f"{time[0]} to {time[-1]}"
        msg = f"{name} holds {span}, and nothing in {start} to {stop}; give its file of that time, or leave it out"
        raise MissingDataError(msg)
    chosen = reference.isel(time=inside)
    mean = xr.Dataset(
        {"flux": chosen["flux"].mean("time").assign_attrs(reference["flux"].attrs)}, attrs=reference.attrs
    )
    if "flux_std" in chosen:
        n = chosen["flux"].count("time")
        variance = (chosen["flux_std"] ** 2).sum("time") / n.where(n > 0) ** 2
        mean["flux_std"] = (variance**0.5).assign_attrs(attributes("flux_std"))
    return mean
