"""Small sources whose folded values can be said beforehand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from particleflux.names import attributes

Make = Callable[..., xr.Dataset]


@pytest.fixture
def make() -> Make:
    """Give a function that makes a source: start, step, columns, attributes."""

    def source(start: str, step: str, columns: dict[str, object], **attrs: object) -> xr.Dataset:
        length = max(np.size(values) for values in columns.values())
        number, unit = int(step[:-1]), step[-1]
        time = np.datetime64(start, "ns") + np.arange(length) * np.timedelta64(number, unit)
        variables = {
            name: ("time", np.broadcast_to(np.asarray(values), (length,)).copy(), attributes(name))
            for name, values in columns.items()
        }
        return xr.Dataset(variables, {"time": time}, attrs)

    return source
