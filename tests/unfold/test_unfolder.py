"""What every method that turns counts into spectra must do, whatever it is."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from astropy import units

from particleflux.errors import AxisError, UnitError
from particleflux.names import PDH, Quality, attributes
from particleflux.spectra import RollingPowerLaw
from particleflux.unfold import Unfolder
from particleflux.unfold.ensemble import SUFFIXES, EnsembleUnfolder

METHODS: dict[str, Callable[..., Unfolder]] = {"ensemble": EnsembleUnfolder.load}
BAD = 2  # the row that a test spoils
# From a hard bright spectrum to a weak one that only the first channels see.
SPECTRA = RollingPowerLaw(
    intensity=np.array([[3e3], [1e3], [300.0], [100.0], [30.0], [10.0]]),
    spectral_index=np.array([[1.0], [1.5], [2.0], [2.0], [2.5], [3.0]]),
    rollover_energy=np.array([[40.0], [30.0], [20.0], [15.0], [10.0], [8.0]]),
)


@pytest.fixture(scope="module", params=METHODS)
def make(request, model_path) -> Callable[..., Unfolder]:
    """Make the method with settings."""
    return lambda **settings: METHODS[request.param](model_path, **settings)


@pytest.fixture(scope="module")
def unfolder(make) -> Unfolder:
    return make()


@pytest.fixture(scope="module")
def counts(observe) -> xr.Dataset:
    observed = observe(SPECTRA)
    return observed.assign(counts=observed["counts"].round().assign_attrs(attributes("counts")))


@pytest.fixture(scope="module")
def result(unfolder, counts, quiet) -> xr.Dataset:
    return unfolder.unfold(counts, quiet)


def spoil(counts: xr.Dataset, name: str, value: float, channel: str | None = "PDH4") -> xr.Dataset:
    """Put a value into the bad row, in one channel or in all."""
    spoilt = counts.copy(deep=True)
    if name == "exposure":
        spoilt["exposure"][BAD] = value
    else:
        spoilt["counts"].loc[{"channel": list(PDH) if channel is None else [channel], "time": counts["time"][BAD]}] = (
            value
        )
    return spoilt


def flat_background(background: xr.Dataset, *, rate: float, std: float) -> xr.Dataset:
    """Give every channel the same background."""
    flat = background.copy(deep=True)
    flat["background_rate"][:] = rate
    flat["background_rate_std"][:] = std
    return flat


def numbers(result: xr.Dataset) -> list[str]:
    """Name the variables that hold answers."""
    return [str(name) for name in result.data_vars if name not in ("quality", "ensemble")]


def assert_same_numbers(one: xr.Dataset, other: xr.Dataset, rtol: float = 0.0) -> None:
    for name in numbers(one):
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, err_msg=name)
    np.testing.assert_array_equal(one["quality"], other["quality"])


def test_labels_and_units(result, counts):
    """The result has the times of the counts, named dimensions, and the units of its names."""
    xr.testing.assert_identical(result["time"].variable, counts["time"].variable)
    assert result["flux"].dims == ("time", "energy")
    assert result["integral_flux"].dims == ("time", "threshold")
    assert result["quality"].dims == ("time",)
    assert result["quality"].dtype == np.int32
    assert result["energy"].attrs["units"] == "MeV"
    assert result["threshold"].attrs["units"] == "MeV"
    for suffix in SUFFIXES:
        assert result[f"flux{suffix}"].attrs["units"] == "cm-2 s-1 sr-1 MeV-1"
        assert result[f"integral_flux{suffix}"].attrs["units"] == "cm-2 s-1 sr-1"
    for variable in result.data_vars.values():
        units.Unit(variable.attrs["units"])
        assert variable.attrs["long_name"]


def test_answers_are_finite_and_positive(result):
    """Good samples are answered with positive fluxes and no flag against them."""
    assert (result["quality"] & int(Quality.NOT_PROCESSED) == 0).all()
    for suffix in SUFFIXES:
        assert (result[f"flux{suffix}"] > 0).all()
        assert np.isfinite(result[f"flux{suffix}"]).all()


@pytest.mark.parametrize("name", ["flux", "integral_flux"])
def test_quantiles_are_ordered(result, name):
    """The 95 % interval holds the 68 % interval, and that the median."""
    for lower, upper in itertools.pairwise(SUFFIXES):
        assert (result[f"{name}{lower}"] <= result[f"{name}{upper}"]).all()
    assert (result[f"{name}_lower95"] < result[f"{name}_upper95"]).all()


def test_the_input_is_left_alone(unfolder, counts, quiet):
    """Unfolding changes neither the counts nor the background."""
    before, background = counts.copy(deep=True), quiet.copy(deep=True)
    unfolder.unfold(counts, quiet)
    xr.testing.assert_identical(counts, before)
    xr.testing.assert_identical(quiet, background)


def test_channel_order_is_irrelevant(unfolder, counts, quiet, result):
    """Channels in another order give bit for bit the same."""
    order = np.random.default_rng(0).permutation(counts.sizes["channel"])
    assert_same_numbers(unfolder.unfold(counts.isel(channel=order), quiet), result)
    assert_same_numbers(unfolder.unfold(counts, quiet.isel(channel=order[::-1])), result)
    assert_same_numbers(unfolder.unfold(counts.transpose("channel", "time", ...), quiet), result)


def test_extra_channels_are_ignored(unfolder, counts, quiet, result):
    """Only the channels that the method reads matter: others may be absent, or wrong."""
    read = list(unfolder.channels)
    assert_same_numbers(unfolder.unfold(counts.sel(channel=read), quiet.sel(channel=read)), result)
    unread = [name for name in counts["channel"].values if name not in read]
    wrong = counts.copy(deep=True)
    wrong["counts"].loc[{"channel": unread}] = np.nan
    assert_same_numbers(unfolder.unfold(wrong, quiet), result)


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("counts", np.nan, Quality.MISSING),
        ("counts", np.inf, Quality.MISSING),
        ("counts", 4294967295.0, Quality.MISSING),
        ("counts", -1.0, Quality.INVALID),
        ("exposure", 0.0, Quality.INVALID),
        ("exposure", -60.0, Quality.INVALID),
        ("exposure", np.nan, Quality.INVALID),
        ("exposure", np.inf, Quality.INVALID),
    ],
)
def test_a_bad_sample_is_nan_with_its_flag(unfolder, counts, quiet, result, name, value, flag):
    """A bad sample is NaN, flagged for what it is, and its neighbours are answered as if it were not there."""
    found = unfolder.unfold(spoil(counts, name, value), quiet)
    for variable in numbers(found):
        assert np.isnan(found[variable][BAD]).all(), variable
    assert int(found["quality"][BAD]) & int(flag)
    assert int(found["quality"][BAD]) & int(Quality.NOT_PROCESSED)
    assert int(found["ensemble"][BAD]) == 0
    others = np.arange(counts.sizes["time"]) != BAD
    assert_same_numbers(found.isel(time=others), result.isel(time=others), rtol=1e-4)


@pytest.mark.parametrize("flag", [Quality.DO_NOT_USE, Quality.SATURATED])
def test_flags_that_forbid_are_obeyed(unfolder, counts, quiet, flag):
    """A sample that comes with a forbidding flag is not processed; a remark is carried on."""
    quality = counts["quality"].copy(deep=True)
    quality[BAD] = int(flag)
    quality[BAD + 1] = int(Quality.GAP)
    found = unfolder.unfold(counts.assign(quality=quality), quiet)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["quality"][BAD]) == int(flag | Quality.NOT_PROCESSED)
    assert np.isfinite(found["flux"][BAD + 1]).all()
    assert int(found["quality"][BAD + 1]) & int(Quality.GAP)


def test_flags_of_the_background_are_added(unfolder, counts, quiet):
    """What is known against the background at a time is known against the spectrum."""
    flags = np.array([0, 0, 0, int(Quality.BACKGROUND_HELD), 0, 0], dtype=np.int32)
    followed = quiet.expand_dims(time=counts["time"]).assign(quality=("time", flags, attributes("quality")))
    found = unfolder.unfold(counts, followed)["quality"].values
    assert ((found & int(Quality.BACKGROUND_HELD)) == flags).all()


def test_zero_counts_without_background_give_upper_limits(unfolder, counts, quiet):
    """No count in any channel and no background: finite upper limits, flagged BELOW_DETECTION."""
    found = unfolder.unfold(spoil(counts, "counts", 0.0, channel=None), flat_background(quiet, rate=0.0, std=0.0))
    row = found.isel(time=BAD)
    assert int(row["quality"]) & int(Quality.BELOW_DETECTION)
    for suffix in ("", "_upper", "_upper95"):
        assert np.isfinite(row[f"flux{suffix}"]).all()
        assert np.isfinite(row[f"integral_flux{suffix}"]).all()
    bright = found.isel(time=0)
    assert (row["integral_flux_upper95"] < bright["integral_flux_lower95"]).sel(threshold=10.0)


def test_zero_counts_below_a_large_background_are_refused(unfolder, counts, quiet):
    """No count where thousands are expected is a dead channel, not a small flux: NaN with a flag."""
    background = flat_background(quiet, rate=10.0, std=0.2)
    row = unfolder.unfold(spoil(counts, "counts", 0.0, channel=None), background).isel(time=BAD)
    assert np.isnan(row["flux"]).all()
    assert int(row["quality"]) & int(Quality.SATURATED)
    assert int(row["quality"]) & int(Quality.NOT_PROCESSED)


def test_counts_at_the_background_are_below_detection(unfolder, observe, counts, quiet):
    """Samples of background only are flagged BELOW_DETECTION, samples of an event are not."""
    expected = (quiet["background_rate"] * counts["exposure"]).transpose("time", "channel")
    dark = counts.assign(counts=expected.round().assign_attrs(attributes("counts")))
    flag = int(Quality.BELOW_DETECTION)
    assert (unfolder.unfold(dark, quiet)["quality"] & flag == flag).all()
    assert not int(unfolder.unfold(counts, quiet)["quality"][0]) & flag


def test_missing_channels_are_named(unfolder, counts, quiet):
    """Too few channels, in counts or background, are an error that names what lacks."""
    fewer = [name for name in counts["channel"].values if name != "PDH4"]
    with pytest.raises(AxisError, match=r"counts lacks the channels \['PDH4'\]: found .*'PDH3'"):
        unfolder.unfold(counts.sel(channel=fewer), quiet)
    with pytest.raises(AxisError, match=r"background_rate lacks the channels \['PDH4'\]"):
        unfolder.unfold(counts, quiet.sel(channel=fewer))


def test_wrong_channel_names_are_named(unfolder, counts, quiet):
    """Channels by other names, by none or by one name twice are refused."""
    with pytest.raises(AxisError, match=r"counts lacks the channels .*'PDH1'.* found \['C0'"):
        unfolder.unfold(counts.assign_coords(channel=[f"C{number}" for number in range(16)]), quiet)
    with pytest.raises(AxisError, match="expected a named 'channel'"):
        unfolder.unfold(counts.drop_vars("channel"), quiet)
    twice = np.r_[counts["channel"].values[:-1], counts["channel"].values[:1]]
    with pytest.raises(AxisError, match="counts names a channel twice"):
        unfolder.unfold(counts.assign_coords(channel=twice), quiet)


@pytest.mark.parametrize("name", ["counts", "exposure"])
def test_missing_variables_are_named(unfolder, counts, quiet, name):
    """A variable that is not there, or lies along other dimensions, is named."""
    with pytest.raises(AxisError, match=f"no variable '{name}'"):
        unfolder.unfold(counts.drop_vars(name), quiet)
    with pytest.raises(AxisError, match=f"variable '{name}' has dimensions"):
        unfolder.unfold(counts.assign({name: counts[name].isel(time=0)}), quiet)


@pytest.mark.parametrize(
    ("name", "unit"), [("exposure", "min"), ("exposure", None), ("counts", "s-1"), ("background_rate", "min-1")]
)
def test_unknown_units_are_refused(unfolder, counts, quiet, name, unit):
    """A unit that is absent or another one is refused: what was found and what is expected."""
    counts, quiet = counts.copy(deep=True), quiet.copy(deep=True)
    holder = counts if name in counts else quiet
    del holder[name].attrs["units"]
    if unit is not None:
        holder[name].attrs["units"] = unit
    with pytest.raises(UnitError, match=f"variable '{name}' has units {unit!r}, expected"):
        unfolder.unfold(counts, quiet)


def test_other_times_of_the_background_are_refused(unfolder, counts, quiet):
    """A background that was followed at other times, or flags for other times, are never matched by position."""
    followed = quiet.expand_dims(time=counts["time"] + np.timedelta64(1, "h"))
    with pytest.raises(AxisError, match="background_rate has 6 times that are not the 6 of the counts"):
        unfolder.unfold(counts, followed)
    flags = quiet.assign(quality=("time", np.zeros(2, dtype=np.int32)), time=counts["time"][:2])
    with pytest.raises(AxisError, match="quality of the background has 2 times"):
        unfolder.unfold(counts, flags)


def test_background_with_another_dimension_is_refused(unfolder, counts, quiet):
    """A background with a dimension that nothing is known of is refused by name."""
    with pytest.raises(AxisError, match=r"background_rate has dimensions .*'level'"):
        unfolder.unfold(counts, quiet.expand_dims(level=2))


@pytest.mark.parametrize("name", ["background_rate", "background_rate_std"])
@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_a_bad_background_is_nan_with_a_flag(unfolder, counts, quiet, name, value):
    """Where the background is unknown or negative, nothing is answered."""
    followed = quiet.expand_dims(time=counts["time"]).copy(deep=True)
    followed[name].loc[{"time": counts["time"][BAD], "channel": "PDH3"}] = value
    found = unfolder.unfold(counts, followed)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["quality"][BAD]) & int(Quality.INVALID)
    assert np.isfinite(found["flux"][BAD + 1]).all()


def test_a_background_of_unknown_size_is_flagged(unfolder, counts, quiet):
    """A background of zero with an error of its own is beyond what the method knows: flagged EXTRAPOLATED."""
    background = quiet.copy(deep=True)
    background["background_rate"].loc[{"channel": "PDH3"}] = 0.0
    assert (unfolder.unfold(counts, background)["quality"] & int(Quality.EXTRAPOLATED) != 0).all()


def test_another_configuration_is_not_processed(unfolder, counts, quiet, radem):
    """After 2024-07-09 RADEM is in a configuration without a response: NaN, flagged UNKNOWN_CONFIGURATION."""
    time = counts["time"].values.copy()
    time[BAD] = np.datetime64("2024-07-10T00:00", "ns")
    known = ("time", radem.configuration_at(time).astype(np.int32), attributes("configuration"))
    found = unfolder.unfold(counts.assign_coords(time=time, configuration=known), quiet)
    assert np.isnan(found["flux"][BAD]).all()
    assert int(found["quality"][BAD]) == int(Quality.UNKNOWN_CONFIGURATION | Quality.NOT_PROCESSED)
    assert np.isfinite(found["flux"].isel(time=[0, 1, 3, 4, 5])).all()


def test_a_larger_response_error_widens_the_interval(make, counts, quiet):
    """The 95 % interval of a bright spectrum grows with the stated error of the response."""
    widths = []
    for error in (0.0, 0.05, 0.2):
        row = make(response_error=error).unfold(counts, quiet).isel(time=0)
        widths.append(np.log(row["flux_upper95"] / row["flux_lower95"]).sel(energy=slice(5, 60)))
    assert (widths[0] < widths[1]).all()
    assert (widths[1] < widths[2]).all()


def test_more_exposure_narrows_the_interval(make, observe, quiet):
    """The same weak flux, watched a hundred times as long, is known better at all energies that are seen."""
    unfolder = make(response_error=0.0)
    short, long = (
        unfolder.unfold(observe(SPECTRA, exposure=exposure), quiet).isel(time=4) for exposure in (60.0, 6000.0)
    )
    width_short, width_long = (
        np.log(row["flux_upper95"] / row["flux_lower95"]).sel(energy=slice(5, 30)) for row in (short, long)
    )
    assert (width_long < width_short).all()
    seen = {"energy": slice(5, 9)}
    assert (width_long.sel(seen) < 0.7 * width_short.sel(seen)).all()


def test_background_may_be_given_once_or_for_every_time(unfolder, counts, quiet, result):
    """A background with dims (channel) is the same as its copy at every time."""
    assert_same_numbers(unfolder.unfold(counts, quiet.expand_dims(time=counts["time"])), result)
    followed = quiet.expand_dims(time=counts["time"]).transpose("channel", "time")
    assert_same_numbers(unfolder.unfold(counts, followed), result)


def test_an_empty_time_axis(unfolder, counts, quiet):
    """No samples in, no samples out, with all names."""
    found = unfolder.unfold(counts.isel(time=slice(0, 0)), quiet)
    assert found.sizes["time"] == 0
    assert found.sizes["energy"] > 0
    assert "flux_upper95" in found


def test_samples_are_independent(unfolder, counts, quiet, result):
    """Each sample is answered alike alone and among others."""
    alone = unfolder.unfold(counts.isel(time=[3]), quiet)
    assert_same_numbers(alone, result.isel(time=[3]), rtol=1e-4)
