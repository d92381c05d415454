"""What makes a geometric factor a response, and a flux one that can be folded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError, UnitError
from particleflux.names import VARIABLES, attributes

SPECIES = ("proton", "electron")
EDGES = ("energy_lower", "energy_upper")


def energy_coordinates(
    energy: npt.NDArray[np.float64], lower: npt.NDArray[np.float64], upper: npt.NDArray[np.float64]
) -> dict[str, xr.DataArray]:
    """Label an energy axis and its bin edges.

    Parameters
    ----------
    energy, lower, upper : ndarray, shape (energy,), MeV
        Names of the bins, and their edges.

    Returns
    -------
    dict of DataArray
        The coordinates energy, energy_lower and energy_upper.
    """
    values = {"energy": energy, "energy_lower": lower, "energy_upper": upper}
    return {name: xr.DataArray(value, dims="energy", attrs=attributes(name)) for name, value in values.items()}


def check_response(factor: xr.DataArray, species: str) -> None:
    """Refuse a geometric factor that is no response.

    Parameters
    ----------
    factor : DataArray, dims (channel, energy), cm2 sr
        What shall become a response.
    species : str
        The particles it is said to hold for.

    Raises
    ------
    AxisError
        If a dimension or coordinate is missing, a channel occurs twice or the bins do not adjoin.
    UnitError
        If its unit is another one.
    DataError
        If the species is unknown, or a number is negative or not finite.
    """
    if species not in SPECIES:
        msg = f"unknown species {species!r}: expected one of {SPECIES}"
        raise DataError(msg)
    if set(factor.dims) != {"channel", "energy"}:
        msg = f"geometric_factor has dimensions {factor.dims}, expected ('channel', 'energy'); rename or transpose it"
        raise AxisError(msg)
    missing = [name for name in ("channel", "energy", *EDGES) if name not in factor.coords]
    if missing:
        msg = f"geometric_factor lacks the coordinates {missing}; add them, or use Response.from_arrays"
        raise AxisError(msg)
    if factor.attrs.get("units") != VARIABLES["geometric_factor"].units:
        msg = (
            f"geometric_factor has units {factor.attrs.get('units')!r}, expected 'cm2 sr'; convert it and set the unit"
        )
        raise UnitError(msg)
    channels = list(factor["channel"].values)
    if len(set(channels)) != len(channels):
        msg = f"geometric_factor names a channel twice: {channels}; give every channel one name"
        raise AxisError(msg)
    lower, upper = (np.asarray(factor[name].values, dtype=float) for name in EDGES)
    ordered = lower.size > 0 and lower[0] >= 0 and bool((upper > lower).all())
    if not ordered or not np.allclose(lower[1:], upper[:-1], rtol=1e-9, atol=0.0):
        msg = "energy bins of geometric_factor are not contiguous and increasing from 0 MeV or above; sort or fill them"
        raise AxisError(msg)
    values = np.asarray(factor.values, dtype=float)
    if not (np.isfinite(values) & (values >= 0)).all():
        msg = "geometric_factor holds a negative or non-finite number; correct the response, 0 where a channel is blind"
        raise DataError(msg)


def check_flux(flux: xr.DataArray, factor: xr.DataArray) -> None:
    """Refuse a flux that is not on the energy bins of a response, or in another unit.

    Parameters
    ----------
    flux : DataArray, dims (..., energy)
        What a caller wants to fold.
    factor : DataArray, dims (channel, energy)
        Geometric factor of the response.

    Raises
    ------
    AxisError
        If the energy bins differ or are not given.
    UnitError
        If the flux or its edges carry another unit.
    """
    if "energy" not in flux.dims:
        msg = f"flux has dimensions {flux.dims}, expected one of them to be 'energy'; rename the energy dimension"
        raise AxisError(msg)
    expected = VARIABLES["flux"].units
    if flux.attrs.get("units") != expected:
        msg = (
            f"flux has units {flux.attrs.get('units')!r}, expected {expected!r}; "
            f"convert it and set attrs['units'] = {expected!r}"
        )
        raise UnitError(msg)
    for name in EDGES:
        if name not in flux.coords or flux[name].dims != ("energy",):
            msg = f"flux has no coordinate {name!r} on energy; give the bin edges in MeV, or use Response.label"
            raise AxisError(msg)
        units = flux[name].attrs.get("units", "MeV")
        if units != "MeV":
            msg = f"flux has {name!r} in {units!r}, expected 'MeV'; convert the edges of the energy bins"
            raise UnitError(msg)
        found, wanted = np.asarray(flux[name].values, dtype=float), np.asarray(factor[name].values, dtype=float)
        if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-9, atol=0.0):
            msg = (
                f"flux has {found.size} energy bins from {found.min():g} to {found.max():g} MeV ({name}), expected "
                f"the {wanted.size} of the response from {wanted.min():g} to {wanted.max():g} MeV; average "
                "the flux over the bins of the response, or use fold_form"
            )
            raise AxisError(msg)
