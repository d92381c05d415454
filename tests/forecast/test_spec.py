"""Which inputs are read and how they are scaled: fitted, and read back from a card."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import ArtefactError, MissingDataError
from particleflux.forecast.spec import InputSpec
from particleflux.names import attributes

FLUENCE = "fluence_gt2mev"
SPEED = "solar_wind_speed"
SPEC = InputSpec((FLUENCE, SPEED), mean=(7.0, 400.0), std=(0.5, 100.0))
HOURLY = dataclasses.replace(SPEC, hourly=(SPEED,), n_hours=30, mean=(7.0, 400.0, 0.0), std=(0.5, 100.0, 10.0))
#: All that can be asked for.
WIDE = InputSpec(
    (FLUENCE, "electron_flux_gt0p8mev|electron_flux_gt0p6mev", SPEED, "ae", "bz_gsm_min"),
    n_days=7,
    rotation=(FLUENCE, SPEED),
    rotations=(1, 2),
    statistics=(9, 27),
    hourly=(SPEED, "electron_flux_gt2mev"),
    n_hours=42,
    hour_step=3,
    mean=(7.25, 4.0, 401.5, 2.0, -3.0, 400.0, 2.5),
    std=(0.5, 0.7, 99.0, 0.1, 4.0, 98.0, 0.6),
)


def made() -> xr.Dataset:
    variables = {
        FLUENCE: ("time", np.array([1e6, np.nan, 1e8, -5.0, np.nan]), attributes(FLUENCE)),
        SPEED: ("time", np.array([400.0, 400.0, np.nan, 400.0, 400.0]), attributes(SPEED)),
        f"{SPEED}_hourly": (("time", "hour"), np.arange(120.0).reshape(5, 24), attributes(SPEED)),
    }
    return xr.Dataset(variables)


def test_alternatives_are_one_driver() -> None:
    """What else is read beside the fluence is named once, by the first of its alternatives, with the hours."""
    flux = "electron_flux_gt0p8mev"
    assert WIDE.drivers == (flux, SPEED, "ae", "bz_gsm_min", f"{SPEED}_hourly", "electron_flux_gt2mev_hourly")
    assert SPEC.drivers == (SPEED,)


def test_scaling_is_fitted_to_what_is_known() -> None:
    """Shift and scale are mean and standard deviation, of logarithms where those are read; NaN counts for nothing."""
    history = made()
    spec = dataclasses.replace(HOURLY, mean=(), std=()).fit(history)
    np.testing.assert_allclose(spec.mean, [7.0, 400.0, 59.5])
    # What does not vary is left in its unit.
    np.testing.assert_allclose(spec.std, [1.0, 1.0, np.arange(120).std()])
    assert dataclasses.replace(spec, mean=(), std=()) == dataclasses.replace(HOURLY, mean=(), std=())
    with pytest.raises(MissingDataError, match=r"kp holds 0 values in the training periods; leave it out"):
        InputSpec((FLUENCE, "kp")).fit(history)
    history[FLUENCE][:] = np.nan
    with pytest.raises(MissingDataError, match=r"fluence_gt2mev holds 0 values"):
        SPEC.fit(history)


def test_card_round_trips_through_json() -> None:
    """What is written on a card is what comes back from it."""
    for spec in (SPEC, HOURLY, WIDE):
        assert InputSpec.from_dict(json.loads(json.dumps(dataclasses.asdict(spec)))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"daily": [SPEED, FLUENCE]}, "daily"),
        ({"daily": []}, "daily"),
        ({"daily": FLUENCE}, "daily"),
        ({"daily": None}, "NoneType"),
        ({"daily": [FLUENCE, "weather"]}, "names"),
        ({"daily": [FLUENCE, "satellite"]}, "names"),
        ({"daily": [FLUENCE, f"{SPEED}_hourly"]}, "names"),
        ({"daily": [FLUENCE, "kp|"]}, "names"),
        ({"hourly": ["weather"]}, "names"),
        ({"hourly": [f"{SPEED}|kp"]}, "names"),
        ({"n_days": 0}, "spans"),
        ({"n_days": 10**6}, "spans"),
        ({"n_days": "ten"}, "ten"),
        ({"n_days": 1e999}, "infinity"),
        ({"n_hours": -1}, "spans"),
        ({"n_hours": 0}, "hours"),
        ({"n_hours": 31, "hour_step": 3}, "hours"),
        ({"hour_step": 0}, "spans"),
        ({"hourly": [], "mean": [7, 400], "std": [1, 1]}, "hours"),
        ({"rotation": ["kp"]}, "rotation"),
        ({"rotations": [0]}, "spans"),
        ({"rotations": []}, "rotation"),
        ({"statistics": [27, 0]}, "spans"),
        ({"statistics": [27, 1001]}, "spans"),
        ({"statistics": 27}, "not iterable"),
        ({"mean": [7.0, 400.0]}, "scales"),
        ({"std": [1.0, 1.0]}, "scales"),
        ({"std": [1.0, 0.0, 1.0]}, "scales"),
        ({"std": [1.0, -1.0, 1.0]}, "scales"),
        ({"std": [1.0, 1.0, float("nan")]}, "scales"),
        ({"std": [1.0, 1.0, 1e999]}, "scales"),
        ({"mean": [1.0, 1.0, 1e999]}, "scales"),
        ({"mean": [1.0, 1.0, 10**400]}, "too large"),
        ({"mean": ["x", 1.0, 1.0]}, "could not convert"),
        ({"padding": "zeros"}, "unknown fields"),
    ],
)
def test_damaged_cards_are_refused(change: dict[str, Any], message: str) -> None:
    """Each entry that cannot be is one message that names it and says what to do."""
    record = dataclasses.asdict(HOURLY) | change
    with pytest.raises(ArtefactError, match=rf"the card misstates the inputs \(.*{message}.*\); train or install"):
        InputSpec.from_dict(record)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(InputSpec)])
def test_cards_without_an_entry_are_refused(field: str) -> None:
    """No entry has a default on a card."""
    record = dataclasses.asdict(HOURLY)
    del record[field]
    with pytest.raises(ArtefactError, match=rf"the card misstates the inputs \('{field}'\)"):
        InputSpec.from_dict(record)


@pytest.mark.parametrize("record", [None, [], "inputs", 3])
def test_cards_of_other_types_are_refused(record: Any) -> None:
    """Inputs that are no mapping are refused with the same message."""
    with pytest.raises(ArtefactError, match="the card misstates the inputs"):
        InputSpec.from_dict(record)
