"""Training samples of the forecast: windows with what came after them, and what is hidden from a window by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from particleflux.forecast.distribution import LEADS
from particleflux.forecast.inputs import InputSpec, read_inputs
from particleflux.forecast.issue import log_fluence, take_days
from particleflux.train.forecast.network import Batch
from particleflux.train.forecast.settings import ForecastSettings

#: Variables that fail together, by the first part of their name.
OUTAGES = (
    ("fluence", "electron_flux"),
    ("solar_wind", "standoff", "bz", "by", "b_total"),
    ("kp", "ap"),
    ("dst",),
    ("ae",),
)


@dataclass(frozen=True)
class Samples:
    """Windows and what came after, as tensors.

    Attributes
    ----------
    batch : Batch
        Inputs, without the member dimension.
    truth : Tensor, shape (n, lead_time)
        Scaled log10 fluence; 0 where it is not known.
    known : Tensor, shape (n, lead_time)
        1 where it is known.
    block : Tensor, shape (n,)
        Block of years of the window's last day.
    rows : ndarray, shape (n,)
        Position of the window's last day in the history.
    """

    batch: Batch
    truth: torch.Tensor
    known: torch.Tensor
    block: torch.Tensor
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of windows."""
        return len(self.truth)


def make_samples(history: xr.Dataset, spec: InputSpec, n_blocks: int) -> Samples:
    """Make a sample of every day of a history from which at least one day to forecast is known.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        The training split only: NaN on all other days.
    spec : InputSpec
        Fitted.
    n_blocks : int
        Blocks that the years are dealt to in turn.

    Returns
    -------
    Samples
        In the order of time.
    """
    log = log_fluence(history)
    rows = np.arange(len(log))
    after = (take_days(log, rows[:, None] + np.array(LEADS)) - spec.mean[0]) / spec.std[0]
    years = history["time"].to_numpy().astype("datetime64[Y]").astype(np.int64)
    # Without the flux of the last days there is nothing to learn from; such days only come up in earnest.
    recent = np.isfinite(take_days(log, rows[:, None] - np.arange(3))).any(axis=1)
    chosen = np.flatnonzero(np.isfinite(after).any(axis=1) & recent)
    present = np.unique(years[chosen])
    block = np.searchsorted(present, years[chosen]) % n_blocks
    known = np.isfinite(after[chosen])
    return Samples(
        make_batch(history, chosen, spec),
        torch.from_numpy(np.where(known, after[chosen], 0.0).astype(np.float32)),
        torch.from_numpy(known.astype(np.float32)),
        torch.from_numpy(block),
        chosen,
    )


def make_batch(history: xr.Dataset, rows: npt.NDArray[np.int64], spec: InputSpec, *, blind: int = 0) -> Batch:
    """Read the inputs of windows as tensors.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        The training split only.
    rows : ndarray, shape (n,)
        Position of the last day of each window.
    spec : InputSpec
        Fitted.
    blind : int
        Last days of which all electrons are hidden.

    Returns
    -------
    Batch
        Without the member dimension.
    """
    inputs, _ = read_inputs(history, rows, spec, blind=blind)
    return Batch(*(torch.from_numpy(array) for array in (inputs.days, inputs.context, inputs.level, inputs.hours)))


