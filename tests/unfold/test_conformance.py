"""What every method must bear, whatever it is: bad samples, missing channels, other labels, other company."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from astropy import units

from particleflux.errors import ArtefactError, AxisError, DataError, UnitError
from particleflux.names import UNUSABLE, Assessment, Quality, attributes
from particleflux.reconstruct import METHODS, load_method, prepare
from particleflux.reconstruct.methods import SAMPLED
from particleflux.spectra import RollingPowerLaw
from particleflux.unfold import Unfolder
from particleflux.unfold.targets import SUFFIXES

BAD = 2  # the row that a test spoils
#: Settings that make a slow method fast; what they cost in exactness no test here asks for.
FAST: dict[str, dict[str, Any]] = {"bayes": {"n_draws": 512}}
#: Methods that do without a channel: the sample is CHANNEL_LEFT_OUT. The others give NaN and MISSING.
TOLERANT = tuple(name for name in METHODS if name != "ensemble")
# From a hard bright spectrum to a soft one that only the first channels see.
SPECTRA = RollingPowerLaw(
    intensity=np.array([[3e3], [1e3], [300.0], [100.0], [200.0], [300.0]]),
    spectral_index=np.array([[1.0], [1.5], [2.0], [2.0], [2.5], [3.0]]),
    rollover_energy=np.array([[40.0], [30.0], [20.0], [15.0], [10.0], [8.0]]),
)


def make(name: str, **settings: Any) -> Unfolder:
    """Make a method as users get it, only faster; skip the test if it cannot be had here."""
    try:
        method = load_method(name, **settings)
    except ModuleNotFoundError as error:
        pytest.skip(f"method {name} is not there: {error}")
    except ArtefactError as error:
        pytest.skip(f"method {name} has no model: {error}")
    return type(method)(**{**vars_of(method), **FAST.get(name, {})}) if name in FAST else method


def vars_of(method: Any) -> dict[str, Any]:
    return {name: getattr(method, name) for name in method.__dataclass_fields__}


@pytest.fixture(scope="module", params=METHODS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def unfolder(name) -> Unfolder:
    return make(name)


@pytest.fixture(scope="module")
def counts(observe) -> xr.Dataset:
    observed = observe(SPECTRA)
    return observed.assign(counts=observed["counts"].round().assign_attrs(attributes("counts")))


@pytest.fixture(scope="module")
def result(unfolder, counts, quiet) -> xr.Dataset:
    return unfolder.unfold(counts, quiet)


def channels_of(unfolder: Any) -> list[str]:
    return list(getattr(unfolder, "channels", None) or unfolder.detector.channels)


def answers(result: xr.Dataset) -> list[str]:
    """Name the variables that hold fluxes."""
    return [str(item) for item in result.data_vars if str(item).startswith(("flux", "integral_flux"))]


def is_unusable(result: xr.Dataset) -> np.ndarray:
    return (result["quality"].to_numpy() & int(UNUSABLE | Quality.NOT_PROCESSED)) != 0


def assert_same(one: xr.Dataset, other: xr.Dataset, rtol: float = 1e-4) -> None:
    for variable in answers(one):
        np.testing.assert_allclose(one[variable], other[variable], rtol=rtol, err_msg=variable)
    np.testing.assert_array_equal(one["quality"], other["quality"])


def rows(dataset: xr.Dataset, *, but: int = BAD) -> xr.Dataset:
    return dataset.isel(time=np.arange(dataset.sizes["time"]) != but)


def spoil(counts: xr.Dataset, value: float, channel: str | list[str]) -> xr.Dataset:
    """Put a value into the bad row."""
    spoilt = counts.copy(deep=True)
    names = [channel] if isinstance(channel, str) else channel
    spoilt["counts"].loc[{"channel": names, "time": counts["time"][BAD]}] = value
    return spoilt


def test_labels_and_units(result, counts, name):
    """Times are those of the counts, names carry units that can be read, and the method says what it is."""
    xr.testing.assert_identical(result["time"].variable, counts["time"].variable)
    assert result["flux"].dims == ("time", "energy")
    assert result["integral_flux"].dims == ("time", "threshold")
    assert result["quality"].dims == ("time",)
    assert result["quality"].dtype == np.int32
    for suffix in SUFFIXES:
        assert result[f"flux{suffix}"].attrs["units"] == "cm-2 s-1 sr-1 MeV-1"
        assert result[f"integral_flux{suffix}"].attrs["units"] == "cm-2 s-1 sr-1"
    for variable in result.data_vars.values():
        units.Unit(variable.attrs["units"])
        assert variable.attrs["long_name"]
    assert result["energy"].attrs["units"] == "MeV"
    expected = {"method": name, "species": "proton", "instrument": "radem", "response_error": 0.05}
    assert expected.items() <= result.attrs.items()


def test_good_samples_are_answered(result):
    """Samples well above the background are finite and positive where the method answers at all, and not flagged."""
    assert not is_unusable(result).any()
    assert (result["quality"] & int(Quality.BELOW_DETECTION | Quality.MISSING) == 0).all()
    seen = result["flux"].notnull()
    assert seen.any("energy").all()
    for suffix in ("", "_upper", "_upper95"):
        assert np.isfinite(result[f"flux{suffix}"].where(seen, 1.0)).all()
        assert (result[f"flux{suffix}"].where(seen, 1.0) > 0).all()
    for suffix in ("_lower", "_lower95"):
        assert (result[f"flux{suffix}"].where(seen, 0.0) >= 0).all()


@pytest.mark.parametrize("quantity", ["flux", "integral_flux"])
def test_quantiles_are_ordered(result, quantity):
    """The 95 % interval holds the 68 % interval, and that the median."""
    for lower, upper in itertools.pairwise(SUFFIXES):
        one, other = (result[f"{quantity}{suffix}"].to_numpy() for suffix in (lower, upper))
        known = np.isfinite(one) & np.isfinite(other)
        assert (one[known] <= other[known] * (1 + 1e-9)).all()


def test_the_truth_is_near(result):
    """The median of a bright sample, if not flagged, lies within a factor of two of the flux that made it, 7 to 30 MeV.

    The third spectrum is one that every method must know.
    """
    energy = result["energy"].to_numpy()
    chosen = (energy >= 6.8) & (energy <= 32)
    known = ((result["quality"] & int(Quality.EXTRAPOLATED)) == 0).to_numpy()[:3]
    assert known[2]
    ratio = (result["flux"].to_numpy() / SPECTRA.flux(energy))[:3][known][:, chosen]
    assert (np.abs(np.log(ratio)) < np.log(2.0)).all()


def test_the_input_is_left_alone(unfolder, counts, quiet):
    """Unfolding changes neither the counts nor the background."""
    before, background = counts.copy(deep=True), quiet.copy(deep=True)
    unfolder.unfold(counts, quiet)
    xr.testing.assert_identical(counts, before)
    xr.testing.assert_identical(quiet, background)


def test_channel_order_is_irrelevant(unfolder, counts, quiet, result):
    """Channels and dimensions in another order give the same."""
    order = np.random.default_rng(0).permutation(counts.sizes["channel"])
    assert_same(unfolder.unfold(counts.isel(channel=order), quiet), result, 1e-12)
    assert_same(unfolder.unfold(counts, quiet.isel(channel=order[::-1])), result, 1e-12)
    assert_same(unfolder.unfold(counts.transpose("channel", "time", ...), quiet), result, 1e-12)


def test_unread_channels_are_ignored(unfolder, counts, quiet, result):
    """A channel that the method does not read may be absent or NaN."""
    read = channels_of(unfolder)
    assert_same(unfolder.unfold(counts.sel(channel=read), quiet.sel(channel=read)), result, 1e-12)
    unread = [item for item in counts["channel"].to_numpy() if item not in read]
    assert_same(unfolder.unfold(spoil(counts, np.nan, unread), quiet), result, 1e-12)


def test_samples_are_independent(unfolder, counts, quiet, result):
    """A sample alone, and in another order, gives what it gives among others."""
    alone = unfolder.unfold(counts.isel(time=[3]), quiet)
    assert_same(alone, result.isel(time=[3]))
    reverse = unfolder.unfold(counts.isel(time=slice(None, None, -1)), quiet)
    assert_same(reverse.isel(time=slice(None, None, -1)), result)


def test_the_same_again_is_the_same(unfolder, counts, quiet, result):
    """Two runs agree bit for bit."""
    again = unfolder.unfold(counts, quiet)
    for variable in result.data_vars:
        np.testing.assert_array_equal(again[variable], result[variable], err_msg=str(variable))


@pytest.mark.parametrize("value", [np.nan, np.inf, 4294967295.0], ids=["nan", "inf", "fill"])
def test_a_row_of_nothing_is_missing(unfolder, counts, quiet, result, value):
    """A sample without a count is NaN and MISSING; its neighbours do not notice."""
    found = unfolder.unfold(spoil(counts, value, list(counts["channel"].to_numpy())), quiet)
    for variable in answers(found):
        assert np.isnan(found[variable][BAD]).all(), variable
    assert int(found["quality"][BAD]) & int(Quality.MISSING)
    assert int(found["quality"][BAD]) & int(Quality.NOT_PROCESSED)
    assert_same(rows(found), rows(result))


def test_a_row_of_zeros_is_no_spectrum(unfolder, counts, quiet, result):
    """Zeros where the background alone makes hundreds are flagged as no measurement, or answered by nothing but limits.

    Never is a flux above zero claimed from them.
    """
    found = unfolder.unfold(spoil(counts, 0.0, list(counts["channel"].to_numpy())), quiet)
    quality = int(found["quality"][BAD])
    assert quality & int(Quality.SATURATED | Quality.BELOW_DETECTION)
    if quality & int(Quality.SATURATED):
        assert np.isnan(found["flux"][BAD]).all()
    assert_same(rows(found), rows(result))


def test_counts_of_the_background_alone_give_limits(unfolder, counts, quiet):
    """A sample at its background is BELOW_DETECTION, and its upper bounds are finite and below any event's flux."""
    level = (quiet["background_rate"] * counts["exposure"][BAD]).round()
    empty = counts.copy(deep=True)
    empty["counts"].loc[{"time": counts["time"][BAD]}] = level.sel(channel=counts["channel"])
    found = unfolder.unfold(empty, quiet).isel(time=BAD)
    assert int(found["quality"]) & int(Quality.BELOW_DETECTION)
    upper = found["flux_upper95"].sel(energy=slice(8, 100))
    assert (upper > 0).all()
    assert float(upper.sel(energy=slice(9, 25)).max()) < 1.0


