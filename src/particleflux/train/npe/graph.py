"""Trained networks of `npe` as ONNX graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from particleflux.train.graph import pool, run_layers
from particleflux.train.npe.copula import LEAST_OWN
from particleflux.train.onnx_writer import Graph


def quantile_graph(
    tensors: Sequence[np.ndarray], offset: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]
) -> onnx.ModelProto:
    """Write the ensemble as a graph from scaled features to pooled quantiles.

    Parameters
    ----------
    tensors : sequence of ndarray
        Weights (member, in, out) and biases (member, 1, out), layer by layer.
    offset, scale : ndarray, shape (target,)
        Of the standard units that the networks predict in.

    Returns
    -------
    ModelProto
        Input `features` (n, feature), output `quantiles` (n, 5, target), both float32.
    """
    graph = Graph()
    n_targets = len(offset)
    pooled = pool(graph, run_layers(graph, "features", tensors), 0, n_targets)
    scaled = graph.add("Add", graph.add("Mul", pooled, graph.constant(scale)), graph.constant(offset))
    graph.add("Transpose", scaled, output="quantiles", perm=[1, 0, 2])
    return graph.model("npe", {"features": [tensors[0].shape[1]]}, {"quantiles": [5, n_targets]})


def copula_graph(tensors: Sequence[np.ndarray], n_targets: int, n_factors: int) -> onnx.ModelProto:
    """Write the network of the correlations as a graph from scaled features to loadings.

    Parameters
    ----------
    tensors : sequence of ndarray
        Weights (1, in, out) and biases (1, 1, out), layer by layer.
    n_targets, n_factors : int
        Energies, and columns of the loadings.

    Returns
    -------
    ModelProto
        Input `features` (n, feature), output `loadings` (n, target, factor), both float32.
    """
    graph = Graph()
    raw = run_layers(graph, "features", tensors)
    rows = graph.add("Reshape", raw, graph.integers(-1, n_targets, n_factors))
    length = graph.add("ReduceSum", graph.add("Mul", rows, rows), graph.integers(-1), keepdims=1)
    root = graph.add("Sqrt", graph.add("Add", length, graph.constant(np.float32(1.0))))
    limit = graph.constant(np.float32((1.0 - LEAST_OWN) ** 0.5))
    graph.add("Mul", graph.add("Div", rows, root), limit, output="loadings")
    return graph.model("copula", {"features": [tensors[0].shape[1]]}, {"loadings": [n_targets, n_factors]})
