"""Several methods side by side: the library call, the page, and the command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from particleflux import cli
from particleflux.demo import Event
from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.export import write_dataset
from particleflux.instruments import load_instrument
from particleflux.names import Quality, attributes
from particleflux.plot import write_figure
from particleflux.plot.compare import plot_comparison
from particleflux.reconstruct import Prepared, compare, load_method
from particleflux.reconstruct.compare import average_reference, select_sample, sum_samples
from particleflux.spectra import RollingPowerLaw

RADEM = load_instrument("radem")
FORM = RollingPowerLaw(
    intensity=np.array([[300.0]]), spectral_index=np.array([[1.5]]), rollover_energy=np.array([[25.0]])
)


@dataclass(frozen=True)
class TrueUnfolder:
    """A method that knows the answer, up to a factor."""

    factor: float = 1.0
    energies: tuple[float, ...] = tuple(np.geomspace(5.0, 100.0, 25).tolist())
    channels: tuple[str, ...] = ("PDH1", "PDH2", "PDH3", "PDH4")
    below: bool = False

    def unfold(self, counts: xr.Dataset, background: xr.Dataset) -> xr.Dataset:
        flux = self.factor * np.repeat(FORM.flux(np.array(self.energies)), counts.sizes["time"], axis=0)
        dataset = xr.Dataset(
            coords={"time": counts["time"], "energy": ("energy", list(self.energies), attributes("energy"))}
        )
        for suffix, scale in (("", 1.0), ("_lower", 0.9), ("_upper", 1.1), ("_lower95", 0.8), ("_upper95", 1.2)):
            dataset[f"flux{suffix}"] = (("time", "energy"), scale * flux, attributes(f"flux{suffix}"))
        flag = Quality.BELOW_DETECTION.value if self.below else 0
        dataset["quality"] = ("time", np.full(len(flux), flag, np.int32), attributes("quality"))
        dataset["fit_probability"] = ("time", np.full(len(flux), 0.4), attributes("fit_probability"))
        return dataset.assign_attrs(response_error=0.0, species="proton")


def make_prepared(n: int = 4, exposure: float = 3600.0) -> Prepared:
    """Give the exact counts of the form and the quiet background, hour by hour."""
    quiet = RADEM.quiet_background()
    rate = RADEM.response("proton", 1).fold_form(FORM).to_numpy() + quiet["background_rate"].to_numpy()
    time = np.datetime64("2024-03-10", "ns") + np.arange(n) * np.timedelta64(1, "h")
    counts = xr.Dataset(
        {
            "counts": (("time", "channel"), np.repeat(rate * exposure, n, axis=0), attributes("counts")),
            "exposure": ("time", np.full(n, exposure), attributes("exposure")),
            "quality": ("time", np.zeros(n, np.int32), attributes("quality")),
        },
        {"time": time, "channel": list(RADEM.channels)},
        {"instrument": "radem"},
    )
    return Prepared(counts, quiet.expand_dims(time=time).copy(deep=True), None, RADEM)


def test_residuals_of_the_truth_are_nought() -> None:
    """The right spectrum refolds to the counts; one of twice the flux does not; channels that are read are told."""
    results = compare(make_prepared(), {"right": TrueUnfolder(), "double": TrueUnfolder(2.0)})
    right, double = results["right"], results["double"]
    assert right["residual"].sizes == {"time": 4, "channel": 8}
    assert np.abs(right["residual"]).max() < 0.5
    assert (double["residual"].sel(channel=["PDH1", "PDH2", "PDH3"]) < -5).all()
    np.testing.assert_allclose(right["predicted_rate"], right["count_rate"], rtol=0.01)
    assert right["is_read"].sel(channel=["PDH2", "PDH5"]).isel(time=0).to_numpy().tolist() == [True, False]
    assert right.sizes["energy"] == 25


def test_residual_is_in_standard_deviations() -> None:
    """Counts three Poisson deviations above what is predicted, with background and response exact, read 3."""
    prepared = make_prepared(1)
    prepared.background["background_rate_std"][:] = 0.0
    expected = compare(prepared, {"right": TrueUnfolder()})["right"]["predicted_rate"].sel(channel="PDH4") * 3600.0
    prepared.counts["counts"].loc[{"channel": "PDH4"}] = expected + 3.0 * np.sqrt(expected)
    found = compare(prepared, {"right": TrueUnfolder()})["right"]["residual"].sel(channel="PDH4")
    np.testing.assert_allclose(found, 3.0, rtol=1e-6)


def test_residuals_are_not_told_of_energies_a_method_does_not_know() -> None:
    """A spectrum that ends at 20 MeV predicts nothing of channels that count above: NaN, not a bad fit."""

    @dataclass(frozen=True)
    class Short(TrueUnfolder):
        def __post_init__(self) -> None:
            if self.energies[-1] > 20.0:
                msg = "known to 20 MeV only"
                raise DataError(msg)

    found = compare(make_prepared(), {"short": Short(energies=(5.0, 10.0, 20.0))})["short"]["residual"]
    assert found.sel(channel="PDH6").isnull().all()


def test_channels_with_spikes_or_without_counts_are_not_read() -> None:
    """What observe leaves out of a sample is not called read."""
    prepared = make_prepared()
    prepared.counts["quality"][1] = Quality.SPIKE
    prepared.counts["counts"].loc[{"channel": "PDH3"}][2] = np.nan
    read = compare(prepared, {"right": TrueUnfolder()})["right"]["is_read"]
    assert read.sel(channel="PDH2").to_numpy().tolist() == [True, False, True, True]
    assert read.sel(channel="PDH3").to_numpy().tolist() == [True, True, False, True]


def test_comparison_needs_methods_and_an_instrument() -> None:
    """Neither is guessed."""
    prepared = make_prepared()
    with pytest.raises(DataError, match="found 0 methods"):
        compare(prepared, {})
    with pytest.raises(DataError, match="found 1 methods and instrument None"):
        compare(Prepared(prepared.counts, prepared.background), {"right": TrueUnfolder()})


def test_progress_names_the_method() -> None:
    """What a slow method tells is passed on with its name."""
    told = []
    slow = load_method("ensemble")
    compare(make_prepared(), {"mine": slow}, progress=lambda *state: told.append(state))
    assert told[-1] == ("mine", 4, 4)


def test_sum_is_one_long_sample() -> None:
    """Counts and live time add, background and its errors are averaged, and the span stays known."""
    prepared = make_prepared()
    prepared.background["background_rate"][1:] *= 2.0
    one = sum_samples(prepared)
    assert one.counts.sizes["time"] == 1
    np.testing.assert_allclose(one.counts["exposure"], 4 * 3600.0)
    np.testing.assert_allclose(one.counts["counts"][0], prepared.counts["counts"].sum("time"))
    np.testing.assert_allclose(one.background["background_rate"][0], 1.75 * prepared.background["background_rate"][0])
    np.testing.assert_allclose(one.background["background_rate_std"], prepared.background["background_rate_std"][:1])
    assert prepared.span() == (np.datetime64("2024-03-10T00", "ns"), np.datetime64("2024-03-10T04", "ns"))
    assert one.counts["counts"].attrs["units"] == "1"


def test_sum_leaves_out_what_cannot_be_used() -> None:
    """Saturated and spiked samples do not enter; flags of neighbours go; a level held in part counts as read."""
    prepared = make_prepared(6)
    prepared.counts["quality"][:] = [Quality.SATURATED, Quality.SPIKE, Quality.GAP, Quality.SHORT, 0, 0]
    held = np.array([0, 0, Quality.BACKGROUND_HELD, 0, 0, 0], np.int32)
    prepared.background["quality"] = ("time", held, attributes("quality"))
    one = sum_samples(prepared)
    np.testing.assert_allclose(one.counts["exposure"], 4 * 3600.0)
    assert int(one.counts["quality"][0]) == 0
    assert int(one.background["quality"][0]) == 0
    prepared.background["quality"][:] = Quality.BACKGROUND_HELD.value
    assert int(sum_samples(prepared).background["quality"][0]) == Quality.BACKGROUND_HELD
    prepared.counts["quality"][:] = Quality.DO_NOT_USE.value
    with pytest.raises(MissingDataError, match="none of the 6 samples can be used"):
        sum_samples(prepared)


def test_sample_is_the_one_that_holds_the_moment() -> None:
    """A moment inside a sample selects it; outside, or no moment at all, is told."""
    prepared = make_prepared()
    for moment, hour in (("2024-03-10T01:59", 1), ("2024-03-10T02:00Z", 2), ("2024-03-10T03:30:00", 3)):
        assert select_sample(prepared, moment).counts["time"][0] == prepared.counts["time"][hour]
    for moment in ("2024-03-09T23:59", "2024-03-10T04:00", "2025-01-01"):
        with pytest.raises(MissingDataError, match="no sample holds"):
            select_sample(prepared, moment)
    with pytest.raises(DataError, match="'noon' is no time"):
        select_sample(prepared, "noon")


def make_reference(name: str = "stereo_let") -> xr.Dataset:
    time = np.datetime64("2024-03-10", "ns") + np.arange(4) * np.timedelta64(1, "h")
    flux = np.arange(1.0, 5.0)[:, None] * np.array([3.0, 1.0])
    flux[0, 1] = np.nan
    return xr.Dataset(
        {
            "flux": (("time", "energy"), flux, attributes("flux")),
            "flux_std": (("time", "energy"), np.full((4, 2), 0.3), attributes("flux_std")),
        },
        {"time": time, "energy": ("energy", [6.0, 12.0], attributes("energy"))},
        {"instrument": name},
    )


def test_reference_is_averaged_over_the_span() -> None:
    """The mean of what lies in the span, with the error of that mean; a short span takes the sample it lies in."""
    hour = np.timedelta64(1, "h")
    start = np.datetime64("2024-03-10", "ns")
    mean = average_reference(make_reference(), start, start + 2 * hour)
    np.testing.assert_allclose(mean["flux"], [4.5, 2.0])
    np.testing.assert_allclose(mean["flux_std"], [np.hypot(0.3, 0.3) / 2, np.hypot(0.3, 0.3)])
    inside = average_reference(make_reference(), start + hour + hour // 4, start + hour + hour // 2)
    np.testing.assert_allclose(inside["flux"], [6.0, 2.0])
    with pytest.raises(MissingDataError, match=r"stereo_let holds .* and nothing in"):
        average_reference(make_reference(), start + 24 * hour, start + 25 * hour)


def draw(results: dict[str, xr.Dataset], **settings: object) -> Figure:
    prepared = make_prepared()
    return plot_comparison(prepared.counts, results, background=prepared.background, **settings)  # type: ignore[arg-type]


def texts(figure: Figure) -> str:
    """Give all that is written on a figure."""
    from matplotlib.text import Text

    return "\n".join(item.get_text() for item in figure.findobj(Text))


def test_page_shows_methods_references_and_fits(tmp_path: Path) -> None:
    """Each method has its name, fit probability and panel; references are named; each format is written."""
    prepared = sum_samples(make_prepared())
    methods = {"npe": TrueUnfolder(), "bowtie": TrueUnfolder(1.1, (7.0, 13.0, 22.0, 31.0)), "mine": TrueUnfolder(0.9)}
    results = compare(prepared, methods)
    start = np.datetime64("2024-03-10", "ns")
    reference = average_reference(make_reference(), start, start + np.timedelta64(4, "h"))
    figure = draw(results, references=[reference], span=(start, start + np.timedelta64(1, "h")))
    shown = texts(figure)
    for words in ("npe", "bowtie", "mine", "fit p = 0.4", "STEREO LET", "(shaded)", "channel not read", "PDH8"):
        assert words in shown
    assert write_figure(figure, tmp_path / "page.svg").stat().st_size > 10_000


def test_page_shows_limits_and_samples_without_result(tmp_path: Path) -> None:
    """Below detection the limit is drawn and named; a method without a result says so."""
    prepared = sum_samples(make_prepared())
    results = compare(prepared, {"fit": TrueUnfolder(below=True), "bayes": TrueUnfolder(float("nan"))})
    shown = texts(draw(results))
    assert "fit (95 % limit)" in shown
    assert "no result" in shown
    assert "below detection" in shown
    only = {"bayes": results["bayes"]}
    write_figure(draw(only), tmp_path / "nothing.png")


def test_page_refuses_what_it_cannot_draw() -> None:
    """No method, or more than one sample, is told."""
    with pytest.raises(MissingDataError, match="found no method"):
        draw({})
    with pytest.raises(AxisError, match="method 'right' has 4 samples, expected one"):
        draw(compare(make_prepared(), {"right": TrueUnfolder()}))


@pytest.fixture(scope="module")
def counts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = Event(quiet_hours=30, event_hours=6).simulate(RADEM)[["counts", "exposure", "quality"]]
    return write_dataset(counts, tmp_path_factory.mktemp("counts") / "counts.csv")


def run(*arguments: object) -> int:
    return cli.main([str(item) for item in arguments])


def test_command_writes_the_page(tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts in, one page out; stdout stays empty."""
    out = tmp_path / "page.png"
    options = ["--methods", "ensemble,bowtie", "--at", "2024-03-11T09:00", "--every", "1h"]
    assert run("compare", counts_file, "-o", out, *options) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"written: {out}" in shown.err
    assert out.read_bytes().startswith(b"\x89PNG")


