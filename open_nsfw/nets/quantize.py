"""A float32 ONNX model and measured ranges -> an int8 model of the same network (QDQ: rounding as nodes of the graph).

Weights become int8, symmetric, with a scale for each output channel; what flows between layers becomes uint8 with a
scale for each tensor; biases int32. ONNX Runtime and OpenVINO compute such a graph in integers. What keeps the logits
close: ranges of least squared error rather than from the smallest to the largest value, channels balanced against each
other, biases moved by what rounding shifts, and the first convolution's weights rounded together (rounding.py). On 1,056
held-back pictures the difference from float32 is then 0.15 logits in the median, 0.65 at 99 % (those decoded in full). The
network up to its first sum in float32 would halve the variance, but costs a third more time; the smaller margin that it
allows gives back less than that.

Tried, and left out because they gained next to nothing or did harm: clipped weight ranges, a regression on the inputs of
the last layer, a float32 last sum, a constant added to the logit, other powers for balancing the first layer, and biases
corrected for all layers at once from measured outputs (diverged). Quantiles as ranges were as good at 99.99 % and bad at
99.9 %. Ranges from a third of the samples, or of the pictures, are as good on average and worse at worst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from open_nsfw.errors import ModelError
from open_nsfw.nets.float_graph import FloatGraph, attributes, check_size
from open_nsfw.nets.net import quoted
from open_nsfw.nets.ranges import REMEDY, Ranges, TensorRange
from open_nsfw.nets.rounding import picture_covariance, rounded_each, rounded_together, weight_scales
from open_nsfw.nets.space_to_depth import fold_stride

LEVELS = 255  # steps of uint8
MOST_COLOURS = 4  # an input of more channels is no picture
SMALLEST = 1e-12  # what an all-zero tensor is taken to reach, so that its scale is not 0

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def quantize(model: bytes, ranges: Ranges) -> bytes:
    """The int8 model, serialized, for a float32 model made by `onnx_graph.convert`; same input, same output.

    Raises ModelError if the ranges do not fit the model.
    """
    graph = FloatGraph(model).balanced(ranges.factors)
    missing = [point for point in graph.points if point not in ranges.tensors]
    if missing:
        raise ModelError(f"the ranges have no tensor {quoted(missing[0])}; {REMEDY}")
    quantized = _Quantizer(graph, ranges.tensors).model()
    fold_stride(quantized)
    onnx.checker.check_model(quantized)
    serialized: bytes = quantized.SerializeToString()
    return serialized


def scale_and_zero(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """The step of uint8 over a range, 0 included, and the level that stands for 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, SMALLEST) / LEVELS)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, LEVELS))


class _Quantizer:
    """Writes the int8 graph, node by node."""

    def __init__(self, graph: FloatGraph, tensors: Mapping[str, TensorRange]) -> None:
        self.graph, self.tensors = graph, tensors
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.renamed: dict[str, str] = {}

    def model(self) -> ModelProto:
        """The finished ModelProto."""
        self._round(self.graph.input)
        for node in self.graph.nodes:
            copy = NodeProto()
            copy.CopyFrom(node)
            for index, name in enumerate(node.input):
                copy.input[index] = self.renamed.get(name, name)
            if node.op_type == "Conv":
                self._round_weights(node, copy)
            else:
                for name in node.input:
                    if name in self.graph.values:
                        self._constant(name, self.graph.values[name])
            self.nodes.append(copy)
            for name in node.output:
                self._round(name)
        return self._finished()

    def _finished(self) -> ModelProto:
        model = ModelProto()
        model.CopyFrom(self.graph.model)
        for repeated in (model.graph.node, model.graph.initializer, model.graph.value_info):
            del repeated[:]
        model.graph.node.extend(self.nodes)
        model.graph.initializer.extend(self.initializers.values())
        return model

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self.initializers[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def _step(self, tensor: str) -> tuple[np.float32, np.uint8]:
        measured = self.tensors[self.graph.pooled_from(tensor)]
        return scale_and_zero(measured.low, measured.high)

    def _round(self, tensor: str) -> None:
        """Let what reads a point read it rounded."""
        if tensor not in self.graph.points:
            return
        scale, zero = self._step(tensor)
        constants = [self._constant(f"{tensor}_scale", scale), self._constant(f"{tensor}_zero", zero)]
        self.nodes.append(helper.make_node("QuantizeLinear", [tensor, *constants], [f"{tensor}_integer"]))
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{tensor}_integer", *constants], [f"{tensor}_rounded"])
        )
        self.renamed[tensor] = f"{tensor}_rounded"

    def _round_weights(self, node: NodeProto, copy: NodeProto) -> None:
        weights = self.graph.weights(node.input[1])
        bias = self.graph.weights(node.input[2]) if len(node.input) > 2 else np.zeros(len(weights), np.float32)
        scales = weight_scales(weights)
        rounded = self._rounded(node, weights, scales)
        corrected: Float64 = bias.astype(np.float64) - self._shift(node, weights, rounded, scales)
        step = (scales * self._step(node.input[0])[0]).astype(np.float32)
        limit = np.iinfo(np.int32).max
        integers = np.clip(np.rint(corrected / step), -limit, limit).astype(np.int32)
        inputs = [self._dequantized(f"{node.name}_weights", rounded, scales)]
        inputs.append(self._dequantized(f"{node.name}_bias", integers, step))
        del copy.input[1:]
        copy.input.extend(inputs)

    def _rounded(self, node: NodeProto, weights: Float32, scales: Float32) -> NDArray[np.int8]:
        """Weights that see the picture itself, whose values are alike, are rounded together."""
        if node.input[0] == self.graph.input and weights.ndim == 4 and weights.shape[1] <= MOST_COLOURS:
            return rounded_together(weights, scales, picture_covariance(*weights.shape[1:]))
        return rounded_each(weights, scales)

    def _shift(self, node: NodeProto, weights: Float32, rounded: NDArray[np.int8], scales: Float32) -> Float64:
        """What the rounding of the weights adds to each output channel, on average over the calibration pictures."""
        if attributes(node).get("group", 1) != 1:
            return np.zeros(len(weights))
        mean = np.asarray(self.tensors[node.input[0]].mean)
        check_size(node.input[0], len(mean), weights.shape[1])
        error = rounded.astype(np.float64) * scales.reshape(-1, *[1] * (weights.ndim - 1)) - weights
        shift: Float64 = error.reshape(*weights.shape[:2], -1).sum(axis=2) @ mean
        return shift

    def _dequantized(self, name: str, integers: NDArray[np.signedinteger[Any]], scales: Float32) -> str:
        inputs = [self._constant(f"{name}_integer", integers), self._constant(f"{name}_scale", scales)]
        inputs.append(self._constant(f"{name}_zero", np.zeros(len(scales), integers.dtype)))
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], axis=0))
        return name
