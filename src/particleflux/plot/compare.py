"""One page on which several methods stand side by side: counts, spectra, residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

from particleflux._figure_data import flux_limits, positive
from particleflux.errors import AxisError, MissingDataError
from particleflux.names import Assessment, Quality, require
from particleflux.plot import _panels as panels

Array = npt.NDArray[Any]

#: Colours of Okabe and Ito, marker and line of each method: each of the three tells them apart alone.
LOOKS: dict[str, tuple[str, str, Any]] = {
    "npe": ("#0072B2", "o", "-"),
    "bayes": ("#D55E00", "s", "--"),
    "ensemble": ("#009E73", "^", "-."),
    "fit": ("#CC79A7", "D", (0, (6, 1.5))),
    "regularised": ("#56B4E9", "v", (0, (3, 1, 1, 1, 1, 1))),
    "bowtie": ("#E69F00", "P", ":"),
}
_OTHERS = (("#000000", "X", "-"), ("#7A7A7A", "<", "--"), ("#8C6D31", ">", "-."))
_REFERENCES = ("o", "s", "D", "^")
# With as few energies as this, a method gives points and no curve.
_FEW = 8
_COLUMNS = 3
# Residuals beyond this are drawn at the edge, as arrows.
_MOST = 6.0
_SHOWN_FLAGS = (
    Quality.BACKGROUND_HELD | Quality.BACKGROUND_ASSUMED | Quality.CHANNEL_LEFT_OUT | Quality.EXTRAPOLATED
    | Quality.BELOW_DETECTION
)  # fmt: skip


def plot_comparison(
    counts: xr.Dataset,
    results: Mapping[str, xr.Dataset],
    *,
    span: tuple[np.datetime64, np.datetime64] | None = None,
    background: xr.Dataset | None = None,
    references: Sequence[xr.Dataset] = (),
) -> Figure:
    """Draw counts, the spectra of all methods, measurements of others, and the residuals of the refolded rates.

    Parameters
    ----------
    counts : Dataset, dims (time, channel)
        `counts` and `exposure` of the whole time to show.
    results : mapping of str to Dataset, dims (time, energy)
        By method, one sample each, as `particleflux.reconstruct.compare` gives them.
    span : tuple of datetime64, optional
        The time that the sample stands for, shaded.
    background : Dataset, dims (channel) or (time, channel), optional
        `background_rate` (s-1), drawn dotted.
    references : sequence of Dataset, dims (energy), optional
        `flux` and `flux_std` measured by others; the attribute `instrument` names each.

    Returns
    -------
    Figure
        Not bound to any window; write it with `write_figure`.

    Raises
    ------
    MissingDataError
        If there is no method.
    AxisError
        If a variable is missing, or a method gives another number of samples than one.
    UnitError
        If a unit is absent or another one.
    """
    require(counts, "counts", "exposure")
    if not results:
        msg = "nothing to compare: found no method, expected at least one; run `compare` of particleflux.reconstruct"
        raise MissingDataError(msg)
    for name, result in results.items():
        require(result, "flux", "energy")
        if result.sizes.get("time") != 1:
            msg = f"method {name!r} has {result.sizes.get('time')} samples, expected one; select it, or sum them first"
            raise AxisError(msg)
    spectra = {name: result.isel(time=0) for name, result in results.items()}
    looks = _choose_looks(spectra)
    n_rows = -(-len(spectra) // _COLUMNS)
    with panels.style():
        engine = ConstrainedLayoutEngine(h_pad=0.05, w_pad=0.05)
        figure = Figure(figsize=(10, 6.6 + 1.85 * n_rows), layout=engine)
        parts: Any = figure.subfigures(3, 1, height_ratios=[2.4, 4.0, 0.5 + 1.9 * n_rows])
        axis = parts[0].subplots()
        panels.draw_rates(axis, counts, background)
        panels.set_dates(axis, counts)
        part = span is not None and (span[0] > counts["time"].to_numpy()[0] or counts["time"].to_numpy()[-1] >= span[1])
        if span is not None and part:
            axis.axvspan(*span, color="#F0E442", alpha=0.35, lw=0, zorder=0)
        axis.set_title(_say_span(counts, span, part=part), loc="left", fontsize=9)
        left, right = parts[1].subplots(1, 2, width_ratios=[1.15, 1.0])
        _draw_spectra(left, spectra, looks, references)
        _draw_residuals(right, spectra, looks)
        _draw_ratios(parts[2], spectra, looks, references, n_rows)
    return figure


def _choose_looks(spectra: Mapping[str, xr.Dataset]) -> dict[str, tuple[str, str, Any]]:
    rest = [name for name in spectra if name not in LOOKS]
    others = {name: _OTHERS[number % len(_OTHERS)] for number, name in enumerate(rest)}
    return {name: LOOKS.get(name) or others[name] for name in spectra}


def _say_span(counts: xr.Dataset, span: tuple[np.datetime64, np.datetime64] | None, *, part: bool) -> str:
    instrument = str(counts.attrs.get("instrument", "counts")).upper()
    if span is None:
        return instrument
    ends = [str(np.datetime_as_string(moment, unit="m")).replace("T", " ") for moment in span]
    return f"{instrument}; spectra of {ends[0]} to {ends[1]} UTC{' (shaded)' if part else ''}"


def _is_limit(spectrum: xr.Dataset) -> bool:
    return bool("quality" in spectrum and int(spectrum["quality"]) & Quality.BELOW_DETECTION.value)


def _bound(spectrum: xr.Dataset, suffix: str, scale: Array) -> Array:
    name = f"flux{suffix}"
    return positive(spectrum[name]) / scale if name in spectrum else np.full(spectrum.sizes["energy"], np.nan)


def _draw_curve(
    axis: Any, spectrum: xr.Dataset, look: tuple[str, str, Any], scale: Array | float = 1.0, *, outer: bool
) -> None:
    """Draw median and bands, or points where there are few; of a sample without a signal its upper limit."""
    colour, marker, line = look
    energy = spectrum["energy"].to_numpy()
    factor = np.broadcast_to(np.asarray(scale, dtype=float), energy.shape)
    if _is_limit(spectrum):
        limit = _bound(spectrum, "_upper95", factor)
        axis.plot(energy, limit, color=colour, ls=":", lw=1.2, marker=7, markevery=max(1, len(energy) // 8), ms=5)
        return
    median = _bound(spectrum, "", factor)
    if len(energy) <= _FEW:
        for suffix, width in (("95", 0.8), ("", 2.2)):
            if suffix == "95" and not outer:
                continue
            ends = [_bound(spectrum, f"_{side}{suffix}", factor) for side in ("lower", "upper")]
            axis.vlines(energy, *ends, color=colour, lw=width)
        axis.plot(energy, median, color=colour, ls="", marker=marker, ms=5, mec="white", mew=0.5)
        return
    for suffix, alpha in (("95", 0.16), ("", 0.34 if outer else 0.18)):
        if suffix == "95" and not outer:
            continue
        ends = [_bound(spectrum, f"_{side}{suffix}", factor) for side in ("lower", "upper")]
        axis.fill_between(energy, *ends, color=colour, alpha=alpha, lw=0)
    axis.plot(energy, median, color=colour, ls=line, lw=1.5)


def _draw_references(axis: Any, references: Sequence[xr.Dataset], common: tuple[Array, Array] | None = None) -> None:
    for number, reference in enumerate(references):
        energy, flux = reference["energy"].to_numpy(), positive(reference["flux"])
        scale = np.ones(len(energy)) if common is None else _interpolate(*common, energy)
        error = positive(reference["flux_std"]) if "flux_std" in reference else np.full(len(energy), np.nan)
        axis.errorbar(
            energy, flux / scale, yerr=np.minimum(np.nan_to_num(error), 0.999 * np.nan_to_num(flux, nan=1.0)) / scale,
            fmt=_REFERENCES[number % len(_REFERENCES)], ms=3.4 if common is None else 2.6, color="black", mfc="white",
            mew=0.8, lw=0.8, zorder=5,
        )  # fmt: skip


def _draw_spectra(
    axis: Any, spectra: Mapping[str, xr.Dataset], looks: Mapping[str, tuple[str, str, Any]],
    references: Sequence[xr.Dataset],
) -> None:  # fmt: skip
    handles: list[Any] = []
    for name, spectrum in spectra.items():
        _draw_curve(axis, spectrum, looks[name], outer=False)
        colour, marker, line = looks[name]
        few = spectrum.sizes["energy"] <= _FEW
        label = name + (" (95 % limit)" if _is_limit(spectrum) else "")
        handles.append(
            Line2D([], [], color=colour, ls="" if few else line, marker=marker if few else "", lw=1.5, label=label)
        )
    _draw_references(axis, references)
    for number, reference in enumerate(references):
        name = str(reference.attrs.get("instrument", "reference")).replace("_", " ").upper()
        marker = _REFERENCES[number % len(_REFERENCES)]
        handles.append(Line2D([], [], color="black", ls="", marker=marker, mfc="white", ms=4, label=name))
    handles.append(Patch(color=panels.GREY, alpha=0.35, lw=0, label="68 %"))
    _set_energies(axis, spectra, references)
    axis.set_yscale("log")
    axis.set_ylim(*_flux_limits(spectra, references))
    axis.yaxis.set_major_formatter(LogFormatterSciNotation())
    axis.set_ylabel(panels.FLUX_LABEL)
    axis.set_xlabel("Energy (MeV)")
    axis.legend(handles=handles, loc="best", fontsize=8, handlelength=2.8)


def _flux_limits(spectra: Mapping[str, xr.Dataset], references: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Give limits that show every median, or limit, and the references; far tails run out of sight."""
    shown = [spectrum[["flux"]].assign(flux=_curve(spectrum)) for spectrum in spectra.values()]
    pairs = [flux_limits(spectrum) for spectrum in shown if np.isfinite(positive(spectrum["flux"])).any()]
    pairs += [flux_limits(reference) for reference in references if np.isfinite(positive(reference["flux"])).any()]
    top = max((high for _, high in pairs), default=1.0)
    return max(min((low for low, _ in pairs), default=1e-6), 1e-9 * top), top


