"""From the options of `simulate` to a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from particleflux.cli.inputs import refuse
from particleflux.errors import DataError

if TYPE_CHECKING:
    from particleflux.instruments import Instrument
    from particleflux.simulate import Range, Simulation


def parse_range(option: str, text: str, *, log: bool = False) -> Range:
    """Read a lower and an upper bound.

    Parameters
    ----------
    option : str
        Its name, for the message.
    text : str
        LOW,HIGH; one number is both.
    log : bool
        To be drawn uniform in the logarithm.

    Returns
    -------
    Range
        To draw from.

    Raises
    ------
    DataError
        If they are no numbers, in the wrong order, negative, or 0 where a logarithm is taken.
    """
    from particleflux.simulate import Range

    try:
        bounds = [float(item) for item in text.split(",")]
    except ValueError:
        bounds = []
    if len(bounds) not in (1, 2):
        refuse(option, f"found {text!r}, expected LOW,HIGH such as 1,100, or one number")
    try:
        return Range(bounds[0], bounds[-1], log=log and bounds[0] != bounds[-1])
    except DataError as error:
        refuse(option, f"{error}; correct it")


def parse_parameters(given: Sequence[str], family: str) -> dict[str, Range]:
    """Read the ranges of a form's parameters; those not given keep their own.

    Parameters
    ----------
    given : sequence of str
        NAME=LOW,HIGH or NAME=LOW,HIGH,log.
    family : str
        The spectral form.

    Returns
    -------
    dict of str to Range
        Every parameter of the form, or nothing where nothing was given.

    Raises
    ------
    DataError
        If the form has no such parameter, one comes twice, or a range cannot be drawn from.
    """
    from particleflux.simulate import PARAMETERS

    if family not in PARAMETERS:
        refuse("--family", f"found {family!r}, expected one of {', '.join(PARAMETERS)}")
    known = PARAMETERS[family]
    ranges: dict[str, Range] = {}
    for item in given:
        name, equals, text = item.partition("=")
        option = f"--parameter {name}"
        if not equals:
            refuse("--parameter", f"found {item!r}, expected NAME=LOW,HIGH or NAME=LOW,HIGH,log")
        if name not in known or name in ranges:
            problem = "given twice" if name in ranges else f"unknown to {family}"
            own = ", ".join(f"{key} ({value.low:g} to {value.high:g})" for key, value in known.items())
            refuse(option, f"{problem}; its parameters are {own}: give each once at most")
        bounds, log, rest = text.partition(",log")
        if rest:
            refuse(option, f"found {text!r}, expected LOW,HIGH or LOW,HIGH,log")
        ranges[name] = parse_range(option, bounds, log=bool(log))
        if ranges[name].low <= 0 and not name.startswith("spectral_index"):
            refuse(option, f"found {text!r}, expected numbers above 0")
    return {**known, **ranges} if ranges else {}


def make_simulation(
    instrument: Instrument,
    *,
    family: str,
    species: str,
    channels: str | None,
    parameters: Sequence[str],
    signal: str | None,
    exposure: str | None,
    background_level: str | None,
    background_error: float,
    response_error: float,
) -> Simulation:
    """Set a simulation up from what the command line says.

    Parameters
    ----------
    instrument : Instrument
        What counts.
    family, species : str
        Of the particles.
    channels : str or None
        Names with commas between; None for all.
    parameters : sequence of str
        Ranges of the form's parameters.
    signal, exposure, background_level : str or None
        Ranges; None for the usual ones.
    background_error, response_error : float
        Relative standard deviations.

    Returns
    -------
    Simulation
        Ready to draw.

    Raises
    ------
    DataError
        If a value is not what its option takes.
    """
    from particleflux.response import SPECIES
    from particleflux.simulate import Range, Simulation

    settings: dict[str, object] = {"family": family, "parameters": parse_parameters(parameters, family)}
    if species not in SPECIES:
        refuse("--species", f"found {species!r}, expected one of {', '.join(SPECIES)}")
    names = None
    if channels is not None:
        names = tuple(name.strip() for name in channels.split(","))
        unknown = [name for name in names if name not in instrument.channels]
        if unknown or len(set(names)) < len(names):
            refuse(
                "--channels", f"found {channels!r}, expected names out of {', '.join(instrument.channels)}, each once"
            )
        reference = instrument.ensemble.bins[0][0]
        settings["reference_channel"] = reference if reference in names else names[0]
    for option, name, text, log in (
        ("--signal", "signal_counts", signal, True),
        ("--exposure", "exposure", exposure, True),
        ("--background-level", "background_level", background_level, False),
    ):
        if text is not None:
            settings[name] = parse_range(option, text, log=log)
            low = parse_range(option, text).low
            if low < 0 or (log and low == 0):
                refuse(option, f"found {text!r}, expected numbers {'above 0' if log else 'from 0 on'}")
    for option, name, error in (
        ("--background-error", "background_error", background_error),
        ("--response-error", "response_error", response_error),
    ):
        if not 0 <= error <= 1:
            refuse(option, f"found {error:g}, expected a fraction from 0 to 1, such as 0.05")
        settings[name] = Range(error, error)
    return Simulation.of_instrument(instrument, channels=names, species=species, **settings)
