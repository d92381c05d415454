"""What the package knows of an instrument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from particleflux.errors import DataError, MissingDataError
from particleflux.names import attributes
from particleflux.response import SPECIES, Response, open_fitted, open_response


@dataclass(frozen=True)
class Configuration:
    """A way the instrument was set, and the response that holds for it.

    Attributes
    ----------
    number : int
        1 or above; 0 stands for "no configuration known".
    start, stop : datetime64[ns]
        Valid from `start` until just before `stop`, UTC; `stop` is NaT where it still holds.
    description : str
        What is special about it.
    response : Mapping of str to str
        Species -> response model file or folder of tables, relative to the instrument's TOML file. Empty where no
        response is public: such data are labelled and never processed.
    """

    number: int
    start: np.datetime64
    stop: np.datetime64
    description: str
    response: Mapping[str, str]


@dataclass(frozen=True)
class Exclusion:
    """A window whose data must not be used.

    Attributes
    ----------
    start, stop : datetime64[ns]
        From `start` until just before `stop`, UTC.
    reason : str
        Why.
    """

    start: np.datetime64
    stop: np.datetime64
    reason: str


@dataclass(frozen=True)
class NoisyChannel:
    """A channel that leaves its level now and then although the radiation does not change.

    Attributes
    ----------
    channel : str
        Which.
    level_ratio : float
        Highest level of its spikes, over its quiet level.
    period : float, s
        Usual time from spike to spike.
    """

    channel: str
    level_ratio: float
    period: float


@dataclass(frozen=True)
class Ensemble:
    """The sets of channels from which spectra are reconstructed, and the rule that chooses among them.

    Attributes
    ----------
    bins : tuple of tuple of str
        Sets of channels, each a larger one than the set before.
    threshold_sigma : float
        A channel joins once its rate exceeds its background by this many standard deviations.
    """

    bins: tuple[tuple[str, ...], ...]
    threshold_sigma: float


@dataclass(frozen=True)
class BowTieAnalysis:
    """What a bow-tie analysis of an instrument is made of.

    Attributes
    ----------
    combinations : tuple of tuple of str
        Single channels, and pairs of channels of which the second is subtracted from the first.
    highest_energy : float, MeV
        Above it particles come through the walls and no channel tells their energy.
    penetrating : str or None
        A channel that counts such particles and almost nothing else.
    """

    combinations: tuple[tuple[str, ...], ...]
    highest_energy: float = np.inf
    penetrating: str | None = None


@dataclass(frozen=True, eq=False)
class Instrument:
    """A particle counter as its TOML file describes it; `load_instrument` makes one.

    Attributes
    ----------
    name : str
        Short name.
    description : str
        What it is and where it flies.
    channels : tuple of str
        Names of the channels, in order.
    configurations : tuple of Configuration
        In order of time, without overlap.
    exclusions : tuple of Exclusion
        Do-not-use windows.
    quiet_rate : Mapping of str to float, s-1
        Channel -> background rate at modulation level 1.
    quiet_relative_std : Mapping of str to float
        Channel -> standard deviation of its daily means in quiet time, over `quiet_rate`.
    modulation : Mapping of str to float
        Channel -> exponent m of its background: rate = quiet_rate * level**m, with the level of the monitors.
    monitors : tuple of str
        Channels whose mean ratio to their quiet rate is the modulation level.
    hardest : Mapping of str to float
        Softer channel, softest first -> its rise over the monitors', relative to background, in the hardest event.
    implausible_rate : Mapping of str to float, s-1
        Channel -> count rate above which a sample is taken for saturated or false.
    noisy_channels : tuple of NoisyChannel
        Channels with spikes.
    ensemble : Ensemble
        How spectra are reconstructed.
    response_errors : Mapping of str to float
        Channel -> relative error of its response beyond that of the others; only channels that are known to be off.
    reads : Mapping of str to tuple of str
        Species -> channels from which its spectra are reconstructed by the methods that read all they can.
    bow_tie : Mapping of str to BowTieAnalysis
        Species -> how its spectra are found by a bow-tie analysis; absent where the file says nothing of it.
    tables : Mapping of str to str
        File name (without suffix) of a response table -> channel.
    source : str
        The TOML file, for messages.
    folder : Traversable
        Where it lies; response files are found from there.
    """

    name: str
    description: str
    channels: tuple[str, ...]
    configurations: tuple[Configuration, ...]
    exclusions: tuple[Exclusion, ...]
    quiet_rate: Mapping[str, float]
    quiet_relative_std: Mapping[str, float]
    modulation: Mapping[str, float]
    monitors: tuple[str, ...]
    hardest: Mapping[str, float]
    implausible_rate: Mapping[str, float]
    noisy_channels: tuple[NoisyChannel, ...]
    ensemble: Ensemble
    response_errors: Mapping[str, float]
    reads: Mapping[str, tuple[str, ...]]
    bow_tie: Mapping[str, BowTieAnalysis]
    tables: Mapping[str, str]
    source: str
    folder: Traversable

    def response(self, species: str = "proton", configuration: int = 1) -> Response:
        """Read the response of all channels to a species.

        Parameters
        ----------
        species : {"proton", "electron"}
            The particles.
        configuration : int
            Number of the configuration.

        Returns
        -------
        Response
            With the channels in the order of the instrument.

        Raises
        ------
        DataError
            If the species or configuration is unknown.
        MissingDataError
            If no response is known for the two.
        AxisError
            If the response lacks a channel of the instrument.
        """
        if species not in SPECIES:
            msg = f"unknown species {species!r}: expected one of {SPECIES}"
            raise DataError(msg)
        known = {item.number: item for item in self.configurations}
        if configuration not in known:
            msg = f"{self.name} has no configuration {configuration}: expected one of {sorted(known)} ({self.source})"
            raise DataError(msg)
        file = known[configuration].response.get(species)
        if file is None:
            msg = (
                f"{self.name}: no response to species {species!r} is known for configuration {configuration}; use data "
                f"of a configuration that has one, or name its file in {self.source}"
            )
            raise MissingDataError(msg)
        with resources.as_file(self.folder.joinpath(file)) as path:
            if path.is_dir():
                return self.open_response(path, species=species)
            return open_fitted(path, species=species).select(self.channels)

    def open_response(self, folder: str | Path, *, species: str = "proton") -> Response:
        """Read a folder of response tables of this instrument, by its own names of the files.

        Parameters
        ----------
        folder : path
            As `particleflux.response.open_response` takes it.
        species : {"proton", "electron"}
            The particles.

        Returns
        -------
        Response
            With the channels in the order of the instrument.

        Raises
        ------
        MissingDataError
            If a table is absent.
        AxisError
            If a table's bins are wrong, or a channel has no table.
        DataError
            If a table cannot be used.
        """
        names = self.tables or {channel: channel for channel in self.channels}
        return open_response(folder, species=species, names=names).select(self.channels)

    def configuration_at(self, times: npt.ArrayLike) -> npt.NDArray[np.int8]:
        """Look up the configuration at each time.

        Parameters
        ----------
        times : array_like of datetime64
            UTC.

        Returns
        -------
        ndarray of int8
            Configuration numbers; 0 where none is known.
        """
        moments = np.asarray(times, dtype="datetime64[ns]")
        numbers = np.zeros(moments.shape, dtype=np.int8)
        for item in self.configurations:
            numbers[(moments >= item.start) & (np.isnat(item.stop) | (moments < item.stop))] = item.number
        return numbers

    def do_not_use(self, times: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell which times lie in a do-not-use window.

        Parameters
        ----------
        times : array_like of datetime64
            UTC.

        Returns
        -------
        ndarray of bool
            True where the data must not be used.
        """
        return np.asarray(self.do_not_use_reason(times) != "")

    def do_not_use_reason(self, times: npt.ArrayLike) -> npt.NDArray[np.str_]:
        """Say why the data at each time must not be used.

        Parameters
        ----------
        times : array_like of datetime64
            UTC.

        Returns
        -------
        ndarray of str
            The reason; empty where nothing is known against the data.
        """
        moments = np.asarray(times, dtype="datetime64[ns]")
        reasons = np.zeros(moments.shape, dtype=f"<U{max((len(item.reason) for item in self.exclusions), default=1)}")
        for item in self.exclusions:
            reasons[(moments >= item.start) & (moments < item.stop)] = item.reason
        return reasons

    def quiet_background(self, level: float = 1.0) -> xr.Dataset:
        """Give the background that the TOML file states, for use where no quiet data are at hand.

        Parameters
        ----------
        level : float
            Level of the galactic cosmic rays, 1 when the quiet rates were measured.

        Returns
        -------
        Dataset, dims (channel)
            `background_rate` and `background_rate_std`, s-1.
        """
        names = list(self.channels)
        rate = np.array([self.quiet_rate[name] * level ** self.modulation[name] for name in names])
        spread = np.array([self.quiet_relative_std[name] for name in names])
        return xr.Dataset(
            {
                "background_rate": ("channel", rate, attributes("background_rate")),
                "background_rate_std": ("channel", rate * spread, attributes("background_rate_std")),
            },
            coords={"channel": names},
            attrs={"instrument": self.name},
        )
