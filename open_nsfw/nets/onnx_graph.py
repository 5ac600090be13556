"""Layers and blobs -> an ONNX model, batch norm and scale folded into the convolutions before them.

The graph computes what Caffe computes, also where Caffe is peculiar: pooling windows that hang over the edge, divisors
that count padding, layers in place, and tops that share memory with their bottoms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import Layer, Net, Shape
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.shapes import (
    LayerShapes,
    Window,
    canonical_axis,
    concat_axis,
    convolution_window,
    infer,
    pooling_window,
    scale_axes,
)

# Every operator used here is in opset 17 and IR version 8, which ONNX Runtime has read since 1.12.
OPSET = 17
IR_VERSION = 8

# What Caffe's max pooling starts from, and so gives for a window that lies wholly outside.
LOWEST = float(np.finfo(np.float32).min)

Float32 = NDArray[np.float32]


def convert(net: Net, output: str, fold: bool = True) -> bytes:
    """An ONNX model of `net` up to the blob `output`, serialized.

    The model takes float32 (N, C, H, W), N free, under the net's input name, and gives the output blob. With `fold`,
    batch norm and scale layers disappear into the layer before them; without, each layer stays as it is (to check the
    folding by). Raises ModelError if no layer makes `output`.
    """
    if output not in net.blob_names:
        raise ModelError(f'the net makes no blob "{output}"; it makes {", ".join(net.output_names)}')
    graph = _Graph(net.input_name, net.input_shape)
    net = fold_batch_norm(net) if fold else net
    for layer, shapes in zip(net.layers, infer(net)):
        _add_layer(graph, layer, shapes)
    model = graph.model(net.name, output)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


# ------------------------------------------------------------------------------------------------------------ folding


def fold_batch_norm(net: Net) -> Net:
    """The net with every BatchNorm and Scale that directly follows a Convolution or InnerProduct folded into its
    weights."""
    layers = list(net.layers)
    index = 0
    while index < len(layers):
        affine = _channel_affine(layers[index])
        source = _only_source(layers, index) if affine else None
        if affine is None or source is None:
            index += 1
            continue
        layers[source] = _folded(layers[source], layers[index], *affine)
        del layers[index]
    return replace(net, layers=tuple(layers))


def _channel_affine(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(factor, offset) for each channel, float64, if all the layer does is y = factor * x + offset along axis 1."""
    if layer.type == "BatchNorm":
        mean, deviation = _batch_norm_statistics(layer)
        return 1 / deviation, -mean / deviation
    if layer.type != "Scale" or len(layer.bottoms) != 1:
        return None
    param = layer.param.scale_param
    if param.axis != 1 or param.num_axes != 1:
        return None
    factor = layer.blobs[0].reshape(-1).astype(np.float64)
    return factor, layer.blobs[1].reshape(-1).astype(np.float64) if param.bias_term else np.zeros_like(factor)


