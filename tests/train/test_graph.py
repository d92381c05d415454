"""The exported graph against the networks it was made from."""

import numpy as np
import onnxruntime
import pytest
import torch

from particleflux.train.graph import ensemble_graph
from particleflux.train.network import (
    Architecture,
    hidden_to_output,
    initial_weights,
    pooled_quantiles,
    split_outputs,
)

NODES, THRESHOLDS = (2.0, 5.0, 10.0, 60.0, 200.0), (10.0, 60.0)


@pytest.mark.parametrize(("members", "hidden"), [(1, (8,)), (4, (16, 12)), (3, (8, 8, 8))])
def test_graph_gives_what_torch_gives(members, hidden):
    """Onnxruntime gives torch's pooled quantiles within 1e-4, in and beyond the range of training."""
    architecture = Architecture(n_features=7, nodes=NODES, thresholds=THRESHOLDS, hidden=hidden)
    generator = torch.Generator().manual_seed(1)
    tensors = initial_weights(architecture, members, seed=5)
    # Far from the start: as after a training, with members that disagree.
    tensors = [tensor + 0.3 * torch.randn(tensor.shape, generator=generator) for tensor in tensors]
    features = 2.0 * torch.randn(50, 7, generator=generator)
    raw = hidden_to_output(tensors, features.expand(members, -1, -1))
    expected = pooled_quantiles(*split_outputs(architecture, raw, 1.3)).numpy()

    model = ensemble_graph(architecture, [tensor.numpy() for tensor in tensors], 1.3)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["quantiles"], {"features": features.numpy()})
    assert found.shape == (50, 5, architecture.n_targets)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_graph_takes_no_samples():
    """A batch of none gives none."""
    architecture = Architecture(n_features=3, nodes=NODES, thresholds=THRESHOLDS, hidden=(4,))
    tensors = [tensor.numpy() for tensor in initial_weights(architecture, 2, seed=0)]
    content = ensemble_graph(architecture, tensors, 0.0).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(["quantiles"], {"features": np.zeros((0, 3), dtype=np.float32)})
    assert found.shape == (0, 5, architecture.n_targets)


def test_graph_is_the_same_bytes_every_time():
    """The same weights give the same file, so that a hash names a training."""
    architecture = Architecture(n_features=3, nodes=NODES, thresholds=THRESHOLDS, hidden=(4,))
    tensors = [tensor.numpy() for tensor in initial_weights(architecture, 2, seed=0)]
    once, again = (ensemble_graph(architecture, tensors, 0.5).SerializeToString() for _ in range(2))
    assert once == again
