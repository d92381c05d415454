from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cdflib import cdfwrite

FILL = 4294967295
TT2000_OF_20231001 = 749390469_184000000  # 2023-10-01T00:00:00 UTC: 37 leap seconds and 32.184 s after J2000 noon


@pytest.fixture
def write_radem(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a small CDF file laid out as the archive's: one sample a minute from midnight."""

    def write(day: str = "2023-10-01", version: int = 1, **change: object) -> Path:
        offset = int((np.datetime64(day) - np.datetime64("2023-10-01")) / np.timedelta64(1, "ns"))
        seconds = np.asarray(change.get("seconds", 60 * np.arange(5)), dtype=np.float64)
        n = len(seconds)
        counts = np.asarray(change.get("counts", np.arange(n * 16).reshape(n, 16)), dtype=np.uint32)
        epoch = TT2000_OF_20231001 + offset + (seconds * 1e9).astype(np.int64)
        epoch[np.asarray(change.get("untimed", []), dtype=int)] = -(2**63)
        resolution = np.asarray(change.get("resolution", np.full(n, 60)), dtype=np.uint16)
        variables = {
            "EPOCH": (33, [], epoch),
            "PROTONS": (14, [8], counts[:, :8]),
            "ELECTRONS": (14, [8], counts[:, 8:]),
            "TIME_RESOLUTION": (12, [], resolution),
        }
        folder = Path(str(change.get("folder", tmp_path)))
        folder.mkdir(exist_ok=True)
        path = folder / str(change.get("name", f"radem_raw_sc_{day.replace('-', '')}__0_{version}.cdf"))
        path.unlink(missing_ok=True)
        cdf = cdfwrite.CDF(str(path), cdf_spec={"Majority": "Column_major"})
        for name, (kind, sizes, values) in variables.items():
            if name in change.get("leave_out", ()):  # type: ignore[operator]
                continue
            layout = {"Variable": name, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": sizes}
            cdf.write_var(layout, var_attrs={"FIELDNAM": name}, var_data=np.ascontiguousarray(values))
        cdf.close()
        return path

    return write
