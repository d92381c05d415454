"""Fit the response model that ships with the package to the Monte-Carlo response tables of RADEM.

Run ``python benchmarks/fit_response.py TABLES_DIR``, with the folder that holds `proton` and `electron` (Parente,
DiffFluxReconstruction, MIT licence). It writes the two model files into the
package and the goodness of fit to `benchmarks/results/response_fit.md`.

The tables hold geometric factors that are whole numbers of Monte-Carlo hits times a quantum q per energy bin, the same
for all channels; the quantum is recovered as their common divisor, so that the noise of every entry is known. Each
channel's ln G, on the model's own bins, then maximises

    sum_j (n_j ln m_j - m_j)  -  1/2 sum_k w_k (second difference of ln G)_k^2  -  1/2 sum_s (ln R_s / T_s)^2 / tau^2

with the hits n_j, their mean m_j = (average of G over table bin j) / q_j, and the rates R_s of the model and T_s of the
table in a set of spectra s. The roughness weights w_k follow the curvature found (adaptive P-splines; Ruppert and
Carroll 2000, Aust. N. Z. J. Stat. 42, 205, doi:10.1111/1467-842X.00119): stiff where the response is smooth, loose at
the threshold. Their scale minimises deviance
+ 2 x effective degrees of freedom. The last term keeps folded rates; the spectra that the
report scores are others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from particleflux.instruments import load_instrument
from particleflux.response import Response, open_fitted, write_fitted
from particleflux.spectra import Band, DoublePowerLaw, PowerLaw, RollingPowerLaw, SpectralForm, Weibull

Array: TypeAlias = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parent.parent
EDGES = {"proton": np.geomspace(1.0, 1e4, 501), "electron": np.geomspace(0.1, 49.995, 281)}
TAU = 0.003
# Bins over which the curvature is averaged: about the width of the sharpest threshold's corner.
WINDOW = 9
# Deviance that one more degree of freedom must gain: Akaike's value.
PRICE = 2.0
SEAM = (9.84, 10.06)
REQUIRED = ("PDH1", "PDH3", "PDH4", "PDH5", "PDH6")


def spectra(seed: int, number: int, species: str) -> list[SpectralForm]:
    """Draw `number` spectra of each of the five forms; electron energies are a tenth of those of protons."""
    rng = np.random.default_rng(seed)
    unit = 1.0 if species == "proton" else 0.1

    def uniform(low: float, high: float) -> Array:
        return rng.uniform(low, high, (number, 1))

    def log_uniform(low: float, high: float) -> Array:
        return np.exp(uniform(np.log(low * unit), np.log(high * unit)))

    ones = np.ones((number, 1))
    low = uniform(0.5, 3.0)
    first = uniform(0.5, 3.0)
    return [
        PowerLaw(ones, uniform(0.5, 5.0)),
        RollingPowerLaw(ones, uniform(0.5, 5.0), log_uniform(1.0, 100.0)),
        Band(ones, low, low + uniform(1.0, 4.0), log_uniform(5.0, 50.0)),
        DoublePowerLaw(ones, first, first + uniform(1.0, 4.0), log_uniform(5.0, 50.0), uniform(1.0, 5.0)),
        Weibull(ones, uniform(0.3, 0.9), log_uniform(0.3, 30.0)),
    ]


def softest(seed: int, number: int, species: str) -> SpectralForm:
    """Draw spectra at and beyond the soft end of `spectra`, where few Monte-Carlo hits near threshold make the rate."""
    rng = np.random.default_rng(seed)
    rollover = np.exp(rng.uniform(np.log(0.9), np.log(3.0), (number, 1))) * (1.0 if species == "proton" else 0.1)
    return RollingPowerLaw(np.ones((number, 1)), rng.uniform(0.3, 5.3, (number, 1)), rollover)


def quantum(factors: Array) -> Array:
    """Recover each energy bin's geometric factor of one Monte-Carlo hit, from shape (channel, bin) to (bin,)."""
    result = np.full(factors.shape[1], np.nan)
    hits = np.arange(1, 20_000, dtype=float)
    for column in range(factors.shape[1]):
        values = factors[factors[:, column] > 0, column]
        if values.size < 3:
            continue
        # The smallest whole number of hits in the smallest entry that makes every entry a whole number.
        ratio = values[:, None] / values.min() * hits
        whole = np.flatnonzero(np.abs(ratio - np.round(ratio)).max(axis=0) < 1e-7)
        if whole.size:
            result[column] = values.min() / hits[whole[0]]
    return result


