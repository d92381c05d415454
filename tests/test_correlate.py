from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.signal import lfilter
from scipy.stats import spearmanr

from particleflux import cli
from particleflux.cli.correlate import parse_offsets
from particleflux.correlate import MINIMUM_PAIRS, correlate, suggest
from particleflux.correlate._ranks import bound, correlate_ranks, draw_blocks
from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.names import attributes
from particleflux.plot import write_figure
from particleflux.plot.correlation import plot_correlation

DAYS = 900
FIRST = np.datetime64("2001-01-01", "ns")
UNITS_OF_HISTORY = ("fluence_gt2mev", "solar_wind_speed", "kp", "dst", "standoff")


def autocorrelated(rng: np.random.Generator, memory: float, n: int) -> np.ndarray:
    noise = rng.normal(size=n + 200)
    return np.asarray(lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise)[200:])


def make_history(seed: int = 1, days: int = DAYS) -> xr.Dataset:
    """Make a fluence that the speed of the two days before drives; Kp follows the speed, Dst does nothing."""
    rng = np.random.default_rng(seed)
    speed = autocorrelated(rng, 0.6, days)
    level = np.zeros(days)
    for day in range(2, days):
        push = 0.4 * speed[day - 1] + 0.3 * speed[day - 2]
        level[day] = 0.6 * level[day - 1] + push + 0.2 * rng.normal()
    values = {
        "fluence_gt2mev": 10 ** (7 + 0.5 * level),
        "solar_wind_speed": 450 + 80 * speed,
        "kp": np.round(np.clip(3 + 1.2 * (speed + 0.1 * rng.normal(size=days)), 0, 9) * 3) / 3,
        "dst": -20 + 10 * autocorrelated(rng, 0.6, days),
        "standoff": 10 + rng.normal(size=days),
    }
    dates = FIRST + np.arange(days) * np.timedelta64(1, "D")
    return xr.Dataset(
        {name: ("time", values[name], attributes(name)) for name in UNITS_OF_HISTORY},
        {"time": dates},
        {"cadence": "1D", "day_start": 0.0},
    )


def make_hourly(days: int = 300) -> xr.Dataset:
    """Make a fluence that is the speed of the hour 30 hours before the start of its day."""
    speed = np.random.default_rng(3).normal(size=days * 24)
    fluence = np.full(days, np.nan)
    fluence[2:] = 10 ** (7 + speed[np.arange(2, days) * 24 - 30])
    return xr.Dataset(
        {
            "fluence_gt2mev": ("time", fluence, attributes("fluence_gt2mev")),
            "solar_wind_speed_hourly": (("time", "hour"), speed.reshape(days, 24), attributes("solar_wind_speed")),
        },
        {"time": FIRST + np.arange(days) * np.timedelta64(1, "D"), "hour": np.arange(24)},
    )


@pytest.fixture(scope="module")
def history() -> xr.Dataset:
    return make_history()


@pytest.fixture(scope="module")
def table(history: xr.Dataset) -> xr.Dataset:
    return correlate(history)


def paired(history: xr.Dataset, name: str, offset: int) -> tuple[np.ndarray, np.ndarray]:
    frame = pd.DataFrame(
        {"x": history[name].to_series().shift(offset), "y": history["fluence_gt2mev"].to_series()}
    ).dropna()
    return frame["x"].to_numpy(), frame["y"].to_numpy()


def test_coefficients_are_those_of_scipy(history: xr.Dataset) -> None:
    """With gaps and ties, each coefficient and number of pairs is that of scipy.stats.spearmanr on the same pairs."""
    holed = history.copy(deep=True)
    rng = np.random.default_rng(2)
    for name in ("fluence_gt2mev", "kp", "solar_wind_speed"):
        holed[name][rng.random(DAYS) < 0.2] = np.nan
    result = correlate(holed, offsets=[0, 1, 2, 7, 30], n_bootstrap=20)
    assert result["correlation"].dims == ("candidate", "offset")
    for name in ("fluence_gt2mev", "solar_wind_speed", "kp", "dst"):
        for offset in (0, 1, 2, 7, 30):
            x, y = paired(holed, name, offset)
            one = result.sel(candidate=name, offset=offset)
            assert one["n"] == len(x)
            assert one["correlation"].item() == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    x, y = holed["kp"].to_numpy(), holed["solar_wind_speed"].to_numpy()
    both = np.isfinite(x) & np.isfinite(y)
    expected = spearmanr(x[both], y[both]).statistic
    assert result["candidate_correlation"].sel(candidate="kp", other="solar_wind_speed") == pytest.approx(expected)


