"""Simulated samples of several spectral forms: their statistics against what they were drawn from."""

import json
from dataclasses import replace

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError
from particleflux.response import Response
from particleflux.simulate import FAMILIES, HELD_OUT_FAMILIES, Mixture, Population, Range
from particleflux.spectra import FORMS, PowerLaw

TWO = Response.from_arrays(["A", "B"], [5.0, 10.0, 20.0, 40.0], [[0.1, 0.2, 0.2], [0.0, 0.1, 0.3]])
QUIET = {"A": 0.5, "B": 2.0}
NONE = Range(0.0, 0.0)
INDEX = 2.5
#: Power laws of one index, strong, with every error and every background at zero or known.
ONE = Population(
    TWO, "A", Range(10.0, 1000.0, log=True), ("power-law",), {"power-law": {"spectral_index": Range(INDEX, INDEX)}}
)
EXACT = Mixture((ONE,), QUIET, exposure=Range(600.0, 6000.0), background_error=NONE, response_error=NONE)
MIXED = Mixture((Population(TWO, "A"),), QUIET)


def draw(mixture: Mixture, n: int, seed: int = 1):
    species = len(mixture.populations)
    return mixture.draw(
        n, np.random.default_rng(seed), energies=[(7.0, 30.0)] * species, thresholds=[(10.0,)] * species
    )


def arrays(drawn) -> dict[str, np.ndarray]:
    return {name: np.asarray(values) for name, values in vars(drawn).items()}


def test_all_forms_are_alike_often():
    """Of 8000 samples each of the four forms has a quarter, within four standard deviations of chance."""
    share = np.bincount(draw(MIXED, 8000).family[:, 0], minlength=len(FAMILIES)) / 8000
    np.testing.assert_allclose(share, 0.25, atol=4 * np.sqrt(0.25 * 0.75 / 8000))


def test_the_held_out_form_is_not_drawn():
    """The form that tests the unknown is known to the package and no part of the default prior."""
    assert set(FAMILIES) | set(HELD_OUT_FAMILIES) == set(FORMS)
    assert set(MIXED.describe()["populations"][0]["families"]) == set(FAMILIES)


def test_same_seed_same_samples():
    """The same seed gives the same numbers, another seed others."""
    once, again, other = (arrays(draw(MIXED, 50, seed)) for seed in (4, 4, 5))
    for name, values in once.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
    assert (once["counts"] != other["counts"]).any()


def test_the_signal_is_that_of_the_true_spectrum():
    """Flux, integral flux and folded signal of a sample are those of one power law, in closed form."""
    drawn = draw(EXACT, 20)
    intensity = np.exp(drawn.log_flux[0][:, 0]) * 7.0**INDEX
    np.testing.assert_allclose(np.exp(drawn.log_flux[0][:, 1]), intensity * 30.0**-INDEX)
    np.testing.assert_allclose(np.exp(drawn.log_integral[0][:, 0]), intensity * 10.0 ** (1 - INDEX) / (INDEX - 1))
    rate = TWO.fold_form(PowerLaw(intensity[:, None], INDEX)).to_numpy()
    np.testing.assert_allclose(drawn.signal[:, 0], rate * drawn.exposure[:, None])


def test_the_strength_is_the_signal_over_the_quiet_background():
    """What is called strength is the signal in the reference channel over its quiet background, inside its range."""
    drawn = draw(EXACT, 200)
    strength = drawn.signal[:, 0, 0] / (QUIET["A"] * drawn.exposure)
    np.testing.assert_allclose(np.log(strength), drawn.log_signal[:, 0])
    assert strength.min() >= 10.0
    assert strength.max() <= 1000.0


def test_without_errors_counts_are_poisson():
    """With response and background exact the pulls of the counts have mean 0 and variance 1."""
    drawn = draw(EXACT, 4000)
    mean = drawn.signal[:, 0] + drawn.background
    pull = (drawn.counts - mean) / np.sqrt(mean)
    np.testing.assert_allclose(pull.mean(axis=0), 0.0, atol=4 / np.sqrt(4000))
    np.testing.assert_allclose((pull**2).mean(axis=0), 1.0, atol=4 * np.sqrt(2 / 4000))
    assert not drawn.background_error.any()
    assert not drawn.response_error.any()


