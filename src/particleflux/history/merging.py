"""One satellite a day, on one scale where that is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from particleflux.errors import DataError
from particleflux.history.comparison import compare_products
from particleflux.history.days import Days
from particleflux.history.layout import CENSORED, FLUXES, SECONDS_A_DAY
from particleflux.history.pieces import Piece, source_key

Array = npt.NDArray[np.float64]

_SOFTER = FLUXES[1:]
_FLUENCE = "fluence_gt2mev"
#: Kinds of calibration and how days of them are marked; one that is uncalibrated changes nothing.
KINDS = {"reference": 0, "overlap": 1, "estimated": 2, "uncalibrated": 3}


class Calibration(Protocol):
    """What brings the fluence of one satellite onto the scale of another."""

    @property
    def kind(self) -> str:
        """How it was found: one of `KINDS`."""

    def apply(self, values_log10: Array) -> Array:
        """Bring values onto the reference scale.

        Parameters
        ----------
        values_log10 : array, any shape
            Logarithm to base 10 of the fluence, cm-2 sr-1 d-1.

        Returns
        -------
        array, the same shape
            On the reference scale.
        """


@dataclass
class Merged:
    """One satellite a day.

    Attributes
    ----------
    daily : dict of array, shape (day,)
        Electrons of each day, with `satellite` and `calibration`.
    hourly : dict of array, shape (day, hour)
        Fluxes.
    """

    daily: dict[str, npt.NDArray[np.generic]]
    hourly: dict[str, Array]


def merge_pieces(
    pieces: Sequence[Piece], days: Days, *, reference: str, calibrations: Mapping[str, Calibration]
) -> Merged:
    """Choose the first piece that has a fluence on each day, and bring it onto the reference scale.

    Parameters
    ----------
    pieces : sequence of Piece
        In order of preference.
    days : Days
        The axis.
    reference : str
        Satellite whose scale the fluence is brought to.
    calibrations : mapping of str to Calibration
        By satellite, or by satellite and product as in "GOES-13/science", which goes first.

    Returns
    -------
    Merged
        Days without any fluence keep the hours that some piece has.

    Warns
    -----
    UserWarning
        If two products of one satellite contradict each other, or one seems to bear the date of the day before.
    """
    for number, piece in enumerate(pieces):
        for other in pieces[number + 1 :]:
            if other.satellite == piece.satellite:
                # Near the detection limit products differ by their nature.
                pair = [
                    _calibrated(
                        np.where(
                            product.daily.get(CENSORED, np.zeros(days.n_days)) > 0, np.nan, product.daily[_FLUENCE]
                        ),
                        _calibration_of(product, reference, calibrations)[1],
                    )
                    for product in (piece, other)
                ]
                names = [source_key(product.satellite, product.product) for product in (piece, other)]
                compare_products(pair, names, days.time)
    n_days = days.n_days
    chosen = _choose([np.isfinite(piece.daily[_FLUENCE]) for piece in pieces], n_days)
    partial = _choose([piece.any_hour for piece in pieces], n_days)
    chosen = np.where(chosen < 0, partial, chosen)
    satellite = np.zeros(n_days, dtype="<U16")
    codes = np.full(n_days, -1, dtype=np.int8)
    daily_names = [name for name in (_FLUENCE, *_SOFTER, CENSORED) if any(name in p.daily for p in pieces)]
    daily = {name: np.full(n_days, np.nan) for name in ("fluence_gt2mev_measured", *daily_names)}
    hourly_names = [name for name in FLUXES if any(name in piece.hourly for piece in pieces)]
    hourly = {name: np.full((n_days, 24), np.nan) for name in hourly_names}
    for number, piece in enumerate(pieces):
        own = chosen == number
        code, calibration = _calibration_of(piece, reference, calibrations)
        satellite[own], codes[own] = piece.satellite, code
        for name, values in piece.daily.items():
            daily[name][own] = values[own]
        measured = piece.daily[_FLUENCE][own]
        daily["fluence_gt2mev_measured"][own] = measured
        daily[_FLUENCE][own] = _calibrated(measured, calibration)
    # A daily product says nothing about the hours: those of another product of the same satellite do.
    for piece in pieces:
        _, calibration = _calibration_of(piece, reference, calibrations)
        for name, block in piece.hourly.items():
            if name == FLUXES[0] and calibration is not None and piece.satellite != reference:
                # The ratio of two longitudes turns with local time: what holds for days does not for hours.
                continue
            values = _calibrated(block * SECONDS_A_DAY, calibration) / SECONDS_A_DAY if name == FLUXES[0] else block
            rows = (satellite == piece.satellite) & np.isnan(hourly[name]).all(axis=1)
            hourly[name][rows] = values[rows]
    everything: dict[str, npt.NDArray[np.generic]] = {**daily, "satellite": satellite, "calibration": codes}
    everything[FLUXES[0]] = daily[_FLUENCE] / SECONDS_A_DAY
    return Merged(everything, hourly)


def _choose(present: Iterable[npt.NDArray[np.bool_]], n_days: int) -> npt.NDArray[np.int64]:
    """Give for each day the number of the first piece that is present; -1 for none."""
    chosen = np.full(n_days, -1)
    for number, days in enumerate(present):
        chosen[(chosen < 0) & days] = number
    return chosen


def _calibration_of(
    piece: Piece, reference: str, calibrations: Mapping[str, Calibration]
) -> tuple[int, Calibration | None]:
    if not piece.satellite:
        return 3, None
    found = calibrations.get(source_key(piece.satellite, piece.product))
    if found is None and piece.satellite == reference:
        return 0, None
    found = found or calibrations.get(piece.satellite)
    if found is None:
        return 3, None
    if found.kind not in KINDS:
        msg = f"the calibration of {piece.satellite} is of kind {found.kind!r}, expected one of {', '.join(KINDS)}"
        raise DataError(msg)
    return KINDS[found.kind], found if found.kind in ("overlap", "estimated") else None


def _calibrated(fluence: Array, calibration: Calibration | None) -> Array:
    if calibration is None:
        return fluence
    # A flux of 0 has no logarithm and stays what it is.
    positive = fluence > 0
    logs = np.log10(np.where(positive, fluence, 1.0))
    return np.where(positive, 10 ** np.asarray(calibration.apply(logs), dtype=np.float64), fluence)
