from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from particleflux.calibrate import fit_overlap
from particleflux.errors import MissingDataError
from particleflux.plot import write_figure
from particleflux.plot.calibration import plot_calibration


def test_fit_and_residuals_are_drawn(pair: tuple[xr.DataArray, xr.DataArray], tmp_path: Path) -> None:
    """All common days are drawn in both panels, with the line, its knots and the scatter in words."""
    fit = fit_overlap(*pair, form="piecewise")
    figure = plot_calibration(fit, *pair)
    left, right = figure.axes
    assert all(np.shape(axis.collections[0].get_offsets()) == (900, 2) for axis in (left, right))
    assert f"{fit.scatter_out:.3f} dex" in right.get_title(loc="left")
    assert write_figure(figure, tmp_path / "fit.png").stat().st_size > 10_000


def test_days_beyond_the_panel_are_counted(pair: tuple[xr.DataArray, xr.DataArray]) -> None:
    """A wrong day that does not fit in the panel of residuals is told."""
    x, y = pair
    fit = fit_overlap(x, y)
    spoilt = y.copy()
    spoilt[100] = spoilt[100] * 1e3
    assert "; 1 days beyond" in plot_calibration(fit, x, spoilt).axes[1].get_title(loc="left")


def test_nothing_in_common_is_no_figure(pair: tuple[xr.DataArray, xr.DataArray]) -> None:
    """Two series without a common day are refused."""
    x, y = pair
    with pytest.raises(MissingDataError, match="nothing to draw"):
        plot_calibration(fit_overlap(x, y), x, y.assign_coords(time=y["time"] + np.timedelta64(5000, "D")))
