from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.export import open_dataset, write_dataset
from particleflux.forecast import BASELINES
from particleflux.verify import (
    SCORES,
    SKILLS,
    brier_decomposition,
    brier_score,
    correlation,
    coverage,
    crps,
    exceeds,
    heidke_skill,
    onsets,
    prediction_efficiency,
    reliability_curve,
    rmse,
    skill,
    summarise,
    to_table,
    verify,
)
from particleflux.verify.samples import gather

Make = Callable[..., xr.Dataset]
RNG = np.random.default_rng(5)
N = 800
LOG = 7.6 + np.convolve(RNG.standard_normal(N + 8), np.ones(9) / 3, mode="valid") * 0.7
CLOSE, FAR = (LOG + error * RNG.standard_normal(N) for error in (0.3, 0.6))


@pytest.fixture(scope="module")
def report(make_forecast: Make, make_history: Make) -> xr.Dataset:
    """Give the report of a good forecast, and of a poor one that is called persistence."""
    forecasts = {"good": make_forecast(CLOSE, 0.3), "persistence": make_forecast(FAR, 0.6)}
    return verify(forecasts, make_history(LOG), n_bootstrap=200)


def days(values: np.ndarray) -> xr.DataArray:
    time = np.datetime64("2008-01-01", "ns") + np.arange(len(values)) * np.timedelta64(1, "D")
    return xr.DataArray(values, {"time": time}, ("time",))


def test_report_holds_what_the_functions_give(report: xr.Dataset, make_forecast: Make) -> None:
    """Each score of the report, over all days and in a year, is that of the function of its name."""
    obs, fcst, other = days(LOG), days(CLOSE), days(FAR)
    quantiles = np.log10(make_forecast(CLOSE, 0.3)["fluence_gt2mev"].isel(lead_time=0, drop=True))
    quantiles = quantiles.drop_vars("valid_time").rename(init_time="time")
    probability = make_forecast(CLOSE, 0.3)["probability"].isel(lead_time=0, drop=True).drop_vars("valid_time")
    probability = probability.rename(init_time="time").sel(threshold=1e8, drop=True)
    for period, part in (("all", slice(None)), ("2009", "2009")):
        o, f, p = obs.sel(time=part), fcst.sel(time=part), probability.sel(time=part)
        came = exceeds(o, 8.0)
        expected = {
            "prediction_efficiency": prediction_efficiency(f, o, dim="time"),
            "rmse": rmse(f, o, dim="time"),
            "correlation": correlation(f, o, dim="time"),
            "crps": crps(quantiles.sel(time=part), o, dim="time"),
            "brier_score": brier_score(p, came, dim="time"),
            "brier_resolution": brier_decomposition(p, came, dim="time")["resolution"],
        }
        one = report.sel(period=period, forecaster="good", lead_time=1, threshold=1e8)
        for name, value in expected.items():
            assert one[name].item() == pytest.approx(value.item(), rel=1e-5), name
        hss = heidke_skill(exceeds(f, 8.0), came, dim="time")
        assert one["hss"].sel(rule="point").item() == pytest.approx(hss.item(), rel=1e-5)
        hss = heidke_skill((p > 0.5).astype(float), came, dim="time")
        assert one["hss"].sel(rule="probability").item() == pytest.approx(hss.item(), rel=1e-5)
        for percent in (50, 68, 90, 95):
            share = coverage(quantiles.sel(time=part), o, interval=percent / 100, dim="time")
            assert one["coverage"].sel(interval=percent).item() == pytest.approx(share.item(), rel=1e-5)
        over = skill(f, o, reference=other.sel(time=part), dim="time")
        assert one["skill"].sel(reference="persistence").item() == pytest.approx(over.item(), rel=1e-5)
        assert one["n"].item() == o.size
        assert one["n_above"].item() == int(came.sum())
    curve = reliability_curve(probability, exceeds(obs, 8.0), dim="time")
    found = report.sel(forecaster="good", lead_time=1, threshold=1e8)
    np.testing.assert_array_equal(found["reliability_n"], curve["n"])
    np.testing.assert_allclose(found["reliability_frequency"], curve["frequency"], rtol=1e-5)
    np.testing.assert_allclose(found["reliability_upper"], curve["consistency_upper"], rtol=1e-5)


