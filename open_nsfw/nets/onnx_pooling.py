"""Caffe's pooling as ONNX nodes: as many windows as Caffe has, and its way of dividing an average."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.nets.net import Layer, Shape
from open_nsfw.nets.onnx_nodes import Graph
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.settings import Window, pooling_window
from open_nsfw.nets.shapes import LayerShapes

# What Caffe's max pooling starts from, and so gives for a window that lies wholly outside.
LOWEST = float(np.finfo(np.float32).min)


def pooling_layer(graph: Graph, layer: Layer, shapes: LayerShapes, inputs: list[str]) -> list[str]:
    """A Pooling layer's top."""
    window, bottom = pooling_window(layer, shapes.bottoms[0]), shapes.bottoms[0]
    kind = enum_name(layer.param.pooling_param, "pool")
    return [pooled(graph, inputs[0], kind, window, bottom[2:], shapes.tops[0][2:])]


def pooled(graph: Graph, tensor: str, kind: str, window: Window, size: Shape, counts: Shape) -> str:
    """`tensor`, (N, C, *size), pooled by `kind`, MAX or AVE, into (N, C, *counts)."""
    sides = list(zip(size, counts, window.kernel, window.stride, window.pad))
    if kind == "MAX":
        return _caffe_pool(graph, "MaxPool", tensor, window, sides, LOWEST)
    mean = _caffe_pool(graph, "AveragePool", tensor, window, sides, 0.0, count_include_pad=1)
    divisors = [average_divisors(*side) for side in sides]
    with np.errstate(divide="ignore"):  # Caffe divides nothing by nothing too
        correction = math.prod(window.kernel) / np.multiply.outer(divisors[0], divisors[1])
    return mean if (correction == 1).all() else graph.op("Mul", mean, graph.constant(correction))


_Side = tuple[int, int, int, int, int]  # of the input, windows, kernel, stride, pad; all in pixels but the second


def _caffe_pool(
    graph: Graph, kind: str, tensor: str, window: Window, sides: list[_Side], empty: float, **attributes: Any
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


def average_divisors(side: int, count: int, kernel: int, stride: int, pad: int) -> NDArray[np.float64]:
    """What Caffe's average pooling divides by along one side: the window clipped to the padded input, for each window."""
    starts = np.arange(count) * stride - pad
    widths: NDArray[np.float64] = (np.minimum(starts + kernel, side + pad) - starts).astype(np.float64)
    return widths
