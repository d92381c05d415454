"""Simulated counts: their statistics against what they were drawn from, their labels, and what is refused."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from astropy import units

from particleflux.errors import AxisError, DataError
from particleflux.instruments import load_instrument
from particleflux.response import Response
from particleflux.simulate import PARAMETERS, TRUTH_ENERGIES, Range, RateTable, Simulation
from particleflux.spectra import FORMS

TWO = Response.from_arrays(["A", "B"], [5.0, 10.0, 20.0, 40.0], [[0.1, 0.2, 0.2], [0.0, 0.1, 0.3]])
ONE_SPECTRUM = {"spectral_index": Range(2.0, 2.0), "rollover_energy": Range(20.0, 20.0)}
QUIET = {"A": 0.0, "B": 0.0}


def simulation(**settings: object) -> Simulation:
    defaults: dict = {"response": TWO, "background_rate": QUIET, "reference_channel": "A", "parameters": ONE_SPECTRUM}
    return Simulation(**{**defaults, **settings})


@pytest.fixture(scope="module")
def radem() -> Simulation:
    return Simulation.of_instrument(load_instrument("radem"))


def test_same_seed_same_samples(radem):
    """The same seed gives the same samples, another seed or another first sample gives others."""
    once = radem.sample(50, seed=4)
    xr.testing.assert_identical(once, radem.sample(50, seed=4))
    assert not np.array_equal(once["counts"], radem.sample(50, seed=5)["counts"])
    assert not np.array_equal(once["counts"], radem.sample(50, seed=4, first=50)["counts"])


@pytest.mark.parametrize("family", sorted(FORMS))
def test_stream_does_not_depend_on_how_much_is_asked(family):
    """A stream's first samples are the same however many follow, also when its last piece is cut."""
    source = simulation(family=family, parameters={})
    long = xr.concat(list(source.stream(70, seed=1, chunk=20)), "time")
    short = xr.concat(list(source.stream(33, seed=1, chunk=20)), "time")
    assert long.sizes["time"] == 70
    xr.testing.assert_identical(short, long.isel(time=slice(0, 33)))
    assert len(np.unique(long["time"])) == 70


@pytest.mark.parametrize("family", sorted(FORMS))
def test_labels_and_units(family):
    """Every form comes with the package's names, units that astropy reads, and its own parameters as truth."""
    source = Simulation.of_instrument(load_instrument("radem"), family=family)
    sample = source.sample(5, seed=1)
    assert sample["counts"].dims == ("time", "channel")
    assert tuple(sample["channel"].values) == source.channels
    assert {f"{name}_true" for name in PARAMETERS[family]} < set(sample.data_vars)
    for name, variable in sample.variables.items():
        if name not in ("time", "channel"):
            units.Unit(variable.attrs["units"])
            assert variable.attrs["long_name"]
    energies = [name for name in sample.data_vars if name.endswith("_energy_true")]
    assert all(sample[name].attrs["units"] == "MeV" for name in energies)
    assert units.Unit(sample["flux_true"].attrs["units"]).is_equivalent("cm-2 s-1 sr-1 MeV-1")


@pytest.mark.parametrize("family", sorted(FORMS))
def test_truth_is_the_form_of_the_parameters(family):
    """`flux_true` is the form with the stated parameters, and folds to the drawn signal."""
    source = simulation(family=family, parameters={})
    sample, drawn = source.sample(20, seed=2), source.draw(20, np.random.default_rng([2, 0]))
    truth = {name: sample[f"{name}_true"].values[:, None] for name in ("intensity", *PARAMETERS[family])}
    form = FORMS[family](**truth)
    np.testing.assert_allclose(sample["flux_true"], form.flux(np.array(TRUTH_ENERGIES)), rtol=1e-12)
    signal = TWO.fold_form(form).values * sample["exposure"].values[:, None]
    np.testing.assert_allclose(drawn.signal, signal, rtol=1e-10)


