"""The float32 ONNX model of a net, with what quantizing needs to know of its structure: where values are rounded, and which
channels may be balanced against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import quoted
from open_nsfw.nets.ranges import REMEDY

Float32 = NDArray[np.float32]
Values = NDArray[np.generic]
"""A tensor's values: float32 weights, or the int64 shape of a Reshape."""

# Operators that a positive factor for each channel passes through unchanged.
_HOMOGENEOUS = ("Add", "AveragePool", "MaxPool", "Relu", "Reshape")


@dataclass(frozen=True)
class ChannelGroup:
    """Tensors whose channels must keep a common factor, since sums tie them together."""

    name: str
    """Of the first of its points."""
    points: tuple[str, ...]
    producers: tuple[NodeProto, ...]
    """Convolutions (nodes) that give these channels."""
    consumers: tuple[NodeProto, ...]
    """Convolutions and fully connected layers (nodes) that read them."""


class FloatGraph:
    """The float32 model that `onnx_graph.convert` makes, with what quantizing needs to know of its structure."""

    def __init__(self, model: bytes) -> None:
        self.model = onnx.load_from_string(model)
        graph = self.model.graph
        self.nodes: list[NodeProto] = list(graph.node)
        self.input: str = graph.input[0].name
        self.values: dict[str, Values] = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self.maker: dict[str, NodeProto] = {name: node for node in self.nodes for name in node.output}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.points = self._points()

    def nodes_of(self, kind: str) -> list[NodeProto]:
        """The nodes of one operator."""
        return [node for node in self.nodes if node.op_type == kind]

    def weights(self, name: str) -> Float32:
        """The weights or the bias of this name."""
        return _float32(self.values[name])

    def rectified(self, tensor: str) -> str:
        """The tensor behind the ReLU that alone reads `tensor`, or `tensor` itself."""
        readers = self.readers.get(tensor, [])
        return readers[0].output[0] if len(readers) == 1 and readers[0].op_type == "Relu" else tensor

    def _points(self) -> list[str]:
        """The tensors that become uint8, in the graph's order."""
        wanted: set[str] = set()
        for node in self.nodes_of("Conv"):
            wanted |= {node.input[0], self.rectified(node.output[0])}
        for node in self.nodes_of("Add"):
            if not any(name in self.values for name in node.input):
                wanted |= {*node.input, self.rectified(node.output[0])}
        order = [self.input, *self.maker]
        return [name for name in order if name in wanted]

    def pooled_from(self, tensor: str) -> str:
        """The point whose rounding a max pooling passes on unchanged, or the tensor itself."""
        maker = self.maker.get(tensor)
        if maker is not None and maker.op_type == "MaxPool" and maker.input[0] in self.points:
            return str(maker.input[0])
        return tensor

    def groups(self) -> list[ChannelGroup]:
        """The groups of channels that may be balanced."""
        tied = _tied(self.nodes)
        found = []
        for root in dict.fromkeys(tied(point) for point in self.points):
            members = {name for node in self.nodes for name in (*node.input, *node.output) if tied(name) == root}
            group = self._group(tuple(point for point in self.points if point in members), members)
            if group is not None:
                found.append(group)
        return found

    def _group(self, points: tuple[str, ...], members: set[str]) -> ChannelGroup | None:
        """None where a factor would not come out again: behind another operator, or in grouped convolutions."""
        makers = [self.maker.get(name) for name in sorted(members)]
        if any(maker is None or maker.op_type not in ("Conv", *_HOMOGENEOUS) for maker in makers):
            return None
        producers = [maker for maker in self.nodes if maker.op_type == "Conv" and maker.output[0] in members]
        readers = [node for node in self.nodes if any(name in members for name in node.input)]
        consumers = [node for node in readers if node.op_type not in _HOMOGENEOUS]
        if not producers or not consumers:
            return None
        channels = {len(self.values[node.input[1]]) for node in producers}
        if any(node.op_type not in ("Conv", "Gemm") or self._columns(node) not in channels for node in consumers):
            return None
        return ChannelGroup(points[0], points, tuple(producers), tuple(consumers))

    def _columns(self, node: NodeProto) -> int:
        """Channels that a layer reads, where its weights' second axis is just that; 0 otherwise."""
        options = attributes(node)
        if options.get("group", 1) != 1 or (node.op_type == "Gemm" and not options.get("transB")):
            return 0
        return int(self.values[node.input[1]].shape[1])

    def balanced(self, factors: Mapping[str, Iterable[float]]) -> FloatGraph:
        """This network with every group's channels multiplied by its factors, and divided again where they are
        read. Raises ModelError where they do not fit."""
        values = dict(self.values)
        for group in self.groups():
            if group.name not in factors:
                continue
            factor = np.asarray(factors[group.name], np.float32)
            for node in group.producers:  # which may be consumers of another group
                weights = _float32(values[node.input[1]])
                check_size(group.name, len(factor), len(weights))
                values[node.input[1]] = weights * factor.reshape(-1, *[1] * (weights.ndim - 1))
                if len(node.input) > 2:
                    values[node.input[2]] = _float32(values[node.input[2]]) * factor
            for node in group.consumers:
                weights = _float32(values[node.input[1]])
                values[node.input[1]] = weights / factor.reshape(1, -1, *[1] * (weights.ndim - 2))
        return FloatGraph(self.serialized(values))

    def serialized(self, values: Mapping[str, Values]) -> bytes:
        """The model with these weights."""
        model = ModelProto()
        model.CopyFrom(self.model)
        for initializer in model.graph.initializer:
            initializer.CopyFrom(numpy_helper.from_array(values[initializer.name], initializer.name))
        serialized: bytes = model.SerializeToString()
        return serialized

    def with_outputs(self, names: Iterable[str]) -> bytes:
        """The float32 model, giving these tensors instead of its output."""
        model = ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
        serialized: bytes = model.SerializeToString()
        return serialized


def _float32(values: Values) -> Float32:
    return values.astype(np.float32, copy=False)


def _tied(nodes: list[NodeProto]) -> Callable[[str], str]:
    """A function that gives the representative of a tensor among those with which it shares its channels."""
    parents: dict[str, str] = {}

    def find(name: str) -> str:
        while name in parents:
            name = parents[name]
        return name

    for node in nodes:
        if node.op_type in _HOMOGENEOUS:
            for name in node.input[:2] if node.op_type == "Add" else node.input[:1]:
                if find(name) != find(node.output[0]):
                    parents[find(name)] = find(node.output[0])
    return find


def attributes(node: NodeProto) -> dict[str, Any]:
    """An operator's attributes by name; ONNX has them of many types."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def check_size(name: str, got: int, needed: int) -> None:
    """Raises ModelError if the ranges have not one value for each channel of a tensor."""
    if got != needed:
        raise ModelError(f"the ranges have {got} values for the tensor {quoted(name)} of {needed} channels; {REMEDY}")