def test_the_response_error_scatters_each_channel():
    """Where counts are many their scatter about the signal is the stated error of the response, channel by channel."""
    bright = replace(ONE, signal=Range(1e5, 1e6, log=True))
    drawn = draw(replace(EXACT, populations=(bright,), response_error=Range(0.1, 0.1)), 6000)
    scatter = (drawn.counts - drawn.background) / drawn.signal[:, 0] - 1.0
    usual = drawn.response_error == 0.1
    assert 0.9 < usual.mean() < 0.98
    np.testing.assert_allclose(scatter[usual].std(), 0.1, rtol=0.05)
    # Channels that are known worse scatter more, and less than their error only where none cannot be undercut.
    assert scatter[~usual].std() > 0.25
    both = usual.all(axis=1)
    assert abs(np.corrcoef(scatter[both].T)[0, 1]) < 4 / np.sqrt(both.sum())


def test_the_common_background_error_moves_the_channels_together():
    """Two channels' departures multiply to the product of their common errors, one's own to the whole, on average."""
    faint = replace(ONE, signal=Range(1e-9, 1e-9))
    bright = {"A": 5e4, "B": 2e4}
    mixture = Mixture(
        (faint,), bright, response_error=NONE, background_error=Range(0.1, 0.1), background_error_scatter=0.0
    )
    drawn = draw(mixture, 20_000)
    lit = drawn.background[:, 0] > 0
    departure = drawn.counts[lit] / drawn.background[lit] - 1.0
    common = drawn.background_common[lit]
    np.testing.assert_allclose((departure**2).mean(axis=0), 0.01, rtol=0.05)
    expected = (common[:, 0] * common[:, 1]).mean()
    assert expected > 0.002
    assert (departure[:, 0] * departure[:, 1]).mean() == pytest.approx(expected, rel=0.1)


def test_errors_lie_in_their_ranges():
    """No background error is above the stated largest, and what is common is no more than the whole."""
    drawn = draw(MIXED, 5000)
    assert drawn.background_error.max() <= MIXED.background_error.high
    assert (drawn.background_common <= drawn.background_error).all()
    assert (drawn.background_common > 0.99 * drawn.background_error)[drawn.background_error > 0].any()
    assert ((drawn.exposure >= 60.0) & (drawn.exposure <= 86400.0)).all()
    assert np.isfinite(drawn.counts).all()


def test_two_species_add_up():
    """Counts of two populations are Poisson about the sum of their signals."""
    second = replace(ONE, reference_channel="B")
    drawn = draw(replace(EXACT, populations=(ONE, second)), 2000)
    assert drawn.signal.shape == (2000, 2, 2)
    assert len(drawn.log_flux) == 2
    mean = drawn.signal.sum(axis=1) + drawn.background
    pull = (drawn.counts - mean) / np.sqrt(mean)
    np.testing.assert_allclose(pull.mean(axis=0), 0.0, atol=4 / np.sqrt(2000))
    np.testing.assert_allclose(
        drawn.signal[:, 1, 1] / (QUIET["B"] * drawn.exposure), np.exp(drawn.log_signal[:, 1]), rtol=1e-9
    )


def test_the_prior_is_written_down():
    """The description is JSON and holds every range, form and the digest of the response."""
    written = json.loads(json.dumps(MIXED.describe()))
    assert written["populations"][0]["response_sha256"] == TWO.digest
    assert written["populations"][0]["families"]["power-law"]["spectral_index"]["low"] == 1.5
    assert written["background_error"]["high"] == MIXED.background_error.high
    assert written["background_rate"] == QUIET


@pytest.mark.parametrize(
    ("families", "message"), [(("cubic",), r"unknown spectral forms \['cubic'\]"), ((), "no spectral form given")]
)
def test_unknown_forms_are_refused(families, message):
    """A form that there is none of, or no form at all, is refused."""
    with pytest.raises(DataError, match=message):
        Population(TWO, "A", families=families)


def test_an_unknown_reference_is_refused():
    """A reference channel that the response does not know is refused."""
    with pytest.raises(AxisError, match=r"reference channel 'C': the response knows \['A', 'B'\]"):
        Population(TWO, "C")


def test_species_of_other_channels_are_refused():
    """Populations seen by different channels cannot be counted together."""
    other = replace(ONE, response=TWO.select(["A"]))
    with pytest.raises(AxisError, match="expected one set of channels for all"):
        Mixture((ONE, other), QUIET)


def test_a_channel_without_background_is_refused():
    """A channel whose background is not given is refused."""
    with pytest.raises(AxisError, match=r"no background rate for the channels \['B'\]"):
        Mixture((ONE,), {"A": 0.5})
