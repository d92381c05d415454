from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from particleflux.errors import DataError, MissingDataError, UnitError
from particleflux.io import feeds
from particleflux.io.feeds import open_swpc_dst, open_swpc_electrons, open_swpc_kp, open_swpc_solar_wind
from particleflux.names import require

READERS: dict[str, Callable[..., xr.Dataset]] = {
    "electrons": open_swpc_electrons,
    "kp": open_swpc_kp,
    "dst": open_swpc_dst,
    "solar wind": open_swpc_solar_wind,
}
GOOD: dict[str, list[Any]] = {
    "electrons": [{"time_tag": "2026-05-06T00:00:00Z", "satellite": 19, "flux": 1634.5, "energy": ">=2 MeV"}],
    "kp": [{"time_tag": "2026-05-06T00:00:00", "Kp": 1.33, "a_running": 5, "station_count": 8}],
    "dst": [{"time_tag": "2026-05-06T00:00:00", "dst": -22}],
    "solar wind": [
        {"time_tag": "2026-05-06T00:00:00", "active": True, "source": "SOLAR1", "proton_speed": 276.9,
         "proton_density": 3.09, "overall_quality": 0}
    ],
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an answer."""

    def write(rows: object, name: str = "answer.json") -> Path:
        path = tmp_path / name
        path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
        return path

    return write


def electrons(*rows: tuple[str, object, object], energy: str = ">=2 MeV") -> list[dict[str, object]]:
    return [{"time_tag": time, "satellite": sat, "flux": flux, "energy": energy} for time, sat, flux in rows]


def wind(time: str, speed: object = 400.0, **more: object) -> dict[str, object]:
    return {"time_tag": time, "active": True, "source": "SOLAR1", "proton_speed": speed, "proton_density": 5.0, **more}


def test_electrons_are_labelled(write):
    """The flux above 2 MeV comes with its unit, its 5-minute cadence and the satellite's name."""
    path = write(electrons(("2026-05-06T00:05:00Z", 18, 20.5), ("2026-05-06T00:00:00Z", 18, 1.5e3)))
    dataset = open_swpc_electrons(path)
    require(dataset, "electron_flux_gt2mev")
    assert dataset["electron_flux_gt2mev"].values.tolist() == [1500, 20.5]
    assert dataset["time"].values[0] == np.datetime64("2026-05-06T00:00")
    assert dataset["time"].dtype == np.dtype("datetime64[ns]")
    assert dataset.attrs["cadence"] == "5min"
    assert dataset.attrs["satellite"] == "GOES-18"
    assert dataset.attrs["source_files"] == ["answer.json"]


@pytest.mark.parametrize("flux", [None, 0, 0.0, -1, -99999, -9999.9, 1e30, "", "null", "NaN", "-9999.9"])
def test_electrons_have_no_fill_values(write, flux):
    """Null, fills, zero and negative fluxes are NaN."""
    dataset = open_swpc_electrons(write(electrons(("2026-05-06T00:00:00Z", 18, flux), ("2026-05-06T00:05:00Z", 18, 1))))
    np.testing.assert_array_equal(dataset["electron_flux_gt2mev"], [np.nan, 1])


def test_numbers_that_json_allows_and_physics_does_not(write):
    """NaN and Infinity literals, and numbers no float holds, are NaN."""
    row = '{"time_tag":"2026-05-06T00:%s:00Z","satellite":18,"energy":">=2 MeV","flux":%s}'
    text = ",".join(row % (f"{5 * i:02d}", x) for i, x in enumerate(("NaN", "Infinity", "-1e999", "9" * 400, "7")))
    np.testing.assert_array_equal(open_swpc_electrons(write(f"[{text}]"))["electron_flux_gt2mev"][:4], [np.nan] * 4)


def test_electrons_above_other_energies(write):
    """0.8 MeV has its own variable; other energies, and those of differential channels, are not mixed in."""
    time = "2026-05-06T00:00:00Z"
    rows = [*electrons((time, 18, 10)), *electrons((time, 18, 900), energy=">=0.8 MeV")]
    rows += electrons((time, 18, 5), energy=">=4 MeV") + electrons((time, 18, 1), energy="80-115 keV")
    dataset = open_swpc_electrons(write(rows))
    require(dataset, "electron_flux_gt0p8mev")
    assert dataset["electron_flux_gt2mev"].item() == 10
    assert dataset["electron_flux_gt0p8mev"].item() == 900
    assert set(dataset.data_vars) == {"electron_flux_gt2mev", "electron_flux_gt0p8mev"}


def test_electrons_of_another_satellite_are_told_apart(write):
    """Where the primary satellite changes inside the feed, each time names its own; a time without one is NaN."""
    rows = electrons(
        ("2026-05-06T00:00:00Z", 16, 1), ("2026-05-06T00:05:00Z", 19, 2), ("2026-05-06T00:10:00Z", None, 3)
    )
    dataset = open_swpc_electrons(write(rows))
    assert dataset["satellite"].values.tolist() == ["GOES-16", "GOES-19", ""]
    assert "satellite" not in dataset.attrs
    np.testing.assert_array_equal(dataset["electron_flux_gt2mev"], [1, 2, np.nan])


@pytest.mark.parametrize(
    ("value", "name"), [(18, "GOES-18"), ("18", "GOES-18"), ("GOES-19", "GOES-19"), ("g16", "GOES-16")]
)
def test_satellites_have_one_spelling(write, value, name):
    """Number or name, the satellite is GOES-<number>."""
    assert open_swpc_electrons(write(electrons(("2026-05-06T00:00:00Z", value, 1)))).attrs["satellite"] == name


@pytest.mark.parametrize("value", ["HIMAWARI", True, 0, 18.5, [18]])
def test_a_satellite_that_is_none_is_refused(write, value):
    """A satellite without a GOES number stops the reading."""
    with pytest.raises(DataError, match=r"entry 1: satellite is .* expected the number of a GOES satellite"):
        open_swpc_electrons(write(electrons(("2026-05-06T00:00:00Z", value, 1))))


def test_two_satellites_at_one_time_are_refused(write):
    """Primary and secondary mixed in one file is no series."""
    rows = electrons(("2026-05-06T00:00:00Z", 18, 1), ("2026-05-06T00:00:00Z", 19, 2))
    with pytest.raises(DataError, match=r"GOES-18 and GOES-19 both at 2026-05-06 00:00.*primary and secondary"):
        open_swpc_electrons(write(rows))


def test_a_feed_without_2_mev_is_refused(write):
    """The differential feed is not taken for the integral one."""
    rows = electrons(("2026-05-06T00:00:00Z", 18, 1), energy="80-115 keV")
    with pytest.raises(DataError, match="found the energies 80-115 keV, expected '>=2 MeV'"):
        open_swpc_electrons(write(rows))


def test_repeated_rows(write):
    """A row that comes twice counts once; two values for one time contradict, and are NaN."""
    rows = electrons(("2026-05-06T00:00:00Z", 18, 1), ("2026-05-06T00:00:00Z", 18, 1), ("2026-05-06T00:05:00Z", 18, 2))
    rows += electrons(("2026-05-06T00:05:00Z", 18, 3))
    np.testing.assert_array_equal(open_swpc_electrons(write(rows))["electron_flux_gt2mev"], [1, np.nan])


def test_answers_add_up(write):
    """Overlapping answers join; the one that reaches further counts, except where it has a gap."""
    t = [f"2026-05-06T00:{5 * i:02d}:00Z" for i in range(4)]
    write(electrons((t[1], 18, 20), (t[2], 18, None), (t[3], 18, 4)), "goes-electrons-1.json")
    write(electrons((t[0], 18, 1), (t[1], 18, 2), (t[2], 18, 3)), "goes-electrons-2.json")
    folder = write({"url": "x"}, "goes-electrons-1.provenance.json").parent
    write("half of", ".goes-electrons-3.json")
    write(GOOD["kp"], "kp.json")
    for paths in (
        folder,
        str(folder / "goes-e*"),
        [folder / "goes-electrons-2.json", folder / "goes-electrons-1.json"],
    ):
        dataset = open_swpc_electrons(paths)
        assert dataset["electron_flux_gt2mev"].values.tolist() == [1, 20, 3, 4]
        assert sorted(dataset.attrs["source_files"]) == ["goes-electrons-1.json", "goes-electrons-2.json"]


def test_answers_of_two_satellites_warn(write):
    """Where answers of two satellites overlap, a warning says which one is used."""
    first = write(electrons(("2026-05-06T00:00:00Z", 16, 1), ("2026-05-06T00:05:00Z", 16, 2)), "a.json")
    second = write(electrons(("2026-05-06T00:05:00Z", 19, 20), ("2026-05-06T00:10:00Z", 19, 30)), "b.json")
    with pytest.warns(UserWarning, match="GOES-16 and GOES-19 overlap from 2026-05-06 00:05.*GOES-19, in the file"):
        dataset = open_swpc_electrons([second, first])
    assert dataset["satellite"].values.tolist() == ["GOES-16", "GOES-19", "GOES-19"]
    assert dataset["electron_flux_gt2mev"].values.tolist() == [1, 20, 30]


def test_kp_as_objects(write):
    """Since 2026 Kp comes as objects: exact thirds, and ap by definition."""
    rows = [
        {"time_tag": f"2026-05-06T{3 * i:02d}:00:00", "Kp": kp} for i, kp in enumerate((0.0, 1.33, 4.67, 9.0, None))
    ]
    dataset = open_swpc_kp(write(rows))
    require(dataset, "kp", "ap")
    np.testing.assert_array_equal(dataset["kp"], [0, 4 / 3, 14 / 3, 9, np.nan])
    np.testing.assert_array_equal(dataset["ap"], [0, 5, 39, 400, np.nan])
    assert dataset.attrs["cadence"] == "3h"


def test_kp_as_lists(write):
    """Before, Kp came as lists of text below headings; the column with the thirds goes before the rounded one."""
    rows = [
        ["time_tag", "Kp", "Kp_fraction", "a_running", "station_count"],
        ["2024-05-10 18:00:00.000", "9", "8.67", "300", "8"],
        ["2024-05-10 21:00:00.000", "9", "9.00", "400", "8"],
        ["2024-05-11 00:00:00.000", "9", "0.33", "400", "8"],
        ["2024-05-11 03:00:00.000", "0", "0.00", "0", "0"],
        ["2024-05-11 06:00:00.000", "-1", "-1.00", "-1", "8"],
    ]
    np.testing.assert_array_equal(open_swpc_kp(write(rows))["kp"], [26 / 3, 9, np.nan, np.nan, np.nan])
    without = [[time, kp, *rest] for time, kp, _, *rest in rows]
    np.testing.assert_array_equal(open_swpc_kp(write(without))["kp"], [9, 9, 9, np.nan, np.nan])


def test_predicted_kp_is_not_read(write):
    """Of the forecast feed only what was observed counts: the rest would be a look ahead."""
    rows = [
        {"time_tag": "2026-05-06T00:00:00", "kp": 3.67, "observed": "observed", "noaa_scale": None},
        {"time_tag": "2026-05-06T03:00:00", "kp": 4.0, "observed": "estimated", "noaa_scale": None},
        {"time_tag": "2026-05-06T06:00:00", "kp": 5.0, "observed": "predicted", "noaa_scale": "G1"},
    ]
    dataset = open_swpc_kp(write(rows))
    assert dataset["kp"].values.tolist() == [11 / 3]
    with pytest.raises(DataError, match="no observed Kp, only estimates and predictions"):
        open_swpc_kp(write(rows[1:]))


def test_ten_kp_is_refused(write):
    """Ten times Kp is another unit; a single impossible value is NaN."""
    times = [f"2026-05-06T{3 * i:02d}:00:00" for i in range(3)]
    with pytest.raises(UnitError, match=r"median of 27, expected Kp from 0 to 9; divide 10 Kp by 10"):
        open_swpc_kp(write([{"time_tag": time, "Kp": kp} for time, kp in zip(times, (27, 33, 7), strict=True)]))
    dataset = open_swpc_kp(write([{"time_tag": time, "Kp": kp} for time, kp in zip(times, (2, 33, 7), strict=True)]))
    np.testing.assert_array_equal(dataset["kp"], [2, np.nan, 7])


def test_running_kp_is_refused(write):
    """The one-minute running estimate restarts every three hours and is not a Kp."""
    rows = [{"time_tag": f"2026-05-06T00:0{i}:00", "kp_index": 1, "estimated_kp": 0.67, "kp": "1M"} for i in range(3)]
    with pytest.raises(
        DataError, match=r"entry 2: time_tag is '2026-05-06T00:01:00', expected a multiple of 0 days 03"
    ):
        open_swpc_kp(write(rows))
    with pytest.raises(DataError, match="lacks Kp: found the keys time_tag, k_index"):
        open_swpc_kp(write([{"time_tag": "2026-05-06T00:00:00", "k_index": 1}]))


@pytest.mark.parametrize("rows", [
    [["time_tag", "dst"], ["2026-05-06 00:00:00", "-22"], ["2026-05-06 01:00:00", "9999"]],
    [{"time_tag": "2026-05-06T01:00:00", "dst": None}, {"time_tag": "2026-05-06T00:00:00", "dst": -22}],
])  # fmt: skip
def test_dst(write, rows):
    """Dst is hourly, in nT, from either form of the feed."""
    dataset = open_swpc_dst(write(rows))
    require(dataset, "dst")
    np.testing.assert_array_equal(dataset["dst"], [-22, np.nan])
    assert dataset.attrs["cadence"] == "1h"


def test_solar_wind_joins_plasma_and_field(write):
    """Plasma and field join on the union of their minutes, the active spacecraft's rows only, newest first or not."""
    plasma = write([
        wind("2026-05-06T00:02:00", 410.0),
        wind("2026-05-06T00:02:00", 300.0, active=False, source="ACE"),
        wind("2026-05-06T00:01:00", 400.0),
    ], "rtsw_wind_1m.json")  # fmt: skip
    field = write([
        {"time_tag": "2026-05-06T00:01:02", "active": True, "source": "IMAP", "bt": 5, "by_gsm": 3, "bz_gsm": -4,
         "max_data_flag": -9999, "overall_quality": 0},
        {"time_tag": "2026-05-06T00:00:02", "active": True, "source": "IMAP", "bt": -9999.9, "by_gsm": 3,
         "bz_gsm": 1e5},
    ], "rtsw_mag_1m.json")  # fmt: skip
    for paths in ([plasma, field], plasma.parent):
        dataset = open_swpc_solar_wind(paths)
        require(dataset, "solar_wind_speed", "solar_wind_density", "b_total", "by_gsm", "bz_gsm")
        assert np.diff(dataset["time"]).tolist() == [60_000_000_000] * 2
        np.testing.assert_array_equal(dataset["solar_wind_speed"], [np.nan, 400, 410])
        np.testing.assert_array_equal(dataset["b_total"], [np.nan, 5, np.nan])
        np.testing.assert_array_equal(dataset["by_gsm"], [3, 3, np.nan])
        np.testing.assert_array_equal(dataset["bz_gsm"], [np.nan, -4, np.nan])
        assert dataset.attrs["spacecraft"] == "IMAP, SOLAR1"
        assert dataset.attrs["cadence"] == "1min"


def test_solar_wind_of_the_7_day_files(write):
    """The files of before April 2026, lists of text below headings, read the same; one kind alone is enough."""
    plasma = write([["time_tag", "density", "speed", "temperature"],
                    ["2024-05-10 17:00:00.000", "12.5", "720.5", "200000"],
                    ["2024-05-10 17:01:00.000", None, "-99999.9", None],
                    ["2024-05-10 17:02:00.000", "0", "715", "1"]], "plasma-7-day.json")  # fmt: skip
    field = write([["time_tag", "bx_gsm", "by_gsm", "bz_gsm", "lon_gsm", "lat_gsm", "bt"],
                   ["2024-05-10 17:00:00.000", "1", "2", "-30.5", "120", "10", "31"]], "mag-7-day.json")  # fmt: skip
    dataset = open_swpc_solar_wind(plasma)
    assert set(dataset.data_vars) == {"solar_wind_speed", "solar_wind_density"}
    np.testing.assert_array_equal(dataset["solar_wind_speed"], [720.5, np.nan, 715])
    np.testing.assert_array_equal(dataset["solar_wind_density"], [12.5, np.nan, np.nan])
    assert "spacecraft" not in dataset.attrs
    assert open_swpc_solar_wind([field, plasma])["bz_gsm"].values[0] == -30.5


def test_solar_wind_quality(write):
    """A row the feed calls suspect is NaN; 'not reported' is no fault."""
    rows = [wind(f"2026-05-06T00:0{i}:00", overall_quality=flag) for i, flag in enumerate((0, -9999, 1, 2, None))]
    speed = open_swpc_solar_wind(write(rows))["solar_wind_speed"]
    np.testing.assert_array_equal(speed, [400, 400, np.nan, np.nan, 400])


def test_two_active_spacecraft_contradict(write):
    """Where two spacecraft are active at once and differ, neither is believed."""
    rows = [wind("2026-05-06T00:00:00", 400.0), wind("2026-05-06T00:00:00", 500.0, source="ACE")]
    dataset = open_swpc_solar_wind(write(rows))
    assert np.isnan(dataset["solar_wind_speed"].item())
    assert dataset["solar_wind_density"].item() == 5


def test_solar_wind_without_an_active_spacecraft(write):
    """Rows that no forecaster stands behind are not used."""
    with pytest.raises(MissingDataError, match=r"no row of an active spacecraft, found inactive ACE, IMAP"):
        open_swpc_solar_wind(
            write([wind("2026-05-06T00:00:00", active=False, source=name) for name in ("IMAP", "ACE")])
        )
    with pytest.raises(DataError, match="lacks speed, density and field: found the keys time_tag, dst"):
        open_swpc_solar_wind(write(GOOD["dst"]))


def test_older_values_fill_gaps_of_newer_answers(write):
    """Kept answers of the solar wind join value by value; the one that reaches further counts."""
    t = [f"2026-05-06T00:0{i}:00" for i in range(3)]
    old = write([wind(t[0], 300.0), wind(t[1], 310.0)], "solar-wind-plasma-1.json")
    new = write([wind(t[0], None), wind(t[1], 400.0), wind(t[2], 500.0)], "solar-wind-plasma-2.json")
    for paths in ([old, new], [new, old]):
        assert open_swpc_solar_wind(paths)["solar_wind_speed"].values.tolist() == [300, 400, 500]


@pytest.mark.parametrize("kind", READERS)
def test_the_range_is_half_open(write, kind):
    """Start is inside, stop is not; a range without a sample says what there is."""
    rows = [{**GOOD[kind][0], "time_tag": f"2026-05-06T{hour:02d}:00:00"} for hour in (0, 3, 6)]
    path = write(rows)
    dataset = READERS[kind](path, start="2026-05-06T03:00", stop="2026-05-06T06:00")
    assert dataset["time"].values.tolist() == [np.datetime64("2026-05-06T03", "ns").astype(int)]
    assert READERS[kind](path, stop="2026-05-06").sizes["time"] == 3
    with pytest.raises(
        MissingDataError, match=r"no sample in \[2030.*holds 2026-05-06T00:00:00 to 2026-05-06T06:00:00"
    ):
        READERS[kind](path, start="2030-01-01")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("<!DOCTYPE html>\n<html><body>504 Gateway</body></html>", r"holds HTML or XML \('<!DOCTYPE html> <html>"),
        ("\ufeff  <html>", "holds HTML or XML"),
        ('[{"time_tag": "2026-05-06T00:00:00", "fl', r"no whole JSON document \(Unterminated.*begins"),
        ("[" * 200_000, r"no whole JSON document \(nested too deeply"),
        ('{"a":' * 200_000, r"no whole JSON document \(nested too deeply"),
        ("", "is empty: expected a JSON list of objects with time_tag"),
        (" \n", "is empty"),
        ("[]", "holds an empty list"),
        ('{"error": "not found"}', r"one JSON dict \('.\"error\": \"not found\"."),
        ("null", "one JSON NoneType"),
        ("42", "one JSON int"),
        ("[1, 2]", "entry 1: found 1, expected an object, or a list of headings"),
        ("[[], []]", r"entry 1: found \[\], expected an object"),
        ("[[1, 2], [3, 4]]", r"entry 1: found \[1, 2\], expected an object, or a list of headings"),
        ('[["time_tag", "time_tag"]]', "entry 1: found .* expected an object, or a list of headings"),
        ('[["time_tag", "dst"]]', "holds headings and no row"),
        ('[{"hello": 1}]', r"lacks .*found the keys hello"),
        ('[{"time_tag": "2026-05-06T00:00:00"}, 5]', "entry 2: found 5, expected an object like the first"),
        ('[["time_tag", "dst"], ["2026-05-06 00:00:00"]]', "entry 2: found .* expected a list of 2 values"),
        ("\x00" * 50, "no whole JSON document"),
        ("9" * 5000, r"no whole JSON document \(Exceeds the limit"),
        ("Service Unavailable", r"no whole JSON document \(Expecting value.*begins 'Service Unavailable'"),
    ],
    ids=range(22),
)  # fmt: skip
def test_what_is_no_feed_is_refused(write, kind, content, match):
    """A page, half a document, another shape or a bomb: one error that names the file and what was found."""
    path = write(content)
    with pytest.raises(DataError, match=match) as caught:
        READERS[kind](path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("time", [None, 5, "yesterday", "now", "2026-13-45T00:00:00", "2026-05-06", "06/05/2026 00:00",
                                  "2026-05-06T00:00:00+05:00", "9999-05-06T00:00:00", {"a": 1}])  # fmt: skip
def test_times_that_are_none_are_refused(write, kind, time):
    """A time tag that is no UTC time stops the reading, and the message says where."""
    with pytest.raises(DataError, match=r"answer.json, entry 2: time_tag is .*, expected a"):
        READERS[kind](write([GOOD[kind][0], {**GOOD[kind][0], "time_tag": time}]))


@pytest.mark.parametrize(
    ("kind", "key"), [("electrons", "flux"), ("kp", "Kp"), ("dst", "dst"), ("solar wind", "proton_speed")]
)
@pytest.mark.parametrize("value", ["high", "1_000", "٣", True, [], {"value": 3}, "0x1f", "1,5"])
def test_values_that_are_no_numbers_are_refused(write, kind, key, value):
    """A value that is neither number nor null is damage, not a gap."""
    with pytest.raises(DataError, match=rf"entry 1: {key} is .*, expected a number or null"):
        READERS[kind](write([{**GOOD[kind][0], key: value}]))


def test_a_key_that_one_object_lacks_is_a_gap(write):
    """An object without the value is a sample without it."""
    rows = [*GOOD["dst"], {"time_tag": "2026-05-06T01:00:00"}]
    np.testing.assert_array_equal(open_swpc_dst(write(rows))["dst"], [-22, np.nan])


def test_the_size_is_limited(write, monkeypatch):
    """A file of more than the limit is not parsed."""
    monkeypatch.setattr(feeds.document, "MOST_BYTES", 2**20)
    with pytest.raises(DataError, match="has more than 1 MiB: expected a feed of a few"):
        open_swpc_dst(write(" " * (2**20 + 1)))


@pytest.mark.parametrize("kind", READERS)
def test_paths_that_hold_nothing(tmp_path, kind):
    """An absent file, an empty folder, a pattern without a match and an empty list each say what was expected."""
    for paths in (tmp_path, tmp_path / "absent.json", f"{tmp_path}/*.json"):
        with pytest.raises(MissingDataError, match=r"found no file of .*, expected one such as"):
            READERS[kind](paths)
    with pytest.raises(MissingDataError, match="found an empty list of paths"):
        READERS[kind]([])


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    """What the system refuses is told with its reason."""
    path = tmp_path / "dst.json"
    path.symlink_to(tmp_path / "gone.json")
    with pytest.raises(MissingDataError, match="found no file of the Dst index"):
        open_swpc_dst(path)
    with pytest.raises(MissingDataError, match="does not exist: expected a saved feed"):
        feeds.document.read_feed(path, ("dst",))
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        feeds.document.read_feed(tmp_path, ("dst",))


KEYS = ("time_tag", "satellite", "flux", "energy", "Kp", "dst", "bt", "speed", "active", "observed", "source")
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from((*KEYS, "2026-05-06T00:00:00Z", "2026-05-06 03:00:00", ">=2 MeV", "-9999.9", "observed", "18")),
)
ROWS = st.one_of(st.dictionaries(st.sampled_from(KEYS), LEAVES), st.lists(LEAVES, max_size=4), LEAVES)


@pytest.mark.parametrize("kind", READERS)
@given(rows=st.one_of(LEAVES, st.lists(ROWS, max_size=4)))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_refused(write, kind, rows):
    """Whatever JSON an answer holds, it is a series sorted in time or a `DataError`."""
    path = write(rows)
    try:
        dataset = READERS[kind](path)
    except DataError:
        return
    assert (np.diff(dataset["time"]) > np.timedelta64(0)).all()
    assert dataset.sizes["time"] >= 1
