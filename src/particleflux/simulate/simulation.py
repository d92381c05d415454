"""Counts as an instrument would show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.instruments import Instrument
from particleflux.response import Response
from particleflux.simulate.draw import Draw, label_draw, make_form
from particleflux.simulate.ranges import BACKGROUND_LEVEL, EXPOSURE, NONE, PARAMETERS, SIGNAL_COUNTS, Range
from particleflux.simulate.table import RateTable
from particleflux.spectra import FORMS

Array = npt.NDArray[np.float64]

# Half of the variance of the background is common to the channels (the level), half is each channel's own.
COMMON_FRACTION = 0.5
# Relative errors of single channels scatter about the stated one by this factor (natural logarithm).
_ERROR_SPREAD = 0.3


@dataclass(frozen=True)
class Simulation:
    r"""Counts as an instrument would show them for spectra of one form.

    .. math:: n_i \sim \mathrm{Poisson}\big(S_i e^{\sigma_i z_i} + B_i e^{\epsilon_i (\sqrt{c} y + \sqrt{1-c} y_i)}\big)

    with the folded signal S, the background B as the method will be told it, the relative errors sigma of the response
    and epsilon of the background, standard normal numbers z_i (each channel its own), y (common: the level of the
    galactic cosmic rays) and y_i, and c = 0.5. The intensity of a spectrum follows from the counts that its signal
    gives in the reference channel, so that every significance occurs equally often.

    Attributes
    ----------
    response : Response
        Of the channels to simulate.
    background_rate : mapping of str to float, s-1
        Quiet background of every channel; 0 for none.
    reference_channel : str
        The channel that `signal_counts` is for.
    family : str
        A key of `particleflux.spectra.FORMS`.
    parameters : mapping of str to Range
        Of the form, without its intensity; by default those of `PARAMETERS`.
    signal_counts : Range
        Expected signal counts in the reference channel.
    exposure : Range
        s.
    background_level : Range
        Modulation of the background, common to the channels and known to the method; 0 is no background.
    background_scatter : float
        Standard deviation of the logarithm of each channel's own departure from it, known as well: other quiet levels.
    background_error : Range
        Relative error of the background that the method is told.
    response_error : Range
        Relative error of the response per channel.
    use_rate_table : bool
        Fold through a spline of the rates over index and rollover energy (rolling power law only): exact to 1e-5
        and a hundred times faster, for training sets of millions.
    instrument : str
        Name of the instrument that shows these counts; empty for a response of no known instrument.
    """

    response: Response
    background_rate: Mapping[str, float]
    reference_channel: str
    family: str = "rolling-power-law"
    parameters: Mapping[str, Range] = field(default_factory=dict)
    signal_counts: Range = SIGNAL_COUNTS
    exposure: Range = EXPOSURE
    background_level: Range = BACKGROUND_LEVEL
    background_scatter: float = 0.0
    background_error: Range = NONE
    response_error: Range = NONE
    use_rate_table: bool = False
    instrument: str = ""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be simulated."""
        if self.family not in FORMS:
            msg = f"unknown spectral form {self.family!r}: expected one of {sorted(FORMS)}"
            raise DataError(msg)
        known = set(PARAMETERS[self.family])
        if self.parameters and set(self.parameters) != known:
            msg = f"parameters {sorted(self.parameters)} given for the form {self.family!r}: expected {sorted(known)}"
            raise DataError(msg)
        missing = [name for name in (*self.channels, self.reference_channel) if name not in self.background_rate]
        if missing or self.reference_channel not in self.channels:
            msg = (
                f"channels {list(self.channels)} with the reference channel {self.reference_channel!r} and background "
                f"rates of {sorted(self.background_rate)}: give the reference among the channels, and every rate"
            )
            raise AxisError(msg)
        if self.use_rate_table and self.family != "rolling-power-law":
            msg = f"use_rate_table knows the form 'rolling-power-law' only, not {self.family!r}; leave it out"
            raise DataError(msg)
        if not np.isfinite(self.background_scatter) or self.background_scatter < 0:
            msg = f"background_scatter is {self.background_scatter:g}: expected a standard deviation, 0 or above"
            raise DataError(msg)

    @classmethod
    def of_instrument(
        cls,
        instrument: Instrument,
        *,
        channels: tuple[str, ...] | None = None,
        species: str = "proton",
        **settings: object,
    ) -> Simulation:
        """Simulate an instrument over its own quiet background.

        Parameters
        ----------
        instrument : Instrument
            Its first configuration is used.
        channels : tuple of str, optional
            Which; all that have a response by default.
        species : {"proton", "electron"}
            The particles of the signal.
        **settings : object
            Fields of `Simulation`; an unknown one raises TypeError.

        Returns
        -------
        Simulation
            Ready to draw.
        """
        response = instrument.response(species, instrument.configurations[0].number)
        response = response.select(channels) if channels else response
        rates = {name: instrument.quiet_rate[name] for name in response.channels}
        settings.setdefault("reference_channel", instrument.ensemble.bins[0][0])
        settings.setdefault("instrument", instrument.name)
        return cls(response, rates, **settings)  # type: ignore[arg-type]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the simulated channels."""
        return self.response.channels

    @property
    def shape_parameters(self) -> Mapping[str, Range]:
        """Ranges of the form's parameters, without the intensity."""
        return self.parameters or PARAMETERS[self.family]

    @cached_property
    def _table(self) -> RateTable:
        shape = self.shape_parameters
        return RateTable(self.response, shape["spectral_index"], shape["rollover_energy"])

    def draw(self, n: int, rng: np.random.Generator) -> Draw:
        """Draw bare numbers, for code that makes millions; `sample` gives them labelled.

        Parameters
        ----------
        n : int
            Samples.
        rng : Generator
            Source of all randomness.

        Returns
        -------
        Draw
            Arrays of n samples.
        """
        shape = {name: value.draw(rng, n) for name, value in self.shape_parameters.items()}
        if self.use_rate_table:
            rate = np.exp(self._table.log_rate(shape["spectral_index"], shape["rollover_energy"]))
        else:
            rate = self.response.fold_form(make_form(self.family, np.ones(n), shape)).to_numpy()
        exposure = self.exposure.draw(rng, n)
        expected = self.signal_counts.draw(rng, n)
        reference = rate[:, self.channels.index(self.reference_channel)]
        if not (reference > 0).all():
            msg = (
                f"a spectrum of the form {self.family!r} gives no counts at all in {self.reference_channel}; "
                "narrow its parameters or choose another reference channel"
            )
            raise DataError(msg)
        signal = rate * (expected / reference)[:, None]

        quiet = np.array([self.background_rate[name] for name in self.channels])
        level = self.background_level.draw(rng, n)
        own = np.exp(self.background_scatter * rng.standard_normal(signal.shape))
        background = exposure[:, None] * quiet * level[:, None] * own

        response_error = self.response_error.draw(rng, n)
        common_error = self.background_error.draw(rng, n)
        background_error = common_error[:, None] * np.exp(_ERROR_SPREAD * rng.standard_normal(signal.shape))
        drift = np.sqrt(COMMON_FRACTION) * rng.standard_normal((n, 1))
        drift = drift + np.sqrt(1 - COMMON_FRACTION) * rng.standard_normal(signal.shape)
        mean = signal * np.exp(response_error[:, None] * rng.standard_normal(signal.shape))
        mean = mean + background * np.exp(background_error * drift)
        # A Poisson generator counts in 64-bit integers; beyond 1e15 its noise is nothing to the numbers' own rounding.
        counts = rng.poisson(np.minimum(mean, 1e15)).astype(float)
        return Draw(
            self.family,
            shape,
            expected / reference / exposure,
            exposure,
            signal,
            background,
            background_error,
            response_error,
            counts,
        )

    def sample(self, n: int, *, seed: int, first: int = 0) -> xr.Dataset:
        """Simulate labelled counts with their truth.

        Parameters
        ----------
        n : int
            Samples; each is independent of the others.
        seed : int
            The same seed, `first` and n give the same samples.
        first : int
            Number of the first sample; also moves the random stream on.

        Returns
        -------
        Dataset, dims (time, channel, energy)
            `counts`, `exposure`, `quality`, `background_rate`, `background_rate_std`; the truth: `flux_true` and the
            form's parameters with the suffix `_true`; `response_error`. The times are labels, not an observation.
        """
        if n < 1:
            msg = f"{n} samples asked for: expected at least 1"
            raise DataError(msg)
        drawn = self.draw(n, np.random.default_rng([seed, first]))
        sample = label_draw(drawn, self.channels, seed=seed, first=first).assign_attrs(species=self.response.species)
        return sample.assign_attrs(instrument=self.instrument) if self.instrument else sample

    def stream(self, n: int, *, seed: int, chunk: int = 10_000) -> Iterator[xr.Dataset]:
        """Simulate in pieces, so that any number of samples fits in memory.

        Parameters
        ----------
        n : int
            Samples in all.
        seed : int
            The same seed and chunk give the same samples, however many are asked for.
        chunk : int
            Samples a piece; the last piece is cut.

        Yields
        ------
        Dataset
            As `sample` gives it.

        Raises
        ------
        DataError
            If no samples are asked for.
        """
        if n < 1 or chunk < 1:
            msg = f"{n} samples in pieces of {chunk} asked for: expected at least 1 of each"
            raise DataError(msg)
        for first in range(0, n, chunk):
            # A whole piece is drawn even if few are wanted: the generator's numbers depend on how many it gives.
            yield self.sample(chunk, seed=seed, first=first).isel(time=slice(0, n - first))
