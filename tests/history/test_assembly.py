from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.history import assemble
from particleflux.magnetosphere import standoff
from particleflux.names import VARIABLES

NAN = np.nan
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Shift:
    """Adds dex."""

    offset: float
    kind: str = "overlap"

    def apply(self, log_flux):
        return log_flux + self.offset


@pytest.fixture
def daily(make):
    """Give a daily series of two satellites: four days GOES-12, then four GOES-13, one of them without flux."""
    fluence = np.array([1e6, 2e6, 3e6, 4e6, 5e6, NAN, 7e6, 8e6])
    source = make("2010-04-10", "1D", {"fluence_gt2mev": fluence, "electron_flux_gt0p6mev": fluence / 100})
    return source.assign(satellite=("time", ["GOES-12"] * 4 + ["GOES-13", "", "GOES-13", "GOES-13"]))


@pytest.fixture
def hourly(make):
    """Give GOES-13 by the hour, from the sixth day on."""
    flux = np.full(5 * 24, 100.0)
    return make("2010-04-15", "1h", {"electron_flux_gt2mev": flux, "electron_flux_gt0p8mev": flux * 50}).assign_attrs(
        satellite="GOES-13", product="science"
    )


@pytest.fixture
def omni(make):
    hours = np.arange(10 * 24.0)
    columns = {"solar_wind_speed": 400 + hours, "solar_wind_density": 5.0, "solar_wind_pressure": 2.0, "bz_gsm": -8.14}
    return make("2010-04-10", "1h", {**columns, "kp": 3.0, "dst": -hours, "ae": hours})


def test_each_day_has_the_first_satellite_that_gives_a_fluence(daily, hourly, omni):
    """The daily product comes first; where it has nothing, the hourly one; the day says which satellite it was."""
    history = assemble([daily, hourly], omni=omni, reference="GOES-13")
    assert history["time"].values[0] == np.datetime64("2010-04-10")
    assert history.sizes == {"time": 10, "hour": 24}
    np.testing.assert_allclose(history["fluence_gt2mev"], [1e6, 2e6, 3e6, 4e6, 5e6, 8.64e6, 7e6, 8e6, 8.64e6, 8.64e6])
    assert history["satellite"].values.tolist() == ["GOES-12"] * 4 + ["GOES-13"] * 6
    assert history["calibration"].values.tolist() == [3] * 4 + [0] * 6
    assert history["calibration"].attrs["flag_values"] == [0, 1, 2, 3, -1]
    assert history.attrs["satellite"] == "GOES-12, GOES-13"
    np.testing.assert_allclose(history["electron_flux_gt2mev"] * 86400, history["fluence_gt2mev"])


def test_hours_of_a_satellite_stand_beside_its_daily_product(daily, hourly):
    """A day whose fluence is of the daily product has the hours of its satellite's hourly one; others have none."""
    history = assemble([daily, hourly])
    block = history["electron_flux_gt2mev_hourly"]
    assert np.isnan(block.values[:5]).all()
    assert (block.values[5:] == 100).all()


def test_the_other_satellite_does_not_fill_hours(daily, hourly):
    """Hours of another satellite than the day's stay out."""
    block = assemble([daily, hourly.assign_attrs(satellite="GOES-15")])["electron_flux_gt2mev_hourly"]
    assert np.isfinite(block.values[[5, 8, 9]]).all()
    assert np.isnan(block.values[[6, 7]]).all()


def test_calibrations_bring_the_fluence_to_the_reference(daily, hourly):
    """A calibration is applied to log10 of days and hours, recorded by its kind, and what was measured is kept."""
    calibrations = {"GOES-12": Shift(0.5, "estimated"), "GOES-13/science": Shift(-1.0)}
    history = assemble([daily, hourly], calibrations=calibrations, reference="GOES-13")
    ratio = history["fluence_gt2mev"] / history["fluence_gt2mev_measured"]
    np.testing.assert_allclose(ratio, [10**0.5] * 4 + [1, 0.1, 1, 1, 0.1, 0.1])
    assert history["calibration"].values.tolist() == [2] * 4 + [0, 1, 0, 0, 1, 1]
    np.testing.assert_allclose(history["electron_flux_gt2mev_hourly"].values[5:], 10)
    assert history.attrs["reference"] == "GOES-13"