def fill(energy: Array, width: Array, quanta: Array) -> Array:
    """Complete the quanta: hits per unit of ln E are constant within stretches of equal bin width."""
    density = quanta * width / energy
    out = np.empty_like(density)
    for index in range(density.size):
        near = np.argsort(np.abs(np.log(energy / energy[index])))
        alike = [k for k in near if np.isfinite(density[k]) and abs(width[k] / width[index] - 1) < 1e-3]
        pool = density[alike[:25]] if alike else density[np.isfinite(density)]
        # Chance common divisors only ever make a quantum too large: take a low quantile.
        out[index] = np.quantile(pool, 0.25)
    return out * energy / width


def overlap(table: Response, edges: Array) -> Array:
    """Give the fraction of each table bin (rows) that each model bin (columns) covers."""
    low = np.maximum(table.energy_lower[:, None], edges[None, :-1])
    high = np.minimum(table.energy_upper[:, None], edges[None, 1:])
    width = (table.energy_upper - table.energy_lower)[:, None]
    return np.asarray(np.clip(high - low, 0.0, None) / width)


class Channel:
    """One channel's penalised fit; its arrays cover only the bins at and above its first hit."""

    def __init__(self, hits: Array, design: Array, folded: Array, rates: Array, start: Array) -> None:
        self.hits, self.design, self.folded, self.rates = hits, design, folded, rates
        self.start = start
        self.difference = np.diff(np.eye(start.size), 2, axis=0)

    def solve(self, log_factor: Array, weight: Array, *, steps: int = 200, match: bool = False) -> tuple[Array, float]:
        """Maximise by damped Newton steps; give ln G and the criterion (deviance and price of freedom)."""
        penalty = self.difference.T @ (weight[:, None] * self.difference)
        information = penalty
        for _ in range(steps):
            factor = np.exp(log_factor)
            slope = self.design * factor
            mean = np.maximum(slope.sum(axis=1), 1e-12)
            gradient = slope.T @ (self.hits / mean - 1.0) - penalty @ log_factor
            information = slope.T @ (slope / mean[:, None])
            system = information + penalty
            if match:
                share = self.folded * factor
                model = share.sum(axis=1)
                share = share / model[:, None]
                gradient -= share.T @ np.log(model / self.rates) / TAU**2
                system = system + share.T @ share / TAU**2
            step = np.linalg.solve(system + 1e-9 * np.eye(factor.size), gradient)
            log_factor = np.maximum(log_factor + step * min(1.0, 1.0 / np.abs(step).max()), -25.0)
            if np.abs(step).max() < 1e-5:
                break
        mean = np.maximum(self.design @ np.exp(log_factor), 1e-12)
        deviance = 2.0 * float(
            np.sum(np.where(self.hits > 0, self.hits * np.log(np.maximum(self.hits, 1e-9) / mean), 0.0))
        )
        deviance += 2.0 * float(np.sum(mean - self.hits))
        freedom = float(np.trace(np.linalg.solve(information + penalty + 1e-9 * np.eye(log_factor.size), information)))
        return log_factor, deviance + PRICE * freedom

    def fit(self) -> Array:
        """Choose the stiffness, let it follow the curvature, and match the folded rates."""
        flat = np.ones(self.start.size - 2)
        best, weight = self.preferred(self.start, [scale * flat for scale in (1.0, 1e1, 1e2, 1e3, 1e4)])
        for _ in range(3):
            bend = (self.difference @ best) ** 2
            window = np.ones(WINDOW) / WINDOW
            smooth = np.convolve(np.pad(bend, WINDOW // 2, mode="edge"), window, mode="valid") + 1e-3**2
            best, weight = self.preferred(best, [scale / smooth for scale in (0.3, 1.0, 3.0, 10.0, 30.0)])
        return self.solve(best, weight, match=True)[0]

    def preferred(self, start: Array, weights: list[Array]) -> tuple[Array, Array]:
        """Fit with each set of roughness weights; give the ln G and the weights the criterion prefers."""
        trials = [self.solve(start, weight) for weight in weights]
        index = int(np.argmin([criterion for _, criterion in trials]))
        return trials[index][0], weights[index]


def fit_species(table: Response) -> Response:
    """Fit all channels of a table."""
    edges = EDGES[table.species]
    factors = table.geometric_factor.values
    energy = np.sqrt(np.maximum(table.energy_lower, 1e-3) * table.energy_upper)
    width = table.energy_upper - table.energy_lower
    quanta = fill(energy, width, quantum(factors))
    design = overlap(table, edges) / quanta[:, None]
    forms = [*spectra(1, 120, table.species), softest(3, 240, table.species)]
    flux = np.concatenate([form.bin_mean(edges[:-1], edges[1:]) for form in forms]) * np.diff(edges)
    rates = np.concatenate([table.fold_form(form).values for form in forms])
    model = np.zeros((len(table.channels), edges.size - 1))
    for index, channel in enumerate(table.channels):
        first = int(np.flatnonzero(factors[index] > 0)[0])
        cut = int(np.searchsorted(edges, table.energy_lower[first], side="right")) - 1
        # Above its last hit the electron simulation holds nothing: the model ends there.
        last = int(np.flatnonzero(factors[index] > 0)[-1])
        rows = np.arange(first, last + 1)
        # Two simulations meet at 10 MeV: two bins hold 0.4 and 0.65 of the hits of their neighbours in every channel.
        rows = rows[(table.energy_lower[rows] < SEAM[0]) | (table.energy_upper[rows] > SEAM[1])]
        centre = np.sqrt(edges[cut:-1] * edges[cut + 1 :])
        start = np.log(np.interp(centre, energy, np.convolve(factors[index], np.ones(5) / 5, mode="same")) + 1e-5)
        problem = Channel(
            factors[index, rows] / quanta[rows], design[rows, cut:], flux[:, cut:], rates[:, index], start
        )
        model[index, cut:] = np.exp(problem.fit())
        print(table.species, channel, f"{edges[cut]:.3g} MeV")
    return Response.from_arrays(table.channels, edges, model, species=table.species)


SHIPPED_FOLDER = ROOT / "src" / "particleflux" / "instruments"


def main(folder: str, output: Path) -> None:
    instrument = load_instrument("radem")
    lines = [
        "# Fitted response model against the Monte-Carlo tables",
        "",
        "Made by `python benchmarks/fit_response.py TABLES_DIR`. Count rates folded from 1000 random spectra (200 of",
        "each form of `particleflux.spectra`, none used in the fit): |model / table - 1|. The tables carry Monte-Carlo",
        "noise of their own, which the last column states: the median relative standard deviation of a rate.",
        "",
        "| species | channel | median % | 95 % quantile % | worst % | table's own noise % |",
        "|---|---|---|---|---|---|",
    ]
    failed = []
    for species in ("proton", "electron"):
        table = instrument.open_response(folder, species=species)
        path = output / f"radem_{species}.csv"
        comments = (
            f"Response of RADEM, configuration 1, to {species}s: mean geometric factor (cm2 sr) in energy bins (MeV).",
            "A smooth fit (benchmarks/fit_response.py) to the Monte-Carlo tables of R. Parente,",
            "DiffFluxReconstruction (MIT licence).",
            f"SHA-256 of the tables as read: {table.digest}",
        )
        write_fitted(fit_species(table), path, comments=comments)
        model = open_fitted(path, species=species)
        forms = spectra(2, 200, species)
        truth = np.concatenate([table.fold_form(form).values for form in forms])
        found = np.concatenate([model.fold_form(form).values for form in forms])
        off = 100.0 * np.abs(found / truth - 1.0)
        energy = np.sqrt(np.maximum(table.energy_lower, 1e-3) * table.energy_upper)
        quanta = fill(energy, table.energy_upper - table.energy_lower, quantum(table.geometric_factor.values))
        active = table.is_active
        share = np.concatenate(
            [form.bin_mean(table.energy_lower[active], table.energy_upper[active]) for form in forms]
        )
        variance = share**2 @ (table.weights * (quanta * (table.energy_upper - table.energy_lower)))[:, active].T
        noise = 100.0 * np.median(np.sqrt(variance) / truth, axis=0)
        for index, channel in enumerate(table.channels):
            median, high, worst = np.quantile(off[:, index], (0.5, 0.95, 1.0))
            lines.append(f"| {species} | {channel} | {median:.3f} | {high:.3f} | {worst:.2f} | {noise[index]:.2f} |")
            if species == "proton" and channel in REQUIRED and (median > 1.0 or worst > 3.0):
                failed.append(channel)
    report = ROOT / "benchmarks" / "results" / "response_fit.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    if failed:
        sys.exit(f"the fit misses 1 % in the median or 3 % at worst in {failed}: refine it before shipping")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python benchmarks/fit_response.py TABLES_DIR [OUTPUT_DIR]; by default the model that ships")
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) == 3 else SHIPPED_FOLDER)