def test_a_missing_channel_in_some_samples(unfolder, counts, quiet, result, name):
    """A NaN in one channel costs a tolerant method that channel, flagged; the others give NaN and MISSING."""
    found = unfolder.unfold(spoil(counts, np.nan, "PDH4"), quiet)
    quality = int(found["quality"][BAD])
    if name in TOLERANT:
        assert quality & int(Quality.CHANNEL_LEFT_OUT)
        assert not quality & int(Quality.MISSING)
        assert np.isfinite(found["flux"][BAD]).any()
    else:
        assert quality & int(Quality.MISSING)
        assert np.isnan(found["flux"][BAD]).all()
    assert_same(rows(found), rows(result))


def test_an_absent_channel(unfolder, counts, quiet, name):
    """A channel that is not among the counts at all is left out and flagged, or asked for by name."""
    fewer = counts.drop_sel(channel="PDH4")
    if name not in TOLERANT:
        with pytest.raises(AxisError, match=r"counts lacks the channels \['PDH4'\]"):
            unfolder.unfold(fewer, quiet)
        return
    found = unfolder.unfold(fewer, quiet)
    assert (found["quality"] & int(Quality.CHANNEL_LEFT_OUT) != 0).all()
    assert found["flux"].notnull().any("energy").all()
    assert not is_unusable(found).any()
    spoilt = counts.copy(deep=True)
    spoilt["counts"].loc[{"channel": "PDH4"}] = np.nan
    assert_same(unfolder.unfold(spoilt, quiet), found)


