from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from particleflux.errors import DataError
from particleflux.verify import brier_decomposition, brier_score, brier_skill, reliability_curve

RNG = np.random.default_rng(3)
P = xr.DataArray(RNG.beta(0.5, 1.0, (2, 4000)), {"lead_time": [1, 2]}, ("lead_time", "time"))
CAME = (xr.DataArray(RNG.random((2, 4000)), P.coords, P.dims) < P).astype(float)


def test_brier_score_of_a_constant() -> None:
    """A constant p for an event of frequency r scores r (1 - p)^2 + (1 - r) p^2; p = r has no skill."""
    came = xr.DataArray([1.0, 0.0, 0.0, 0.0], dims="time")
    for p in (0.0, 0.25, 0.6, 1.0):
        expected = 0.25 * (1 - p) ** 2 + 0.75 * p**2
        assert brier_score(0 * came + p, came, dim="time").item() == pytest.approx(expected)
    assert brier_skill(0 * came + 0.25, came, dim="time").item() == pytest.approx(0)
    assert brier_skill(came, came, dim="time").item() == 1
    assert brier_skill(came, 0 * came, dim="time").isnull().item()


def test_brier_skill_over_a_reference() -> None:
    """Skill over another forecast is 1 - BS / BS of it, over the days that both have."""
    expected = 1 - brier_score(P, CAME, dim="time") / brier_score(0 * P + 0.3, CAME, dim="time")
    np.testing.assert_allclose(brier_skill(P, CAME, reference=0 * P + 0.3, dim="time"), expected)
    reference = (0 * P + 0.3).where(P < 0.9)
    expected = 1 - brier_score(P.where(P < 0.9), CAME, dim="time") / brier_score(reference, CAME, dim="time")
    np.testing.assert_allclose(brier_skill(P, CAME, reference=reference, dim="time"), expected)


def test_decomposition_adds_up() -> None:
    """Reliability - resolution + uncertainty is the score, exactly so where each bin holds one probability."""
    coarse = (P * 10).round() / 10
    parts = brier_decomposition(coarse, CAME, dim="time", n_bins=11)
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
    np.testing.assert_allclose(parts["within_bins"], 0, atol=1e-12)
    np.testing.assert_allclose(total, brier_score(coarse, CAME, dim="time"))
    parts = brier_decomposition(P, CAME, dim="time")
    assert (abs(parts["within_bins"]) < 0.005).all()
    assert (parts["reliability"] < 0.002).all()


def test_reliable_forecasts_lie_in_the_consistency_interval() -> None:
    """Probabilities that are right have frequencies inside the bars in nearly all bins; halved ones do not."""
    curve = reliability_curve(P, CAME, dim="time")
    assert curve["n"].sum("bin").to_numpy().tolist() == [4000, 4000]
    inside = (curve["frequency"] >= curve["consistency_lower"]) & (curve["frequency"] <= curve["consistency_upper"])
    assert inside.sum() >= 17
    wrong = reliability_curve(P / 2, CAME, dim="time")
    assert (wrong["frequency"] > wrong["consistency_upper"]).sum() >= 8
    assert wrong.sel(bin=0.95)["frequency"].isnull().all()


def test_consistency_interval_is_binomial() -> None:
    """In a bin of n equal probabilities the bars are the quantiles of a binomial frequency."""
    p = xr.DataArray(np.full(400, 0.25), dims="time")
    bars = reliability_curve(p, 0 * p, dim="time", n_draws=20_000).sel(bin=0.25)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert bars["consistency_lower"].item() == pytest.approx(0.25 - half, abs=0.004)
    assert bars["consistency_upper"].item() == pytest.approx(0.25 + half, abs=0.004)


def test_the_edges_of_the_bins() -> None:
    """A probability on an edge lies in the bin above it, and 1 in the last one."""
    p = xr.DataArray([0.0, 0.1, 0.3, 0.7, 1.0], dims="time")
    found = reliability_curve(p, 0 * p, dim="time", n_draws=0)
    assert found["n"].to_numpy().tolist() == [1, 1, 0, 1, 0, 0, 0, 1, 0, 1]
    assert found["consistency_lower"].isnull().all()


def test_missing_days_are_dropped() -> None:
    """A day without probability or observation does not count."""
    p, came = P.copy(), CAME.copy()
    p[:, 0], came[:, 1] = np.nan, np.nan
    np.testing.assert_allclose(brier_score(p, came, dim="time"), brier_score(P[:, 2:], CAME[:, 2:], dim="time"))
    assert reliability_curve(p, came, dim="time")["n"].sum("bin").to_numpy().tolist() == [3998, 3998]


def test_wrong_inputs_are_refused() -> None:
    """A probability in per cent and an event that is a fluence are refused."""
    with pytest.raises(DataError, match=r"expected probabilities from 0 to 1 \(50 % is 0\.5\)"):
        brier_score(P * 100, CAME, dim="time")
    with pytest.raises(DataError, match=r"obs holds 1e\+08; expected 1 where the event came"):
        brier_score(P, CAME * 1e8, dim="time")
