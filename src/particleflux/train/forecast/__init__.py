"""Train the deep ensemble of recurrent networks that forecasts the daily fluence.

One command (`particleflux train forecast`) fits the scaler to the training periods, trains all members side by side,
each without one block of the years, learns from the days left out how wide the pooled intervals must be, and writes the
artefact with its card. It is seeded.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

import particleflux
from particleflux.artefact import CARD_FORMAT, Artefact, check_destination
from particleflux.errors import DataError, MissingDataError
from particleflux.forecast.distribution import LEADS, QUANTILES, THRESHOLDS
from particleflux.forecast.inputs import InputSpec
from particleflux.forecast.issue import log_fluence
from particleflux.forecast.lstm import FLUX_GAPS, KIND, NETWORK
from particleflux.train.forecast.graph import forecast_graph
from particleflux.train.forecast.run import GAP_LIMITS, Run, fit_stretch
from particleflux.train.forecast.samples import Samples, make_batch, make_samples, years_of
from particleflux.train.forecast.settings import INPUTS, ForecastSettings
from particleflux.train.forecast.suggested import suggested_inputs

__all__ = ["INPUTS", "SUGGESTED", "ForecastSettings", "choose_inputs", "fit_forecast", "train_forecast"]

#: Fewer days than this cannot tell one season from another.
LEAST_DAYS = 365
#: Name of the inputs that the rank correlations of the training days choose.
SUGGESTED = "suggested"


def fit_forecast(
    history: xr.Dataset,
    *,
    settings: ForecastSettings | None = None,
    spec: InputSpec | None = None,
    name: str = "forecast",
    command: str = "",
    commit: str = "",
    periods: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> Artefact:
    """Train an ensemble on a history that holds the training split and nothing else.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        What `particleflux.history.training_only` gave: NaN on all days that must not be seen.
    settings : ForecastSettings, optional
        Sizes, steps and seed.
    spec : InputSpec, optional
        Inputs; by default the preset that the settings name.
    name : str
        Name of the model.
    command, commit, periods : str
        What is written on the card about how it was made.
    progress : callable, optional
        Called with a title, what is done and what is to do.

    Returns
    -------
    Artefact
        Not saved yet.

    Raises
    ------
    MissingDataError
        If fewer than a year of days hold a fluence, they do not follow one another or are all alike, or an input holds
        no value.
    ArtefactError
        If the training diverges.
    """
    settings = settings or ForecastSettings()
    started = time.monotonic()
    known = np.isfinite(log_fluence(history))
    if known.sum() < LEAST_DAYS:
        msg = f"{known.sum()} days hold a fluence in the training periods, expected {LEAST_DAYS} at least; give more"
        raise MissingDataError(msg)
    spec = _available(spec or choose_inputs(history, settings.inputs), history).fit(history)
    samples = make_samples(history, spec, settings.blocks)
    _check_samples(samples)
    run = Run(settings, spec, samples)
    weights = run.train(progress)
    quantiles = run.left_out_quantiles(weights)
    truth, is_known = samples.truth.numpy(), samples.known.numpy() > 0
    stretch = fit_stretch(quantiles, truth, is_known)
    gaps = [
        fit_stretch(
            run.left_out_quantiles(weights, make_batch(history, samples.rows, spec, blind=days)),
            truth,
            is_known,
            limits=GAP_LIMITS,
        )
        for days in FLUX_GAPS
    ]
    network = forecast_graph(run.sizes, {key: tensor.numpy() for key, tensor in weights.items()}).SerializeToString()
    days = history["time"].to_numpy()[known].astype("datetime64[D]")
    card: dict[str, Any] = {
        "format": CARD_FORMAT,
        "name": name,
        "kind": KIND,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "particleflux": particleflux.__version__,
        "species": "electron",
        "target": "daily fluence of electrons above 2 MeV, cm-2 sr-1 d-1",
        "reference": str(history.attrs.get("reference", "")),
        "day_start": float(history.attrs.get("day_start", 0.0)),
        "lead_times": list(LEADS),
        "quantiles": list(QUANTILES),
        "thresholds": list(THRESHOLDS),
        "inputs": dataclasses.asdict(spec),
        "stretch": np.round(stretch, 4).tolist(),
        "gap_stretch": {"days": list(FLUX_GAPS), "stretch": np.round(gaps, 4).tolist()},
        "left_out": run.score(quantiles, stretch),
        "training": {
            **dataclasses.asdict(settings),
            "command": command,
            "commit": commit,
            "periods": periods,
            "first_day": str(days[0]),
            "last_day": str(days[-1]),
            "days": int(known.sum()),
            "samples": len(samples),
            "years": years_of(history, known),
            "steps": run.n_steps,
            "satellites": _satellites(history, known),
            "seconds": round(time.monotonic() - started),
            "torch": torch.__version__,
        },
        "files": {NETWORK: hashlib.sha256(network).hexdigest()},
    }
    return Artefact(card, {NETWORK: network})


def train_forecast(
    history: xr.Dataset,
    out: str | Path,
    *,
    settings: ForecastSettings | None = None,
    name: str = "forecast",
    command: str = "",
    commit: str = "",
    periods: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> Artefact:
    """Train as `fit_forecast` does and write the artefact.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        The training split only.
    out : str or Path
        Folder of the artefact.
    settings : ForecastSettings, optional
        Sizes, steps and seed.
    name, command, commit, periods : str
        See `fit_forecast`.
    progress : callable, optional
        Called with a title, what is done and what is to do.

    Returns
    -------
    Artefact
        As written.

    Raises
    ------
    MissingDataError
        If there is too little to train on.
    ArtefactError
        If the folder holds something else than a model, or the training diverges.
    """
    check_destination(out)
    artefact = fit_forecast(
        history, settings=settings, name=name, command=command, commit=commit, periods=periods, progress=progress
    )
    artefact.save(out)
    return artefact


def choose_inputs(history: xr.Dataset, inputs: str) -> InputSpec:
    """Give the inputs of a name.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        The training split only; read for `suggested`.
    inputs : str
        A key of `INPUTS`, or `suggested`.

    Returns
    -------
    InputSpec
        Not fitted yet.

    Raises
    ------
    DataError
        If the name is unknown.
    """
    if inputs == SUGGESTED:
        return suggested_inputs(history)
    if inputs not in INPUTS:
        msg = f"inputs {inputs!r} are unknown; expected one of {', '.join((*INPUTS, SUGGESTED))}"
        raise DataError(msg)
    return INPUTS[inputs]


def _available(spec: InputSpec, history: xr.Dataset) -> InputSpec:
    """Leave out inputs of which the training periods hold nothing: a network cannot learn what it never saw."""

    def holds(name: str) -> bool:
        return any(part in history and bool(np.isfinite(history[part]).any()) for part in name.split("|"))

    return dataclasses.replace(
        spec,
        daily=tuple(name for name in spec.daily if holds(name)),
        rotation=tuple(name for name in spec.rotation if holds(name)),
        hourly=tuple(name for name in spec.hourly if holds(f"{name}_hourly")),
        n_hours=spec.n_hours if any(holds(f"{name}_hourly") for name in spec.hourly) else 0,
    )


def _check_samples(samples: Samples) -> None:
    """Refuse days from which no forecast can be learnt, before hours are spent on it."""
    for lead, truth, known in zip(LEADS, samples.truth.T, samples.known.T, strict=True):
        values = truth[known > 0]
        if len(values.unique()) < 2:
            msg = (
                f"to forecast {lead} d ahead there are {len(values)} days to learn from, with {len(values.unique())} "
                "different fluences; give a history with days that follow one another and differ"
            )
            raise MissingDataError(msg)


def _satellites(history: xr.Dataset, known: np.ndarray) -> list[str]:
    if "satellite" not in history:
        return []
    return sorted({str(name) for name in history["satellite"].to_numpy()[known] if str(name)})
