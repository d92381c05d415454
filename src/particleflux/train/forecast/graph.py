"""The trained networks of a forecast as one ONNX graph: all members, their quantiles, and the pooling."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from particleflux.forecast.distribution import LEADS, QUANTILES
from particleflux.train.forecast.network import FLOOR, MIDDLE, NORMAL_SCORES, SKEW, STEP, Sizes
from particleflux.train.onnx_writer import Graph

# torch's order of the gates is input, forget, cell, output; ONNX has input, output, forget, cell.
_GATES = (0, 3, 1, 2)


def forecast_graph(sizes: Sizes, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """Write the ensemble as a graph from scaled inputs to the pooled mean and quantiles; see `network.predict`.

    Parameters
    ----------
    sizes : Sizes
        Of each network.
    weights : mapping of str to ndarray
        Trained; every one with a leading member dimension.

    Returns
    -------
    ModelProto
        Inputs `days` (n, day, feature), `context` (n, lead_time, feature), `level` (n), and with hours `hours`
        (n, hour, feature); outputs `mean` (n, lead_time) and `quantiles` (n, lead_time, quantile), all float32.
    """
    graph = Graph()
    inputs: dict[str, list[int]] = {
        "days": [sizes.n_days, sizes.n_daily],
        "context": [len(LEADS), sizes.n_context],
        "level": [],
    }
    states = [_states(graph, weights, "days", sizes.hidden)]
    if sizes.n_hourly:
        inputs["hours"] = [sizes.n_hours, sizes.n_hourly]
        states.append(_states(graph, weights, "hours", sizes.hidden))
    state = states[0] if len(states) == 1 else graph.add("Concat", *states, axis=-1)

    means, parts = [], []
    for lead in range(len(LEADS)):
        number = graph.constant(np.array(lead, dtype=np.int64))
        context = graph.add("Gather", "context", number, axis=1)
        ago = graph.add("MatMul", context, graph.constant(weights["context"]))
        ago = graph.add("Tanh", graph.add("Add", ago, graph.constant(weights["context_bias"])))
        hidden = graph.add("MatMul", graph.add("Concat", state, ago, axis=-1), graph.constant(weights["head"]))
        hidden = graph.add("Add", hidden, graph.constant(weights["head_bias"][:, lead : lead + 1]))
        hidden = graph.add("Mul", hidden, graph.add("Sigmoid", hidden))
        raw = graph.add("MatMul", hidden, graph.constant(weights["output"]))
        raw = graph.add("Add", raw, graph.constant(weights["output_bias"][:, lead : lead + 1]))
        mean, quantiles = _pooled(graph, raw)
        means.append(graph.add("Unsqueeze", mean, graph.integers(1)))
        parts.append(graph.add("Unsqueeze", quantiles, graph.integers(1)))
    graph.add("Concat", *means, axis=1, output="mean")
    graph.add("Concat", *parts, axis=1, output="quantiles")
    return graph.model("forecast", inputs, {"mean": [len(LEADS)], "quantiles": [len(LEADS), len(QUANTILES)]})


def _states(graph: Graph, weights: Mapping[str, np.ndarray], name: str, hidden: int) -> str:
    """Add an LSTM for each member; gives their last hidden states (member, n, hidden)."""
    by_step = graph.add("Transpose", name, perm=[1, 0, 2])

    def reorder(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(array, 4, axis=0)[gate] for gate in _GATES], axis=0)

    states = []
    for member in range(len(weights[f"{name}_input"])):
        into, state, bias = (weights[f"{name}_{part}"][member].T for part in ("input", "state", "bias"))
        both = np.concatenate([reorder(bias)[:, 0], np.zeros(4 * hidden)])
        constants = (graph.constant(array[None]) for array in (reorder(into), reorder(state), both))
        states.append(graph.last_state(by_step, *constants, hidden_size=hidden))
    return graph.add("Concat", *states, axis=0)


def _pooled(graph: Graph, raw: str) -> tuple[str, str]:
    """Add the pooling of (member, n, output) to the mean (n) and the quantiles (n, quantile); see `network.pool`."""
    members = graph.integers(0)

    def average(value: str) -> str:
        return graph.add("ReduceMean", value, members, keepdims=0)

    # The level is common to all members: added after they are pooled, it keeps its digits.
    mean = graph.add("Squeeze", graph.slice(raw, 0, 1), graph.integers(-1))
    median = graph.add("Mul", graph.slice(raw, 1, 2), graph.constant(np.float32(SKEW)))
    median = graph.add("Add", graph.add("Squeeze", median, graph.integers(-1)), mean)
    middle = average(median)
    departure = graph.add("Sub", median, middle)
    variance = average(graph.add("Mul", departure, departure))
    roots = graph.slice(raw, 2, 1 + len(QUANTILES))
    steps = graph.add("Mul", graph.add("Mul", roots, roots), graph.constant(np.float32(STEP)))
    steps = average(graph.add("Add", steps, graph.constant(np.float32(FLOOR))))
    # Sums of the steps from the median outwards, as a product with a matrix of ones.
    n_steps = len(QUANTILES) - 1
    sums = np.zeros((n_steps, len(QUANTILES)))
    for step in range(n_steps):
        if step < MIDDLE:
            sums[step, : MIDDLE - step] = 1.0
        else:
            sums[step, step + 1 :] = 1.0
    width = graph.add("MatMul", steps, graph.constant(sums))
    scores = np.array(NORMAL_SCORES)
    spread = graph.add("Unsqueeze", variance, graph.integers(-1))
    size = graph.add("Mul", spread, graph.constant(scores**2))
    size = graph.add("Sqrt", graph.add("Add", graph.add("Mul", width, width), size))
    size = graph.add("Mul", size, graph.constant(np.sign(scores)))
    level = graph.add("Add", middle, "level")
    quantiles = graph.add("Add", graph.add("Unsqueeze", level, graph.integers(-1)), size)
    return graph.add("Add", average(mean), "level"), quantiles
