"""What values of each quantity can be: units by magnitude, and the fill values of the archives."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from particleflux.errors import DataError, UnitError
from particleflux.history.layout import SUFFIXES, attributes_of

Array = npt.NDArray[np.float64]

#: Values that stand for "missing" in the archives; none of them is possible where it is taken for one.
FILLS = (-1.0, 99.0, 99.9, 99.99, 999.0, 999.9, 999.99, 9999.0, 9999.9, 9999.99, 99999.0, 99999.9, 999999.0,
         -99.0, -99.9, -999.0, -999.9, -9999.0, -9999.9, -99999.0, -99999.9)  # fmt: skip
_HUGE = 1e30  # CDF fills with -1e31, NetCDF with 9.97e36


@dataclass(frozen=True)
class Plausible:
    """What values of a quantity can be, and what they probably are where they cannot.

    Attributes
    ----------
    low, high : float
        Least and greatest possible value.
    median_low, median_high : float
        Bounds of the median of the absolute values.
    least_high : float
        Bound of the least of the values of more than ten days.
    mistakes : tuple of (str, str)
        What too small and too large values look like.
    """

    low: float
    high: float
    mistakes: tuple[str, str] = ("", "")
    median_low: float = 0.0
    median_high: float = np.inf
    least_high: float = np.inf


_FIELD = Plausible(-500, 500, ("a field in T", ""), median_low=1e-6)
PLAUSIBLE = {
    "electron_flux_gt2mev": Plausible(
        0, 1e8, ("", "a daily fluence in cm-2 sr-1 d-1: name the column fluence_gt2mev"),
        # From 1997 to 2014 the flux of a day was above the latter for eight days in a row at most, and no fluence was
        # below it.
        median_high=2e5, least_high=1e4,
    ),
    "fluence_gt2mev": Plausible(
        0, 1e12,
        ("a mean flux in cm-2 s-1 sr-1: name the column electron_flux_gt2mev, or multiply it by 86400",
         "a fluence per m2, or over more than a day: divide it by 1e4 or by the days"),
        median_low=2e4, median_high=2e10,
    ),
    "electron_flux_gt0p8mev": Plausible(0, 1e9, ("", "a daily fluence: divide it by 86400"), median_high=5e6),
    "electron_flux_gt0p6mev": Plausible(0, 1e9, ("", "a daily fluence: divide it by 86400"), median_high=1e7),
    "solar_wind_speed": Plausible(50, 4000, ("", "m s-1: divide it by 1000"), median_high=4000),
    "solar_wind_density": Plausible(0, 500, ("", "m-3: divide it by 1e6"), median_high=500),
    "solar_wind_pressure": Plausible(0, 500, ("Pa: multiply it by 1e9", ""), median_low=1e-6),
    "b_total": Plausible(0, 500, ("a field in T", ""), median_low=1e-6),
    "by_gsm": _FIELD,
    "bz_gsm": _FIELD,
    "standoff": Plausible(1, 60, ("", "km: divide it by 6371.2"), median_high=60),
    "kp": Plausible(0, 9, ("", "ten times Kp: divide it by 10")),
    "kp_sum": Plausible(0, 72, ("", "ten times Kp: divide it by 10")),
    "ap": Plausible(0, 400),
    "dst": Plausible(-2500, 500),
    "ae": Plausible(0, 9000),
    "f10p7": Plausible(40, 900, ("", "W m-2 Hz-1 times another power of ten")),
}  # fmt: skip
# An archive's fill value that would be possible: a pressure of exactly this many nPa has not been seen.
_SEVERAL = np.timedelta64(10, "D")
_ALWAYS_FILL = {"solar_wind_pressure": (99.99,), "kp": (9.9,)}


def base_name(name: str) -> str:
    """Give the quantity a variable of the layout is of.

    Parameters
    ----------
    name : str
        With a suffix of the layout or without.

    Returns
    -------
    str
        Without it.

    Examples
    --------
    >>> base_name("dst_min"), base_name("kp_sum")
    ('dst', 'kp_sum')
    """
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def clean_values(values: Array, name: str, where: str, time: npt.NDArray[np.datetime64]) -> Array:
    """Turn the fill values of a column into NaN, and refuse values its name does not allow.

    Parameters
    ----------
    values : array, shape (time, ...)
        As found.
    name : str
        Name of the column.
    where : str
        The file, for the message.
    time : array of datetime64, shape (time,)
        Time of each row.

    Returns
    -------
    array, the same shape
        NaN for fill values and negative fluxes.

    Raises
    ------
    UnitError
        If the values look like those of another unit.
    DataError
        If a value is impossible.

    Warns
    -----
    UserWarning
        If something was turned into NaN, or nothing but NaN is there.
    """
    rule = PLAUSIBLE.get(base_name(name))
    if rule is None:
        return values
    with np.errstate(invalid="ignore"):
        impossible = (values < rule.low) | (values > rule.high)
        fill = (impossible & np.isin(values, FILLS)) | (np.abs(values) >= _HUGE)
        fill |= np.isin(values, _ALWAYS_FILL.get(base_name(name), ()))
    if fill.any():
        found = ", ".join(f"{value:g}" for value in np.unique(values[fill])[:4])
        _warn(f"{where}, column {name}: {int(fill.sum())} fill values ({found}) are taken as missing")
        values = np.where(fill, np.nan, values)
    if base_name(name).startswith(("electron_flux", "fluence")):
        negative = values < 0
        if negative.any():
            _warn(f"{where}, column {name}: {int(negative.sum())} negative values are taken as missing")
            values = np.where(negative, np.nan, values)
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    if not np.isfinite(values).any():
        _warn(f"{where}, column {name}: holds no value; what needs it does without")
        return values
    median = float(np.median(known)) if len(known) else rule.median_low
    if median > rule.median_high or median < rule.median_low:
        _refuse(where, name, f"the median of the values is {median:.4g}", rule, too_large=median > rule.median_high)
    if len(known) and time[-1] - time[0] >= _SEVERAL and known.min() > rule.least_high:
        _refuse(where, name, f"the least of the values is {known.min():.4g}", rule, too_large=True)
    wrong = np.argwhere((values < rule.low) | (values > rule.high))
    if len(wrong):
        value, row = values[tuple(wrong[0])], int(wrong[0][0])
        problem = f"{len(wrong)} values such as {value:g} at {time[row].astype('datetime64[s]')}"
        _refuse(where, name, problem, rule, too_large=bool(value > rule.high))
    return values


def _refuse(where: str, name: str, problem: str, rule: Plausible, *, too_large: bool) -> NoReturn:
    guess = rule.mistakes[too_large]
    units = attributes_of(name).get("units", "1")
    msg = f"{where}, column {name}: {problem}; expected {rule.low:g} to {rule.high:g} in {units!r}"
    if guess:
        msg += f"; this looks like {guess}"
        raise UnitError(msg)
    msg += "; correct them, or leave the cells empty where the value is missing"
    raise DataError(msg)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=5)
