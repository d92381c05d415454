"""The commands `events` and `dose`, from files to files."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest

from particleflux.cli import main
from particleflux.export import open_dataset, open_spectra, write_spectra

ENERGY = np.geomspace(5.0, 100.0, 12)


@pytest.fixture
def file(spectra, tmp_path):
    """Write spectra of a day with one event of 150 pfu from 06:00 to 12:00."""
    level = np.full(96, 0.1)
    level[24:48] = 150.0
    flux = level[:, None] * ENERGY**-2.0 / (0.1 - 0.001)
    bounds = {"_lower": 0.9, "_upper": 1.1, "_lower95": 0.8, "_upper95": 1.2}
    rows = spectra(ENERGY, flux, **{f"flux{key}": factor * flux for key, factor in bounds.items()})
    return write_spectra(rows.assign_attrs(instrument="radem"), tmp_path / "spectra.nc")


def test_events_lists_the_event_and_writes_it_with_its_provenance(file, tmp_path, capsys):
    out = tmp_path / "events.json"
    assert main(["events", str(file), "-o", str(out)]) == 0
    shown = capsys.readouterr()
    assert "2024-05-01 06:00" in shown.out
    assert "S2" in shown.out
    assert "1 events above 10 MeV" in shown.err
    document = json.loads(out.read_text())
    (event,) = document["events"]
    assert event["onset"]["value"] == "2024-05-01T06:00:00Z"
    assert event["peak"]["value"] == pytest.approx(150.0)
    assert event["peak"]["upper95"] == pytest.approx(180.0)
    assert document["provenance"]["input_files"][0]["name"] == "spectra.nc"
    assert document["provenance"]["settings"]["dwell"] == "3h"


def test_options_of_the_rule_reach_it(file, tmp_path, capsys):
    out = tmp_path / "events.json"
    assert main(["events", str(file), "-o", str(out), "--threshold", "151", "-q"]) == 0
    assert json.loads(out.read_text())["events"] == []
    quiet = "2024-05-01T00:00/2024-05-01T05:00"
    options = ["--rule", "background", "--quiet-time", quiet, "--sigma", "1"]
    assert main(["events", str(file), "-o", str(out), *options, "--stop", "2024-05-01T11:00"]) == 0
    (event,) = json.loads(out.read_text())["events"]
    assert event["threshold"] == pytest.approx(0.1)
    assert "still on" in capsys.readouterr().out


def test_scoreboard_is_written_where_the_place_is_known(file, tmp_path, capsys):
    out, report = tmp_path / "events.json", tmp_path / "report.json"
    assert main(["events", str(file), "-o", str(out), "--scoreboard", str(report)]) == 2
    assert "--location" in capsys.readouterr().err
    assert not out.exists()
    assert main(["events", str(file), "-o", str(out), "--scoreboard", str(report), "--location", "mars"]) == 0
    forecast = json.loads(report.read_text())["sep_forecast_submission"]["forecasts"][0]
    assert forecast["peak_intensity"]["intensity"] == pytest.approx(150.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rule", "own"], "--rule: found 'own'"),
        (["--sigma", "3"], "--sigma: found with --rule swpc"),
        (["--rule", "background", "--threshold", "3"], "--threshold: found with --rule background"),
        (["--rule", "background", "--quiet-time", "yesterday"], "--quiet-time: found 'yesterday'"),
        (["--rule", "background", "--quiet-time", "none"], "--quiet-time: found 'none' with --rule background"),
        (["--quiet-time", "auto"], "--quiet-time: found with --rule swpc"),
        (["--goes-energies", "nominal"], "--goes-energies: found with spectra that are not of GOES"),
        (["--location", "mars"], "--location: found without --scoreboard"),
        (["--location", "juice", "--scoreboard", "report.json"], "--location: found 'juice'"),
        (["--start", "2030-01-01"], "--start, --stop"),
        (["--dwell", "soon"], "dwell='soon'"),
        (["--energy", "2"], "expected at least 5 MeV"),
    ],
)
def test_mistakes_are_one_message_and_exit_2(file, tmp_path, capsys, options, words):
    out = tmp_path / "events.json"
    assert main(["events", str(file), "-o", str(out), *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert not out.exists()


def test_files_that_are_no_spectra_are_refused(file, tmp_path, capsys):
    out = tmp_path / "events.json"
    assert main(["events", str(tmp_path / "absent.nc"), "-o", str(out)]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["events", str(file), str(file), "-o", str(out)]) == 2
    assert "found 2 files" in capsys.readouterr().err
    assert main(["events", str(file), "-o", str(tmp_path / "events.nc")]) == 2
    assert "suffix '.nc'" in capsys.readouterr().err


def run_changed(file, tmp_path, change, *options):
    """Run `events` on the spectra of the file after a change, with a report; give exit code and report."""
    path, report = tmp_path / "changed.nc", tmp_path / "report.json"
    kept = open_spectra(file)
    change(kept)
    write_spectra(kept, path)
    where = ["--scoreboard", str(report), "--location", "mars"]
    code = main(["events", str(path), "-o", str(tmp_path / "events.json"), *where, *options])
    return code, json.loads(report.read_text())["sep_forecast_submission"] if report.exists() else None


def test_spectra_without_any_flux_are_no_all_clear(file, tmp_path, capsys):
    def empty(kept):
        kept["flux"][:] = np.nan
        for key in ("_lower", "_upper", "_lower95", "_upper95"):
            kept[f"flux{key}"][:] = np.nan

    assert run_changed(file, tmp_path, empty) == (2, None)
    assert "found none in 96 samples" in capsys.readouterr().err


def test_time_that_was_mostly_not_seen_is_no_all_clear(file, tmp_path, capsys):
    def thin(kept):
        kept["flux"][10:90] = np.nan

    code, report = run_changed(file, tmp_path, thin)
    assert code == 0
    assert "all_clear" not in report["forecasts"][0]
    assert "too little data for an all-clear" in capsys.readouterr().err


def test_electrons_are_reported_as_electrons_and_without_a_storm_level(file, tmp_path, capsys):
    code, report = run_changed(file, tmp_path, lambda kept: kept.attrs.update(species="electron"))
    assert code == 0
    assert report["forecasts"][0]["species"] == "electron"
    shown = capsys.readouterr().out
    assert "pfu" not in shown
    assert "S2" not in shown


def test_empty_report_says_the_level_that_was_computed(file, tmp_path):
    quiet = ["--rule", "background", "--quiet-time", "2024-05-01T04:00/2024-05-01T11:45"]
    code, report = run_changed(file, tmp_path, lambda kept: None, *quiet)
    assert code == 0
    (forecast,) = report["forecasts"]
    assert forecast["all_clear"]["all_clear_boolean"] is True
    assert forecast["all_clear"]["threshold"] > 150.0


@pytest.mark.parametrize("command", ["events", "dose"])
def test_samples_that_are_no_series_are_refused(file, tmp_path, capsys, command):
    path = write_spectra(open_spectra(file).assign_attrs(independent_samples=1), tmp_path / "simulated.nc")
    assert main([command, str(path), "-o", str(tmp_path / "out.json")]) == 2
    assert "independent of each other" in capsys.readouterr().err


def test_storm_of_march_2012_is_found_with_the_onset_that_noaa_lists(shared_data, tmp_path, capsys):
    folder = shared_data / "geo" / "goes15_protons_2012-03"
    if not folder.is_dir():
        pytest.skip("the real data hold no EPEAD files")
    out = tmp_path / "events.json"
    assert main(["events", str(folder), "-o", str(out), "--goes-energies", "own"]) == 2
    assert "--goes-energies" in capsys.readouterr().err
    assert main(["events", str(folder), "-o", str(out), "--scoreboard", str(tmp_path / "report.json")]) == 0
    document = json.loads(out.read_text())
    storm = max(document["events"], key=lambda event: event["peak"]["value"])
    # NOAA SWPC, Solar Proton Events Affecting the Earth Environment: 2012-03-07 05:10, S3.
    onset = np.datetime64(storm["onset"]["value"].removesuffix("Z"))
    assert abs(onset - np.datetime64("2012-03-07T05:10")) <= np.timedelta64(15, "m")
    assert storm["s_scale"]["value"] == 3
    assert len(document["provenance"]["input_files"]) == 11


def test_dose_shows_a_table_and_writes_it(file, tmp_path, capsys):
    try:
        importlib.import_module("spacepy.irbempy")
    except (ImportError, OSError) as error:
        pytest.skip(f"spacepy's library IRBEM cannot be used here: {error}")
    for suffix in (".csv", ".nc", ".json"):
        out = tmp_path / f"dose{suffix}"
        assert main(["dose", str(file), "-o", str(out), "--depths", "1,2,5"]) == 0
        assert "rad Si" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "dose.csv", comment="#")
    assert table["depth_mm"].tolist() == [1.0, 2.0, 5.0]
    assert (np.diff(table["dose_rad"]) < 0).all()
    stored = open_dataset(tmp_path / "dose.nc")
    np.testing.assert_allclose(stored["dose"], table["dose_rad"], rtol=1e-5)
    np.testing.assert_allclose(stored["dose_upper95"], 1.2 * stored["dose"], rtol=1e-6)
    assert main(["dose", str(file), "-o", str(tmp_path / "dose.csv"), "--depths", "thick"]) == 2
    assert "--depths: found 'thick'" in capsys.readouterr().err
