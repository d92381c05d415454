"""How the fit of npe is judged, by numbers one can check by hand."""

import numpy as np
import pytest
from scipy.stats import chi2

from particleflux.errors import ArtefactError
from particleflux.unfold.npe_fit import FitTable, discrepancy
from particleflux.unfold.npe_targets import FIT_LEFT_OUT, FIT_LEVELS
from particleflux.unfold.observation import Observation

LEVELS = np.array(FIT_LEVELS)
LOG_TOTAL = np.array([0.0, 2.0, 6.0])


def observation(counts: object, background: object, **more: object) -> Observation:
    number = np.atleast_2d(np.asarray(counts, dtype=float))
    values = {"background_error": 0.0, "background_common": 0.0, "response_error": 0.0, "is_read": True} | more
    whole = {name: np.array(np.broadcast_to(value, number.shape)) for name, value in values.items()}
    level = np.array(np.broadcast_to(np.asarray(background, dtype=float), number.shape))
    return Observation(counts=number, background=level, exposure=np.ones(len(number)), **whole)


def card(values: np.ndarray) -> dict:
    return {"name": "m", "fit": {"log_total": LOG_TOTAL.tolist(), "discrepancy": values.tolist()}}


def chi_square_table() -> FitTable:
    """Give the table of samples that fit as chi-square of 8, 7, 6, 5 channels says, alike at every total."""
    values = np.stack([chi2.isf(LEVELS, 8 - left_out) for left_out in range(FIT_LEFT_OUT + 1)])
    return FitTable.of(card(np.repeat(values[:, None], len(LOG_TOTAL), axis=1)))


def test_discrepancy_of_one_channel():
    """130 counts for 100 expected: 30 squared over 100 and the networks' own error, less with every other error."""
    signal = np.array([[60.0]])
    assert discrepancy(observation([130.0], 40.0), signal) == pytest.approx(900.0 / 101.44)
    # 25 % of 40 counts is 10: variance 100 + 100. 20 % of 60 counts is 12: 100 + 144.
    # The networks err by 2 % of 60 counts: 1.44 more.
    assert discrepancy(observation([130.0], 40.0, background_error=0.25), signal) == pytest.approx(900.0 / 201.44)
    assert discrepancy(observation([130.0], 40.0, response_error=0.2), signal) == pytest.approx(900.0 / 245.44)


def test_discrepancy_adds_the_channels_that_are_read():
    """Two channels add up; one that is not read adds nothing."""
    signal = np.array([[60.0, 0.0]])
    assert discrepancy(observation([130.0, 15.0], [40.0, 25.0]), signal) == pytest.approx(900.0 / 101.44 + 4.0)
    left_out = observation([130.0, 15.0], [40.0, 25.0], is_read=[True, False])
    assert discrepancy(left_out, signal) == pytest.approx(900.0 / 101.44)


def test_nothing_expected_and_nothing_counted_fits():
    """No counts where none are expected is no discrepancy, and not a division by zero."""
    assert discrepancy(observation([0.0], 0.0), np.array([[0.0]])) == 0.0
    assert discrepancy(observation([1.0], 0.0), np.array([[0.0]])) == pytest.approx(2.0)


def test_tabulated_levels_come_back():
    """At a discrepancy that a share of samples exceeds, the probability is that share, for every number left out."""
    table = chi_square_table()
    for left_out in range(FIT_LEFT_OUT + 1):
        measured = table.values[left_out, 0]
        found = table.probability(measured, np.full(len(LEVELS), 1.0), np.full(len(LEVELS), left_out))
        np.testing.assert_allclose(found, LEVELS, rtol=1e-9)


def test_between_the_levels_it_follows_the_distribution():
    """Of samples that follow chi-square of 8 the probability is that of chi-square, within 3 %."""
    measured = np.linspace(3.0, 25.0, 50)
    found = chi_square_table().probability(measured, np.full(50, 3.3), np.zeros(50, dtype=np.intp))
    np.testing.assert_allclose(found, chi2.sf(measured, 8), rtol=0.03)


def test_beyond_the_table_it_ends():
    """A perfect fit has probability 1, the worst the least level, and none is 0."""
    found = chi_square_table().probability(np.array([0.0, 1e6]), np.zeros(2), np.zeros(2, dtype=np.intp))
    np.testing.assert_allclose(found, [1.0, LEVELS[-1]])


def test_between_two_totals_the_table_is_interpolated():
    """Where the discrepancies of the bins are d, 3 d and 3 d, in the middle of the first two they are 2 d."""
    shape = np.linspace(1.0, 16.0, len(LEVELS))
    values = np.array([1.0, 3.0, 3.0])[:, None] * shape
    table = FitTable.of(card(np.repeat(values[None], FIT_LEFT_OUT + 1, axis=0)))
    none = np.zeros(len(LEVELS), dtype=np.intp)
    np.testing.assert_allclose(table.probability(2.0 * shape, np.full(len(LEVELS), 1.0), none), LEVELS)
    for outside in (-50.0, 50.0):
        factor = 1.0 if outside < 0 else 3.0
        np.testing.assert_allclose(table.probability(factor * shape, np.full(len(LEVELS), outside), none), LEVELS)


def test_many_channels_left_out_count_as_the_most():
    """More channels left out than were tabulated are judged as the most that were."""
    table = chi_square_table()
    most, more = (
        table.probability(np.array([9.0]), np.zeros(1), np.array([number]))
        for number in (FIT_LEFT_OUT, FIT_LEFT_OUT + 2)
    )
    assert most == more
    assert most != table.probability(np.array([9.0]), np.zeros(1), np.array([0]))


def test_a_card_without_the_table_is_refused():
    """A card that lacks the table, or holds text in it, is one message."""
    with pytest.raises(ArtefactError, match="'m': its card lacks or misstates 'fit'"):
        FitTable.of({"name": "m"})
    with pytest.raises(ArtefactError, match=r"'m': its card lacks or misstates .*soon"):
        FitTable.of({"name": "m", "fit": {"log_total": ["soon"], "discrepancy": []}})


@pytest.mark.parametrize("fault", ["shape", "falling", "nan"])
def test_a_damaged_table_is_refused(fault):
    """A table of another shape, one that falls, or one with NaN is refused."""
    values = chi_square_table().values.copy()
    if fault == "shape":
        values = values[:-1]
    else:
        values[0, 0, 3] = np.nan if fault == "nan" else 99.0
    with pytest.raises(ArtefactError, match=r"table of the fit has shape .* finite and rising"):
        FitTable.of(card(values))
