"""Dose behind aluminium with SHIELDOSE-2, which spacepy carries."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.names import require
from particleflux.products.doubt import find_doubtful, find_limits

Array = npt.NDArray[np.float64]

#: Depths in mm of aluminium, where no others are asked for.
DEPTHS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)
#: Shield around the silicon, and its place in SHIELDOSE-2's answers.
GEOMETRIES = {"semi-infinite": 0, "slab": 1, "sphere": 2}
#: Nuclear interactions in aluminium: none; attenuation with local charged secondaries; the same with neutrons.
NUCLEAR = {"none": 1, "local": 2, "local+neutrons": 3}

_BOUNDS = ("_lower", "_upper", "_lower95", "_upper95")
_QUANTILES = {"": 0.5, "_lower": 0.16, "_upper": 0.84, "_lower95": 0.025, "_upper95": 0.975}
_SILICON, _POINTS = 3, 301
# The dose in a sphere is a derivative along depth. It needs an even grid of depths, and not a fine one, where the
# tables' own steps show: so many points a decade, at the same places whichever depths are asked for.
_PER_DECADE, _MOST = 15, 71
# SHIELDOSE-2 gives "1/2 DOSE AT CENTER OF ALUMINUM SPHERES" beside the dose in and behind slabs.
_FACTORS = np.array([1.0, 1.0, 2.0])
# SHIELDOSE-2 takes logarithms of every spectrum, also of those that are not asked for.
_NOTHING = 1e-30
_RAD_TO_GY = 0.01


def dose_behind_aluminium(
    spectra: xr.Dataset,
    depths: Sequence[float] = DEPTHS,
    *,
    geometry: str = "sphere",
    nuclear: str = "local",
    highest_energy: float = 1000.0,
    interpolate_gaps: bool = False,
) -> xr.Dataset:
    """Give the dose in silicon behind aluminium from protons, over the time of the spectra.

    The spectra become a fluence, flux times exposure summed over the samples that are there, times 4 pi: the particles
    come from all sides alike. Between its energies the fluence is a power law, and above the last its last power law
    goes on to `highest_energy`, if that is steeper than E^-1; the share of the dose that rests on this is given, known
    to about 0.02 only, and grows behind thick walls. Below the first energy nothing is added: protons that stop in
    the first tenths of a millimetre are left out. SHIELDOSE-2's own example spectra, which spacepy sets, are replaced.

    Samples below detection are limits: they count in the upper ends of the intervals only. Samples whose flux cannot be
    trusted (flagged as extrapolated, or assessed as made by the other species or outside the validity of the method)
    are left out, as those with NaN are.

    The intervals are those of whole spectra: of the joint draws where the spectra hold them, each draw taken as one
    history through time, else of the bounds: errors of all times and energies fully correlated.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        Protons, `flux` in cm-2 s-1 sr-1 MeV-1, with bounds or `flux_sample` or neither; `exposure` (time) in s, else
        the median step of time. A sample with NaN is left out.
    depths : sequence of float
        Thickness of aluminium in mm, rising, each above 0.
    geometry : {"sphere", "slab", "semi-infinite"}
        Silicon at the centre of a solid sphere; behind a slab; in a half space behind a slab.
    nuclear : {"local", "none", "local+neutrons"}
        Nuclear interactions of protons in aluminium.
    highest_energy : float
        Where the extrapolated spectrum ends, MeV.
    interpolate_gaps : bool
        Take the mean of the samples that are there for all of the time between the first and the last.

    Returns
    -------
    Dataset, dims (depth,)
        `dose` in rad (silicon) with its bounds as far as they are known, `dose_gray` in Gy, `extrapolated_share`;
        `fluence` (energy) in cm-2 MeV-1 from all sides; attributes `geometry`, `nuclear`, `measured_time` (s), and of
        all samples `limit_share` (below detection) and `doubtful_share` (left out as not to be trusted).

    Raises
    ------
    DataError
        If depths, geometry, nuclear or highest_energy cannot be used, or the spectra are of other particles.
    MissingDataError
        If spacepy is not installed or cannot be used here, or no sample holds a spectrum.
    AxisError
        If there is no flux along energy.
    UnitError
        If its units are others.

    References
    ----------
    Seltzer, S. M., Updated calculations for routine space-shielding radiation dose estimates: SHIELDOSE-2,
    NISTIR 5477, 1994, https://doi.org/10.6028/NIST.IR.5477.
    """
    require(spectra, "flux", "energy")
    thickness = _check(depths, geometry, nuclear, highest_energy, spectra)
    spectra = spectra.sortby("energy")
    energy = spectra["energy"].to_numpy().astype(np.float64)
    seconds = _exposures(spectra)
    whole = spectra["flux"].notnull().all("energy").to_numpy() & np.isfinite(seconds)
    doubtful = whole & find_doubtful(spectra)
    usable = whole & ~doubtful
    limits = usable & find_limits(spectra)
    if not usable.any():
        msg = (
            f"found no whole spectrum in {len(usable)} samples ({doubtful.sum()} left out, because their flux cannot "
            "be trusted), expected one or more; give other data"
        )
        raise MissingDataError(msg)
    weights = np.where(usable, seconds, 0.0)
    if interpolate_gaps:
        time = spectra["time"].to_numpy()
        span = float((time[-1] - time[0]) / np.timedelta64(1, "s")) + float(seconds[-1])
        weights = weights * max(1.0, span / weights.sum())
    settings = (thickness, GEOMETRIES[geometry], NUCLEAR[nuclear], highest_energy)
    # Where nothing was detected there may be nothing: a limit counts in the upper ends only.
    detected = np.where(limits, 0.0, weights)
    fluence = _fluence(spectra["flux"], detected, usable)
    best, within = (_dose(fluence, energy, *settings, only_measured=only) for only in (False, True))
    doses = {"": best}
    if "flux_sample" in spectra:
        drawn = {"lower": _drawn(spectra["flux_sample"], detected, usable, energy, settings)}
        drawn["upper"] = (
            _drawn(spectra["flux_sample"], weights, usable, energy, settings) if limits.any() else drawn["lower"]
        )
        doses = {
            suffix: np.quantile(drawn["upper" if "upper" in suffix else "lower"], level, axis=0)
            for suffix, level in _QUANTILES.items()
        }
    else:
        for suffix in _BOUNDS:
            if f"flux{suffix}" in spectra:
                counted = weights if "upper" in suffix else detected
                doses[suffix] = _dose(_fluence(spectra[f"flux{suffix}"], counted, usable), energy, *settings)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(best > 0, np.clip(1.0 - within / best, 0.0, 1.0), np.nan)
    return _label(doses, share, fluence, energy, thickness).assign_attrs(
        geometry=geometry,
        nuclear=nuclear,
        detector="silicon",
        highest_energy=highest_energy,
        measured_time=float(weights.sum()),
        n_samples=int(usable.sum()),
        limit_share=float(limits.mean()),
        doubtful_share=float(doubtful.mean()),
        dose_method="SHIELDOSE-2 2.10 (spacepy)",
    )


def _check(depths: Sequence[float], geometry: str, nuclear: str, highest: float, spectra: xr.Dataset) -> Array:
    thickness = np.asarray(list(depths), dtype=np.float64)
    if not len(thickness) or not (np.diff(thickness, prepend=0.0) > 0).all() or not np.isfinite(thickness).all():
        msg = f"depths: found {list(depths)}, expected rising thicknesses above 0 mm; correct them"
        raise DataError(msg)
    if thickness[-1] / thickness[0] > 10 ** ((_MOST - 6) / _PER_DECADE):
        msg = f"depths: found {thickness[0]:g} to {thickness[-1]:g} mm, expected at most four decades; ask in parts"
        raise DataError(msg)
    for name, found, known in (("geometry", geometry, GEOMETRIES), ("nuclear", nuclear, NUCLEAR)):
        if found not in known:
            msg = f"{name}: found {found!r}, expected one of {', '.join(known)}; correct it"
            raise DataError(msg)
    last = float(spectra["energy"].max())
    if not last <= highest <= 1e4:
        msg = (
            f"highest_energy: found {highest:g} MeV, expected {last:g}, where the spectra end, to 10000 MeV; correct it"
        )
        raise DataError(msg)
    if (species := spectra.attrs.get("species", "proton")) != "proton":
        msg = f"species: found {species!r}, expected 'proton': dose is computed of protons only; give their spectra"
        raise DataError(msg)
    return thickness


def _exposures(spectra: xr.Dataset) -> Array:
    if "exposure" in spectra:
        return np.asarray(spectra["exposure"].to_numpy(), dtype=np.float64)
    time = spectra["time"].to_numpy()
    if len(time) < 2:
        msg = f"found {len(time)} sample without `exposure`, expected its length in s; add the variable"
        raise MissingDataError(msg)
    return np.full(len(time), float(np.median(np.diff(time)) / np.timedelta64(1, "s")))


def _fluence(flux: xr.DataArray, weights: Array, usable: npt.NDArray[np.bool_]) -> Array:
    # Omnidirectional, cm-2 MeV-1; dims (energy,) or (sample, energy).
    values = flux.transpose("time", ..., "energy").to_numpy()[usable]
    return np.asarray(4.0 * np.pi * np.tensordot(weights[usable], values, axes=(0, 0)))


def _drawn(
    draws: xr.DataArray, weights: Array, usable: npt.NDArray[np.bool_], energy: Array,
    settings: tuple[Array, int, int, float],
) -> Array:  # fmt: skip
    return np.stack([_dose(one, energy, *settings) for one in _fluence(draws, weights, usable)])


def _dose(
    fluence: Array, energy: Array, depths: Array, column: int, nuclear: int, highest: float, *,
    only_measured: bool = False,
) -> Array:  # fmt: skip
    positive = np.maximum(fluence, 0.0)
    if not positive.any():
        return np.zeros(len(depths))
    index = -np.log(max(fluence[-1], _NOTHING) / max(fluence[-2], _NOTHING)) / np.log(energy[-1] / energy[-2])
    stop = energy[-1] if only_measured or index <= 1.0 or fluence[-1] <= 0 else highest
    grid = np.geomspace(energy[0], stop, _POINTS)
    grid[[0, -1]] = energy[0], stop
    logs = np.log(np.maximum(positive, _NOTHING))
    values = np.exp(np.interp(np.log(grid), np.log(energy), logs))
    beyond = grid > energy[-1]
    values[beyond] = fluence[-1] * (grid[beyond] / energy[-1]) ** -index
    return _run(grid, values, depths, nuclear)[:, column]


def _run(energy: Array, fluence: Array, depths: Array, nuclear: int) -> Array:
    """Run SHIELDOSE-2 on one spectrum: dose in rad by depth and geometry."""
    first = np.floor(_PER_DECADE * np.log10(depths[0])) - 2
    last = np.ceil(_PER_DECADE * np.log10(depths[-1])) + 2
    grid = 10.0 ** (np.arange(first, last + 1) / _PER_DECADE)
    model = _shieldose()
    model.set_shielding(depths=grid, units="mm")
    model.set_flux(fluence, energy, "p_un")
    # spacepy starts with example spectra of trapped protons and electrons: none must stay.
    model.set_flux(np.full_like(energy, _NOTHING), energy, "p_tr")
    electrons = np.geomspace(0.04, 10.0, 30)
    model.set_flux(np.full_like(electrons, _NOTHING), electrons, "e")
    model.get_dose(detector=_SILICON, nucmeth=nuclear)
    found = np.maximum(np.array(model.results["dose_proton_untrapped"], dtype=np.float64), 0.0) * _FACTORS
    columns = []
    for column in found.T:
        held = np.exp(np.interp(np.log(depths), np.log(grid), np.log(np.maximum(column, _NOTHING))))
        columns.append(np.where(held <= 2 * _NOTHING, 0.0, held))
    return np.stack(columns, axis=1)


def _shieldose() -> Any:
    # Imported by name and only here: spacepy is an extra, and its Fortran library does not build everywhere.
    try:
        irbempy = importlib.import_module("spacepy.irbempy")
    except (ImportError, OSError) as error:
        msg = (
            f"dose needs spacepy with its library IRBEM, which cannot be imported here ({error}); install it with "
            "`pip install 'particleflux[dose]'`"
        )
        raise MissingDataError(msg) from error
    return irbempy.Shieldose2()


def _label(doses: dict[str, Array], share: Array, fluence: Array, energy: Array, depths: Array) -> xr.Dataset:
    bounds = {"": "", "_lower": ", 16 % quantile", "_upper": ", 84 % quantile", "_lower95": ", 2.5 % quantile",
              "_upper95": ", 97.5 % quantile"}  # fmt: skip
    data: dict[str, Any] = {}
    for suffix, values in doses.items():
        said = bounds[suffix]
        data[f"dose{suffix}"] = ("depth", values, {"units": "rad", "long_name": f"dose in silicon{said}"})
        gray = {"units": "Gy", "long_name": f"dose in silicon{said}"}
        data[f"dose_gray{suffix}"] = ("depth", values * _RAD_TO_GY, gray)
    data["extrapolated_share"] = (
        "depth", share, {"units": "1", "long_name": "share of the dose from above the last energy of the spectra"}
    )  # fmt: skip
    data["fluence"] = (
        "energy", fluence, {"units": "cm-2 MeV-1", "long_name": "fluence of protons from all sides"}
    )  # fmt: skip
    return xr.Dataset(
        data,
        coords={
            "depth": ("depth", depths, {"units": "mm", "long_name": "thickness of aluminium"}),
            "energy": ("energy", energy, {"units": "MeV", "long_name": "kinetic energy"}),
        },
    )
