"""A reconstructed spectrum folded back into the rates that it predicts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.names import attributes, require
from particleflux.response import Response

Array = npt.NDArray[np.float64]

# Nodes per decade, between which a spectrum is a line in the logarithms: within half a per cent of a rate.
_PER_DECADE = 32
# Slope of the weights between two nodes; what the spectrum's own slope differs from it is interpolated.
_INDEX = 3.0
#: Steepest and flattest power law with which a spectrum goes on outside its energies. The flattest above the last
#: energy keeps 1 to 10 GeV, where nothing was measured, from deciding what a channel is said to count.
LEAST_INDEX, MOST_INDEX = 2.0, 8.0
# A flux of nought has no logarithm: this part of the sample's largest stands for it.
_FLOOR = 1e-12
# Curves folded in one go: the working array then stays inside a processor's cache.
_CHUNK = 1024


def refold(spectra: xr.Dataset, response: Response, name: str = "flux", *, reach: float = np.inf) -> xr.DataArray:
    """Fold reconstructed spectra through a response: the count rates they predict, without the background.

    Between its energies a spectrum is taken for a power law. Below the first and above the last it goes on as the power
    law through the outermost two, above the last with an index of 2 to 8.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        With the variable `name`, cm-2 s-1 sr-1 MeV-1. Energies without a number are left out.
    response : Response
        Of any channels.
    name : str
        Which curve to fold: `flux`, or one of its bounds.
    reach : float
        Go on outside the energies of the spectrum up to this factor; what lies beyond makes no counts.

    Returns
    -------
    DataArray, dims (time, channel), s-1
        NaN where a sample has fewer than two energies with a number.

    Raises
    ------
    AxisError
        If the variable is absent.
    UnitError
        If its unit is absent or another one.
    """
    require(spectra, name, "energy")
    energy, flux = spectra["energy"].to_numpy().astype(float), spectra[name].transpose("time", "energy").to_numpy()
    rate = fold_curves(energy, flux, response, reach=reach)
    coordinates = {"time": spectra["time"], "channel": list(response.channels)}
    labels = {**attributes("count_rate"), "long_name": "count rate that the spectrum predicts"}
    return xr.DataArray(rate, coordinates, ("time", "channel"), name="count_rate", attrs=labels)


def fold_curves(energy: Array, flux: Array, response: Response, *, reach: float = np.inf) -> Array:
    """Fold curves of one energy axis; see `refold`.

    Parameters
    ----------
    energy : ndarray, shape (energy,), MeV
        Increasing.
    flux : ndarray, shape (n, energy), cm-2 s-1 sr-1 MeV-1
        Curves.
    response : Response
        Of any channels.
    reach : float
        Go on outside the energies up to this factor.

    Returns
    -------
    ndarray, shape (n, channel), s-1
        Count rates.
    """
    nodes, weights = _node_weights(response)
    rate = np.full((len(flux), len(response.channels)), np.nan)
    known = np.isfinite(flux)
    whole = known.all(axis=1)
    # Few patterns of missing energies occur: those of the whole rows first, which are nearly all.
    patterns, pattern = np.unique(known[~whole], axis=0, return_inverse=True)
    groups = [(np.ones(len(energy), bool), np.flatnonzero(whole))]
    groups += [(row, np.flatnonzero(~whole)[pattern.reshape(-1) == number]) for number, row in enumerate(patterns)]
    for is_known, rows in groups:
        if is_known.sum() < 2:
            continue
        grid = energy[is_known]
        used = (nodes >= grid[0] / reach) & (nodes <= grid[-1] * reach)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            curves = flux[np.ix_(part, is_known)]
            floor = np.maximum(_FLOOR * curves.max(axis=1, keepdims=True), np.finfo(float).tiny)
            at_nodes = _evaluate(np.log(grid), np.log(np.maximum(curves, floor)), np.log(nodes[used]))
            rate[part] = at_nodes @ weights[used]
    return rate


def _node_weights(response: Response) -> tuple[Array, Array]:
    """Give nodes and what the flux at each adds to each channel's rate, shape (node, channel)."""
    lower, upper = response.energy_lower[response.is_active], response.energy_upper[response.is_active]
    factor = response.weights[:, response.is_active] / (upper - lower)
    low = max(float(lower[0]), 1e-3 * float(upper[0]))
    decades = np.log10(float(upper[-1]) / low)
    nodes = np.geomspace(low, float(upper[-1]), max(2, int(np.ceil(_PER_DECADE * decades)) + 1))
    # Both grids at once: between two edges of the union the geometric factor is constant and the nodes the same.
    edges = np.unique(np.concatenate([nodes, np.clip(np.append(lower, upper[-1]), low, None)]))
    middle, width = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
    of_bin = np.clip(np.searchsorted(lower, middle, "right") - 1, 0, len(lower) - 1)
    inside = (middle >= lower[of_bin]) & (middle <= upper[of_bin])
    gain = np.where(inside, factor[:, of_bin], 0.0) * width
    left = np.clip(np.searchsorted(nodes, middle, "right") - 1, 0, len(nodes) - 2)
    right_share = np.log(middle / nodes[left]) / np.log(nodes[left + 1] / nodes[left])
    weights = np.zeros((len(nodes), len(factor)))
    for node, share in ((left, 1.0 - right_share), (left + 1, right_share)):
        np.add.at(weights, node, (gain * share * (middle / nodes[node]) ** -_INDEX).T)
    return nodes, weights


def _evaluate(log_energy: Array, log_flux: Array, log_nodes: Array) -> Array:
    """Follow curves, given at a few energies, to the nodes; shape (n, node)."""
    beyond = log_nodes > log_energy[-1]
    inner = log_nodes[~beyond]
    left = np.clip(np.searchsorted(log_energy, inner, "right") - 1, 0, len(log_energy) - 2)
    share = (inner - log_energy[left]) / np.diff(log_energy)[left]
    # Lines are linear in what they pass through: one matrix follows all curves.
    follow = np.zeros((len(log_energy), len(inner)))
    np.add.at(follow, (left, np.arange(len(inner))), 1.0 - share)
    np.add.at(follow, (left + 1, np.arange(len(inner))), share)
    values = np.empty((len(log_flux), len(log_nodes)))
    values[:, ~beyond] = log_flux @ follow
    # Between its energies a spectrum may do anything; beyond them only what particles do.
    index = -(log_flux[:, -1] - log_flux[:, -2]) / (log_energy[-1] - log_energy[-2])
    index = np.clip(index, LEAST_INDEX, MOST_INDEX)
    values[:, beyond] = log_flux[:, -1:] - index[:, None] * (log_nodes[beyond] - log_energy[-1])
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(values))
