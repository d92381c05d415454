"""The bow-tie: the analysis itself, and the fluxes that counts give at its points."""

import re

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import AxisError, DataError
from particleflux.instruments import Instrument, load_instrument
from particleflux.names import Quality, attributes
from particleflux.response import Response
from particleflux.spectra import PowerLaw, RollingPowerLaw
from particleflux.unfold.bowtie import BowtieUnfolder, bow_tie, choose_combinations
from particleflux.unfold.detector import Detector

# Rodriguez-Garcia et al. (2025), arXiv:2506.05978: MeV and cm2 sr MeV.
PUBLISHED = {
    "PDH1-PDH3": (6.9, 0.214),
    "PDH2-PDH4": (13.3, 0.837),
    "PDH3-PDH5": (21.6, 1.22),
    "PDH4-PDH5": (31.2, 0.844),
}
# Plateaus from 10, from 20 and from 50 MeV.
STEPS = Response.from_arrays(
    ["A", "B", "C"], [10.0, 20.0, 50.0, 1000.0], [[0.5, 0.5, 0.5], [0.0, 0.5, 0.5], [0.0, 0.0, 0.5]]
)
BAD = 1


@pytest.fixture(scope="module")
def unfolder(radem) -> BowtieUnfolder:
    return BowtieUnfolder.of_instrument(radem)


@pytest.fixture
def steps() -> BowtieUnfolder:
    """Give one that knows its response exactly."""
    return BowtieUnfolder(Detector(STEPS, response_error=0.0), (("A", "B"), ("B", "C")), indices=(2.0, 4.0))


def measure(counts: list[list[float]], rate: float = 0.0, std: float = 0.0) -> tuple[xr.Dataset, xr.Dataset]:
    """Label counts of 100 s in A, B and C, and a background."""
    n, names = len(counts), ["A", "B", "C"]
    time = np.datetime64("2030-01-01", "ns") + np.arange(n) * np.timedelta64(100, "s")
    labelled = xr.Dataset(
        {
            "counts": (("time", "channel"), np.array(counts, dtype=float), attributes("counts")),
            "exposure": ("time", np.full(n, 100.0), attributes("exposure")),
            "quality": ("time", np.zeros(n, dtype=np.int32), attributes("quality")),
        },
        coords={"time": time, "channel": names},
    )
    background = xr.Dataset(
        {
            "background_rate": ("channel", np.full(3, rate), attributes("background_rate")),
            "background_rate_std": ("channel", np.full(3, std), attributes("background_rate_std")),
        },
        coords={"channel": names},
    )
    return labelled, background


@pytest.mark.parametrize("tables", [False, True], ids=["fitted response", "Monte-Carlo tables"])
def test_the_published_points_of_radem(radem, request, tables):
    """Effective energies and factors of RADEM are the published ones within 5 %."""
    detector = Detector.of_instrument(radem)
    if tables:
        response = radem.open_response(request.getfixturevalue("shared_data") / "radem" / "response")
        detector = detector.replace(response=response.select(list(detector.channels)))
    points = BowtieUnfolder.of_instrument(radem, detector=detector).points
    assert [tie.name for tie in points] == list(PUBLISHED)
    for tie in points:
        energy, factor = PUBLISHED[tie.name]
        assert tie.effective_energy == pytest.approx(energy, rel=0.05), tie.name
        assert tie.factor == pytest.approx(factor, rel=0.05), tie.name
        assert tie.spread < tie.shape_error


def test_two_indices_cross_where_algebra_says():
    """Curves of two power laws cross at a known energy; with two indices near each other the knot lies there."""
    low, high = 10.0, 20.0
    first, second = 2.0 - 1e-3, 2.0 + 1e-3
    integrals = [(low ** (1 - g) - high ** (1 - g)) / (g - 1) for g in (first, second)]
    crossing = (integrals[0] / integrals[1]) ** (1 / (second - first))
    found = bow_tie(STEPS, ["A", "B"], indices=(first, second))
    assert found.effective_energy == pytest.approx(crossing, rel=1e-3)
    assert found.factor == pytest.approx(0.5 * integrals[0] * crossing**first, rel=1e-3)
    assert found.spread < 1e-5


def test_a_difference_is_the_response_that_it_leaves():
    """Two plateaus subtracted are the band between their thresholds."""
    band = Response.from_arrays(["band"], [10.0, 20.0], [[0.5]])
    one, other = bow_tie(STEPS, ["A", "B"]), bow_tie(band, ["band"])
    assert (one.effective_energy, one.factor) == pytest.approx((other.effective_energy, other.factor), rel=2e-3)
    assert one.spread == pytest.approx(other.spread, rel=0.05)