def test_scores_on_onset_days(report: xr.Dataset) -> None:
    """Hit rate, false alarms and errors on onset days are those of the days that `onsets` tells."""
    onset = onsets(days(LOG), 8.0)
    yes = exceeds(days(CLOSE), 8.0)
    one = report.sel(period="all", forecaster="good", lead_time=1, threshold=1e8)
    assert one["n_onset"].item() == int((onset == 1).sum())
    point = one.sel(rule="point")
    assert point["onset_hit_rate"].item() == pytest.approx(yes.where(onset == 1).mean().item(), rel=1e-5)
    false = (1 - onset).where((yes == 1) & onset.notnull()).mean().item()
    assert point["onset_far"].item() == pytest.approx(false, rel=1e-5)
    error = (days(CLOSE) - days(LOG)).where(onset == 1)
    assert one["onset_bias"].item() == pytest.approx(error.mean().item(), rel=1e-5)


def test_scores_on_dropout_days(make_forecast: Make, make_history: Make) -> None:
    """Dropout days are found from the day before, also that before the first forecast; hits and errors by hand."""
    log = np.full(200, 8.0)
    log[[10, 50, 90]] = 6.5
    fcst = np.full(190, 8.0)
    fcst[[0, 40]] = 7.0, 6.0  # the first is a fall of exactly 1 dex, and day 0 follows a day of the history only
    report = verify({"a": make_forecast(fcst, 0.3, start="2008-01-11")}, make_history(log), by="all", n_bootstrap=0)
    one = report.isel(period=0, forecaster=0, lead_time=0)
    assert one["n_dropout"].item() == 3
    assert one["dropout_hit_rate"].item() == pytest.approx(2 / 3)
    assert one["dropout_bias"].item() == pytest.approx((0.5 - 0.5 + 1.5) / 3, abs=1e-6)
    assert one["dropout_rmse"].item() == pytest.approx(np.sqrt((0.25 + 0.25 + 2.25) / 3))
    assert one["dropout_coverage95"].item() == pytest.approx(2 / 3)


def test_persistence_never_hits_an_onset(make_forecast: Make, make_history: Make) -> None:
    """Yesterday's value as the point forecast has a hit rate of 0 on onset days, by their definition."""
    yesterday = make_forecast(np.roll(LOG, 1)[1:], start="2008-01-02")
    report = verify({"a": yesterday}, make_history(LOG), by="all", n_bootstrap=0)
    assert (report["onset_hit_rate"].sel(rule="point", threshold=1e8) == 0).all()


def test_better_forecast_is_told_from_a_worse_one(report: xr.Dataset) -> None:
    """Paired intervals are narrow: skill and differences against the worse forecast leave out 0."""
    one = report.sel(period="all", forecaster="good", reference="persistence", lead_time=1)
    assert one["skill"].item() == pytest.approx(0.75, abs=0.08)
    assert 0 < one["skill_lower"].item() < one["skill"].item() < one["skill_upper"].item()
    assert one["rmse_difference"].item() == pytest.approx(-0.3, abs=0.05)
    assert one["rmse_difference_upper"].item() < 0
    apart = report["rmse_upper"] - report["rmse_lower"]
    paired = one["rmse_difference_upper"] - one["rmse_difference_lower"]
    assert paired.item() < apart.sel(period="all", lead_time=1).sum("forecaster").item()
    itself = report.sel(period="all", forecaster="persistence", reference="persistence", lead_time=1)
    assert itself["rmse_difference_upper"].item() == 0


def test_every_score_has_value_and_interval(report: xr.Dataset) -> None:
    """Scores and skills carry unit, meaning, both ends and differences; the value lies between the ends."""
    for score in SCORES:
        for name in (score.name, f"{score.name}_lower", f"{score.name}_upper", f"{score.name}_difference_upper"):
            assert report[name].attrs["units"] == score.units
            assert report[name].attrs["long_name"]
    for name in ("rmse", "prediction_efficiency", "crps", "correlation", "coverage", *(one.name for one in SKILLS)):
        value, lower, upper = (report[name + suffix] for suffix in ("", "_lower", "_upper"))
        known = lower.notnull()
        assert known.any()
        assert ((lower <= value + 1e-6) & (value <= upper + 1e-6)).where(known, True).all()


