"""Refolded spectra, and what they and the flags say of a sample."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.instruments import load_instrument
from particleflux.names import Assessment, Quality, attributes
from particleflux.reconstruct import assess
from particleflux.reconstruct.assessment import electron_channels, share_of_electrons
from particleflux.reconstruct.refold import refold
from particleflux.spectra import PowerLaw, RollingPowerLaw, SpectralForm

RADEM = load_instrument("radem")
FORMS = [
    PowerLaw(intensity=np.array([[500.0]]), spectral_index=np.array([[2.5]])),
    PowerLaw(intensity=np.array([[500.0]]), spectral_index=np.array([[5.0]])),
    RollingPowerLaw(
        intensity=np.array([[100.0]]), spectral_index=np.array([[1.0]]), rollover_energy=np.array([[15.0]])
    ),
]


def label_curve(form: SpectralForm, energies: np.ndarray) -> xr.Dataset:
    """Give the spectra of a form as a method would."""
    flux = np.atleast_2d(form.flux(energies))
    time = np.datetime64("2024-03-10", "ns") + np.arange(len(flux)) * np.timedelta64(1, "h")
    dataset = xr.Dataset(coords={"time": time, "energy": ("energy", energies, attributes("energy"))})
    for suffix in ("", "_upper"):
        dataset[f"flux{suffix}"] = (("time", "energy"), flux, attributes(f"flux{suffix}"))
    dataset["quality"] = ("time", np.zeros(len(flux), np.int32), attributes("quality"))
    return dataset


@pytest.mark.parametrize("form", FORMS)
def test_refolded_rates_are_those_of_the_form(form: SpectralForm) -> None:
    """A curve given at 25 energies folds to the rates of the form itself, within a per cent."""
    response = RADEM.response("proton", 1)
    spectra = label_curve(form, np.geomspace(4.0, 3000.0, 60))
    np.testing.assert_allclose(refold(spectra, response), response.fold_form(form), rtol=0.01)


def test_refolding_leaves_out_what_is_missing() -> None:
    """Energies without a number are passed over, fewer than two give NaN, and a flux of nought makes no counts."""
    response = RADEM.response("proton", 1)
    spectra = label_curve(FORMS[0], np.geomspace(4.0, 3000.0, 60))
    whole = refold(spectra, response)
    spectra["flux"][0, 10:12] = np.nan
    np.testing.assert_allclose(refold(spectra, response), whole, rtol=1e-6)
    spectra["flux"][0, 1:] = np.nan
    assert np.isnan(refold(spectra, response)).all()
    spectra["flux"][0, :] = 0.0
    np.testing.assert_allclose(refold(spectra, response), 0.0, atol=1e-9)


def test_refolding_goes_no_further_than_its_reach() -> None:
    """Between 5 and 20 MeV lies nothing that PDH6 counts, unless the curve is followed beyond."""
    response = RADEM.response("proton", 1).select(["PDH1", "PDH6"])
    spectra = label_curve(FORMS[0], np.geomspace(5.0, 20.0, 10))
    near, far = (refold(spectra, response, reach=reach).to_numpy()[0] for reach in (1.0, np.inf))
    assert near[1] < 0.05 * far[1]
    assert near[0] > 0.1 * far[0]


def observe_both(protons: float, electrons: float, hours: float = 6.0) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Give spectra of the protons, and the expected counts of protons, electrons and quiet background."""
    form = RollingPowerLaw(
        intensity=np.array([[protons]]), spectral_index=np.array([[1.5]]), rollover_energy=np.array([[20.0]])
    )
    rate = RADEM.response("proton", 1).fold_form(form).to_numpy() + RADEM.quiet_background()["background_rate"].data
    rate = rate + RADEM.response("electron", 1).fold_form(PowerLaw(max(electrons, 1e-9), 3.0)).to_numpy()
    spectra = label_curve(form, np.geomspace(5.0, 100.0, 25)).assign_attrs(species="proton", response_error=0.05)
    counts = xr.Dataset(
        {
            "counts": (("time", "channel"), rate * hours * 3600, attributes("counts")),
            "exposure": ("time", [hours * 3600], attributes("exposure")),
        },
        {"time": spectra["time"], "channel": list(RADEM.channels)},
    )
    return spectra, counts, RADEM.quiet_background().expand_dims(time=spectra["time"])


