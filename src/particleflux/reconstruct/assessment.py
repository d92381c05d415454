"""What each sample is good for, in one number: the assessment, in the sense users know from SREM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.instruments import Instrument
from particleflux.names import UNUSABLE, Assessment, Quality, attributes, require
from particleflux.reconstruct.refold import refold
from particleflux.spectra import PowerLaw

Array = npt.NDArray[np.float64]

#: A fit worse than this share of replicated observations: use with care.
LEAST_FIT_PROBABILITY = 0.01
#: A background level carried over until it is uncertain by more than this, relative: use with care.
MOST_LEVEL_ERROR = 0.05
#: Share of the net counts that the other species makes: from here two species are mixed; from here it dominates.
MIXED_SHARE, OTHER_SHARE = 0.1, 0.5
#: Standard deviations by which the other species must be seen. Set on quiet hours of October 2023 and May
#: 2024, in which chance alone hardly ever reaches it.
LEAST_SIGNIFICANCE = 4.0
#: Index of the reference electron spectrum.
ELECTRON_INDEX = 3.0
# A channel whose quiet rate drifts by more than this from day to day tells no electrons (RADEM: EDH2, EDH7, EDH8).
_MOST_DRIFT = 0.1
# So far beyond its energies a spectrum goes on as the power law through its outermost two.
_REACH = 1.5
_OUTSIDE = Quality.NOT_PROCESSED | Quality.EXTRAPOLATED | UNUSABLE


def assess(
    spectra: xr.Dataset,
    counts: xr.Dataset,
    background: xr.Dataset,
    instrument: Instrument | None = None,
    channels: Sequence[str] | None = None,
) -> tuple[xr.DataArray, str]:
    """Judge each sample; `docs/quality.md` has the table.

    The worst that holds counts: outside the validity (not processed, or beyond what the method knows), else background
    only, else the other species (it dominates, or the two are mixed), else care, else good.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        What a method gave: `flux`, `quality` (time) with all flags, and `fit_probability` (time) where it has one.
    counts, background : Dataset, dims (time, channel)
        What it was given.
    instrument : Instrument, optional
        Tells how electrons would show; without it the species are not judged.
    channels : sequence of str, optional
        Channels that the method reads; by default those the instrument reads for protons.

    Returns
    -------
    assessment : DataArray of int8, dims (time)
        Levels of `particleflux.names.Assessment`.
    judged : str
        By what the species were judged, or why they were not.

    Raises
    ------
    AxisError
        If `flux` or `quality` is missing.
    UnitError
        If a unit is absent or another one.
    """
    require(spectra, "flux", "quality")
    quality = spectra["quality"].to_numpy().astype(np.int64)
    others = [dim for dim in spectra["flux"].dims if dim != "time"]
    # An upper limit has no median.
    bound = spectra["flux_upper95"] if "flux_upper95" in spectra else spectra["flux"]
    outside = ((quality & int(_OUTSIDE)) != 0) | ~bound.notnull().any(others).to_numpy()
    unseen = (quality & int(Quality.BELOW_DETECTION)) != 0

    level = np.full(len(quality), int(Assessment.GOOD), dtype=np.int8)
    level[_needs_care(spectra, background, quality)] = int(Assessment.CARE)
    share, significance, judged = share_of_electrons(spectra, counts, background, instrument, channels)
    # Comparisons with NaN, where nothing could be judged, are False.
    seen = significance > LEAST_SIGNIFICANCE
    level[seen & (share > MIXED_SHARE)] = int(Assessment.MIXED)
    level[seen & (share > OTHER_SHARE)] = int(Assessment.OTHER_SPECIES)
    level[unseen] = int(Assessment.BACKGROUND)
    level[outside] = int(Assessment.OUTSIDE)
    flags = {
        "flag_values": [int(item) for item in Assessment],
        "flag_meanings": " ".join(item.name.lower() for item in Assessment),
    }
    labelled = xr.DataArray(
        level, {"time": spectra["time"]}, ("time",), name="assessment", attrs={**attributes("assessment"), **flags}
    )
    return labelled, judged


def _needs_care(spectra: xr.Dataset, background: xr.Dataset, quality: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    care = (quality & int(Quality.BACKGROUND_ASSUMED)) != 0
    held = (quality & int(Quality.BACKGROUND_HELD)) != 0
    if "background_level_std" in background:
        # Every event holds the level; what tells is for how long. A level that nobody read is known to no better.
        value = background["background_level"].to_numpy()
        held &= background["background_level_std"].to_numpy() > MOST_LEVEL_ERROR * value
    # A spike is why the noisy channel was left out; it is expected several times a day and the method knows of it.
    left_out = ((quality & int(Quality.CHANNEL_LEFT_OUT)) != 0) & ((quality & int(Quality.SPIKE)) == 0)
    care |= held | left_out
    if "fit_probability" in spectra:
        care |= spectra["fit_probability"].to_numpy() < LEAST_FIT_PROBABILITY
    return np.asarray(care)


def share_of_electrons(
    spectra: xr.Dataset,
    counts: xr.Dataset,
    background: xr.Dataset,
    instrument: Instrument | None,
    channels: Sequence[str] | None = None,
) -> tuple[Array, Array, str]:
    r"""Estimate which share of the net counts of the proton channels electrons make.

    The electron head's channels i count, beside background b and the protons p of the reconstructed spectrum, electrons
    of a reference spectrum :math:`E^{-3}`, which makes r_i per unit: its amplitude A is the generalised least-squares
    solution of

    .. math:: n_i - b_i - p_i = A r_i, \qquad V = \mathrm{diag}(n_i + o_i^2) + c c^T + q q^T

    with the errors of the background, own o and common c, and q the rise of p to the spectrum's 84 % bound or the error
    of the response, whichever is larger, and on top what p owes to energies beyond 1.5 times those of the spectrum; o
    holds the errors of responses, too, that the instrument file says are off. The share is what A makes in the proton
    channels, over their net counts.

    Parameters
    ----------
    spectra, counts, background : Dataset
        As for `assess`.
    instrument : Instrument, optional
        Its responses, and the channels it reads.
    channels : sequence of str, optional
        Proton channels that the method reads.

    Returns
    -------
    share, significance : ndarray, shape (time,)
        NaN where not judged.
    judged : str
        By what, or why not.
    """
    nothing = np.full(spectra.sizes["time"], np.nan)
    species = str(spectra.attrs.get("species", "proton"))
    if instrument is None or "electron" not in instrument.reads:
        return nothing, nothing, "not judged: nothing is known of how electrons show in this instrument"
    if species != "proton" or "species" in spectra["flux"].dims:
        return (
            nothing,
            nothing,
            f"not judged: the spectra are of species {species!r}, and electrons show to protons only",
        )
    there = {str(name) for name in counts["channel"].to_numpy()} & {str(n) for n in background["channel"].to_numpy()}
    tell = [name for name in electron_channels(instrument) if name in there]
    read = [name for name in (channels or instrument.reads[species]) if name in there]
    if not tell or not read or spectra.sizes["energy"] < 2:
        return nothing, nothing, "not judged: no counts of channels that tell electrons, or fewer than two energies"

    number = instrument.configurations[0].number
    to_protons, to_electrons = (instrument.response(name, number) for name in ("proton", "electron"))
    form = PowerLaw(intensity=1.0, spectral_index=ELECTRON_INDEX)
    per_unit = to_electrons.fold_form(form)
    seconds = counts["exposure"].to_numpy().astype(float)[:, None]

    def take(values: xr.DataArray, names: list[str]) -> Array:
        array = values.sel(channel=names)
        return np.asarray(array.transpose(..., "channel").to_numpy(), dtype=float)

    observed = take(counts["counts"], tell)
    level = take(background["background_rate"], tell) * seconds
    error = take(background["background_rate_std"], tell) * seconds
    shared = error * np.sqrt(0.5)
    if "background_rate_common_std" in background:
        shared = np.minimum(take(background["background_rate_common_std"], tell) * seconds, error)
    chosen = to_protons.select(tell)
    protons = refold(spectra, chosen).to_numpy() * seconds
    upper = refold(spectra, chosen, "flux_upper").to_numpy() * seconds if "flux_upper" in spectra else protons
    response_error = float(spectra.attrs.get("response_error", 0.05))
    beyond = protons - refold(spectra, chosen, reach=_REACH).to_numpy() * seconds
    spread = np.maximum(np.maximum(upper - protons, 0.0), response_error * protons) + beyond
    electrons = per_unit.sel(channel=tell).to_numpy() * seconds

    excess = observed - level - protons
    usable = np.isfinite(excess + error + spread).all(axis=1) & (seconds[:, 0] > 0)
    amplitude, deviation = nothing.copy(), nothing.copy()
    if usable.any():
        known_off = np.array([instrument.response_errors.get(name, 0.0) for name in tell])
        own = np.maximum(observed, level) + np.maximum(error**2 - shared**2, 0.0) + (known_off * protons) ** 2 + 1.0
        weight, known = _solve(own[usable], shared[usable], spread[usable], electrons[usable])
        amplitude[usable] = (weight * excess[usable]).sum(axis=1) / known
        deviation[usable] = 1.0 / np.sqrt(known)
    excess = take(counts["counts"], read) - take(background["background_rate"], read) * seconds
    net = np.nansum(excess, axis=1)
    made = amplitude * seconds[:, 0] * (np.isfinite(excess) @ per_unit.sel(channel=read).to_numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(net > 0, made / net, np.nan)
    return share, amplitude / deviation, f"electrons by {', '.join(tell)} against E^-{ELECTRON_INDEX:g}"


def electron_channels(instrument: Instrument) -> list[str]:
    """Give the channels by which electrons are told: read for electrons and not for protons, and steady when quiet.

    Parameters
    ----------
    instrument : Instrument
        Its channels.

    Returns
    -------
    list of str
        Names, in the order of the instrument file.
    """
    own = [name for name in instrument.reads["electron"] if name not in instrument.reads["proton"]]
    return [name for name in own if instrument.quiet_relative_std[name] <= _MOST_DRIFT]


def _solve(own: Array, shared: Array, spread: Array, made: Array) -> tuple[Array, Array]:
    """Give V^-1 r and r V^-1 r for each sample; V is the diagonal `own` and two vectors with themselves."""
    n_channels = own.shape[1]
    covariance = shared[:, :, None] * shared[:, None, :] + spread[:, :, None] * spread[:, None, :]
    covariance[:, np.arange(n_channels), np.arange(n_channels)] += own
    weight = np.asarray(np.linalg.solve(covariance, made[:, :, None])[:, :, 0], dtype=np.float64)
    return weight, np.asarray(np.maximum((weight * made).sum(axis=1), 1e-300))