def test_what_lies_above_the_range_is_cut_within_a_bin():
    """A highest energy inside a bin keeps the part of the bin below it."""
    whole = bow_tie(Response.from_arrays(["A"], [10.0, 16.0], [[0.5]]), ["A"])
    cut = bow_tie(STEPS, ["A"], highest_energy=16.0)
    assert cut.effective_energy == pytest.approx(whole.effective_energy)
    assert cut.factor == pytest.approx(whole.factor)


def test_penetration_is_the_ratio_of_plateaus_above_the_range():
    """Where a difference and the penetrating channel both are flat, the ratio is that of their factors, any index."""
    response = Response.from_arrays(["A", "B", "H"], [10.0, 20.0, 1e3], [[0.5, 1.0], [0.0, 4.0], [0.0, 2.0]])
    found = bow_tie(response, ["A", "B"], highest_energy=20.0, penetrating="H")
    assert found.penetration == pytest.approx((4.0 - 1.0) / 2.0)
    assert bow_tie(STEPS, ["A", "B"], highest_energy=20.0, penetrating="C").penetration == pytest.approx(0.0)
    with pytest.raises(DataError, match="channel A does not respond above 2000 MeV"):
        bow_tie(Response.from_arrays(["A", "B"], [10.0, 20.0, 3e3], [[1.0, 0.0], [0.0, 1.0]]).select(["A", "B"]), ["B"],
                highest_energy=2000.0, penetrating="A")  # fmt: skip


@pytest.mark.parametrize(
    ("combination", "settings", "message"),
    [
        (["A", "B", "C"], {}, "expected a channel, or two of which the second is subtracted"),
        ([], {}, "expected a channel"),
        (["A", "A"], {}, "expected a channel, or two"),
        (["A"], {"indices": (4.0, 2.0)}, "expected two finite numbers, the least first"),
        (["A"], {"highest_energy": 5.0}, "does not respond there"),
        (["B", "A"], {}, "its rate is negative for some index"),
    ],
)
def test_what_has_no_knot_is_refused(combination, settings, message):
    """A combination without an effective energy, or settings that make none, is an error that says why."""
    with pytest.raises(DataError, match=message):
        bow_tie(STEPS, combination, **settings)


def test_a_knot_outside_of_the_response_is_refused():
    """A negative part above almost outweighs the rest: the curves cross below all energies that are counted."""
    response = Response.from_arrays(["A", "B"], [10.0, 11.0, 1e3], [[1.0, 0.0], [0.0, 0.2]])
    with pytest.raises(DataError, match="no energy inside its range is best"):
        bow_tie(response, ["A", "B"], indices=(3.0, 5.0))


def test_channels_that_cannot_be_analysed_are_refused():
    """A channel that is not there, or that counts particles of no energy, is an error."""
    with pytest.raises(AxisError, match=r"unknown channels \['Z'\]"):
        bow_tie(STEPS, ["Z"])
    with pytest.raises(DataError, match="responds down to 0 MeV"):
        bow_tie(Response.from_arrays(["A"], [0.0, 1.0], [[1.0]]), ["A"])


def test_the_rule_for_other_instruments():
    """Each channel alone or less the next, whichever is tighter; none that spreads too much; none excluded."""
    response = Response.from_arrays(["A", "B", "C"], [10.0, 12.0, 14.0, 5e3], np.triu(np.ones((3, 3))))
    assert choose_combinations(response) == (("A", "B"), ("B", "C"))
    assert choose_combinations(response, excluded=["C"]) == (("A", "B"),)
    unfolder = BowtieUnfolder(Detector(response, monitors=("C",)))
    assert [tie.combination for tie in unfolder.points] == [("A", "B")]
    with pytest.raises(DataError, match=re.escape("no channel of ['C'], alone or less the next one")):
        choose_combinations(response, excluded=["A", "B"])


def test_an_instrument_file_that_says_nothing_gets_the_rule(radem):
    """RADEM has no combinations for electrons in its file: then the rule chooses among what the detector has."""
    assert "electron" not in radem.bow_tie
    detector = Detector.of_instrument(radem, species="electron", channels=["EDH1", "EDH2"])
    with pytest.raises(DataError, match=re.escape("no channel of ['EDH1', 'EDH2']")):
        BowtieUnfolder.of_instrument(radem, detector=detector, indices=(-20.0, 20.0))