def test_too_few_channels_make_no_spectrum(unfolder, counts, quiet, name):
    """Two channels make no spectrum: told by name, or, where each point needs its own two, not processed."""
    if name == "bowtie":
        assert is_unusable(unfolder.unfold(counts.sel(channel=["PDH1", "PDH2"]), quiet)).all()
        return
    with pytest.raises(AxisError, match="PDH1"):
        unfolder.unfold(counts.sel(channel=["PDH1", "PDH2"]), quiet)


@pytest.mark.parametrize("variable", ["background_rate", "background_rate_std"])
@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_a_bad_background_is_nan_with_a_flag(unfolder, counts, quiet, result, variable, value):
    """Where the background of a channel that is read is unknown or negative, nothing is answered."""
    followed = quiet.expand_dims(time=counts["time"]).copy(deep=True)
    followed[variable].loc[{"time": counts["time"][BAD], "channel": "PDH3"}] = value
    found = unfolder.unfold(counts, followed)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["quality"][BAD]) & int(Quality.INVALID)
    assert int(found["quality"][BAD]) & int(Quality.NOT_PROCESSED)
    assert_same(rows(found), rows(result))


def test_an_absent_background_is_refused(unfolder, counts, quiet):
    """Without background rates, or without that of a channel that is there, the message says what is missing."""
    with pytest.raises(AxisError, match="no variable 'background_rate'"):
        unfolder.unfold(counts, quiet.drop_vars("background_rate"))
    with pytest.raises(AxisError, match="no variable 'background_rate_std'"):
        unfolder.unfold(counts, quiet.drop_vars("background_rate_std"))
    with pytest.raises(AxisError, match="PDH3"):
        unfolder.unfold(counts, quiet.drop_sel(channel="PDH3"))


