"""From the options of `history` to labelled arrays, and the list of files they came from."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from particleflux.cli.inputs import refuse
from particleflux.cli.terminal import Show
from particleflux.errors import MissingDataError

if TYPE_CHECKING:
    import xarray as xr

_FEEDS = ("electrons", "Kp", "solar wind", "Dst")


@dataclass
class Sources:
    """What was read for a history.

    Attributes
    ----------
    electrons : list of Dataset
        In order of preference.
    drivers : dict of str to Dataset
        By the names of the options.
    others : list of Dataset
        Drivers used where those have nothing.
    files : list of Path
        The files all of them came from.
    """

    electrons: list[xr.Dataset] = field(default_factory=list)
    drivers: dict[str, xr.Dataset] = field(default_factory=dict)
    others: list[xr.Dataset] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def add_files(self, paths: Sequence[str], source: xr.Dataset) -> None:
        """Remember which of the files under some paths a source came from.

        Parameters
        ----------
        paths : sequence of str
            As the user named them.
        source : Dataset
            What was read; `source_files` names its files.
        """
        known = source.attrs.get("source_files", [])
        names = {known} if isinstance(known, str) else {Path(str(name)).name for name in known}
        for given in paths:
            path = Path(given).expanduser()
            found = sorted(path.rglob("*")) if path.is_dir() else [path] if path.is_file() else []
            found = found or [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
            self.files += [file for file in found if file.name in names and file not in self.files]


def open_sources(
    named: dict[str, list[str] | None], hourly: Sequence[tuple[str, str]], feeds: Path | None, show: Show
) -> Sources:
    """Read all sources that are named.

    Parameters
    ----------
    named : dict of str to list of str
        Paths by the names of the options; None where an option was not given.
    hourly : sequence of (str, str)
        Satellite, with its product or without, and path.
    feeds : Path or None
        Folder of the live feeds.
    show : Show
        Told of each source.

    Returns
    -------
    Sources
        Labelled arrays, and the files they came from.

    Raises
    ------
    DataError
        If a source cannot be read.
    """
    from particleflux.io import open_dpd, open_dst, open_goes_hourly, open_goes_ncei, open_kp, open_omni

    sources = Sources()
    total = sum(1 for paths in named.values() if paths) + len(hourly) + (len(_FEEDS) if feeds else 0)

    def read(title: str, opener: Callable[..., xr.Dataset], paths: Sequence[str], **options: Any) -> xr.Dataset:
        show(len(sources.electrons) + len(sources.drivers) + len(sources.others), total, f"Reading {title}")
        source = opener(paths, **options)
        sources.add_files(paths, source)
        return source

    if named["dpd"]:
        sources.electrons.append(read("Daily Particle Data", open_dpd, named["dpd"]))
    for name, path in hourly:
        satellite, _, product = name.partition("/")
        source = read(name, open_goes_hourly, [path], satellite=satellite)
        sources.electrons.append(source.assign_attrs(product=product) if product else source)
    if named["ncei"]:
        sources.electrons.append(read("electrons of NCEI", open_goes_ncei, named["ncei"]))
    for name, opener in (("omni", open_omni), ("kp", open_kp), ("dst", open_dst)):
        if paths := named[name]:
            sources.drivers[name] = read(name, opener, paths)
    if feeds is not None:
        _open_feeds(feeds, read, sources)
    _name_products(sources.electrons)
    return sources


def _open_feeds(folder: Path, read: Callable[..., xr.Dataset], sources: Sources) -> None:
    """Read the feeds a folder holds; those it does not hold are named."""
    from particleflux.io.feeds import open_swpc_dst, open_swpc_electrons, open_swpc_kp, open_swpc_solar_wind

    if not folder.is_dir():
        refuse("--feeds", f"{folder} is no folder; give the one `particleflux fetch` wrote to")
    openers = (open_swpc_electrons, open_swpc_kp, open_swpc_solar_wind, open_swpc_dst)
    absent = []
    for name, opener in zip(_FEEDS, openers, strict=True):
        try:
            source = read(f"feed of {name}", opener, [str(folder)])
        except MissingDataError:
            absent.append(name)
            continue
        (sources.electrons if opener is open_swpc_electrons else sources.others).append(source)
    if len(absent) == len(_FEEDS):
        refuse("--feeds", f"{folder} holds no feed; run `particleflux fetch -o {folder}` first")
    if absent:
        warnings.warn(f"{folder} holds no feed of {', '.join(absent)}; the history does without", stacklevel=2)


def _name_products(electrons: list[xr.Dataset]) -> None:
    """Tell a second source of a satellite from the first: products of one satellite are not on one scale."""
    known: set[str] = set()
    for number, source in enumerate(electrons):
        names = {str(source.attrs["satellite"])} if "satellite" in source.attrs else set(source["satellite"].to_numpy())
        product = str(source.attrs.get("product", ""))
        if not product and known & names:
            product = f"{source.attrs.get('cadence', 'other')} {number + 1}"
            electrons[number] = source.assign_attrs(product=product)
        known |= names - {""}


def parse_pairs(option: str, given: Sequence[str] | None) -> list[tuple[str, str]]:
    """Read values that belong to a satellite.

    Parameters
    ----------
    option : str
        Its name, for the message.
    given : sequence of str or None
        As SATELLITE=VALUE.

    Returns
    -------
    list of (str, str)
        Satellite and value.

    Raises
    ------
    DataError
        If one is not such a pair.
    """
    pairs = []
    for item in given or []:
        name, equals, value = item.partition("=")
        if not (name.strip() and equals and value.strip()):
            refuse(option, f"found {item!r}, expected SATELLITE=VALUE such as GOES-13=...")
        pairs.append((name.strip(), value.strip()))
    return pairs
