"""The exported graphs against the networks they were made from."""

import itertools

import numpy as np
import onnxruntime
import pytest
import torch

from particleflux.train.network import hidden_to_output, initial_weights, pooled_quantiles
from particleflux.train.npe.copula import loadings_of
from particleflux.train.npe.graph import copula_graph, quantile_graph
from particleflux.train.npe.head import FreeHead


def start(model) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("members", "hidden"), [(1, (8,)), (4, (16, 12)), (3, (8, 8, 8))])
def test_quantiles_of_the_graph_are_those_of_torch(members, hidden):
    """Onnxruntime gives torch's pooled quantiles within 1e-4, in and beyond the range of training."""
    head = FreeHead(n_features=7, n_targets=5, hidden=hidden)
    generator = torch.Generator().manual_seed(1)
    # Far from the start: as after a training, with members that disagree.
    tensors = [
        tensor + 0.3 * torch.randn(tensor.shape, generator=generator) for tensor in initial_weights(head, members, 5)
    ]
    features = 2.0 * torch.randn(50, 7, generator=generator)
    offset, scale = np.linspace(-3.0, 2.0, 5), np.linspace(0.5, 4.0, 5)
    raw = hidden_to_output(tensors, features.expand(members, -1, -1))
    expected = pooled_quantiles(*head.split(raw)).numpy() * scale + offset

    session = start(quantile_graph([tensor.numpy() for tensor in tensors], offset, scale))
    (found,) = session.run(["quantiles"], {"features": features.numpy()})
    assert found.shape == (50, 5, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert (np.diff(found, axis=1) >= 0).all()


@pytest.mark.parametrize("n_factors", [1, 4])
def test_loadings_of_the_graph_are_those_of_torch(n_factors):
    """Onnxruntime gives torch's loadings within 1e-5, the targets in their order."""
    generator = torch.Generator().manual_seed(2)
    sizes = (7, 9, 6 * n_factors)
    tensors = []
    for n_in, n_out in itertools.pairwise(sizes):
        tensors += [torch.randn(1, n_in, n_out, generator=generator), torch.randn(1, 1, n_out, generator=generator)]
    features = torch.randn(30, 7, generator=generator)
    expected, _ = loadings_of(hidden_to_output(tensors, features[None])[0], 6)

    session = start(copula_graph([tensor.numpy() for tensor in tensors], 6, n_factors))
    (found,) = session.run(["loadings"], {"features": features.numpy()})
    assert found.shape == (30, 6, n_factors)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_graphs_take_no_samples():
    """A batch of none gives none."""
    head = FreeHead(n_features=3, n_targets=2, hidden=(4,))
    tensors = [tensor.numpy() for tensor in initial_weights(head, 2, 0)]
    (found,) = start(quantile_graph(tensors, np.zeros(2), np.ones(2))).run(
        ["quantiles"], {"features": np.zeros((0, 3), dtype=np.float32)}
    )
    assert found.shape == (0, 5, 2)


def test_graphs_are_the_same_bytes_every_time():
    """The same weights give the same files, so that a hash names a training."""
    head = FreeHead(n_features=3, n_targets=2, hidden=(4,))
    tensors = [tensor.numpy() for tensor in initial_weights(head, 2, 0)]
    once, again = (quantile_graph(tensors, np.zeros(2), np.ones(2)).SerializeToString() for _ in range(2))
    assert once == again
    single = [tensor[:1] for tensor in tensors]
    once, again = (copula_graph(single, 4, 3).SerializeToString() for _ in range(2))
    assert once == again
