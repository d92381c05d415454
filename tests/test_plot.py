from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from particleflux._figure_data import break_at_gaps, choose_samples, interpolate_truth
from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.names import Quality, attributes
from particleflux.plot import plot_reconstruction, plot_spectrum, write_figure

ENERGIES = np.geomspace(5.0, 100.0, 12)
TIME = np.datetime64("2024-05-11T00:00", "ns") + np.arange(24) * np.timedelta64(15, "m")
CHANNELS = ["PDH1", "PDH4", "EDH1"]


def make_spectra() -> xr.Dataset:
    hours = np.arange(24.0)
    flux = 100 * np.exp(-(((hours - 9) / 5) ** 2))[:, None] * ENERGIES**-2.0
    dataset = xr.Dataset(coords={"time": TIME, "energy": ("energy", ENERGIES, attributes("energy"))})
    for suffix, factor in (("", 1.0), ("_lower", 0.7), ("_upper", 1.5), ("_lower95", 0.0), ("_upper95", 3.0)):
        dataset[f"flux{suffix}"] = (("time", "energy"), flux * factor, attributes(f"flux{suffix}"))
    dataset["quality"] = ("time", np.zeros(24, np.int32), attributes("quality"))
    return dataset


def make_counts() -> xr.Dataset:
    counts = np.arange(72.0).reshape(24, 3)
    return xr.Dataset(
        {
            "counts": (("time", "channel"), counts, attributes("counts")),
            "exposure": ("time", np.full(24, 900.0), attributes("exposure")),
        },
        {"time": TIME, "channel": CHANNELS},
    )


def make_truth() -> xr.Dataset:
    return make_spectra()[["flux"]].rename(flux="flux_true")


def texts(figure: object) -> str:
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))  # type: ignore[attr-defined]
    return "\n".join(artist.get_text() for artist in found)


def test_figure_shows_rates_flux_and_three_samples() -> None:
    """The figure has two panels over time and three spectra, with units and the channels of the proton head."""
    figure = plot_reconstruction(make_counts(), make_spectra())
    assert len(figure.get_axes()) == 5
    shown = texts(figure)
    for expected in (
        "Count rate (s$^{-1}$)",
        "MeV$^{-1}$",
        "Energy (MeV)",
        "Time (UTC)",
        "PDH4",
        "68 %",
        "95 %",
        "peak",
    ):
        assert expected in shown
    assert "EDH1" not in shown


def test_one_energy_is_drawn_without_complaint() -> None:
    """A single energy makes a figure as well, with its marker inside the axis."""
    spectra = make_spectra().isel(energy=[2])
    axis = plot_reconstruction(make_counts(), spectra).get_axes()[-1]
    low, high = axis.get_xlim()
    assert low < spectra["energy"].item() < high
    assert axis.get_lines()[0].get_marker() == "o"


def test_the_axis_names_the_days_of_the_data() -> None:
    """Under the time stand the first and last day of the samples, and not the day after them."""
    spectra = make_spectra()
    first, last = (str(spectra["time"].to_numpy()[index].astype("datetime64[D]")) for index in (0, -1))
    expected = f"Time (UTC), {first}" + (f" to {last}" if last != first else "")
    assert expected in texts(plot_reconstruction(make_counts(), spectra))


def test_flags_are_named() -> None:
    """Every flag that is raised, and no other, gets its named row."""
    spectra = make_spectra()
    spectra["quality"][3:5] = Quality.SATURATED | Quality.NOT_PROCESSED
    spectra["quality"][7] = Quality.GAP
    shown = texts(plot_reconstruction(make_counts(), spectra))
    for expected in ("saturated", "not processed", "gap"):
        assert expected in shown
    assert "missing" not in shown


def test_truth_and_background_are_drawn(tmp_path: Path) -> None:
    """Truth and background, constant or over time, each get a line in the legend and render."""
    constant = xr.Dataset({"background_rate": ("channel", [0.01, 0.02, 0.03])}, {"channel": CHANNELS})
    varying = constant.expand_dims(time=TIME)
    for background in (constant, varying):
        figure = plot_reconstruction(make_counts(), make_spectra(), background=background, truth=make_truth())
        assert "background" in texts(figure)
        assert "truth" in texts(figure)
        write_figure(figure, tmp_path / "event.png")


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_figure_is_written_whole(tmp_path: Path, suffix: str) -> None:
    """Each format is written under its name with nothing beside it, and begins as such a file does."""
    path = write_figure(plot_spectrum(make_spectra().isel(time=9)), tmp_path / f"spectrum{suffix}")
    begin = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(begin)
    assert os.listdir(tmp_path) == [path.name]


