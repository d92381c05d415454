"""A response and its forward model."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError
from particleflux.names import VARIABLES, attributes
from particleflux.response.checks import check_flux, check_response, energy_coordinates
from particleflux.spectra import SpectralForm

# Spectra folded in one go: the working array of some 400 bins then stays inside a processor's cache.
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Response:
    r"""What each channel of an instrument counts of one species.

    .. math:: C_i = \sum_j G_{ij} \, f_j \, \Delta E_j

    with the geometric factor :math:`G_{ij}` of channel i, averaged over energy bin j, the mean differential flux
    :math:`f_j` in that bin and its width :math:`\Delta E_j`. `Response.from_arrays` makes one from plain arrays.

    Attributes
    ----------
    geometric_factor : DataArray, dims (channel, energy), cm2 sr
        With the coordinates channel, energy, energy_lower and energy_upper (MeV). The bins are contiguous.
    species : {"proton", "electron"}
        The particles it holds for.

    References
    ----------
    Sullivan (1971), Geometric factor and directional response of single and multi-element particle telescopes, Nucl.
    Instrum. Methods 95, 5, doi:10.1016/0029-554X(71)90033-4.
    """

    geometric_factor: xr.DataArray
    species: str = "proton"

    def __post_init__(self) -> None:
        check_response(self.geometric_factor, self.species)

    @classmethod
    def from_arrays(
        cls,
        channels: Sequence[str],
        edges: npt.ArrayLike,
        geometric_factor: npt.ArrayLike,
        *,
        species: str = "proton",
        energy: npt.ArrayLike | None = None,
    ) -> Response:
        """Make a response from plain arrays.

        Parameters
        ----------
        channels : sequence of str
            Names of the n channels.
        edges : array_like, shape (m + 1,), MeV
            Edges of the m contiguous energy bins, increasing, from 0 or above.
        geometric_factor : array_like, shape (n, m), cm2 sr
            Mean geometric factor of each channel in each bin.
        species : {"proton", "electron"}
            The particles it holds for.
        energy : array_like, shape (m,), MeV, optional
            Names the bins; by default their geometric middle, or the arithmetic one of a bin that starts at 0.

        Returns
        -------
        Response
            The response, checked.

        Raises
        ------
        AxisError
            If shapes disagree, edges do not increase or a channel occurs twice.
        DataError
            If a geometric factor is negative or not finite.

        Examples
        --------
        >>> Response.from_arrays(["A"], [1.0, 4.0, 9.0], [[0.5, 1.0]]).energy.values
        array([2., 6.])
        """
        edge = np.asarray(edges, dtype=float)
        lower, upper = edge[:-1], edge[1:]
        if energy is None:
            energy = np.where(lower > 0, np.sqrt(np.abs(lower * upper)), 0.5 * (lower + upper))
        values = np.asarray(geometric_factor, dtype=float)
        if values.shape != (len(channels), len(lower)):
            msg = (
                f"geometric_factor has shape {values.shape}, expected {(len(channels), len(lower))} "
                "(channels, energy bins); give one row per channel and one edge more than bins"
            )
            raise AxisError(msg)
        array = xr.DataArray(
            values,
            dims=("channel", "energy"),
            coords={"channel": list(channels), **energy_coordinates(np.asarray(energy, dtype=float), lower, upper)},
            name="geometric_factor",
            attrs=attributes("geometric_factor"),
        )
        return cls(array, species)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names, in order.

        Returns
        -------
        tuple of str
            The names.
        """
        return tuple(map(str, self.geometric_factor["channel"].values))

    @property
    def energy(self) -> xr.DataArray:
        """Energy axis, with the coordinates energy_lower and energy_upper.

        Returns
        -------
        DataArray, dims (energy), MeV
            The energies that name the bins.
        """
        return self.geometric_factor["energy"]

    @cached_property
    def energy_lower(self) -> npt.NDArray[np.float64]:
        """Lower edges of the energy bins.

        Returns
        -------
        ndarray, shape (energy,), MeV
            The edges.
        """
        return np.asarray(self.geometric_factor["energy_lower"].values, dtype=float)

    @cached_property
    def energy_upper(self) -> npt.NDArray[np.float64]:
        """Upper edges of the energy bins.

        Returns
        -------
        ndarray, shape (energy,), MeV
            The edges.
        """
        return np.asarray(self.geometric_factor["energy_upper"].values, dtype=float)

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """Geometric factor times bin width: mean flux @ weights.T is a count rate.

        Returns
        -------
        ndarray, shape (channel, energy), cm2 sr MeV
            The products.
        """
        factor = self.geometric_factor.transpose("channel", "energy").values
        return np.asarray(factor * (self.energy_upper - self.energy_lower), dtype=float)

    @cached_property
    def is_active(self) -> npt.NDArray[np.bool_]:
        """Whether any channel responds in each energy bin.

        Returns
        -------
        ndarray of bool, shape (energy,)
            True where a geometric factor is above 0.
        """
        return np.asarray((self.weights > 0).any(axis=0))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of species, channels, edges and geometric factors: equal digests are equal responses.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        sha = hashlib.sha256("\n".join((self.species, *self.channels)).encode())
        factor = self.geometric_factor.transpose("channel", "energy").values
        for values in (self.energy_lower, self.energy_upper, factor):
            # Little-endian doubles in C order, the same bytes on every machine.
            sha.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
        return sha.hexdigest()

    def fold(self, flux: xr.DataArray) -> xr.DataArray:
        r"""Fold a spectrum through the response: the count rate each channel would show.

        .. math:: C_i = \sum_j G_{ij} \, f_j \, \Delta E_j

        Parameters
        ----------
        flux : DataArray, dims (..., energy), cm-2 s-1 sr-1 MeV-1
            Mean differential flux in each energy bin, with the coordinates energy_lower and energy_upper. NaN
            propagates, except in bins where no channel responds.

        Returns
        -------
        DataArray, dims (..., channel), s-1
            Count rates.

        Raises
        ------
        AxisError
            If the energy bins are not those of the response.
        UnitError
            If the flux carries no unit or another one.

        Examples
        --------
        >>> response = Response.from_arrays(["A"], [1.0, 2.0, 4.0], [[0.5, 1.0]])
        >>> response.fold(response.label([10.0, 3.0])).values  # 0.5 * 10 * 1 + 1.0 * 3 * 2
        array([11.])
        """
        check_flux(flux, self.geometric_factor)
        ordered = flux.transpose(..., "energy")
        rate = np.asarray(ordered.values, dtype=float)[..., self.is_active] @ self.weights[:, self.is_active].T
        dims = (*ordered.dims[:-1], "channel")
        kept = {name: value for name, value in ordered.coords.items() if "energy" not in value.dims}
        return self._label_rate(rate, dims).assign_coords(kept)

    def fold_form(self, form: SpectralForm) -> xr.DataArray:
        """Fold one spectrum or thousands of a spectral form.

        Parameters
        ----------
        form : SpectralForm
            With parameters that are numbers, or arrays of shape (n, 1) for n spectra.

        Returns
        -------
        DataArray, dims (channel) or (sample, channel), s-1
            Count rates, equal to folding the mean flux in each bin.

        Raises
        ------
        AxisError
            If a parameter is an array of another shape.

        Examples
        --------
        >>> from particleflux.spectra import PowerLaw
        >>> response = Response.from_arrays(["A"], [1.0, 2.0, 4.0], [[1.0, 1.0]])
        >>> response.fold_form(PowerLaw(intensity=8.0, spectral_index=2.0)).values.round(12)
        array([6.])
        """
        lower, upper = self.energy_lower[self.is_active], self.energy_upper[self.is_active]
        weights = self.weights[:, self.is_active].T
        fields = {field.name: np.asarray(getattr(form, field.name), float) for field in dataclasses.fields(form)}
        arrays = {name: value for name, value in fields.items() if value.ndim}
        n_samples = {value.shape[0] for value in arrays.values()} - {1} or {1}
        if len(n_samples) > 1 or any(value.ndim != 2 or value.shape[1] != 1 for value in arrays.values()):
            shapes = {name: value.shape for name, value in arrays.items()}
            msg = (
                f"parameters have shapes {shapes}, expected numbers or one common shape (n, 1); use parameter[:, None]"
            )
            raise AxisError(msg)
        if not arrays:
            return self._label_rate(form.bin_mean(lower, upper) @ weights, ("channel",))
        total = n_samples.pop()
        rate = np.empty((total, len(self.channels)))
        for start in range(0, total, _CHUNK):
            part = {name: value[start : start + _CHUNK] for name, value in arrays.items() if value.shape[0] > 1}
            rate[start : start + _CHUNK] = dataclasses.replace(form, **part).bin_mean(lower, upper) @ weights
        return self._label_rate(rate, ("sample", "channel"))

    def label(self, flux: npt.ArrayLike, dims: Sequence[str] = ()) -> xr.DataArray:
        """Label bare numbers as flux in the energy bins of this response, ready for `fold`.

        Parameters
        ----------
        flux : array_like, shape (..., energy), cm-2 s-1 sr-1 MeV-1
            Mean differential flux in each energy bin.
        dims : sequence of str
            Names of the dimensions before energy.

        Returns
        -------
        DataArray, dims (..., energy), cm-2 s-1 sr-1 MeV-1
            The same numbers with the energy axis and the unit.
        """
        return xr.DataArray(
            np.asarray(flux, dtype=float),
            dims=(*dims, "energy"),
            coords=energy_coordinates(np.asarray(self.energy.values), self.energy_lower, self.energy_upper),
            name="flux",
            attrs={"units": VARIABLES["flux"].units, "long_name": "mean differential flux in each energy bin"},
        )

    def select(self, channels: Sequence[str]) -> Response:
        """Keep some channels, in the order asked for.

        Parameters
        ----------
        channels : sequence of str
            Names of channels.

        Returns
        -------
        Response
            The response of these channels.

        Raises
        ------
        AxisError
            If a channel is unknown.
        """
        unknown = [name for name in channels if name not in self.channels]
        if unknown:
            msg = f"unknown channels {unknown}: the response knows {list(self.channels)}; name channels among these"
            raise AxisError(msg)
        return Response(self.geometric_factor.sel(channel=list(channels)), self.species)

    def _label_rate(self, rate: npt.NDArray[np.float64], dims: tuple[Hashable, ...]) -> xr.DataArray:
        coordinates = {"channel": list(self.channels)}
        return xr.DataArray(rate, dims=dims, coords=coordinates, name="count_rate", attrs=attributes("count_rate"))