def test_counts_are_poisson():
    """Mean and variance of the counts are both signal + background, within five standard errors."""
    n, expected = 20_000, 50.0
    source = simulation(
        background_rate={"A": 0.1, "B": 0.0},
        signal_counts=Range(expected, expected),
        exposure=Range(300.0, 300.0),
        background_level=Range(1.0, 1.0),
    )
    counts = source.sample(n, seed=3)["counts"].sel(channel="A").values
    mean = expected + 30.0
    assert abs(counts.mean() - mean) < 5 * np.sqrt(mean / n)
    assert abs(counts.var() - mean) < 5 * mean * np.sqrt(2 / n)
    assert (counts == np.round(counts)).all()


def test_intensity_puts_the_asked_counts_in_the_reference_channel(radem):
    """The signal of the reference channel is what was asked for, and every decade of it occurs equally often."""
    source = dataclasses.replace(radem, signal_counts=Range(1.0, 1e4, log=True), reference_channel="PDH4")
    drawn = source.draw(4000, np.random.default_rng(1))
    reference = drawn.signal[:, source.channels.index("PDH4")]
    assert reference.min() >= 1.0 - 1e-9
    assert reference.max() <= 1e4 + 1e-6
    share, _ = np.histogram(np.log10(reference), bins=[0, 1, 2, 3, 4])
    assert (abs(share / 4000 - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)).all()


def test_background_level_and_its_zero_share():
    """The background is quiet rate x level x exposure with one level for all channels, absent as often as asked."""
    source = simulation(
        background_rate={"A": 0.2, "B": 0.4}, background_level=Range(0.5, 2.0, zero=0.3), exposure=Range(10.0, 99.0)
    )
    drawn = source.draw(5000, np.random.default_rng(2))
    level = drawn.background / drawn.exposure[:, None] / np.array([0.2, 0.4])
    np.testing.assert_allclose(level[:, 0], level[:, 1], rtol=1e-12)
    absent = level[:, 0] == 0
    assert abs(absent.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 5000)
    assert level[~absent].min() >= 0.5
    assert level.max() <= 2.0


def test_background_scatter_is_known_and_each_channels_own():
    """With scatter, channels leave the common level by the stated logarithmic spread, independently."""
    source = simulation(background_rate={"A": 0.2, "B": 0.4}, background_scatter=0.2)
    drawn = source.draw(5000, np.random.default_rng(2))
    ratio = np.log(drawn.background[:, 0] / 0.2 / (drawn.background[:, 1] / 0.4))
    assert abs(ratio.std() / (0.2 * np.sqrt(2)) - 1) < 0.06


def test_background_error_moves_all_channels_together_and_each_alone():
    """True backgrounds scatter about the stated one by the stated error, with a correlation of one half."""
    source = simulation(
        background_rate={"A": 1e5, "B": 1e5}, background_level=Range(1.0, 1.0), background_error=Range(0.1, 0.1)
    )
    drawn = source.draw(20_000, np.random.default_rng(3))
    pull = np.log((drawn.counts - drawn.signal) / drawn.background) / drawn.background_error
    clean = (drawn.signal < 0.001 * drawn.background).all(axis=1)
    assert clean.sum() > 5000
    np.testing.assert_allclose(pull[clean].std(axis=0), 1.0, atol=0.06)
    assert abs(np.corrcoef(pull[clean].T)[0, 1] - 0.5) < 0.06


def test_response_error_widens_each_channel_alone():
    """A response error spreads bright counts by that much, independently in each channel."""
    sharp, wide = (
        simulation(signal_counts=Range(1e8, 1e8), response_error=Range(error, error)).draw(
            5000, np.random.default_rng(4)
        )
        for error in (0.0, 0.1)
    )
    assert np.log(sharp.counts / sharp.signal).std() < 1e-3
    pull = np.log(wide.counts / wide.signal)
    np.testing.assert_allclose(pull.std(axis=0), 0.1, rtol=0.06)
    assert abs(np.corrcoef(pull.T)[0, 1]) < 0.08
    np.testing.assert_array_equal(wide.response_error, 0.1)


def test_huge_expectations_are_counted():
    """Expected counts beyond a Poisson generator's range give finite numbers, not an exception."""
    counts = simulation(signal_counts=Range(1e20, 1e20)).draw(3, np.random.default_rng(0)).counts
    assert np.isfinite(counts).all()
    assert (counts > 1e14).all()