def _curve(spectrum: xr.Dataset) -> xr.DataArray:
    """Give the median, or the upper limit of a sample without a signal."""
    return spectrum["flux_upper95" if _is_limit(spectrum) and "flux_upper95" in spectrum else "flux"]


def _set_energies(axis: Any, spectra: Mapping[str, xr.Dataset], references: Sequence[xr.Dataset]) -> None:
    """Show the energies of the methods, and references a little beyond them."""
    grids = [spectrum["energy"].to_numpy() for spectrum in spectra.values()]
    low, high = min(grid.min() for grid in grids), max(grid.max() for grid in grids)
    measured = np.concatenate([reference["energy"].to_numpy() for reference in references] or [np.array([])])
    near = measured[(measured > low / 1.6) & (measured < high * 1.6)]
    ends = np.concatenate([near, [low, high]])
    axis.set_xscale("log")
    axis.set_xlim(ends.min() / 1.06, ends.max() * 1.06)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def _draw_residuals(
    axis: Any, spectra: Mapping[str, xr.Dataset], looks: Mapping[str, tuple[str, str, Any]]
) -> None:  # fmt: skip
    judged = {name: spectrum for name, spectrum in spectra.items() if "residual" in spectrum}
    if not judged:
        axis.set_axis_off()
        return
    channels = [str(name) for name in next(iter(judged.values()))["channel"].to_numpy()]
    for half, shade in ((2.0, "#EEEEEE"), (1.0, "#DDDDDD")):
        axis.axhspan(-half, half, color=shade, lw=0, zorder=0)
    axis.axhline(0.0, color=panels.GREY, lw=0.8, zorder=1)
    for edge in np.arange(0.5, len(channels) - 1):
        axis.axvline(edge, color="white", lw=1.2, zorder=1)
    shift = np.linspace(-0.32, 0.32, len(judged)) if len(judged) > 1 else np.zeros(1)
    for offset, (name, spectrum) in zip(shift, judged.items(), strict=True):
        colour, marker, _ = looks[name]
        values = spectrum["residual"].sel(channel=channels).to_numpy()
        read = spectrum["is_read"].sel(channel=channels).to_numpy()
        for position, (value, is_read) in enumerate(zip(values, read, strict=True)):
            if not np.isfinite(value):
                continue
            beyond = abs(value) > _MOST
            shape = (6 if value > 0 else 7) if beyond else marker
            axis.plot(
                position + offset, np.clip(value, -_MOST + 0.2, _MOST - 0.2), marker=shape, ls="", ms=5.5, color=colour,
                mfc=colour if is_read else "white", zorder=3,
            )  # fmt: skip
    axis.set_xlim(-0.5, len(channels) - 0.5)
    axis.set_ylim(-_MOST, _MOST)
    axis.set_xticks(range(len(channels)), channels)
    axis.tick_params(axis="x", length=0)
    axis.grid(visible=False)
    axis.set_ylabel("(Observed - predicted) / standard deviation")
    handles = []
    for name, spectrum in judged.items():
        # A spectrum that ends where most channels only begin to count predicts none of them.
        label = name if np.isfinite(spectrum["residual"].to_numpy()).any() else f"{name}: too short"
        handles.append(Line2D([], [], ls="", marker=looks[name][1], color=looks[name][0], ms=5.5, label=label))
    handles.append(Line2D([], [], ls="", marker="o", color=panels.GREY, mfc="white", ms=5.5, label="channel not read"))
    axis.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, fontsize=8, handletextpad=0.2,
                columnspacing=1.0, borderaxespad=0.2)  # fmt: skip


