"""How many samples a method may work on at once."""

from __future__ import annotations

import os


def n_processors() -> int:
    """Count the processors this process may use, which on a shared machine are fewer than there are.

    Returns
    -------
    int
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