def test_offset_looks_back_only() -> None:
    """A target that copies the speed of three days before is found at offset 3 with 1, and nowhere else."""
    history = make_history()
    history["fluence_gt2mev"][:] = np.nan
    driver = np.random.default_rng(5).normal(size=DAYS)
    history["solar_wind_speed"][:] = driver
    history["fluence_gt2mev"][3:] = 10 ** (6 + driver[:-3])
    one = correlate(history, candidates=["solar_wind_speed"]).sel(candidate="solar_wind_speed")
    assert one["correlation"].sel(offset=3).item() == 1
    assert one["correlation_lower"].sel(offset=3).item() == one["correlation_upper"].sel(offset=3).item() == 1
    assert np.abs(one["correlation"].drop_sel(offset=3)).max() < 0.15


def test_hours_count_from_the_start_of_the_day() -> None:
    """An hourly driver 30 hours before the day begins has its 1 at 30 hours."""
    result = correlate(make_hourly(), unit="h", offsets=range(24, 37))
    assert result["offset"].attrs["units"] == "h"
    best = result["correlation"].sel(candidate="solar_wind_speed")
    assert best.idxmax("offset") == 30
    assert best.max() == 1


def test_influence_is_the_derivative() -> None:
    """Each pair's influence is what leaving it out changes the coefficient by, with and without ties."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=400)
    y = x + rng.normal(size=400)
    for round_to in (None, 0):
        u, v = (x, y) if round_to is None else (np.round(x, round_to), np.round(y, round_to))
        coefficient, influence = correlate_ranks(u, v)
        assert influence.sum() == pytest.approx(0, abs=1e-9)
        keep = np.arange(400)
        left_out = [399 * (coefficient - spearmanr(u[keep != i], v[keep != i]).statistic) for i in range(0, 400, 40)]
        np.testing.assert_allclose(influence[::40], left_out, atol=0.02)


def test_interval_is_that_of_ranking_every_replicate() -> None:
    """The bounds agree with resampling the same blocks of pairs and ranking each replicate anew."""
    rng = np.random.default_rng(6)
    x = autocorrelated(rng, 0.9, 2000)
    y = np.round(2 * (0.7 * x + 0.7 * autocorrelated(rng, 0.8, 2000)))
    coefficient, influence = correlate_ranks(x, y)
    weights = draw_blocks(2000, 27, 200, 8)
    lower, upper = bound(np.array([coefficient]), influence[:, None], np.ones((2000, 1), bool), weights)
    replicates = []
    for row in weights.astype(int):
        drawn = np.repeat(np.arange(2000), row)
        replicates.append(spearmanr(x[drawn], y[drawn]).statistic)
    np.testing.assert_allclose([lower[0], upper[0]], np.quantile(replicates, (0.025, 0.975)), atol=0.005)


def test_interval_covers_a_known_coefficient() -> None:
    """Over normal pairs with memory, the 95 % interval holds 6/pi asin(r/2) in about 95 of 100 cases."""
    rng = np.random.default_rng(7)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    weights = draw_blocks(2000, 27, 200, 9)
    inside = 0
    for _ in range(100):
        x = autocorrelated(rng, 0.8, 2000)
        y = 0.6 * x + 0.8 * autocorrelated(rng, 0.8, 2000)
        coefficient, influence = correlate_ranks(x, y)
        lower, upper = bound(np.array([coefficient]), influence[:, None], np.ones((2000, 1), bool), weights)
        inside += int(lower[0] <= truth <= upper[0])
    assert 86 <= inside <= 99


def test_blocks_keep_days_together() -> None:
    """Each replicate draws as many days as there are, in runs of the block's length around the end."""
    weights = draw_blocks(100, 25, 50, 1)
    assert weights.shape == (50, 100)
    assert (weights.sum(axis=1) == 100).all()
    changes = (np.diff(weights, axis=1, append=weights[:, :1]) != 0).sum(axis=1)
    assert changes.max() <= 8


