"""Count rates, fluxes and integrals of very many spectra at once, for methods that try out spectra by the million."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from particleflux.errors import DataError
from particleflux.response import Response
from particleflux.simulate.ranges import MIXTURE_PARAMETERS, Range
from particleflux.spectra import FORMS

Array = npt.NDArray[np.float64]

# Spacing in ln E of the energies at which spectra are evaluated: it keeps every form of MIXTURE_PARAMETERS within 3e-4
# of the exact folding through RADEM's 413 bins, with 110 evaluations.
_SPACING = 0.07
# Interpolated is f E^p: with p in the middle of the slopes that occur, the steepest and the flattest are alike far off.
_POWER = 3.5
_GAUSS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(5)
# Integrals end here, as a power law of the slope found there.
_LAST_ENERGY = 2e4
# Rows worked on at a time: the array of their fluxes stays in the processor's cache.
_ROWS = 256
# Below this a flux counts as none: its logarithm stays finite.
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Forward:
    r"""The forward model of all spectral forms on unit cubes of their parameters, for intensity 1 at 1 MeV.

    A unit coordinate u is the share of a parameter's range that lies below it, the range taken in the logarithm where
    `Range.log` says so: uniform u are the prior that `particleflux.simulate.Mixture` draws from. Every result is a
    natural logarithm, to which that of the intensity is added.

    The folding of `Response.fold_form` is kept, but for speed with f(E) E^p between nodes in ln E by cubic polynomials
    :math:`L_k`, so that all of it is a product with weights known beforehand,

    .. math:: C_i = \sum_j G_{ij} \int_j f \, dE \approx \sum_k f(E_k) E_k^p \sum_j G_{ij} \int_j L_k(E) E^{-p} \, dE

    Attributes
    ----------
    response : Response
        Of the channels.
    parameters : mapping of str to mapping of str to Range
        Ranges of the parameters of each form, in the order of the unit coordinates.
    """

    response: Response
    parameters: Mapping[str, Mapping[str, Range]] = field(default_factory=lambda: MIXTURE_PARAMETERS)

    def n_parameters(self, family: str) -> int:
        """Count the parameters of a form, without its intensity.

        Parameters
        ----------
        family : str
            Name of the form, as in `spectra.FORMS`.

        Returns
        -------
        int
            Length of a row of unit coordinates.

        Raises
        ------
        DataError
            If no ranges are known of the form.
        """
        return len(self._ranges(family))

    def to_parameters(self, family: str, unit: Array) -> dict[str, Array]:
        """Turn unit coordinates into parameters.

        Parameters
        ----------
        family : str
            Name of the form.
        unit : ndarray, shape (m, parameter)
            Unit coordinates; beyond 0 and 1 the range is continued.

        Returns
        -------
        dict of ndarray, shape (m,)
            Parameters by name, in their units.

        Raises
        ------
        DataError
            If no ranges are known of the form, or the rows do not fit its parameters.
        """
        ranges = self._ranges(family)
        if unit.ndim != 2 or unit.shape[1] != len(ranges):
            msg = f"{family}: unit coordinates of shape {unit.shape}, expected (m, {len(ranges)}): {list(ranges)}"
            raise DataError(msg)
        result = {}
        for (name, value), column in zip(ranges.items(), unit.T, strict=True):
            if value.log:
                result[name] = value.low * np.exp(column * np.log(value.high / value.low))
            else:
                result[name] = value.low + column * (value.high - value.low)
        return result

    def log_rate(self, family: str, unit: Array) -> Array:
        """Fold spectra.

        Parameters
        ----------
        family : str
            Name of the form.
        unit : ndarray, shape (m, parameter)
            Unit coordinates.

        Returns
        -------
        ndarray, shape (m, channel)
            Logarithm of the count rates in s-1.
        """
        nodes, weights = self._folding
        return self._log_of(family, unit, nodes, weights)

    def log_flux(self, family: str, unit: Array, energies: Sequence[float] | Array) -> Array:
        """Evaluate spectra.

        Parameters
        ----------
        family : str
            Name of the form.
        unit : ndarray, shape (m, parameter)
            Unit coordinates.
        energies : sequence of float, MeV
            Where the flux is wanted.

        Returns
        -------
        ndarray, shape (m, energy)
            Logarithm of the flux in cm-2 s-1 sr-1 MeV-1.
        """
        return self._log_of(family, unit, np.asarray(energies, dtype=float), None)

    def log_integral(self, family: str, unit: Array, thresholds: Sequence[float] | Array) -> Array:
        """Integrate spectra above thresholds, within 1e-3 of the exact integrals.

        Parameters
        ----------
        family : str
            Name of the form.
        unit : ndarray, shape (m, parameter)
            Unit coordinates.
        thresholds : sequence of float, MeV
            Energies to integrate from; none gives no column.

        Returns
        -------
        ndarray, shape (m, threshold)
            Logarithm of the integral flux in cm-2 s-1 sr-1.
        """
        if not len(thresholds):
            return np.empty((len(unit), 0))
        nodes, weights = _integration(np.asarray(thresholds, dtype=float))
        return self._log_of(family, unit, nodes, weights, tail=True)

    @cached_property
    def _folding(self) -> tuple[Array, Array]:
        """Energies at which to evaluate the flux, and what each adds to each channel, shape (node, channel)."""
        active = self.response.is_active
        lower, upper = self.response.energy_lower[active], self.response.energy_upper[active]
        factor = self.response.weights[:, active] / (upper - lower)
        # A first bin that starts at 0 has no logarithm: the lowest thousandth of it is left out.
        start, stop = np.log(np.maximum(lower, 1e-3 * upper)), np.log(upper)
        n_nodes = max(4, int(np.ceil((stop.max() - start.min()) / _SPACING)) + 1)
        nodes = np.linspace(start.min(), stop.max(), n_nodes)
        half, middle = 0.5 * (stop - start), 0.5 * (stop + start)
        points = middle[:, None] + half[:, None] * _GAUSS
        share = half[:, None] * _GAUSS_WEIGHTS * np.exp((1.0 - _POWER) * points)
        weights = np.zeros((n_nodes, len(factor)))
        first = np.clip(np.searchsorted(nodes, points) - 2, 0, n_nodes - 4)
        for k in range(4):
            value = share.copy()
            for other in set(range(4)) - {k}:
                value *= (points - nodes[first + other]) / (nodes[first + k] - nodes[first + other])
            for gauss in range(len(_GAUSS)):
                np.add.at(weights, first[:, gauss] + k, (value[:, gauss] * factor).T)
        return np.exp(nodes), weights * np.exp(_POWER * nodes)[:, None]

    def _ranges(self, family: str) -> Mapping[str, Range]:
        if family not in self.parameters or family not in FORMS:
            msg = f"no ranges for the spectral form {family!r}: expected one of {sorted(self.parameters)}"
            raise DataError(msg)
        return self.parameters[family]

    def _log_of(self, family: str, unit: Array, energies: Array, weights: Array | None, *, tail: bool = False) -> Array:
        """Evaluate the flux at energies, block by block, and sum it up with weights; the result's logarithm."""
        result = np.empty((len(unit), len(energies) if weights is None else weights.shape[1]))
        parameters = self.to_parameters(family, unit)
        for rows in _blocks(len(unit)):
            flux = _flux(family, {name: value[rows, None] for name, value in parameters.items()}, energies)
            values = flux if weights is None else flux @ weights
            if tail:
                last, end = np.maximum(flux[:, -2:], _TINY).T
                slope = np.log(last / end) / np.log(energies[-1] / energies[-2])
                values = values + (end * energies[-1] / np.maximum(slope - 1.0, 1e-3))[:, None]
            np.log(np.maximum(values, _TINY), out=result[rows])
        return result


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, n, _ROWS))


