"""Events as a report in the JSON format of CCMC's SEP Scoreboard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from particleflux.errors import DataError
from particleflux.products.events import Event
from particleflux.products.intervals import Interval

#: What the format takes, as its writer of 2021-08-11 lists it (https://ccmc.gsfc.nasa.gov/scoreboards/sep).
LOCATIONS = (
    "mercury", "venus", "earth", "mars", "psp", "stereoa", "stereob", "dawn", "juno", "L1", "L2", "L4", "L5"
)  # fmt: skip
MODES = ("forecast", "historical", "nowcast", "simulated_realtime_forecast")
SPECIES = ("electron", "proton", "helium", "helium3", "helium4", "oxygen", "iron", "ion")
#: Least share of a window with data for it to be called clear.
LEAST_COVERAGE = 0.5
_PFU, _FLUENCE = "pfu", "cm^-2"


def scoreboard(
    events: Sequence[Event],
    *,
    window: tuple[str, str],
    issue_time: str,
    location: str,
    energy: float = 10.0,
    threshold: float = 10.0,
    observatory: str = "",
    instrument: str = "",
    species: str = "proton",
    mode: str = "nowcast",
    short_name: str = "particleflux",
    spase_id: str = "",
    coverage: float = 1.0,
) -> dict[str, Any]:
    """Write events as a submission to CCMC's SEP Scoreboard.

    What was measured in a window is reported as that window's forecast: one entry, as the format allows one for each
    energy channel of a file. `peak_intensity` and `peak_intensity_max` are those of the strongest event; bounds of the
    68 % interval are given as values, not as differences. Fluences are those from all sides, 4 pi times the
    directional one, as the validation of the Scoreboard takes them; the list runs beside `event_lengths`, and what
    has no end yet has none there. `all_clear_boolean` is false where an event is in the window; where none was found
    but less than half of the window was seen, `all_clear` is left out: no data are no all-clear.

    Parameters
    ----------
    events : sequence of Event
        All of one energy and one threshold.
    window : tuple of two str
        First and last instant that the events were looked for in, ISO 8601 with Z.
    issue_time : str
        When the report was made.
    location : str
        Where it was measured, one of `LOCATIONS`.
    energy : float
        Integral flux above this energy, MeV.
    threshold : float
        Flux that makes an event, cm-2 s-1 sr-1.
    observatory, instrument : str
        Who measured; empty is left out.
    species : str
        Particles, one of `SPECIES`.
    mode : str
        One of `MODES`: nowcast for what comes in, historical for what lies in an archive.
    short_name : str
        Name on the Scoreboard, 30 characters at most.
    spase_id : str
        Registered address of the model's description; empty is left out.
    coverage : float
        Share of the window with data, 0 to 1, as `survey` gives it.

    Returns
    -------
    dict
        One key, `sep_forecast_submission`: what `json.dump` writes.

    Raises
    ------
    DataError
        If location, mode, species or name is none the format takes, an event is of another energy, or the coverage is
        no share.

    References
    ----------
    CCMC, Examples of JSON data files for the SEP Scoreboard,
    https://ccmc.gsfc.nasa.gov/scoreboards/sep/example-sepsb-json/.
    """
    for name, found, known in (
        ("location", location, LOCATIONS), ("mode", mode, MODES), ("species", species, SPECIES)
    ):  # fmt: skip
        if found not in known:
            msg = f"scoreboard: found {name} {found!r}, which the format does not take; give one of {', '.join(known)}"
            raise DataError(msg)
    if not 0.0 <= coverage <= 1.0:
        msg = f"scoreboard: found coverage {coverage:g}, expected a share from 0 to 1; correct it"
        raise DataError(msg)
    if not 1 <= len(short_name) <= 30:
        msg = f"scoreboard: found a short name of {len(short_name)} characters, expected 1 to 30; shorten it"
        raise DataError(msg)
    for event in events:
        if event.energy != energy:
            msg = (
                f"scoreboard: found an event above {event.energy:g} MeV in a report above {energy:g} MeV, expected one "
                "energy; report them apart"
            )
            raise DataError(msg)
    forecast: dict[str, Any] = {
        "energy_channel": {"min": energy, "max": -1, "units": "MeV"},
        "species": species,
        "location": location,
        "prediction_window": {"start_time": window[0], "end_time": window[1]},
    }
    if events or coverage >= LEAST_COVERAGE:
        clear = {"all_clear_boolean": not events, "threshold": threshold, "threshold_units": _PFU}
        forecast["all_clear"] = clear
    if events:
        strongest = max(events, key=lambda event: _number(event.peak.value))
        forecast["peak_intensity"] = _intensity(strongest)
        forecast["peak_intensity_max"] = _intensity(strongest)
        forecast["event_lengths"] = [_length(event) for event in events]
        forecast["fluences"] = [_fluence(event) for event in events]
        crossings = [_crossing(event) for event in events if event.threshold_crossing is not None]
        forecast |= {"threshold_crossings": crossings} if crossings else {}
    intensity = {"observatory": observatory, "instrument": instrument, "last_data_time": window[1]}
    ongoing = [
        {"start_time": event.onset.value, "threshold": event.threshold, "energy_min": energy, "energy_max": -1}
        for event in events
        if event.end.value is None
    ]
    trigger = {key: value for key, value in intensity.items() if value} | (
        {"ongoing_events": ongoing} if ongoing else {}
    )
    model = {"short_name": short_name} | ({"spase_id": spase_id} if spase_id else {})
    submission = {
        "model": model,
        "issue_time": issue_time,
        "mode": mode,
        "triggers": [{"particle_intensity": trigger}],
        "inputs": [],
        "forecasts": [forecast],
    }
    return {"sep_forecast_submission": submission}


def _number(value: float | str | None) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _range(interval: Interval, factor: float = 1.0) -> dict[str, float]:
    ends = {"uncertainty_low": _number(interval.lower) * factor, "uncertainty_high": _number(interval.upper) * factor}
    return ends if all(math.isfinite(end) for end in ends.values()) else {}


def _intensity(event: Event) -> dict[str, Any]:
    return {
        "intensity": event.peak.value, "units": _PFU, **_range(event.peak), "time": event.peak_time.value
    }  # fmt: skip


def _length(event: Event) -> dict[str, Any]:
    end = {} if event.end.value is None else {"end_time": event.end.value}
    return {"start_time": event.onset.value, **end, "threshold": event.threshold, "threshold_units": _PFU}


def _fluence(event: Event) -> dict[str, Any]:
    factor = 4.0 * math.pi
    return {
        "fluence": _number(event.fluence.value) * factor, "units": _FLUENCE, **_range(event.fluence, factor)
    }  # fmt: skip


def _crossing(event: Event) -> dict[str, Any]:
    return {
        "crossing_time": event.threshold_crossing, "threshold": event.threshold, "threshold_units": _PFU
    }  # fmt: skip