def test_seed_decides_the_interval(history: xr.Dataset, table: xr.Dataset) -> None:
    """The same seed gives the same bounds; another moves the bounds and not the coefficients."""
    xr.testing.assert_identical(correlate(history), table)
    other = correlate(history, candidates=["kp"], seed=2)
    assert (other["correlation_lower"] != table["correlation_lower"].sel(candidate=["kp"])).any()
    xr.testing.assert_equal(other["correlation"], table["correlation"].sel(candidate=["kp"]))


def test_too_few_pairs_and_constants_are_missing() -> None:
    """Fewer pairs than the least, or a variable that never changes, give NaN with the number of pairs told."""
    history = make_history()
    history["kp"][MINIMUM_PAIRS - 1 :] = np.nan
    history["dst"][:] = -20.0
    history["standoff"][:] = np.nan
    result = correlate(history)
    assert result["n"].sel(candidate="kp", offset=0) == MINIMUM_PAIRS - 1
    for name in ("kp", "dst", "standoff"):
        for variable in ("correlation", "correlation_lower", "added_correlation", "added_correlation_upper"):
            assert np.isnan(result[variable].sel(candidate=name)).all()
    assert result["n"].sel(candidate="dst", offset=1) == DAYS - 1


def test_any_daily_variable_can_be_the_target(history: xr.Dataset) -> None:
    """A driver as the target is a candidate once, and its own past the first input."""
    result = correlate(history, target="solar_wind_speed")
    assert result["candidate"].to_numpy().tolist() == ["solar_wind_speed", "standoff", "kp", "dst"]
    assert suggest(result).inputs[0] == "solar_wind_speed"


def test_monotone_scales_change_nothing(history: xr.Dataset, table: xr.Dataset) -> None:
    """Ranks are of no unit: the logarithm of the target gives the same table."""
    scaled = history.assign(
        fluence_gt2mev=np.log10(history["fluence_gt2mev"]).assign_attrs(history["fluence_gt2mev"].attrs)
    )
    xr.testing.assert_allclose(correlate(scaled), table)


def test_what_the_day_before_explains_is_taken_out(table: xr.Dataset) -> None:
    """The target's own day before adds next to nothing; the speed of that day adds most."""
    added = table["added_correlation"].sel(offset=slice(1, None))
    assert (
        abs(added.sel(candidate="fluence_gt2mev", offset=1))
        < 0.1
        < table["correlation"].sel(candidate="fluence_gt2mev", offset=1)
    )
    assert np.abs(added.sel(candidate="solar_wind_speed")).idxmax("offset") == 1
    assert added.sel(candidate="solar_wind_speed").max() > 0.5


def test_suggestion_finds_the_driver(table: xr.Dataset) -> None:
    """The flux and the speed are inputs; Kp is left out as its double, what does nothing for that reason."""
    suggestion = suggest(table)
    assert suggestion.inputs == ("fluence_gt2mev", "solar_wind_speed")
    reasons = dict(suggestion.left_out)
    assert "with solar_wind_speed" in reasons["kp"]
    assert set(reasons) == {"kp", "dst", "standoff"}
    assert suggest(table, redundant=1.0).inputs == ("fluence_gt2mev", "solar_wind_speed", "kp")
    assert suggest(table, max_inputs=1).inputs == ("fluence_gt2mev",)
    assert "beyond the 1 inputs" in dict(suggest(table, max_inputs=1).left_out)["solar_wind_speed"]


def test_window_is_the_width_at_half_maximum(table: xr.Dataset) -> None:
    """The window ends where the best driver's coefficient last stays above half of its maximum; hours become days."""
    made = table.copy(deep=True)
    curve = np.zeros(31)
    curve[1:9] = [0.3, 0.6, 0.5, 0.4, 0.31, 0.2, 0.5, 0.1]
    made["correlation"].loc[{"candidate": "solar_wind_speed"}] = curve
    assert suggest(made).n_days == 5
    assert suggest(made, fraction=0.9).n_days == 2
    hours = made.assign_coords(offset=("offset", made["offset"].to_numpy() * 12, {"units": "h"}))
    assert suggest(hours).n_days == 3


