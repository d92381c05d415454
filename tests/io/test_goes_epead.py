"""GOES EPEAD proton files: what is read, flagged and refused."""

from pathlib import Path

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.io import open_goes_epead
from particleflux.names import Quality

CHANNELS = {"P2W": "4.2-8.7", "P3W": "8.7-14.5", "P4W": "15-40", "P5W": "38-82", "P6W": "84-200", "P7W": "110-900"}
COLUMNS = [f"{name}_{what}" for name in CHANNELS for what in ("QUAL_FLAG", "UNCOR_CR", "UNCOR_FLUX")]


def write(folder: Path, rows: list[str], *, day: str = "20120307", satellite: str = "GOES-15") -> Path:
    """Write a file with a header as NOAA's."""
    lines = ["File name: test"]
    for name, energies in CHANNELS.items():
        lines.append(
            f'{name}_UNCOR_CR:description = "Average number of counts per second of protons with energies from '
            f'{energies} MeV from the A detector"'
        )
        lines.append(f'{name}_UNCOR_FLUX:units = "p/(cm^2 s sr MeV)";')
    lines += [f':satellite_id = "{satellite}"', "", "data: ", ",".join(["time_tag", *COLUMNS]), *rows]
    path = folder / f"g15_epead_p27w_32s_{day}_{day}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def row(clock: str, *, flag: int = 0, rate: float = 3.0488e-1, flux: float = 6.0976e-1, day: str = "2012-03-07") -> str:
    return f"{day} {clock}," + ",".join([f"0,{rate},{flux}"] * 5 + [f"{flag},{rate},{flux}"])


def test_rows_become_labelled_flux_with_the_error_of_counting(tmp_path):
    found = open_goes_epead(write(tmp_path, [row("00:00:14.510"), row("00:00:47.277", rate=0.0, flux=0.0)]))
    assert found["flux"].dims == ("time", "energy")
    assert found["time"].to_numpy()[0] == np.datetime64("2012-03-07T00:00:14.510")
    np.testing.assert_allclose(found["flux"][0], 0.60976)
    # Ten counts in 32.8 s; of none the error is that of one.
    np.testing.assert_allclose(found["flux_std"][0], 0.60976 / np.sqrt(10), rtol=1e-3)
    np.testing.assert_allclose(found["flux_std"][1], 0.060976, rtol=1e-3)
    assert found["channel"].to_numpy().tolist() == list(CHANNELS)
    assert found.attrs["satellite"] == "GOES-15"
    assert (found["quality"] == 0).all()


def test_energies_are_those_of_the_calibration_asked_for(tmp_path):
    path = write(tmp_path, [row("00:00:14.510")])
    calibrated, nominal = (open_goes_epead(path, energies=name) for name in ("sandberg2014", "nominal"))
    assert calibrated["energy_lower"].to_numpy().tolist() == [5.0, 9.4, 16.7, 32.5, 89.8, 120.0]
    assert calibrated["energy"].to_numpy().tolist() == [6.643, 12.61, 20.55, 46.62, 103.7, 154.6]
    assert nominal["energy"].to_numpy().tolist() == [6.5, 11.6, 30.6, 63.1, 165.0, 433.0]
    assert nominal["energy_upper"].to_numpy().tolist() == [8.7, 14.5, 40.0, 82.0, 200.0, 900.0]


def test_fill_and_flagged_channels_are_missing_and_said_so(tmp_path):
    rows = [row("00:00:14.510", flag=33554432), row("00:00:47.277", rate=-99999, flux=-99999), row("00:01:20.047")]
    found = open_goes_epead(write(tmp_path, rows))
    assert np.isnan(found["flux"][0]).to_numpy().tolist() == [False] * 5 + [True]
    assert np.isnan(found["flux"][1]).all()
    assert np.isnan(found["flux_std"][1]).all()
    assert found["quality"].to_numpy().tolist() == [int(Quality.MISSING), int(Quality.MISSING), 0]


def test_files_of_a_folder_are_joined_and_cut_to_the_range(tmp_path):
    write(tmp_path, [row("00:00:14.510", day="2012-03-08")], day="20120308")
    write(tmp_path, [row("23:59:00.000")])
    (tmp_path / "readme.csv").write_text("other")
    found = open_goes_epead(tmp_path)
    assert found.sizes["time"] == 2
    assert open_goes_epead(tmp_path, stop="2012-03-07").sizes["time"] == 1
    with pytest.raises(MissingDataError, match="no sample in the range"):
        open_goes_epead(tmp_path, start="2013-01-01")


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    first = write(tmp_path, [row("00:00:14.510")])
    other = write(tmp_path, [row("00:00:14.510", day="2012-03-08")], day="20120308", satellite="GOES-13")
    with pytest.raises(DataError, match="GOES-13, GOES-15; expected one satellite"):
        open_goes_epead([first, other])
    again = tmp_path / "copy.csv"
    again.write_text(first.read_text())
    with pytest.raises(DataError, match="two rows at 2012-03-07T00:00:14"):
        open_goes_epead([first, again])


def test_other_versions_of_the_file_are_refused(tmp_path):
    path = write(tmp_path, [row("00:00:14.510")])
    text = path.read_text()
    for old, new, error, words in (
        ("data: ", "DATA", DataError, "found no line 'data:'"),
        ("GOES-15", "GOES-11", DataError, "no satellite_id"),
        ("8.7-14.5", "9.0-15.0", AxisError, "'P3W': \\(9.0, 15.0\\)"),
        ("p/(cm^2 s sr MeV)", "p/(cm^2 s sr keV)", UnitError, "sr keV"),
        ("P7W_UNCOR_FLUX,", "P7W_COR_FLUX,", AxisError, "found columns time_tag"),
        (",P7W_UNCOR_FLUX", ",P7W_COR_FLUX", AxisError, "P7W_COR_FLUX, expected"),
        ("2012-03-07 00:00:14.510", "yesterday", DataError, "data row 1, column time"),
        ("0.30488", "many", DataError, "found 'many', expected a number"),
    ):
        if old not in text:
            continue
        path.write_text(text.replace(old, new))
        with pytest.raises(error, match=words):
            open_goes_epead(path)
    path.write_text(text + "2012-03-07 00:01:20.047,0\n")
    with pytest.raises(DataError, match="data row 2: found 2 cells, expected 19"):
        open_goes_epead(path)
    path.write_text(text[: text.index("2012-03-07 00")])
    with pytest.raises(MissingDataError, match="no row below its heading"):
        open_goes_epead(path)


def test_unknown_energies_and_absent_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="energies='own'"):
        open_goes_epead(tmp_path, energies="own")
    with pytest.raises(MissingDataError, match="expected EPEAD protons"):
        open_goes_epead(tmp_path)
    with pytest.raises(MissingDataError, match="does not exist"):
        open_goes_epead(tmp_path / "absent.csv")


def test_files_of_march_2012_are_read_whole(shared_data):
    folder = shared_data / "geo" / "goes15_protons_2012-03"
    if not folder.is_dir():
        pytest.skip("the real data hold no EPEAD files")
    found = open_goes_epead(folder, start="2012-03-07", stop="2012-03-07")
    assert found.sizes["time"] == 2635
    np.testing.assert_allclose(found["flux"][0, :2], [0.24197, 0.093809])
    assert np.isfinite(found["flux"]).all()
