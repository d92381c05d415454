"""What the networks of `npe` are trained on: the prior, the simulated samples, and the targets they are to predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from particleflux.instruments import Instrument
from particleflux.response import Response
from particleflux.simulate import ELECTRON_PARAMETERS, Mixture, MixtureDraw, Population
from particleflux.train.npe.settings import NpeSettings
from particleflux.unfold.npe_inputs import npe_features
from particleflux.unfold.observation import LEAST_CHANNELS, Observation

Array = npt.NDArray[np.float64]

#: Samples simulated in one go.
DRAW = 20_000
# Shares of samples in which the monitors are left out, as where the background was read off them, and in which some
# channels at random are.
_NO_MONITORS, _SOME_MISSING = 0.3, 0.3
_MOST_MISSING = 3
_TINY = 1e-300


@dataclass(frozen=True)
class NpeSamples:
    """Simulated samples with what is to be predicted of them.

    Attributes
    ----------
    features : ndarray of float32, shape (n, feature)
        See `npe_features`.
    targets : ndarray of float32, shape (n, target)
        For each population log flux at the nodes and log integral flux above the thresholds; then the log signal of
        every channel; all in units of the log scale.
    observation : Observation or None
        What was observed; kept only where asked for.
    log_scale : ndarray, shape (n,)
        Unit of the targets.
    """

    features: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    log_scale: Array
    observation: Observation | None = None


def training_mixture(instrument: Instrument, populations: Sequence[Population]) -> Mixture:
    """Give the prior that the networks are trained on; see `Mixture` for its ranges.

    Parameters
    ----------
    instrument : Instrument
        Its quiet background is the scale.
    populations : sequence of Population
        The particles.

    Returns
    -------
    Mixture
        Of these channels.
    """
    channels = populations[0].response.channels
    return Mixture(
        tuple(populations),
        {name: instrument.quiet_rate[name] for name in channels},
        channel_errors={name: error for name, error in instrument.response_errors.items() if name in channels},
    )


def default_populations(
    instrument: Instrument, species: str, responses: dict[str, Response] | None = None
) -> tuple[Population, ...]:
    """Give the particles that are unfolded together when a species is asked for.

    Parameters
    ----------
    instrument : Instrument
        Its channels for the species.
    species : {"proton", "electron"}
        Protons alone; or electrons with the protons that the same channels see.
    responses : dict of str to Response, optional
        Others than the instrument's own.

    Returns
    -------
    tuple of Population
        The species asked for is the last one.
    """
    channels = list(instrument.reads[species])
    number = instrument.configurations[0].number
    names = ("proton",) if species == "proton" else ("proton", "electron")
    populations = []
    for name in names:
        response = ((responses or {}).get(name) or instrument.response(name, number)).select(channels)
        if name == "proton":
            populations.append(Population(response, instrument.reads["proton"][0]))
        else:
            forms = tuple(ELECTRON_PARAMETERS)
            reference = electron_reference(instrument)
            populations.append(Population(response, reference, families=forms, parameters=ELECTRON_PARAMETERS))
    return tuple(populations)


def electron_reference(instrument: Instrument) -> str:
    """Choose the channel in which the strength of electrons is expressed: the most sensitive one over its background.

    Parameters
    ----------
    instrument : Instrument
        Its responses and quiet rates.

    Returns
    -------
    str
        Name of the channel.
    """
    response = instrument.response("electron", instrument.configurations[0].number)
    energy = np.asarray(response.energy.values)
    rate = response.select(list(instrument.reads["electron"])).weights @ energy**-3.0
    quiet = np.array([instrument.quiet_rate[name] for name in instrument.reads["electron"]])
    return instrument.reads["electron"][int(np.argmax(rate / quiet))]


def simulate_samples(
    mixture: Mixture,
    settings: NpeSettings,
    n: int,
    *,
    monitors: Sequence[str],
    stream: int,
    keep: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> NpeSamples:
    """Simulate n samples, with channels missing in some.

    Parameters
    ----------
    mixture : Mixture
        The prior.
    settings : NpeSettings
        Energies and seed.
    n : int
        Samples.
    monitors : sequence of str
        Channels that are left out where the background was read off them.
    stream : int
        Number of the random stream: one for training, another for the held-out samples.
    keep : bool
        Keep the observations.
    progress : callable, optional
        Called with a title, what is done and what is to do.

    Returns
    -------
    NpeSamples
        Of the n samples.
    """
    names = [population.response.species for population in mixture.populations]
    nodes, thresholds = [settings.nodes(name) for name in names], [settings.thresholds(name) for name in names]
    parts: list[NpeSamples] = []
    for start in range(0, n, DRAW):
        size = min(DRAW, n - start)
        rng = np.random.default_rng([settings.seed, stream, start])
        drawn = mixture.draw(size, rng, energies=nodes, thresholds=thresholds)
        observation = observed(drawn, leave_out(rng, size, mixture.channels, monitors))
        features, log_scale = npe_features(observation)
        targets = true_targets(drawn) - log_scale[:, None]
        parts.append(
            NpeSamples(
                features.astype(np.float32), targets.astype(np.float32), log_scale, observation if keep else None
            )
        )
        if progress is not None:
            progress("simulate", start + size, n)
    kept = [part.observation for part in parts if part.observation is not None]
    return NpeSamples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.log_scale for part in parts]),
        Observation(*(np.concatenate(values) for values in zip(*(vars(item).values() for item in kept), strict=True)))
        if kept
        else None,
    )


def leave_out(
    rng: np.random.Generator, n: int, channels: Sequence[str], monitors: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Choose the channels that are read.

    Parameters
    ----------
    rng : Generator
        Source of all randomness.
    n : int
        Samples.
    channels, monitors : sequence of str
        All channels, and those that are left out together.

    Returns
    -------
    ndarray of bool, shape (n, channel)
        At least `LEAST_CHANNELS` are True in each row.
    """
    kind = rng.uniform(size=n)
    is_read = np.ones((n, len(channels)), dtype=bool)
    rest = len(channels) - LEAST_CHANNELS
    if 0 < np.isin(channels, list(monitors)).sum() <= rest:
        is_read &= ~((kind < _NO_MONITORS)[:, None] & np.isin(channels, list(monitors)))
    n_missing = rng.integers(1, max(1, min(_MOST_MISSING, rest)) + 1, size=n) * (rest > 0)
    rank = rng.uniform(size=is_read.shape).argsort(axis=1).argsort(axis=1)
    some = (kind >= _NO_MONITORS) & (kind < _NO_MONITORS + _SOME_MISSING)
    return is_read & ~(some[:, None] & (rank < n_missing[:, None]))