def test_net_counts_over_exposure_and_factor(steps):
    """Of a bright sample the flux is the net difference over exposure and factor, with its errors in quadrature."""
    counts, background = measure([[3.1e6, 1.1e6, 2e5]], rate=1e3)
    tie = steps.points[0]
    found = steps.unfold(counts, background)
    assert float(found["flux"][0, 0]) == pytest.approx(2e6 / (100.0 * tie.factor), rel=1e-6)
    width = float((found["flux_upper"] - found["flux_lower"])[0, 0] / found["flux"][0, 0])
    expected = np.hypot(tie.shape_error, np.sqrt(4.2e6 + 2) / 2e6)
    assert width == pytest.approx(2 * 0.994458 * expected, rel=1e-3)


def test_the_common_error_of_the_background_cancels(steps):
    """An error of the background that both channels share takes nothing from their difference; an own one does."""
    counts, background = measure([[3e4, 2e4, 1e4]], rate=100.0, std=10.0)

    def width(common: float) -> float:
        values = np.full(3, common)
        told = background.assign(
            background_rate_common_std=("channel", values, attributes("background_rate_common_std"))
        )
        found = steps.unfold(counts, told)
        return float((found["flux_upper95"] - found["flux_lower95"])[0, 0] / found["flux"][0, 0])

    counting = np.hypot(steps.points[0].shape_error, np.sqrt(5e4 + 2) / 1e4)
    assert width(10.0) == pytest.approx(2 * 1.959964 * counting, rel=1e-3)
    assert width(0.0) == pytest.approx(2 * 1.959964 * np.hypot(counting, 1e3 * np.sqrt(2) / 1e4), rel=1e-3)


def test_the_response_error_of_both_channels_counts():
    """With 10 % of each channel's own, a difference of two large signals is known much worse than 10 %."""
    detector = Detector(STEPS, response_error=0.1)
    exact = BowtieUnfolder(detector.replace(response_error=0.0), (("A", "B"),))
    rough = BowtieUnfolder(detector, (("A", "B"),))
    counts, background = measure([[5e6, 3e6, 1e6]])
    widths = []
    for unfolder in (exact, rough):
        found = unfolder.unfold(counts, background)
        widths.append(float((found["flux_upper"] - found["flux_lower"])[0, 0] / found["flux"][0, 0]) / (2 * 0.994458))
    assert np.sqrt(widths[1] ** 2 - widths[0] ** 2) == pytest.approx(0.1 * np.hypot(5.0, 3.0) / 2.0, rel=1e-3)


def test_nothing_seen_is_a_limit(steps):
    """At the background the lower bounds are zero, the upper ones positive, and the sample BELOW_DETECTION."""
    counts, background = measure([[100.0, 100.0, 100.0], [0.0, 0.0, 0.0]], rate=1.0, std=0.01)
    found = steps.unfold(counts.isel(time=[0]), background)
    assert int(found["quality"][0]) & int(Quality.BELOW_DETECTION)
    assert (found["flux_lower95"] == 0).all()
    assert (found["flux_lower"] == 0).all()
    assert (found["flux"] > 0).all()
    # Half of a normal distribution: 97.5 % of it lie below 2.241 standard deviations.
    sigma = np.sqrt(202.0 + 2.0 * 1.0 / 2.0) / (100.0 * steps.points[0].factor)
    assert float(found["flux_upper95"][0, 0]) == pytest.approx(2.241403 * sigma, rel=1e-3)
    none = steps.unfold(counts.isel(time=[1]), measure([[0.0, 0.0, 0.0]])[1])
    assert (none["flux_upper95"] > 0).all()
    assert int(none["quality"][0]) & int(Quality.BELOW_DETECTION)


def test_a_difference_far_below_zero_is_refused(steps):
    """More counts in the channel that is subtracted: no flux is told at that point, and the sample is EXTRAPOLATED."""
    found = steps.unfold(*measure([[1e5, 2e5, 1e5], [2e5, 1e5, 1e4]]))
    assert np.isnan(found["flux"][0, 0])
    assert np.isnan(found["flux_upper95"][0, 0])
    assert np.isfinite(found["flux"][0, 1])
    assert int(found["quality"][0]) & int(Quality.EXTRAPOLATED)
    assert not int(found["quality"][1]) & int(Quality.EXTRAPOLATED)