def test_rate_table_is_exact_to_a_hundred_thousandth():
    """The table gives the rates of exact folding within 1e-5, at its corners as well."""
    instrument = load_instrument("radem")
    response = instrument.response().select(instrument.ensemble.bins[-1])
    shape = PARAMETERS["rolling-power-law"]
    table = RateTable(response, shape["spectral_index"], shape["rollover_energy"])
    rng = np.random.default_rng(0)
    index, rollover = (
        np.concatenate([shape[name].draw(rng, 500), corner])
        for name, corner in (("spectral_index", [0.5, 0.5, 5.0, 5.0]), ("rollover_energy", [1.0, 100.0, 1.0, 100.0]))
    )
    form = FORMS["rolling-power-law"](1.0, index[:, None], rollover[:, None])
    exact = response.fold_form(form).values
    np.testing.assert_allclose(np.exp(table.log_rate(index, rollover)), exact, rtol=1e-5)


def test_rate_table_changes_nothing_but_the_speed(radem):
    """Draws through the table are those of exact folding."""
    exact, fast = (
        dataclasses.replace(radem, use_rate_table=use).draw(100, np.random.default_rng(9)) for use in (False, True)
    )
    np.testing.assert_allclose(fast.signal, exact.signal, rtol=2e-5)


def test_range_draws_what_it_says():
    """A range stays within its bounds, is uniform (in the logarithm), and is zero as often as asked."""
    values = Range(1.0, 100.0, log=True, zero=0.25).draw(np.random.default_rng(0), 8000)
    kept = values[values > 0]
    assert abs(1 - kept.size / 8000 - 0.25) < 0.03
    assert 1.0 <= kept.min() <= kept.max() <= 100.0
    assert abs(np.log10(kept).mean() - 1.0) < 0.05
    assert abs(Range(2.0, 4.0).draw(np.random.default_rng(0), 8000).mean() - 3.0) < 0.03


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Range(2.0, 1.0), DataError, "range 2 to 1: expected finite bounds, the lower first"),
        (lambda: Range(1.0, np.inf), DataError, "expected finite bounds"),
        (lambda: Range(0.0, 1.0, log=True), DataError, "is logarithmic: expected a lower bound above 0"),
        (lambda: Range(0.0, 1.0, zero=1.5), DataError, "share of zeros 1.5"),
        (lambda: simulation(family="kappa"), DataError, "unknown spectral form 'kappa': expected one of"),
        (lambda: simulation(family="band"), DataError, "given for the form 'band': expected"),
        (lambda: simulation(reference_channel="C"), AxisError, "reference channel 'C'.*give the reference among"),
        (lambda: simulation(background_rate={"A": 1.0}), AxisError, "background rates of \\['A'\\]"),
        (
            lambda: simulation(family="power-law", parameters={}, use_rate_table=True),
            DataError,
            "use_rate_table knows the form 'rolling-power-law' only, not 'power-law'",
        ),
        (lambda: simulation(background_scatter=-0.1), DataError, "background_scatter is -0.1"),
        (lambda: simulation(use_rate_table=True).sample(1, seed=0), DataError, "expected two ranges of some width"),
        (lambda: simulation().sample(0, seed=0), DataError, "0 samples asked for"),
        (lambda: next(simulation().stream(0, seed=0)), DataError, "0 samples in pieces of 10000"),
        (lambda: next(simulation().stream(5, seed=0, chunk=0)), DataError, "5 samples in pieces of 0"),
        (
            lambda: simulation(
                response=Response.from_arrays(["A", "B"], [1e4, 2e4], [[1.0], [1.0]]),
                parameters={**ONE_SPECTRUM, "rollover_energy": Range(1.0, 1.0)},
            ).sample(1, seed=0),
            DataError,
            "gives no counts at all in A; narrow its parameters",
        ),
    ],
)
def test_refusals(make, error, message):
    """What cannot be simulated is refused with what was found and expected."""
    with pytest.raises(error, match=message):
        make()


def test_an_unknown_setting_is_refused():
    """A misspelt field is an error, not ignored."""
    with pytest.raises(TypeError, match="signal_count"):
        Simulation.of_instrument(load_instrument("radem"), signal_count=Range(1.0, 2.0))
