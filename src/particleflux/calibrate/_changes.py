"""What the day of a change of satellite tells of the offset between the two: half a year after less half before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from particleflux.calibrate._curve import Array
from particleflux.calibrate._response import Response
from particleflux.calibrate.days import Times

#: Days on each side of a change that are compared, and the least of them.
WINDOW, LEAST = 182, 45
#: A gap in the days of more than this is no change from one satellite to the next (days).
GAP = 27
#: Every so many days without a change is a test of how far the belt itself drifts.
STRIDE = 5


@dataclass(frozen=True)
class Step:
    """The two satellites of a day, by number, and what the level did: days on the shorter side."""

    before: int
    after: int
    size: float
    days: int


def compare_changes(response: Response, reference: str) -> tuple[dict[str, tuple[float, float]], bool]:
    """Give what to add to each satellite that changes lead to, with its error, and whether the changes agree."""
    steps = list(_steps(response))
    drifts = [step.size for step in steps if step.before == step.after and step.days > 0.7 * WINDOW]
    n, ref = len(response.names), response.names.index(reference)
    changes = [step for step in steps if step.before != step.after]
    reached = {ref}
    for _ in range(n):
        reached |= {one for step in changes for one in (step.before, step.after) if {step.before, step.after} & reached}
    changes = [step for step in changes if step.before in reached]
    if not changes or len(drifts) < 20:
        return {}, True
    # The drift of half a year's mean without a change, and more of it where a side is shorter.
    error = math.sqrt(float(np.mean(np.square(drifts)))) * np.sqrt(WINDOW / np.array([step.days for step in changes]))
    free = sorted(reached - {ref})
    matrix = (
        np.array([[(step.after == one) - (step.before == one) for one in free] for step in changes]) / error[:, None]
    )
    target = np.array([step.size for step in changes]) / error
    solution = np.linalg.lstsq(matrix, target)[0]
    std = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)))
    excess, spare = float(np.sum((target - matrix @ solution) ** 2)), len(changes) - len(free)
    agree = spare == 0 or excess <= spare + 2 * math.sqrt(2 * spare)
    return {response.names[one]: (-float(x), float(e)) for one, x, e in zip(free, solution, std, strict=True)}, agree


def _steps(response: Response) -> Iterator[Step]:
    """Give the step at every change, and in between at every fifth day that is far from one."""
    # A day that several satellites measured is no change; what they share is the matter of `fit_overlap`.
    _, inverse, counts = np.unique(response.time, return_inverse=True, return_counts=True)
    order = np.argsort(response.time, kind="stable")
    order = order[counts[inverse[order]] == 1]
    day: Array = (response.time[order] - response.time.min()) / np.timedelta64(1, "D")
    which: Times = response.satellite[order]
    level = response.level[order]
    for at in range(1, len(day)):
        is_change = bool(which[at] != which[at - 1])
        if day[at] - day[at - 1] > GAP or not (is_change or at % STRIDE == 0):
            continue
        first, last = np.searchsorted(day, [day[at] - WINDOW, day[at] + WINDOW])
        is_before, is_after = which[first:at] == which[at - 1], which[at:last] == which[at]
        days = int(min(is_before.sum(), is_after.sum()))
        if days >= LEAST and (is_change or (is_before.all() and is_after.all())):
            size = float(level[at:last][is_after].mean() - level[first:at][is_before].mean())
            yield Step(int(which[at - 1]), int(which[at]), size, days)
