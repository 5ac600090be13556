"""ONNX nodes in the making, and which tensor each Caffe blob holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from open_nsfw.nets.net import Shape

# Every operator used here is in opset 17 and IR version 8, which ONNX Runtime has read since 1.12.
OPSET = 17


IR_VERSION = 8


Float32 = NDArray[np.float32]

# What the names that are given here begin with: of outputs, constants, and nodes, which begin with their operator's.
_GIVEN = re.compile(r"output(_|$)|constant_|[A-Z][A-Za-z0-9]*_[0-9]")


def input_tensor(name: str) -> str:
    """What the graph calls the input of a net: its own name, unless something else in a graph could be called that. No
    other blob's or layer's name stands in a graph by itself."""
    return f"input_{name}" if not name or _GIVEN.match(name) else name


class Graph:
    """ONNX nodes in the making, and which tensor each Caffe blob holds at this point.

    In Caffe some tops are a second view of their bottom's memory (Split, Flatten, Reshape, Slice into one part), and a
    layer in place writes to that memory for all views. So a blob names a storage, and the storage holds a tensor, which
    is never changed.
    """

    def __init__(self, input_name: str, input_shape: Shape, alone: bool = False) -> None:
        """`alone`: the graph takes one input at a time, not any number of them."""
        self.batch: str | int = 1 if alone else "N"
        self.nodes: list[Any] = []
        self.layer_of_node: dict[str, str] = {}
        self.initializers: list[Any] = []
        shape: list[str | int | None] = [self.batch, *input_shape[1:]]
        tensor = input_tensor(input_name)
        self.input = helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape)
        self.storage = {input_name: 0}
        self.shape = {input_name: input_shape}
        self.tensors: list[tuple[str, Shape]] = [(tensor, input_shape)]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; the name of its output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def top_k(self, tensor: str, count: int, axis: int) -> tuple[str, str]:
        """The `count` largest values along an axis, and where they were: the names of both outputs."""
        name = f"TopK_{len(self.nodes)}"
        outputs = [f"{name}_values", f"{name}_indices"]
        counts = self.constant([count], np.int64)
        self.nodes.append(helper.make_node("TopK", [tensor, counts], outputs, name=name, axis=axis))
        return outputs[0], outputs[1]

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        """Add an initializer; its name."""
        name = f"constant_{len(self.initializers)}"
        with np.errstate(over="ignore"):  # what is too large for Caffe's float is infinite there too
            array: NDArray[Any] = np.ascontiguousarray(values, dtype=dtype).reshape(np.shape(values))
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def reshape(self, tensor: str, shape: Shape) -> str:
        """`tensor` in another shape; the first dimension is left to the batch."""
        return self.op("Reshape", tensor, self.constant([-1, *shape[1:]], np.int64))

    def read(self, blob: str) -> str:
        """The tensor that a blob holds now, in the blob's shape."""
        tensor, shape = self.tensors[self.storage[blob]]
        return tensor if shape == self.shape[blob] else self.reshape(tensor, self.shape[blob])

    def write(self, blob: str, tensor: str, shape: Shape, in_place: bool) -> None:
        """Let a blob hold a tensor: in its own storage, or in place for all views of it."""
        if in_place:
            self.tensors[self.storage[blob]] = (tensor, shape)
        else:
            self.tensors.append((tensor, shape))
            self.storage[blob] = len(self.tensors) - 1
        self.shape[blob] = shape

    def share(self, top: str, bottom: str, shape: Shape) -> None:
        """Make `top` a view of `bottom`."""
        self.storage[top] = self.storage[bottom]
        self.shape[top] = shape

    def model(self, name: str, outputs: Sequence[str]) -> Any:
        """The finished ModelProto; it gives these blobs, in this order."""
        results = []
        for output in outputs:
            self.nodes.append(helper.make_node("Identity", [self.read(output)], [f"output_{output}"]))
            shape: list[str | int | None] = ["N", *self.shape[output][1:]]
            results.append(helper.make_tensor_value_info(f"output_{output}", TensorProto.FLOAT, shape))
        graph = helper.make_graph(self.nodes, name or "net", [self.input], results, self.initializers)
        imports = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, producer_name="open_nsfw", opset_imports=imports, ir_version=IR_VERSION)