def test_hard_particles_widen_and_are_flagged(unfolder, observe, quiet):
    """Where most counts come through the walls the interval holds the truth all the same, and the sample is flagged."""
    soft = RollingPowerLaw(np.array([[3e4]]), np.array([[2.0]]), np.array([[15.0]]))
    hard = PowerLaw(np.array([[1e3]]), np.array([[2.0]]))
    found = [unfolder.unfold(observe(form), quiet).isel(time=0) for form in (soft, hard)]
    flags = [int(one["quality"]) & int(Quality.EXTRAPOLATED) for one in found]
    assert not flags[0]
    assert flags[1]
    truth = hard.flux(np.array(unfolder.effective_energies))[0]
    told = np.isfinite(found[1]["flux"].to_numpy())
    assert told.sum() >= 3
    inside = (found[1]["flux_lower95"].to_numpy() <= truth) & (truth <= found[1]["flux_upper95"].to_numpy())
    assert inside[told].all()


def test_known_spectra_are_recovered(unfolder, observe, quiet):
    """Exact counts of power laws that roll over: every point within three shape errors, and seen."""
    form = RollingPowerLaw(np.full((3, 1), 1e5), np.array([[1.5], [2.0], [2.5]]), np.array([[12.0], [15.0], [25.0]]))
    found = unfolder.unfold(observe(form), quiet)
    truth = form.flux(np.array(unfolder.effective_energies))
    allowed = 3 * np.array([tie.shape_error for tie in unfolder.points])
    assert (np.abs(found["flux"].to_numpy() / truth - 1) < allowed).all()
    assert not (found["quality"] & int(Quality.BELOW_DETECTION)).any()


def test_a_missing_channel_takes_its_points(unfolder, observe, quiet):
    """Without PDH4 the points that need it are NaN, the others as before, and the sample says so."""
    form = RollingPowerLaw(np.full((3, 1), 1e5), 2.0 * np.ones((3, 1)), 15.0 * np.ones((3, 1)))
    counts = observe(form)
    whole = unfolder.unfold(counts, quiet)
    counts["counts"].loc[{"channel": "PDH4", "time": counts["time"][BAD]}] = np.nan
    found = unfolder.unfold(counts, quiet)
    assert np.isnan(found["flux"][BAD]).to_numpy().tolist() == [False, True, False, True]
    np.testing.assert_array_equal(found["flux"][BAD, [0, 2]], whole["flux"][BAD, [0, 2]])
    assert int(found["quality"][BAD]) == int(Quality.CHANNEL_LEFT_OUT)
    xr.testing.assert_equal(found.drop_isel(time=BAD), whole.drop_isel(time=BAD))


def test_no_point_left_is_not_processed(radem, observe, quiet):
    """With PDH4 and PDH3 left no combination is whole: everything is NaN, and flagged."""
    unfolder = BowtieUnfolder(Detector.of_instrument(radem), (("PDH1", "PDH3"), ("PDH4", "PDH5")), highest_energy=70.0)
    counts = observe(PowerLaw(np.array([[1e4]]), np.array([[3.0]]))).sel(channel=["PDH3", "PDH4", "PDH7"])
    found = unfolder.unfold(counts, quiet)
    assert np.isnan(found["flux"]).all()
    assert int(found["quality"][0]) & int(Quality.NOT_PROCESSED)


def test_between_the_points_a_power_law(unfolder, radem, observe, quiet):
    """At other energies every quantile is a power law between its neighbours, and outside there is none."""
    first, second = unfolder.effective_energies[:2]
    middle = float(np.sqrt(first * second))
    other = BowtieUnfolder.of_instrument(radem, energies=(5.0, first, middle, second, 60.0))
    counts = observe(RollingPowerLaw(np.full((1, 1), 1e5), 2.0 * np.ones((1, 1)), 15.0 * np.ones((1, 1))))
    points, found = unfolder.unfold(counts, quiet).isel(time=0), other.unfold(counts, quiet).isel(time=0)
    for name in ("flux_lower95", "flux", "flux_upper"):
        ends = points[name].to_numpy()[:2]
        np.testing.assert_allclose(found[name][1:4], [ends[0], np.sqrt(ends[0] * ends[1]), ends[1]], rtol=1e-12)
        assert np.isnan(found[name][[0, 4]]).all()


def test_energies_that_no_point_reaches_are_refused(radem):
    """Energies that all lie outside the points are a mistake, told when the method is made."""
    with pytest.raises(DataError, match=r"energies \[60.0, 100.0\] MeV: the effective energies .* 30.83"):
        BowtieUnfolder.of_instrument(radem, energies=(60.0, 100.0))


