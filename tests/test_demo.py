from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from particleflux.demo import ENERGIES, Event, average_truth, compare, run_demo
from particleflux.errors import DataError
from particleflux.export import Provenance, open_spectra
from particleflux.instruments import load_instrument
from particleflux.io import open_counts
from particleflux.names import Quality, attributes

RADEM = load_instrument("radem")
SHORT = Event(quiet_hours=30, event_hours=10)


class TruthUnfolder:
    """A method that knows the truth: what a perfect reconstruction would give."""

    def unfold(self, counts: xr.Dataset, background: xr.Dataset) -> xr.Dataset:
        assert set(background.dims) == {"time", "channel"}
        empty = xr.Dataset(coords={"time": counts["time"], "energy": ("energy", list(ENERGIES), attributes("energy"))})
        truth = average_truth(SHORT.simulate(RADEM), empty)["flux_true"]
        for suffix, factor in (("", 1.0), ("_lower", 0.9), ("_upper", 1.1), ("_lower95", 0.5), ("_upper95", 2.0)):
            empty[f"flux{suffix}"] = (("time", "energy"), factor * truth.to_numpy(), attributes(f"flux{suffix}"))
        quiet = np.where(np.arange(len(truth)) < 30 * 4, Quality.BELOW_DETECTION.value, 0).astype(np.int32)
        empty["quality"] = ("time", quiet, attributes("quality"))
        return empty


def test_demo_writes_files_that_can_be_used(tmp_path: Path) -> None:
    """Counts go back into the readers, spectra carry truth and provenance, the figure is a PNG."""
    made = run_demo(tmp_path / "new" / "demo", event=SHORT, method=TruthUnfolder(), command="particleflux demo")
    counts_file, spectra_file, figure_file = made.files
    counts = open_counts(counts_file)
    np.testing.assert_array_equal(counts["counts"], SHORT.simulate(RADEM)["counts"].sel(channel=counts["channel"]))
    spectra = open_spectra(spectra_file)
    assert "flux_true" in spectra
    provenance = Provenance.from_attributes(spectra.attrs)
    assert provenance is not None
    assert provenance.settings["seed"] == 1
    assert figure_file.read_bytes().startswith(b"\x89PNG")
    assert made.summary.n_reconstructed == 40 * 4


def test_perfect_method_agrees_perfectly(tmp_path: Path) -> None:
    """A reconstruction equal to the truth has ratio 1, no scatter, and lies in every interval."""
    for row in run_demo(tmp_path, event=SHORT, method=TruthUnfolder()).agreement:
        assert row.n_samples == 40
        assert row.median_ratio == pytest.approx(1.0)
        assert row.scatter == pytest.approx(0.0, abs=1e-9)
        assert (row.inside_68, row.inside_95) == (1.0, 1.0)


def test_same_seed_gives_the_same_counts() -> None:
    """The simulation is determined by its seed."""
    xr.testing.assert_identical(SHORT.simulate(RADEM), SHORT.simulate(RADEM))
    other = Event(quiet_hours=30, event_hours=10, seed=2).simulate(RADEM)
    assert not np.array_equal(other["counts"], SHORT.simulate(RADEM)["counts"])


def test_quiet_counts_follow_the_background() -> None:
    """Before the onset the mean of each channel is its background, within five standard errors."""
    quiet = SHORT.simulate(RADEM).isel(time=slice(0, 30 * 60))
    expected = RADEM.quiet_background(0.95)["background_rate"].sel(channel=quiet["channel"]) * quiet["exposure"].sum()
    deviation = (quiet["counts"].sum("time") - expected) / np.sqrt(expected)
    assert float(abs(deviation).max()) < 5


def test_event_peaks_as_asked() -> None:
    """The highest flux at 10 MeV is within a third of the one asked for, and comes after the onset."""
    flux = Event(peak_flux=20.0).simulate(RADEM)["flux_true"].sel(energy=10.0)
    assert 20 / 1.34 < float(flux.max()) < 20 * 1.34
    assert int(np.argmax(flux.to_numpy())) > 36 * 60


def test_truth_is_the_mean_over_each_accumulation() -> None:
    """The truth of a quarter of an hour is the mean of its fifteen minutes."""
    simulated = SHORT.simulate(RADEM)
    starts = simulated["time"][::15]
    grid = xr.Dataset(coords={"time": starts, "energy": simulated["energy"]})
    truth = average_truth(simulated, grid)["flux_true"]
    expected = simulated["flux_true"].to_numpy().reshape(-1, 15, len(ENERGIES)).mean(axis=1)
    np.testing.assert_allclose(truth, expected)


def test_comparison_counts_what_lies_inside() -> None:
    """Ratio, scatter and the share inside the intervals are those of the detected samples alone."""
    time = np.datetime64("2024-03-10", "ns") + np.arange(5) * np.timedelta64(15, "m")
    axes = {"time": time, "energy": ("energy", [10.0], attributes("energy"))}
    truth = xr.Dataset({"flux_true": (("time", "energy"), np.ones((5, 1)), attributes("flux_true"))}, axes)
    spectra = xr.Dataset(coords=axes)
    flux = np.array([[0.5], [2.0], [2.0], [8.0], [100.0]])
    for suffix, factor in (("", 1), ("_lower", 0.5), ("_upper", 1.5), ("_lower95", 0.25), ("_upper95", 3)):
        spectra[f"flux{suffix}"] = (("time", "energy"), flux * factor, attributes(f"flux{suffix}"))
    spectra["quality"] = ("time", np.array([0, 0, 0, 0, Quality.BELOW_DETECTION], np.int32), attributes("quality"))
    (row,) = compare(spectra, truth, [10.0])
    assert (row.n_samples, row.median_ratio, row.inside_68, row.inside_95) == (4, 2.0, 0.5, 0.75)
    spectra["quality"][:] = Quality.BELOW_DETECTION
    (row,) = compare(spectra, truth, [10.0])
    assert row.n_samples == 0
    assert np.isnan(row.median_ratio)


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the way of the folder is one clear message."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataError, match="taken: the folder cannot be made"):
        run_demo(tmp_path / "taken", event=SHORT, method=TruthUnfolder())


def test_shipped_model_holds_its_intervals(tmp_path: Path) -> None:
    """The shipped ensemble recovers the simulated flux at 10 MeV within a fifth, and its 95 % intervals hold."""
    rows = {row.energy: row for row in run_demo(tmp_path).agreement}
    assert 0.8 < rows[10.0].median_ratio < 1.25
    assert all(row.inside_95 > 0.85 for row in rows.values())
