"""The card of a forecast in words."""

from __future__ import annotations

from typing import Any

import pytest

from particleflux.errors import ArtefactError
from particleflux.forecast.card import describe_card

CARD: dict[str, Any] = {
    "name": "geo",
    "created": "2026-11-21T10:00:00Z",
    "target": "daily fluence of electrons above 2 MeV, cm-2 sr-1 d-1",
    "reference": "GOES-8",
    "lead_times": [1, 2, 3],
    "inputs": {
        "daily": ["fluence_gt2mev", "kp|ap"], "n_days": 10, "hourly": ["dst", "kp"], "n_hours": 48,
    },
    "left_out": {"prediction_efficiency": [0.81234, 0.6, -0.1]},
    "training": {
        "members": 20, "days": 4000, "first_day": "1999-01-01", "last_day": "2016-12-31",
        "command": "particleflux train forecast history.nc -o geo",
    },
}  # fmt: skip


def test_cards_are_summed_up() -> None:
    """The summary says what is forecast, on which scale, from what, by how many, learnt where, and how well."""
    assert describe_card(CARD) == [
        ("forecasts", "daily fluence of electrons above 2 MeV, cm-2 sr-1 d-1; 1, 2, 3 days ahead"),
        ("scale", "GOES-8"),
        ("reads", "10 days of fluence_gt2mev, kp|ap; 48 hours of dst, kp"),
        ("networks", "20 with LSTM cells"),
        ("learnt from", "4000 days from 1999-01-01 to 2016-12-31"),
        ("efficiency", "0.812 / 0.600 / -0.100 on training days that networks were kept from"),
        ("trained", "2026-11-21T10:00:00Z by: particleflux train forecast history.nc -o geo"),
    ]


def test_cards_without_hours_and_scale_say_so() -> None:
    """A model that reads days only tells of no hours; one without a reference is for fluxes as measured."""
    shown = dict(describe_card({**CARD, "reference": "", "inputs": {**CARD["inputs"], "hourly": []}}))
    assert shown["reads"] == "10 days of fluence_gt2mev, kp|ap"
    assert shown["scale"] == "as measured"


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": None},
        {"inputs": {}},
        {"inputs": {"n_days": 3, "daily": [1], "hourly": []}},
        {"training": {"members": 2}},
        {"left_out": {"prediction_efficiency": ["good"]}},
        {"left_out": {"prediction_efficiency": 3}},
        {"lead_times": 3},
    ],
)
def test_damaged_cards_are_not_summed_up(changes: dict[str, Any]) -> None:
    """A card that misstates what is shown is one message."""
    with pytest.raises(ArtefactError, match="model 'geo': its card lacks or misstates"):
        describe_card({**CARD, **changes})


@pytest.mark.parametrize("entry", sorted(set(CARD) - {"name"}))
def test_cards_without_an_entry_are_not_summed_up(entry: str) -> None:
    """What is shown must be on the card."""
    with pytest.raises(ArtefactError, match=rf"model 'geo': its card lacks or misstates '{entry}'; train or install"):
        describe_card({key: value for key, value in CARD.items() if key != entry})
