"""Trained networks, running: bare numbers in, bare numbers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from particleflux.artefact import Artefact
from particleflux.errors import ArtefactError
from particleflux.features import BinRule, Measurement, Scaler, count_features, feature_names
from particleflux.unfold.targets import PARAMETERS, QUANTILES

Array = npt.NDArray[np.float64]
# What the card states about the data a model is for; read when counts come in.
_STATED = {"instrument": str, "species": str, "configurations": list}


@dataclass(frozen=True)
class Networks:
    """The ensembles of an artefact, ready to run.

    Attributes
    ----------
    rule : BinRule
        Which ensemble reads a sample.
    nodes, thresholds : tuple of float, MeV
        Energies of the flux and of the integral flux that come out.
    scalers : tuple of Scaler
        One an ensemble.
    sessions : tuple
        One an ensemble.
    """

    rule: BinRule
    nodes: tuple[float, ...]
    thresholds: tuple[float, ...]
    scalers: tuple[Scaler, ...]
    sessions: tuple[Any, ...]

    @classmethod
    def of(cls, artefact: Artefact) -> Networks:
        """Start the networks of an artefact.

        Parameters
        ----------
        artefact : Artefact
            Of the kind `KIND`.

        Returns
        -------
        Networks
            Ready to predict.

        Raises
        ------
        ArtefactError
            If the card lacks an entry or a network cannot be run.
        """
        card = artefact.card
        try:
            rule = BinRule(tuple(map(tuple, card["rule"]["bins"])), float(card["rule"]["threshold_sigma"]))
            scalers = tuple(
                Scaler(**{name: tuple(map(float, values)) for name, values in entry["scaler"].items()})
                for entry in card["ensembles"]
            )
            files = [str(entry["file"]) for entry in card["ensembles"]]
            nodes, thresholds = tuple(map(float, card["nodes"])), tuple(map(float, card["thresholds"]))
            contents = [artefact.networks[name] for name in files]
            wrong = [name for name, kind in _STATED.items() if not isinstance(card[name], kind)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"model {artefact.name!r}: its card lacks or misstates {error}; train or install the model again"
            raise ArtefactError(msg) from error
        if not (len(nodes) > 1 and nodes[0] > 0 and (np.diff(nodes) > 0).all()):
            wrong.append("nodes")
        if len(rule.bins) != len(files):
            wrong.append("rule")
        if wrong:
            msg = f"model {artefact.name!r}: its card misstates {wrong}; train or install the model again"
            raise ArtefactError(msg)
        sessions = tuple(start_session(name, content) for name, content in zip(files, contents, strict=True))
        n_targets = len(nodes) + len(thresholds) + len(PARAMETERS)
        for index, (name, session, scaler) in enumerate(zip(files, sessions, scalers, strict=True)):
            n_features = len(feature_names(rule, index))
            found = {port.name: list(port.shape[1:]) for port in (*session.get_inputs(), *session.get_outputs())}
            sizes = {len(values) for values in vars(scaler).values()}
            if found != {"features": [n_features], "quantiles": [len(QUANTILES), n_targets]} or sizes != {n_features}:
                msg = (
                    f"model {artefact.name!r}: {name} has ports {found} and a scaler of {sorted(sizes)} features, "
                    "which do not fit the card; train or install the model again"
                )
                raise ArtefactError(msg)
        return cls(rule, nodes, thresholds, scalers, sessions)

    def predict(
        self, measurement: Measurement, index: int
    ) -> tuple[npt.NDArray[np.float32], Array, npt.NDArray[np.bool_]]:
        """Predict quantiles with one ensemble.

        Parameters
        ----------
        measurement : Measurement
            n samples that the rule sent to this ensemble.
        index : int
            Which ensemble.

        Returns
        -------
        quantiles : ndarray, shape (n, 5, target)
            Of log flux at the nodes, log integral flux, index, log rollover energy, log intensity.
        log_scale : ndarray, shape (n,)
            Logarithm of the counts that fluxes are in units of.
        outside : ndarray of bool, shape (n,)
            Whether the features lie beyond those seen in training.
        """
        features, log_scale = count_features(measurement, self.rule, index)
        scaled = self.scalers[index].transform(features)
        (quantiles,) = self.sessions[index].run(["quantiles"], {"features": scaled.astype(np.float32)})
        return quantiles, log_scale, self.scalers[index].is_outside(scaled)


def start_session(name: str, content: bytes) -> Any:
    """Make a network ready to run, on one thread: networks this small gain nothing from threads of their own.

    Parameters
    ----------
    name : str
        For the message.
    content : bytes
        ONNX.

    Returns
    -------
    InferenceSession
        Of onnxruntime.

    Raises
    ------
    ArtefactError
        If it cannot be run.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types of its own, all of them meaning a bad file
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        msg = f"{name}: not a network that can be run ({reason}); train or install the model again"
        raise ArtefactError(msg) from error