def test_periods_are_years_of_the_valid_day(make_forecast: Make, make_history: Make) -> None:
    """A forecast issued on the last days of a year for the next counts in the next; all leads have the same days."""
    forecast = make_forecast(LOG[:400], leads=(1, 2, 3), start="2008-12-01")
    report = verify({"a": forecast}, make_history(LOG, start="2008-06-01"), n_bootstrap=0)
    assert report["period"].to_numpy().tolist() == ["2008", "2009", "2010", "all"]
    # 2008-12-03 to 2010-01-04: the days within the span of all lead times.
    assert report["n"].sel(period="2008").to_numpy().tolist() == [29, 29, 29]
    assert report["n"].sel(period="2009").to_numpy().tolist() == [365, 365, 365]
    assert report["n"].sel(period="all").to_numpy().tolist() == [398, 398, 398]
    alone = verify({"a": forecast}, make_history(LOG, start="2008-06-01"), by="all", n_bootstrap=0)
    assert alone["period"].to_numpy().tolist() == ["all"]
    assert alone["rmse"].identical(report["rmse"].sel(period=["all"]))


def test_lead_times_meet_their_valid_days(make_forecast: Make, make_history: Make) -> None:
    """A forecast of the right value for each valid day is perfect at all leads."""
    shifted = np.stack([LOG[lead - 1 : lead + 699] for lead in (1, 2, 3)], axis=1)
    report = verify({"a": make_forecast(shifted, leads=(1, 2, 3))}, make_history(LOG), by="all", n_bootstrap=0)
    np.testing.assert_allclose(report["rmse"], 0, atol=1e-6)
    np.testing.assert_allclose(report["prediction_efficiency"], 1)
    np.testing.assert_allclose(report["hss"].sel(threshold=1e8), 1)


def test_missing_days_are_dropped_for_all_and_counted(make_forecast: Make, make_history: Make) -> None:
    """Days that one method misses or that were not observed count for none, and the report says how many."""
    log, gappy = LOG.copy(), CLOSE.copy()
    log[100:110], gappy[105:120] = np.nan, np.nan
    forecasts = {"a": make_forecast(gappy), "b": make_forecast(FAR[:700])}
    report = verify(forecasts, make_history(log), by="all", n_bootstrap=0).isel(lead_time=0)
    assert report["n"].item() == 700 - 20
    assert report["count_n_forecast"].to_numpy().tolist() == [700, 700]
    assert report["count_n_missing_forecast"].to_numpy().tolist() == [15, 0]
    assert report["count_n_missing_observation"].item() == 10
    kept = np.delete(np.arange(700), np.arange(100, 120))
    expected = rmse(days(FAR)[kept], days(LOG)[kept], dim="time").item()
    assert report["rmse"].sel(forecaster="b").item() == pytest.approx(expected, rel=1e-6)