def test_suggestion_reads_the_given_days_only(history: xr.Dataset) -> None:
    """Whatever the days outside the training periods hold, table and suggestion are the same to the bit."""
    from particleflux.history import training_only

    corrupted = history.copy(deep=True)
    outside = (history["time"].dt.year == 2002).to_numpy()
    rng = np.random.default_rng(8)
    for name in UNITS_OF_HISTORY:
        corrupted[name][outside] = 10 ** rng.uniform(3, 9, outside.sum())
    one, other = (correlate(training_only(item, "2001,2003"), offsets=range(11)) for item in (history, corrupted))
    xr.testing.assert_identical(one, other)
    assert suggest(one) == suggest(other)
    few = {"candidates": ["kp"], "offsets": [1]}
    assert not correlate(corrupted, **few).equals(correlate(history, **few))  # type: ignore[arg-type]


def test_suggestion_refuses_what_it_cannot_read(table: xr.Dataset) -> None:
    """A table without its variables or offsets, settings out of range, and noise alone are told apart."""
    with pytest.raises(AxisError, match=r"lacks \['added_correlation'\].*give a result of correlate"):
        suggest(table.drop_vars("added_correlation"))
    with pytest.raises(AxisError, match="lacks offsets in d or h"):
        suggest(table.drop_vars("offset"))
    with pytest.raises(DataError, match="fraction=2"):
        suggest(table, fraction=2.0)
    with pytest.raises(DataError, match=r"no offset from 1 to 10 days: found \[0\]"):
        suggest(table.isel(offset=[0]))
    noise = table.sel(candidate=["dst"]).copy(deep=True)
    noise["added_correlation_lower"][:] = -0.5
    noise["added_correlation_upper"][:] = 0.5
    with pytest.raises(MissingDataError, match="no candidate is correlated"):
        suggest(noise)


def test_settings_and_histories_that_cannot_be_used_are_refused(history: xr.Dataset) -> None:
    """Each mistake in the settings or the history is named."""
    for settings, kind, message in (
        ({"unit": "week"}, DataError, "unit='week'"),
        ({"n_bootstrap": 3}, DataError, "n_bootstrap=3"),
        ({"offsets": [-1, 0]}, DataError, r"offsets=\[-1, 0\]: expected whole numbers from 0"),
        ({"offsets": [2, 1]}, DataError, "in rising order"),
        ({"offsets": []}, DataError, "expected whole numbers"),
        ({"offsets": [0.5]}, DataError, "expected whole numbers"),
        ({"offsets": [0, 900]}, DataError, "offset of 900 reaches beyond the history, which has 900 rows"),
        ({"block": 300}, DataError, "900 days, expected 4 blocks of 300"),
        ({"candidates": ["kpp"]}, AxisError, r"no variable 'kpp'.*'kp'"),
        ({"candidates": ["kp", "kp"]}, DataError, "each once"),
        ({"target": "nothing"}, AxisError, "no variable 'nothing'"),
        ({"unit": "h"}, MissingDataError, "no hourly variable"),
    ):
        with pytest.raises(kind, match=message):
            correlate(history, **settings)  # type: ignore[arg-type]
    with pytest.raises(AxisError, match=r"from 2001-01-05T00 to 2001-01-07T00, expected one row for every day"):
        correlate(history.drop_isel(time=5))
    with pytest.raises(AxisError, match="expected 'time'"):
        correlate(history.rename(time="day"))
    with pytest.raises(AxisError, match="with the dates of its days"):
        correlate(history.assign_coords(time=np.arange(DAYS)))
    with pytest.raises(AxisError, match="expected numbers on"):
        correlate(history.assign(satellite=("time", np.full(DAYS, "GOES-8"))), candidates=["satellite"])
    missing = history.copy(deep=True)
    missing["fluence_gt2mev"][:] = np.nan
    with pytest.raises(MissingDataError, match="'fluence_gt2mev' has 0 days"):
        correlate(missing)
    wrong = history.copy(deep=True)
    wrong["kp"].attrs["units"] = "10"
    with pytest.raises(UnitError, match="'kp'"):
        correlate(wrong)
    hourly = make_hourly()
    hourly["solar_wind_speed_hourly"].attrs["units"] = "m s-1"
    with pytest.raises(UnitError, match="'solar_wind_speed_hourly' has units 'm s-1'"):
        correlate(hourly, unit="h")
    with pytest.raises(AxisError, match="12 hours a day, expected 24"):
        correlate(make_hourly().isel(hour=slice(12)), unit="h")


