"""Read an instrument's TOML file, and refuse what is not understood."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from particleflux.errors import DataError, MissingDataError
from particleflux.instruments.description import (
    BowTieAnalysis,
    Configuration,
    Ensemble,
    Exclusion,
    Instrument,
    NoisyChannel,
)
from particleflux.response import SPECIES

_NEVER = np.datetime64("NaT", "ns")


def shipped_instruments() -> tuple[str, ...]:
    """List the instruments that come with the package.

    Returns
    -------
    tuple of str
        Their names, as `load_instrument` takes them.

    Examples
    --------
    >>> shipped_instruments()
    ('radem',)
    """
    files = resources.files("particleflux.instruments").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_instrument(name: str | Path) -> Instrument:
    """Read an instrument's description.

    Parameters
    ----------
    name : str or path
        Name of an instrument that comes with the package, or the path of a TOML file.

    Returns
    -------
    Instrument
        The description, checked.

    Raises
    ------
    MissingDataError
        If there is neither such an instrument nor such a file.
    DataError
        If the file is not TOML, lacks a key, has an unknown one, or a value is not what it should be.

    Examples
    --------
    >>> load_instrument("radem").ensemble.bins[0]
    ('PDH1', 'PDH3', 'PDH4')
    """
    if str(name) in shipped_instruments():
        folder: Traversable = resources.files("particleflux.instruments")
        source = folder.joinpath(f"{name}.toml")
    else:
        source, folder = Path(name), Path(name).parent
        if not source.is_file():
            msg = (
                f"no instrument {str(name)!r}: expected one of {list(shipped_instruments())} or the path of a "
                "TOML file; correct the name or the path"
            )
            raise MissingDataError(msg)
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{source}: not a TOML file ({error}); correct it"
        raise DataError(msg) from error
    return _instrument(_Table(content, str(source)), str(source), folder)


class _Table:
    """One table of the file: hands out its keys, each checked, and knows which nobody asked for."""

    def __init__(self, content: Mapping[str, Any], where: str) -> None:
        self._content = dict(content)
        self._known = sorted(content)
        self.where = where

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        if key not in self._content:
            if default is not None:
                return default
            msg = f"{self.where}: no key {key!r}, found {self._known}; add it"
            raise DataError(msg)
        value = self._content.pop(key)
        # TOML's true is Python's True, which is an int to isinstance.
        if not isinstance(value, kind) or isinstance(value, bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            msg = f"{self.where}: {key!r} is {value!r}, expected {' or '.join(k.__name__ for k in kinds)}; correct it"
            raise DataError(msg)
        return value

    def number(self, key: str, *, positive: bool = True) -> float:
        value = float(self.take(key, (int, float)))
        if not np.isfinite(value) or (positive and value <= 0):
            msg = f"{self.where}: {key!r} is {value:g}, expected a finite number{' above 0' * positive}; correct it"
            raise DataError(msg)
        return value

    def time(self, key: str, *, optional: bool = False) -> np.datetime64:
        value = self.take(key, (dt.datetime, dt.date), default=_NEVER if optional else None)
        if isinstance(value, np.datetime64):
            return value
        if not isinstance(value, dt.datetime):
            value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
        if value.tzinfo is None:
            msg = f"{self.where}: {key!r} is {value.isoformat()} without a zone; write it in UTC with a Z at its end"
            raise DataError(msg)
        return np.datetime64(value.astimezone(dt.UTC).replace(tzinfo=None), "ns")

    def texts(self, key: str, allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self.take(key, list)
        unknown = [item for item in value if not isinstance(item, str) or (allowed and item not in allowed)]
        if unknown or not value or len(set(value)) != len(value):
            expected = f"names among {list(allowed)}" if allowed else "texts"
            msg = f"{self.where}: {key!r} is {value!r}, expected {expected}, at least one and none twice; correct it"
            raise DataError(msg)
        return tuple(value)

    def table(self, key: str, *, optional: bool = False) -> _Table:
        return _Table(self.take(key, dict, default={} if optional else None), f"{self.where} [{key}]")

    def tables(self, key: str) -> list[_Table]:
        items = self.take(key, list, default=[])
        return [_Table(item, f"{self.where} [[{key}]] {number}") for number, item in enumerate(items, 1)]

    def per_channel(self, key: str, channels: tuple[str, ...], *, positive: bool = True) -> dict[str, float]:
        table = self.table(key)
        values = {channel: table.number(channel, positive=positive) for channel in channels}
        table.finish()
        return values

    def names(self) -> dict[str, str]:
        return {key: self.take(key, str) for key in list(self._content)}

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def numbers(self) -> dict[str, float]:
        return {key: self.number(key) for key in list(self._content)}

    def finish(self) -> None:
        if self._content:
            asked = sorted(set(self._known) - set(self._content))
            msg = (
                f"{self.where}: unknown key {', '.join(map(repr, sorted(self._content)))}, known are {asked}; remove it"
            )
            raise DataError(msg)


def _instrument(table: _Table, source: str, folder: Traversable) -> Instrument:
    channels = table.texts("channels")
    background = table.table("background")
    ensemble = table.table("ensemble")
    tables = table.table("tables", optional=True).names()
    unknown = sorted(set(tables.values()) - set(channels))
    if unknown:
        msg = f"{source} [tables]: unknown channels {unknown}, expected names among {list(channels)}; correct them"
        raise DataError(msg)
    modulation = background.per_channel("modulation", channels, positive=False)
    monitors = background.texts("monitors", channels)
    instrument = Instrument(
        name=table.take("name", str),
        description=table.take("description", str),
        channels=channels,
        configurations=_configurations(table.tables("configurations"), source),
        exclusions=tuple(_exclusion(item) for item in table.tables("do_not_use")),
        quiet_rate=background.per_channel("rate", channels),
        quiet_relative_std=background.per_channel("relative_std", channels),
        modulation=modulation,
        monitors=monitors,
        hardest=_hardest(background.table("hardest", optional=True), modulation, monitors),
        implausible_rate=table.per_channel("implausible_rate", channels),
        noisy_channels=tuple(_noisy_channel(item, channels) for item in table.tables("noisy_channels")),
        ensemble=_ensemble(ensemble, channels),
        response_errors=_response_errors(table.table("response_error", optional=True), channels),
        reads=_reads(table.table("reads", optional=True), channels),
        bow_tie=_bow_ties(table.table("bow_tie", optional=True), channels),
        tables=tables,
        source=source,
        folder=folder,
    )
    background.finish()
    table.finish()
    return instrument


def _hardest(table: _Table, modulation: Mapping[str, float], monitors: tuple[str, ...]) -> dict[str, float]:
    allowed = [channel for channel in modulation if channel not in monitors]
    values = table.numbers()
    if unknown := [channel for channel in values if channel not in allowed]:
        msg = (
            f"{table.where}: {unknown} are no channels beside the monitors, expected names among {allowed}; correct it"
        )
        raise DataError(msg)
    # Else the bound on the protons in the monitors has no solution, or none that holds for softer events.
    falls = all(before > after for before, after in pairwise(values.values()))
    if not falls or any(value <= max(1.0, modulation[channel]) for channel, value in values.items()):
        msg = (
            f"{table.where}: {values}, expected values that fall from the softest channel to the hardest and are above "
            "1 and the channel's modulation exponent; correct it"
        )
        raise DataError(msg)
    return values


def _configurations(tables: list[_Table], where: str) -> tuple[Configuration, ...]:
    items = []
    for table in tables:
        files = table.table("response", optional=True)
        names = files.names()
        if set(names) - set(SPECIES):
            msg = f"{files.where}: unknown key {sorted(set(names) - set(SPECIES))}, known are {SPECIES}; remove it"
            raise DataError(msg)
        item = Configuration(
            number=table.take("number", int),
            start=table.time("start"),
            stop=table.time("stop", optional=True),
            description=table.take("description", str),
            response=names,
        )
        _check_window(table, item.start, item.stop)
        if not 1 <= item.number <= 127:
            msg = f"{table.where}: 'number' is {item.number}, expected 1 to 127; correct it"
            raise DataError(msg)
        table.finish()
        items.append(item)
    numbers = [item.number for item in items]
    if not items or len(set(numbers)) != len(numbers):
        msg = (
            f"{where}: [[configurations]] have the numbers {numbers}, expected at least one and none twice; correct it"
        )
        raise DataError(msg)
    items.sort(key=lambda item: item.start)
    for before, after in pairwise(items):
        if np.isnat(before.stop) or before.stop > after.start:
            msg = f"{where}: configurations {before.number} and {after.number} overlap; correct 'start' and 'stop'"
            raise DataError(msg)
    return tuple(items)


def _exclusion(table: _Table) -> Exclusion:
    item = Exclusion(table.time("start"), table.time("stop"), table.take("reason", str))
    _check_window(table, item.start, item.stop)
    table.finish()
    return item


def _noisy_channel(table: _Table, channels: tuple[str, ...]) -> NoisyChannel:
    item = NoisyChannel(table.take("channel", str), table.number("level_ratio"), table.number("period"))
    if item.channel not in channels:
        msg = f"{table.where}: unknown channel {item.channel!r}, expected one of {list(channels)}; correct it"
        raise DataError(msg)
    table.finish()
    return item


def _ensemble(table: _Table, channels: tuple[str, ...]) -> Ensemble:
    sets = table.take("bins", list)
    bins = []
    for number, names in enumerate(sets, 1):
        bins.append(_Table({"bins": names}, f"{table.where} set {number}").texts("bins", channels))
    if not bins or any(not set(small) < set(large) for small, large in pairwise(bins)):
        msg = f"{table.where}: 'bins' is {sets!r}, expected sets of channels that each hold the set before; correct it"
        raise DataError(msg)
    ensemble = Ensemble(tuple(bins), table.number("threshold_sigma"))
    table.finish()
    return ensemble


def _response_errors(table: _Table, channels: tuple[str, ...]) -> dict[str, float]:
    values = table.numbers()
    if unknown := [name for name in values if name not in channels]:
        msg = f"{table.where}: unknown channels {unknown}, expected names among {list(channels)}; correct them"
        raise DataError(msg)
    if large := [name for name, value in values.items() if value > 1]:
        msg = f"{table.where}: the errors of {large} exceed 1, expected relative errors; correct them"
        raise DataError(msg)
    return values


def _reads(table: _Table, channels: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    values = {name: table.texts(name, channels) for name in SPECIES if name in table}
    table.finish()
    return {name: values.get(name, channels) for name in SPECIES}


def _bow_ties(table: _Table, channels: tuple[str, ...]) -> dict[str, BowTieAnalysis]:
    values = {name: _bow_tie(table.table(name), channels) for name in SPECIES if name in table}
    table.finish()
    return values


def _bow_tie(table: _Table, channels: tuple[str, ...]) -> BowTieAnalysis:
    sets = table.take("combinations", list)
    combinations = []
    for number, names in enumerate(sets, 1):
        found = _Table({"combinations": names}, f"{table.where} {number}").texts("combinations", channels)
        if len(found) > 2:
            msg = f"{table.where}: {list(found)}, expected a channel, or two of which the second is subtracted; cut it"
            raise DataError(msg)
        combinations.append(found)
    if not combinations or len(set(combinations)) != len(combinations):
        msg = f"{table.where}: 'combinations' is {sets!r}, expected at least one and none twice; correct it"
        raise DataError(msg)
    highest = table.number("highest_energy") if "highest_energy" in table else np.inf
    penetrating = table.take("penetrating", str) if "penetrating" in table else None
    if penetrating is not None and penetrating not in channels:
        msg = f"{table.where}: unknown channel {penetrating!r}, expected one of {list(channels)}; correct it"
        raise DataError(msg)
    table.finish()
    return BowTieAnalysis(tuple(combinations), highest, penetrating)


def _check_window(table: _Table, start: np.datetime64, stop: np.datetime64) -> None:
    if not np.isnat(stop) and stop <= start:
        msg = f"{table.where}: 'stop' {stop} is not after 'start' {start}; correct them"
        raise DataError(msg)
