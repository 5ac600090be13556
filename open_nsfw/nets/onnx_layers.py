"""Each type of Caffe layer as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from open_nsfw.nets.folding import batch_norm_statistics
from open_nsfw.nets.net import Layer, Shape
from open_nsfw.nets.onnx_nodes import Float32, Graph
from open_nsfw.nets.onnx_pooling import pooled, pooling_layer
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.settings import (
    base_of,
    bias_axes,
    canonical_axis,
    concat_axis,
    convolution_window,
    crop_starts,
    pooled_sides,
    pyramid_windows,
    scale_axes,
    slice_sizes,
)
from open_nsfw.nets.shape_rules import convolution_overhang
from open_nsfw.nets.shapes import LayerShapes


def _convolution(kind: str) -> _Operator:
    """That of Convolution or Deconvolution: each input through the same weights, as Caffe does with several."""

    def add(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
        window = convolution_window(layer)
        beyond = convolution_overhang(shapes.bottoms[0][2:], window) if kind == "Conv" else (0, 0)
        weights = [graph.constant(blob.reshape(shape)) for blob, shape in zip(layer.blobs, shapes.blobs)]
        attributes = {
            "kernel_shape": window.kernel,
            "strides": window.stride,
            "pads": [*window.pad, *(pad + more for pad, more in zip(window.pad, beyond))],
            "dilations": window.dilation,
            "group": layer.param.convolution_param.group,
        }
        return [graph.op(kind, tensor, *weights, **attributes) for tensor in inputs]

    return add


def _inner_product(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.inner_product_param
    count = shapes.blobs[0][0 if param.transpose else 1]
    flat = inputs[0] if len(shapes.bottoms[0]) == 2 and param.axis == 1 else graph.reshape(inputs[0], (-1, count))
    weights = [graph.constant(blob.reshape(shape)) for blob, shape in zip(layer.blobs, shapes.blobs)]
    result = graph.op("Gemm", flat, *weights, transB=0 if param.transpose else 1)
    return [result if len(shapes.tops[0]) == 2 else graph.reshape(result, shapes.tops[0])]


def _per_channel(values: NDArray[Any], rank: int) -> Float32:
    """(C,) values in a shape that broadcasts over an N x C x ... tensor of `rank` dimensions."""
    return values.astype(np.float32).reshape((-1,) + (1,) * (rank - 2)) if rank > 1 else values.astype(np.float32)


def _batch_norm(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    rank = len(shapes.bottoms[0])
    mean, deviation = (_per_channel(values, rank) for values in batch_norm_statistics(layer))
    return [graph.op("Div", graph.op("Sub", inputs[0], graph.constant(mean)), graph.constant(deviation))]


def _scale(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
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


def _relu(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    slope = layer.param.relu_param.negative_slope
    return [graph.op("LeakyRelu", inputs[0], alpha=slope) if slope else graph.op("Relu", inputs[0])]


def _prelu(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    slope = layer.blobs[0].reshape(-1)
    fitted = slope if layer.param.prelu_param.channel_shared else _per_channel(slope, len(shapes.bottoms[0]))
    return [graph.op("PRelu", inputs[0], graph.constant(fitted))]


def _lrn(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.lrn_param
    across = enum_name(param, "norm_region") == "ACROSS_CHANNELS"
    if across and param.alpha > 0 and param.beta > 0:  # the only ones that ONNX Runtime's LRN takes
        return [graph.op("LRN", inputs[0], alpha=param.alpha, beta=param.beta, bias=param.k, size=param.local_size)]
    squares = graph.op("Mul", inputs[0], inputs[0])
    mean = (_mean_of_channels if across else _mean_of_pixels)(graph, squares, param.local_size, shapes.bottoms[0])
    # Within a channel Caffe's constant is always 1.
    scaled = graph.op("Mul", mean, graph.constant(param.alpha))
    shifted = graph.op("Add", scaled, graph.constant(param.k if across else 1.0))
    return [graph.op("Mul", inputs[0], graph.op("Pow", shifted, graph.constant(-param.beta)))]


def _mean_of_pixels(graph: Graph, tensor: str, size: int, shape: Shape) -> str:
    """Over `size` x `size` pixels around each; zeros beyond the edge count."""
    pads = [(size - 1) // 2] * 4
    return graph.op("AveragePool", tensor, kernel_shape=[size, size], pads=pads, strides=[1, 1], count_include_pad=1)


def _mean_of_channels(graph: Graph, tensor: str, size: int, shape: Shape) -> str:
    """Over `size` channels around each; zeros beyond the first and last count."""
    batch, channels, *sides = shape
    column = graph.reshape(tensor, (batch, 1, channels, math.prod(sides)))
    pads = [(size - 1) // 2, 0] * 2
    mean = graph.op("AveragePool", column, kernel_shape=[size, 1], pads=pads, strides=[1, 1], count_include_pad=1)
    return graph.reshape(mean, shape)


def _eltwise(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
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


def _softmax(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    return [
        graph.op("Softmax", inputs[0], axis=canonical_axis(layer, layer.param.softmax_param.axis, len(shapes.tops[0])))
    ]


def _unary(kind: str) -> _Operator:
    return lambda graph, layer, shapes, inputs: [graph.op(kind, inputs[0])]


def _bias(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    bottom = shapes.bottoms[0]
    if len(inputs) == 1:
        first, end = bias_axes(layer, bottom)
        fit: Shape = bottom[first:end] + (1,) * (len(bottom) - end)
        return [graph.op("Add", inputs[0], graph.constant(layer.blobs[0].reshape(fit)))]
    first = canonical_axis(layer, layer.param.bias_param.axis, len(bottom))
    fit = shapes.bottoms[1] + (1,) * (len(bottom) - first - len(shapes.bottoms[1]))
    return [graph.op("Add", inputs[0], inputs[1] if fit == shapes.bottoms[1] else graph.reshape(inputs[1], fit))]


def _linear(graph: Graph, tensor: str, scale: float, shift: float) -> str:
    """scale * x + shift, without what does nothing."""
    scaled = tensor if scale == 1 else graph.op("Mul", tensor, graph.constant(scale))
    return scaled if shift == 0 else graph.op("Add", scaled, graph.constant(shift))


def _power(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.power_param
    inside = _linear(graph, inputs[0], param.scale, param.shift)
    return [inside if param.power == 1 else graph.op("Pow", inside, graph.constant(param.power))]


def _exp(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    """base ^ (scale * x + shift), as e ^ (scale * ln(base) * x) * base ^ shift."""
    param = layer.param.exp_param
    base = base_of(layer, param)
    grown = graph.op("Exp", _linear(graph, inputs[0], param.scale * math.log(base), 0))
    with np.errstate(over="ignore"):  # infinite, as in Caffe
        return [_linear(graph, grown, float(np.float64(base) ** param.shift), 0)]


def _log(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.log_param
    logarithm = graph.op("Log", _linear(graph, inputs[0], param.scale, param.shift))
    return [_linear(graph, logarithm, 1 / math.log(base_of(layer, param)), 0)]


def _threshold(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    above = graph.op("Greater", inputs[0], graph.constant(layer.param.threshold_param.threshold))
    return [graph.op("Cast", above, to=TensorProto.FLOAT)]


def _slice(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    axis, sizes = slice_sizes(layer, shapes.bottoms[0])
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [_part(graph, inputs[0], [axis], [start], [start + size]) for start, size in zip(starts, sizes)]


def _crop(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    axis, starts = crop_starts(layer, *shapes.bottoms)
    ends = [start + side for start, side in zip(starts, shapes.bottoms[1][axis:])]
    return [_part(graph, inputs[0], list(range(axis, axis + len(starts))), starts, ends)]


def _part(graph: Graph, tensor: str, axes: list[int], starts: list[int], ends: list[int], step: int = 1) -> str:
    """The part of a tensor from `starts` up to `ends` along `axes`."""
    bounds = [graph.constant(each, np.int64) for each in (starts, ends, axes, [step] * len(axes))]
    return graph.op("Slice", tensor, *bounds)


def _tile(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param, rank = layer.param.tile_param, len(shapes.bottoms[0])
    repeats = [1] * rank
    repeats[canonical_axis(layer, param.axis, rank)] = param.tiles
    return [graph.op("Tile", inputs[0], graph.constant(repeats, np.int64))]


def _reduction(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param, rank = layer.param.reduction_param, len(shapes.bottoms[0])
    axes = list(range(canonical_axis(layer, param.axis, rank), rank))
    operation = enum_name(param, "operation")
    if operation in ("SUM", "ASUM"):  # OpenVINO's ReduceL1 sums over all axes, whichever are given
        tensor = graph.op("Abs", inputs[0]) if operation == "ASUM" else inputs[0]
        reduced = graph.op("ReduceSum", tensor, graph.constant(axes, np.int64), keepdims=0)
    else:
        kind = {"SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}[operation]
        reduced = graph.op(kind, inputs[0], axes=axes, keepdims=0)
    return [_linear(graph, reduced, param.coeff, 0)]


def _arg_max(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    """Of equal values Caffe takes the one with the higher index first, ONNX the lower: so the values are turned round."""
    param, bottom = layer.param.argmax_param, shapes.bottoms[0]
    along = param.HasField("axis")
    axis = canonical_axis(layer, param.axis, len(bottom)) if along else 1
    tensor = inputs[0] if along else graph.reshape(inputs[0], (-1, math.prod(bottom[1:])))
    count = bottom[axis] if along else math.prod(bottom[1:])
    turned = _part(graph, tensor, [axis], [-1], [-count - 1], step=-1)
    values, places = graph.top_k(turned, param.top_k, axis)
    last = graph.constant(count - 1, np.int64)
    indices = graph.op("Cast", graph.op("Sub", last, places), to=TensorProto.FLOAT)
    if along:
        return [values if param.out_max_val else indices]
    both = graph.op("Concat", indices, values, axis=1) if param.out_max_val else indices
    return [graph.reshape(both, shapes.tops[0])]


def _mvn(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    param = layer.param.mvn_param
    tensor = inputs[0] if len(shapes.bottoms[0]) == 4 else graph.reshape(inputs[0], shapes.tops[0])
    axes = [1, 2, 3] if param.across_channels else [2, 3]
    centred = graph.op("Sub", tensor, graph.op("ReduceMean", tensor, axes=axes, keepdims=1))
    if not param.normalize_variance:
        return [centred]
    variance = graph.op("ReduceMean", graph.op("Mul", centred, centred), axes=axes, keepdims=1)
    return [graph.op("Div", centred, _linear(graph, graph.op("Sqrt", variance), 1, param.eps))]


def _spp(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    kind, size = enum_name(layer.param.spp_param, "pool"), shapes.bottoms[0][2:]
    levels = []
    for window in pyramid_windows(layer, shapes.bottoms[0]):
        counts = pooled_sides(size, window)
        level = pooled(graph, inputs[0], kind, window, size, counts)
        levels.append(graph.reshape(level, (-1, shapes.bottoms[0][1] * math.prod(counts))))
    joined = levels[0] if len(levels) == 1 else graph.op("Concat", *levels, axis=1)
    return [joined if len(levels) > 1 else graph.reshape(joined, shapes.tops[0])]


_Operator = Callable[[Graph, Layer, LayerShapes, "list[str]"], Sequence[str]]


OPERATORS: dict[str, _Operator] = {
    "AbsVal": _unary("Abs"),
    "ArgMax": _arg_max,
    "BNLL": _unary("Softplus"),
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": lambda graph, layer, shapes, inputs: [
        graph.op("Concat", *inputs, axis=concat_axis(layer, shapes.bottoms[0]))
    ],
    "Convolution": _convolution("Conv"),
    "Crop": _crop,
    "Deconvolution": _convolution("ConvTranspose"),
    "Dropout": lambda graph, layer, shapes, inputs: inputs,  # a net in use drops nothing
    "ELU": lambda graph, layer, shapes, inputs: [graph.op("Elu", inputs[0], alpha=layer.param.elu_param.alpha)],
    "Eltwise": _eltwise,
    "Exp": _exp,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Log": _log,
    "MVN": _mvn,
    "PReLU": _prelu,
    "Pooling": pooling_layer,
    "Power": _power,
    "ReLU": _relu,
    "Reduction": _reduction,
    "SPP": _spp,
    "Scale": _scale,
    "Sigmoid": _unary("Sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "TanH": _unary("Tanh"),
    "Threshold": _threshold,
    "Tile": _tile,
}
