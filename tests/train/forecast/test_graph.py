"""The exported graph against the networks it was made from."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from particleflux.forecast.distribution import LEADS, QUANTILES
from particleflux.train.forecast.graph import forecast_graph
from particleflux.train.forecast.network import Batch, Sizes, initial_weights, pool, predict
from particleflux.train.onnx_writer import Graph

DAILY = Sizes(n_days=5, n_daily=4, n_context=6, n_hours=0, n_hourly=0, hidden=7)
HOURLY = Sizes(n_days=4, n_daily=6, n_context=2, n_hours=9, n_hourly=2, hidden=3)
SAMPLES = 40


def draw(sizes: Sizes, members: int) -> tuple[dict[str, torch.Tensor], Batch]:
    """Draw weights far from the start, as after a training, and inputs of one member."""
    generator = torch.Generator().manual_seed(1)
    weights = initial_weights(sizes, members, seed=5)
    weights = {name: value + 0.3 * torch.randn(value.shape, generator=generator) for name, value in weights.items()}
    shapes = ((sizes.n_days, sizes.n_daily), (len(LEADS), sizes.n_context), (), (sizes.n_hours, sizes.n_hourly))
    return weights, Batch(*(2.0 * torch.randn(SAMPLES, *shape, generator=generator) for shape in shapes))


def write(sizes: Sizes, weights: dict[str, torch.Tensor]) -> bytes:
    return forecast_graph(sizes, {name: value.numpy() for name, value in weights.items()}).SerializeToString()


def run(content: bytes, sizes: Sizes, batch: Batch) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = ["days", "context", "level", *(["hours"] if sizes.n_hourly else [])]
    return session.run(["mean", "quantiles"], {name: getattr(batch, name).numpy() for name in names})


@pytest.mark.parametrize("members", [1, 2, 5])
@pytest.mark.parametrize("sizes", [DAILY, HOURLY], ids=["daily", "hourly"])
def test_graph_gives_what_torch_gives(sizes: Sizes, members: int) -> None:
    """Onnxruntime gives torch's pooled mean and quantiles within 1e-5, in and beyond the range of training."""
    weights, batch = draw(sizes, members)
    repeated = Batch(*(value.expand(members, *value.shape) for value in vars(batch).values()))
    mean, quantiles = predict(weights, repeated)
    found_mean, found = run(write(sizes, weights), sizes, batch)
    assert found_mean.shape == (SAMPLES, len(LEADS))
    assert found.shape == (SAMPLES, len(LEADS), len(QUANTILES))
    np.testing.assert_allclose(found_mean, mean.mean(dim=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found, pool(quantiles), rtol=1e-5, atol=1e-5)
    assert (np.diff(found, axis=-1) > 0).all()


def test_graph_is_the_same_bytes_every_time() -> None:
    """The same weights give the same file, so that a hash names a training."""
    weights, _ = draw(HOURLY, 2)
    assert write(HOURLY, weights) == write(HOURLY, weights)


def test_ports_are_named_and_sized() -> None:
    """The graph states what it takes and gives; hours only where there are any."""
    for sizes in (DAILY, HOURLY):
        model = onnx.load_from_string(write(sizes, draw(sizes, 2)[0]))
        shapes = {
            port.name: [dim.dim_param or dim.dim_value for dim in port.type.tensor_type.shape.dim]
            for port in (*model.graph.input, *model.graph.output)
        }
        expected = {
            "days": ["n", sizes.n_days, sizes.n_daily],
            "context": ["n", 3, sizes.n_context],
            "level": ["n"],
            "mean": ["n", 3],
            "quantiles": ["n", 3, 9],
        }
        assert shapes == expected | ({"hours": ["n", 9, 2]} if sizes.n_hourly else {})


def test_writer_refuses_a_graph_that_does_not_hold_together() -> None:
    """An input that nothing gives is found when the model is made, not when it is run."""
    graph = Graph()
    graph.add("Add", "x", "nowhere", output="y")
    with pytest.raises(onnx.checker.ValidationError, match="nowhere"):
        graph.model("broken", {"x": [2]}, {"y": [2]})


def test_writer_keeps_whole_numbers_whole() -> None:
    """Constants are int64 where they are given so, and float32 otherwise; a slice cuts the last axis."""
    graph = Graph()
    assert graph.constant(2.5) != graph.integers(1, 2)
    assert [constant.data_type for constant in graph.constants] == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64]
    graph = Graph()
    graph.add("Identity", graph.slice("x", 1, 3), output="y")
    session = onnxruntime.InferenceSession(graph.model("cut", {"x": [2, 4]}, {"y": [2, 2]}).SerializeToString())
    values = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    np.testing.assert_array_equal(session.run(["y"], {"x": values})[0], values[..., 1:3])
