"""Effective energy and geometric factor of channels and channel differences: the bow-tie analysis itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from particleflux.errors import DataError
from particleflux.response import Response
from particleflux.spectra import PowerLaw, RollingPowerLaw

Array = npt.NDArray[np.float64]

#: Indices of the power laws, from the hardest to the softest: with the range of energies that the instrument file
#: states, these give the published figures of RADEM (docs/bowtie.md).
DEFAULT_INDICES = (1.5, 4.5)
#: A combination that no better is known for is used if its factor is this constant over the indices, relative.
LARGEST_SPREAD = 0.1
_N_INDICES = 31
# Relative step of the energies tried: far below any error of an effective energy.
_STEP = 1e-3
# Rollover energies of the bent spectra, over the effective energy, besides no rollover at all: from a bend far above
# the channel to one that makes a spectrum steeper by two within it.
_ROLLOVERS = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class BowTie:
    """What a channel, or a difference of two, measures whatever the slope of the spectrum.

    Attributes
    ----------
    combination : tuple of str
        The channel; a second one is subtracted from it.
    effective_energy : float, MeV
        Where the flux is least sensitive to the slope.
    factor : float, cm2 sr MeV
        Geometric factor times energy width: net count rate over the flux at that energy.
    spread : float
        Relative standard deviation of the factor over power laws of all indices.
    shape_error : float
        Relative root mean square error of the factor over the same power laws and some that roll over.
    penetration : float
        Largest count rate, of either sign, that particles above the range of the analysis make in the combination, over
        the rate in the channel that counts such particles; 0 where no such channel is known.
    """

    combination: tuple[str, ...]
    effective_energy: float
    factor: float
    spread: float
    shape_error: float
    penetration: float = 0.0

    @property
    def name(self) -> str:
        """The channels with a minus sign between them."""
        return "-".join(self.combination)


def bow_tie(
    response: Response,
    combination: Sequence[str],
    *,
    indices: tuple[float, float] = DEFAULT_INDICES,
    highest_energy: float = np.inf,
    penetrating: str | None = None,
) -> BowTie:
    r"""Find the energy at which a count rate tells the flux whatever the slope of the spectrum.

    .. math:: G_\gamma(E) = E^{\gamma} \sum_j (G_{1j} - G_{2j}) \int_{E_j}^{E_{j+1}} E'^{-\gamma} dE'

    is count rate over flux at E for a power law of index gamma. Drawn against E, the curves of all indices cross in a
    narrow knot. The effective energy is where their standard deviation over their mean is least, and the factor (often
    called geometric factor times energy width) is their mean there.

    Parameters
    ----------
    response : Response
        Of the channels.
    combination : sequence of str
        A channel, or two of which the second is subtracted.
    indices : tuple of two float
        Least and largest index; 31 equally spaced ones are used.
    highest_energy : float, MeV
        Particles above are left out of the analysis, as are those that come through the walls of an instrument. Their
        part of a real count rate is an error, which `penetration` bounds.
    penetrating : str, optional
        A channel that counts particles above `highest_energy` and little else.

    Returns
    -------
    BowTie
        The knot.

    Raises
    ------
    DataError
        If the combination is no channel and no pair, the indices are not in order, or there is no knot: the
        response of a difference must outweigh its negative parts for every index.
    AxisError
        If the response lacks a channel.

    References
    ----------
    Van Allen et al. (1974), doi:10.1029/JA079i025p03559; Selesnick and Blake (2000), doi:10.1029/1999JA900445; the
    least relative spread as the optimum: Oleynik et al. (2024), doi:10.5281/zenodo.13692883.

    Examples
    --------
    A narrow channel has its own energy, and its own geometric factor times width.

    >>> found = bow_tie(Response.from_arrays(["A"], [9.9, 10.1], [[2.0]]), ["A"])
    >>> round(found.effective_energy, 2), round(found.factor, 3)
    (10.0, 0.4)
    """
    names = tuple(combination)
    if not 1 <= len(names) <= 2 or len(set(names)) != len(names):
        msg = f"combination {list(names)}: expected a channel, or two of which the second is subtracted; correct it"
        raise DataError(msg)
    if not (np.isfinite(indices).all() and indices[0] < indices[1]):
        msg = f"indices {indices}: expected two finite numbers, the least first; correct them"
        raise DataError(msg)
    what = f"bow-tie of {'-'.join(names)}, indices {indices[0]:g} to {indices[1]:g}, up to {highest_energy:g} MeV"
    lower, upper, weights = _bins(response, names, 0.0, highest_energy)
    if not weights.any() or lower[0] <= 0:
        where = (
            "does not respond there" if not weights.any() else "responds down to 0 MeV, where no power law has a mean"
        )
        msg = f"{what}: the combination {where}; choose other channels or another range"
        raise DataError(msg)

    gammas = np.linspace(*indices, _N_INDICES)[:, None]
    ones = np.ones_like(gammas)
    energies = np.exp(np.arange(np.log(lower[0]), np.log(upper[-1]), _STEP))
    curves = (PowerLaw(ones, gammas).bin_mean(lower, upper) @ weights)[:, None] * energies**gammas
    mean = curves.mean(axis=0)
    spread = np.full_like(energies, np.inf)
    positive = (curves > 0).all(axis=0)
    spread[positive] = (curves.std(axis=0)[positive]) / mean[positive]
    best = int(spread.argmin())
    if not positive.any() or best in (0, len(energies) - 1):
        why = "its rate is negative for some index" if not positive.any() else "no energy inside its range is best"
        msg = f"{what}: {why}; choose other channels, other indices or another range"
        raise DataError(msg)

    energy, factor = float(energies[best]), float(mean[best])
    bent = [curves[:, best]]
    for ratio in _ROLLOVERS:
        form = RollingPowerLaw(ones, gammas, ratio * energy * ones)
        bent.append(form.bin_mean(lower, upper) @ weights / form.flux(energy)[:, 0])
    shape_error = float(np.sqrt(((np.concatenate(bent) / factor - 1.0) ** 2).mean()))
    reach = 0.0
    if penetrating is not None and np.isfinite(highest_energy):
        reach = _penetration(response, names, penetrating, gammas, highest_energy)
    return BowTie(names, energy, factor, float(spread[best]), shape_error, reach)


def choose_combinations(
    response: Response,
    *,
    excluded: Collection[str] = (),
    indices: tuple[float, float] = DEFAULT_INDICES,
    highest_energy: float = np.inf,
    largest_spread: float = LARGEST_SPREAD,
) -> tuple[tuple[str, ...], ...]:
    """Choose what to use of an instrument that says nothing of it.

    Each channel, alone or less the next one, whichever spreads less; kept where that is at most `largest_spread`.

    Parameters
    ----------
    response : Response
        Of the channels, in the order of the energies they count.
    excluded : collection of str
        Channels not to use, such as those the background is read off.
    indices, highest_energy : tuple of float, float
        As `bow_tie` takes them.
    largest_spread : float
        Relative.

    Returns
    -------
    tuple of tuple of str
        Combinations.

    Raises
    ------
    DataError
        If none is good enough.
    """
    names = [name for name in response.channels if name not in excluded]
    candidates = [[(name,), (name, other)] for name, other in pairwise(names)] + [[(name,)] for name in names[-1:]]
    chosen = []
    for options in candidates:
        found = []
        for option in options:
            try:
                found.append(bow_tie(response, option, indices=indices, highest_energy=highest_energy))
            except DataError:  # No knot: not a candidate.
                continue
        tight = min(found, key=lambda item: item.spread, default=None)
        if tight is not None and tight.spread <= largest_spread:
            chosen.append(tight.combination)
    if not chosen:
        msg = (
            f"no channel of {names}, alone or less the next one, has a factor that is constant to {largest_spread:.0%} "
            f"for indices {indices[0]:g} to {indices[1]:g}; name combinations, or narrow the indices or the energies"
        )
        raise DataError(msg)
    return tuple(chosen)


def _bins(response: Response, names: tuple[str, ...], low: float, high: float) -> tuple[Array, Array, Array]:
    """Give the bins between two energies in which a combination responds, and its factor times width there."""
    factors = response.select(list(names)).weights / (response.energy_upper - response.energy_lower)
    factor = factors[0] - factors[1] if len(names) > 1 else factors[0]
    lower, upper = np.maximum(response.energy_lower, low), np.minimum(response.energy_upper, high)
    used = (factors > 0).any(axis=0) & (upper > lower)
    return lower[used], upper[used], (factor * (upper - lower))[used]


def _penetration(response: Response, names: tuple[str, ...], penetrating: str, gammas: Array, energy: float) -> float:
    lower, upper, weights = _bins(response, names, energy, np.inf)
    low, high, counted = _bins(response, (penetrating,), energy, np.inf)
    if not weights.any():
        return 0.0
    if not counted.any():
        msg = f"channel {penetrating} does not respond above {energy:g} MeV: expected one that penetrates; name another"
        raise DataError(msg)
    form = PowerLaw(np.ones_like(gammas), gammas)
    ratio = (form.bin_mean(lower, upper) @ weights) / (form.bin_mean(low, high) @ counted)
    return float(np.abs(ratio).max())
