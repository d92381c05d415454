"""Simulated cases with known truth for `coverage.py`: what was there, and what a method is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.instruments import Instrument
from particleflux.names import attributes
from particleflux.simulate import FAMILIES, HELD_OUT_FAMILIES, Mixture, MixtureDraw, Population, Range
from particleflux.unfold.observation import Observation

Array = npt.NDArray[np.float64]

#: MeV.
ENERGIES = (5.0, 10.0, 20.0, 50.0, 100.0)
THRESHOLDS = (10.0, 30.0, 60.0)
#: Thresholds whose truth is kept: one more, which no method gives of itself and only joint draws can tell.
TRUE_THRESHOLDS = (10.0, 30.0, 40.0, 60.0)
REFERENCE = "PDH1"
#: Of all random numbers; no training used it.
SEED = 4_040_404
#: Every set of cases has a random stream of its own.
STREAMS = {
    name: index
    for index, name in enumerate(
        ["mixture", *FAMILIES, *HELD_OUT_FAMILIES, "common background error", "1 min", "15 min", "1 h", "1 day",
         "methods", "missing", "replicas"]
    )
}  # fmt: skip


@dataclass(frozen=True)
class Cases:
    """n cases.

    Attributes
    ----------
    observation : Observation
        What a method is told.
    log_flux, log_integral : ndarray, shape (n, energy) and (n, threshold)
        Natural logarithms of the truth, at `ENERGIES` and above `TRUE_THRESHOLDS`.
    strength : ndarray, shape (n,)
        Expected signal over the quiet background in PDH1.
    signal : ndarray, shape (n, channel)
        Expected signal counts as the response has them.
    """

    observation: Observation
    log_flux: Array
    log_integral: Array
    strength: Array
    signal: Array

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Cases:
        """Give some of the cases."""
        values = (self.log_flux, self.log_integral, self.strength, self.signal)
        return Cases(self.observation[rows], *(item[rows] for item in values))

    @property
    def targets(self) -> Array:
        """Truth at `ENERGIES` and above `THRESHOLDS`, shape (n, target)."""
        above = [TRUE_THRESHOLDS.index(level) for level in THRESHOLDS]
        return np.concatenate([self.log_flux, self.log_integral[:, above]], axis=1)

    def with_counts(self, counts: Array) -> Cases:
        """Give the same cases with other counts."""
        return replace(self, observation=replace(self.observation, counts=counts))

    def without(self, is_left_out: npt.NDArray[np.bool_]) -> Cases:
        """Give the same cases with channels left out, bool of shape (channel,) or (n, channel)."""
        whole, is_read = self.observation, self.observation.is_read & ~is_left_out
        counts, background, error, common = (
            np.where(is_read, values, 0.0)
            for values in (whole.counts, whole.background, whole.background_error, whole.background_common)
        )
        return replace(
            self,
            observation=replace(
                whole, counts=counts, background=background, background_error=error, background_common=common,
                is_read=is_read,
            ),
        )  # fmt: skip


def mixture(instrument: Instrument, families: Sequence[str] = FAMILIES, **settings: Range) -> Mixture:
    """Give the prior that `npe` was trained on, or one like it of other forms or errors."""
    response = instrument.response("proton", instrument.configurations[0].number)
    population = Population(response.select(list(instrument.reads["proton"])), REFERENCE, families=tuple(families))
    return Mixture((population,), instrument.quiet_rate, **settings)  # type: ignore[arg-type]


def draw(source: Mixture, n: int, stream: str) -> Cases:
    """Draw n cases, all channels read."""
    rng = np.random.default_rng([SEED, STREAMS[stream]])
    return _told(source.draw(n, rng, energies=[ENERGIES], thresholds=[TRUE_THRESHOLDS]))


def draw_equal_errors(source: Mixture, n: int, response_error: float, stream: str) -> Cases:
    """Draw n cases whose response is known equally well in all channels, as methods with one such setting assume."""
    fixed = replace(source, response_error=Range(response_error, response_error))
    # The mixture makes a few channels worse than the others, whatever they count: cases with one are passed over.
    drawn = draw(fixed, 3 * n + 100, stream)
    equal = np.flatnonzero((drawn.observation.response_error == response_error).all(axis=1))
    return drawn[equal[:n]]


def draw_common_background(source: Mixture, n: int, response_error: float, stream: str) -> Cases:
    """Draw n cases in which all channels share the whole error of the background; the counts are made here."""
    exact = replace(source, response_error=Range(0.0, 0.0), background_error=Range(0.0, 0.0))
    drawn = draw(exact, n, stream)
    rng = np.random.default_rng([SEED, STREAMS[stream], 1])
    shape = drawn.signal.shape
    error = np.broadcast_to(source.background_error.draw(rng, n)[:, None], shape)
    level = 1.0 + error * rng.standard_normal((n, 1))
    gain = 1.0 + response_error * rng.standard_normal(shape)
    mean = drawn.signal * gain + drawn.observation.background * np.maximum(level, 0.05)
    error = np.where(drawn.observation.background > 0, error, 0.0)
    observation = replace(
        drawn.observation, counts=rng.poisson(np.minimum(mean, 1e15)).astype(float), background_error=error,
        background_common=error, response_error=np.full(shape, response_error),
    )  # fmt: skip
    return replace(drawn, observation=observation)


def one_channel_each(cases: Cases) -> npt.NDArray[np.bool_]:
    """Choose one channel of each case at random, shape (n, channel)."""
    n, n_channels = cases.signal.shape
    chosen = np.random.default_rng([SEED, STREAMS["missing"]]).integers(n_channels, size=(n, 1))
    return np.asarray(np.arange(n_channels) == chosen)


def labelled(cases: Cases, channels: Sequence[str]) -> tuple[xr.Dataset, xr.Dataset]:
    """Give counts and background of cases as methods take them; the response error is for the method's setting."""
    told = cases.observation
    time = np.datetime64("2024-01-01", "ns") + np.arange(len(told)) * np.timedelta64(1, "D")
    coordinates = {"time": time, "channel": list(channels)}
    counts = xr.Dataset(
        {
            "counts": (("time", "channel"), told.counts, attributes("counts")),
            "exposure": ("time", told.exposure, attributes("exposure")),
            "quality": ("time", np.zeros(len(told), dtype=np.int32), attributes("quality")),
        },
        coords=coordinates,
    )
    rate = told.background / told.exposure[:, None]
    rates = {
        "background_rate": rate,
        "background_rate_std": rate * told.background_error,
        "background_rate_common_std": rate * told.background_common,
    }
    background = xr.Dataset(
        {name: (("time", "channel"), values, attributes(name)) for name, values in rates.items()}, coords=coordinates
    )
    return counts, background


def _told(drawn: MixtureDraw) -> Cases:
    # Of no background there is no error.
    error, common = (
        np.where(drawn.background > 0, values, 0.0) for values in (drawn.background_error, drawn.background_common)
    )
    is_read = np.ones(drawn.counts.shape, dtype=bool)
    observation = Observation(
        drawn.counts, drawn.background, error, common, np.array(drawn.response_error), is_read, drawn.exposure
    )
    return Cases(
        observation, drawn.log_flux[0], drawn.log_integral[0], np.exp(drawn.log_signal[:, 0]), drawn.signal.sum(axis=1)
    )
