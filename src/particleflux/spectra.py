"""Spectral forms of solar energetic particles: differential flux and its integral over energy.

Every form is a frozen dataclass whose parameters are numbers or arrays. They broadcast against energy by numpy's rules,
so that parameters of shape (n, 1) against energies of shape (m,) evaluate n spectra at m energies at once.

Energies are MeV; differential, directional flux is cm-2 s-1 sr-1 MeV-1; its integral over energy is cm-2 s-1 sr-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from particleflux._integrals import Array, exponential_integral, power_integral
from particleflux._spectral_form import Parameter, SpectralForm, check_order


@dataclass(frozen=True, eq=False)
class PowerLaw(SpectralForm):
    r"""A power law.

    .. math:: f(E) = I \, (E / E_r)^{-\gamma}

    Attributes
    ----------
    intensity : float or ndarray, cm-2 s-1 sr-1 MeV-1
        Flux :math:`I` at the reference energy.
    spectral_index : float or ndarray
        :math:`\gamma`; positive falls with energy.
    reference_energy : float or ndarray, MeV
        :math:`E_r`.

    Examples
    --------
    >>> float(PowerLaw(intensity=100.0, spectral_index=2.0).integral(10.0, np.inf))
    10.0
    """

    intensity: Parameter
    spectral_index: Parameter
    reference_energy: Parameter = 1.0

    def _log_flux(self, energy: Array) -> Array:
        return np.asarray(np.log(self.intensity) - self.spectral_index * np.log(energy / self.reference_energy))

    def _integral(self, low: Array, high: Array) -> Array:
        return power_integral(self.intensity, self.spectral_index, self.reference_energy, low, high)

    def _bin_mean(self, low: Array, high: Array) -> Array:
        return self._integral(low, high) / (high - low)


@dataclass(frozen=True, eq=False)
class RollingPowerLaw(SpectralForm):
    r"""A power law that rolls over exponentially, as shock acceleration of finite size and age gives.

    .. math:: f(E) = I \, (E / E_r)^{-\gamma} \exp(-E / E_0)

    Its integral is :math:`I E_r^\gamma E_l^{1-\gamma} \mathrm{E}_\gamma(E_l / E_0)` less the same at :math:`E_u`, with
    the generalised exponential integral :math:`\mathrm{E}_p(x) = x^{p-1} \Gamma(1-p, x)`.

    Attributes
    ----------
    intensity : float or ndarray, cm-2 s-1 sr-1 MeV-1
        :math:`I`, the flux that the power law alone would have at the reference energy.
    spectral_index : float or ndarray
        :math:`\gamma`.
    rollover_energy : float or ndarray, MeV
        :math:`E_0`.
    reference_energy : float or ndarray, MeV
        :math:`E_r`.

    References
    ----------
    Ellison and Ramaty (1985), Shock acceleration of electrons and ions in solar flares, Astrophys. J. 298, 400,
    doi:10.1086/163623.

    Examples
    --------
    >>> form = RollingPowerLaw(intensity=2.0, spectral_index=0.0, rollover_energy=5.0)
    >>> round(float(form.flux(5.0)), 6), round(float(form.integral(5.0, np.inf)), 6)
    (0.735759, 3.678794)
    """

    intensity: Parameter
    spectral_index: Parameter
    rollover_energy: Parameter
    reference_energy: Parameter = 1.0

    def _log_flux(self, energy: Array) -> Array:
        power = np.log(self.intensity) - self.spectral_index * np.log(energy / self.reference_energy)
        return np.asarray(power - energy / self.rollover_energy)

    def _integral(self, low: Array, high: Array) -> Array:
        beyond = self._beyond(low) - np.where(np.isinf(high), 0.0, self._beyond(np.where(np.isinf(high), low, high)))
        # The difference of two almost equal tails has no digits left; over a narrow interval quadrature keeps them all.
        narrow = (high <= 2.0 * low) & (high - low <= 3.0 * np.asarray(self.rollover_energy))
        if not narrow.any():
            return np.asarray(beyond)
        short = np.where(narrow, high, 2.0 * low)
        return np.where(narrow, self._quadrature(np.broadcast_to(low, short.shape), short, panel=1.0), beyond)

    def _beyond(self, low: Array) -> Array:
        scale = self.intensity * np.power(low / self.reference_energy, -np.asarray(self.spectral_index)) * low
        return np.asarray(scale * exponential_integral(self.spectral_index, low / self.rollover_energy))


@dataclass(frozen=True, eq=False)
class Band(SpectralForm):
    r"""A rolling power law that passes smoothly into a second power law: the Band function.

    .. math::
        f(E) = I (E/E_r)^{-\gamma_a} e^{-E/E_0}, \quad E \le E_t = (\gamma_b - \gamma_a) E_0

        f(E) = I (E/E_r)^{-\gamma_b} (E_t/E_r)^{\gamma_b-\gamma_a} e^{\gamma_a-\gamma_b}, \quad E > E_t

    Attributes
    ----------
    intensity : float or ndarray, cm-2 s-1 sr-1 MeV-1
        :math:`I`, the flux that the low power law alone would have at the reference energy.
    spectral_index_low, spectral_index_high : float or ndarray
        :math:`\gamma_a < \gamma_b`.
    rollover_energy : float or ndarray, MeV
        :math:`E_0`.
    reference_energy : float or ndarray, MeV
        :math:`E_r`.

    References
    ----------
    Band et al. (1993), BATSE observations of gamma-ray burst spectra, Astrophys. J. 413, 281, doi:10.1086/172995; for
    solar particles Tylka et al. (2005), Astrophys. J. 625, 474, doi:10.1086/429384.
    """

    intensity: Parameter
    spectral_index_low: Parameter
    spectral_index_high: Parameter
    rollover_energy: Parameter
    reference_energy: Parameter = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_order(self, self.spectral_index_low, self.spectral_index_high)

    def _log_flux(self, energy: Array) -> Array:
        bend = np.asarray(self.spectral_index_high) - self.spectral_index_low
        transition = bend * self.rollover_energy
        log_energy = np.log(energy / self.reference_energy)
        # Beyond the transition the roll-over is replaced by its tangent in ln E, which is the high power law.
        roll = np.where(
            energy <= transition, energy / self.rollover_energy, bend * (1.0 + np.log(energy) - np.log(transition))
        )
        return np.asarray(np.log(self.intensity) - self.spectral_index_low * log_energy - roll)

    def _integral(self, low: Array, high: Array) -> Array:
        bend = np.asarray(self.spectral_index_high) - self.spectral_index_low
        transition = bend * self.rollover_energy
        below = RollingPowerLaw(
            self.intensity, self.spectral_index_low, self.rollover_energy, self.reference_energy
        )._integral(np.minimum(low, transition), np.minimum(high, transition))
        scale = self.intensity * np.exp(bend * (np.log(transition / self.reference_energy) - 1.0))
        above = power_integral(
            scale,
            self.spectral_index_high,
            self.reference_energy,
            np.maximum(low, transition),
            np.maximum(high, transition),
        )
        return below + above


@dataclass(frozen=True, eq=False)
class DoublePowerLaw(SpectralForm):
    r"""Two power laws with a smooth bend between them.

    .. math::
        f(E) = I \left(\frac{E}{E_r}\right)^{-\gamma_1}
               \left[\frac{E^a + E_b^a}{E_r^a + E_b^a}\right]^{(\gamma_1-\gamma_2)/a}

    Attributes
    ----------
    intensity : float or ndarray, cm-2 s-1 sr-1 MeV-1
        Flux :math:`I` at the reference energy.
    spectral_index_low, spectral_index_high : float or ndarray
        :math:`\gamma_1 < \gamma_2`.
    break_energy : float or ndarray, MeV
        :math:`E_b`.
    smoothness : float or ndarray
        :math:`a`; the larger, the sharper the bend.
    reference_energy : float or ndarray, MeV
        :math:`E_r`.

    References
    ----------
    Mewaldt et al. (2012), Energy spectra, composition, and other properties of ground-level events during solar cycle
    23, Space Sci. Rev. 171, 97, doi:10.1007/s11214-012-9884-2, for double power laws of solar particles; this smooth
    bend was fitted to the event of May 2024 in arXiv:2506.05978.
    """

    intensity: Parameter
    spectral_index_low: Parameter
    spectral_index_high: Parameter
    break_energy: Parameter
    smoothness: Parameter = 3.0
    reference_energy: Parameter = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_order(self, self.spectral_index_low, self.spectral_index_high)

    def _log_flux(self, energy: Array) -> Array:
        sharpness = np.asarray(self.smoothness)
        bend = (np.asarray(self.spectral_index_low) - self.spectral_index_high) / sharpness
        power = np.log(self.intensity) - self.spectral_index_low * np.log(energy / self.reference_energy)
        # log1p of the ratio: the powers themselves overflow for a sharp bend.
        rise = _softplus(sharpness * np.log(energy / self.break_energy))
        start = _softplus(sharpness * np.log(np.asarray(self.reference_energy) / self.break_energy))
        return np.asarray(power + bend * (rise - start))

    def _integral(self, low: Array, high: Array) -> Array:
        infinite = np.isinf(high)
        # There the bend differs from the high power law by less than one part in 1e10.
        straight = np.maximum(low, self.break_energy * np.power(10.0, 10.0 / np.asarray(self.smoothness)))
        panel = np.minimum(2.0, 1.5 / np.asarray(self.smoothness))
        near = self._quadrature(low, np.where(infinite, straight, high), panel=panel)
        if not infinite.any():
            return near
        tail = np.exp(self._log_flux(straight))
        far = power_integral(tail, self.spectral_index_high, straight, straight, np.where(infinite, high, straight))
        return near + far


@dataclass(frozen=True, eq=False)
class Weibull(SpectralForm):
    r"""The Weibull law, whose integral flux is a stretched exponential.

    .. math::
        f(E) = I \, (E/E_r)^{a-1} \exp[-(E/W)^a], \qquad
        J(>E) = I \, E_r^{1-a} \, \frac{W^a}{a} \exp[-(E/W)^a]

    In the notation of Xapsos et al. :math:`J(>E) = J_0 \exp(-k E^a)`, with :math:`k = W^{-a}` and
    :math:`J_0 = I E_r^{1-a} W^a / a`.

    Attributes
    ----------
    intensity : float or ndarray, cm-2 s-1 sr-1 MeV-1
        :math:`I`, the flux at the reference energy that the power alone would give.
    shape : float or ndarray
        :math:`a`; between 0.2 and 1 in solar particle events.
    scale_energy : float or ndarray, MeV
        :math:`W`.
    reference_energy : float or ndarray, MeV
        :math:`E_r`.

    References
    ----------
    Xapsos et al. (2000), Characterizing solar proton energy spectra for radiation effects applications, IEEE Trans.
    Nucl. Sci. 47, 2218, doi:10.1109/23.903756.
    """

    intensity: Parameter
    shape: Parameter
    scale_energy: Parameter
    reference_energy: Parameter = 1.0

    def _log_flux(self, energy: Array) -> Array:
        power = np.log(self.intensity) + (np.asarray(self.shape) - 1.0) * np.log(energy / self.reference_energy)
        return np.asarray(power - np.power(energy / self.scale_energy, self.shape))

    def _integral(self, low: Array, high: Array) -> Array:
        shape, reference = np.asarray(self.shape), np.asarray(self.reference_energy)
        scale = self.intensity * reference * np.power(self.scale_energy / reference, shape) / shape
        start, stop = np.power(low / self.scale_energy, shape), np.power(high / self.scale_energy, shape)
        return np.asarray(scale * np.exp(-start) * -np.expm1(start - stop))

    def _bin_mean(self, low: Array, high: Array) -> Array:
        return self._integral(low, high) / (high - low)


__all__ = ["FORMS", "Band", "DoublePowerLaw", "PowerLaw", "RollingPowerLaw", "SpectralForm", "Weibull"]

#: The forms by the names that settings and the command line use.
FORMS: dict[str, type[SpectralForm]] = {
    "power-law": PowerLaw,
    "rolling-power-law": RollingPowerLaw,
    "band": Band,
    "double-power-law": DoublePowerLaw,
    "weibull": Weibull,
}


def _softplus(value: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, value))
