from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from particleflux.calibrate import calibrate_sources, daily_fluences, estimate_without_overlap
from particleflux.errors import AxisError, DataError, MissingDataError

Series = Callable[..., xr.DataArray]
Belt = Callable[..., npt.NDArray[np.float64]]
DAYS = 2600


def hourly(flux: npt.NDArray[np.float64], **attrs: str) -> xr.Dataset:
    time = np.datetime64("2014-01-01", "ns") + np.arange(len(flux)) * np.timedelta64(1, "h")
    return xr.Dataset({"electron_flux_gt2mev": ("time", flux)}, {"time": time}, attrs)


def test_sources_are_split_and_folded() -> None:
    """Hours become days of 86400 s where 18 of them are there; a satellite along time parts a source."""
    flux = np.full(72, 100.0)
    flux[24:30] = np.nan
    flux[48:55] = np.nan
    daily = xr.Dataset(
        {"fluence_gt2mev": ("time", [1e7, np.nan, 3e7]), "satellite": ("time", ["GOES-12", "GOES-12", ""])},
        {"time": np.array(["2008-01-01", "2008-01-02", "2008-01-03"], "datetime64[ns]")},
    )
    found = daily_fluences([daily, hourly(flux, satellite="GOES-13", product="science")])
    assert set(found) == {"GOES-12", "GOES-13/science"}
    assert found["GOES-12"].to_numpy().tolist() == [1e7]
    np.testing.assert_allclose(found["GOES-13/science"], [8.64e6, 8.64e6])
    assert found["GOES-13/science"]["time"].to_numpy().astype("datetime64[D]").astype(str).tolist() == [
        "2014-01-01", "2014-01-02",
    ]  # fmt: skip
    assert found["GOES-12"].attrs["units"] == "cm-2 sr-1 d-1"


def test_sources_that_do_not_say_are_refused() -> None:
    """A source names its satellite once and holds its flux."""
    flux = hourly(np.ones(48), satellite="GOES-13")
    with pytest.raises(AxisError, match="expected fluence_gt2mev or electron_flux_gt2mev"):
        daily_fluences([flux.rename(electron_flux_gt2mev="flux")])
    with pytest.raises(AxisError, match="source 1 names no satellite"):
        daily_fluences([hourly(np.ones(48))])
    with pytest.raises(AxisError, match="source 2 holds GOES-13, which an earlier source holds too"):
        daily_fluences([flux, flux])


def test_overlaps_chain_to_the_reference(series: Series, belt: Belt) -> None:
    """A satellite without days in common with the reference is tied to it by way of one that has."""
    x, rng = belt(1200), np.random.default_rng(7)
    noisy = [x + offset + rng.normal(0, 0.05, 1200) for offset in (0.0, 0.2, 0.5)]
    fluences = {
        "GOES-11": series(noisy[0])[:500],
        "GOES-12": series(noisy[1])[300:900],
        "GOES-13": series(noisy[2])[700:],
        "GOES-9": series(x, first="1997-01-01"),
    }
    calibrations, table = calibrate_sources(fluences, reference="GOES-11", form="linear")
    assert {name: each.kind for name, each in calibrations.items()} == {
        "GOES-11": "reference", "GOES-12": "overlap", "GOES-13": "overlap", "GOES-9": "uncalibrated",
    }  # fmt: skip
    np.testing.assert_allclose(calibrations["GOES-13"].apply(8.0), 7.5, atol=0.03)
    assert "by way of GOES-12" in calibrations["GOES-13"].method
    assert calibrations["GOES-13"].scatter_out > calibrations["GOES-12"].scatter_out
    assert table["satellite"].tolist() == ["GOES-11", "GOES-12", "GOES-13", "GOES-9"]
    assert {
        "kind",
        "offset",
        "offset_std",
        "slope",
        "slope_std",
        "scatter_in",
        "scatter_out",
        "n_days",
        "removes",
    } <= set(table)
    assert "no drivers given" in table["note"].iloc[-1]


def test_better_bridge_is_taken(series: Series, belt: Belt) -> None:
    """A noisy overlap with the reference gives way to a chain with less scatter."""
    x, rng = belt(900), np.random.default_rng(11)
    wild = np.where(np.arange(900) < 200, 0.4, 0.05)
    fluences = {
        "GOES-13": series(x + rng.normal(0, 0.02, 900))[:500],
        "GOES-13/science": series(x + 0.1 + rng.normal(0, 0.02, 900))[300:],
        "GOES-15": series(x + 0.3 + wild * rng.normal(size=900)).isel(time=[*range(200), *range(600, 900)]),
    }
    found, _ = calibrate_sources(fluences, reference="GOES-13", form="linear")
    assert "by way of GOES-13/science" in found["GOES-15"].method
    assert found["GOES-15"].scatter_out < 0.1


def test_only_the_days_given_count(series: Series, belt: Belt) -> None:
    """What lies outside the training days may be anything: the calibration does not change."""
    x = belt(600)
    rng = np.random.default_rng(8)
    a, b = series(x + rng.normal(0, 0.1, 600)), series(x + 0.3 + rng.normal(0, 0.1, 600))
    spoilt = b.copy()
    spoilt[400:] = spoilt[400:] * 50
    results = [
        calibrate_sources({"GOES-13": a[:400], "GOES-15": each[:400]}, reference="GOES-13", form="linear")[0]["GOES-15"]
        for each in (b, spoilt)
    ]
    assert results[0].to_dict() == results[1].to_dict()


