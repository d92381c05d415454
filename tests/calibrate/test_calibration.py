from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from particleflux.calibrate import Calibration, chain, describe_difference, uncalibrated
from particleflux.calibrate.chain import identity
from particleflux.errors import DataError

NOTHING = ((0.0, 0.0), (0.0, 0.0))


def line(first: str, second: str, level: float, slope: float, **others: object) -> Calibration:
    return Calibration(first, second, "overlap", "linear", 7.0, (), (level, slope), ((0.01, 0), (0, 0.04)), **others)  # type: ignore[arg-type]


def broken() -> Calibration:
    """Slope 2 below 6, 1 up to 8, 1/2 above; 7 goes to 7.5."""
    covariance = tuple(tuple(0.01 * (row == column) for column in range(4)) for row in range(4))
    return Calibration("A", "B", "overlap", "piecewise", 7.0, (6.0, 8.0), (7.5, 2.0, 1.0, 0.5), covariance)


def test_line_goes_through_its_pivot() -> None:
    """A line maps its pivot to the level, keeps the shape and lets NaN pass."""
    mapped = line("A", "B", 7.4, 0.5).apply([[7.0, 9.0], [5.0, np.nan]])
    np.testing.assert_allclose(mapped, [[7.4, 8.4], [6.4, np.nan]])


def test_broken_line_changes_slope_at_its_knots() -> None:
    """Between and beyond the knots each slope holds, and the line is continuous."""
    np.testing.assert_allclose(broken().apply([5.0, 6.0, 7.0, 8.0, 10.0]), [4.5, 6.5, 7.5, 8.5, 9.5])


def test_error_grows_away_from_the_pivot() -> None:
    """The variance is that of the level, plus that of each slope times the way along it squared."""
    np.testing.assert_allclose(line("A", "B", 7.4, 0.5).error([7.0, 8.0]), [0.1, np.sqrt(0.05)])
    np.testing.assert_allclose(broken().error([9.0]), [0.1 * np.sqrt(1 + 1 + 1)])


@pytest.mark.parametrize("pivot", [5.0, 7.0, 9.0])
def test_inverse_comes_back(pivot: float) -> None:
    """Wherever the pivot lies, the inverse undoes the mapping."""
    x = np.linspace(4, 10, 50)
    mapping = dataclasses.replace(broken(), pivot=pivot)
    np.testing.assert_allclose(mapping.invert(mapping.apply(x)), x)


def test_values_outside_the_fit_are_told() -> None:
    """Below and above the days of the fit is extrapolation; NaN is not."""
    mapping = line("A", "B", 7.4, 0.5, valid=(6.0, 9.0))
    assert mapping.is_extrapolated([5.9, 6.0, 9.1, np.nan]).tolist() == [True, False, True, False]


def test_uncalibrated_changes_nothing_and_claims_nothing() -> None:
    """Without a calibration the values pass, and their error is NaN and not 0."""
    mark = uncalibrated("GOES-9", "GOES-11", "no overlap")
    assert mark.apply([5.0, 9.0]).tolist() == [5.0, 9.0]
    assert np.isnan(mark.error([5.0])).all()
    assert (mark.kind, mark.note) == ("uncalibrated", "no overlap")


