"""What the networks are trained on: the prior, the simulated samples, and the targets they are to predict."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from particleflux.errors import DataError
from particleflux.features import BinRule, Measurement, count_features
from particleflux.instruments import Instrument
from particleflux.response import Response
from particleflux.simulate import Draw, Range, Simulation
from particleflux.train.settings import TrainingSettings
from particleflux.unfold.targets import MAX_BACKGROUND_ERROR, MAX_RESPONSE_ERROR

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]

#: Samples simulated in one go, before the rule deals them out.
DRAW = 250_000


def training_simulation(instrument: Instrument, response: Response) -> Simulation:
    """Give the prior that the networks are trained on.

    Accumulations of half a minute to ten days, signals from a third of a count to 1e8 counts, backgrounds from none to
    twice the quiet one, background errors up to 30 % and response errors up to 20 %, each of them absent at times.

    Parameters
    ----------
    instrument : Instrument
        Its quiet background is the scale.
    response : Response
        Of the channels that the ensembles read.

    Returns
    -------
    Simulation
        Of rolling power laws.
    """
    return Simulation(
        response,
        {name: instrument.quiet_rate[name] for name in response.channels},
        reference_channel=response.channels[0],
        signal_counts=Range(0.3, 1e8, log=True),
        exposure=Range(30.0, 864_000.0, log=True),
        background_level=Range(0.02, 2.0, log=True, zero=0.15),
        background_scatter=0.2,
        background_error=Range(0.005, MAX_BACKGROUND_ERROR, log=True, zero=0.2),
        response_error=Range(0.01, MAX_RESPONSE_ERROR, log=True, zero=0.35),
        use_rate_table=True,
    )


def describe_prior(simulation: Simulation) -> dict[str, Any]:
    """Write down the prior of a simulation as JSON.

    Parameters
    ----------
    simulation : Simulation
        The prior.

    Returns
    -------
    dict
        Ranges as dictionaries of low, high, log and zero.
    """
    ranges = {
        field.name: dataclasses.asdict(getattr(simulation, field.name))
        for field in dataclasses.fields(simulation)
        if isinstance(getattr(simulation, field.name), Range)
    }
    shape = {name: dataclasses.asdict(value) for name, value in simulation.shape_parameters.items()}
    return {
        "family": simulation.family,
        "parameters": shape,
        "background_rate": dict(simulation.background_rate),
        "background_scatter": simulation.background_scatter,
        "reference_channel": simulation.reference_channel,
        **ranges,
    }


@dataclass(frozen=True)
class Split:
    """Samples of one ensemble.

    Attributes
    ----------
    features : ndarray of float32, shape (n, feature)
        See `count_features`.
    targets : ndarray of float32, shape (n, target)
        See `true_targets`.
    """

    features: Single
    targets: Single


def simulate_splits(
    simulation: Simulation,
    rule: BinRule,
    settings: TrainingSettings,
    quota: Sequence[int],
    *,
    stream: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Split]:
    """Simulate until every ensemble has its share of samples.

    Parameters
    ----------
    simulation : Simulation
        The prior.
    rule : BinRule
        Sends each sample to its ensemble.
    settings : TrainingSettings
        Energies and seed.
    quota : sequence of int
        Samples wanted for each ensemble.
    stream : int
        Number of the random stream: one for training, another for the held-out split.
    progress : callable, optional
        Called with a title, what is done and what is to do.

    Returns
    -------
    list of Split
        One an ensemble.

    Raises
    ------
    DataError
        If the quota is not one of this rule.
    """
    if len(quota) != len(rule.bins) or min(quota) < 1:
        msg = f"quota {list(quota)}: expected a number of samples, 1 or above, for each of {len(rule.bins)} ensembles"
        raise DataError(msg)
    parts: list[list[Split]] = [[] for _ in quota]
    counts = [0] * len(quota)
    for piece in itertools.count():
        if all(have >= want for have, want in zip(counts, quota, strict=True)):
            break
        drawn = simulation.draw(DRAW, np.random.default_rng([settings.seed, stream, piece]))
        measurement = Measurement(drawn.counts, drawn.background, drawn.background_error, drawn.response_error)
        chosen = rule.choose(measurement)
        for index, want in enumerate(quota):
            rows = np.flatnonzero(chosen == index)[: want - counts[index]]
            if rows.size:
                features, log_scale = count_features(measurement[rows], rule, index)
                targets = true_targets(drawn, rows, log_scale, settings)
                parts[index].append(Split(features.astype(np.float32), targets.astype(np.float32)))
                counts[index] += len(rows)
        if progress is not None:
            progress("simulate", sum(counts), sum(quota))
    return [
        Split(np.concatenate([part.features for part in pieces]), np.concatenate([part.targets for part in pieces]))
        for pieces in parts
    ]


def true_targets(drawn: Draw, rows: npt.NDArray[np.intp], log_scale: Array, settings: TrainingSettings) -> Array:
    """Compute what the networks are to predict, shape (n, target): see `Networks.predict` for the order.

    Parameters
    ----------
    drawn : Draw
        Simulated truth.
    rows : ndarray of int, shape (n,)
        Which samples.
    log_scale : ndarray, shape (n,)
        Logarithm of the counts that fluxes are in units of.
    settings : TrainingSettings
        Energies.

    Returns
    -------
    ndarray, shape (n, target)
        Natural logarithms, and the spectral index as it is.
    """
    index = drawn.shape["spectral_index"][rows, None]
    rollover = drawn.shape["rollover_energy"][rows, None]
    # The exposure turns flux into fluence, in which counts are the natural unit.
    log_intensity = np.log(drawn.intensity[rows] * drawn.exposure[rows])[:, None] - log_scale[:, None]
    energy = np.array(settings.nodes)
    log_flux = log_intensity - index * np.log(energy) - energy / rollover
    log_integral = log_intensity + _log_integral(index, rollover, np.array(settings.thresholds))
    return np.concatenate([log_flux, log_integral, index, np.log(rollover), log_intensity], axis=1)


def _log_integral(index: Array, rollover: Array, threshold: Array) -> Array:
    r"""Integrate :math:`E^{-\gamma} e^{-E/E_0}` above thresholds by Gauss-Laguerre in :math:`x = (E - E_t) / E_0`.

    Done in logarithms, because the closed form underflows where a training target is still wanted.
    """
    x, weight = np.polynomial.laguerre.laggauss(32)
    # The power falls within E_t of the threshold, the exponential within E_0: the substitution s spans the shorter.
    span = 1.0 / (1.0 / rollover + np.maximum(index, 0.0) / threshold)
    energy = threshold[..., None] + span[..., None] * x
    exponent = -index[..., None] * np.log(energy) - energy / rollover[..., None] + x
    highest = exponent.max(axis=-1)
    total = (np.exp(exponent - highest[..., None]) * weight).sum(axis=-1)
    return np.asarray(highest + np.log(total) + np.log(span))
