"""What a method needs to know of an instrument: the response, its error, and which channels to leave out when."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError
from particleflux.instruments import Instrument
from particleflux.response import Response
from particleflux.unfold.measurement import check_origin
from particleflux.unfold.observation import LEAST_CHANNELS, Observation, observe


@dataclass(frozen=True, eq=False)
class Detector:
    """A head of an instrument, as the classical methods read it.

    Attributes
    ----------
    response : Response
        Of the channels to read, to one species.
    response_error : float
        Relative standard error of the response, each channel its own.
    channel_errors : mapping of str to float
        What single channels have beyond it, in quadrature.
    configurations : tuple of int or None
        Configurations of the instrument that the response holds for; None for any.
    noisy : tuple of str
        Channels to leave out of samples with a SPIKE.
    monitors : tuple of str
        Channels to leave out where the background was read off them.
    instrument : str
        Name; counts of another instrument are refused. Empty for any.
    """

    response: Response
    response_error: float = 0.05
    channel_errors: Mapping[str, float] = field(default_factory=dict)
    configurations: tuple[int, ...] | None = None
    noisy: tuple[str, ...] = ()
    monitors: tuple[str, ...] = ()
    instrument: str = ""

    def __post_init__(self) -> None:
        """Refuse an error that is none."""
        if not 0.0 <= self.response_error <= 1.0:
            msg = f"response_error is {self.response_error:g}, expected a relative error from 0 to 1; correct it"
            raise DataError(msg)

    @classmethod
    def of_instrument(
        cls,
        instrument: Instrument,
        *,
        species: str = "proton",
        channels: Sequence[str] | None = None,
        response_error: float = 0.05,
    ) -> Detector:
        """Take from an instrument what is to be known.

        Parameters
        ----------
        instrument : Instrument
            Its first configuration is used.
        species : {"proton", "electron"}
            The particles.
        channels : sequence of str, optional
            Channels to read; by default those the instrument reads for the species.
        response_error : float
            Relative standard error of the response.

        Returns
        -------
        Detector
            Ready to observe.
        """
        number = instrument.configurations[0].number
        response = instrument.response(species, number)
        return cls(
            response.select(list(channels) if channels is not None else list(instrument.reads[species])),
            response_error,
            instrument.response_errors,
            (number,),
            tuple(item.channel for item in instrument.noisy_channels),
            instrument.monitors,
            instrument.name,
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels that are read, in order."""
        return self.response.channels

    def replace(self, **settings: object) -> Detector:
        """Give the same with other settings.

        Parameters
        ----------
        **settings : object
            Fields of `Detector`; an unknown one raises TypeError.

        Returns
        -------
        Detector
            A new one.
        """
        return dataclasses.replace(self, **settings)  # type: ignore[arg-type]

    def observe(
        self, counts: xr.Dataset, background: xr.Dataset, *, least: int = LEAST_CHANNELS
    ) -> tuple[Observation, npt.NDArray[np.int32]]:
        """Take out of labelled counts and background what a method reads; see `observe`.

        Parameters
        ----------
        counts, background : Dataset
            As `Unfolder.unfold` takes them.
        least : int
            Channels that a sample must have.

        Returns
        -------
        observation : Observation
            Of every sample.
        quality : ndarray of int32, shape (time,)
            Flags of every sample.

        Raises
        ------
        DataError
            If the counts are of another instrument, or known to be of other particles.
        """
        if self.instrument:
            check_origin(counts, self.instrument, self.response.species, "response")
        return observe(
            counts,
            background,
            self.channels,
            configurations=self.configurations,
            response_error=self.response_error,
            channel_errors=self.channel_errors,
            noisy=self.noisy,
            monitors=self.monitors,
            least=least,
        )