def test_hours_of_another_longitude_are_not_calibrated(daily, hourly):
    """The ratio of two stations turns with local time: days come to the reference's scale, hours are left out."""
    other = hourly.assign_attrs(satellite="GOES-15", product="")
    history = assemble([daily, other], calibrations={"GOES-15": Shift(-1.0)}, reference="GOES-13")
    assert history["calibration"].values[[5, 8, 9]].tolist() == [1, 1, 1]
    assert np.isnan(history["electron_flux_gt2mev_hourly"]).all()


def test_a_calibration_that_ties_nothing_changes_nothing(daily):
    """A calibration of kind "uncalibrated" leaves the fluence and marks its days."""
    history = assemble([daily], calibrations={"GOES-12": Shift(0.5, "uncalibrated")}, reference="GOES-13")
    assert history["calibration"].values.tolist() == [3] * 4 + [0, -1, 0, 0]
    assert history["fluence_gt2mev"].values[0] == 1e6


def test_days_without_flux_are_nan_and_name_no_satellite(daily):
    """A gap is NaN, has an empty satellite and the calibration -1."""
    history = assemble([daily])
    assert np.isnan(history["fluence_gt2mev"].values[5])
    assert history["satellite"].values[5] == ""
    assert history["calibration"].values[5] == -1
    assert history.attrs["reference"] == "GOES-12"


def test_a_day_with_too_few_hours_keeps_them(make):
    """17 hours make no fluence, but stay as hours of their satellite."""
    flux = np.full(48, 100.0)
    flux[:7] = NAN
    history = assemble([make("2010-04-15", "1h", {"electron_flux_gt2mev": flux}, satellite="GOES-13")])
    np.testing.assert_allclose(history["fluence_gt2mev"], [NAN, 8.64e6])
    assert np.isfinite(history["electron_flux_gt2mev_hourly"].values[0]).sum() == 17
    assert history["satellite"].values.tolist() == ["GOES-13", "GOES-13"]


def test_own_files_of_indices_go_before_omni(daily, omni, make):
    """Kp and Dst are those of their files where these have a value, else those of OMNI; the order is recorded."""
    kp = make("2010-04-10", "3h", {"kp": np.full(16, 5.0), "ap": np.full(16, 48.0)}, cadence="3h")
    values = np.full(48, -200.0)
    values[24:] = NAN
    dst = make("2010-04-10", "1h", {"dst": values})
    history = assemble([daily], omni=omni, kp=kp, dst=dst)
    np.testing.assert_allclose(history["kp"], [5, 5] + [3] * 8)
    np.testing.assert_allclose(history["kp_sum"], [40, 40] + [24] * 8)
    np.testing.assert_allclose(history["dst"].values[:2], [-200, -np.arange(24, 48).mean()])
    assert history["kp"].attrs["preference"] == "kp, omni"
    assert history["dst"].attrs["preference"] == "dst, omni"


def test_others_fill_what_is_missing(daily, omni, make):
    """A driver OMNI lacks for a while is taken from the other sources, hour by hour."""
    omni["ae"][:30] = NAN
    other = make("2010-04-10", "5m", {"ae": np.full(2 * 288, 77.0)})
    history = assemble([daily], omni=omni, others=[other])
    hours = history["ae_hourly"].values.ravel()
    assert (hours[:30] == 77).all()
    assert hours[30] == 30


def test_kp_does_not_stretch_the_history(daily, make):
    """Kp goes back to 1932; the history does not."""
    kp = make("2010-01-01", "3h", {"kp": np.full(8 * 365, 2.0)})
    history = assemble([daily], kp=kp)
    assert history.sizes["time"] == 8
    assert history["kp"].notnull().all()


