"""Slow, plain references that tests compare the package with."""

from collections.abc import Sequence


def fold(
    geometric_factor: Sequence[Sequence[float]],
    energy_lower: Sequence[float],
    energy_upper: Sequence[float],
    flux: Sequence[float],
) -> list[float]:
    """Sum geometric factor x flux x bin width, one channel and one bin after the other."""
    rates = []
    for factors in geometric_factor:
        rate = 0.0
        for factor, lower, upper, value in zip(factors, energy_lower, energy_upper, flux, strict=True):
            rate += factor * value * (upper - lower)
        rates.append(rate)
    return rates
