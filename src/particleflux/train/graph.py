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
    value = "features"
    for layer in range(0, len(tensors), 2):
        value = graph.add("MatMul", value, graph.constant(tensors[layer]))
        value = graph.add("Add", value, graph.constant(tensors[layer + 1]))
        if layer < len(tensors) - 2:
            value = graph.add("Mul", value, graph.add("Sigmoid", value))
    width = graph.add(
        "Exp",
        graph.add(
            "Clip",
            graph.slice(value, N_CURVE, N_CURVE + n_targets),
            *(graph.constant(np.float32(limit)) for limit in LOG_WIDTH_RANGE),
        ),
    )

    def number(index: int) -> str:
        start = N_CURVE + (1 + index) * n_targets
        return graph.slice(value, start, start + n_targets)

    centre = _centre(graph, architecture, graph.slice(value, 0, N_CURVE), offset)
    median = graph.add("Add", centre, graph.add("Mul", width, number(0)))
    pooled = graph.add("ReduceMean", median, graph.constant(np.array([0], dtype=np.int64)), keepdims=1)
    departure = graph.add("Sub", median, pooled)
    axis = graph.constant(np.array([0], dtype=np.int64))
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
    stacked = graph.add("Concat", *parts, axis=0)
    graph.add("Transpose", stacked, output="quantiles", perm=[1, 0, 2])

    return graph.model("ensemble", {"features": [architecture.n_features]}, {"quantiles": [5, n_targets]})


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