def test_speed_of_the_usual_table() -> None:
    """Twelve candidates over thirteen years, 31 offsets and 200 replicates take less than ten seconds."""
    history = make_history(days=4750)
    more = {f"input_{number}": history["standoff"] for number in range(7)}
    begin = time.perf_counter()
    result = correlate(history.assign(more), candidates=[*UNITS_OF_HISTORY, *more])
    assert time.perf_counter() - begin < 10
    assert result.sizes["candidate"] == 12


def texts(figure: object) -> str:
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))  # type: ignore[attr-defined]
    return "\n".join(artist.get_text() for artist in found)


def test_figure_names_every_candidate(tmp_path: Path, table: xr.Dataset) -> None:
    """A panel per kind, a curve and an entry with its extreme per candidate, both coefficients, and units."""
    figure = plot_correlation(table)
    assert len(figure.get_axes()) == 4
    shown = texts(figure)
    for expected in ("Kp  ", "Dst  ", "speed  ", "stand-off  ", "fluence > 2 MeV  ", "(days)", "day before leaves"):
        assert expected in shown
    assert write_figure(figure, tmp_path / "correlation.png").stat().st_size > 10_000


def test_figure_takes_many_unknown_and_missing_candidates(tmp_path: Path, table: xr.Dataset) -> None:
    """More candidates than colours go on another panel; hours, one offset and a candidate without data draw."""
    many = xr.concat([table.isel(candidate=[0]).assign_coords(candidate=[f"input_{i}"]) for i in range(9)], "candidate")
    many["correlation"][3] = np.nan
    figure = plot_correlation(many.drop_vars([name for name in many if str(name).startswith("added")]))
    assert len(figure.get_axes()) == 2
    assert "input 3  no data" in texts(figure)
    write_figure(figure, tmp_path / "many.png")
    hours = table.assign_coords(offset=("offset", table["offset"].to_numpy(), {"units": "h"})).isel(offset=[1])
    assert "(hours)" in texts(plot_correlation(hours))


def test_figure_refuses_other_tables(table: xr.Dataset) -> None:
    """Something else than a table of correlations, or one without a coefficient, is told so."""
    with pytest.raises(AxisError, match=r"found .*give a result of correlate"):
        plot_correlation(table.drop_vars("correlation_lower"))
    with pytest.raises(AxisError, match="units None"):
        plot_correlation(table.assign_coords(offset=table["offset"].to_numpy()))
    with pytest.raises(MissingDataError, match="no coefficient to draw"):
        plot_correlation(table.assign(correlation=table["correlation"] * np.nan))


@pytest.fixture
def history_file(tmp_path: Path, history: xr.Dataset) -> Path:
    path = tmp_path / "history.csv"
    frame = history.to_dataframe()
    frame.to_csv(path, date_format="%Y-%m-%d", index_label="time")
    return path


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