def _draw_ratios(
    figure: Any, spectra: Mapping[str, xr.Dataset], looks: Mapping[str, tuple[str, str, Any]],
    references: Sequence[xr.Dataset], n_rows: int,
) -> None:  # fmt: skip
    common = _middle(spectra)
    headlines = {name: _headline(name, spectrum) for name, spectrum in spectra.items()}
    # A second line for the flags, where any method has some: the same height for all.
    blank = "\n " if any("\n" in text for text in headlines.values()) else ""
    axes = figure.subplots(n_rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    low, high = 0.5, 2.0
    for number, (name, spectrum) in enumerate(spectra.items()):
        axis = axes.flat[number]
        axis.axhline(1.0, color=panels.GREY, lw=0.8, zorder=1)
        text = headlines[name]
        axis.set_title(text if "\n" in text else text + blank, loc="left", fontsize=8.5)
        if common is None:
            continue
        scale = _interpolate(*common, spectrum["energy"].to_numpy())
        _draw_curve(axis, spectrum, looks[name], scale, outer=True)
        _draw_references(axis, references, common)
        for suffix in ("_upper95",) if _is_limit(spectrum) else ("_lower", "_upper"):
            ratio = _bound(spectrum, suffix, scale)
            if np.isfinite(ratio).any():
                low, high = min(low, float(np.nanmin(ratio))), max(high, float(np.nanmax(ratio)))
    for axis in axes.flat[len(spectra) :]:
        axis.set_axis_off()
    first = axes.flat[0]
    first.set_yscale("log")
    first.set_ylim(max(low / 1.3, 0.08), min(high * 1.3, 12.0))
    first.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    first.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    first.yaxis.set_minor_formatter(NullFormatter())
    _set_energies(first, spectra, references)
    for column in range(_COLUMNS):
        shown = [axis for row, axis in enumerate(axes[:, column]) if row * _COLUMNS + column < len(spectra)]
        if shown:
            shown[-1].set_xlabel("Energy (MeV)")
            shown[-1].tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("Flux over the\nmedian of methods")


def _headline(name: str, spectrum: xr.Dataset) -> str:
    words = []
    if not np.isfinite(spectrum["flux"].to_numpy()).any():
        words.append("no result")
    if "fit_probability" in spectrum and np.isfinite(float(spectrum["fit_probability"])):
        value = float(spectrum["fit_probability"])
        words.append(f"fit p = {value:.2g}" if value >= 0.001 else "fit p < 0.001")
    if "assessment" in spectrum:
        words.append(Assessment(int(spectrum["assessment"])).name.lower().replace("_", " "))
    quality = int(spectrum["quality"]) if "quality" in spectrum else 0
    raised = [str(flag.name).lower().replace("_", " ") for flag in _SHOWN_FLAGS if quality & flag.value]
    second = f"\n{', '.join(raised)}" if raised else ""
    return f"$\\bf{{{name}}}$  {', '.join(words)}{second}"


def _middle(spectra: Mapping[str, xr.Dataset]) -> tuple[Array, Array] | None:
    """Give the median over the methods of the logarithm of what they draw, on the energies of all."""
    curves = []
    for spectrum in spectra.values():
        energy, flux = spectrum["energy"].to_numpy(), positive(_curve(spectrum))
        known = np.isfinite(flux)
        if known.sum() >= 2:
            curves.append((np.log(energy[known]), np.log(flux[known])))
    if not curves:
        return None
    grid = np.unique(np.concatenate([energy for energy, _ in curves]))
    rows = np.array([np.interp(grid, energy, flux, left=np.nan, right=np.nan) for energy, flux in curves])
    return grid, np.nanmedian(rows, axis=0)


def _interpolate(log_energy: Array, log_flux: Array, energy: Array) -> Array:
    return np.asarray(np.exp(np.interp(np.log(energy), log_energy, log_flux, left=np.nan, right=np.nan)))