class Disturbance:
    """Hides and shifts inputs by chance, so that no satellite's level and no instrument is relied on.

    Parameters
    ----------
    spec : InputSpec
        What the columns are.
    settings : ForecastSettings
        How often, how much.
    """

    def __init__(self, spec: InputSpec, settings: ForecastSettings) -> None:
        self.spec, self.settings = spec, settings
        self.daily = [_members(spec.daily, prefixes) for prefixes in OUTAGES]
        self.hourly = [_members(spec.hourly, prefixes) for prefixes in OUTAGES]
        self.flux_days = [spec.daily.index(name) for name in spec.daily if name.startswith("fluence")]
        self.flux_hours = [index for index, name in enumerate(spec.hourly) if name == "electron_flux_gt2mev"]
        turned = spec.rotation * len(spec.rotations)
        self.n_rotation = len(turned)
        self.flux_rotation = [index for index, name in enumerate(turned) if name.startswith("fluence")]

    def __call__(
        self, batch: Batch, truth: torch.Tensor, known: torch.Tensor, generator: torch.Generator
    ) -> tuple[Batch, torch.Tensor]:
        """Disturb a batch of shape (member, batch, ...); gives the batch and the truth, shifted with it."""
        days, context, hours = batch.days.clone(), batch.context.clone(), batch.hours.clone()
        level = batch.level
        n_members, n_batch = level.shape

        def chance(probability: float, *shape: int) -> torch.Tensor:
            return torch.rand(n_members, n_batch, *shape, generator=generator) < probability

        shift = torch.randn(n_members, n_batch, generator=generator) * (self.settings.shift / self.spec.std[0])
        level, truth = level + shift, truth + shift[..., None] * known
        self._shift(days, context, hours, shift)

        # A variable hidden from the whole window of days, or of hours; the fluence is never.
        n_daily, n_hourly = len(self.spec.daily), len(self.spec.hourly)
        kept = ~chance(self.settings.dropped, 1, n_daily)
        kept[..., self.flux_days] = True
        days *= torch.cat([kept, kept], dim=-1)
        if n_hourly:
            kept = ~chance(self.settings.dropped, 1, n_hourly)
            hours *= torch.cat([kept, kept], dim=-1)
        kept = ~chance(self.settings.dropped_rotation, 1, self.n_rotation)
        context[..., : 2 * self.n_rotation] *= torch.cat([kept, kept], dim=-1)
        level = self._outages(days, context, hours, level, chance, generator)
        return Batch(days, context, level, hours), truth

    def _shift(self, days: torch.Tensor, context: torch.Tensor, hours: torch.Tensor, shift: torch.Tensor) -> None:
        """Shift every fluence of a sample; what is missing stays 0."""
        n_daily, n_rotation, n_hourly = len(self.spec.daily), self.n_rotation, len(self.spec.hourly)
        for index in self.flux_days:
            days[..., index] += shift[..., None] * days[..., n_daily + index]
        for index in self.flux_rotation:
            context[..., index] += shift[..., None] * context[..., n_rotation + index]
        for index in self.flux_hours:
            scale = self.spec.std[0] / self.spec.std[n_daily + index]
            hours[..., index] += scale * shift[..., None] * hours[..., n_hourly + index]
        for number in range(len(self.spec.statistics)):
            start = 2 * n_rotation + 4 * number
            there = (context[..., start + 3 : start + 4] > 0).to(context.dtype)
            context[..., start : start + 3] += shift[..., None, None] * there

    def _outages(
        self,
        days: torch.Tensor,
        context: torch.Tensor,
        hours: torch.Tensor,
        level: torch.Tensor,
        chance: object,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Hide the last days of what fails together; gives the level that is left."""
        n_days, n_hours = days.shape[2], hours.shape[2]  # of steps, which may be of several hours
        n_daily, n_hourly = len(self.spec.daily), len(self.spec.hourly)
        for number, (columns, hourly) in enumerate(zip(self.daily, self.hourly, strict=True)):
            failed = chance(self.settings.outage)  # type: ignore[operator]
            # Half of the outages last a few days, the others up to the whole window.
            longest = torch.where(chance(0.5), 3, n_days)  # type: ignore[operator]
            length = (torch.rand(failed.shape, generator=generator) * longest).long() + 1
            length = torch.where(failed, length, 0)
            gone = torch.arange(n_days)[None, None] >= n_days - length[..., None]
            for column in columns:
                days[..., column].masked_fill_(gone, 0.0)
                days[..., n_daily + column].masked_fill_(gone, 0.0)
            if hourly and n_hours:
                gone_steps = 24 // self.spec.hour_step * length[..., None]
                hidden = torch.arange(n_hours)[None, None] >= n_hours - gone_steps
                for column in hourly:
                    hours[..., column].masked_fill_(hidden, 0.0)
                    hours[..., n_hourly + column].masked_fill_(hidden, 0.0)
            if number == 0:
                level = torch.where(failed, self._level(days, context), level)
        return level

    def _level(self, days: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Give what `read_inputs` would give as the level of a window with these values."""
        level = torch.zeros(days.shape[:2])
        for number in reversed(range(len(self.spec.statistics))):
            start = 2 * self.n_rotation + 4 * number
            level = torch.where(context[:, :, 0, start + 3] > 0, context[:, :, 0, start], level)
        value, mask = days[..., 0], days[..., len(self.spec.daily)]
        for day in range(days.shape[2]):
            level = torch.where(mask[..., day] > 0, value[..., day], level)
        return level


def _members(names: tuple[str, ...], prefixes: tuple[str, ...]) -> list[int]:
    return [index for index, name in enumerate(names) if name.startswith(prefixes)]


def years_of(history: xr.Dataset, known: npt.NDArray[np.bool_]) -> list[int]:
    """List the years of the days chosen.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        Days.
    known : ndarray of bool, shape (time,)
        Which days.

    Returns
    -------
    list of int
        Sorted.
    """
    years = history["time"].to_numpy()[known].astype("datetime64[Y]").astype(int) + 1970
    return [int(year) for year in np.unique(years)]
