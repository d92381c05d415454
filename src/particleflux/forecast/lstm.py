"""The deep ensemble of recurrent networks: a history in, quantiles of the fluence of the coming days out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnxruntime
import xarray as xr

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError, DataError
from particleflux.forecast.distribution import LEADS, QUANTILES, as_forecast
from particleflux.forecast.inputs import Inputs, InputSpec, read_inputs
from particleflux.forecast.issue import (
    FLUENCE,
    Rows,
    check_leads,
    describe,
    input_flags,
    issue_times,
    log_fluence,
    rows_before,
    take_days,
)
from particleflux.forecast.recent import normal_scores, recent_stretch, rows_needed
from particleflux.names import ForecastQuality

#: Kind of artefact, name of its network file, and the models that ship.
KIND = "geo-electron-forecast"
NETWORK = "forecast.onnx"
SHIPPED = "geo-electrons-daily"
SHIPPED_HOURLY = "geo-electrons-hourly"

#: Days without electrons before the issue time for which a card states how much wider the intervals must be; the last
#: one is more than any network reads.
FLUX_GAPS = (1, 2, 3, 5, 10, 27, 82)

# Every call of the network has this many rows: the digits of a forecast must not depend on how many are asked for.
_ROWS = 256
_MIDDLE = QUANTILES.index(0.5)


@dataclass(frozen=True)
class LstmForecaster:
    """Forecast with an ensemble of networks with LSTM cells.

    Attributes
    ----------
    artefact : Artefact
        Networks and card.
    spec : InputSpec
        What they read.
    stretch : tuple of tuple of float, shape (lead_time, quantile)
        Factors on the distances of the quantiles from the median, learnt from training days left out.
    gap_stretch : tuple, shape (gap, lead_time, quantile)
        The same where the electrons of the last days are missing, for each of `FLUX_GAPS`.
    session : object
        The running networks.

    References
    ----------
    Wei et al. (2018), Quantitative prediction of high-energy electron integral flux at geostationary orbit based on
    deep learning, Space Weather 16, 903, doi:10.1029/2018SW001829.
    """

    artefact: Artefact
    spec: InputSpec
    stretch: tuple[tuple[float, ...], ...]
    gap_stretch: tuple[tuple[tuple[float, ...], ...], ...]
    session: Any

    name: ClassVar[str] = "lstm"

    @classmethod
    def load(cls, model: str | Path | None = None) -> LstmForecaster:
        """Load a trained model.

        Parameters
        ----------
        model : str or Path, optional
            Name of one that ships, or a folder; by default the model on daily inputs.

        Returns
        -------
        LstmForecaster
            Ready to predict.

        Raises
        ------
        ArtefactError
            If there is none, or it is damaged or of another kind.
        """
        return cls.of(Artefact.load(SHIPPED if model is None else model))

    @classmethod
    def of(cls, artefact: Artefact) -> LstmForecaster:
        """Start the networks of an artefact.

        Parameters
        ----------
        artefact : Artefact
            Of the kind `KIND`.

        Returns
        -------
        LstmForecaster
            Ready to predict.

        Raises
        ------
        ArtefactError
            If it is of another kind, its card lacks an entry, or its network cannot be run.
        """
        card = artefact.card
        if card["kind"] != KIND:
            msg = f"model {artefact.name!r} is of kind {card['kind']!r}, expected {KIND!r}; see `particleflux models`"
            raise ArtefactError(msg)
        try:
            spec = InputSpec.from_dict(card["inputs"])
            stretch = _table(card["stretch"])
            gaps = tuple(_table(table) for table in card["gap_stretch"]["stretch"])
            gap_days = tuple(card["gap_stretch"]["days"])
            content = artefact.networks[NETWORK]
            quantiles = tuple(map(float, card["quantiles"]))
            float(card.get("day_start", 0.0))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            msg = f"model {artefact.name!r}: its card lacks or misstates {error}; train or install the model again"
            raise ArtefactError(msg) from error
        sound = all(
            [len([factor for factor in row if 0 < factor < np.inf]) for row in table] == [len(QUANTILES)] * len(LEADS)
            and {len(row) for row in table} == {len(QUANTILES)}
            for table in (stretch, *gaps)
        )
        if quantiles != QUANTILES or gap_days != FLUX_GAPS or len(gaps) != len(FLUX_GAPS) or not sound:
            msg = f"model {artefact.name!r}: its card misstates quantiles or stretch; train or install the model again"
            raise ArtefactError(msg)
        session = _start(artefact.name, content)
        expected = {
            "days": [spec.n_days, spec.n_daily],
            "context": [len(LEADS), spec.n_context],
            "level": [],
            "mean": [len(LEADS)],
            "quantiles": [len(LEADS), len(QUANTILES)],
        }
        if spec.hourly:
            expected["hours"] = [spec.n_steps, spec.n_hourly]
        found = {port.name: list(port.shape[1:]) for port in (*session.get_inputs(), *session.get_outputs())}
        if found != expected:
            msg = f"model {artefact.name!r}: its network has ports {found}, its card wants {expected}; install it again"
            raise ArtefactError(msg)
        return cls(artefact, spec, stretch, gaps, session)

    def predict(
        self, history: xr.Dataset, *, init_time: npt.ArrayLike | None = None, lead_time: Sequence[int] = LEADS
    ) -> xr.Dataset:
        """Forecast as `particleflux.forecast.protocol.Forecaster` says.

        Parameters
        ----------
        history : Dataset, dims (time[, hour])
            `fluence_gt2mev` (time), cm-2 sr-1 d-1, and the drivers that the model reads; those absent count as missing.
        init_time : array of datetime64, shape (init_time,), optional
            Issue times; by default the first instant after the last day.
        lead_time : sequence of int
            Days, of 1, 2, 3.

        Returns
        -------
        Dataset, dims (init_time, lead_time, quantile, threshold)
            The forecast; NaN and flagged NOT_FORECAST where every input is missing.

        Raises
        ------
        DataError
            If the days of the history begin at another hour than those the model was trained on.
        AxisError
            If a variable has other dimensions.
        UnitError
            If its unit is another one.
        """
        leads = check_leads(lead_time, LEADS)
        issued = issue_times(history, init_time)
        start, trained = float(history.attrs.get("day_start", 0.0)), float(self.artefact.card.get("day_start", 0.0))
        if start != trained:
            msg = (
                f"days of the history begin {start:g} h after 00:00 UTC, those of model {self.artefact.name!r} "
                f"{trained:g} h; make the history with --day-start {trained:g}, or train a model for such days"
            )
            raise DataError(msg)
        rows = rows_before(history, issued)
        shift, scale = self.spec.mean[0], self.spec.std[0]
        # The forecasts of the days before are judged, to set the width of these.
        every = rows_needed(rows, LEADS)
        inputs, outside = read_inputs(history, every, self.spec)
        mean, quantiles = self._run(inputs)
        middle = quantiles[..., _MIDDLE : _MIDDLE + 1]
        quantiles = shift + scale * np.sort(middle + self._stretch_of(history, every) * (quantiles - middle), axis=-1)
        mean = shift + scale * mean
        empty = inputs.is_empty
        quantiles[empty], mean[empty] = np.nan, np.nan
        came = take_days(log_fluence(history), every[:, None] + np.array(LEADS))
        scores = np.full((max(every.max(initial=0) + 1, 1), len(LEADS)), np.nan)
        scores[every[every >= 0]] = normal_scores(quantiles, came)[every >= 0]
        asked = np.searchsorted(every, rows)
        quantiles, mean, empty, outside = quantiles[asked], mean[asked], empty[asked], outside[asked]
        for number, lead in enumerate(LEADS):
            middle = quantiles[:, number, _MIDDLE : _MIDDLE + 1]
            factor = recent_stretch(scores[:, number], rows, lead)[:, None]
            quantiles[:, number] = middle + factor * (quantiles[:, number] - middle)
        flags = input_flags(
            _join_alternatives(history, self.spec),
            rows,
            self.spec.n_days,
            drivers=self.spec.drivers,
            recurrence=leads if FLUENCE in self.spec.rotation else (),
        ) | np.where(outside, ForecastQuality.EXTRAPOLATED.value, 0).astype(np.int32)
        reference = str(self.artefact.card.get("reference", ""))
        if reference and history.attrs.get("reference", "") != reference:
            flags = flags | ForecastQuality.UNCALIBRATED.value
        flags = np.where(empty, flags | ForecastQuality.NOT_FORECAST.value, flags).astype(np.int32)
        chosen = [LEADS.index(lead) for lead in leads]
        return as_forecast(
            quantiles[:, chosen],
            init_time=issued,
            lead_time=leads,
            quality=flags,
            log_mean=mean[:, chosen],
            attrs=describe(history, self.name)
            | {
                "model": self.artefact.name,
                "model_sha256": self.artefact.digest,
                "trained_on": self._trained_on(),
            },
        )

    def _stretch_of(self, history: xr.Dataset, rows: Rows) -> npt.NDArray[np.float64]:
        """Give the factors of each issue time by how long its flux has been missing, (n, lead_time, quantile)."""
        known = np.isfinite(take_days(log_fluence(history), rows[:, None] - np.arange(FLUX_GAPS[-1])))
        missing = np.where(known.any(axis=1), known.argmax(axis=1), FLUX_GAPS[-1])
        # The next longer gap that was tried: rather too wide than too narrow.
        return np.array([self.stretch, *self.gap_stretch])[np.searchsorted((0, *FLUX_GAPS), missing)]

    def _trained_on(self) -> str:
        """Give the years whose days the networks learnt from, for those who score them."""
        years = self.artefact.card.get("training", {}).get("years", [])
        return ",".join(str(year) for year in years)

    def _run(self, inputs: Inputs) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Run the network in pieces of one size; gives mean (n, lead_time) and quantiles (n, lead_time, quantile)."""
        means, quantiles = [], []
        for start in range(0, max(len(inputs), 1), _ROWS):
            piece = inputs[slice(start, start + _ROWS)]
            ports = {"days": piece.days, "context": piece.context, "level": piece.level}
            if self.spec.hourly:
                ports["hours"] = piece.hours
            n = len(piece)
            padded = {
                name: np.concatenate([array, np.zeros((_ROWS - n, *array.shape[1:]), dtype=np.float32)])
                for name, array in ports.items()
            }
            mean, quantile = self.session.run(["mean", "quantiles"], padded)
            means.append(mean[:n])
            quantiles.append(quantile[:n])
        return np.concatenate(means).astype(np.float64), np.concatenate(quantiles).astype(np.float64)


def _join_alternatives(history: xr.Dataset, spec: InputSpec) -> xr.Dataset:
    """Fill the first of the alternatives of the inputs from the others: a day that has one of them lacks nothing."""
    joined = {}
    for first, *others in (name.split("|") for name in spec.daily):
        held = [history[name] for name in (first, *others) if name in history]
        if others and held:
            joined[first] = reduce(xr.DataArray.fillna, held)
    return history.assign(joined)


def _table(rows: Any) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in rows)


def default_model(history: xr.Dataset) -> str:
    """Choose among the models that ship: the one on hours where the history has any, else the one on days.

    Parameters
    ----------
    history : Dataset, dims (time[, hour])
        Days.

    Returns
    -------
    str
        Its name.
    """
    return SHIPPED_HOURLY if any(str(name).endswith("_hourly") for name in history.data_vars) else SHIPPED


def _start(name: str, content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types of its own, all of them meaning a bad file
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        msg = f"model {name!r}: not a network that can be run ({reason}); train or install the model again"
        raise ArtefactError(msg) from error