def test_standoff_is_that_of_the_hours(daily, omni):
    """Hours have the distance of their pressure and field; the day has its mean. Pressure is derived where it lacks."""
    history = assemble([daily], omni=omni)
    expected = standoff(history["bz_gsm_hourly"], history["solar_wind_pressure_hourly"])
    np.testing.assert_allclose(history["standoff_hourly"], expected)
    np.testing.assert_allclose(history["standoff"], 10.22 * 2 ** (-1 / 6.6))
    derived = assemble([daily], omni=omni.drop_vars("solar_wind_pressure"))
    np.testing.assert_allclose(
        derived["solar_wind_pressure_hourly"].values[0, 0], 1.67262192e-6 * 5 * 400**2 * 1.2, rtol=1e-9
    )


def test_daily_drivers_alone_give_a_standoff(daily, make):
    """Where solar wind comes as daily means, the distance is that of the means."""
    wind = make("2010-04-10", "1D", {"solar_wind_pressure": np.full(8, 2.0), "bz_gsm": np.full(8, -8.14)})
    history = assemble([daily], omni=wind)
    np.testing.assert_allclose(history["standoff"], 10.22 * 2 ** (-1 / 6.6))
    assert "standoff_hourly" not in history


def test_a_day_that_is_not_over_is_left_out(daily, make):
    """Solar wind until 15:00 of a day makes no last day: a forecast begins after a whole one."""
    omni = make("2010-04-10", "1h", {"ae": np.ones(10 * 24 - 9)})
    assert assemble([daily], omni=omni).sizes["time"] == 9


def test_the_range_can_be_chosen(daily, omni):
    """Start and stop choose days; a bare date as stop is included."""
    history = assemble([daily], omni=omni, start="2010-04-12", stop="2010-04-14")
    assert history["time"].dt.day.values.tolist() == [12, 13, 14]
    with pytest.raises(MissingDataError, match=r"no whole day in \[2011-01-01.*the sources hold 2010-04-10"):
        assemble([daily], omni=omni, start="2011-01-01")


def test_another_day_needs_hours(hourly, daily, omni):
    """Hourly sources fold into days from 07:00 UTC; a daily product does not."""
    history = assemble([hourly], omni=omni, day_start=7)
    assert history["time"].values[1] == np.datetime64("2010-04-10T07:00")
    assert history["fluence_gt2mev"].notnull().sum() == 4
    with pytest.raises(DataError, match="does not begin with a day counted from"):
        assemble([daily], omni=omni, day_start=7)


def test_periods_of_a_product_can_be_left_out(daily, hourly):
    """What is excluded by its name is taken from the next source; another name raises."""
    history = assemble([daily, hourly], exclude={"GOES-13": "2010-04-16/2010-04-17"})
    np.testing.assert_allclose(history["fluence_gt2mev"].values[6:8], 8.64e6)
    everything = assemble([daily, hourly], exclude={"GOES-12": "2010", "GOES-13/science": "2010"})
    assert everything.attrs["satellite"] == "GOES-13"
    with pytest.raises(DataError, match="nothing to exclude of 'GOES-15': the electrons are of GOES-12, GOES-13, "):
        assemble([daily, hourly], exclude={"GOES-15": "2010"})


def test_products_that_contradict_each_other_are_named(daily, hourly):
    """Two products of one satellite a decade apart are a warning."""
    hourly["electron_flux_gt2mev"][24:48] = 5000.0
    with pytest.warns(UserWarning, match="GOES-13 and GOES-13/science differ by more than 1 decade on 2010-04-16"):
        assemble([daily, hourly])


def test_censored_hours_are_neither_lost_nor_zero(make):
    """Blank hours at low flux count as half the limit, the limit is stated, and days say how much of them it is."""
    rng = np.random.default_rng(2)
    softer = 10 ** rng.normal(4, 1, 40 * 24)
    flux = np.where(softer < 1000, NAN, softer / 50)
    softer[:24], flux[:24] = 100.0, NAN
    source = make("2010-04-15", "1h", {"electron_flux_gt2mev": flux, "electron_flux_gt0p8mev": softer})
    history = assemble([source.assign_attrs(satellite="GOES-13")])
    limit = np.nanquantile(flux, 0.01)
    assert history["fluence_gt2mev"].values[0] == pytest.approx(limit / 2 * 86400)
    assert history["fluence_gt2mev_censored"].values[0] == 1
    assert history.attrs["detection_limits"] == f"GOES-13 {limit:.4g} cm-2 s-1 sr-1"
    stated = assemble([source.assign_attrs(satellite="GOES-13", detection_limit=30.0)])
    assert stated["fluence_gt2mev"].values[0] == pytest.approx(15 * 86400)


