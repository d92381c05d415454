"""The report has the structure that CCMC's SEP Scoreboard reads."""

import json
import math
import re

import numpy as np
import pytest

from particleflux.errors import DataError
from particleflux.products import find_events, scoreboard

WHERE = {"window": ("2024-05-01T00:00:00Z", "2024-05-02T00:00:00Z"), "issue_time": "2024-05-02T01:00:00Z"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$"}
_LEVEL = {"threshold": {"type": "number"}, "threshold_units": {"const": "pfu"}}


def _object(required: dict, **optional: dict) -> dict:
    return {
        "type": "object", "required": list(required), "properties": required | optional, "additionalProperties": False
    }  # fmt: skip


_ENDS = {"uncertainty_low": {"type": "number"}, "uncertainty_high": {"type": "number"}}
_PEAK = _object({"intensity": {"type": "number"}, "units": {"const": "pfu"}}, time=_TIME, **_ENDS)
# Written from CCMC's description of required and optional fields, its examples and its writer script of 2021-08-11.
SCHEMA = _object({
    "sep_forecast_submission": _object(
        {
            "model": _object({"short_name": {"type": "string", "maxLength": 30}}, spase_id={"type": "string"}),
            "issue_time": _TIME,
            "mode": {"enum": ["forecast", "historical", "nowcast", "simulated_realtime_forecast"]},
            "forecasts": {"type": "array", "minItems": 1, "items": _object(
                {
                    "energy_channel": _object(
                        {"min": {"type": "number"}, "max": {"const": -1}, "units": {"const": "MeV"}}
                    ),
                    "species": {"enum": ["electron", "proton", "ion"]},
                    "location": {"type": "string"},
                    "prediction_window": _object({"start_time": _TIME, "end_time": _TIME}),
                },
                peak_intensity=_PEAK,
                peak_intensity_max=_PEAK,
                fluences={"type": "array", "items": _object(
                    {"fluence": {"type": "number"}, "units": {"const": "cm^-2"}}, **_ENDS)},
                event_lengths={"type": "array", "items": _object({"start_time": _TIME, **_LEVEL}, end_time=_TIME)},
                threshold_crossings={"type": "array", "items": _object({"crossing_time": _TIME, **_LEVEL})},
                all_clear=_object({"all_clear_boolean": {"type": "boolean"}, **_LEVEL}),
            )},
        },
        triggers={"type": "array", "items": _object({"particle_intensity": _object(
            {"last_data_time": _TIME}, observatory={"type": "string"}, instrument={"type": "string"},
            ongoing_events={"type": "array", "items": _object(
                {"start_time": _TIME, "threshold": {"type": "number"}, "energy_min": {"type": "number"},
                 "energy_max": {"const": -1}})},
        )})},
        inputs={"type": "array"},
    )
})  # fmt: skip


def validate(value, schema, where="report"):
    """Check a value against the few words of JSON Schema that are used above."""
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float), "boolean": bool}
    assert "type" not in schema or isinstance(value, kinds[schema["type"]]), where
    assert schema.get("type") != "number" or not isinstance(value, bool), where
    assert "const" not in schema or value == schema["const"], where
    assert "enum" not in schema or value in schema["enum"], where
    if isinstance(value, str):
        assert re.search(schema.get("pattern", ""), value), where
        assert len(value) <= schema.get("maxLength", 10_000), where
    if isinstance(value, list):
        assert len(value) >= schema.get("minItems", 0), where
        for number, item in enumerate(value):
            validate(item, schema.get("items", {}), f"{where}[{number}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        assert set(schema.get("required", [])) <= set(value), where
        assert set(value) <= set(known), where
        for key, item in value.items():
            validate(item, known[key], f"{where}.{key}")


def test_check_of_the_structure_sees_what_is_wrong():
    good = scoreboard((), location="mars", **WHERE)["sep_forecast_submission"]
    for wrong in ({"mode": "live"}, {"issue_time": "today"}, {"forecasts": []}, {"more": 1}):
        with pytest.raises(AssertionError):
            validate({"sep_forecast_submission": good | wrong}, SCHEMA)


@pytest.fixture
def events(series):
    values = np.full(288, 0.1)
    values[24:48], values[250:] = 300.0, 50.0
    return find_events(series(values, bounds={"_lower": 0.8 * values, "_upper": 1.2 * values}))


def test_report_has_the_structure_of_the_scoreboard(events):
    report = json.loads(json.dumps(scoreboard(events, location="earth", observatory="GOES-15", **WHERE)))
    validate(report, SCHEMA)
    forecast = report["sep_forecast_submission"]["forecasts"][0]
    assert forecast["all_clear"]["all_clear_boolean"] is False
    assert forecast["peak_intensity"]["intensity"] == 300.0
    assert forecast["peak_intensity"]["uncertainty_low"] == pytest.approx(240.0)
    assert len(forecast["event_lengths"]) == len(forecast["fluences"]) == 2
    assert forecast["fluences"][0]["fluence"] == pytest.approx(4 * math.pi * 24 * 300.0 * 300.0)
    assert "end_time" not in forecast["event_lengths"][1]
    trigger = report["sep_forecast_submission"]["triggers"][0]["particle_intensity"]
    assert trigger["ongoing_events"][0]["start_time"] == "2024-05-01T20:50:00Z"


def test_report_without_events_is_all_clear():
    report = scoreboard((), location="mars", **WHERE)
    validate(report, SCHEMA)
    forecast = report["sep_forecast_submission"]["forecasts"][0]
    assert forecast["all_clear"]["all_clear_boolean"] is True
    assert "peak_intensity" not in forecast


def test_window_that_was_mostly_not_seen_is_not_called_clear(events):
    for found, coverage, expected in (((), 0.5, True), ((), 0.49, None), (events, 0.1, False)):
        report = scoreboard(found, location="mars", coverage=coverage, **WHERE)
        validate(report, SCHEMA)
        clear = report["sep_forecast_submission"]["forecasts"][0].get("all_clear", {"all_clear_boolean": None})
        assert clear["all_clear_boolean"] is expected


def test_what_the_format_does_not_take_is_refused(events):
    for settings, words in (
        ({"location": "juice"}, "found location 'juice'"),
        ({"location": "earth", "mode": "live"}, "found mode 'live'"),
        ({"location": "earth", "species": "muon"}, "found species 'muon'"),
        ({"location": "earth", "short_name": "x" * 31}, "31 characters"),
        ({"location": "earth", "coverage": 1.5}, "found coverage 1.5"),
        ({"location": "earth", "energy": 30.0}, "an event above 10 MeV in a report above 30 MeV"),
    ):
        with pytest.raises(DataError, match=words):
            scoreboard(events, **WHERE, **settings)
