"""Which inputs a network reads, and how they are scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import xarray as xr

from particleflux.errors import ArtefactError, MissingDataError
from particleflux.forecast.issue import FLUENCE
from particleflux.forecast.variables import read_variable
from particleflux.names import VARIABLES

#: Days or hours that one window may hold: a card that asks for more is damaged.
MOST_STEPS = 1000
_READABLE = set(VARIABLES) - {"satellite"}


@dataclass(frozen=True)
class InputSpec:
    """Which inputs a network reads, and how they are scaled; part of a model's card.

    Attributes
    ----------
    daily : tuple of str
        Daily variables of the history, the fluence first. `a|b` reads b on days without a.
    n_days : int
        Consecutive days read, the last one before the issue time.
    rotation : tuple of str
        Those of `daily` that are also read whole solar rotations before each day to forecast.
    rotations : tuple of int
        How many rotations before.
    statistics : tuple of int
        Spans in days before the issue time over which mean, least and greatest log10 fluence are read: they tell the
        level and the floor of the satellite.
    hourly : tuple of str
        Hourly variables of the history, named without `_hourly`.
    n_hours : int
        Consecutive hours read, the last one before the issue time.
    hour_step : int
        Hours averaged to one step; the step is known where one of its hours is.
    mean, std : tuple of float
        Shift and scale of the daily, then the hourly variables, from the training split.
    """

    daily: tuple[str, ...]
    n_days: int = 10
    rotation: tuple[str, ...] = (FLUENCE,)
    rotations: tuple[int, ...] = (1,)
    statistics: tuple[int, ...] = (27, 81)
    hourly: tuple[str, ...] = ()
    n_hours: int = 0
    hour_step: int = 1
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def n_daily(self) -> int:
        """Features of a day: value and mask of every variable."""
        return 2 * len(self.daily)

    @property
    def n_steps(self) -> int:
        """Steps that the hours are read in."""
        return self.n_hours // self.hour_step

    @property
    def n_hourly(self) -> int:
        """Features of a step of hours."""
        return 2 * len(self.hourly)

    @property
    def n_context(self) -> int:
        """Features read once for each lead time: rotations ago, and the statistics with their shares."""
        return 2 * len(self.rotation) * len(self.rotations) + 4 * len(self.statistics)

    @property
    def drivers(self) -> tuple[str, ...]:
        """Variables of a history that are read beside the fluence; of alternatives the first."""
        return (*(name.split("|")[0] for name in self.daily[1:]), *(f"{name}_hourly" for name in self.hourly))

    def fit(self, history: xr.Dataset) -> InputSpec:
        """Learn shift and scale from a history that holds the training split and nothing else.

        Parameters
        ----------
        history : Dataset, dims (time[, hour])
            NaN on days to be left out.

        Returns
        -------
        InputSpec
            With `mean` and `std`.

        Raises
        ------
        MissingDataError
            If a variable holds no value.
        """
        means, stds = [], []
        for name in (*self.daily, *(f"{hourly}_hourly" for hourly in self.hourly)):
            values = read_variable(history, name)
            known = values[np.isfinite(values)]
            if len(known) < 2:
                msg = f"{name} holds {len(known)} values in the training periods; leave it out of the inputs"
                raise MissingDataError(msg)
            means.append(float(known.mean()))
            stds.append(float(known.std()) or 1.0)
        return InputSpec(**{**asdict(self), "mean": tuple(means), "std": tuple(stds)})

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> InputSpec:
        """Make the specification from the plain values of a card.

        Parameters
        ----------
        record : mapping
            One key per field.

        Returns
        -------
        InputSpec
            Checked.

        Raises
        ------
        ArtefactError
            If a field is missing, unknown or of another type.
        """
        try:
            spec = cls(
                daily=tuple(map(str, record["daily"])),
                n_days=int(record["n_days"]),
                rotation=tuple(map(str, record["rotation"])),
                rotations=tuple(map(int, record["rotations"])),
                statistics=tuple(map(int, record["statistics"])),
                hourly=tuple(map(str, record["hourly"])),
                n_hours=int(record["n_hours"]),
                hour_step=int(record["hour_step"]),
                mean=tuple(map(float, record["mean"])),
                std=tuple(map(float, record["std"])),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            msg = f"the card misstates the inputs ({error}); train or install the model again"
            raise ArtefactError(msg) from error
        n_variables = len(spec.daily) + len(spec.hourly)
        spans = (spec.n_days, spec.n_hours + 1, spec.hour_step, *spec.rotations, *spec.statistics)
        sound = {
            "unknown fields": set(record) <= {entry.name for entry in fields(cls)},
            "names": all(map(_is_readable, spec.daily)) and set(spec.hourly) <= _READABLE,
            "scales": len(spec.mean) == len(spec.std) == n_variables
            and bool(np.isfinite(spec.mean + spec.std).all())
            and min(spec.std, default=0) > 0,
            "rotation": set(spec.rotation) <= set(spec.daily) and len(spec.rotations) > 0,
            "daily": spec.daily[:1] == (FLUENCE,),
            "spans": min(spans) >= 1 and max(spans) <= MOST_STEPS,
            "hours": bool(spec.hourly) == (spec.n_hours > 0)
            and spec.n_hours % max(spec.hour_step, 1) == 0
            and 24 % max(spec.hour_step, 1) == 0,
        }
        wrong = [name for name, is_sound in sound.items() if not is_sound]
        if wrong:
            msg = f"the card misstates the inputs ({', '.join(wrong)}); train or install the model again"
            raise ArtefactError(msg)
        return spec


def _is_readable(daily: str) -> bool:
    names = (part.removesuffix("_min").removesuffix("_max") for part in daily.split("|"))
    return all(name in _READABLE for name in names)