def test_unknown_reference_is_refused(series: Series, belt: Belt) -> None:
    """The reference must be there."""
    fluences = {"GOES-13": series(belt(100))}
    with pytest.raises(DataError, match="'GOES-11', expected one of: GOES-13"):
        calibrate_sources(fluences, reference="GOES-11")
    with pytest.raises(DataError, match="'GOES-11', expected one of: GOES-13"):
        estimate_without_overlap(fluences, xr.Dataset(), reference="GOES-11")


@pytest.fixture(scope="module")
def driven() -> tuple[xr.DataArray, xr.Dataset]:
    """Give seven years of a flux that a speed drives, with little of its own, and the drivers."""
    rng = np.random.default_rng(9)
    time = np.datetime64("2001-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
    speed = 400 + 80 * np.convolve(rng.normal(size=DAYS + 2), [0.6, 0.6, 0.5], "valid")
    log = 7.5 + 0.004 * (np.roll(speed, 1) - 400) + 0.003 * (np.roll(speed, 2) - 400) + rng.normal(0, 0.15, DAYS)
    drivers = xr.Dataset({"solar_wind_speed": ("time", speed), "f10p7": ("time", np.full(DAYS, 100.0))}, {"time": time})
    return xr.DataArray(10**log, {"time": time}, "time"), drivers


def test_offset_without_overlap_is_estimated(driven: tuple[xr.DataArray, xr.Dataset]) -> None:
    """Where drivers tell the flux, the offset of a satellite that came later is found within its stated error."""
    flux, drivers = driven
    parts = {"GOES-8": flux[:1300], "GOES-12": flux[1300:] * 10**0.3}
    found = estimate_without_overlap(parts, drivers, reference="GOES-8")["GOES-12"]
    assert found.kind == "estimated", found.note
    error = float(found.error(found.pivot))
    assert abs(float(found.apply(found.pivot)) - (found.pivot - 0.3)) < 3 * error < 0.2
    assert found.coefficients[1] == 1
    assert found.covariance[1][1] > 0
    assert "by levels" in found.note
    assert "by change days" in found.note


def test_estimates_serve_where_overlaps_end(driven: tuple[xr.DataArray, xr.Dataset]) -> None:
    """Satellites that overlap among themselves are estimated as one, and each is marked estimated."""
    flux, drivers = driven
    parts = {"GOES-8": flux[:1300], "GOES-12": flux[1300:] * 2, "GOES-13": flux[2000:] * 4}
    calibrations, table = calibrate_sources(parts, reference="GOES-8", drivers=drivers, form="linear")
    assert table["kind"].tolist() == ["reference", "estimated", "estimated"]
    np.testing.assert_allclose(calibrations["GOES-13"].apply(8.0), 8 - np.log10(4), atol=0.1)
    strict, _ = calibrate_sources(parts, reference="GOES-8", drivers=drivers, form="linear", max_error=1e-6)
    assert {each.kind for each in strict.values()} == {"reference", "uncalibrated"}
    assert "the error of the estimate is" in strict["GOES-13"].note


def test_uncertain_estimates_are_refused(driven: tuple[xr.DataArray, xr.Dataset]) -> None:
    """A belt that the drivers do not tell, or changes that contradict each other, give no calibration."""
    flux, drivers = driven
    rng = np.random.default_rng(10)
    wild = flux * 10 ** np.repeat(rng.normal(0, 0.5, DAYS // 100), 100)
    found = estimate_without_overlap({"GOES-8": wild[:1300], "GOES-12": wild[1300:]}, drivers, reference="GOES-8")
    assert found["GOES-12"].kind == "uncalibrated"
    assert "above 0.1" in found["GOES-12"].note
    first, second = flux.copy(), flux * 2
    first[1600:] = first[1600:] * 10
    parts = {"GOES-8": xr.concat([first[:800], first[1600:]], "time"), "GOES-12": second[800:1600]}
    found = estimate_without_overlap(parts, drivers, reference="GOES-8", max_error=9.0)
    assert "disagree" in found["GOES-12"].note


def test_too_little_for_an_estimate_is_said(driven: tuple[xr.DataArray, xr.Dataset]) -> None:
    """A short satellite is marked; a short reference, or no drivers, is an error."""
    flux, drivers = driven
    found = estimate_without_overlap({"GOES-8": flux[:900], "GOES-12": flux[900:960]}, drivers, reference="GOES-8")
    assert found["GOES-12"].note == "fewer than 120 days together with the drivers"
    with pytest.raises(MissingDataError, match="GOES-12, the reference, has too few days"):
        estimate_without_overlap({"GOES-8": flux[:900], "GOES-12": flux[900:960]}, drivers, reference="GOES-12")
    with pytest.raises(MissingDataError, match="expected solar_wind_speed or kp"):
        estimate_without_overlap({"GOES-8": flux}, drivers[["f10p7"]], reference="GOES-8")
    with pytest.raises(MissingDataError, match="no satellite has 54 days together with the drivers"):
        estimate_without_overlap({"GOES-8": flux[:900]}, drivers.isel(time=slice(2000, None)), reference="GOES-8")
    with pytest.raises(MissingDataError, match="days lie above the floors"):
        estimate_without_overlap({"GOES-8": flux * 0 + 1e7}, drivers, reference="GOES-8")
    with pytest.raises(AxisError, match=r"dimensions \('time', 'hour'\)"):
        estimate_without_overlap({"GOES-8": flux}, drivers.expand_dims(hour=24, axis=1), reference="GOES-8")
