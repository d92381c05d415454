"""What npe answers to observations whose errors are given sample by sample."""

from dataclasses import replace

import numpy as np
import pytest

from particleflux.spectra import RollingPowerLaw
from particleflux.unfold.npe import NpeUnfolder
from particleflux.unfold.observation import Observation
from particleflux.unfold.observation import observe as take

SPECTRA = RollingPowerLaw(
    np.array([[3e3], [300.0], [30.0], [0.3]]),
    np.array([[1.0], [2.0], [2.5], [3.0]]),
    np.array([[40.0], [20.0], [10.0], [8.0]]),
)
ENERGIES = (5.0, 20.0, 50.0)


@pytest.fixture(scope="module")
def npe() -> NpeUnfolder:
    return NpeUnfolder.load(energies=ENERGIES, samples=4)


@pytest.fixture(scope="module")
def observation(npe, observe, quiet) -> Observation:
    """Give what the method takes out of the counts of four spectra."""
    errors = npe.artefact.card["channel_errors"]
    return take(observe(SPECTRA), quiet, npe.channels, configurations=(1,), response_error=0.05, channel_errors=errors)[
        0
    ]


def test_predict_gives_the_numbers_of_unfold(npe, observe, quiet, observation):
    """An observation answered directly has the numbers of the labelled spectra."""
    spectra, found = npe.unfold(observe(SPECTRA), quiet), npe.predict(observation)
    np.testing.assert_allclose(found.flux[:, 2], spectra["flux"])
    np.testing.assert_allclose(found.integral[:, 4], spectra["integral_flux_upper95"])
    np.testing.assert_allclose(found.fit_probability, spectra["fit_probability"])
    np.testing.assert_allclose(found.samples, spectra["flux_sample"])


def test_rows_that_are_not_asked_for_stay_empty(npe, observation):
    """Of chosen rows the answers are those of all rows, whatever the order; the others are NaN."""
    whole, part = npe.predict(observation), npe.predict(observation, rows=np.array([2, 0]))
    np.testing.assert_allclose(part.flux[[0, 2]], whole.flux[[0, 2]], rtol=1e-5)
    for values in (part.flux, part.integral, part.fit_probability, part.samples):
        assert np.isnan(values[[1, 3]]).all()


def test_the_seed_moves_the_draws_alone(npe, observation):
    """Another seed gives other draws and the same quantiles; the field's seed is the default."""
    one, same, other = (npe.predict(observation, seed=seed) for seed in (None, npe.seed, 7))
    np.testing.assert_array_equal(one.samples, same.samples)
    assert (one.samples != other.samples).any(axis=2).all()
    np.testing.assert_array_equal(one.flux, other.flux)


def test_progress_ends_at_the_number_of_rows(npe, observation):
    """Progress is told up to the rows that were asked for."""
    told: list[tuple[int, int]] = []
    npe.predict(observation, rows=np.arange(3), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)


def test_each_sample_has_errors_of_its_own(npe, observation):
    """A larger response error in one sample widens its interval of a bright spectrum and leaves the others alone."""
    error = observation.response_error.copy()
    error[0] = 0.2
    found, wider = npe.predict(observation).flux, npe.predict(replace(observation, response_error=error)).flux
    np.testing.assert_allclose(wider[1:], found[1:], rtol=1e-5)
    width, wide = (np.log(item[0, 3] / item[0, 1]) for item in (found, wider))
    assert (wide > 1.5 * width).all()
