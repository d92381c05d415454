from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from particleflux.demo import Event
from particleflux.errors import ArtefactError, AxisError, DataError
from particleflux.instruments import load_instrument
from particleflux.names import Quality, attributes
from particleflux.reconstruct import check_response, load_method, prepare, reconstruct
from particleflux.summary import summarise

RADEM = load_instrument("radem")


@dataclass(frozen=True)
class ExcessUnfolder:
    """A method one can check by hand: every flux is the net rate of PDH4."""

    energies: tuple[float, ...] = (5.0, 10.0, 50.0)

    def unfold(self, counts: xr.Dataset, background: xr.Dataset) -> xr.Dataset:
        net = counts["counts"] / counts["exposure"] - background["background_rate"]
        usable = (counts["quality"] & Quality.DO_NOT_USE.value) == 0
        flux = net.sel(channel="PDH4", drop=True).where(usable).to_numpy()[:, None].repeat(len(self.energies), axis=1)
        dataset = xr.Dataset(coords={"time": counts["time"], "energy": ("energy", list(self.energies))})
        dataset["energy"].attrs = attributes("energy")
        for suffix, factor in (("", 1.0), ("_lower", 0.5), ("_upper", 2.0), ("_lower95", 0.2), ("_upper95", 5.0)):
            dataset[f"flux{suffix}"] = (("time", "energy"), factor * flux, attributes(f"flux{suffix}"))
        dataset["ensemble"] = ("time", np.where(usable, 3, 0), attributes("ensemble"))
        not_run = np.where(usable, 0, Quality.NOT_PROCESSED.value).astype(np.int32)
        dataset["quality"] = ("time", not_run, attributes("quality"))
        return dataset


@pytest.fixture(scope="module")
def counts() -> xr.Dataset:
    return Event(quiet_hours=30, event_hours=8).simulate(RADEM)[["counts", "exposure", "quality"]]


def test_road_gives_the_net_rate(counts: xr.Dataset) -> None:
    """Screening, accumulation and background leave exactly what the method makes of the accumulated counts."""
    spectra = reconstruct(counts, method=ExcessUnfolder(), every="1h")
    assert spectra.sizes == {"time": 38, "energy": 3}
    simulated = Event(quiet_hours=30, event_hours=8).simulate(RADEM)
    hour = simulated["counts"].sel(channel="PDH4").isel(time=slice(32 * 60, 33 * 60)).sum() / 3600
    quiet = RADEM.quiet_background(0.95)["background_rate"].sel(channel="PDH4")
    np.testing.assert_allclose(spectra["flux"].isel(time=32, energy=0), hour - quiet, rtol=0.05)
    assert spectra.attrs["instrument"] == "radem"
    assert spectra.attrs["background_source"] == "auto"


def test_native_cadence_is_kept(counts: xr.Dataset) -> None:
    """Without accumulation every sample has its spectrum at its own time."""
    spectra = reconstruct(counts, method=ExcessUnfolder(), every=None)
    np.testing.assert_array_equal(spectra["time"], counts["time"])


def test_flags_of_counts_background_and_method_are_joined(counts: xr.Dataset) -> None:
    """A flag raised by any step stands in the result."""
    flagged = counts.copy(deep=True)
    flagged["quality"][:60] = Quality.DO_NOT_USE
    level = RADEM.quiet_background()
    prepared = prepare(flagged, background=level, every="1h")
    held = np.full(38, Quality.BACKGROUND_HELD.value, np.int32)
    prepared.background["quality"] = ("time", held, attributes("quality"))
    quality = prepared.unfold(ExcessUnfolder())["quality"].to_numpy()
    assert quality[0] & Quality.DO_NOT_USE
    assert quality[0] & Quality.NOT_PROCESSED
    assert (quality & Quality.BACKGROUND_HELD.value).all()


def test_background_of_quiet_counts_is_measured(counts: xr.Dataset) -> None:
    """Counts of quiet time give their own rate, followed through the event."""
    quiet = counts.isel(time=slice(0, 30 * 60))
    prepared = prepare(counts, background=quiet, every="1h")
    assert prepared.background.attrs["source"] == "files"
    expected = (quiet["counts"].sum("time") / quiet["exposure"].sum()).sel(channel="PDH4")
    np.testing.assert_allclose(prepared.background["background_rate"].sel(channel="PDH4"), expected, rtol=0.1)


def test_background_over_time_is_taken_as_it_is(counts: xr.Dataset) -> None:
    """A background at the times of the accumulated counts is not changed; at other times it is refused."""
    first = prepare(counts, background=RADEM.quiet_background(), every="1h")
    again = prepare(counts, background=first.background, every="1h")
    xr.testing.assert_identical(again.background, first.background)
    with pytest.raises(AxisError, match="the 38 times of the background are not the 19 of the accumulated"):
        prepare(counts, background=first.background, every="2h")


def test_unknown_settings_are_refused(counts: xr.Dataset) -> None:
    """Every setting that cannot be used is told with what can."""
    with pytest.raises(DataError, match="method 'npe' is not available; choose one of: ensemble"):
        reconstruct(counts, method="npe")
    with pytest.raises(DataError, match="no model for species 'electron'; choose one of: proton"):
        load_method(species="electron")
    for wrong in ((), (10.0, 5.0), (-1.0, 5.0), (float("nan"),)):
        with pytest.raises(DataError, match="positive numbers in MeV that increase"):
            load_method(energies=wrong)
    with pytest.raises(DataError, match=r"response error 5: expected a fraction"):
        load_method(response_error=5)
    with pytest.raises(DataError, match="background 'none': expected 'auto'"):
        reconstruct(counts, method=ExcessUnfolder(), background="none")
    with pytest.raises(ArtefactError, match="no model 'nowhere'"):
        load_method(model="nowhere")


def test_response_is_checked_by_its_rates() -> None:
    """Tables as the instrument's own pass; tables that give a tenth more are refused unless that is allowed for."""
    own = RADEM.response("proton", 1)
    check_response(own, RADEM, tolerance=0.0)
    larger = own.select(own.channels)
    object.__setattr__(larger, "geometric_factor", own.geometric_factor * 1.1)
    with pytest.raises(DataError, match=r"rates up to 10\.0% off those of radem in PDH\d, more than the 5\.0%"):
        check_response(larger, RADEM, tolerance=0.05)
    check_response(larger, RADEM, tolerance=0.11)


def test_summary_counts_every_sample(counts: xr.Dataset) -> None:
    """Reconstructed, flagged and answered samples add up, and the background's origin is put in words."""
    flagged = counts.copy(deep=True)
    flagged["quality"][:120] = Quality.DO_NOT_USE
    summary = summarise(reconstruct(flagged, method=ExcessUnfolder(), every="1h", background=RADEM.quiet_background()))
    assert summary.n_samples == 38
    assert summary.n_reconstructed == 36
    assert summary.flags["DO_NOT_USE"] == 2
    assert summary.flags["NOT_PROCESSED"] == 2
    assert "SPIKE" not in summary.flags
    assert summary.ensembles == {3: 36}
    assumed = summarise(
        reconstruct(counts, method=ExcessUnfolder(), every="1h").assign_attrs(background_source="instrument")
    )
    assert assumed.background.startswith("the quiet level of the instrument file")