def _flux(family: str, parameters: Mapping[str, Array], energies: Array) -> Array:
    """Evaluate a form of intensity 1; parameters of shape (m, 1)."""
    if family != "double-power-law":
        return FORMS[family](intensity=1.0, **parameters).flux(energies)  # type: ignore[call-arg]
    # The same law as `spectra.DoublePowerLaw`, three times as fast: that form guards against powers that overflow,
    # which neither the ranges nor the energies come near here.
    low, sharpness = parameters["spectral_index_low"], parameters["smoothness"]
    bend = (low - parameters["spectral_index_high"]) / sharpness
    log_energy = np.log(energies)
    bent = parameters["break_energy"] ** sharpness
    rise = np.log((np.exp(sharpness * log_energy) + bent) / (1.0 + bent))
    return np.asarray(np.exp(bend * rise - low * log_energy))


def _integration(thresholds: Array) -> tuple[Array, Array]:
    """Give energies and weights, shape (node, threshold), of integrals above thresholds; the last two for the tail."""
    # Panels that widen from each threshold on: the flux of a spectrum that has rolled over falls right there.
    starts = np.unique(thresholds)
    edges = [float(_LAST_ENERGY)]
    for start, stop in zip(starts, [*starts[1:], _LAST_ENERGY], strict=True):
        steps = np.cumsum(np.minimum(0.15 * 1.6 ** np.arange(60), 1.0))
        inside = start * np.exp(np.r_[0.0, steps])
        edges.extend(inside[inside < stop * (1 - 1e-9)])
    edge = np.log(np.sort(edges))
    half = 0.5 * np.diff(edge)
    points = 0.5 * (edge[1:] + edge[:-1])[:, None] + half[:, None] * _GAUSS
    nodes = np.exp(points)
    weights = (half[:, None] * _GAUSS_WEIGHTS * nodes)[..., None] * (nodes[..., None] > thresholds * (1 - 1e-12))
    ends = np.array([_LAST_ENERGY / 1.05, _LAST_ENERGY])
    flat = weights.reshape(-1, len(thresholds))
    return np.r_[nodes.ravel(), ends], np.r_[flat, np.zeros((2, len(thresholds)))]
