"""The solar wind's dynamic pressure, and the stand-off distance of the magnetopause it sets."""

from __future__ import annotations

import numpy as np
import xarray as xr

from particleflux.errors import DataError, UnitError
from particleflux.names import VARIABLES, attributes

_PROTON_MASS = 1.67262192e-27  # kg
_TO_NPA = 1e6 * 1e3**2 * 1e9  # cm-3 -> m-3, km s-1 -> m s-1 squared, Pa -> nPa


def dynamic_pressure(density: xr.DataArray, speed: xr.DataArray, *, alpha_ratio: float = 0.0) -> xr.DataArray:
    r"""Give the dynamic pressure of the solar wind.

    .. math:: P_d = m_p \, n \, v^2 \, (1 + 4 a)

    with the proton density n, the speed v and a alpha particles per proton. Protons alone (a = 0) are counted unless
    `alpha_ratio` says otherwise. The pressure in OMNI counts the alphas measured in the hour and takes a = 0.05 where
    none were, which makes it 1.2 times that of the protons: use `alpha_ratio=0.05` beside it.

    Parameters
    ----------
    density : DataArray, any dims, cm-3
        Proton density; a negative value is missing.
    speed : DataArray, any dims, km s-1
        Speed.
    alpha_ratio : float
        Alpha particles per proton, from 0 to 1.

    Returns
    -------
    DataArray, dims of both, nPa
        Named `solar_wind_pressure`; NaN where an input is missing.

    Raises
    ------
    UnitError
        If an input states another unit.
    DataError
        If `alpha_ratio` is no fraction.

    References
    ----------
    OMNI: J. H. King and N. E. Papitashvili, Journal of Geophysical Research 110, A02104 (2005),
    doi 10.1029/2004JA010649.

    Examples
    --------
    >>> round(float(dynamic_pressure(xr.DataArray(5.0), xr.DataArray(400.0))), 3)
    1.338
    """
    _check_units(density, "solar_wind_density")
    _check_units(speed, "solar_wind_speed")
    if not 0 <= alpha_ratio <= 1:
        msg = f"alpha_ratio={alpha_ratio}: expected alpha particles per proton, from 0 to 1, such as 0.05"
        raise DataError(msg)
    mass = _PROTON_MASS * (1 + 4 * alpha_ratio)
    pressure = mass * _TO_NPA * density.where(density >= 0) * speed**2
    return pressure.assign_attrs(attributes("solar_wind_pressure")).rename("solar_wind_pressure")


def standoff(bz: xr.DataArray, pressure: xr.DataArray) -> xr.DataArray:
    r"""Give the stand-off distance of the subsolar magnetopause after Shue et al. (1998).

    .. math:: r_0 = \{10.22 + 1.29 \tanh[0.184 (B_z + 8.14)]\} \, P_d^{-1/6.6}

    Parameters
    ----------
    bz : DataArray, any dims, nT
        North-south component of the interplanetary magnetic field, GSM.
    pressure : DataArray, any dims, nPa
        Dynamic pressure of the solar wind. That of OMNI counts alpha particles: with that of protons alone the distance
        is 2.8 % longer.

    Returns
    -------
    DataArray, dims of both, Earth radii
        Named `standoff`; NaN where an input is missing or the pressure is not positive.

    Raises
    ------
    UnitError
        If an input states another unit.

    References
    ----------
    J.-H. Shue et al., Journal of Geophysical Research 103, 17691 (1998), doi 10.1029/98JA01103.

    Examples
    --------
    >>> round(float(standoff(xr.DataArray(0.0), xr.DataArray(2.0))), 3)
    10.252
    """
    _check_units(bz, "bz_gsm")
    _check_units(pressure, "solar_wind_pressure")
    usable: xr.DataArray = pressure.where((pressure > 0) & np.isfinite(pressure))
    distance: xr.DataArray = (1.29 * xr.apply_ufunc(np.tanh, 0.184 * (bz + 8.14)) + 10.22) * usable ** (-1 / 6.6)
    return distance.assign_attrs(attributes("standoff")).rename("standoff")


def _check_units(array: xr.DataArray, name: str) -> None:
    """Refuse a unit that is stated and another one; a bare number states none."""
    found, expected = array.attrs.get("units"), VARIABLES[name].units
    if found is not None and found != expected:
        msg = f"{array.name or name} has units {found!r}, expected {expected!r} for the {VARIABLES[name].long_name}; "
        msg += "convert it"
        raise UnitError(msg)