def test_every_variable_carries_units(daily, hourly, omni):
    """All numbers of a history have the unit of the vocabulary and a long name."""
    history = assemble([daily, hourly], omni=omni)
    for name, array in history.data_vars.items():
        assert array.attrs["units"], name
        assert array.attrs["long_name"], name
        if name in VARIABLES:
            assert array.attrs["units"] == VARIABLES[name].units


def test_what_comes_later_changes_no_earlier_day(daily, hourly, omni):
    """Cutting all sources off at a midnight gives the same days as before, bit by bit."""
    whole = assemble([daily, hourly], omni=omni, reference="GOES-13")
    cut = [source.sel(time=slice(None, "2010-04-15")) for source in (daily, hourly, omni)]
    first = assemble(cut[:2], omni=cut[2], reference="GOES-13")
    whole = whole.sel(time=first["time"])
    for name in first:
        np.testing.assert_array_equal(first[name], whole[name])


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda d: [], MissingDataError, "no source of electrons"),
        (lambda d: [d.drop_vars("satellite")], DataError, "satellite '', expected a name such as 'GOES-13'"),
        (lambda d: [d.assign(satellite=("time", ["XMM"] * 8))], DataError, "satellite 'XMM', expected"),
        (
            lambda d: [d.assign(satellite=("time", [""] * 8))],
            DataError,
            "a flux at 2010-04-10T00:00:00 names no satellite",
        ),
        (
            lambda d: [d.drop_vars("fluence_gt2mev")],
            MissingDataError,
            "expected electron_flux_gt2mev or fluence_gt2mev",
        ),
        (lambda d: [d.rename(time="t")], AxisError, "expected `time`"),
        (lambda d: [d.assign_attrs(cadence="1h")], DataError, "are finer than a day; expected electron_flux_gt2mev"),
    ],
)
def test_sources_that_cannot_be_used_are_refused(daily, change, error, match):
    """No electrons, an unknown satellite, a source without the flux: each raises and says which."""
    with pytest.raises(error, match=match):
        assemble(change(daily))


def test_unknown_calibrations_are_refused(daily):
    """A calibration of another kind, or without a reference, raises."""
    with pytest.raises(DataError, match="calibrations without a reference"):
        assemble([daily], calibrations={"GOES-12": Shift(0.1)})
    with pytest.raises(
        DataError, match="calibration of GOES-12 is of kind 'guess', expected one of reference, overlap"
    ):
        assemble([daily], calibrations={"GOES-12": Shift(0.1, "guess")}, reference="GOES-13")


def test_real_censored_days_agree_with_the_daily_product(shared_data):
    """GOES-13: days with 1 to 21 blank hours agree with the Daily Particle Data as days without any do."""
    from particleflux.io import open_dpd, open_goes_hourly

    folder = shared_data / "geo"
    dpd = open_dpd(folder / "dpd", start="2011-01-01", stop="2013-12-31")
    hourly = open_goes_hourly(folder / "goes13").sel(time=slice("2011", "2013"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        product = assemble([dpd])["fluence_gt2mev"]
        science = assemble([hourly], start="2011-01-01", stop="2013-12-31")
    difference = np.log10(science["fluence_gt2mev"]) - np.log10(product)
    hours = science["fluence_gt2mev_censored"] * 24
    without = float(difference.where(hours == 0).median())
    assert without == pytest.approx(0.066, abs=0.01)
    for low, high in ((1, 6), (7, 12), (13, 18), (19, 21)):
        some = difference.where((hours >= low - 0.5) & (hours <= high + 0.5))
        assert int(some.count()) > 30
        assert float(some.median()) == pytest.approx(without, abs=0.075)
