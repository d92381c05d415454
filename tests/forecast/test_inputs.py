"""Windows of a history: just the days asked, nothing later, and masks for what is missing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from particleflux.errors import ArtefactError, AxisError, MissingDataError, UnitError
from particleflux.forecast.inputs import Inputs, InputSpec, read_inputs, read_table, summarise
from particleflux.names import attributes

FLUENCE = "fluence_gt2mev"
SPEED = "solar_wind_speed"
#: In scaled units the fluence of day d of `made` is 0.02 d, its speed 0.01 d.
SPEC = InputSpec(
    (FLUENCE, SPEED), n_days=3, rotation=(FLUENCE,), statistics=(6, 15), mean=(7.0, 400.0), std=(0.5, 100.0)
)
HOURLY = dataclasses.replace(SPEC, hourly=(SPEED,), n_hours=30, mean=(7.0, 400.0, 0.0), std=(0.5, 100.0, 10.0))
#: All that can be asked for.
WIDE = InputSpec(
    (FLUENCE, "electron_flux_gt0p8mev|electron_flux_gt0p6mev", SPEED, "ae", "bz_gsm_min"),
    n_days=7,
    rotation=(FLUENCE, SPEED),
    rotations=(1, 2),
    statistics=(9, 27),
    hourly=(SPEED, "electron_flux_gt2mev"),
    n_hours=42,
    hour_step=3,
)


def made(n_days: int = 90) -> xr.Dataset:
    """Give days on which log10 fluence is 7 + 0.01 d, the speed 400 + d, and its hours are counted through."""
    day = np.arange(n_days)
    variables = {
        FLUENCE: ("time", 10.0 ** (7.0 + 0.01 * day), attributes(FLUENCE)),
        SPEED: ("time", 400.0 + day, attributes(SPEED)),
        f"{SPEED}_hourly": (("time", "hour"), np.arange(24.0 * n_days).reshape(-1, 24), attributes(SPEED)),
    }
    return xr.Dataset(variables, {"time": np.datetime64("2003-01-01", "ns") + day * np.timedelta64(1, "D")})


def drawn(n_days: int = 200, seed: int = 4) -> xr.Dataset:
    """Give days of drawn values with holes for all that `WIDE` reads."""
    rng = np.random.default_rng(seed)
    variables = {}
    for name in dict.fromkeys("|".join(WIDE.daily).split("|")):
        variables[name] = ("time", rng.lognormal(3.0, 1.0, n_days), attributes(name.removesuffix("_min")))
    for name in WIDE.hourly:
        variables[f"{name}_hourly"] = (("time", "hour"), rng.lognormal(3.0, 1.0, (n_days, 24)), attributes(name))
    for _, values, _ in variables.values():
        values[rng.random(values.shape) < 0.2] = np.nan
    time = np.datetime64("2003-01-01", "ns") + np.arange(n_days) * np.timedelta64(1, "D")
    return xr.Dataset(variables, {"time": time})


def rows(*positions: int) -> npt.NDArray[np.int64]:
    return np.array(positions, dtype=np.int64)


def changed(history: xr.Dataset, name: str, days: Any, value: float) -> xr.Dataset:
    values = history[name].to_numpy().copy()
    values[days] = value
    return history.assign({name: (history[name].dims, values, history[name].attrs)})


def same_bits(first: Inputs, second: Inputs) -> bool:
    return all(one.tobytes() == other.tobytes() for one, other in zip(arrays(first), arrays(second), strict=True))


def arrays(inputs: Inputs) -> list[npt.NDArray[np.float32]]:
    return [inputs.days, inputs.context, inputs.level, inputs.hours]


def test_windows_hold_just_the_days_asked() -> None:
    """Closed form: three days, the last one last, values then masks; each lead's day one rotation ago; the spans."""
    inputs, outside = read_inputs(made(), rows(60, 70), SPEC)
    assert [array.shape for array in arrays(inputs)] == [(2, 3, 4), (2, 3, 2 + 8), (2,), (2, 0, 0)]
    assert all(array.dtype == np.float32 for array in arrays(inputs))
    for number, row in enumerate((60, 70)):
        days = row + np.arange(-2, 1)
        expected = np.stack([0.02 * days, 0.01 * days, np.ones(3), np.ones(3)], axis=1)
        np.testing.assert_allclose(inputs.days[number], expected, rtol=1e-6)
        ago = row + np.array([1, 2, 3]) - 27
        np.testing.assert_allclose(inputs.context[number, :, 0], 0.02 * ago, rtol=1e-6)
        np.testing.assert_array_equal(inputs.context[number, :, 1], 1.0)
        for column, span in ((2, 6), (6, 15)):
            past = 0.02 * (row - np.arange(span))
            summary = [past.mean(), past.min(), past.max(), 1.0]
            np.testing.assert_allclose(inputs.context[number, :, column : column + 4], [summary] * 3, rtol=1e-6)
    np.testing.assert_allclose(inputs.level, [1.2, 1.4], rtol=1e-6)
    assert not outside.any()


