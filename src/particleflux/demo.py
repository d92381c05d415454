"""A solar particle event: simulated as the instrument would see it, reconstructed, and compared to the truth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from particleflux.errors import DataError
from particleflux.export import Provenance, write_dataset, write_spectra
from particleflux.instruments import Instrument, load_instrument
from particleflux.names import Quality, attributes, require
from particleflux.plot import plot_reconstruction, write_figure
from particleflux.reconstruct import load_method, prepare
from particleflux.spectra import RollingPowerLaw
from particleflux.summary import Summary, summarise
from particleflux.unfold import Unfolder

#: Energies of the spectra, MeV.
ENERGIES = (5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 17.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 100.0)
#: Energies of the comparison with the truth, MeV.
COMPARED = (5.0, 10.0, 20.0, 50.0)
EVERY = "15min"


@dataclass(frozen=True)
class Event:
    """An event that rises in hours and decays in a day, hard at first and softer after, over a steady background.

    Attributes
    ----------
    start : str
        First minute, UTC; in a time the instrument's response is known for.
    quiet_hours : float, h
        Quiet time before the onset: long enough to measure the background.
    event_hours : float, h
        From the onset to the end.
    peak_flux : float, cm-2 s-1 sr-1 MeV-1
        About the highest flux at 10 MeV.
    rise_hours, decay_hours : float, h
        Time constants.
    background_level : float
        Level of the galactic cosmic rays; 1 is that of the instrument file.
    seed : int
        The same seed gives the same counts.
    """

    start: str = "2024-03-10T00:00"
    quiet_hours: float = 36.0
    event_hours: float = 48.0
    peak_flux: float = 5.0
    rise_hours: float = 3.0
    decay_hours: float = 10.0
    background_level: float = 0.95
    seed: int = 1

    def simulate(self, instrument: Instrument) -> xr.Dataset:
        """Simulate the counts of each minute.

        Parameters
        ----------
        instrument : Instrument
            Its proton response, background and channels.

        Returns
        -------
        Dataset, dims (time, channel, energy)
            `counts`, `exposure`, `quality` as a reader gives them, and the truth `flux_true`.
        """
        minutes = np.arange(round(60 * (self.quiet_hours + self.event_hours)))
        time = np.datetime64(self.start, "ns") + minutes * np.timedelta64(1, "m")
        hours = np.maximum(minutes / 60 - self.quiet_hours, 0.0)[:, None]
        shape = {
            "spectral_index": 2.2 - 1.2 * np.exp(-hours / 5),  # the fastest particles arrive first
            "rollover_energy": 10 + 30 * np.exp(-hours / 20),
        }
        at_10_mev = RollingPowerLaw(intensity=np.ones_like(hours), **shape).flux(np.array([10.0]))
        profile = (1 - np.exp(-hours / self.rise_hours)) * np.exp(-hours / self.decay_hours)
        profile = np.maximum(profile, 1e-9)  # far too few particles for one count, but a spectrum all the same
        form = RollingPowerLaw(intensity=2 * self.peak_flux * profile / at_10_mev, **shape)

        response = instrument.response("proton", instrument.configurations[0].number)
        channels = list(response.channels)
        quiet = instrument.quiet_background(self.background_level)["background_rate"].sel(channel=channels).to_numpy()
        exposure = np.full(len(time), 60.0)
        rate = np.asarray(response.fold_form(form).transpose(..., "channel")) + quiet
        counts = np.random.default_rng(self.seed).poisson(exposure[:, None] * rate).astype(float)
        configuration = instrument.configuration_at(time).astype(np.int32)
        return xr.Dataset(
            {
                "counts": (("time", "channel"), counts, attributes("counts")),
                "exposure": ("time", exposure, attributes("exposure")),
                "quality": ("time", np.zeros(len(time), np.int32), attributes("quality")),
                "flux_true": (("time", "energy"), form.flux(np.array(ENERGIES)), attributes("flux_true")),
            },
            coords={
                "time": ("time", time, {"long_name": "start of the accumulation, UTC"}),
                "channel": ("channel", channels, {"long_name": "channel"}),
                "energy": ("energy", list(ENERGIES), attributes("energy")),
                "configuration": ("time", configuration, attributes("configuration")),
            },
            attrs={"instrument": instrument.name, "simulated": 1, "seed": self.seed},
        )


@dataclass(frozen=True)
class Agreement:
    """How a reconstruction agrees with the truth at one energy.

    Attributes
    ----------
    energy : float
        MeV.
    n_samples : int
        Samples compared: those with a spectrum and a channel above its background.
    median_ratio : float
        Median of reconstructed over true flux.
    scatter : float
        Half the width of the central 68 % of the ratios, over their median.
    inside_68, inside_95 : float
        Share of samples whose interval holds the truth.
    """

    energy: float
    n_samples: int
    median_ratio: float
    scatter: float
    inside_68: float
    inside_95: float


@dataclass(frozen=True)
class Demonstration:
    """What a demonstration made.

    Attributes
    ----------
    files : tuple of Path
        Counts, spectra and figure.
    agreement : tuple of Agreement
        One for each compared energy.
    summary : Summary
        What became of the samples.
    """

    files: tuple[Path, ...]
    agreement: tuple[Agreement, ...]
    summary: Summary


def run_demo(
    folder: str | os.PathLike[str],
    *,
    event: Event | None = None,
    instrument: str = "radem",
    method: Unfolder | None = None,
    command: str = "",
) -> Demonstration:
    """Simulate an event, reconstruct it as measured counts would be, and write counts, spectra and a figure.

    Parameters
    ----------
    folder : path-like
        Where to write; made if it is not there.
    event : Event, optional
        The event.
    instrument : str
        The instrument that sees it.
    method : Unfolder, optional
        The method; by default that of `particleflux.reconstruct`, with the model that ships.
    command : str
        The command line, for the provenance.

    Returns
    -------
    Demonstration
        The files, and how the reconstruction agrees with the truth.

    Raises
    ------
    DataError
        If the folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: the folder cannot be made ({error.strerror or error}); give another one"
        raise DataError(msg) from error
    event = event or Event()
    chosen = load_instrument(instrument)
    simulated = event.simulate(chosen)
    counts = simulated[["counts", "exposure", "quality"]].drop_vars("energy", errors="ignore")
    prepared = prepare(counts, instrument=chosen, background="auto", every=EVERY)
    spectra = prepared.unfold(method or load_method(energies=ENERGIES))
    truth = average_truth(simulated, spectra)
    provenance = Provenance.now(
        command=command,
        instrument=chosen.name,
        artefact=str(spectra.attrs.get("model", "")),
        artefact_sha256=str(spectra.attrs.get("model_sha256", "")),
        settings={"seed": event.seed, "every": EVERY, "background": "auto", "simulated": True},
    )
    figure = plot_reconstruction(
        prepared.counts, spectra, background=prepared.background, truth=truth, energies=(5.0, 10.0, 20.0, 50.0, 100.0)
    )
    files = (
        write_dataset(counts, folder / "counts.csv", provenance=provenance),
        write_spectra(spectra.merge(truth), folder / "spectra.nc", provenance=provenance),
        write_figure(figure, folder / "event.png"),
    )
    return Demonstration(files, tuple(compare(spectra, truth, COMPARED)), summarise(spectra))


