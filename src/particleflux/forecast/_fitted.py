"""What the fitted methods share: enough days to fit, quantiles of residuals, plain numbers for a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from particleflux.errors import ArtefactError, MissingDataError
from particleflux.forecast.distribution import QUANTILES
from particleflux.names import ForecastQuality

Array = npt.NDArray[np.float64]
Method = TypeVar("Method", bound="Fitted")

#: A fit needs this many residuals: most of a year, the shortest span that has every season.
LEAST_RESIDUALS = 270


class Fitted:
    """A frozen dataclass of plain numbers, which JSON can hold and give back."""

    name: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the fitted numbers as plain nested values for JSON.

        Returns
        -------
        dict
            `method`, the name, and one key per field.
        """
        return {"method": self.name, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls: type[Method], record: Mapping[str, Any]) -> Method:
        """Make the method from what `to_dict` gave, also after JSON.

        Parameters
        ----------
        record : mapping
            `method` and one key per field.

        Returns
        -------
        Fitted
            Equal to the one that gave the record.

        Raises
        ------
        ArtefactError
            If the record is of another method, or lacks a field or holds another one.
        """
        expected = {"method", *(field.name for field in fields(cls))}  # type: ignore[arg-type]
        if record.get("method") != cls.name or set(record) != expected:
            msg = (
                f"record of method {record.get('method')!r} with keys {sorted(record)}: expected {cls.name!r} with "
                f"{sorted(expected)}; give what `to_dict` made"
            )
            raise ArtefactError(msg)
        try:
            return cls(**{key: _frozen(value) for key, value in record.items() if key != "method"})
        except (TypeError, ValueError) as error:
            msg = f"record of method {cls.name!r} holds something else than numbers ({error}); give what `to_dict` made"
            raise ArtefactError(msg) from error


def residual_quantiles(residuals: npt.ArrayLike, what: str) -> tuple[float, ...]:
    """Quantiles at `QUANTILES` of the residuals that are known; `what` names them in the message."""
    values = np.asarray(residuals, dtype=np.float64)
    known = values[np.isfinite(values)]
    if known.size < LEAST_RESIDUALS:
        msg = (
            f"found {known.size} days with {what}, expected {LEAST_RESIDUALS} at least to fit; give a history with a "
            "year of flux or more before the first issue time"
        )
        raise MissingDataError(msg)
    return tuple(np.quantile(known, QUANTILES).tolist())


def log_range(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (float("inf"), float("-inf"))


def extrapolated(values: Array, limits: tuple[float, float]) -> npt.NDArray[np.int32]:
    """Flag each row of inputs in which one lies outside the range the method was fitted to."""
    outside = ((values < limits[0]) | (values > limits[1])).any(axis=1)
    return np.where(outside, ForecastQuality.EXTRAPOLATED.value, 0).astype(np.int32)


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return float(value)
