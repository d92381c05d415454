"""Writing an ONNX graph node by node, with names that nobody has to invent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Operators used exist since opset 13; IR 9 is read by every onnxruntime since 1.16.
_OPSET, _IR = 18, 9


class Graph:
    """Collects nodes and constants under running names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any) -> str:
        """Add a constant, whole numbers as int64 and all else as float32; gives its name."""
        name = f"c{len(self.constants)}"
        array = np.asarray(value)
        array = array if array.dtype == np.int64 else array.astype(np.float32)
        self.constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a list of whole numbers, such as axes; gives its name."""
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output; gives the output's name."""
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def last_state(self, *inputs: str, **attributes: Any) -> str:
        """Add an LSTM of which only the last hidden state is wanted; gives its name."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node("LSTM", list(inputs), ["", name], **attributes))
        return name

    def slice(self, value: str, start: int, stop: int) -> str:
        """Cut the last axis from start to before stop; gives the name."""
        return self.add("Slice", value, *(self.integers(number) for number in (start, stop, -1)))

    def model(
        self, name: str, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]
    ) -> onnx.ModelProto:
        """Make a checked model.

        Parameters
        ----------
        name : str
            Of the graph.
        inputs, outputs : mapping of str to sequence of int
            Shape of each port after its first axis, which is the number of samples; all float32.

        Returns
        -------
        ModelProto
            The model.
        """

        def ports(shapes: Mapping[str, Sequence[int]]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(port, TensorProto.FLOAT, ["n", *shape]) for port, shape in shapes.items()
            ]

        proto = helper.make_graph(self.nodes, name, ports(inputs), ports(outputs), self.constants)
        model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="particleflux")
        model.ir_version = _IR
        onnx.checker.check_model(model)
        return model