def test_one_energy_twice_is_refused(radem):
    """The same combination twice gives no axis."""
    with pytest.raises(DataError, match="expected at least one and none twice"):
        BowtieUnfolder(Detector.of_instrument(radem), (("PDH1", "PDH3"),) * 2, highest_energy=70.0)
    with pytest.raises(DataError, match="expected at least one"):
        BowtieUnfolder(Detector.of_instrument(radem), ())


def test_samples_do_not_depend_on_each_other(unfolder, observe, quiet):
    """A sample alone gives bit for bit what it gives among others, and progress is told."""
    form = RollingPowerLaw(np.geomspace(1.0, 1e6, 5)[:, None], 2.0 * np.ones((5, 1)), 15.0 * np.ones((5, 1)))
    counts, told = observe(form), []
    whole = unfolder.unfold(counts, quiet, progress=lambda done, total: told.append((done, total)))
    assert told == [(5, 5)]
    for index in range(5):
        xr.testing.assert_equal(unfolder.unfold(counts.isel(time=[index]), quiet), whole.isel(time=[index]))


def test_the_integral_is_not_told(unfolder, observe, quiet):
    """Four points tell no integral above a threshold: NaN, with its axis and units; the attributes name the method."""
    found = unfolder.unfold(observe(PowerLaw(np.array([[1e4]]), np.array([[3.0]]))), quiet)
    assert np.isnan(found["integral_flux"]).all()
    assert found["integral_flux"].attrs["units"] == "cm-2 s-1 sr-1"
    assert found.attrs["method"] == "bowtie"
    assert found.attrs["combinations"] == ", ".join(PUBLISHED)
    assert unfolder.trained_for is None
    assert unfolder.channels == ("PDH1", "PDH2", "PDH3", "PDH4", "PDH5", "PDH6")


COUNTER = """
name = "counter"
description = "an invented counter"
channels = ["low", "mid", "high"]
[[configurations]]
number = 1
start = 2030-01-01T00:00:00Z
description = "the only one"
[ensemble]
bins = [["low"]]
threshold_sigma = 2
[implausible_rate]
low = 1e4
mid = 1e4
high = 1e4
[background]
monitors = ["high"]
rate = { low = 1, mid = 1, high = 1 }
relative_std = { low = 0.1, mid = 0.1, high = 0.1 }
modulation = { low = 1, mid = 1, high = 1 }
"""


def read(folder, table: str) -> Instrument:
    path = folder / "counter.toml"
    path.write_text(f"{COUNTER}[bow_tie.proton]\n{table}\n", encoding="utf-8")
    return load_instrument(path)


def test_an_instrument_file_states_its_combinations(tmp_path):
    """The table is optional, and so are the end of the range and the penetrating channel."""
    found = read(tmp_path, 'combinations = [["low", "mid"], ["mid"]]').bow_tie["proton"]
    assert found.combinations == (("low", "mid"), ("mid",))
    assert found.highest_energy == np.inf
    assert found.penetrating is None
    (tmp_path / "counter.toml").write_text(COUNTER, encoding="utf-8")
    assert load_instrument(tmp_path / "counter.toml").bow_tie == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('combinations = [["low", "top"]]', "'combinations' is .*'top'.* expected names among"),
        ('combinations = [["low", "mid", "high"]]', "or two of which the second is subtracted"),
        ("combinations = []", "expected at least one and none twice"),
        ('combinations = [["low"], ["low"]]', "expected at least one and none twice"),
        ('combinations = [["low"]]\npenetrating = "top"', "unknown channel 'top'"),
        ('combinations = [["low"]]\nhighest_energy = -1', "'highest_energy' is -1, expected a finite number above 0"),
        ('combinations = [["low"]]\nindices = 3', "unknown key 'indices'"),
    ],
)
def test_a_wrong_table_in_an_instrument_file_is_refused(tmp_path, table, message):
    """What the table cannot mean is refused, with the key and the file."""
    with pytest.raises(DataError, match=rf"counter.toml \[bow_tie\] \[proton\].*{message}"):
        read(tmp_path, table)


def test_a_species_that_is_none_is_refused(tmp_path):
    """A table for an unknown species is refused."""
    (tmp_path / "counter.toml").write_text(f"{COUNTER}[bow_tie.muon]\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"\[bow_tie\]: unknown key 'muon'"):
        load_instrument(tmp_path / "counter.toml")
