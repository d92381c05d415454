"""Command that forecasts the daily electron fluence at geostationary orbit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from particleflux.cli.app import ModelOption, Quiet, app, command_line, show_files
from particleflux.cli.inputs import parse_span, refuse
from particleflux.cli.terminal import progress_line, say

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import xarray as xr

    from particleflux.forecast import Forecaster
    from particleflux.io.times import TimeRange

NETWORK = "lstm"


@app.command()
def forecast(
    history: Annotated[
        Path, typer.Argument(metavar="HISTORY", help="History file (.nc), or a .csv with the contract's columns.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .nc, .csv or .json.")],
    model: ModelOption = None,
    method: Annotated[
        str,
        typer.Option(
            help="Method; available: lstm, persistence, recurrence, climatology, autoregressive. "
            "All but lstm are fitted to the history before the first issue time."
        ),
    ] = NETWORK,
    satellite: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Satellite that measured the flux, such as GOES-13: whose it is, where the file does not say; "
            "where it does, only its days are used.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="T", help="First issue time, UTC; makes a hindcast of every day from it on.")
    ] = None,
    stop: Annotated[
        str | None, typer.Option(metavar="T", help="First issue time not wanted, UTC; a bare date is included.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Figure to write: .png, .pdf or .svg.")] = None,
    quiet: Quiet = False,
) -> None:
    """Forecast the daily fluence of electrons above 2 MeV for three days ahead, with its probabilities.

    Without --start and --stop: the latest forecast, issued when the last day of HISTORY is over. The latest issue time
    is shown as a table on stdout.
    """
    with progress_line("Starting", quiet=quiet):
        from particleflux.export import Provenance, check_writable, write_dataset
        from particleflux.export.files import FIGURE_SUFFIXES
        from particleflux.forecast import BASELINES
        from particleflux.history import open_history

        # Every mistake that can show before the history is read shows before.
        check_writable(out, (".nc", ".csv", ".json"))
        if plot is not None:
            check_writable(plot, FIGURE_SUFFIXES)
        span = parse_span(start, stop)
        if method not in (NETWORK, *BASELINES):
            refuse("--method", f"found {method!r}; choose one of: {', '.join((NETWORK, *BASELINES))}")
        if method != NETWORK and model is not None:
            refuse("--model", f"found with --method {method}, which is fitted to the history itself; leave one out")
        forecaster = _load(model) if model is not None else None
    with progress_line("Reading the history", quiet=quiet):
        days = open_history(history, satellite=satellite)
        if satellite is not None:
            days = restrict(days, satellite)
    with progress_line("Forecasting", quiet=quiet):
        issued = choose_issue_times(days, span)
        if forecaster is None:
            forecaster = _load_default(days) if method == NETWORK else _fit(method, days, issued)
        made = forecaster.predict(days, init_time=issued)
    settings = {"method": method, "model": model, "satellite": satellite, "start": start, "stop": stop}
    provenance = Provenance.now(
        command=command_line(),
        artefact=str(made.attrs.get("model", "")),
        artefact_sha256=str(made.attrs.get("model_sha256", "")),
        input_files=[history],
        settings=settings,
    )
    # First the forecast: where there is nothing to draw, it must not be lost.
    written = [write_dataset(made, out, provenance=provenance)]
    if plot is not None:
        with progress_line("Drawing", quiet=quiet):
            from particleflux.plot import write_figure
            from particleflux.plot.forecast import plot_forecast

            written.append(write_figure(plot_forecast(made, days), plot))
    for line in show_latest(made):
        typer.echo(line)
    if not quiet and len(issued) > 1:
        for line in summarise_flags(made):
            say(line)
    show_files(*written)


def restrict(history: xr.Dataset, satellite: str) -> xr.Dataset:
    """Keep the electrons of one satellite only; the days of others become gaps.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        Days, with `satellite` (time).
    satellite : str
        Its name.

    Returns
    -------
    Dataset, dims (time[, hour])
        The same days.

    Raises
    ------
    DataError
        If no day is of that satellite.
    """
    import numpy as np

    names = history["satellite"].to_numpy().astype(np.str_)
    if satellite not in names:
        known = ", ".join(sorted({str(name) for name in names if name})) or "none"
        refuse("--satellite", f"found {satellite!r}, but the flux of the history is of: {known}; give one of those")
    mine = names == satellite
    kept = history.copy()
    for name in map(str, history.data_vars):
        if name.startswith(("electron_flux", "fluence")):
            kept[name] = history[name].where(history["time"].copy(data=mine))
    kept["satellite"] = ("time", np.where(mine, names, ""), history["satellite"].attrs)
    if "calibration" in history:
        codes = history["calibration"].to_numpy()
        kept["calibration"] = ("time", np.where(mine, codes, -1).astype(codes.dtype), history["calibration"].attrs)
    return kept.assign_attrs(satellite=satellite)


def choose_issue_times(history: xr.Dataset, span: TimeRange) -> npt.NDArray[np.datetime64]:
    """Give the issue times that a range asks for.

    Parameters
    ----------
    history : Dataset, dims (time, ...)
        Days.
    span : TimeRange
        The range; open on both sides for the latest issue time alone.

    Returns
    -------
    array of datetime64[ns], shape (init_time,)
        Starts of days, in order.

    Raises
    ------
    DataError
        If there is none in the range.
    """
    import numpy as np

    from particleflux.forecast.issue import issue_times

    latest = issue_times(history)
    if span.start is None and span.stop is None:
        return latest
    every: npt.NDArray[np.datetime64] = np.concatenate([history["time"].to_numpy(), latest])
    chosen = every[span.contains(every)]
    if not len(chosen):
        first, last = np.datetime_as_string(every[[0, -1]], unit="m")
        refuse("--start, --stop", f"no issue time in {span}; the history allows those from {first} to {last} UTC")
    return chosen


def show_latest(made: xr.Dataset) -> list[str]:
    """Write the forecast of the latest issue time as a table.

    Parameters
    ----------
    made : Dataset, dims (init_time, lead_time, quantile, threshold)
        A forecast.

    Returns
    -------
    list of str
        Its lines.
    """
    import numpy as np

    latest = made.isel(init_time=int(np.argmax(made["init_time"].to_numpy())))
    issued = _minute(latest["init_time"].to_numpy())
    origin = ", ".join(str(made.attrs[key]) for key in ("method", "model") if made.attrs.get(key))
    thresholds = [f"P(>{value:.3g})".replace("e+0", "e") for value in made["threshold"].to_numpy()]
    lines = [f"daily fluence of electrons > 2 MeV, cm-2 sr-1 d-1; issued {issued} UTC; {origin}"]
    titles = ("day from", "median", "68 % interval", *thresholds)
    lines.append(f"{titles[0]:<17}{titles[1]:>9}{titles[2]:>22}" + "".join(f"{title:>10}" for title in titles[3:]))
    for lead in range(latest.sizes["lead_time"]):
        day = latest.isel(lead_time=lead)
        low, median, high = (float(day["fluence_gt2mev"].sel(quantile=level)) for level in (0.16, 0.5, 0.84))
        row = f"{_minute(day['valid_time'].to_numpy()):<17}"
        if np.isnan(median):
            lines.append(f"{row}{'none':>9}")
            continue
        chances = "".join(f"{_percent(float(value)):>10}" for value in day["probability"].to_numpy())
        lines.append(f"{row}{median:>9.1e}{f'{low:.1e} to {high:.1e}':>22}{chances}")
    words = _words(int(latest["quality"]))
    return [*lines, f"flags: {', '.join(words) or 'none'}"]


def summarise_flags(made: xr.Dataset) -> list[str]:
    """Count the forecasts of a hindcast, and how many of them are flagged with what.

    Parameters
    ----------
    made : Dataset, dims (init_time, lead_time, quantile, threshold)
        A forecast.

    Returns
    -------
    list of str
        Lines.
    """
    from particleflux.names import ForecastQuality

    quality = made["quality"].to_numpy()
    n_made = int((quality & ForecastQuality.NOT_FORECAST.value == 0).sum())
    lines = [f"{n_made} of {len(quality)} issue times forecast"]
    counts = {flag: int((quality & flag.value != 0).sum()) for flag in ForecastQuality if flag}
    return lines + [f"  {number:>6} flagged {_words(flag.value)[0]}" for flag, number in counts.items() if number]


def _load(model: str) -> Forecaster:
    from particleflux.forecast.lstm import LstmForecaster

    loaded: Forecaster = LstmForecaster.load(model)
    return loaded


def _load_default(history: xr.Dataset) -> Forecaster:
    from particleflux.forecast.lstm import default_model

    return _load(default_model(history))


def _fit(method: str, history: xr.Dataset, issued: Any) -> Forecaster:
    from particleflux.errors import MissingDataError
    from particleflux.forecast import BASELINES

    before = history.isel(time=history["time"].to_numpy() < issued[0])
    try:
        return BASELINES[method].fit(before)
    except MissingDataError as error:
        first = _minute(issued[0])
        refuse("--method", f"{method} is fitted to what was measured before the first issue time, {first}: {error}")


def _minute(time: Any) -> str:
    return str(time.astype("datetime64[m]")).replace("T", " ")


def _percent(probability: float) -> str:
    # A small chance is no certainty.
    if probability < 0.01:
        return "<1 %"
    return ">99 %" if probability > 0.99 else f"{probability:.0%}".replace("%", " %")


def _words(quality: int) -> list[str]:
    from particleflux.names import ForecastQuality

    flags = [flag for flag in ForecastQuality if flag and quality & flag.value]
    return [str(flag.name).lower().replace("_", " ") for flag in flags]
