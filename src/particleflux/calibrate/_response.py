"""How log fluence follows its drivers, with a level for each satellite: the regression behind the estimates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from particleflux.calibrate._curve import Array
from particleflux.calibrate.days import Times
from particleflux.errors import AxisError, MissingDataError

#: Days before, first and last, over whose mean a driver counts.
LAGS = ((0, 0), (1, 1), (2, 3), (4, 6), (7, 13), (14, 27))
#: Drivers that are used where present, and how each is made additive; the others carry little beside these.
DRIVERS: Mapping[str, Callable[[Any], Any]] = {
    "solar_wind_speed": lambda values: values,
    "solar_wind_density": np.log10,
    "kp": lambda values: values,
    "standoff": lambda values: values,
}
#: Strength of the ridge, in days: driver columns have unit variance.
RIDGE = 30.0
BLOCK = 27


def driver_columns(drivers: xr.Dataset) -> tuple[Times, Array]:
    """Give days and standardised columns: drivers at lags with their squares, the season, and F10.7 over 81 days.

    A value that is missing counts as the mean: the means over lags leave few of them.
    """
    import pandas as pd

    wanted = [*DRIVERS, "f10p7"]
    names = [name for name in wanted if name in drivers and bool(drivers[name].count())]
    for name in names:
        if drivers[name].dims != ("time",):
            msg = f"the driver {name} has the dimensions {drivers[name].dims}, expected ('time',)"
            raise AxisError(msg)
    if "solar_wind_speed" not in names and "kp" not in names:
        found = ", ".join(map(str, drivers.data_vars)) or "none"
        msg = f"the drivers are {found}; expected solar_wind_speed or kp with values at least"
        raise MissingDataError(msg)
    frame = drivers[names].to_dataframe().sort_index()
    daily = frame.groupby(pd.DatetimeIndex(frame.index).floor("D")).mean().asfreq("D")
    day = daily.index.to_numpy().astype("datetime64[ns]")
    columns = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in [name for name in names if name in DRIVERS]:
            values = DRIVERS[name](daily[name].astype(float))
            values = values.where(np.isfinite(values))
            for first, last in LAGS:
                mean = values.rolling(last - first + 1, min_periods=1).mean().shift(first)
                columns += [mean.to_numpy(), ((mean - mean.mean()) ** 2).to_numpy()]
    if "f10p7" in names:
        columns.append(daily["f10p7"].rolling(81, min_periods=20).mean().to_numpy())
    phase = 2 * np.pi * ((day - day.astype("datetime64[Y]")) / np.timedelta64(1, "D")) / 365.25
    columns += [trend(order * phase) for order in (1, 2) for trend in (np.sin, np.cos)]
    table = np.stack(columns, axis=1)
    table = table[:, np.isfinite(table).sum(axis=0) > 1]
    spread = np.nanstd(table, axis=0)
    table = (table - np.nanmean(table, axis=0)) / np.where(spread > 0, spread, 1.0)
    return day, np.clip(np.nan_to_num(table), -5, 5)


@dataclass(frozen=True)
class Response:
    """Log fluence less the part of the drivers, day by day, and the fit of it to all satellites together."""

    names: tuple[str, ...]
    time: Times
    satellite: Times
    level: Array
    effects: Array
    sampling: Array
    year_std: float


def fit_response(logs: Mapping[str, tuple[Times, Array]], drivers: xr.Dataset, limit: float, seed: int) -> Response:
    """Fit levels and the common response; days below the limit are known to be below and no more (a Tobit model)."""
    from scipy.stats import norm

    day, table = driver_columns(drivers)
    rows = {name: np.isin(time, day) for name, (time, _) in logs.items()}
    names = tuple(name for name, row in rows.items() if row.sum() >= 2 * BLOCK)
    if not names:
        msg = f"no satellite has {2 * BLOCK} days together with the drivers; give both for the same days"
        raise MissingDataError(msg)
    time = np.concatenate([logs[name][0][rows[name]] for name in names])
    y = np.concatenate([logs[name][1][rows[name]] for name in names])
    satellite = np.repeat(np.arange(len(names)), [rows[name].sum() for name in names])
    n = len(names)
    design = np.column_stack([np.eye(n)[satellite], table[np.searchsorted(day, time)]])
    ridge = np.diag(np.where(np.arange(design.shape[1]) < n, 1e-6, RIDGE))
    is_low = y < limit
    if (~is_low).sum() < 2 * BLOCK:
        msg = (
            f"{(~is_low).sum()} days lie above the floors of all satellites (10^{limit:.2f} cm-2 sr-1 d-1), expected "
            f"at least {2 * BLOCK}; give more days"
        )
        raise MissingDataError(msg)
    filled = np.where(is_low, limit - 0.3, y)
    for _ in range(40):
        solution = np.linalg.solve(design.T @ design + ridge, design.T @ filled)
        mean = design @ solution
        std = float(np.sqrt(np.mean((filled - mean)[~is_low] ** 2)))
        depth = (limit - mean) / std
        expected = mean - std * np.exp(norm.logpdf(depth) - norm.logcdf(depth))
        before, filled = filled, np.where(is_low, expected, y)
        if np.abs(filled - before).max() < 1e-3:
            break
    squares, products, _ = _sums(design, filled, (time - time.min()) // np.timedelta64(BLOCK, "D"))
    random, number = np.random.default_rng(seed), len(squares)
    draws = random.multinomial(number, np.full(number, 1 / number), size=200)
    replicas = [
        np.linalg.solve((draw @ squares.reshape(number, -1)).reshape(ridge.shape) + ridge, draw @ products)[:n]
        for draw in draws.astype(float)
    ]
    return Response(
        names,
        time,
        satellite,
        filled - design[:, n:] @ solution[n:],
        solution[:n],
        np.cov(np.stack(replicas), rowvar=False).reshape(n, n),
        _year_std(design, filled, time, satellite, ridge),
    )


def _sums(design: Array, filled: Array, number: Times) -> tuple[Array, Array, Times]:
    """Give the parts of the normal equations by block, to leave out or repeat whole blocks; and each row's block."""
    blocks, block = np.unique(number, return_inverse=True)
    parts = [block == one for one in range(len(blocks))]
    squares = np.stack([design[part].T @ design[part] for part in parts])
    products = np.stack([design[part].T @ filled[part] for part in parts])
    return squares, products, block


def _year_std(design: Array, filled: Array, time: Times, satellite: Times, ridge: Array) -> float:
    """Give how far a year of a satellite lies from what its other years and the drivers tell (dex); NaN of one year."""
    squares, products, year = _sums(design, filled, time.astype("datetime64[Y]").astype(int))
    missed = []
    for one in range(len(squares)):
        rest = year != one
        solution = np.linalg.solve(squares.sum(0) - squares[one] + ridge, products.sum(0) - products[one])
        for which in np.unique(satellite):
            held = ~rest & (satellite == which)
            if held.sum() >= 200 and (rest & (satellite == which)).sum() >= 200:
                missed.append(float(np.mean(filled[held] - design[held] @ solution)))
    return float(np.sqrt(np.mean(np.square(missed)))) if len(missed) > 1 else float("nan")
