from __future__ import annotations

import warnings

import numpy as np
import pytest

from particleflux.history.comparison import compare_products, shifted_dates

TIME = np.datetime64("2014-01-01", "ns") + np.arange(200) * np.timedelta64(1, "D")
RANDOM = np.random.default_rng(5)
LOGS = 7 + np.convolve(RANDOM.normal(0, 0.25, 240), 0.7 ** np.arange(40), mode="full")[40:240]
SECOND = LOGS + 0.07 + RANDOM.normal(0, 0.01, 200)


def test_products_that_agree_say_nothing():
    """An offset and a scatter of 0.01 dex are no contradiction."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_products([10**LOGS, 10**SECOND], ["a", "b"], TIME)
        compare_products([10**LOGS, np.full(200, np.nan)], ["a", "b"], TIME)


def test_a_day_far_off_is_named():
    """A day on which they differ by 1.5 dex is named in a warning."""
    wrong = LOGS.copy()
    wrong[40] += 1.5
    with pytest.warns(UserWarning, match="a and b differ by more than 1 decade on 2014-02-10; a is used there"):
        compare_products([10**wrong, 10**SECOND], ["a", "b"], TIME)


@pytest.mark.parametrize(("shift", "meant"), [(1, "after"), (-1, "before")])
def test_wrong_dates_are_found(shift, meant):
    """A month whose rows bear the date of a neighbouring day is found, and no other."""
    wrong = LOGS.copy()
    wrong[60:90] = LOGS[60 + shift : 90 + shift]
    found = np.flatnonzero(shifted_dates(wrong, SECOND, shift))
    assert len(found) >= 10
    assert found.min() >= 58
    assert found.max() <= 92
    with pytest.warns(UserWarning, match=f"a agrees with b of the day {meant}: the dates of one of them are wrong"):
        compare_products([10**wrong, 10**SECOND], ["a", "b"], TIME)


def test_short_series_are_not_judged():
    """Less than nine days tell nothing of dates."""
    assert not shifted_dates(LOGS[:8], SECOND[:8], 1).any()