def test_methods_that_cannot_be_used_are_left_out(
    tmp_path: Path, counts_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all methods, those that cannot be made are told and left out; if none can, that is an error."""
    able = {"bowtie"}

    def load(name: str, **settings: object) -> object:
        if name not in able:
            msg = f"nothing for {name}"
            raise DataError(msg)
        return load_method(name)

    monkeypatch.setattr("particleflux.reconstruct.load_method", load)
    options = ["--at", "2024-03-11T09:00", "--every", "1h"]
    assert run("compare", counts_file, "-o", tmp_path / "page.svg", *options) == 0
    assert "warning: method npe is left out: nothing for npe" in capsys.readouterr().err
    able.clear()
    assert run("compare", counts_file, "-o", tmp_path / "none.svg", *options) == 2
    assert "--methods: none of the methods can be used" in capsys.readouterr().err
    assert not (tmp_path / "none.svg").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["-o", "page.nc"], "expected one of .png, .pdf, .svg"),
        (["-o", "page.png", "--methods", "magic"], "method 'magic' is not available"),
        (["-o", "page.png", "--methods", "bowtie,bowtie"], "expected each method once"),
        (["-o", "page.png", "--methods", "bowtie", "--at", "2030-01-01"], "no sample holds 2030-01-01"),
        (["-o", "page.png", "--methods", "bowtie", "--reference", "gone.txt"], "gone.txt does not exist"),
    ],
)
def test_mistakes_are_one_message(
    tmp_path: Path,
    counts_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    match: str,
) -> None:
    """A mistake is told in one line, with exit status 2, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    assert run("compare", counts_file, *options) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert match in errors[0]
    assert not list(tmp_path.glob("page*"))


def test_both_stereo_files_are_known(shared_data: Path, tmp_path: Path, counts_file: Path) -> None:
    """LET and HET text files are told apart by themselves."""
    from particleflux.cli.inputs import open_reference

    folder = shared_data / "stereo"
    assert open_reference(str(folder / "LET_2024-05.txt")).attrs["instrument"] == "stereo_let"
    assert open_reference(str(folder / "HETA-MayEvt.txt")).attrs["instrument"] == "stereo_het"
    with pytest.raises(DataError, match="no LET level 1 proton header"):
        open_reference(str(counts_file))
