"""The response: folding by hand, against a plain loop, and what it refuses."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import particleflux.response as response_module
from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.instruments import load_instrument
from particleflux.response import Response, open_fitted, open_response, write_fitted
from particleflux.spectra import Band, DoublePowerLaw, PowerLaw, RollingPowerLaw, Weibull

# Tests are no package: the reference is loaded from the file beside this one.
reference = runpy.run_path(str(Path(__file__).parent / "reference.py"))
HEADER = ";EnergyLowerEdge;EnergyWidth;GF;Energy\n"


@pytest.fixture
def two_bins() -> Response:
    return Response.from_arrays(["A", "B"], [1.0, 2.0, 4.0], [[0.5, 1.0], [0.0, 2.0]])


def write_table(path, rows):
    path.write_text(HEADER + "".join(f"{i};{a};{w};{g};{e}\n" for i, (a, w, g, e) in enumerate(rows)), encoding="utf-8")


def test_two_bins_by_hand(two_bins):
    """0.5*10*1 + 1*3*2 = 11 and 2*3*2 = 12 counts per second."""
    rate = two_bins.fold(two_bins.label([10.0, 3.0]))
    np.testing.assert_allclose(rate, [11.0, 12.0])
    assert rate.dims == ("channel",)
    assert rate.attrs["units"] == "s-1"


def test_identity_gives_the_input_back():
    """A response that is 1 over the bin width in its own bin returns the flux."""
    edges = np.geomspace(1.0, 100.0, 8)
    identity = Response.from_arrays(list("abcdefg"), edges, np.diag(1.0 / np.diff(edges)))
    flux = np.arange(21.0).reshape(3, 7)
    np.testing.assert_allclose(identity.fold(identity.label(flux, ["time"])), flux, rtol=1e-14)


def test_fold_equals_the_plain_loop():
    """Folding the shipped response equals a plain Python sum."""
    response = load_instrument("radem").response()
    flux = PowerLaw(1e4, 2.5).bin_mean(response.energy_lower, response.energy_upper)
    expected = reference["fold"](response.geometric_factor.values, response.energy_lower, response.energy_upper, flux)
    np.testing.assert_allclose(response.fold(response.label(flux)), expected, rtol=1e-12)


def test_fold_keeps_labels_and_order(two_bins):
    """Other dimensions keep place and coordinates, and the place of energy does not matter."""
    times = np.array(["2024-05-10", "2024-05-11"], dtype="datetime64[ns]")
    flux = two_bins.label([[10.0, 3.0], [np.nan, 3.0]], ["time"]).assign_coords(time=times)
    rate = two_bins.fold(flux)
    assert rate.dims == ("time", "channel")
    xr.testing.assert_identical(rate, two_bins.fold(flux.transpose("energy", "time")))
    assert (rate["time"].values == times).all()
    assert np.isnan(rate[1]).all()


def test_bins_without_response_do_not_matter():
    """NaN flux in a bin that no channel responds to leaves the rates alone."""
    response = Response.from_arrays(["A"], [0.0, 1.0, 2.0], [[0.0, 1.0]])
    np.testing.assert_allclose(response.fold(response.label([np.nan, 4.0])), [4.0])


@pytest.mark.parametrize(
    "form",
    [
        PowerLaw(10.0, 2.0),
        RollingPowerLaw(np.array([[1.0], [2.0]]), 2.0, np.array([[5.0], [50.0]])),
        Band(1.0, 1.0, np.full((3000, 1), 3.0), 9.0),
        DoublePowerLaw(1.0, 1.0, 4.0, np.array([[20.0]])),
        Weibull(1.0, 0.5, 3.0),
    ],
    ids=lambda form: type(form).__name__,
)
def test_fold_form_equals_fold(two_bins, form):
    """Folding a form equals folding its mean flux in each bin, for one spectrum and for thousands."""
    mean = form.bin_mean(two_bins.energy_lower, two_bins.energy_upper)
    expected = two_bins.fold(two_bins.label(mean, ["sample"][: mean.ndim - 1]))
    found = two_bins.fold_form(form)
    assert found.dims == expected.dims
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_selection_and_its_order(two_bins):
    """Selected channels come in the order asked for."""
    assert two_bins.select(["B", "A"]).channels == ("B", "A")
    np.testing.assert_allclose(two_bins.select(["B"]).weights, [[0.0, 4.0]])


def test_digest_tells_responses_apart(two_bins):
    """Equal responses have equal digests; another number, channel or species has another."""
    factors = two_bins.geometric_factor.values
    same = Response.from_arrays(["A", "B"], [1.0, 2.0, 4.0], factors)
    others = [
        Response.from_arrays(["A", "C"], [1.0, 2.0, 4.0], factors),
        Response.from_arrays(["A", "B"], [1.0, 2.0, 4.1], factors),
        Response.from_arrays(["A", "B"], [1.0, 2.0, 4.0], factors * 1.001),
        Response.from_arrays(["A", "B"], [1.0, 2.0, 4.0], factors, species="electron"),
    ]
    assert same.digest == two_bins.digest
    assert len({other.digest for other in others} | {two_bins.digest}) == 5


def test_fitted_model_round_trip(two_bins, tmp_path):
    """A written model is read back as it was."""
    write_fitted(two_bins, tmp_path / "model.csv", comments=["made by hand"])
    assert open_fitted(tmp_path / "model.csv").digest == two_bins.digest


def test_flux_of_another_axis_or_unit_is_refused(two_bins):
    """Flux without energy, without edges, on other bins or in another unit never folds."""
    flux = two_bins.label([10.0, 3.0])
    with pytest.raises(AxisError, match="expected one of them to be 'energy'"):
        two_bins.fold(flux.rename(energy="wavelength"))
    with pytest.raises(UnitError, match="flux has units 's-1'"):
        two_bins.fold(flux.assign_attrs(units="s-1"))
    with pytest.raises(AxisError, match="no coordinate 'energy_upper'"):
        two_bins.fold(flux.drop_vars("energy_upper"))
    with pytest.raises(AxisError, match="1 energy bins from 1 to 1 MeV"):
        two_bins.fold(flux[:1])
    with pytest.raises(AxisError, match=r"2 energy bins from 1\.1"):
        two_bins.fold(flux.assign_coords(energy_lower=flux["energy_lower"] * 1.1))
    keV = flux["energy_lower"].assign_attrs(units="keV")  # noqa: N806 - the unit's own name
    with pytest.raises(UnitError, match="'energy_lower' in 'keV'"):
        two_bins.fold(flux.assign_coords(energy_lower=keV))


def test_odd_parameter_shapes_are_refused(two_bins):
    """Parameters that are neither numbers nor of one shape (n, 1) are refused."""
    with pytest.raises(AxisError, match="parameters have shapes"):
        two_bins.fold_form(PowerLaw(np.ones(3), 2.0))
    with pytest.raises(AxisError, match="parameters have shapes"):
        two_bins.fold_form(PowerLaw(np.ones((3, 1)), np.ones((2, 1))))


def test_unknown_channel_is_named(two_bins):
    """A channel the response lacks is named in the message."""
    with pytest.raises(AxisError, match=r"unknown channels \['Z'\]"):
        two_bins.select(["A", "Z"])


def test_impossible_responses_are_refused(two_bins):
    """Wrong shapes, edges, channels, numbers, species and units make no response."""
    good = two_bins.geometric_factor
    with pytest.raises(AxisError, match=r"shape \(1, 3\), expected \(1, 2\)"):
        Response.from_arrays(["A"], [1.0, 2.0, 3.0], [[1.0, 1.0, 1.0]])
    with pytest.raises(AxisError, match="not contiguous and increasing"):
        Response.from_arrays(["A"], [1.0, 3.0, 2.0], [[1.0, 1.0]])
    with pytest.raises(AxisError, match="names a channel twice"):
        Response.from_arrays(["A", "A"], [1.0, 2.0], [[1.0], [1.0]])
    for bad in (-1.0, np.nan):
        with pytest.raises(DataError, match="negative or non-finite"):
            Response.from_arrays(["A"], [1.0, 2.0], [[bad]])
    with pytest.raises(DataError, match="unknown species 'muon'"):
        Response(good, "muon")
    with pytest.raises(UnitError, match="units 'm2 sr', expected 'cm2 sr'"):
        Response(good.assign_attrs(units="m2 sr"))
    with pytest.raises(AxisError, match=r"lacks the coordinates \['energy_lower'\]"):
        Response(good.drop_vars("energy_lower"))
    with pytest.raises(AxisError, match="has dimensions"):
        Response(good.rename(channel="bin"))


def test_user_tables(tmp_path):
    """A folder of NAME.csv is a response; a first bin below zero is cut at zero."""
    write_table(tmp_path / "N2.csv", [(-0.5, 1.0, 0.0, 0.0), (0.5, 2.0, 3.0, 1.5)])
    write_table(tmp_path / "N1.csv", [(-0.5, 1.0, 0.0, 0.0), (0.5, 2.0, 1.0, 1.5)])
    response = open_response(tmp_path)
    assert response.channels == ("N1", "N2")
    np.testing.assert_allclose(response.energy_lower, [0.0, 0.5])
    np.testing.assert_allclose(response.fold(response.label([9.0, 1.0])), [2.0, 6.0])
    assert open_response(tmp_path, names={"N2": "low"}).channels == ("low",)


def test_tables_with_tenfold_width(tmp_path):
    """Bins that overlap ninefold, but adjoin with a tenth of the width, are read with that width."""
    (tmp_path / "electron").mkdir()
    write_table(tmp_path / "electron" / "E.csv", [(-3.5, 10.0, 0.0, 1.5), (-2.5, 10.0, 2.0, 2.5)])
    response = open_response(tmp_path, species="electron")
    np.testing.assert_allclose(response.energy_lower, [1.0, 2.0])
    np.testing.assert_allclose(response.energy_upper, [2.0, 3.0])


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (";EnergyLowerEdge;EnergyWidth;Energy\n0;0;1;1\n", AxisError, r"A\.csv: no column \['GF'\]"),
        (HEADER + "0;0;1;1;x\n", DataError, r"A\.csv: not a table of numbers"),
        (HEADER + "0;0;1;-1;0.5\n", DataError, r"A\.csv: a geometric factor is negative"),
        (HEADER + "0;0;1;inf;0.5\n", DataError, r"A\.csv: a geometric factor is negative or not finite"),
        (HEADER + "0;0;1;1;0.5\n1;3;1;1;3.5\n", AxisError, r"A\.csv: the energy bins do not adjoin"),
        (HEADER + "0;1;1;1;1.5\n1;0;1;1;0.5\n", AxisError, r"A\.csv: the energy bins do not adjoin"),
        (HEADER + "0;-3;1;1;-2.5\n1;-2;1;1;-1.5\n", AxisError, r"A\.csv: the first energy bin ends at -2"),
        (HEADER, AxisError, r"A\.csv: the energy bins do not adjoin"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, error, message):
    """A table that cannot be used is refused with the name of its file."""
    (tmp_path / "A.csv").write_text(content, encoding="utf-8")
    with pytest.raises(error, match=message):
        open_response(tmp_path)


def test_missing_and_disagreeing_tables(tmp_path):
    """An empty folder, a missing table, tables of different bins and an unknown species are refused."""
    with pytest.raises(MissingDataError, match="no response table"):
        open_response(tmp_path)
    write_table(tmp_path / "A.csv", [(0.0, 1.0, 1.0, 0.5)])
    write_table(tmp_path / "B.csv", [(0.0, 2.0, 1.0, 0.5)])
    with pytest.raises(MissingDataError, match=r"no table C\.csv"):
        open_response(tmp_path, names={"A": "A", "C": "C"})
    with pytest.raises(AxisError, match="tables of A and B have different energy bins"):
        open_response(tmp_path)
    with pytest.raises(DataError, match="unknown species 'muon'"):
        open_response(tmp_path, species="muon")


def test_bad_fitted_models_are_named(tmp_path):
    """A fitted model that is absent or lacks columns is refused with the name of its file."""
    with pytest.raises(MissingDataError, match=r"model\.csv: no such file"):
        open_fitted(tmp_path / "model.csv")
    (tmp_path / "model.csv").write_text("energy_lower,A\n1,1\n", encoding="utf-8")
    with pytest.raises(AxisError, match=r"model\.csv: found the columns"):
        open_fitted(tmp_path / "model.csv")


def test_public_names():
    """The names other modules import are there."""
    assert set(response_module.__all__) == {"SPECIES", "Response", "open_fitted", "open_response", "write_fitted"}