def observed(drawn: MixtureDraw, is_read: npt.NDArray[np.bool_]) -> Observation:
    """Give what a method would be told of simulated samples.

    Parameters
    ----------
    drawn : MixtureDraw
        Of n samples.
    is_read : ndarray of bool, shape (n, channel)
        Channels that are read.

    Returns
    -------
    Observation
        Zeros where a channel is not read.
    """
    counts, background, error, common = (
        np.where(is_read, values, 0.0)
        for values in (drawn.counts, drawn.background, drawn.background_error, drawn.background_common)
    )
    # Of no background there is no error.
    error, common = (np.where(background > 0, values, 0.0) for values in (error, common))
    return Observation(counts, background, error, common, np.array(drawn.response_error), is_read, drawn.exposure)


def true_targets(drawn: MixtureDraw) -> Array:
    """Give what the networks are to predict, as logarithms of fluences and counts.

    Parameters
    ----------
    drawn : MixtureDraw
        Of n samples.

    Returns
    -------
    ndarray, shape (n, target)
        In the order of `NpeSamples.targets`, not yet in units of the scale.
    """
    # The exposure turns flux into fluence, in which counts are the natural unit.
    log_exposure = np.log(drawn.exposure)[:, None]
    spectra = [
        values + log_exposure for pair in zip(drawn.log_flux, drawn.log_integral, strict=True) for values in pair
    ]
    return np.concatenate([*spectra, np.log(np.maximum(drawn.signal.sum(axis=1), _TINY))], axis=1)