def average_truth(simulated: xr.Dataset, spectra: xr.Dataset) -> xr.Dataset:
    """Average the true flux of each minute over the accumulations of the spectra.

    Parameters
    ----------
    simulated : Dataset, dims (time, energy)
        `flux_true` by the minute.
    spectra : Dataset, dims (time, energy)
        Gives times and energies; each of its energies must be among the simulated ones.

    Returns
    -------
    Dataset, dims (time, energy)
        `flux_true` at the times of the spectra.
    """
    starts = spectra["time"].to_numpy()
    which = np.searchsorted(starts, simulated["time"].to_numpy(), side="right") - 1
    minutes = simulated["flux_true"].sel(energy=spectra["energy"], method="nearest").isel(time=which >= 0)
    grouped = minutes.assign_coords(start=("time", starts[which[which >= 0]])).groupby("start").mean()
    truth = grouped.rename(start="time").transpose("time", "energy").reindex(time=starts)
    energy = ("energy", spectra["energy"].to_numpy(), attributes("energy"))
    return truth.assign_attrs(attributes("flux_true")).assign_coords(energy=energy).to_dataset(name="flux_true")


def compare(spectra: xr.Dataset, truth: xr.Dataset, energies: Sequence[float]) -> list[Agreement]:
    """Compare reconstructed spectra to the truth where particles were detected.

    Parameters
    ----------
    spectra : Dataset, dims (time, energy)
        `flux` with its bounds, and `quality`.
    truth : Dataset, dims (time, energy)
        `flux_true` at the same times and energies.
    energies : sequence of float
        Where to compare, MeV; the nearest of the axis are taken.

    Returns
    -------
    list of Agreement
        One an energy; NaN where nothing was detected.

    Raises
    ------
    AxisError
        If a variable is missing.
    UnitError
        If a unit is absent or another one.
    """
    require(spectra, "flux", "flux_lower", "flux_upper", "flux_lower95", "flux_upper95", "quality")
    require(truth, "flux_true")
    detected = (spectra["quality"] & Quality.BELOW_DETECTION.value) == 0
    rows = []
    for energy in energies:
        one = spectra.sel(energy=energy, method="nearest")
        true = truth["flux_true"].sel(energy=energy, method="nearest")
        known = (detected & np.isfinite(one["flux"]) & (true > 0)).to_numpy()
        one, true = one.isel(time=known), true.isel(time=known)
        if not known.any():
            rows.append(Agreement(energy, 0, *[float("nan")] * 4))
            continue
        ratio = (one["flux"] / true).to_numpy()
        low, median, high = np.quantile(ratio, [0.16, 0.5, 0.84])
        inside = [
            float(((one[f"flux_lower{suffix}"] <= true) & (true <= one[f"flux_upper{suffix}"])).mean())
            for suffix in ("", "95")
        ]
        scatter = float((high - low) / 2 / median)
        rows.append(Agreement(energy, int(known.sum()), float(median), scatter, *inside))
    return rows
