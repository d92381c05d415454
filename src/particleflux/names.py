"""The vocabulary: names, units, dimensions and quality flags that all parts agree on."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from particleflux.errors import AxisError, UnitError

if TYPE_CHECKING:
    import xarray as xr

PDH = tuple(f"PDH{number}" for number in range(1, 9))
EDH = tuple(f"EDH{number}" for number in range(1, 9))


class Quality(enum.IntFlag):
    """What is known against a sample; 0 is a good one. Kept in the variable `quality` (time)."""

    GOOD = 0
    GAP = 1  # data are missing right before this sample
    SHORT = 2  # less than the asked accumulation was gathered
    DO_NOT_USE = 4  # inside a do-not-use window of the instrument
    UNKNOWN_CONFIGURATION = 8  # no response is known for the instrument as it was set then
    SATURATED = 16  # saturated or physically implausible counts
    SPIKE = 32  # a noisy channel left its level; the other channels are unaffected
    MISSING = 64  # a channel that is needed holds a fill value or NaN
    INVALID = 128  # negative counts, or an exposure that is not positive
    BACKGROUND_ASSUMED = 256  # background taken from the instrument file, not from data
    BACKGROUND_HELD = 512  # background level could not be followed then: carried over, with a wider uncertainty
    BELOW_DETECTION = 1024  # no channel stands above its background: read the upper bounds as limits
    EXTRAPOLATED = 2048  # outside the range the method was trained or calibrated for
    NOT_PROCESSED = 4096  # the method was not run: every result is NaN
    CHANNEL_LEFT_OUT = 8192  # a channel that the method can read was missing or disturbed; the others were read


class Assessment(enum.IntEnum):
    """What a sample is good for, in one number; kept in the variable `assessment` (time).

    The levels are those that users of SREM's spectra know.
    """

    GOOD = 0
    CARE = 1  # use with care: something is known against the sample, but it was read
    MIXED = 2  # two species contribute to the channels that were read
    OTHER_SPECIES = 3  # the other species makes most of what these channels count
    OUTSIDE = 4  # outside the validity of the method, or not processed at all
    BACKGROUND = 5  # background only: read the upper bounds as limits


class ForecastQuality(enum.IntFlag):
    """What a forecast had to do without; 0 had everything. Kept in the variable `quality` (init_time) of a forecast."""

    GOOD = 0
    NO_FLUX = 1  # the electron flux of the last day is missing
    FLUX_GAP = 2  # some of the flux before that is missing
    NO_SOLAR_WIND = 4  # solar wind of the last day is missing, and with it the magnetopause stand-off
    NO_KP = 8  # Kp of the last day is missing
    NO_DST = 16  # Dst of the last day is missing
    DRIVER_GAP = 32  # some of the drivers before the last day are missing
    NO_RECURRENCE = 64  # what was measured one solar rotation before the forecast days is missing
    SATELLITE_CHANGE = 128  # the flux was measured by several satellites that are not on one scale
    UNCALIBRATED = 256  # the flux of the last days is not tied to the scale the method was trained on
    EXTRAPOLATED = 512  # an input lies outside the range the method was trained for
    NOT_FORECAST = 4096  # no input at all: every result is NaN


#: Flags that forbid a method to run on the sample.
UNUSABLE = Quality.DO_NOT_USE | Quality.UNKNOWN_CONFIGURATION | Quality.SATURATED | Quality.MISSING | Quality.INVALID


@dataclass(frozen=True)
class Variable:
    """What a variable of this name must be."""

    units: str
    long_name: str
    dims: tuple[str, ...] | None = None


VARIABLES: dict[str, Variable] = {
    "counts": Variable("1", "counts per accumulation", ("time", "channel")),
    "exposure": Variable("s", "live time of the accumulation", ("time",)),
    "quality": Variable("1", "quality flags, 0 is good", ("time",)),
    "configuration": Variable("1", "instrument configuration", ("time",)),
    "count_rate": Variable("s-1", "count rate"),
    "background_rate": Variable("s-1", "background count rate"),
    "background_rate_std": Variable("s-1", "standard deviation of the background count rate"),
    "geometric_factor": Variable("cm2 sr", "geometric factor", ("channel", "energy")),
    "energy": Variable("MeV", "kinetic energy", ("energy",)),
    "energy_lower": Variable("MeV", "lower edge of the energy bin", ("energy",)),
    "energy_upper": Variable("MeV", "upper edge of the energy bin", ("energy",)),
    "threshold": Variable("MeV", "lower energy of the integral flux", ("threshold",)),
    "background_rate_common_std": Variable("s-1", "part of the background's standard deviation common to all channels"),
    "flux_sample": Variable("cm-2 s-1 sr-1 MeV-1", "differential flux, draw of the joint predictive distribution"),
    "fit_probability": Variable("1", "probability of a worse fit if the model were true (posterior predictive)"),
    "form_weight": Variable("1", "probability of the spectral form"),
    "effective_draws": Variable("1", "equally weighted draws that the weighted ones are worth", ("time",)),
    "smoothing_strength": Variable("1", "strength of the smoothing", ("time",)),
    "assessment": Variable("1", "what the sample is good for: 0 good to 5 background only", ("time",)),
    "flux_true": Variable("cm-2 s-1 sr-1 MeV-1", "differential flux, simulated truth"),
    "flux_std": Variable("cm-2 s-1 sr-1 MeV-1", "standard uncertainty of the differential flux"),
    "ensemble": Variable("1", "number of input bins of the ensemble that answered; 0 where none did", ("time",)),
}
_BOUNDS = {
    "": "median",
    "_lower": "16 % quantile",
    "_upper": "84 % quantile",
    "_lower95": "2.5 % quantile",
    "_upper95": "97.5 % quantile",
}
for _name, _units, _long_name in (
    ("flux", "cm-2 s-1 sr-1 MeV-1", "differential flux"),
    ("integral_flux", "cm-2 s-1 sr-1", "integral flux above a threshold"),
    ("spectral_index", "1", "spectral index"),
    ("rollover_energy", "MeV", "rollover energy"),
    ("intensity", "cm-2 s-1 sr-1 MeV-1", "intensity of the power law at 1 MeV"),
):
    for _suffix, _bound in _BOUNDS.items():
        VARIABLES[_name + _suffix] = Variable(_units, f"{_long_name}, {_bound}")

# History of the flux at geostationary orbit and of what drives it. Along `time` the contract's quantities are means
# over the cadence; `fluence_gt2mev` is what the forecasts are of.
for _name, _units, _long_name in (
    ("electron_flux_gt2mev", "cm-2 s-1 sr-1", "integral flux of electrons above 2 MeV"),
    ("electron_flux_gt0p8mev", "cm-2 s-1 sr-1", "integral flux of electrons above 0.8 MeV"),
    ("electron_flux_gt0p6mev", "cm-2 s-1 sr-1", "integral flux of electrons above 0.6 MeV"),
    ("fluence_gt2mev", "cm-2 sr-1 d-1", "daily fluence of electrons above 2 MeV"),
    ("solar_wind_speed", "km s-1", "solar wind speed"),
    ("solar_wind_density", "cm-3", "solar wind proton density"),
    ("solar_wind_pressure", "nPa", "solar wind dynamic pressure"),
    ("b_total", "nT", "magnitude of the interplanetary magnetic field"),
    ("by_gsm", "nT", "interplanetary magnetic field, y component, GSM"),
    ("bz_gsm", "nT", "interplanetary magnetic field, z component, GSM"),
    ("standoff", "R_earth", "stand-off distance of the subsolar magnetopause"),
    ("kp", "1", "planetary index Kp"),
    ("ap", "nT", "planetary equivalent amplitude ap, in units of 2 nT as published"),
    ("dst", "nT", "disturbance storm-time index Dst"),
    ("ae", "nT", "auroral electrojet index AE"),
    ("f10p7", "1e-22 W m-2 Hz-1", "solar radio flux at 10.7 cm"),
):
    VARIABLES[_name] = Variable(_units, _long_name)
VARIABLES["satellite"] = Variable("1", "satellite that measured the electrons; empty where none did")
VARIABLES["kp_sum"] = Variable("1", "sum of the eight Kp values of the day", ("time",))


def attributes(name: str) -> dict[str, str]:
    """Give the `units` and `long_name` attributes a variable of this name carries.

    Parameters
    ----------
    name : str
        A key of `VARIABLES`.

    Returns
    -------
    dict of str
        A new dictionary with the keys `units` and `long_name`.

    Examples
    --------
    >>> attributes("exposure")
    {'units': 's', 'long_name': 'live time of the accumulation'}
    """
    variable = VARIABLES[name]
    return {"units": variable.units, "long_name": variable.long_name}


def require(dataset: xr.Dataset, *names: str) -> None:
    """Check that a dataset holds the named variables with their dimensions and units.

    Parameters
    ----------
    dataset : Dataset
        What a caller handed over.
    *names : str
        Keys of `VARIABLES`.

    Raises
    ------
    AxisError
        If a variable is absent or lacks a dimension.
    UnitError
        If its unit is absent or another one.
    """
    for name in names:
        expected = VARIABLES[name]
        if name not in dataset.variables:
            found_names = sorted(map(str, dataset.variables))
            msg = f"no variable {name!r}: found {found_names}; name the {expected.long_name} {name!r}"
            raise AxisError(msg)
        found = dataset[name]
        if expected.dims is not None and set(found.dims) != set(expected.dims):
            msg = f"variable {name!r} has dimensions {found.dims}, expected {expected.dims}; rename or transpose it"
            raise AxisError(msg)
        units = found.attrs.get("units")
        if units != expected.units:
            msg = (
                f"variable {name!r} has units {units!r}, expected {expected.units!r}; "
                f"convert it and set attrs['units'] = {expected.units!r}"
            )
            raise UnitError(msg)
