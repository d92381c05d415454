"""Quiet time, its subtraction, and averages of measured spectra."""

import numpy as np
import pytest

from particleflux.errors import DataError, MissingDataError
from particleflux.products import average_spectra, find_quiet_window, subtract_quiet

HOUR = np.timedelta64(1, "h")


def test_quiet_window_is_the_day_with_the_lowest_mean(spectra):
    values = np.concatenate([np.full(40, 3.0), np.full(30, 1.0), np.full(40, 5.0)])
    time = np.datetime64("2024-05-01T00:00", "ns") + np.arange(len(values)) * HOUR
    start, stop = find_quiet_window(time, values)
    assert start >= time[40]
    assert stop <= time[70]
    assert stop - start == 24 * HOUR


def test_a_dip_of_one_series_is_not_quiet_while_another_is_high():
    time = np.datetime64("2024-05-01T00:00", "ns") + np.arange(96) * HOUR
    low = np.where(np.arange(96) < 48, 1.0, 50.0)  # the event
    high = np.where(np.arange(96) < 48, 1.0, 0.9)  # cosmic rays that fall in it
    start, stop = find_quiet_window(time, np.stack([low, high], axis=1))
    assert stop <= time[48]
    assert start >= time[0]


def test_no_quiet_time_in_short_or_missing_data():
    time = np.datetime64("2024-05-01T00:00", "ns") + np.arange(12) * HOUR
    with pytest.raises(MissingDataError, match="found no 24h"):
        find_quiet_window(time, np.ones(12))
    with pytest.raises(MissingDataError, match="longer data"):
        find_quiet_window(np.concatenate([time, time + 12 * HOUR]), np.r_[np.ones(12), np.full(12, np.nan)])


def test_subtraction_leaves_the_signal_and_says_what_it_took(spectra):
    background, n = np.array([0.3, 0.1]), 48
    signal = np.where(np.arange(n) < 30, 0.0, 5.0)[:, None] * np.ones(2)
    rows = spectra([10.0, 50.0], background + signal, minutes=60, flux_std=np.full((n, 2), 0.01))
    net = subtract_quiet(rows)
    np.testing.assert_allclose(net["flux"], signal, atol=1e-12)
    np.testing.assert_allclose(net["quiet_flux"], background)
    assert net.attrs["quiet_window"].startswith("2024-05-01T")
    np.testing.assert_allclose(net["flux_std"], 0.01)  # a quiet level without scatter adds no error
    given = subtract_quiet(rows, (np.datetime64("2024-05-01T00:00"), np.datetime64("2024-05-01T06:00")))
    assert given.attrs["quiet_window"] == "2024-05-01T00:00:00Z/2024-05-01T06:00:00Z"


def test_quiet_time_that_is_empty_or_not_measured_is_refused(spectra):
    rows = spectra([10.0, 50.0], np.ones((48, 2)), minutes=60)
    early, late = np.datetime64("2024-05-01T00:00"), np.datetime64("2024-05-01T06:00")
    with pytest.raises(DataError, match="is not before"):
        subtract_quiet(rows, (late, early))
    rows["flux"][:10, 1] = np.nan
    with pytest.raises(MissingDataError, match="the flux at 50 MeV was not measured"):
        subtract_quiet(rows, (early, late))


def test_average_is_the_mean_with_the_error_of_the_mean(spectra):
    values = np.arange(40.0)[:, None] * np.ones(2)
    rows = spectra(
        [10.0, 50.0], values, minutes=0.5, flux_std=np.full((40, 2), 2.0), exposure=np.full(40, 30.0),
        quality=np.r_[np.zeros(10), 64, np.zeros(29)].astype(int),
    )  # fmt: skip
    found = average_spectra(rows)
    np.testing.assert_allclose(found["flux"][:, 0], [4.5, 14.5, 24.5, 34.5])
    np.testing.assert_allclose(found["flux_std"], 2.0 / np.sqrt(10))
    np.testing.assert_allclose(found["exposure"], 300.0)
    assert found["quality"].to_numpy().tolist() == [0, 64, 0, 0]


def test_average_of_less_than_half_is_missing(spectra):
    values = np.ones((20, 2))
    values[:6] = np.nan
    found = average_spectra(spectra([10.0, 50.0], values, minutes=0.5))
    assert np.isnan(found["flux"][0]).all()
    assert (found["flux"][1] == 1.0).all()


def test_spectra_of_a_coarser_cadence_stay_as_they_are(spectra):
    rows = spectra([10.0, 50.0], np.ones((20, 2)), minutes=15)
    assert average_spectra(rows) is rows
