"""Methods by their names, and the checks of what they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from particleflux.errors import DataError
from particleflux.instruments import Instrument
from particleflux.response import Response
from particleflux.spectra import RollingPowerLaw
from particleflux.unfold import Unfolder

#: Names of the methods that can be asked for, and what each is.
METHODS = {"ensemble": "neural networks over several sets of channels, with intervals from the counting statistics"}
#: Species a method exists for.
SPECIES = ("proton",)


def load_method(
    name: str = "ensemble",
    *,
    model: str | None = None,
    species: str = "proton",
    energies: Sequence[float] | None = None,
    response_error: float | None = None,
) -> Unfolder:
    """Make a method by its name, with its trained model.

    Parameters
    ----------
    name : str
        A name of `METHODS`.
    model : str, optional
        Name or folder of a trained model; by default the one that ships for the method.
    species : str
        The particles.
    energies : sequence of float, optional
        Energies of the spectra, MeV; by default those of the model.
    response_error : float, optional
        Relative uncertainty of the response, carried into the intervals.

    Returns
    -------
    Unfolder
        Ready to unfold.

    Raises
    ------
    DataError
        If there is no such method, no method for the species, or a setting is out of range.
    ArtefactError
        If the model is missing, damaged, or of another version.
    """
    check_method(name, species=species, energies=energies, response_error=response_error)
    # onnxruntime takes a moment to load: only where a network is to run.
    from particleflux.unfold.ensemble import SHIPPED, EnsembleUnfolder

    settings: dict[str, Any] = {}
    if energies is not None:
        settings["energies"] = tuple(float(energy) for energy in energies)
    if response_error is not None:
        settings["response_error"] = float(response_error)
    return EnsembleUnfolder.load(SHIPPED if model is None else model, **settings)


def check_method(
    name: str,
    *,
    species: str = "proton",
    energies: Sequence[float] | None = None,
    response_error: float | None = None,
) -> None:
    """Check a method's settings without loading its model, so that a mistake shows before any work.

    Parameters
    ----------
    name : str
        A name of `METHODS`.
    species : str
        The particles.
    energies : sequence of float, optional
        Energies of the spectra, MeV.
    response_error : float, optional
        Relative uncertainty of the response.

    Raises
    ------
    DataError
        If there is no such method, no method for the species, or a setting is out of range.
    """
    if name not in METHODS:
        msg = f"method {name!r} is not available; choose one of: {', '.join(METHODS)}"
        raise DataError(msg)
    if species not in SPECIES:
        msg = f"method {name!r} has no model for species {species!r}; choose one of: {', '.join(SPECIES)}"
        raise DataError(msg)
    if energies is not None:
        values = np.asarray(energies, dtype=float)
        if not len(values) or not (np.isfinite(values) & (values > 0)).all() or (np.diff(values) <= 0).any():
            msg = f"energies {list(energies)}: expected positive numbers in MeV that increase; correct the list"
            raise DataError(msg)
    if response_error is not None and not 0 <= response_error <= 1:
        msg = f"response error {response_error}: expected a fraction from 0 to 1, such as 0.05; correct it"
        raise DataError(msg)


def check_response(
    response: Response, instrument: Instrument, *, tolerance: float, trained_for: str | None = None
) -> None:
    """Check that another response gives the rates of the one a model was trained for.

    Parameters
    ----------
    response : Response
        Such as a user's own tables.
    instrument : Instrument
        Its own response is what the shipped model was trained for.
    tolerance : float
        Largest relative difference of the rates allowed: the uncertainty of the response that the intervals carry.
        Tables and a fit to them differ by their Monte-Carlo noise, so that 1 % is always allowed.
    trained_for : str, optional
        Digest of the response (of the channels that are read) that the model was trained for, by default the
        instrument's own. A response of this digest is right whatever the instrument's is.

    Raises
    ------
    DataError
        If the rates of a solar particle spectrum differ by more, or the model was trained for a third response.
    """
    tolerance = max(tolerance, 0.01)
    own = instrument.response(response.species, instrument.configurations[0].number)
    channels = list(dict.fromkeys(name for bins in instrument.ensemble.bins for name in bins))
    if trained_for is not None:
        if response.select(channels).digest == trained_for:
            return
        if own.select(channels).digest != trained_for:
            msg = (
                f"the model was trained for another response (SHA-256 {trained_for[:12]}...) than these tables "
                f"({response.select(channels).digest[:12]}...); give the tables it was trained for, or another model"
            )
            raise DataError(msg)
    # From hard and flat to soft and steep, as solar particle spectra are.
    form = RollingPowerLaw(
        intensity=np.ones((4, 1)),
        spectral_index=np.array([[1.0], [1.0], [3.0], [3.0]]),
        rollover_energy=np.array([[5.0], [50.0], [5.0], [50.0]]),
    )
    ratio = response.select(channels).fold_form(form).to_numpy() / own.select(channels).fold_form(form).to_numpy()
    difference = np.abs(ratio - 1).max(axis=0)
    worst = int(difference.argmax())
    if difference[worst] > tolerance:
        msg = (
            f"the response tables give rates up to {difference[worst]:.1%} off those of {instrument.name} in "
            f"{channels[worst]}, more than the {tolerance:.1%} the intervals carry; allow for it with a larger "
            "response error, or train a model for these tables with `particleflux train spectra --response`"
        )
        raise DataError(msg)
