"""Trained networks as one ONNX graph: all members, their quantiles, and the pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from particleflux.train.network import (
    CURVE_START,
    LOG_WIDTH_RANGE,
    N_CURVE,
    WIDTH_FLOOR,
    Architecture,
    curve_matrix,
)
from particleflux.train.onnx_writer import Graph
from particleflux.unfold.targets import PIVOT_ENERGY, QUANTILE_SIGMAS

if TYPE_CHECKING:
    from collections.abc import Sequence


def ensemble_graph(architecture: Architecture, tensors: Sequence[np.ndarray], offset: float) -> onnx.ModelProto:
    r"""Write the ensemble as a graph from scaled features to pooled quantiles.

    The members are pooled as a mixture would be, to second order: the mean of their medians, and each quantile's
    distance from it, :math:`\sqrt{\bar{w}^2 + (z s)^2}` with the mean distance w, the scatter s of the medians between
    members and the quantile's normal score z.

    Parameters
    ----------
    architecture : Architecture
        Sizes.
    tensors : sequence of ndarray
        Weights (member, in, out) and biases (member, 1, out), layer by layer.
    offset : float
        Typical log flux at the pivot energy.

    Returns
    -------
    ModelProto
        Input `features` (n, feature), output `quantiles` (n, 5, target), both float32.
    """
    graph = Graph()
    n_targets = architecture.n_targets
    value = run_layers(graph, "features", tensors)
    centre = _centre(graph, architecture, graph.slice(value, 0, N_CURVE), offset)
    pooled = pool(graph, value, N_CURVE, n_targets, centre)
    graph.add("Transpose", pooled, output="quantiles", perm=[1, 0, 2])

    return graph.model("ensemble", {"features": [architecture.n_features]}, {"quantiles": [5, n_targets]})


def run_layers(graph: Graph, value: str, tensors: Sequence[np.ndarray]) -> str:
    """Add the layers; gives the name of the last one's output.

    Parameters
    ----------
    graph : Graph
        To add to.
    value : str
        Name of the input.
    tensors : sequence of ndarray
        Weights (member, in, out) and biases (member, 1, out), layer by layer.

    Returns
    -------
    str
        Name of the raw outputs (member, n, output).
    """
    for layer in range(0, len(tensors), 2):
        value = graph.add("MatMul", value, graph.constant(tensors[layer]))
        value = graph.add("Add", value, graph.constant(tensors[layer + 1]))
        if layer < len(tensors) - 2:
            value = graph.add("Mul", value, graph.add("Sigmoid", value))
    return value


def pool(graph: Graph, value: str, first: int, n_targets: int, centre: str | None = None) -> str:
    """Add quantiles of the members and their pool; see `pooled_quantiles`.

    Parameters
    ----------
    graph : Graph
        To add to.
    value : str
        Name of the raw outputs.
    first : int
        Where among them the log widths begin, which the numbers follow.
    n_targets : int
        Quantities that are predicted.
    centre : str, optional
        Name of what the numbers are departures from, (member, n, target); zero by default.

    Returns
    -------
    str
        Name of the pooled quantiles (5, n, target).
    """

    def number(index: int) -> str:
        start = first + (1 + index) * n_targets
        return graph.slice(value, start, start + n_targets)

    limits = (graph.constant(np.float32(limit)) for limit in LOG_WIDTH_RANGE)
    width = graph.add("Exp", graph.add("Clip", graph.slice(value, first, first + n_targets), *limits))
    median = graph.add("Mul", width, number(0))
    if centre is not None:
        median = graph.add("Add", centre, median)
    axis = graph.integers(0)
    pooled = graph.add("ReduceMean", median, axis, keepdims=1)
    departure = graph.add("Sub", median, pooled)
    variance = graph.add("ReduceMean", graph.add("Mul", departure, departure), axis, keepdims=1)

    def step(index: int) -> str:
        root = number(index)
        squared = graph.add("Add", graph.add("Mul", root, root), graph.constant(np.float32(WIDTH_FLOOR)))
        scaled = graph.add("Mul", width, squared)
        return graph.add("ReduceMean", scaled, axis, keepdims=1)

    inner_lower, outer_lower, inner_upper, outer_upper = (step(index) for index in range(1, 5))
    distances = [
        graph.add("Add", inner_lower, outer_lower),
        inner_lower,
        None,
        inner_upper,
        graph.add("Add", inner_upper, outer_upper),
    ]
    parts = []
    for distance, sigma in zip(distances, QUANTILE_SIGMAS, strict=True):
        if distance is None:
            parts.append(pooled)
            continue
        scatter = graph.add("Mul", variance, graph.constant(np.float32(sigma**2)))
        size = graph.add("Sqrt", graph.add("Add", graph.add("Mul", distance, distance), scatter))
        parts.append(graph.add("Sub" if sigma < 0 else "Add", pooled, size))
    return graph.add("Concat", *parts, axis=0)


def _centre(graph: Graph, architecture: Architecture, curve: str, offset: float) -> str:
    """Add what a rolling power law with the network's three numbers has for every target; see `predict_quantiles`."""
    start = np.array([value for value, _ in CURVE_START])
    start[0] += offset
    steps = np.array([step for _, step in CURVE_START])
    curve = graph.add("Add", graph.add("Mul", curve, graph.constant(steps)), graph.constant(start))
    flux, slope, log_inverse = (graph.slice(curve, index, index + 1) for index in range(N_CURVE))
    inverse = graph.add("Exp", log_inverse)
    linear = graph.add("Concat", flux, slope, inverse, axis=-1)
    at_nodes = graph.add("MatMul", linear, graph.constant(curve_matrix(architecture.nodes)))
    at_thresholds = graph.add("MatMul", linear, graph.constant(curve_matrix(architecture.thresholds)))

    threshold = np.array(architecture.thresholds)
    pivot = graph.constant(np.float32(PIVOT_ENERGY))
    index = graph.add("Sub", slope, graph.add("Mul", inverse, pivot))
    excess = graph.add("Add", index, graph.add("Mul", inverse, graph.constant(threshold)))
    excess = graph.add("Sub", excess, graph.constant(np.float32(1.0)))
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", excess, excess), graph.constant(np.float32(1.0))))
    half = graph.add("Mul", graph.add("Add", excess, root), graph.constant(np.float32(0.5)))
    integral = graph.add(
        "Sub", graph.add("Add", at_thresholds, graph.constant(np.log(threshold))), graph.add("Log", half)
    )

    intensity = graph.add("Add", flux, graph.add("Mul", inverse, pivot))
    intensity = graph.add("Add", intensity, graph.add("Mul", index, graph.constant(np.float32(np.log(PIVOT_ENERGY)))))
    return graph.add("Concat", at_nodes, integral, index, graph.add("Neg", log_inverse), intensity, axis=-1)
