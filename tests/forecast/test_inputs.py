"""Windows of a history: just the days asked, nothing later, and masks for what is missing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from particleflux.forecast.inputs import Inputs, InputSpec, read_inputs, summarise
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


@pytest.mark.parametrize("spec", [SPEC, HOURLY, WIDE], ids=["daily", "hourly", "wide"])
@pytest.mark.parametrize("blind", [0, 1, 2, 5, 26, 27, 82])
def test_hidden_electrons_are_as_if_not_measured(spec: InputSpec, blind: int) -> None:
    """Hiding the electrons of the last days reads what a history without them gives, to the bit."""
    n_variables = len(spec.daily) + len(spec.hourly)
    spec = dataclasses.replace(spec, mean=(0.5,) * n_variables, std=(2.0,) * n_variables)
    history = drawn()
    for last in (120, 199):
        hidden = history.copy(deep=True)
        for name in map(str, hidden.data_vars):
            if name.startswith(("fluence", "electron_flux")):
                hidden[name].to_numpy()[last + 1 - blind : last + 1] = np.nan
        found, _ = read_inputs(history, rows(last), spec, blind=blind)
        expected, _ = read_inputs(hidden, rows(last), spec)
        assert same_bits(found, expected)


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


def test_values_far_off_are_told() -> None:
    """More than eight standard deviations off, in the window, is outside; however far, inputs are numbers."""
    for value, is_outside in ((1190.0, False), (1210.0, True), (1e300, True), (-1e300, True)):
        inputs, outside = read_inputs(changed(made(), SPEED, 58, value), rows(57, 58, 60, 61), SPEC)
        np.testing.assert_array_equal(outside, [False, is_outside, is_outside, False])
        assert all(np.isfinite(array).all() for array in arrays(inputs))
