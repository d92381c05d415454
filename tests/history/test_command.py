from __future__ import annotations

import json
import shlex

import numpy as np
import pandas as pd
import pytest

from particleflux import cli
from particleflux.export import Provenance
from particleflux.history import open_history


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Give a folder of two satellites by the hour, which differ by 0.3 dex, and of Dst; 150 days from 2014 on."""
    folder = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(11)
    days = 7 + np.convolve(rng.normal(0, 0.5, 190), 0.7 ** np.arange(40), mode="full")[40:190]
    time = pd.date_range("2014-01-01", periods=150 * 24, freq="1h").strftime("%Y-%m-%dT%H:%M:%SZ")
    for satellite, offset in (("GOES-13", 0.0), ("GOES-15", 0.3)):
        flux = np.repeat(10 ** (days + offset) / 86400, 24) * 10 ** rng.normal(0, 0.02, 150 * 24)
        # GOES-13 is absent from day 100 on, and on 10 days before.
        flux[(satellite == "GOES-13") & ((np.arange(3600) >= 2400) | (np.arange(3600) // 240 == 3))] = np.nan
        table = pd.DataFrame({"time": time, "e_gt_0p8MeV": flux * 50, "e_gt_2MeV": flux})
        with (folder / f"{satellite}.csv").open("w") as stream:
            stream.write(f"# {satellite} hourly\n")
            table.to_csv(stream, index=False)
    pd.DataFrame({"time": time, "dst_nT": -20}).to_csv(folder / "dst.csv", index=False)
    return folder


def two(files, *options: object) -> list[object]:
    electrons = [f"{name}={files / name}.csv" for name in ("GOES-13", "GOES-15")]
    return ["history", "--electrons", electrons[0], "--electrons", electrons[1], "--dst", files / "dst.csv", *options]


def test_files_become_a_history(files, tmp_path, capsys):
    """Sources in, a history out that `open_history` reads; stdout stays empty, the summary is on stderr."""
    out = tmp_path / "history.nc"
    assert run(*two(files, "-o", out)) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "150 days, 2014-01-01 to 2014-05-30; 150 with a fluence above 2 MeV" in shown.err
    assert "GOES-13: 90 days, 2014-01-01 to 2014-04-10; as measured" in shown.err
    assert "solar_wind_speed: 150 days without" in shown.err
    assert f"written: {out}" in shown.err
    history = open_history(out)
    assert (history["dst"] == -20).all()
    assert history["electron_flux_gt2mev_hourly"].shape == (150, 24)
    provenance = Provenance.from_attributes(history.attrs)
    assert provenance is not None
    assert [item["name"] for item in provenance.input_files] == ["GOES-13.csv", "GOES-15.csv", "dst.csv"]
    assert provenance.command == shlex.join(map(str, ["particleflux", *two(files, "-o", out)]))


def test_a_reference_calibrates(files, tmp_path, capsys):
    """With --reference the other satellite is brought to its scale by their overlap, and the table is written."""
    out, table = tmp_path / "history.nc", tmp_path / "table.csv"
    assert run(*two(files, "-o", out, "--reference", "GOES-13", "--calibration", table)) == 0
    assert "GOES-15: 60 days, 2014-01-31 to 2014-05-30; overlap" in capsys.readouterr().err
    history = open_history(out)
    ratio = np.log10(history["fluence_gt2mev"] / history["fluence_gt2mev_measured"]).to_numpy()
    codes = history["calibration"].to_numpy()
    assert set(codes.tolist()) == {0, 1}
    np.testing.assert_allclose(ratio[codes == 0], 0, atol=1e-12)
    np.testing.assert_allclose(ratio[codes == 1], -0.3, atol=0.05)
    rows = pd.read_csv(table).set_index("satellite")
    assert rows.loc["GOES-15", "offset"] == pytest.approx(-0.3, abs=0.01)
    provenance = Provenance.from_attributes(history.attrs)
    assert provenance is not None
    assert {each["satellite"] for each in provenance.settings["calibrations"]} == {"GOES-13", "GOES-15"}


def test_calibration_looks_at_its_periods_only(files, tmp_path):
    """Calibrations on some days are the same whatever the other days hold."""
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for name in ("GOES-13.csv", "GOES-15.csv", "dst.csv"):
        (spoilt / name).write_text((files / name).read_text())
    lines = (spoilt / "GOES-15.csv").read_text().splitlines()
    late = [number for number, line in enumerate(lines) if "2014-04" in line]
    for number in late:
        lines[number] = lines[number].rpartition(",")[0] + ",5.0"
    (spoilt / "GOES-15.csv").write_text("\n".join(lines) + "\n")
    found = []
    for folder in (files, spoilt):
        out = tmp_path / f"{folder.name}.nc"
        options = ["-q", "-o", out, "--reference", "GOES-13", "--calibrate-on", "2014-01-01/2014-03-31"]
        assert run(*two(folder, *options)) == 0
        provenance = Provenance.from_attributes(open_history(out).attrs)
        assert provenance is not None
        found.append(json.dumps(provenance.settings["calibrations"]))
    assert found[0] == found[1]


def test_days_alone_as_csv(files, tmp_path):
    """A .csv holds the days, and is read back as what the .nc holds of them."""
    for name in ("history.nc", "history.csv"):
        assert run(*two(files, "-q", "-o", tmp_path / name)) == 0
    table, whole = open_history(tmp_path / "history.csv"), open_history(tmp_path / "history.nc")
    assert "hour" not in table.dims
    np.testing.assert_array_equal(table["fluence_gt2mev"], whole["fluence_gt2mev"])


def test_range_exclusion_and_day(files, tmp_path):
    """--start, --stop, --exclude and --day-start reach the assembly."""
    out = tmp_path / "history.nc"
    options = ["--start", "2014-02-01", "--stop", "2014-02-20", "--day-start", "7"]
    assert run(*two(files, "-q", "-o", out, *options, "--exclude", "GOES-13=2014-02-10/2014-02-12")) == 0
    history = open_history(out)
    assert history["time"].to_numpy()[0] == np.datetime64("2014-02-01T07")
    assert history["time"].to_numpy()[-1] == np.datetime64("2014-02-20T07")
    others = history["time"][history["satellite"] == "GOES-15"]
    assert {8, 9, 10, 11, 12} & set(others.dt.day.to_numpy().tolist()) >= {10, 11}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "history.nc"], "found no electrons; give at least one source"),
        (["-o", "history.png", "--dpd", "x"], "history.png"),
        (["-o", "history.nc", "--dpd", "absent"], "absent does not exist"),
        (["-o", "history.nc", "--electrons", "GOES-13"], "--electrons: found 'GOES-13', expected SATELLITE=VALUE"),
        (["-o", "history.nc", "--electrons", "XMM={files}/GOES-13.csv"], "XMM"),
        (["-o", "history.nc", "--electrons", "GOES-13={files}/GOES-15.csv"], "is of GOES-15, not of GOES-13"),
        (["-o", "history.nc", "--electrons", "{g13}", "--estimate"], "--reference: --calibrate-on"),
        (["-o", "history.nc", "--electrons", "{g13}", "--reference", "GOES-11"],
         "--reference: found 'GOES-11', expected one of GOES-13"),
        (["-o", "history.nc", "--electrons", "{g13}", "--exclude", "GOES-9=2014"],
         "nothing to exclude of 'GOES-9'"),
        (["-o", "history.nc", "--electrons", "{g13}", "--exclude", "GOES-13=then"], "period 'then'"),
        (["-o", "history.nc", "--electrons", "{g13}", "--start", "2020-01-01"], "no whole day in"),
        (["-o", "history.nc", "--electrons", "{g13}", "--feeds", "{files}/no"], "is no folder"),
        (["-o", "history.nc", "--electrons", "{g13}", "--feeds", "{files}"], "holds no feed; run"),
    ],
)  # fmt: skip
def test_mistakes_are_one_message(files, tmp_path, monkeypatch, capsys, arguments, message):
    """A user's mistake is one line on stderr that says what to do, exit status 2, and no file."""
    monkeypatch.chdir(tmp_path)
    assert run("history", *(item.format(files=files, g13=f"GOES-13={files}/GOES-13.csv") for item in arguments)) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(error) == 1
    assert message in error[0]
    assert not (tmp_path / "history.nc").exists()


