from __future__ import annotations

import numpy as np
import pytest

from particleflux.errors import DataError, MissingDataError
from particleflux.io import open_stereo_het, open_stereo_let
from particleflux.names import require

HET = """listifile;yeari;monthi;dayi;HHMMi;yearf;monthf;dayf;HHMMf;e[0.7-1.4];e[0.7-1.4]err;p[40-60];p[40-60]err;\
p[60-100];p[60-100]err
0;2024;May;9;2330;2024;May;9;2345;0.5;0.1;0.25;0.05;0;0
0;2024;May;31;2345;2024;Jun;1;0000;-9999.9;-9999.9;9.15e-005;9.47e-005;0.125;0.0625
"""

LET = """STEREO LET Level 1 proton intensities for ahead spacecraft, for 2024
Column 6: LET Livetime (seconds)
Column 7:   1.8 -  2.2 MeV proton intensity (1/(cm^2 s sr MeV/nuc))
Column 8:  10.0 - 12.0 MeV proton intensity (1/(cm^2 s sr MeV/nuc))
Column 9 - 10: 2 proton counts (counts/hour)
Column 11 - 12: 2 proton statistical uncertainties  (1/(cm^2 s sr MeV/nuc))
BEGIN DATA
2024 122.000000 00 00 00  3548.65 -9.9999E+03  1.0E-03   -9999      13 -9.9999E+03  5.0E-04
2024 366.958333 23 00 00  3500.00  2.0E+00     0.0E+00      40       0  3.0E-01  0.0E+00
"""


@pytest.fixture
def het(tmp_path):
    path = tmp_path / "het.txt"
    path.write_text(HET)
    return path


@pytest.fixture
def let(tmp_path):
    path = tmp_path / "let.txt"
    path.write_text(LET)
    return path


def test_het_protons_are_labelled(het):
    """HET rows become flux and uncertainty by energy bin, at the start of their interval."""
    spectra = open_stereo_het(het)
    require(spectra, "flux", "flux_std", "exposure", "energy", "energy_lower", "energy_upper")
    assert spectra["flux"].dims == ("time", "energy")
    assert spectra["energy_lower"].values.tolist() == [40, 60]
    assert spectra["energy_upper"].values.tolist() == [60, 100]
    np.testing.assert_allclose(spectra["energy"], np.sqrt([2400, 6000]))
    assert spectra["flux"].values.tolist() == [[0.25, 0], [9.15e-5, 0.125]]
    assert spectra["flux_std"].values.tolist() == [[0.05, 0], [9.47e-5, 0.0625]]
    assert spectra["time"].values[0] == np.datetime64("2024-05-09T23:30")
    assert spectra.attrs["species"] == "proton"


def test_het_interval_may_cross_a_month(het):
    """The last quarter of May lasts 900 s although it ends in June."""
    assert open_stereo_het(het)["exposure"].values.tolist() == [900, 900]


def test_het_electrons_are_chosen_by_species(het):
    """The electron bins come alone, and their fill is NaN."""
    spectra = open_stereo_het(het, species="electron")
    assert spectra["energy_lower"].values.tolist() == [0.7]
    assert spectra["flux"].values[0, 0] == 0.5
    assert np.isnan(spectra["flux"].values[1, 0])
    assert np.isnan(spectra["flux_std"].values[1, 0])
    assert spectra.attrs["species"] == "electron"


def test_let_is_labelled_and_fill_is_nan(let):
    """LET rows find their bins, live times and uncertainties through the header; -9999.9 is NaN."""
    spectra = open_stereo_let(let)
    require(spectra, "flux", "flux_std", "exposure", "energy")
    np.testing.assert_array_equal(spectra["flux"], [[np.nan, 1e-3], [2, 0]])
    np.testing.assert_array_equal(spectra["flux_std"], [[np.nan, 5e-4], [0.3, 0]])
    assert spectra["exposure"].values.tolist() == [3548.65, 3500]
    assert spectra["energy_upper"].values.tolist() == [2.2, 12]


