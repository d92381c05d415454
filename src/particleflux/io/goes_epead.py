"""Proton channels P2 to P7 of EPEAD on GOES-13 to 15: NOAA's full-resolution files of uncorrected fluxes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from particleflux.errors import AxisError, DataError, MissingDataError, UnitError
from particleflux.io._tables import find_files, read_text
from particleflux.io.cells import parse_numbers, parse_times
from particleflux.io.paths import Paths
from particleflux.io.times import TimeLike, TimeRange
from particleflux.names import Quality, attributes

Array = npt.NDArray[np.float64]

#: Channels facing west, where protons meet the lowest cutoff, with their nominal lower and upper energy (MeV).
CHANNELS = {
    "P2W": (4.2, 8.7), "P3W": (8.7, 14.5), "P4W": (15.0, 40.0), "P5W": (38.0, 82.0), "P6W": (84.0, 200.0),
    "P7W": (110.0, 900.0),
}  # fmt: skip
_NOMINAL_ENERGY = (6.5, 11.6, 30.6, 63.1, 165.0, 433.0)
_SANDBERG = ((5.0, 7.9), (9.4, 15.9), (16.7, 23.2), (32.5, 56.4), (89.8, 114.0), (120.0, 186.0))

# Effective energies of GOES-11 to 13 from the same calibration, as its authors publish them with their data.
_SANDBERG_ENERGY = (6.643, 12.61, 20.55, 46.62, 103.7, 154.6)

_NAMES = re.compile(r"g\d\d_epead_p27w_32s_\d{8}_\d{8}\.csv", re.IGNORECASE)
_WHAT = "EPEAD protons such as g15_epead_p27w_32s_20120307_20120307.csv"
_ADVICE = "give the file as NOAA publishes it"
_SATELLITE = re.compile(r':satellite_id\s*=\s*"(GOES-1[345])"')
_RANGE = re.compile(r"^(P\dW)_UNCOR_CR:description.*?([\d.]+)-([\d.]+)\s+MeV", re.MULTILINE)
_UNITS = re.compile(r'^(P\dW)_UNCOR_FLUX:units\s*=\s*"([^"]*)"', re.MULTILINE)
_UNIT = "p/(cm^2 s sr MeV)"
_FILL = -99999.0
# One count of the slowest channel is 0.030488 counts/s: that is the accumulation, not the 32 s in the file's name.
_EXPOSURE = 32.8


def open_goes_epead(
    paths: Paths,
    *,
    energies: Literal["sandberg2014", "nominal"] = "sandberg2014",
    start: TimeLike | None = None,
    stop: TimeLike | None = None,
) -> xr.Dataset:
    """Read differential proton fluxes of GOES EPEAD, 32 s apart.

    The files hold uncorrected fluxes: protons that come in through the walls, and cosmic rays, are in them. Subtract a
    quiet level (`particleflux.products.subtract_quiet`) before use. The channels are broad, so that the energy at
    which a channel's flux is that of the spectrum depends on the spectrum. `energies` chooses between two answers:

    - "sandberg2014": ranges for which uncorrected fluxes of GOES-11's like channels agree with IMP-8 GME over many
      events; what comes through the walls is part of the calibration. The default, as these files are uncorrected.
    - "nominal": the ranges and the energies (6.5 to 433 MeV) that NOAA writes in the files. They are the scale of
      NOAA's integral fluxes, which however start from corrected fluxes; uncorrected ones run high at a hard onset.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, folders (searched for g1?_epead_p27w_32s_*.csv) and patterns.
    energies : {"sandberg2014", "nominal"}
        Energies of the channels.
    start, stop : str, date, datetime, datetime64, Timestamp or None
        Half-open range of UTC instants; see `particleflux.io.times.TimeRange.parse`.

    Returns
    -------
    Dataset, dims (time, energy)
        `flux` and `flux_std` (cm-2 s-1 sr-1 MeV-1; the error is that of counting, of at least one count), `exposure`
        (s) and `quality` (time, MISSING where a channel holds fill or a quality flag of NOAA's; that channel is NaN);
        coordinates `energy` (effective energy of the calibration, or NOAA's), `energy_lower`, `energy_upper` (MeV),
        `channel`; attributes `satellite`, `instrument`, `species`, `energies`.

    Raises
    ------
    MissingDataError
        If a path does not exist, no file is found, a file holds no row, or nothing lies inside the range.
    AxisError
        If the columns or the energies in the header are others.
    UnitError
        If the fluxes are in another unit.
    DataError
        If `energies` is another, a cell is damaged, or the files are of several satellites or overlap.

    References
    ----------
    Sandberg, I., Jiggens, P., Heynderickx, D., Daglis, I. A., Cross calibration of NOAA GOES solar proton detectors
    using corrected NASA IMP-8/GME data, Geophys. Res. Lett. 41, 2014, https://doi.org/10.1002/2014GL060469.
    Heynderickx, D., Sandberg, I., Jiggens, P., et al., SEPEM Reference Data Set, version 3.0, European Space Agency,
    2024: its description lists the effective energies of that calibration, those of GOES-11 to 13 for EPEAD.
    Rodriguez, J. V., et al., Validation of the effect of cross-calibrated GOES solar proton effective energies on
    derived integral fluxes by comparison with STEREO observations, Space Weather 15, 2017,
    https://doi.org/10.1002/2016SW001533.
    """
    if energies not in ("sandberg2014", "nominal"):
        msg = f"energies={energies!r}: expected 'sandberg2014' or 'nominal'; correct it"
        raise DataError(msg)
    span = TimeRange.parse(start, stop)
    files = find_files(paths, _NAMES, _WHAT)
    parts = [_read(path) for path in files]
    satellites = sorted({satellite for _, satellite in parts})
    if len(satellites) > 1:
        msg = f"the files are of {', '.join(satellites)}; expected one satellite; read them apart"
        raise DataError(msg)
    joined = xr.concat([part for part, _ in parts], "time").sortby("time")
    time = joined["time"].to_numpy()
    if not (np.diff(time) > np.timedelta64(0, "ns")).all():
        at = time[int(np.flatnonzero(np.diff(time) <= np.timedelta64(0, "ns"))[0])]
        msg = f"two rows at {np.datetime_as_string(at, unit='s')}, expected each time once; leave a file out"
        raise DataError(msg)
    joined = joined.isel(time=span.contains(time))
    if not joined.sizes["time"]:
        msg = f"no sample in the range {span} asked for; give other files or other start and stop"
        raise MissingDataError(msg)
    edges = np.array(_SANDBERG if energies == "sandberg2014" else list(CHANNELS.values()))
    centres = np.array(_SANDBERG_ENERGY if energies == "sandberg2014" else _NOMINAL_ENERGY)
    joined = joined.assign_coords(
        energy=("energy", centres, attributes("energy")),
        energy_lower=("energy", edges[:, 0], attributes("energy_lower")),
        energy_upper=("energy", edges[:, 1], attributes("energy_upper")),
        channel=("energy", list(CHANNELS), {"units": "1", "long_name": "channel"}),
    )
    joined["time"].attrs = {"long_name": "start of the interval, UTC"}
    return joined.assign_attrs(
        instrument="goes_epead",
        satellite=satellites[0],
        species="proton",
        energies=energies,
        source_files=[path.name for path in files],
    )


def _read(path: Path) -> tuple[xr.Dataset, str]:
    header, marker, body = read_text(path, _WHAT).partition("\ndata:")
    satellite = _SATELLITE.search(header)
    if not marker or satellite is None:
        found = "no line 'data:'" if not marker else "no satellite_id of GOES-13, 14 or 15"
        msg = f"{path}: found {found}, expected the header of {_WHAT}; {_ADVICE}"
        raise DataError(msg)
    ranges = {name: (float(low), float(high)) for name, low, high in _RANGE.findall(header)}
    if ranges != CHANNELS:
        msg = f"{path}: found channels {ranges or 'without energies'}, expected {CHANNELS} (MeV); {_ADVICE}"
        raise AxisError(msg)
    units = dict(_UNITS.findall(header))
    if set(units.values()) != {_UNIT}:
        msg = f"{path}: found fluxes in {sorted(set(units.values()))}, expected {_UNIT!r}; {_ADVICE}"
        raise UnitError(msg)
    rows = [line.split(",") for line in body.splitlines()[1:] if line.strip()]
    columns = ["time_tag", *(f"{name}_{what}" for name in CHANNELS for what in ("QUAL_FLAG", "UNCOR_CR", "UNCOR_FLUX"))]
    if not rows or [cell.strip() for cell in rows[0]] != columns:
        msg = f"{path}: found columns {','.join(rows[0]) if rows else 'none'}, expected {','.join(columns)}; {_ADVICE}"
        raise AxisError(msg)
    if len(rows) < 2:
        msg = f"{path} holds no row below its heading; {_ADVICE}"
        raise MissingDataError(msg)
    odd = next((number for number, row in enumerate(rows) if len(row) != len(columns)), None)
    if odd is not None:
        msg = f"{path}, data row {odd}: found {len(rows[odd])} cells, expected {len(columns)}; {_ADVICE}"
        raise DataError(msg)
    table = pd.DataFrame(rows[1:], columns=columns, dtype=str)
    return _label(table, path), satellite.group(1)


def _label(table: pd.DataFrame, path: Path) -> xr.Dataset:
    def numbers(what: str) -> Array:
        return np.stack(
            [parse_numbers(table[f"{name}_{what}"], path, row_name="data row", blank=()) for name in CHANNELS], axis=1
        )

    time = parse_times(table["time_tag"].str.strip(), path, row_name="data row")
    flag, rate, flux = numbers("QUAL_FLAG"), numbers("UNCOR_CR"), numbers("UNCOR_FLUX")
    bad = (flag != 0) | (flux <= _FILL) | (rate <= _FILL) | (flux < 0)
    flux, rate = np.where(bad, np.nan, flux), np.where(bad, np.nan, rate)
    # What one count is worth: NOAA's factor between rate and flux, by channel.
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(rate > 0, flux / rate, np.nan)
    worth = np.array([np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
                      for column in ratio.T]) / _EXPOSURE  # fmt: skip
    std = worth * np.sqrt(np.maximum(rate * _EXPOSURE, 1.0))
    std = np.where(np.isnan(flux), np.nan, std)
    measured = {**attributes("flux"), "long_name": "differential flux, measured, uncorrected"}
    return xr.Dataset(
        {
            "flux": (("time", "energy"), flux, measured),
            "flux_std": (("time", "energy"), std, attributes("flux_std")),
            "exposure": ("time", np.full(len(time), _EXPOSURE), attributes("exposure")),
            "quality": ("time", np.where(bad.any(axis=1), int(Quality.MISSING), 0), attributes("quality")),
        },
        coords={"time": time},
    )
