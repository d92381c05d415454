"""Methods by their names, and the checks of what they are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from particleflux.errors import DataError
from particleflux.instruments import Instrument, load_instrument
from particleflux.response import Response
from particleflux.spectra import RollingPowerLaw
from particleflux.unfold import Unfolder

#: Names of the methods that can be asked for, and what each is.
METHODS = {
    "ensemble": "neural networks over several sets of channels, for one spectral form",
    "npe": "neural posterior over several spectral forms, from all channels",
    "bayes": "exact posterior over several spectral forms, by importance sampling",
    "fit": "maximum likelihood of every spectral form, weighted by AIC",
    "bowtie": "effective energies of channels and their differences",
    "regularised": "smoothest spectrum that the counts allow (Tikhonov in log flux, MLEM, GRAVEL)",
}
#: What is used where no method is named.
DEFAULT_METHOD = "npe"
#: Species that each method exists for.
SPECIES = {name: ("proton", "electron") if name == "npe" else ("proton",) for name in METHODS}
#: Methods that a trained model belongs to; the others work from the response itself.
TRAINED = ("ensemble", "npe")
#: Methods that give draws of the joint distribution of the flux.
SAMPLED = ("npe", "bayes", "regularised")


def load_method(
    name: str | None = None,
    *,
    instrument: str | Instrument = "radem",
    model: str | None = None,
    species: str = "proton",
    energies: Sequence[float] | None = None,
    response_error: float | None = None,
    samples: int = 0,
    response: Response | None = None,
) -> Unfolder:
    """Make a method by its name, with its trained model where it has one.

    Parameters
    ----------
    name : str, optional
        A name of `METHODS`; by default that which `model` was trained for, and `DEFAULT_METHOD` without a model.
    instrument : str or Instrument
        What counted, by name or file. A trained method works with the instrument of its model only.
    model : str, optional
        Name or folder of a trained model, for the methods of `TRAINED`; by default the one that ships for the method.
    species : str
        The particles.
    energies : sequence of float, optional
        Energies of the spectra, MeV; by default those of the method.
    response_error : float, optional
        Relative uncertainty of the response, carried into the intervals.
    samples : int
        Draws of the joint distribution to give as `flux_sample`, for the methods of `SAMPLED`; 0 for none.
    response : Response, optional
        Such as a user's own tables. The methods that work from the response use it; the model of a trained method is
        checked to hold for it (`check_response`).

    Returns
    -------
    Unfolder
        Ready to unfold.

    Raises
    ------
    DataError
        If there is no such method, no method for the species, a setting is out of range or not one of this method, or
        the response is another than the model's.
    ArtefactError
        If the model is missing, damaged, or of another version.
    """
    if name is None:
        name = DEFAULT_METHOD if model is None else _method_of(model)
    check_method(name, model=model, species=species, energies=energies, response_error=response_error, samples=samples)
    chosen = load_instrument(instrument) if isinstance(instrument, str) else instrument
    settings: dict[str, Any] = {}
    if energies is not None:
        settings["energies"] = tuple(float(energy) for energy in energies)
    if samples:
        settings["samples"] = int(samples)
    if name not in TRAINED:
        return _make_classical(name, chosen, species, response, response_error, settings)
    if response_error is not None:
        settings["response_error"] = float(response_error)
    method = _load_trained(name, model, species, settings)
    if response is not None:
        tolerance = 0.05 if response_error is None else response_error
        # The digest is that of the response to protons; tables of another species are compared by their rates.
        trained_for = method.trained_for if response.species == "proton" else None
        check_response(response, chosen, tolerance=tolerance, trained_for=trained_for)
    return method


def _method_of(model: str) -> str:
    """Tell which method a trained model is for; `DEFAULT_METHOD`, which refuses it, if for none."""
    from particleflux.artefact import Artefact
    from particleflux.unfold.targets import KIND

    return "ensemble" if Artefact.load(model).card["kind"] == KIND else DEFAULT_METHOD


def _load_trained(name: str, model: str | None, species: str, settings: dict[str, Any]) -> Unfolder:
    # onnxruntime takes a moment to load: only where a network is to run.
    if name == "npe":
        from particleflux.unfold.npe import NpeUnfolder

        return NpeUnfolder.load(model, species=species, **settings)
    from particleflux.unfold.ensemble import SHIPPED, EnsembleUnfolder

    return EnsembleUnfolder.load(SHIPPED if model is None else model, **settings)


def _make_classical(
    name: str,
    instrument: Instrument,
    species: str,
    response: Response | None,
    response_error: float | None,
    settings: dict[str, Any],
) -> Unfolder:
    from particleflux.unfold.detector import Detector

    detector = Detector.of_instrument(instrument, species=species)
    if response is not None:
        detector = detector.replace(response=response.select(detector.channels))
    if response_error is not None:
        detector = detector.replace(response_error=float(response_error))
    if name == "bayes":
        from particleflux.unfold.bayes import BayesUnfolder

        bayes = BayesUnfolder.of_instrument(instrument, species=species, **settings)
        # The prior's signals are counts of the same response as those observed.
        population = bayes.population
        if response is not None:
            population = dataclasses.replace(population, response=response.select(population.response.channels))
        return dataclasses.replace(bayes, detector=detector, population=population)
    if name == "fit":
        from particleflux.unfold.fit import FitUnfolder

        return FitUnfolder(detector, **settings)
    if name == "bowtie":
        from particleflux.unfold.bowtie import BowtieUnfolder

        return BowtieUnfolder.of_instrument(instrument, detector=detector, **settings)
    from particleflux.unfold.regularised import RegularisedUnfolder

    return RegularisedUnfolder(detector, **settings)


def check_method(
    name: str,
    *,
    model: str | None = None,
    species: str = "proton",
    energies: Sequence[float] | None = None,
    response_error: float | None = None,
    samples: int = 0,
) -> None:
    """Check a method's settings without loading its model, so that a mistake shows before any work.

    Parameters
    ----------
    name : str
        A name of `METHODS`.
    model : str, optional
        Name or folder of a trained model.
    species : str
        The particles.
    energies : sequence of float, optional
        Energies of the spectra, MeV.
    response_error : float, optional
        Relative uncertainty of the response.
    samples : int
        Draws asked for.

    Raises
    ------
    DataError
        If there is no such method, no method for the species, or a setting is out of range or not one of this method.
    """
    if name not in METHODS:
        msg = f"method {name!r} is not available; choose one of: {', '.join(METHODS)}"
        raise DataError(msg)
    if species not in SPECIES[name]:
        able = [item for item in METHODS if species in SPECIES[item]]
        other = f", or the method {' or '.join(able)}" if able else ""
        msg = f"method {name!r} has no model for species {species!r}; choose one of: {', '.join(SPECIES[name])}{other}"
        raise DataError(msg)
    if model is not None and name not in TRAINED:
        msg = (
            f"model {model!r} was asked for, but method {name!r} works from the response itself and has none; leave it "
            f"out, or choose a method that is trained: {', '.join(TRAINED)}"
        )
        raise DataError(msg)
    if samples < 0:
        msg = f"samples {samples}: expected a number of draws, 0 for none; correct it"
        raise DataError(msg)
    if samples and name not in SAMPLED:
        msg = (
            f"{samples} samples were asked for, but method {name!r} has no joint distribution to draw from; leave them "
            f"out, or choose one of: {', '.join(SAMPLED)}"
        )
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
    bins = tuple(dict.fromkeys(name for bins in instrument.ensemble.bins for name in bins))
    # Which channels a model reads is not told here: those of the ensembles, or all that its method can take.
    kinds = [list(bins), *(list(names) for names in instrument.reads.values())]
    channels = kinds[0] if response.species == "proton" else list(instrument.reads[response.species])
    if trained_for is not None:
        if any(response.select(names).digest == trained_for for names in kinds):
            return
        channels = next((names for names in kinds if own.select(names).digest == trained_for), [])
        if not channels:
            msg = (
                f"the model was trained for another response (SHA-256 {trained_for[:12]}...) than these tables "
                f"({response.select(kinds[0]).digest[:12]}...); give the tables it was trained for, or another model"
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
