from __future__ import annotations

import numpy as np
import pytest

from particleflux.history.fluence import daily_fluence, detection_limit

NAN = np.nan


def test_fluence_is_the_mean_flux_over_a_day():
    """24 hours of 100 cm-2 s-1 sr-1 are 8.64e6 cm-2 sr-1."""
    made = daily_fluence(np.full((1, 24), 100.0))
    assert made.fluence[0] == pytest.approx(8.64e6)
    assert made.censored[0] == 0


def test_missing_hours_are_not_zero_flux():
    """With 18 of 24 hours the fluence is that of their mean; with 17 it is NaN."""
    flux = np.full((2, 24), 100.0)
    flux[0, :6] = NAN
    flux[1, :7] = NAN
    np.testing.assert_allclose(daily_fluence(flux).fluence, [8.64e6, NAN])


def test_a_day_of_zero_flux_has_no_fluence():
    """A fluence of 0 has no logarithm: NaN."""
    assert np.isnan(daily_fluence(np.zeros((1, 24))).fluence[0])


def test_hours_below_the_limit_count_as_half_of_it():
    """12 hours of 100 and 12 below a limit of 20: a mean of 55, half of the hours flagged, the hours filled with 10."""
    flux = np.full((1, 24), 100.0)
    flux[0, 12:] = NAN
    softer = np.where(np.isnan(flux), 500.0, 5000.0)
    made = daily_fluence(flux, softer, limit=20.0)
    assert made.fluence[0] == pytest.approx(55 * 86400)
    assert made.censored[0] == 0.5
    assert made.flux[0, 12:].tolist() == [10.0] * 12


def test_a_day_wholly_below_the_limit_is_half_of_it():
    """A day all of whose hours lie below the limit has half of it, and says so: it is not lost."""
    flux = np.array([[NAN] * 24, [100.0] * 24])
    softer = np.array([[500.0] * 24, [5000.0] * 24])
    made = daily_fluence(flux, softer, limit=20.0)
    np.testing.assert_allclose(made.fluence, [10 * 86400, 100 * 86400])
    assert made.censored.tolist() == [1, 0]


def test_blank_hours_at_high_flux_are_gaps():
    """A blank while the softer flux is over 800 limits, or is blank itself, is not below the limit."""
    flux = np.full((1, 24), 100.0)
    flux[0, :7] = NAN
    softer = np.full((1, 24), 5000.0)
    softer[0, :6] = 17000.0
    softer[0, 6] = NAN
    made = daily_fluence(flux, softer, limit=20.0)
    assert np.isnan(made.fluence[0])
    assert np.isnan(made.flux[0, :7]).all()


def censored(n: int = 2000, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    softer = 10 ** rng.normal(4, 1, n)
    flux = softer / 50
    return np.where(flux < np.quantile(flux, share), NAN, flux), softer


def test_the_limit_is_found_where_low_flux_is_blank():
    """Of a product without its lowest 30 %, the limit is the 1 % quantile of what is left."""
    flux, softer = censored()
    limit = detection_limit(flux, softer)
    assert limit == pytest.approx(np.nanquantile(flux, 0.01))


def test_random_gaps_are_no_limit():
    """Blanks anywhere, few blanks and few hours tell of no limit."""
    flux, softer = censored(share=0.0)
    random = np.where(np.random.default_rng(4).random(len(flux)) < 0.3, NAN, flux)
    assert detection_limit(random, softer) is None
    few, _ = censored(share=0.005)
    assert detection_limit(few, softer) is None
    assert detection_limit(*(values[:200] for values in censored())) is None