def test_two_products_of_a_satellite_are_told_apart(files, tmp_path):
    """A second source of one satellite gets a name of its own, and so a calibration of its own."""
    out = tmp_path / "history.nc"
    twice = ["--electrons", f"GOES-13={files / 'GOES-13.csv'}"] * 2
    assert run("history", "-q", "-o", out, *twice, "--reference", "GOES-13") == 0
    provenance = Provenance.from_attributes(open_history(out).attrs)
    assert provenance is not None
    assert [each["satellite"] for each in provenance.settings["calibrations"]] == ["GOES-13", "GOES-13/1h 2"]


def test_real_files_become_a_history(shared_data, tmp_path, capsys):
    """A year of every source: Kp and Dst of their files, a day of GOES-13 from either product, misdated days found."""
    folder, out = shared_data / "geo", tmp_path / "history.nc"
    arguments = [
        "--dpd", folder / "dpd" / "2014_DPD.txt", "--electrons", f"GOES-13/science={folder / 'goes13'}",
        "--omni", folder / "omni2" / "omni2_2014.dat", "--kp", folder / "kp" / "2014.txt",
        "--dst", folder / "dst_2014-2016.csv", "--start", "2014-01-01", "--stop", "2014-12-31",
        "--reference", "GOES-13",
    ]  # fmt: skip
    assert run("history", "-o", out, *arguments) == 0
    shown = capsys.readouterr().err
    assert "365 days, 2014-01-01 to 2014-12-31; 36" in shown
    assert "GOES-13 agrees with GOES-13/science of the day after" in shown
    history = open_history(out)
    assert history.attrs["satellite"] == "GOES-13"
    assert (history["calibration"] <= 1).all()
    assert float((history["calibration"] == 0).mean()) > 0.98
    assert history["kp"].attrs["preference"] == "kp, omni"
    # The storm of 2014-02-19 in the file of Dst.
    assert float(history["dst_min"].sel(time="2014-02-19")) == -119
    assert float(history["kp_sum"].sel(time="2014-02-19")) > 30
    assert 8 < float(history["standoff"].mean()) < 12


