"""Command that gets public files: fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from particleflux.cli.app import EXIT_MISTAKE, Quiet, app, show_files
from particleflux.cli.inputs import refuse
from particleflux.cli.terminal import PROGRAM, progress_line, say
from particleflux.errors import DataError

#: The public data service; `--base` names a mirror.
BASE_URL = "https://services.swpc.noaa.gov"
#: Most seconds, and most MiB, that can be asked for.
MOST = 1e6


@app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Feeds to fetch; all of --list by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to write to; made if absent.")
    ] = None,
    list_sources: Annotated[bool, typer.Option("--list", help="Show the feeds and their addresses, and exit.")] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Name the files by the time too: called once a day, they add up to a history. Else replace."
        ),
    ] = False,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Fetch this file instead.")] = None,
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="Hash that the file of --url must have.")] = None,
    base: Annotated[
        str, typer.Option(metavar="URL", help="Service the feeds come from, or a mirror of it.")
    ] = BASE_URL,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Longest wait for the server.", min=0.1)] = 30.0,
    attempts: Annotated[int, typer.Option(help="Most requests for a file, where the trouble may pass.", min=1)] = 4,
    limit: Annotated[float, typer.Option(metavar="MIB", help="Longest file.", min=0.001)] = 64.0,
    quiet: Quiet = False,
) -> None:
    """Fetch the live feeds of NOAA SWPC, or one public file by its address.

    An answer is checked before it takes its name: a damaged one never replaces a good file. Beside each file a
    .provenance.json records address, time, size and hash.
    """
    with progress_line("Starting", quiet=quiet):
        from particleflux.fetch import SOURCES, Downloader, Fetched, fetch_source, fetch_url
    if list_sources:
        width = max(map(len, SOURCES))
        for source in SOURCES.values():
            typer.echo(f"{source.name:<{width}}  {source.url(base)}  {source.description}")
        return
    if out is None:
        refuse("--out", "found none, expected a folder to write to; give -o FOLDER")
    if url is not None and (names or keep):
        refuse("--url", "found together with names or --keep; fetch the file alone")
    if sha256 is not None and url is None:
        refuse("--sha256", "found without --url; the feeds change all the time and have no fixed hash")
    unknown = [name for name in names or () if name not in SOURCES]
    if unknown:
        refuse("NAME", f"found {unknown[0]!r}, expected some of {', '.join(SOURCES)}; see `{PROGRAM} fetch --list`")
    # Written so that NaN, which passes every limit of an option, fails.
    for option, value in (("--timeout", timeout), ("--limit", limit)):
        if not 0 < value <= MOST:
            refuse(option, f"found {value:g}, expected a number up to {MOST:g}; leave it out for the usual one")
    out.mkdir(parents=True, exist_ok=True)
    downloader = Downloader(timeout=timeout, attempts=attempts, most_bytes=int(limit * 2**20))
    failed = False
    for name in [url] if url is not None else list(dict.fromkeys(names or SOURCES)):
        try:
            with progress_line(f"Fetching {name}", quiet=quiet) as show:

                def progress(done: int, total: int) -> None:
                    if total:
                        show(done, max(done, total))

                fetched: Fetched = (
                    fetch_url(name, out, sha256=sha256, downloader=downloader, progress=progress)
                    if url is not None
                    else fetch_source(name, out, base=base, keep=keep, downloader=downloader, progress=progress)
                )
        except DataError as error:
            # One feed that is down does not keep the others from being fetched.
            say(f"{PROGRAM}: error: {error}")
            failed = True
            continue
        if fetched.received is None:
            say(f"already there: {fetched.path}")
            continue
        if fetched.n_samples and not quiet:
            say(f"{name}: {fetched.n_samples} samples from {fetched.first} to {fetched.last}")
        show_files(fetched.path)
    if failed:
        raise typer.Exit(EXIT_MISTAKE)