def test_background_once_or_for_every_time(unfolder, counts, quiet, result):
    """A background with dims (channel) is the same as its copy at every time; at other times it is refused."""
    assert_same(unfolder.unfold(counts, quiet.expand_dims(time=counts["time"])), result, 1e-12)
    shifted = quiet.expand_dims(time=counts["time"] + np.timedelta64(1, "h"))
    with pytest.raises(AxisError, match="background_rate has 6 times that are not the 6 of the counts"):
        unfolder.unfold(counts, shifted)


@pytest.mark.parametrize(
    ("variable", "value", "flag"),
    [
        ("counts", -1.0, Quality.INVALID),
        ("exposure", 0.0, Quality.INVALID),
        ("exposure", -60.0, Quality.INVALID),
        ("exposure", np.nan, Quality.INVALID),
        ("exposure", np.inf, Quality.INVALID),
    ],
)
def test_an_impossible_sample_is_nan_with_its_flag(unfolder, counts, quiet, result, variable, value, flag):
    """Negative counts and exposures that are none are INVALID; the neighbours do not notice."""
    spoilt = counts.copy(deep=True) if variable == "exposure" else spoil(counts, value, "PDH3")
    if variable == "exposure":
        spoilt["exposure"][BAD] = value
    found = unfolder.unfold(spoilt, quiet)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["quality"][BAD]) & int(flag)
    assert int(found["quality"][BAD]) & int(Quality.NOT_PROCESSED)
    assert_same(rows(found), rows(result))


@pytest.mark.parametrize("flag", [Quality.DO_NOT_USE, Quality.SATURATED, Quality.UNKNOWN_CONFIGURATION])
def test_flags_that_forbid_are_obeyed(unfolder, counts, quiet, flag):
    """A sample that comes with a forbidding flag is not processed; a remark is carried on."""
    quality = counts["quality"].copy(deep=True)
    quality[BAD], quality[BAD + 1] = int(flag), int(Quality.GAP)
    found = unfolder.unfold(counts.assign(quality=quality), quiet)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["quality"][BAD]) == int(flag | Quality.NOT_PROCESSED)
    assert np.isfinite(found["flux"][BAD + 1]).any()
    assert int(found["quality"][BAD + 1]) & int(Quality.GAP)


def test_counts_far_beyond_anything_known(unfolder, counts, quiet, result):
    """Saturated counts among good ones give no number in silence: NaN, a flag, or a fit told to be bad.

    In the middle channel: saturated in the first alone they are those of a soft spectrum, which screening must stop.
    """
    found = unfolder.unfold(spoil(counts, 1e9, "PDH3"), quiet)
    flagged = int(found["quality"][BAD]) & int(Quality.EXTRAPOLATED | Quality.NOT_PROCESSED | Quality.SATURATED)
    poor = "fit_probability" in found and float(found["fit_probability"][BAD]) < 0.01
    assert flagged or poor
    assert not np.isinf(found["flux"]).any()
    assert_same(rows(found), rows(result))