def test_let_day_of_year_counts_from_one(let):
    """Day 122 of a leap year is May 1, and day 366 is December 31."""
    time = open_stereo_let(let)["time"].values
    assert time.tolist() == np.array(["2024-05-01T00", "2024-12-31T23"], dtype="datetime64[ns]").tolist()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("p[40-60]err", "q", r"lacks the HET columns p\[40-60\]err"),
        ("p[", "h[", "lacks the HET columns proton bins"),
        ("0.125", "oops", r"line 3, column p\[60-100\]: found 'oops', expected a number"),
        ("May;31", "Mai;31", "line 3: '2024-Mai-31T2345' is not a time"),
        ("May;9;2330", "Jun;9;2330", "row 2 .* is not after the row before it"),
        (";0;0\n", ";0;0;0\n", "line 2: found 16 columns, expected the heading's 15"),
        ("yeari", "year", "lacks the HET columns yeari"),
    ],
)
def test_damaged_het_is_refused(het, old, new, match):
    """A HET file laid out otherwise is a DataError that names the file, the line and the column."""
    het.write_text(HET.replace(old, new))
    with pytest.raises(DataError, match=rf"het.txt.*({match})"):
        open_stereo_het(het)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("BEGIN DATA", "", "has no LET level 1 proton header"),
        ("MeV proton intensity", "MeV helium intensity", "has no LET level 1 proton header"),
        ("(1/(cm^2 s sr MeV/nuc))", "(1/(m^2 s sr MeV/nuc))", "has no LET level 1 proton header"),
        ("5.0E-04", "oops", "holds a damaged row"),
        ("  5.0E-04", "", "holds a damaged row"),
    ],
)
def test_damaged_let_is_refused(let, old, new, match):
    """A LET file laid out otherwise is a DataError that names the file."""
    let.write_text(LET.replace(old, new))
    with pytest.raises(DataError, match=rf"let.txt.*{match}"):
        open_stereo_let(let)


def test_files_without_rows_are_refused(het, let):
    """A header alone is a MissingDataError, for both."""
    het.write_text(HET.splitlines()[0] + "\n")
    let.write_text(LET.partition("2024 122")[0])
    with pytest.raises(MissingDataError, match="holds no row below its header"):
        open_stereo_het(het)
    with pytest.raises(MissingDataError, match="holds no row below BEGIN DATA"):
        open_stereo_let(let)


def test_absent_binary_and_empty_files_are_refused(tmp_path):
    """A path without a file, bytes that are no text, and an empty file are refused by name."""
    with pytest.raises(MissingDataError, match=r"absent.txt does not exist"):
        open_stereo_let(tmp_path / "absent.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match=r"binary.txt cannot be read as text"):
        open_stereo_het(tmp_path / "binary.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match=r"empty.txt cannot be read as semicolon-separated"):
        open_stereo_het(tmp_path / "empty.txt")


def test_unknown_species_is_refused(het):
    """HET has protons and electrons: another species is a DataError."""
    with pytest.raises(DataError, match="species='helium': expected 'proton' or 'electron'"):
        open_stereo_het(het, species="helium")


def test_real_het_and_let_agree_where_they_meet(shared_data):
    """On 2024-05-15 12-18 UT, LET at 8-12 MeV carried on as a power law meets HET at 14.3 MeV within 10 %."""
    folder = shared_data / "stereo"
    window = {"time": slice("2024-05-15T12:00", "2024-05-15T17:59")}
    let = open_stereo_let(folder / "LET_2024-05.txt").sel(window)
    het = open_stereo_het(folder / "HETA-MayEvt.txt").sel(window)
    assert (let.sizes["energy"], het.sizes["energy"]) == (12, 11)
    # The 12-15 MeV bin of this file holds fill throughout.
    energy = let["energy"].values[9:11]
    flux = let["flux"].mean("time").values[9:11]
    slope = np.log(flux[1] / flux[0]) / np.log(energy[1] / energy[0])
    carried_on = flux[1] * (het["energy"].values[0] / energy[1]) ** slope
    assert het["flux"].mean("time").values[0] == pytest.approx(carried_on, rel=0.1)