def test_feeds_go_on_where_the_rest_ends(files, tmp_path, capsys):
    """Saved feeds add the days after the archives, by the satellite they name; feeds that are absent are named."""
    folder = tmp_path / "feeds"
    folder.mkdir()
    times = pd.date_range("2014-05-31", periods=2 * 288 + 10, freq="5min").strftime("%Y-%m-%dT%H:%M:%SZ")
    electrons = [{"time_tag": time, "satellite": 18, "flux": 250.0, "energy": ">=2 MeV"} for time in times]
    (folder / "goes-electrons-7-day.json").write_text(json.dumps(electrons))
    kp = [{"time_tag": str(time)[:19], "Kp": 3.0, "a_running": 15, "station_count": 8}
          for time in pd.date_range("2014-05-31", periods=16, freq="3h").strftime("%Y-%m-%dT%H:%M:%S")]  # fmt: skip
    (folder / "kp.json").write_text(json.dumps(kp))
    out = tmp_path / "history.nc"
    assert run(*two(files, "-o", out, "--feeds", folder)) == 0
    assert "holds no feed of solar wind, Dst; the history does without" in capsys.readouterr().err
    last = open_history(out).sel(time=slice("2014-05-31", None))
    # The third day of the feed is not over.
    np.testing.assert_allclose(last["electron_flux_gt2mev"], [250, 250], rtol=1e-6)
    assert last["satellite"].to_numpy().tolist() == ["GOES-18"] * 2
    np.testing.assert_allclose(last["kp_sum"], 24)