def test_share_of_electrons_is_that_of_the_truth() -> None:
    """Electrons of the reference spectrum are found with the share of the net counts that they make."""
    spectra, counts, background = observe_both(200.0, 300.0)
    share, significance, judged = share_of_electrons(spectra, counts, background, RADEM)
    read = list(RADEM.reads["proton"])
    made = RADEM.response("electron", 1).fold_form(PowerLaw(300.0, 3.0)).sel(channel=read).sum()
    net = (counts["counts"] / counts["exposure"] - background["background_rate"]).sel(channel=read).sum()
    np.testing.assert_allclose(share, float(made / net), rtol=0.05)
    assert significance[0] > 5
    tell = electron_channels(RADEM)
    assert "EDH1" in tell
    assert not {"EDH2", "EDH7", "EDH8"} & set(tell)  # they drift when quiet
    assert judged == f"electrons by {', '.join(tell)} against E^-3"


@pytest.mark.parametrize(
    ("protons", "electrons", "expected"),
    [
        (200.0, 0.0, Assessment.GOOD),
        (200.0, 30.0, Assessment.GOOD),
        (200.0, 100.0, Assessment.MIXED),
        (200.0, 600.0, Assessment.OTHER_SPECIES),
        (20.0, 3000.0, Assessment.OTHER_SPECIES),
        (1.0, 0.5, Assessment.GOOD),
    ],
)
def test_species_are_told_apart(protons: float, electrons: float, expected: Assessment) -> None:
    """From a tenth of the net counts on two species are mixed, from a half the other one dominates; not by noise."""
    spectra, counts, background = observe_both(protons, electrons)
    level, _ = assess(spectra, counts, background, RADEM)
    assert Assessment(int(level[0])) == expected


@pytest.mark.parametrize(
    ("flags", "fit", "expected"),
    [
        (Quality.GOOD, 0.5, Assessment.GOOD),
        (Quality.GAP | Quality.SHORT | Quality.SPIKE, 0.011, Assessment.GOOD),
        (Quality.GOOD, 0.009, Assessment.CARE),
        (Quality.BACKGROUND_ASSUMED, 0.5, Assessment.CARE),
        (Quality.BACKGROUND_HELD, 0.5, Assessment.CARE),
        (Quality.CHANNEL_LEFT_OUT, 0.5, Assessment.CARE),
        (Quality.CHANNEL_LEFT_OUT | Quality.SPIKE, 0.5, Assessment.GOOD),
        (Quality.EXTRAPOLATED, 0.5, Assessment.OUTSIDE),
        (Quality.BELOW_DETECTION | Quality.BACKGROUND_HELD, 0.001, Assessment.BACKGROUND),
        (Quality.BELOW_DETECTION | Quality.EXTRAPOLATED, 0.5, Assessment.OUTSIDE),
        (Quality.DO_NOT_USE | Quality.NOT_PROCESSED, np.nan, Assessment.OUTSIDE),
    ],
)
def test_flags_and_fit_make_the_assessment(flags: Quality, fit: float, expected: Assessment) -> None:
    """Each level follows from flags and fit as the documented table says; the worst that holds counts."""
    spectra, counts, background = observe_both(200.0, 0.0)
    spectra["quality"][0] = flags.value
    spectra["fit_probability"] = ("time", [fit], attributes("fit_probability"))
    level, judged = assess(spectra, counts, background)
    assert level.dtype == np.int8
    assert level.attrs["flag_meanings"].split()[int(level[0])] == expected.name.lower()
    assert Assessment(int(level[0])) == expected
    assert judged.startswith("not judged")


def test_level_that_was_carried_over_long_needs_care() -> None:
    """A level held for a day is as in every event; one uncertain by more than 5 % needs care."""
    spectra, counts, background = observe_both(200.0, 0.0)
    spectra["quality"][0] = Quality.BACKGROUND_HELD.value
    for std, expected in ((0.03, Assessment.GOOD), (0.06, Assessment.CARE)):
        known = background.assign(background_level=("time", [0.9]), background_level_std=("time", [std]))
        assert int(assess(spectra, counts, known)[0][0]) == expected


def test_a_sample_without_any_flux_is_outside() -> None:
    """NaN without a flag is still no result."""
    spectra, counts, background = observe_both(200.0, 0.0)
    spectra["flux"][:] = np.nan
    assert int(assess(spectra, counts, background, RADEM)[0][0]) == Assessment.OUTSIDE


def test_species_are_judged_only_where_they_can_be() -> None:
    """Without the electron head, or for spectra of electrons, nothing is concluded, and the result says so."""
    spectra, counts, background = observe_both(20.0, 3000.0)
    alone = counts.sel(channel=list(RADEM.reads["proton"]))
    level, judged = assess(spectra, alone, background, RADEM)
    assert int(level[0]) == Assessment.GOOD
    assert judged.startswith("not judged: no counts of channels that tell electrons")
    _, judged = assess(spectra.assign_attrs(species="electron"), counts, background, RADEM)
    assert judged.startswith("not judged: the spectra are of species 'electron'")