@pytest.mark.parametrize("mapping", [broken(), uncalibrated("A", "B", "why"), line("A", "B", 7.4, 0.5, valid=(6, 9))])
def test_document_reads_back(mapping: Calibration) -> None:
    """Through JSON and back nothing is lost, not even what is not finite."""
    text = json.dumps(mapping.to_dict(), allow_nan=False)
    again = Calibration.from_dict(json.loads(text))
    assert again.to_dict() == mapping.to_dict()
    np.testing.assert_array_equal(again.apply([5.5, 8.5]), mapping.apply([5.5, 8.5]))
    np.testing.assert_array_equal(again.error([5.5, 8.5]), mapping.error([5.5, 8.5]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "guess"}, "kind is 'guess', expected one of reference"),
        ({"form": "spline"}, "form is 'spline', expected one of linear"),
        ({"coefficients": (7.5, 1.0)}, "2 coefficients .* for 2 knots; expected 4"),
        ({"coefficients": (7.5, 2.0, -1.0, 0.5)}, "slopes above 0"),
        ({"coefficients": (math.nan, 2.0, 1.0, 0.5)}, "finite numbers"),
        ({"knots": (8.0, 6.0)}, "ascending"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    """A mapping that does not rise, or whose parts do not belong together, is none."""
    with pytest.raises(DataError, match=message):
        dataclasses.replace(broken(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surplus": 1}, "has the fields .*'surplus'.*, expected"),
        ({"knots": None}, "a field of another type"),
        ({"span": ["one"]}, "a field of another type"),
        ({"n_days": math.inf}, "a field of another type"),
        ({"kind": "guess"}, "kind is 'guess'"),
    ],
)
def test_documents_of_others_are_refused(change: dict[str, object], message: str) -> None:
    """A file that is no calibration is refused in words."""
    with pytest.raises(DataError, match=message):
        Calibration.from_dict({**broken().to_dict(), **change})


def test_no_document_is_refused() -> None:
    """A list is no calibration."""
    with pytest.raises(DataError, match="has the fields list"):
        Calibration.from_dict([1])  # type: ignore[arg-type]


def test_chain_is_one_after_the_other() -> None:
    """Two broken lines in a row are one, with the knots of both, and the errors of both."""
    first, second = broken(), dataclasses.replace(broken(), satellite="B", reference="C")
    whole = chain(first, second)
    x = np.linspace(4, 11, 80)
    np.testing.assert_allclose(whole.apply(x), second.apply(first.apply(x)), atol=1e-5)
    assert whole.knots == pytest.approx((5.75, 6.0, 7.5, 8.0))
    assert (whole.satellite, whole.reference) == ("A", "C")


def test_chain_of_lines_adds_errors_in_squares() -> None:
    """The error of the first counts with the slope of the second."""
    whole = chain(line("A", "B", 7.0, 1.0, scatter_in=0.3), line("B", "C", 7.0, 0.5, scatter_in=0.2))
    assert whole.coefficients == pytest.approx((7.0, 0.5))
    np.testing.assert_allclose(whole.error([7.0, 8.0]), np.sqrt([0.25 * 0.01 + 0.01, 0.25 * 0.05 + 0.05]), rtol=1e-4)
    assert whole.scatter_in == pytest.approx(np.hypot(0.15, 0.2))
    assert whole.method.endswith("by way of B")


def test_chain_is_as_good_as_its_worst_link() -> None:
    """An estimate in a chain makes an estimate, and the narrower range holds."""
    guess = dataclasses.replace(line("B", "C", 7.3, 1.0, valid=(6.0, 8.0)), kind="estimated")
    whole = chain(line("A", "B", 7.3, 1.0, valid=(6.5, 9.0)), guess)
    assert whole.kind == "estimated"
    assert whole.valid == pytest.approx((6.5, 7.7))
    assert chain(guess, identity("C")).apply([7.0]) == pytest.approx([7.3])


def test_chain_needs_a_common_satellite() -> None:
    """A mapping goes on from where the first one ends."""
    with pytest.raises(DataError, match="expected one from 'B'"):
        chain(line("A", "B", 7.0, 1.0), line("C", "D", 7.0, 1.0))


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("GOES-15", "GOES-13", "detector and belt together: 135 W to 75 W"),
        ("GOES-12", "GOES-13", "detector: both stand at one longitude"),
        ("GOES-13/science", "GOES-13", "product: science against unnamed"),
        ("GOES-13", "GOES-13", "nothing"),
        ("GOES-13", "METEOSAT", "station unknown"),
    ],
)
def test_what_a_mapping_removes_is_said(first: str, second: str, what: str) -> None:
    """West against East is a property of the belt too; two products of a satellite are not."""
    assert what in describe_difference(first, second)
