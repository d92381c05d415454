"""Instruments: the shipped one, and another one that is only a TOML file and its tables."""

import re

import numpy as np
import pytest

from particleflux.errors import AxisError, DataError, MissingDataError
from particleflux.instruments import load_instrument, shipped_instruments
from particleflux.names import EDH, PDH
from particleflux.spectra import PowerLaw, RollingPowerLaw

COUNTER = """
name = "counter"
description = "an invented counter of two channels"
channels = ["low", "high"]
[[configurations]]
number = 1
start = 2030-01-01T00:00:00Z
description = "the only one"
response = { proton = "tables" }
[[do_not_use]]
start = 2030-02-01
stop = 2030-02-02
reason = "lamp test"
[ensemble]
bins = [["low"], ["low", "high"]]
threshold_sigma = 2
[tables]
a = "low"
b = "high"
[implausible_rate]
low = 1e4
high = 1e4
[background]
monitors = ["high"]
[background.rate]
low = 0.5
high = 2.0
[background.relative_std]
low = 0.1
high = 0.05
[background.modulation]
low = 0.0
high = 1.0
"""
TABLE = ";EnergyLowerEdge;EnergyWidth;GF;Energy\n0;1;1;{};1.5\n1;2;2;{};3\n"


@pytest.fixture
def counter(tmp_path):
    """Write the invented instrument and its tables; give the path of its TOML file."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text(TABLE.format(0.5, 1.0), encoding="utf-8")
    (tmp_path / "tables" / "b.csv").write_text(TABLE.format(0.0, 2.0), encoding="utf-8")
    (tmp_path / "counter.toml").write_text(COUNTER, encoding="utf-8")
    return tmp_path / "counter.toml"


def test_another_instrument_is_a_toml_file(counter):
    """An invented counter folds a spectrum with no code of its own: 6 and 8 counts per second by hand."""
    instrument = load_instrument(counter)
    rate = instrument.response("proton", 1).fold_form(PowerLaw(8.0, 2.0))
    # Integrals of 8 E^-2: 4 from 1 to 2 MeV, 2 from 2 to 4 MeV.
    np.testing.assert_allclose(rate.sel(channel=["low", "high"]), [0.5 * 4 + 1.0 * 2, 2.0 * 2])
    assert instrument.configuration_at(["2029-12-31", "2030-01-01", "2050-01-01"]).tolist() == [0, 1, 1]
    assert instrument.do_not_use_reason(["2030-01-31T23:59:59", "2030-02-01"]).tolist() == ["", "lamp test"]
    with pytest.raises(MissingDataError, match="no response to species 'electron'"):
        instrument.response("electron")


def test_radem_configurations():
    """Configuration 1 ends as the second begins to be set; between them and before launch nothing is known."""
    times = ["2023-08-30T23:59:59", "2023-08-31", "2024-07-09T10:59:28", "2024-07-09T10:59:29", "2024-07-09T11:06:52"]
    times += ["2024-08-03T23:59:59", "2024-08-04"]
    assert load_instrument("radem").configuration_at(times).tolist() == [0, 1, 1, 0, 2, 2, 3]


def test_radem_do_not_use():
    """The software test and the threshold scans are excluded to the second, with their reasons."""
    radem = load_instrument("radem")
    times = [
        "2024-04-29T23:59:59",
        "2024-04-30",
        "2024-05-01",
        "2024-05-20T23:59:59",
        "2024-05-21",
        "2024-05-28T23:59:59",
    ]
    assert radem.do_not_use([*times, "2024-05-29"]).tolist() == [False, True, False, False, True, True, False]
    assert radem.do_not_use_reason(["2024-04-30", "2024-05-25"]).tolist() == ["software test", "threshold scans"]


def test_radem_background():
    """The quiet background is the stated rate at level 1 and follows the modulation exponents below it."""
    radem = load_instrument("radem")
    quiet, low = radem.quiet_background(), radem.quiet_background(level=0.9)
    assert tuple(quiet["channel"].values) == PDH + EDH
    np.testing.assert_allclose(quiet["background_rate"].sel(channel="PDH7"), 0.4277)
    ratio = (low["background_rate"] / quiet["background_rate"]).sel(channel=["PDH2", "PDH4", "PDH6"])
    np.testing.assert_allclose(ratio, [1.0, 0.9**1.19, 0.9**0.34], rtol=1e-12)
    assert (quiet["background_rate_std"] > 0).all()


def test_channels_to_read_and_their_errors(counter):
    """Without the tables all channels are read and none is worse than the others; with them as they say."""
    instrument = load_instrument(counter)
    assert instrument.reads == {"proton": ("low", "high"), "electron": ("low", "high")}
    assert instrument.response_errors == {}
    counter.write_text(COUNTER + '[reads]\nproton = ["high"]\n[response_error]\nhigh = 0.25\n', encoding="utf-8")
    instrument = load_instrument(counter)
    assert instrument.reads == {"proton": ("high",), "electron": ("low", "high")}
    assert instrument.response_errors == {"high": 0.25}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ('[reads]\nproton = ["top"]', r"\[reads\]: 'proton' is \['top'\], expected names among \['low', 'high'\]"),
        ("[reads]\nproton = []", "at least one and none twice"),
        ('[reads]\nmuon = ["low"]', r"\[reads\]: unknown key 'muon'"),
        ("[response_error]\ntop = 0.1", r"\[response_error\]: unknown channels \['top'\]"),
        ("[response_error]\nlow = 1.5", r"the errors of \['low'\] exceed 1, expected relative errors"),
        ("[response_error]\nlow = -0.1", "'low' is -0.1, expected a finite number above 0"),
    ],
)
def test_wrong_channels_to_read_are_refused(counter, tables, message):
    """Channels that there are not, none at all, other species and errors that are none are refused."""
    counter.write_text(f"{COUNTER}{tables}\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"{re.escape(str(counter))}.*{message}"):
        load_instrument(counter)


def test_radem_channels_to_read():
    """Protons are read from the proton head; electrons from both heads without the two channels that drift."""
    radem = load_instrument("radem")
    assert radem.reads["proton"] == PDH
    assert radem.reads["electron"][: len(PDH)] == PDH
    assert set(radem.reads["electron"]) - set(PDH) < set(EDH) - {"EDH7", "EDH8"}
    assert radem.response_errors["PDH7"] == 0.5


def test_hardest_event_is_optional(counter):
    """The table of the hardest event is read in its order; without it an instrument has none."""
    assert load_instrument(counter).hardest == {}
    counter.write_text(COUNTER + "[background.hardest]\nlow = 3\n", encoding="utf-8")
    assert load_instrument(counter).hardest == {"low": 3.0}
    assert list(load_instrument("radem").hardest) == ["PDH1", "PDH3", "PDH4", "PDH5"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("high = 3", r"\['high'\] are no channels beside the monitors, expected names among \['low', 'mid'\]"),
        ("top = 3", r"\['top'\] are no channels beside the monitors"),
        ("low = -3", "'low' is -3, expected a finite number above 0"),
        ("low = 0.9", "above 1 and the channel's modulation exponent"),
        ("mid = 1.5", "above 1 and the channel's modulation exponent"),
        ("mid = 3\nlow = 4", "fall from the softest channel to the hardest"),
    ],
)
def test_bad_hardest_event_is_refused(counter, table, message):
    """A wrong channel, a value that bounds nothing, or the wrong order is refused with the key and the file."""
    text = COUNTER.replace('["low", "high"]\n[[conf', '["low", "mid", "high"]\n[[conf')
    for key, value in (("low = 1e4", "1e4"), ("low = 0.5", "0.5"), ("low = 0.1", "0.1"), ("low = 0.0", "2.0")):
        text = text.replace(f"{key}\n", f"{key}\nmid = {value}\n")
    counter.write_text(text + "[background.hardest]\nlow = 3\nmid = 2.5\n", encoding="utf-8")
    assert list(load_instrument(counter).hardest) == ["low", "mid"]
    counter.write_text(f"{text}[background.hardest]\n{table}\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"{re.escape(str(counter))} \[background\] \[hardest\].*{message}"):
        load_instrument(counter)


@pytest.mark.parametrize("species", ["proton", "electron"])
def test_radem_response_model(species):
    """The shipped model holds all sixteen channels and is blind below threshold."""
    response = load_instrument("radem").response(species)
    assert response.channels == PDH + EDH
    assert response.species == species
    below = response.energy_upper < (4.9 if species == "proton" else 0.4)
    assert below.any()
    assert not response.weights[:, below].any()


def test_radem_without_public_response():
    """Configurations 2 and 3 have no response: asking for one is an error, never a substitute."""
    radem = load_instrument("radem")
    for number in (2, 3):
        with pytest.raises(MissingDataError, match=f"known for configuration {number}"):
            radem.response("proton", number)
    with pytest.raises(DataError, match="no configuration 7"):
        radem.response("proton", 7)
    with pytest.raises(DataError, match="unknown species 'muon'"):
        radem.response("muon")


def test_model_against_the_tables(shared_data):
    """Rates of the shipped model agree with the Monte-Carlo tables within 1 % in the median and 3 % at worst."""
    radem = load_instrument("radem")
    channels = ["PDH1", "PDH3", "PDH4", "PDH5", "PDH6"]
    table = radem.open_response(shared_data / "radem" / "response").select(channels)
    rng = np.random.default_rng(11)
    form = RollingPowerLaw(1.0, rng.uniform(0.5, 5.0, (300, 1)), 10 ** rng.uniform(0.0, 2.0, (300, 1)))
    off = np.abs(radem.response().select(channels).fold_form(form) / table.fold_form(form) - 1.0)
    assert (off.median("sample") < 0.01).all()
    assert (off.max("sample") < 0.03).all()


def test_electron_tables_adjoin(shared_data):
    """The public electron tables, whose stated widths are ten times too large, are read as bins to 100 MeV."""
    table = load_instrument("radem").open_response(shared_data / "radem" / "response", species="electron")
    np.testing.assert_allclose([table.energy_lower[0], table.energy_upper[-1]], [0.0, 99.995])


def test_quiet_rates_against_data(shared_data):
    """The stated background of PDH7 is that of a quiet day in October 2023, within 3 %."""
    import cdflib

    day = cdflib.CDF(str(shared_data / "radem" / "sc" / "radem_raw_sc_20231015__0_1.cdf")).varget("PROTONS")[:, 6]
    rate = day[day < 4294967295].mean() / 60.0
    np.testing.assert_allclose(rate, load_instrument("radem").quiet_rate["PDH7"], rtol=0.03)


def test_names():
    """A shipped instrument is found by name; anything else must be a file."""
    assert "radem" in shipped_instruments()
    with pytest.raises(MissingDataError, match="no instrument 'ramed'"):
        load_instrument("ramed")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "counter"', 'name = "counter"\ncolour = "red"', "unknown key 'colour'"),
        ('name = "counter"', "", "no key 'name'"),
        ('name = "counter"', "name = 3", "'name' is 3, expected str"),
        ("number = 1\n", "number = true\n", "'number' is True, expected int"),
        ("number = 1\n", "number = 200\n", "expected 1 to 127"),
        ("start = 2030-01-01T00:00:00Z", "start = 2030-01-01T00:00:00", "'start' is .* without a zone"),
        ("start = 2030-01-01T00:00:00Z", 'start = "soon"', "'start' is 'soon', expected datetime or date"),
        ("start = 2030-01-01T00:00:00Z", "start = 2030-13-01T00:00:00Z", "not a TOML file"),
        ("stop = 2030-02-02", "stop = 2030-02-01", "'stop' .* is not after 'start'"),
        ("proton =", "muon =", r"unknown key \['muon'\]"),
        ('["low", "high"]\n[[conf', '["low", "low"]\n[[conf', "'channels' is .* none twice"),
        ('monitors = ["high"]', 'monitors = ["top"]', "'monitors' is .* expected names among"),
        ('b = "high"', 'b = "top"', r"\[tables\]: unknown channels \['top'\]"),
        ("low = 0.5\n", "low = -0.5\n", r"\[rate\]: 'low' is -0.5, expected a finite number above 0"),
        ("low = 0.5\n", "low = 0.5\nmid = 1\n", "unknown key 'mid'"),
        (
            '[["low"], ["low", "high"]]',
            '[["high"], ["low"]]',
            "expected sets of channels that each hold the set before",
        ),
        (
            "[ensemble]",
            '[[noisy_channels]]\nchannel = "x"\nlevel_ratio = 2\nperiod = 9\n[ensemble]',
            "unknown channel 'x'",
        ),
        (
            "[[do_not_use]]",
            '[[configurations]]\nnumber = 2\nstart = 2031-01-01\ndescription = "b"\n[[do_not_use]]',
            "configurations 1 and 2 overlap",
        ),
        (
            "[[do_not_use]]",
            '[[configurations]]\nnumber = 1\nstart = 2031-01-01\ndescription = "b"\n[[do_not_use]]',
            "expected at least one and none twice",
        ),
    ],
)
def test_bad_descriptions_are_refused(counter, old, new, message):
    """Each mistake in a TOML file is refused with the key and the file."""
    assert old in COUNTER
    counter.write_text(COUNTER.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=f"{re.escape(str(counter))}.*{message}"):
        load_instrument(counter)


def test_channel_without_table(counter):
    """A channel that no table is named for is refused."""
    counter.write_text(COUNTER.replace('b = "high"\n', ""), encoding="utf-8")
    with pytest.raises(AxisError, match=r"unknown channels \['high'\]"):
        load_instrument(counter).response()