def test_unknown_figure_format_is_refused(tmp_path: Path) -> None:
    """A suffix that is no figure lists those that are."""
    with pytest.raises(DataError, match=r"'\.nc'.*expected one of \.png, \.pdf, \.svg"):
        write_figure(plot_spectrum(make_spectra().isel(time=9)), tmp_path / "spectrum.nc")


def test_nothing_reconstructed_still_draws(tmp_path: Path) -> None:
    """All flux missing gives the rates and a note, not an error or a warning."""
    spectra = make_spectra()
    for name in spectra.data_vars:
        if name != "quality":
            spectra[name][:] = np.nan
    spectra["quality"][:] = Quality.DO_NOT_USE | Quality.NOT_PROCESSED
    figure = plot_reconstruction(make_counts(), spectra)
    assert "no sample could be reconstructed" in texts(figure)
    write_figure(figure, tmp_path / "event.png")


def test_single_sample_draws(tmp_path: Path) -> None:
    """One sample is enough for a figure."""
    figure = plot_reconstruction(make_counts().isel(time=[9]), make_spectra().isel(time=[9]))
    write_figure(figure, tmp_path / "event.png")
    assert "peak" in texts(figure)


def test_counts_of_another_time_are_refused() -> None:
    """Counts and spectra that share no time are told so."""
    later = make_counts().assign_coords(time=TIME + np.timedelta64(30, "D"))
    with pytest.raises(MissingDataError, match="24 samples of counts and 24 of spectra share no time"):
        plot_reconstruction(later, make_spectra())
    with pytest.raises(MissingDataError, match="0 of spectra"):
        plot_reconstruction(make_counts(), make_spectra().isel(time=slice(0)))


def test_wrong_inputs_are_refused() -> None:
    """A missing variable, a wrong unit, a time too many and an energy outside are told apart."""
    with pytest.raises(AxisError, match="no variable 'exposure'"):
        plot_reconstruction(make_counts().drop_vars("exposure"), make_spectra())
    wrong = make_spectra()
    wrong["flux"].attrs["units"] = "1"
    with pytest.raises(UnitError, match="'flux'"):
        plot_reconstruction(make_counts(), wrong)
    with pytest.raises(AxisError, match=r"select one time with \.isel"):
        plot_spectrum(make_spectra())
    with pytest.raises(DataError, match=r"\[500\.0\] MeV lie outside the spectra, which span 5 to 100 MeV"):
        plot_reconstruction(make_counts(), make_spectra(), energies=[10, 500])


def test_asked_energies_are_drawn() -> None:
    """The flux over time is drawn at the energies of the axis nearest to those asked for."""
    shown = texts(plot_reconstruction(make_counts(), make_spectra(), energies=[5, 100]))
    drawn = {line for line in shown.splitlines() if line.endswith(" MeV")}
    assert drawn == {"5 MeV", "100 MeV"}


def test_reference_is_named() -> None:
    """A reference spectrum carries the label it came with."""
    reference = make_truth().isel(time=9).assign_attrs(label="another monitor")
    assert "another monitor" in texts(plot_spectrum(make_spectra().isel(time=9), reference))


def test_samples_tell_rise_peak_and_decay() -> None:
    """The peak is the largest flux; rise and decay are where a tenth of it is first and last reached."""
    spectra = make_spectra()
    chosen = choose_samples(spectra)
    level = spectra["flux"].isel(energy=0).to_numpy()
    above = np.flatnonzero(level >= 0.1 * level.max())
    assert chosen == {"rise": above[0], "peak": 9, "decay": above[-1]}
    assert choose_samples(spectra.where(spectra["flux"] < 0)) == {}


def test_no_line_crosses_a_gap() -> None:
    """A missing value stands in each gap of time, and nowhere else."""
    time, values = break_at_gaps(np.delete(TIME, [5, 6, 7]), np.ones(21))
    assert np.flatnonzero(np.isnan(values)).tolist() == [5]
    assert (np.diff(time) > np.timedelta64(0)).all()
    assert len(break_at_gaps(TIME, np.ones(24))[0]) == 24


def test_truth_between_energies_follows_a_power_law() -> None:
    """Interpolation is exact for a power law, missing outside the axis."""
    truth = make_truth()
    expected = truth["flux_true"].isel(energy=0) * (33.0 / 5.0) ** -2.0
    np.testing.assert_allclose(interpolate_truth(truth, 33.0), expected)
    assert np.isnan(interpolate_truth(truth, 500.0)).all()


def test_drawing_keeps_no_global_state() -> None:
    """Drawing neither loads pyplot nor changes the settings a user has made."""
    code = (
        "import sys, matplotlib; matplotlib.rcParams['font.size'] = 33\n"
        "import particleflux.plot as p\n"
        "with p.panels.style(): pass\n"
        "assert matplotlib.rcParams['font.size'] == 33\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own code
