"""Fixtures that more than one test file uses."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real data, or skip: the package never carries them."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PARTICLEFLUX_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no folder of real data at {folder}; set PARTICLEFLUX_DATA")
    return folder
