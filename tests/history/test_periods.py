from __future__ import annotations

import numpy as np
import pytest

from particleflux.errors import DataError, MissingDataError
from particleflux.history import assemble, parse_periods, training_only


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2008", [("2008-01-01", "2009-01-01")]),
        ("1999-2007, 2011-2016", [("1999-01-01", "2008-01-01"), ("2011-01-01", "2017-01-01")]),
        ("2011-03-01/2011-04-15", [("2011-03-01", "2011-04-16")]),
        ("/2003-12-31", [(None, "2004-01-01")]),
        ([("2011-03-01", "2011-04-15T12:00")], [("2011-03-01", "2011-04-15T12:00")]),
        ([(None, "2011")], None),
    ],
)
def test_periods_are_read(given, expected):
    """Years are whole, bare dates are included whole, instants end where they say."""
    if expected is None:
        with pytest.raises(DataError, match="stop='2011' is not a time"):
            parse_periods(given)
        return
    found = [(span.start, span.stop) for span in parse_periods(given)]
    assert found == [tuple(None if end is None else np.datetime64(end, "ns") for end in pair) for pair in expected]


@pytest.mark.parametrize("given", ["", "2008;2009", "1999-", "2009-2008", "12", [], [("2008-01-01",)], "2008/2009"])
def test_what_is_no_period_is_refused(given):
    """Anything else raises."""
    with pytest.raises(DataError, match=r"period|not a time|not before"):
        parse_periods(given)


@pytest.fixture
def history(make):
    electrons = make("2007-12-01", "1D", {"fluence_gt2mev": np.full(62, 1e7)}, satellite="GOES-12")
    omni = make("2007-12-01", "1h", {"dst": np.ones(62 * 24), "kp": np.ones(62 * 24)})
    return assemble([electrons], omni=omni)


def test_nothing_outside_the_periods_is_left(history):
    """Every variable of a day outside is NaN, names no satellite and has no calibration; inside all is as before."""
    kept = training_only(history, "2007")
    inside, outside = kept.sel(time="2007"), kept.sel(time="2008")
    assert kept.sizes == history.sizes
    assert inside.identical(history.sel(time="2007"))
    for name, array in outside.data_vars.items():
        if array.dtype.kind == "f":
            assert array.isnull().all(), name
    assert (outside["satellite"] == "").all()
    assert (outside["calibration"] == -1).all()
    assert history["dst"].notnull().all()


def test_a_day_that_reaches_beyond_a_period_is_outside(make):
    """A local-time day that begins on the last day of the period ends after it: it is left out."""
    electrons = make("2007-12-30", "1h", {"electron_flux_gt2mev": np.full(96, 10.0)}, satellite="GOES-12")
    history = assemble([electrons], day_start=7)
    known = training_only(history, "2007")["fluence_gt2mev"].dropna("time")["time"].values
    assert known.astype("datetime64[h]").tolist() == [np.datetime64("2007-12-30T07").item()]


def test_periods_outside_the_history_are_refused(history):
    """Periods without a day of the history raise."""
    with pytest.raises(MissingDataError, match=r"no day of the history lies in \[2010-01-01"):
        training_only(history, "2010")