def test_command_writes_table_and_figure(
    tmp_path: Path, history_file: Path, table: xr.Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command gives the table with its provenance, the figure, and the suggestion on stdout."""
    out, plot = tmp_path / "table.csv", tmp_path / "table.png"
    assert run("correlate", history_file, "-o", out, "--plot", plot) == 0
    shown = capsys.readouterr()
    assert shown.out == f"inputs: fluence_gt2mev,solar_wind_speed\ndays: {suggest(table).n_days}\n"
    assert "left out: kp, correlation" in shown.err
    assert plot.is_file()
    rows = pd.read_csv(out, comment="#")
    assert list(rows)[:7] == ["candidate", "offset", "unit", "correlation", "lower", "upper", "n"]
    assert len(rows) == 5 * 31
    one = rows[(rows["candidate"] == "kp") & (rows["offset"] == 2)].iloc[0]
    expected = table.sel(candidate="kp", offset=2)
    assert one["unit"] == "d"
    assert one["n"] == expected["n"]
    for column, name in (("correlation", "correlation"), ("lower", "correlation_lower"), ("added_upper",) * 2):
        name = name.replace("added_", "added_correlation_")
        assert one[column] == pytest.approx(expected[name].item(), abs=1e-5)
    record = json.loads(out.read_text().splitlines()[1].removeprefix("# provenance: "))
    assert record["settings"]["seed"] == 1
    assert record["input_files"][0]["name"] == "history.csv"


def test_command_passes_its_options_on(tmp_path: Path, history_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Offsets, candidates, periods, target and seed reach the table; a table without a suggestion is a result."""
    out = tmp_path / "table.csv"
    options = ["--offsets", "0..0", "--candidates", "kp,dst", "--periods", "2001", "--target", "standoff", "--seed", 5]
    assert run("correlate", history_file, "-o", out, *options, "-q") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no suggestion: the table has no offset" in shown.err
    rows = pd.read_csv(out, comment="#")
    assert rows["candidate"].tolist() == ["kp", "dst"]
    assert rows["n"].tolist() == [365, 365]


def test_command_takes_hours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From an hourly table, --hourly gives offsets in hours."""
    rng = np.random.default_rng(9)
    hours = pd.date_range("2001-01-01", periods=200 * 24, freq="h")
    speed = 450 + 80 * autocorrelated(rng, 0.97, len(hours))
    flux = 10 ** (2 + 0.005 * np.roll(speed, 24) + 0.1 * rng.normal(size=len(hours)))
    path = tmp_path / "hours.csv"
    frame = pd.DataFrame({"electron_flux_gt2mev": flux, "solar_wind_speed": speed}, index=hours)
    frame.to_csv(path, index_label="time", date_format="%Y-%m-%dT%H:%M:%SZ")
    out = tmp_path / "table.csv"
    assert run("correlate", path, "-o", out, "--hourly", "--offsets", "0..48..6") == 0
    rows = pd.read_csv(out, comment="#")
    assert set(rows["unit"]) == {"h"}
    assert sorted(set(rows["offset"])) == list(range(0, 49, 6))
    one = rows[rows["candidate"] == "solar_wind_speed"].set_index("offset")["correlation"]
    assert 6 <= one.idxmax() <= 24
    assert "inputs: electron_flux_gt2mev,solar_wind_speed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", None),
        ("0..30..", "A..B or A..B..STEP"),
        ("a..b", "A..B"),
        ("5..1", "A not above B"),
        ("0..9..0", "a step of 1"),
        ("0..999999", "A..B"),
        ("-1..3", "A..B"),
    ],
)
def test_offsets_are_read(text: str, message: str | None) -> None:
    """One offset is a range of itself; anything but whole numbers in order is refused."""
    if message is None:
        assert list(parse_offsets(text)) == [30]
        return
    with pytest.raises(DataError, match=r"--offsets: found .*" + message.replace(".", r"\.")):
        parse_offsets(text)


def test_mistakes_are_told_before_the_history_is_read(
    tmp_path: Path, history_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong suffix or offsets end with one line and status 2; so does a name the history does not know."""
    for arguments, message in (
        (["-o", tmp_path / "table.xlsx"], "expected one of .csv"),
        (["-o", tmp_path / "table.csv", "--plot", tmp_path / "figure.gif"], "expected one of .png"),
        (["-o", tmp_path / "table.csv", "--offsets", "x"], "--offsets"),
    ):
        assert run("correlate", history_file, *arguments) == 2
        shown = capsys.readouterr()
        assert message in shown.err
        assert len(shown.err.splitlines()) == 1
    assert run("correlate", history_file, "-o", tmp_path / "table.csv", "--candidates", "nothing") == 2
    assert "error: the history has no variable 'nothing'" in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()