def test_point_forecast_is_the_mean_where_there_is_one(make_forecast: Make, make_history: Make) -> None:
    """Squared errors are of `fluence_gt2mev_mean`; without it, of the median."""
    forecast = make_forecast(LOG)
    forecast["fluence_gt2mev_mean"] *= 10**0.5
    forecasts = {"mean": forecast, "median": forecast.drop_vars("fluence_gt2mev_mean")}
    report = verify(forecasts, make_history(LOG), by="all", n_bootstrap=0)
    np.testing.assert_allclose(report["bias"].isel(period=0, lead_time=0), [0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(*report["crps"].isel(period=0, lead_time=0).to_numpy())


def test_thresholds_that_the_forecast_does_not_give(make_forecast: Make, make_history: Make) -> None:
    """The probability of another threshold comes from the quantiles: the same as the forecast's own where it has it."""
    bare = make_forecast(CLOSE, 0.3).drop_vars(["probability", "threshold"])
    forecasts = {"own": make_forecast(CLOSE, 0.3), "derived": bare}
    report = verify(forecasts, make_history(LOG), by="all", thresholds=[1e8, 3e8], n_bootstrap=0)
    np.testing.assert_allclose(*(report["brier_score"].sel(forecaster=name) for name in forecasts), rtol=1e-6)
    assert report["brier_score"].notnull().all()


def test_median_alone_has_point_scores_only(make_forecast: Make, make_history: Make) -> None:
    """A forecast without distribution has no probabilistic scores, and says yes by its point forecast."""
    median = make_forecast(CLOSE).sel(quantile=[0.5]).drop_vars(["probability", "threshold"])
    forecasts = {"median": median, "full": make_forecast(CLOSE, 0.3)}
    report = verify(forecasts, make_history(LOG), by="all", n_bootstrap=0).sel(forecaster="median")
    for name in ("crps", "coverage", "brier_score"):
        assert report[name].isnull().all()
    assert report["rmse"].notnull().all()
    np.testing.assert_array_equal(report["hss"].sel(rule="point"), report["hss"].sel(rule="probability"))


def test_the_seed_decides(make_forecast: Make, make_history: Make) -> None:
    """The same seed gives the same report, and it is recorded."""
    arguments = {"a": make_forecast(CLOSE)}, make_history(LOG)
    first, again, other = (verify(*arguments, by="all", n_bootstrap=50, seed=seed) for seed in (3, 3, 4))
    assert first.identical(again)
    assert not first["rmse_lower"].equals(other["rmse_lower"])
    assert first["rmse"].equals(other["rmse"])
    assert (first.attrs["seed"], first.attrs["n_bootstrap"], first.attrs["block_days"]) == (3, 50, 27)


def test_report_survives_a_file(report: xr.Dataset, tmp_path: Path) -> None:
    """JSON and NetCDF give the report back, missing scores as null."""
    for suffix, part in ((".json", report), (".nc", report[["rmse", "hss_difference_lower", "reliability_n", "n"]])):
        opened = open_dataset(write_dataset(part, tmp_path / f"scores{suffix}"))
        xr.testing.assert_equal(opened, part)
    document = json.loads((tmp_path / "scores.json").read_text())
    assert document["attributes"]["seed"] == 1
    assert "null" in (tmp_path / "scores.json").read_text()


def test_table_has_a_row_per_score(report: xr.Dataset) -> None:
    """The long table holds each score once, with n, and no comparison of a method with itself."""
    table = to_table(report)
    named = ["score", "period", "forecaster", "reference", "lead_time", "threshold", "interval", "rule"]
    assert not table.duplicated(named).any()
    assert not (table["forecaster"] == table["reference"]).any()
    row = table[(table["score"] == "rmse") & (table["period"] == "2009") & (table["forecaster"] == "good")].iloc[0]
    one = report.sel(period="2009", forecaster="good", lead_time=1)
    assert row["value"] == one["rmse"].item()
    assert row["lower"] == one["rmse_lower"].item()
    assert (row["units"], row["n"]) == ("dex", 365)
    assert {"rmse_difference", "skill", "crps_skill"} <= set(table["score"])


def test_summary_has_a_row_per_lead_and_method(report: xr.Dataset, make_forecast: Make, make_history: Make) -> None:
    """The compact table names the scores that matter; skill is missing without persistence."""
    rows = summarise(report)
    assert [(row["lead"], row["forecaster"]) for row in rows] == [(1, "good"), (1, "persistence")]
    assert rows[1]["skill"] == 0
    assert rows[0]["HSS 1e8"] == report["hss"].sel(period="all", forecaster="good", threshold=1e8, rule="point").item()
    alone = verify({"a": make_forecast(CLOSE)}, make_history(LOG), by="all", n_bootstrap=0)
    assert np.isnan(summarise(alone)[0]["skill"])
    assert "skill" not in alone


def test_references_can_be_named(make_forecast: Make, make_history: Make) -> None:
    """Any of the forecasts can be the one to compare with; by default those named as the baselines are."""
    forecasts = {"a": make_forecast(CLOSE), "climatology": make_forecast(FAR)}
    report = verify(forecasts, make_history(LOG), by="all", n_bootstrap=0)
    assert report["reference"].to_numpy().tolist() == ["climatology"]
    assert "climatology" in BASELINES
    report = verify(forecasts, make_history(LOG), by="all", references=["a"], n_bootstrap=0)
    assert report["reference"].to_numpy().tolist() == ["a"]


@pytest.mark.slow
def test_eleven_years_take_seconds(make_forecast: Make, make_history: Make) -> None:
    """Eleven years, three leads, six methods, four of them references, and 1000 draws take less than 20 s."""
    long = np.resize(LOG, 11 * 365)
    forecasts = {str(seed): make_forecast(np.roll(long, seed), leads=(1, 2, 3)) for seed in range(6)}
    began = time.process_time()
    verify(forecasts, make_history(long), references=["0", "1", "2", "3"])
    assert time.process_time() - began < 20


def test_wrong_settings_are_refused(make_forecast: Make, make_history: Make) -> None:
    """Unknown periods, thresholds, references and numbers of draws are named."""
    arguments = {"a": make_forecast(CLOSE)}, make_history(LOG)
    with pytest.raises(DataError, match="by='month': expected 'year' or 'all'"):
        verify(*arguments, by="month")
    for thresholds in ([], [-1.0], [1e8, 1e8], [np.nan]):
        with pytest.raises(DataError, match="expected fluences above 0"):
            verify(*arguments, thresholds=thresholds)
    with pytest.raises(DataError, match=r"references \['b'\]: expected some of the forecasts \['a'\]"):
        verify(*arguments, references=["b"])
    with pytest.raises(DataError, match="n_bootstrap=-1"):
        verify(*arguments, n_bootstrap=-1)
    with pytest.raises(DataError, match="no forecast to verify"):
        verify({}, make_history(LOG))


def test_forecasts_that_do_not_meet_are_refused(make_forecast: Make, make_history: Make) -> None:
    """No common day, other lead times, another start of the day and another scale each have their message."""
    history = make_history(LOG, reference="GOES-11")
    with pytest.raises(MissingDataError, match=r"of 2015-01-01 to .*the history holds 2008-01-01 to .*no common day"):
        verify({"a": make_forecast(CLOSE, start="2015-01-01")}, history)
    with pytest.raises(MissingDataError, match=r"no common day: a 2008-01-01 to .*, b 2011-01-01 to"):
        verify({"a": make_forecast(CLOSE[:99]), "b": make_forecast(CLOSE[:99], start="2011-01-01")}, history)
    with pytest.raises(AxisError, match=r"b has lead times of \[1, 2\] days, a of \[1\]"):
        verify({"a": make_forecast(CLOSE), "b": make_forecast(CLOSE, leads=(1, 2))}, history)
    with pytest.raises(DataError, match=r"begin as 2008-01-01T05:00, those of the history begin as 2008-01-01"):
        verify({"a": make_forecast(CLOSE, start="2008-01-01T05")}, history)
    with pytest.raises(DataError, match=r"b: issue time 2008-01-01T05:00 is not a whole number of days from"):
        verify({"a": make_forecast(CLOSE), "b": make_forecast(CLOSE, start="2008-01-01T05")}, history)
    with pytest.raises(DataError, match="a is on the scale of GOES-13, the history on that of GOES-11"):
        verify({"a": make_forecast(CLOSE, reference="GOES-13")}, history)
    with pytest.raises(MissingDataError, match=r"1 issue times with lead times of \[1, 2, 3\] days: no day lies"):
        verify({"a": make_forecast(CLOSE[:1], leads=(1, 2, 3))}, history)
    unseen = make_history(np.full(N, np.nan))
    with pytest.raises(MissingDataError, match=r"days with a forecast, over all leads: a 800; .*observation: 0"):
        verify({"a": make_forecast(CLOSE)}, unseen)


def test_wrong_histories_are_refused(make_forecast: Make, make_history: Make) -> None:
    """A flux given as a fluence, a history without days and days out of order are refused."""
    forecasts, history = {"a": make_forecast(CLOSE)}, make_history(LOG)
    wrong = history.copy(deep=True)
    wrong["fluence_gt2mev"].attrs["units"] = "cm-2 s-1 sr-1"
    with pytest.raises(UnitError, match="'fluence_gt2mev' has units 'cm-2 s-1 sr-1'"):
        verify(forecasts, wrong)
    with pytest.raises(AxisError, match=r"history: 'fluence_gt2mev' has dimensions \('day',\)"):
        verify(forecasts, history.rename(time="day"))
    with pytest.raises(AxisError, match="do not increase"):
        verify(forecasts, history.isel(time=slice(None, None, -1)))


def test_observations_that_are_none_are_dropped(make_forecast: Make, make_history: Make) -> None:
    """Zero, negative and infinite fluences in a history were not measured."""
    history = make_history(LOG)
    history["fluence_gt2mev"][:3] = [0.0, -1.0, np.inf]
    forecasts = {"a": make_forecast(CLOSE)}
    samples = gather(forecasts, history, np.array([1e8]))
    assert samples.counts["n"].item() == N - 3