def _batch_norm_statistics(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean, standard deviation) as Caffe uses them: the stored sums over the stored factor; a factor of 0 gives 0."""
    mean, variance, factor = (blob.reshape(-1).astype(np.float64) for blob in layer.blobs)
    scale = 0.0 if factor[0] == 0 else 1 / factor[0]
    return mean * scale, np.sqrt(variance * scale + layer.param.batch_norm_param.eps)


def _only_source(layers: list[Layer], index: int) -> int | None:
    """The index of the layer with foldable weights that makes the blob read by `layers[index]` and read by no other
    layer."""
    blob = layers[index].bottoms[0]
    makers = [i for i in range(index) if blob in layers[i].tops]
    if not makers or layers[makers[-1]].type not in ("Convolution", "InnerProduct"):
        return None
    maker = layers[makers[-1]]
    if len(maker.tops) != 1 or (maker.type == "InnerProduct" and maker.param.inner_product_param.axis != 1):
        return None
    remade = next((i for i in range(index, len(layers)) if blob in layers[i].tops), len(layers))
    readers = [i for i in range(makers[-1] + 1, min(remade + 1, len(layers))) if blob in layers[i].bottoms]
    never_read_again = remade == index or readers == [index]
    return makers[-1] if readers[:1] == [index] and never_read_again else None


def _folded(source: Layer, affine: Layer, factor: NDArray[np.float64], offset: NDArray[np.float64]) -> Layer:
    param = type(source.param)()
    param.CopyFrom(source.param)
    settings = param.convolution_param if source.type == "Convolution" else param.inner_product_param
    weights = source.blobs[0].astype(np.float64)
    bias = source.blobs[1].reshape(-1).astype(np.float64) if settings.bias_term else np.zeros_like(factor)
    if source.type == "Convolution":
        weights *= factor.reshape(-1, 1, 1, 1)
    else:  # two-dimensional, also where an old file writes two leading ones
        weights = weights.reshape(weights.shape[-2:]) * (factor if settings.transpose else factor[:, np.newaxis])
    settings.bias_term = True
    blobs = (weights.astype(np.float32), (bias * factor + offset).astype(np.float32))
    return replace(source, tops=affine.tops, param=param, blobs=blobs)


# -------------------------------------------------------------------------------------------------------------- graph


class _Graph:
    """ONNX nodes in the making, and which tensor each Caffe blob holds at this point.

    In Caffe some tops are a second view of their bottom's memory (Split, Flatten, Reshape), and a layer in place writes
    to that memory for all views. So a blob names a storage, and the storage holds a tensor, which is never changed.
    """

    def __init__(self, input_name: str, input_shape: Shape) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        shape: list[str | int | None] = ["N", *input_shape[1:]]
        self.input = helper.make_tensor_value_info(input_name, TensorProto.FLOAT, shape)
        self.storage = {input_name: 0}
        self.shape = {input_name: input_shape}
        self.tensors: list[tuple[str, Shape]] = [(input_name, input_shape)]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; the name of its output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: Any, dtype: type = np.float32) -> str:
        """Add an initializer; its name."""
        name = f"constant_{len(self.initializers)}"
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

    def model(self, name: str, output: str) -> Any:
        """The finished ModelProto."""
        self.nodes.append(helper.make_node("Identity", [self.read(output)], [f"output_{output}"]))
        shape: list[str | int | None] = ["N", *self.shape[output][1:]]
        result = helper.make_tensor_value_info(f"output_{output}", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, name or "net", [self.input], [result], self.initializers)
        imports = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, producer_name="open_nsfw", opset_imports=imports, ir_version=IR_VERSION)


def _add_layer(graph: _Graph, layer: Layer, shapes: LayerShapes) -> None:
    if layer.type in ("Split", "Flatten", "Reshape") or (layer.type == "Concat" and len(layer.bottoms) == 1):
        for top, shape in zip(layer.tops, shapes.tops):
            graph.share(top, layer.bottoms[0], shape)
        return
    inputs = [graph.read(bottom) for bottom in layer.bottoms]
    outputs = _OPERATORS[layer.type](graph, layer, shapes, inputs)
    for index, (top, tensor, shape) in enumerate(zip(layer.tops, outputs, shapes.tops)):
        in_place = index < len(layer.bottoms) and layer.bottoms[index] == top
        graph.write(top, tensor, shape, in_place)


# ---------------------------------------------------------------------------------------------------- layers by type


def _convolution(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    window, group = convolution_window(layer), layer.param.convolution_param.group
    weights = [graph.constant(blob.reshape(shape)) for blob, shape in zip(layer.blobs, shapes.blobs)]
    attributes = {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": window.pad * 2,
        "dilations": window.dilation,
        "group": group,
    }
    return [graph.op("Conv", tensor, *weights, **attributes) for tensor in inputs]


def _inner_product(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.inner_product_param
    count = shapes.blobs[0][0 if param.transpose else 1]
    flat = inputs[0] if len(shapes.bottoms[0]) == 2 and param.axis == 1 else graph.reshape(inputs[0], (-1, count))
    weights = [graph.constant(blob.reshape(shape)) for blob, shape in zip(layer.blobs, shapes.blobs)]
    result = graph.op("Gemm", flat, *weights, transB=0 if param.transpose else 1)
    return [result if len(shapes.tops[0]) == 2 else graph.reshape(result, shapes.tops[0])]


def _per_channel(values: NDArray[Any], rank: int) -> Float32:
    """(C,) values in a shape that broadcasts over an N x C x ... tensor of `rank` dimensions."""
    return values.astype(np.float32).reshape((-1,) + (1,) * (rank - 2)) if rank > 1 else values.astype(np.float32)


def _batch_norm(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    rank = len(shapes.bottoms[0])
    mean, deviation = (_per_channel(values, rank) for values in _batch_norm_statistics(layer))
    return [graph.op("Div", graph.op("Sub", inputs[0], graph.constant(mean)), graph.constant(deviation))]


def _scale(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    bottom, bias_term = shapes.bottoms[0], layer.param.scale_param.bias_term
    if len(inputs) == 1:
        first, end = scale_axes(layer, bottom)
        fit: Shape = bottom[first:end] + (1,) * (len(bottom) - end)
        factor = graph.constant(layer.blobs[0].reshape(fit))
    else:
        first = canonical_axis(layer, layer.param.scale_param.axis, len(bottom))
        fit = shapes.bottoms[1] + (1,) * (len(bottom) - first - len(shapes.bottoms[1]))
        factor = inputs[1] if fit == shapes.bottoms[1] else graph.reshape(inputs[1], fit)
    result = graph.op("Mul", inputs[0], factor)
    return [graph.op("Add", result, graph.constant(layer.blobs[-1].reshape(fit))) if bias_term else result]


def _relu(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    slope = layer.param.relu_param.negative_slope
    return [graph.op("LeakyRelu", inputs[0], alpha=slope) if slope else graph.op("Relu", inputs[0])]


def _prelu(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    slope = layer.blobs[0].reshape(-1)
    fitted = slope if layer.param.prelu_param.channel_shared else _per_channel(slope, len(shapes.bottoms[0]))
    return [graph.op("PRelu", inputs[0], graph.constant(fitted))]


def _lrn(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.lrn_param
    size = param.local_size
    if enum_name(param, "norm_region") == "ACROSS_CHANNELS":
        return [graph.op("LRN", inputs[0], alpha=param.alpha, beta=param.beta, bias=param.k, size=size)]
    # Within a channel Caffe's constant is always 1, and the padded average divides by the whole window.
    pads = [(size - 1) // 2] * 4
    squares = graph.op("Mul", inputs[0], inputs[0])
    mean = graph.op("AveragePool", squares, kernel_shape=[size, size], pads=pads, strides=[1, 1], count_include_pad=1)
    shifted = graph.op("Add", graph.op("Mul", mean, graph.constant(param.alpha)), graph.constant(1.0))
    return [graph.op("Mul", inputs[0], graph.op("Pow", shifted, graph.constant(-param.beta)))]


def _eltwise(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.eltwise_param
    operation = enum_name(param, "operation")
    if operation == "MAX":
        return [graph.op("Max", *inputs)]
    terms = list(inputs)
    for index, coefficient in enumerate(param.coeff):
        if coefficient != 1:
            terms[index] = graph.op("Mul", terms[index], graph.constant(coefficient))
    total = terms[0]
    for term in terms[1:]:
        total = graph.op("Add" if operation == "SUM" else "Mul", total, term)
    return [total]


def _softmax(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    return [
        graph.op("Softmax", inputs[0], axis=canonical_axis(layer, layer.param.softmax_param.axis, len(shapes.tops[0])))
    ]


def _unary(kind: str) -> _Operator:
    return lambda graph, layer, shapes, inputs: [graph.op(kind, inputs[0])]


# ------------------------------------------------------------------------------------------------------------ pooling


def _pooling(graph: _Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    window, counts = pooling_window(layer, shapes.bottoms[0]), shapes.tops[0][2:]
    sides = list(zip(shapes.bottoms[0][2:], counts, window.kernel, window.stride, window.pad))
    if enum_name(layer.param.pooling_param, "pool") == "MAX":
        return [_caffe_pool(graph, "MaxPool", inputs[0], window, sides, LOWEST)]
    mean = _caffe_pool(graph, "AveragePool", inputs[0], window, sides, 0.0, count_include_pad=1)
    divisors = [_divisors(*side) for side in sides]
    with np.errstate(divide="ignore"):  # Caffe divides nothing by nothing too
        correction = math.prod(window.kernel) / np.multiply.outer(divisors[0], divisors[1])
    return [mean if (correction == 1).all() else graph.op("Mul", mean, graph.constant(correction))]


_Side = tuple[int, int, int, int, int]  # of the input, windows, kernel, stride, pad; all in pixels but the second


def _caffe_pool(
    graph: _Graph, kind: str, tensor: str, window: Window, sides: list[_Side], empty: float, **attributes: Any
) -> str:
    """A pooling node with as many windows as Caffe has: padding at the end for those that hang over the edge, and the
    value `empty` for those that lie wholly beyond it."""
    touching = [min(count, -(-(side + pad) // stride)) for side, count, _, stride, pad in sides]
    ends = [
        max((count - 1) * stride + kernel - side - pad, 0)
        for count, (side, _, kernel, stride, pad) in zip(touching, sides)
    ]
    pooled = graph.op(
        kind, tensor, kernel_shape=window.kernel, strides=window.stride, pads=[*window.pad, *ends], **attributes
    )
    beyond = [count - some for some, (_, count, *_) in zip(touching, sides)]
    if not any(beyond):
        return pooled
    return graph.op("Pad", pooled, graph.constant([0] * 6 + beyond, np.int64), graph.constant(empty))


def _divisors(side: int, count: int, kernel: int, stride: int, pad: int) -> NDArray[np.float64]:
    """What Caffe's average pooling divides by along one side: the window clipped to the padded input, for each window."""
    starts = np.arange(count) * stride - pad
    widths: NDArray[np.float64] = (np.minimum(starts + kernel, side + pad) - starts).astype(np.float64)
    return widths


_Operator = Callable[[_Graph, Layer, LayerShapes, "list[str]"], Sequence[str]]
_OPERATORS: dict[str, _Operator] = {
    "BatchNorm": _batch_norm,
    "Concat": lambda graph, layer, shapes, inputs: [
        graph.op("Concat", *inputs, axis=concat_axis(layer, shapes.bottoms[0]))
    ],
    "Convolution": _convolution,
    "Dropout": lambda graph, layer, shapes, inputs: inputs,  # a net in use drops nothing
    "ELU": lambda graph, layer, shapes, inputs: [graph.op("Elu", inputs[0], alpha=layer.param.elu_param.alpha)],
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "ReLU": _relu,
    "Scale": _scale,
    "Sigmoid": _unary("Sigmoid"),
    "Softmax": _softmax,
    "TanH": _unary("Tanh"),
}
