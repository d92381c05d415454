"""From the arguments of the command line to checked values and labelled counts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer.core

from particleflux.cli.terminal import Show, progress_line, spread_values
from particleflux.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

    from particleflux.instruments import Instrument
    from particleflux.io.times import TimeRange
    from particleflux.reconstruct import Prepared

COUNTS_SUFFIXES = (".nc", ".csv")
#: A label beside the data is passed over by the reader.
INPUT_SUFFIXES = (*COUNTS_SUFFIXES, ".cdf", ".lblx")


class SeveralValues(typer.core.TyperCommand):
    """A command whose --background and --reference take one or more values, as a shell expands a pattern."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse with each of the values behind an option of its own.

        Parameters
        ----------
        ctx : Context
            Of the command.
        args : list of str
            What the shell gave.

        Returns
        -------
        list of str
            What is left over.
        """
        return list(super().parse_args(ctx, spread_values(args, ("--background", "--reference"), single=("auto",))))


def refuse(option: str, problem: str) -> NoReturn:
    """Refuse the value of an option.

    Parameters
    ----------
    option : str
        Its name.
    problem : str
        What was found, what was expected, what to do.

    Raises
    ------
    DataError
        Always.
    """
    msg = f"{option}: {problem}"
    raise DataError(msg)


def parse_energies(text: str | None) -> tuple[float, ...] | None:
    """Read energies with commas between.

    Parameters
    ----------
    text : str or None
        As given to --energies.

    Returns
    -------
    tuple of float or None
        Energies in MeV.

    Raises
    ------
    DataError
        If one is no number.
    """
    if text is None:
        return None
    try:
        return tuple(float(item) for item in text.split(","))
    except ValueError:
        msg = f"--energies: found {text!r}, expected numbers in MeV with commas between, such as 5,10,20"
        raise DataError(msg) from None


def parse_length(text: str) -> str | None:
    """Check a length of accumulation.

    Parameters
    ----------
    text : str
        As given to --every.

    Returns
    -------
    str or None
        The same; None for the native cadence, "auto" for the usual one.

    Raises
    ------
    DataError
        If it is no length of time.
    """
    import pandas as pd

    if text in ("native", "auto"):
        return None if text == "native" else text
    try:
        good = pd.Timedelta(text) > pd.Timedelta(0)
    except ValueError:
        good = False
    if not good:
        refuse("--every", f"found {text!r}, expected a length of time such as 15min, 1h or 1D, or 'native'")
    return text


def parse_span(start: str | None, stop: str | None) -> TimeRange:
    """Read the ends of the range.

    Parameters
    ----------
    start, stop : str or None
        As given to --start and --stop.

    Returns
    -------
    TimeRange
        The half-open range of UTC instants.

    Raises
    ------
    DataError
        If an end is no time, or the range is empty.
    """
    from particleflux.io.times import TimeRange

    try:
        return TimeRange.parse(start, stop)
    except DataError as error:
        refuse("--start, --stop", str(error))


def open_files(
    names: Sequence[str], instrument: Instrument, start: str | None, stop: str | None, show: Show
) -> tuple[xr.Dataset, list[Path]]:
    """Read counts from RADEM files, folders and patterns, or from one file of counts; and list the files read.

    Parameters
    ----------
    names : sequence of str
        What the user named.
    instrument : Instrument
        What counted.
    start, stop : str or None
        Ends of the range, UTC.
    show : Show
        Told of each file.

    Returns
    -------
    counts : Dataset, dims (time, channel)
        As the readers give it.
    paths : list of Path
        The files the counts came from.

    Raises
    ------
    DataError
        If files of different kinds are mixed, or nothing lies in the range.
    """
    import numpy as np

    from particleflux.io import open_counts, open_radem
    from particleflux.io.paths import select_radem_files

    span = parse_span(start, stop)
    tables = [name for name in names if Path(name).suffix.lower() in COUNTS_SUFFIXES]
    if tables and len(names) > 1:
        msg = f"{tables[0]}: found together with other files; give one .nc or .csv of counts, or CDF files only"
        raise DataError(msg)
    others = [name for name in names if Path(name).is_file() and Path(name).suffix.lower() not in INPUT_SUFFIXES]
    if others:
        msg = (
            f"{others[0]}: expected RADEM .cdf files, folders or patterns of them, or one .nc or .csv of counts; "
            "give one of those"
        )
        raise DataError(msg)
    if not tables:
        if instrument.name != "radem":
            msg = (
                f"{names[0]}: CDF files are read as RADEM's, but --instrument is {instrument.name!r}; give .nc or .csv"
            )
            raise DataError(msg)
        counts = open_radem(names, start=start, stop=stop, progress=show)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when the files were read
            return counts, [file.path for file in select_radem_files(names, span)]
    counts = open_counts(tables[0], instrument=instrument)
    if counts.attrs["instrument"] != instrument.name:
        msg = (
            f"{tables[0]}: holds counts of {counts.attrs['instrument']!r}, but --instrument is {instrument.name!r}; "
            "give the file or the instrument that belongs to it"
        )
        raise DataError(msg)
    time = counts["time"].to_numpy()
    inside = span.contains(time)
    if not inside.any():
        asked = f"{start or 'the beginning'} to {stop or 'the end'}"
        ends = " to ".join(np.datetime_as_string(time[[0, -1]], unit="s"))
        msg = f"{tables[0]}: no sample in {asked}; it holds {ends} UTC: give another --start or --stop"
        raise DataError(msg)
    return counts.isel(time=inside), [Path(tables[0])]


def prepare_files(
    files: Sequence[str],
    instrument: Instrument,
    *,
    background: Sequence[str] | None,
    start: str | None,
    stop: str | None,
    length: str | None,
    quiet: bool,
    figure: str | None = None,
) -> tuple[Prepared, list[Path]]:
    """Read counts and background, and make of them what a method works on.

    Parameters
    ----------
    files : sequence of str
        What the user named.
    instrument : Instrument
        What counted.
    background : sequence of str or None
        As given to --background.
    start, stop : str or None
        Ends of the range, UTC.
    length : str or None
        Of the accumulation, as `parse_length` gives it.
    quiet : bool
        Show no progress.
    figure : str, optional
        Option that asks for a course in time, which independent samples have not.

    Returns
    -------
    prepared : Prepared
        Counts and background.
    paths : list of Path
        The files they came from.

    Raises
    ------
    DataError
        If the files or the options cannot be used.
    """
    from particleflux.reconstruct import prepare

    with progress_line("Reading counts", quiet=quiet) as show:
        counts, paths = open_files(files, instrument, start, stop, show)
    if figure is not None and counts.attrs.get("independent_samples", 0):
        refuse(figure, f"{files[0]} holds independent samples, which have no course in time to draw; leave it out")
    quiet_counts: str | xr.Dataset | None = "auto" if background else None
    if background and list(background) != ["auto"]:
        if "auto" in background:
            refuse("--background", "'auto' and files together; give one or the other")
        with progress_line("Reading background", quiet=quiet) as show:
            quiet_counts, more = open_files(background, instrument, None, None, show)
            paths += more
    with progress_line("Preparing", quiet=quiet):
        return prepare(counts, instrument=instrument, background=quiet_counts, every=length), paths


def open_reference(name: str) -> xr.Dataset:
    """Read what another instrument measured: a text file of STEREO LET or HET.

    Parameters
    ----------
    name : str
        As given to --reference.

    Returns
    -------
    Dataset, dims (time, energy)
        As its reader gives it.

    Raises
    ------
    DataError
        If the file is neither of the two.
    MissingDataError
        If it does not exist.
    """
    from particleflux.io import open_stereo_het, open_stereo_let

    try:
        with Path(name).open(encoding="utf-8", errors="replace") as stream:
            first = stream.readline()
    except OSError:
        first = ""  # the reader says what is wrong
    # HET's table begins with its header; LET's text is described line by line.
    return open_stereo_het(name) if first.count(";") > 4 else open_stereo_let(name)