def test_the_road_keeps_what_the_method_says(unfolder, counts, quiet, name):
    """Through screening: saturated is NaN and outside, a missing channel is the method's to bear, flags are joined."""
    spoilt = spoil(counts, 1e9, "PDH1")
    spoilt["counts"].loc[{"channel": "PDH4", "time": counts["time"][BAD + 1]}] = np.nan
    prepared = prepare(spoilt, background=quiet.expand_dims(time=counts["time"]), every=None)
    found = prepared.unfold(unfolder)
    assert int(found["quality"][BAD]) & int(Quality.SATURATED)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["assessment"][BAD]) == Assessment.OUTSIDE
    next_one = found.isel(time=BAD + 1)
    if name in TOLERANT:
        assert np.isfinite(next_one["flux"]).any()
        assert int(next_one["quality"]) & int(Quality.CHANNEL_LEFT_OUT)
        assert not int(next_one["quality"]) & int(Quality.MISSING)
        assert int(next_one["assessment"]) in (Assessment.CARE, Assessment.OUTSIDE)
    else:
        assert int(next_one["assessment"]) == Assessment.OUTSIDE
    assert int(found["assessment"][0]) in (Assessment.GOOD, Assessment.CARE, Assessment.OUTSIDE)


def test_another_configuration_is_not_processed(unfolder, counts, quiet, radem):
    """After 2024-07-09 RADEM is in a configuration without a response: NaN, flagged UNKNOWN_CONFIGURATION."""
    time = counts["time"].to_numpy().copy()
    time[BAD] = np.datetime64("2024-07-10T00:00", "ns")
    known = ("time", radem.configuration_at(time).astype(np.int32), attributes("configuration"))
    found = unfolder.unfold(counts.assign_coords(time=time, configuration=known), quiet)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["quality"][BAD]) == int(Quality.UNKNOWN_CONFIGURATION | Quality.NOT_PROCESSED)
    assert np.isfinite(rows(found)["flux"]).any("energy").all()


@pytest.mark.parametrize(
    ("variable", "unit"),
    [("counts", "s-1"), ("exposure", "min"), ("background_rate", "min-1"), ("background_rate_std", None)],
)
def test_a_wrong_unit_is_refused(unfolder, counts, quiet, variable, unit):
    """A quantity in another unit, or without one, is refused: what was found and what is expected."""
    counts, quiet = counts.copy(deep=True), quiet.copy(deep=True)
    holder = counts if variable in counts else quiet
    del holder[variable].attrs["units"]
    if unit is not None:
        holder[variable].attrs["units"] = unit
    with pytest.raises(UnitError, match=f"variable '{variable}' has units {unit!r}, expected"):
        unfolder.unfold(counts, quiet)


@pytest.mark.parametrize(("attribute", "value"), [("instrument", "other"), ("species", "muon")])
def test_counts_of_another_origin_are_refused(unfolder, counts, quiet, attribute, value):
    """Counts of another instrument, or known to be of other particles, are not unfolded with this response."""
    with pytest.raises(DataError, match=f"counts are of {attribute} '{value}'"):
        unfolder.unfold(counts.assign_attrs({attribute: value}), quiet)


def test_an_empty_time_axis(unfolder, counts, quiet):
    """No samples in, no samples out, with all names."""
    found = unfolder.unfold(counts.isel(time=slice(0, 0)), quiet)
    assert found.sizes["time"] == 0
    assert found.sizes["energy"] > 0
    assert "flux_upper95" in found


def test_progress_is_told_to_the_end(unfolder, counts, quiet):
    """Progress ends with all samples done, or is not told at all for want of any."""
    told: list[tuple[int, int]] = []
    run: Callable[..., xr.Dataset] = unfolder.unfold
    run(counts, quiet, progress=lambda done, total: told.append((done, total)))
    assert told
    assert told[-1] == (6, 6)


def test_a_larger_response_error_widens_the_interval(name, counts, quiet):
    """The 95 % interval of a bright spectrum grows with the stated error of the response."""
    widths = []
    for error in (0.0, 0.2):
        row = make(name, response_error=error).unfold(counts, quiet).isel(time=2)
        width = np.log(row["flux_upper95"] / row["flux"])
        widths.append(float(width.sel(energy=slice(6, 35)).mean()))
    assert widths[1] > 1.2 * widths[0]


def test_draws_follow_the_quantiles(name, counts, quiet):
    """Joint draws, where a method gives them, scatter about its median as its interval says."""
    if name not in SAMPLED:
        with pytest.raises(DataError, match="has no joint distribution to draw from"):
            load_method(name, samples=10)
        return
    found = make(name, samples=200).unfold(counts, quiet).isel(time=0)
    draws = found["flux_sample"]
    assert draws.dims == ("sample", "energy")
    assert draws.sizes["sample"] == 200
    low, high = (found[f"flux_{side}"] for side in ("lower", "upper"))
    inside = ((draws >= low) & (draws <= high)).mean()
    assert 0.55 < float(inside) < 0.80
