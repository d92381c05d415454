"""The command that scores forecasts: verify."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from particleflux.cli.app import Quiet, app, command_line, show_files
from particleflux.cli.inputs import refuse
from particleflux.cli.terminal import progress_line, say

if TYPE_CHECKING:
    import xarray as xr

    from particleflux.export import Provenance

SUFFIXES = (".json", ".csv", ".nc")
TABLE_LINE = "# particleflux scores 1: one row per score; lower and upper are the ends of its 95 % interval"


@app.command()
def verify(
    forecasts: Annotated[
        list[Path],
        typer.Argument(metavar="FORECAST...", help="What `forecast` wrote for a range of issue times; one or several."),
    ],
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="What `history` wrote, reaching over those days.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="File to write: .json or .nc for all of the report, .csv for a row per score."
        ),
    ],
    by: Annotated[
        str, typer.Option(metavar="year|all", help="Periods: each year and all days, or only those.")
    ] = "year",
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="F,F,...", help="Daily fluences to reach, electrons/(cm2 sr day).", show_default="1e8,1e9"
        ),
    ] = None,
    baselines: Annotated[
        str, typer.Option(metavar="NAME,...|all|none", help="Baselines to fit and to compare with.")
    ] = "all",
    baseline_training: Annotated[
        str | None,
        typer.Option(
            metavar="PERIODS",
            help="Days to fit the baselines to, such as 1999-2007,2011-2016 or 2011-01-01/2012-06-30. By default the "
            "days before the first issue time where three years of them hold flux, else all days not verified.",
        ),
    ] = None,
    bootstrap: Annotated[int, typer.Option(help="Draws for the intervals; 0 for none.", min=0, max=10_000)] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same intervals.", min=0)] = 1,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Figure to write: .png, .pdf or .svg.")] = None,
    quiet: Quiet = False,
) -> None:
    """Score forecasts against what was observed, beside the baselines, with intervals.

    A table of the scores of all days goes to stdout. Only days that every forecast has and that were observed count.
    """
    with progress_line("Reading", quiet=quiet):
        from particleflux.export import Provenance, check_writable, open_dataset
        from particleflux.export.files import FIGURE_SUFFIXES
        from particleflux.forecast import BASELINES, THRESHOLDS
        from particleflux.history import open_history, parse_periods
        from particleflux.verify import baselines as fit_baselines
        from particleflux.verify import check_forecast
        from particleflux.verify import verify as score

        # Every mistake that can show before the files are read shows before.
        check_writable(out, SUFFIXES)
        if plot is not None:
            check_writable(plot, FIGURE_SUFFIXES)
        if by not in ("year", "all"):
            refuse("--by", f"found {by!r}, expected 'year' or 'all'")
        levels = tuple(THRESHOLDS) if thresholds is None else _parse_thresholds(thresholds)
        names = _parse_baselines(baselines, tuple(BASELINES))
        training = None if baseline_training is None else parse_periods(baseline_training)
        if training is not None and not names:
            refuse("--baseline-training", "found days to fit to, but --baselines none; leave out one of the two")
        opened = []
        for path in forecasts:
            opened.append(open_dataset(path))
            check_forecast(opened[-1], str(path))
        observed = open_history(history)
    given = _name_forecasts(opened, forecasts, names)
    with progress_line("Fitting baselines", quiet=quiet):
        fitted = fit_baselines(observed, opened[0], names=names, training=training) if names else {}
    with progress_line("Scoring", quiet=quiet):
        report = score(
            given | fitted, observed, by=by, thresholds=levels, references=names, n_bootstrap=bootstrap, seed=seed
        )
    for name, forecast in given.items():
        _warn_if_seen(name, forecast)
    provenance = Provenance.now(
        command=command_line(),
        artefact=str(opened[0].attrs.get("model", "")),
        artefact_sha256=str(opened[0].attrs.get("model_sha256", "")),
        input_files=[*forecasts, history],
        settings={
            "by": by, "thresholds": list(levels), "baselines": list(names), "baseline_training": baseline_training,
            "bootstrap": bootstrap, "seed": seed,
        },
    )  # fmt: skip
    written = [_write(report, out, provenance)]
    if plot is not None:
        with progress_line("Drawing", quiet=quiet):
            from particleflux.plot import write_figure
            from particleflux.plot.verification import plot_verification

            written.append(write_figure(plot_verification(report), plot))
    _show(report, fitted, quiet=quiet)
    show_files(*written)


def _parse_thresholds(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(item) for item in text.split(","))
    except ValueError:
        refuse("--thresholds", f"found {text!r}, expected fluences in cm-2 sr-1 d-1 with commas between: 1e8,1e9")


def _parse_baselines(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    if text in ("all", "none"):
        return known if text == "all" else ()
    names = tuple(item.strip() for item in text.split(","))
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < len(names):
        refuse("--baselines", f"found {text!r}, expected 'all', 'none' or some of {', '.join(known)}, each once")
    return names


def _name_forecasts(opened: Sequence[xr.Dataset], paths: Sequence[Path], taken: Sequence[str]) -> dict[str, xr.Dataset]:
    """Name each forecast by its method, and by its file too where that alone does not tell them apart."""
    methods = [str(forecast.attrs.get("method") or path.stem) for forecast, path in zip(opened, paths, strict=True)]
    named: dict[str, xr.Dataset] = {}
    for method, forecast, path in zip(methods, opened, paths, strict=True):
        name = method if methods.count(method) == 1 and method not in taken else f"{method} ({path.stem})"
        if name in named:
            refuse("FORECAST", f"found {name!r} twice; give each forecast once, and files of other names")
        named[name] = forecast
    return named


def _warn_if_seen(name: str, forecast: xr.Dataset) -> None:
    """Warn where a model is scored on years it learnt from."""
    import numpy as np

    learnt = {year for year in str(forecast.attrs.get("trained_on", "")).split(",") if year.isdigit()}
    years = forecast["init_time"].to_numpy().astype("datetime64[Y]").astype(np.str_)
    seen = sorted(learnt & set(years.tolist()))
    if seen:
        share = np.isin(years, seen).mean()
        warnings.warn(
            f"{name} learnt from {share:.0%} of the days it is scored on ({seen[0]} to {seen[-1]}): the scores flatter "
            "it; train a model without those years (`particleflux train forecast --periods`) for its true skill",
            UserWarning,
            stacklevel=2,
        )


def _write(report: xr.Dataset, out: Path, provenance: Provenance) -> Path:
    from particleflux.export import replacing, write_dataset
    from particleflux.verify import to_table

    if out.suffix.lower() != ".csv":
        return write_dataset(report, out, provenance=provenance)
    described = {key: value for key, value in report.attrs.items() if value != ""} | provenance.to_attributes()
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(TABLE_LINE + "\n")
        stream.writelines(f"# {key}: {value}\n" for key, value in described.items())
        to_table(report).to_csv(stream, index=False, lineterminator="\n", float_format="%.6g")
    return out


def _show(report: xr.Dataset, fitted: dict[str, xr.Dataset], *, quiet: bool) -> None:
    from particleflux.verify import ALL, summarise

    _show_table(summarise(report))
    years = [str(label) for label in report["period"].to_numpy() if label != ALL]
    if years:
        typer.echo("\nprediction efficiency by year")
        efficiency = report["prediction_efficiency"]
        _show_table([
            {"lead": lead, "forecaster": name}
            | {year: efficiency.sel(period=year, lead_time=lead, forecaster=name).item() for year in years}
            for lead in report["lead_time"].to_numpy().tolist()
            for name in report["forecaster"].to_numpy().tolist()
        ])  # fmt: skip
    if quiet:
        return
    n = ", ".join(f"{int(one)} at lead {int(one['lead_time'])}" for one in report["n"].sel(period=ALL))
    say(f"days that count, from {report.attrs['first_day']} to {report.attrs['last_day']}: {n}")
    for one in report["count_n_missing_observation"]:
        if int(one):
            say(f"  {int(one)} of {int(report['count_n_days'].sel(lead_time=one['lead_time']))} days at lead "
                f"{int(one['lead_time'])} were not observed")  # fmt: skip
    for forecaster in report["forecaster"].to_numpy().tolist():
        missing = report["count_n_missing_forecast"].sel(forecaster=forecaster)
        if int(missing.max()):
            say(f"  {forecaster} has no forecast of up to {int(missing.max())} days")
    for trained_on in dict.fromkeys(str(forecast.attrs["trained_on"]) for forecast in fitted.values()):
        say(f"baselines fitted to {trained_on}")


def _show_table(rows: Sequence[dict[str, str | int | float]]) -> None:
    widths = {key: max(len(key), *(len(_cell(row[key])) for row in rows)) for key in rows[0]}
    typer.echo(
        "  ".join(key.ljust(width) if key == "forecaster" else key.rjust(width) for key, width in widths.items())
    )
    for row in rows:
        cells = {key: _cell(value) for key, value in row.items()}
        line = (cells[k].ljust(w) if k == "forecaster" else cells[k].rjust(w) for k, w in widths.items())
        typer.echo("  ".join(line))


def _cell(value: str | int | float) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3f}"
    return str(value)