def test_rotations_and_variables_stand_in_their_order() -> None:
    """Two rotations of two variables: rotation by rotation, the variables within, then all masks."""
    spec = dataclasses.replace(SPEC, rotation=(FLUENCE, SPEED), rotations=(1, 2), statistics=())
    history = changed(made(), SPEED, 73 + 2 - 54, np.nan)
    inputs, _ = read_inputs(history, rows(73), spec)
    assert inputs.context.shape == (1, 3, spec.n_context)
    for number, lead in enumerate((1, 2, 3)):
        near, far = 73 + lead - 27, 73 + lead - 54
        known = lead != 2
        expected = [0.02 * near, 0.01 * near, 0.02 * far, 0.01 * far * known, 1, 1, 1, known]
        np.testing.assert_allclose(inputs.context[0, number], expected, rtol=1e-6)


def test_days_outside_the_history_are_missing() -> None:
    """Before the first day and after the last there is nothing: zeros and masks of 0."""
    inputs, _ = read_inputs(made(), rows(-1, 1, 91), SPEC)
    np.testing.assert_array_equal(inputs.days[..., 2:].max(axis=2), [[0, 0, 0], [0, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(inputs.days[0], 0.0)
    np.testing.assert_array_equal(inputs.context[0], 0.0)
    np.testing.assert_array_equal(inputs.is_empty, [True, False, False])
    np.testing.assert_allclose(inputs.level, [0.0, 0.02, 0.02 * 89], rtol=1e-6)


def test_nothing_after_the_last_day_is_read() -> None:
    """Garbage after the window, or the end of the history, changes no bit of the inputs."""
    history = drawn()
    spec = WIDE.fit(history)
    rng = np.random.default_rng(6)
    for row in [0, 1, 198, *rng.integers(2, 198, 12).tolist()]:
        expected, _ = read_inputs(history, rows(row), spec)
        spoiled = history.copy(deep=True)
        for array in spoiled.data_vars.values():
            part = array.to_numpy()[row + 1 :]
            part[...] = rng.choice([np.nan, np.inf, -1e30, 1e30, 0.0], part.shape)
        assert same_bits(read_inputs(spoiled, rows(row), spec)[0], expected)
        assert same_bits(read_inputs(history.isel(time=slice(row + 1)), rows(row), spec)[0], expected)


def test_windows_do_not_depend_on_their_neighbours() -> None:
    """Read together, in another order or alone, a window is the same to the bit."""
    history = drawn()
    spec = WIDE.fit(history)
    positions = np.random.default_rng(2).permutation(200)
    together, outside = read_inputs(history, positions, spec)
    for number in range(0, 200, 9):
        alone, alone_outside = read_inputs(history, positions[number : number + 1], spec)
        assert same_bits(together[np.array([number])], alone)
        assert outside[number] == alone_outside[0]


def test_missing_variables_are_zeros_and_masks() -> None:
    """A variable that the history lacks, or a value that is NaN, is 0 with a mask of 0; its neighbours stay."""
    inputs, _ = read_inputs(made().drop_vars([SPEED, f"{SPEED}_hourly"]), rows(60), HOURLY)
    np.testing.assert_array_equal(inputs.days[0, :, [1, 3]], 0.0)
    np.testing.assert_array_equal(inputs.days[0, :, 2], 1.0)
    np.testing.assert_array_equal(inputs.hours[0], 0.0)
    inputs, _ = read_inputs(changed(made(), SPEED, 59, np.nan), rows(60), SPEC)
    np.testing.assert_allclose(inputs.days[0, :, 1], [0.58, 0.0, 0.60], rtol=1e-6)
    np.testing.assert_array_equal(inputs.days[0, :, 3], [1.0, 0.0, 1.0])
    empty, _ = read_inputs(made().drop_vars([FLUENCE, SPEED, f"{SPEED}_hourly"]), rows(60), HOURLY)
    assert all((array == 0).all() for array in arrays(empty))
    assert empty.is_empty.all()


def test_hours_alone_are_no_empty_window() -> None:
    """A window of which only an hour is known holds something."""
    history = changed(made()[[f"{SPEED}_hourly"]], f"{SPEED}_hourly", slice(None), np.nan)
    assert read_inputs(history, rows(60), HOURLY)[0].is_empty.all()
    history[f"{SPEED}_hourly"][60, 3] = 500.0
    np.testing.assert_array_equal(read_inputs(history, rows(59, 60), HOURLY)[0].is_empty, [True, False])


def test_alternatives_take_each_other_s_place() -> None:
    """a|b is a where a is known, b where it is not, and missing where neither is; a third one goes on alike."""
    kp = np.array([1.0, np.nan, np.nan, np.nan])
    dst = np.array([10.0, 20.0, np.nan, np.nan])
    ap = np.array([100.0, 200.0, 300.0, np.nan])
    history = made(4)
    for name, values in (("kp", kp), ("dst", dst), ("ap", ap)):
        history[name] = ("time", values, attributes(name))
    np.testing.assert_array_equal(read_table(history, InputSpec(("kp|dst",)))[:, 0], [1, 20, np.nan, np.nan])
    np.testing.assert_array_equal(read_table(history, InputSpec(("kp|dst|ap",)))[:, 0], [1, 20, 300, np.nan])
    spec = InputSpec(("kp|dst",))
    np.testing.assert_array_equal(read_table(history.drop_vars("dst"), spec)[:, 0], kp)
    np.testing.assert_array_equal(read_table(history.drop_vars("kp"), spec)[:, 0], dst)


def test_alternatives_are_one_driver() -> None:
    """What else is read beside the fluence is named once, by the first of its alternatives, with the hours."""
    flux = "electron_flux_gt0p8mev"
    assert WIDE.drivers == (flux, SPEED, "ae", "bz_gsm_min", f"{SPEED}_hourly", "electron_flux_gt2mev_hourly")
    assert SPEC.drivers == (SPEED,)


@pytest.mark.parametrize(
    ("missing", "level"),
    [
        ([], 1.2),
        ([60], 0.02 * 59),
        ([59, 60], 0.02 * 58),
        ([58, 59, 60], 0.02 * 56.0),  # mean of days 55 to 57, half of the six
        ([56, 57, 58, 59, 60], 0.02 * 50.5),  # one day of six is too few: mean of days 46 to 55
        (list(range(50, 61)), 0.0),  # four of fifteen days
        (list(range(0, 90)), 0.0),
    ],
)
def test_level_falls_back_step_by_step(missing: list[int], level: float) -> None:
    """The last value known in the window, else the mean over the shortest span that has one, else 0."""
    inputs, _ = read_inputs(changed(made(), FLUENCE, missing, np.nan), rows(60), SPEC)
    np.testing.assert_allclose(inputs.level, [level], rtol=1e-6)


def test_statistics_of_too_few_days_are_none() -> None:
    """With a third of the days known there are statistics of those; with less there are zeros."""
    values = np.full((3, 9), np.nan)
    values[0, :] = np.arange(9.0)
    values[1, [1, 4, 8]] = [-3.0, 2.0, 7.0]
    values[2, [1, 4]] = [5.0, 6.0]
    np.testing.assert_allclose(summarise(values), [[4, 0, 8, 1], [2, -3, 7, 1 / 3], [0, 0, 0, 0]])
    exact = np.full((2, 27), 1.0)
    exact[0, 9:] = exact[1, 8:] = np.nan
    np.testing.assert_allclose(summarise(exact), [[1, 1, 1, 1 / 3], [0, 0, 0, 0]])


def test_hours_are_the_last_ones() -> None:
    """Thirty hours reach into the day before; hours of the history are counted through."""
    inputs, _ = read_inputs(made(), rows(60), HOURLY)
    assert inputs.hours.shape == (1, HOURLY.n_steps, HOURLY.n_hourly) == (1, 30, 2)
    last = 24 * 61
    np.testing.assert_allclose(inputs.hours[0, :, 0], np.arange(last - 30, last) / 10.0, rtol=1e-6)
    np.testing.assert_array_equal(inputs.hours[0, :, 1], 1.0)
    inputs, _ = read_inputs(made(), rows(0), HOURLY)
    np.testing.assert_array_equal(inputs.hours[0, :, 1], np.arange(30) >= 6)


def test_hours_are_averaged_to_steps() -> None:
    """A step is the mean of those of its hours that are known, and missing where none is."""
    spec = dataclasses.replace(HOURLY, hour_step=3)
    history = made()
    last = 24 * 61
    hours = np.arange(last - 30, last).astype(float)
    hours[[0, 3, 4, 6, 7, 8]] = np.nan
    flat = history[f"{SPEED}_hourly"].to_numpy().ravel()
    flat[last - 30 : last] = hours
    inputs, _ = read_inputs(history, rows(60), spec)
    assert inputs.hours.shape == (1, spec.n_steps, 2) == (1, 10, 2)
    first = last - 30
    expected = [first + 1.5, first + 5, 0, *(first + 3 * step + 1 for step in range(3, 10))]
    np.testing.assert_allclose(inputs.hours[0, :, 0], np.array(expected) / 10.0, rtol=1e-6)
    np.testing.assert_array_equal(inputs.hours[0, :, 1], np.arange(10) != 2)


def test_logarithms_of_what_has_none() -> None:
    """No flux of zero or less; an index or a density of zero is its least; what may be negative is read as it is."""
    values = np.array([0.0, -1.0, np.inf, -np.inf, np.nan, 100.0])
    names = (FLUENCE, "solar_wind_density", "solar_wind_pressure", "ae", "bz_gsm", "bz_gsm_min")
    history = made(6)[[]]
    for name in names:
        history[name] = ("time", values, attributes(name.removesuffix("_min")))
    table = read_table(history, InputSpec(names))
    nan = np.nan
    expected = [
        [nan, nan, nan, nan, nan, 2],
        [np.log10(0.05), nan, nan, nan, nan, 2],
        [np.log10(0.02), nan, nan, nan, nan, 2],
        [0, nan, nan, nan, nan, 2],
        [0, -1, nan, nan, nan, 100],
        [0, -1, nan, nan, nan, 100],
    ]
    np.testing.assert_allclose(table.T, expected)


def test_values_far_off_are_told() -> None:
    """More than eight standard deviations off, in the window, is outside; however far, inputs are numbers."""
    for value, is_outside in ((1190.0, False), (1210.0, True), (1e300, True), (-1e300, True)):
        inputs, outside = read_inputs(changed(made(), SPEED, 58, value), rows(57, 58, 60, 61), SPEC)
        np.testing.assert_array_equal(outside, [False, is_outside, is_outside, False])
        assert all(np.isfinite(array).all() for array in arrays(inputs))


def test_wrong_units_and_dimensions_raise() -> None:
    """A variable that is there must be of its unit and dimensions."""
    history = made()
    wrong = history.assign({SPEED: history[SPEED].assign_attrs(units="m s-1")})
    with pytest.raises(UnitError, match=r"'solar_wind_speed' has units 'm s-1', expected 'km s-1'; convert it"):
        read_inputs(wrong, rows(60), SPEC)
    bare = history.assign({FLUENCE: ("time", np.ones(90))})
    with pytest.raises(UnitError, match=r"'fluence_gt2mev' has units None, expected 'cm-2 sr-1 d-1'"):
        read_inputs(bare, rows(60), SPEC)
    hourly = history.assign({SPEED: history[f"{SPEED}_hourly"]})
    with pytest.raises(AxisError, match=r"'solar_wind_speed' has dimensions \('time', 'hour'\), expected \('time',\)"):
        read_inputs(hourly, rows(60), SPEC)
    turned = history.assign({f"{SPEED}_hourly": history[f"{SPEED}_hourly"].transpose()})
    with pytest.raises(AxisError, match=r"'solar_wind_speed_hourly' has dimensions \('hour', 'time'\)"):
        read_inputs(turned, rows(60), HOURLY)
    with pytest.raises(AxisError, match=r"'solar_wind_speed_hourly' has 23 hours a day, expected 24"):
        read_inputs(history.isel(hour=slice(23)), rows(60), HOURLY)


def test_scaling_is_fitted_to_what_is_known() -> None:
    """Shift and scale are mean and standard deviation, of logarithms where those are read; NaN counts for nothing."""
    history = made(5)
    history[FLUENCE][:] = [1e6, np.nan, 1e8, -5.0, np.nan]
    history[SPEED][:] = [400.0, 400.0, np.nan, 400.0, 400.0]
    spec = dataclasses.replace(HOURLY, mean=(), std=()).fit(history)
    np.testing.assert_allclose(spec.mean, [7.0, 400.0, 59.5])
    # What does not vary is left in its unit.
    np.testing.assert_allclose(spec.std, [1.0, 1.0, np.arange(120).std()])
    assert dataclasses.replace(spec, mean=(), std=()) == dataclasses.replace(HOURLY, mean=(), std=())
    with pytest.raises(MissingDataError, match=r"kp holds 0 values in the training periods; leave it out"):
        InputSpec((FLUENCE, "kp")).fit(history)
    history[FLUENCE][:] = np.nan
    with pytest.raises(MissingDataError, match=r"fluence_gt2mev holds 0 values"):
        SPEC.fit(history)


def test_card_round_trips_through_json() -> None:
    """What is written on a card is what comes back from it."""
    spec = WIDE.fit(drawn())
    assert InputSpec.from_dict(json.loads(json.dumps(dataclasses.asdict(spec)))) == spec
    assert InputSpec.from_dict(dataclasses.asdict(SPEC)) == SPEC


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"daily": [SPEED, FLUENCE]}, "daily"),
        ({"daily": []}, "daily"),
        ({"daily": FLUENCE}, "daily"),
        ({"daily": None}, "NoneType"),
        ({"daily": [FLUENCE, "weather"]}, "names"),
        ({"daily": [FLUENCE, "satellite"]}, "names"),
        ({"daily": [FLUENCE, f"{SPEED}_hourly"]}, "names"),
        ({"daily": [FLUENCE, "kp|"]}, "names"),
        ({"hourly": ["weather"]}, "names"),
        ({"hourly": [f"{SPEED}|kp"]}, "names"),
        ({"n_days": 0}, "spans"),
        ({"n_days": 10**6}, "spans"),
        ({"n_days": "ten"}, "ten"),
        ({"n_days": 1e999}, "infinity"),
        ({"n_hours": -1}, "spans"),
        ({"n_hours": 0}, "hours"),
        ({"n_hours": 31, "hour_step": 3}, "hours"),
        ({"hour_step": 0}, "spans"),
        ({"hourly": [], "mean": [7, 400], "std": [1, 1]}, "hours"),
        ({"rotation": ["kp"]}, "rotation"),
        ({"rotations": [0]}, "spans"),
        ({"rotations": []}, "rotation"),
        ({"statistics": [27, 0]}, "spans"),
        ({"statistics": [27, 1001]}, "spans"),
        ({"statistics": 27}, "not iterable"),
        ({"mean": [7.0, 400.0]}, "scales"),
        ({"std": [1.0, 1.0]}, "scales"),
        ({"std": [1.0, 0.0, 1.0]}, "scales"),
        ({"std": [1.0, -1.0, 1.0]}, "scales"),
        ({"std": [1.0, 1.0, float("nan")]}, "scales"),
        ({"std": [1.0, 1.0, 1e999]}, "scales"),
        ({"mean": [1.0, 1.0, 1e999]}, "scales"),
        ({"mean": [1.0, 1.0, 10**400]}, "too large"),
        ({"mean": ["x", 1.0, 1.0]}, "could not convert"),
        ({"padding": "zeros"}, "unknown fields"),
    ],
)
def test_damaged_cards_are_refused(change: dict[str, Any], message: str) -> None:
    """Each entry that cannot be is one message that names it and says what to do."""
    record = dataclasses.asdict(HOURLY) | change
    with pytest.raises(ArtefactError, match=rf"the card misstates the inputs \(.*{message}.*\); train or install"):
        InputSpec.from_dict(record)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(InputSpec)])
def test_cards_without_an_entry_are_refused(field: str) -> None:
    """No entry has a default on a card."""
    record = dataclasses.asdict(HOURLY)
    del record[field]
    with pytest.raises(ArtefactError, match=rf"the card misstates the inputs \('{field}'\)"):
        InputSpec.from_dict(record)


@pytest.mark.parametrize("record", [None, [], "inputs", 3])
def test_cards_of_other_types_are_refused(record: Any) -> None:
    """Inputs that are no mapping are refused with the same message."""
    with pytest.raises(ArtefactError, match="the card misstates the inputs"):
        InputSpec.from_dict(record)
