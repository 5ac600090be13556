"""The end of a net, from its last feature map to its two logits, as one weighted sum.

Where all that a net does behind a feature map is linear (an average over its cells, a fully connected layer, what keeps
values as they are), the difference of the two logits is a bias and the sum of each value of the map times a weight of its
own. The weights are found by going back from the softmax, layer by layer: this is the adjoint of each linear layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import Layer, Net, Shape, shape_text
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.settings import canonical_axis, pooling_window
from open_nsfw.nets.shapes import LayerShapes, infer

Float64 = NDArray[np.float64]

CLASSES = 2  # with more, the log odds of one class are no linear function of the logits
_KEEP_VALUES = ("Dropout", "Flatten", "Reshape", "Split")


@dataclass(frozen=True, eq=False)
class LinearTail:
    """log(p / (1 - p)) of the second class of two = `bias` + the sum of `weights` * the feature map."""

    map: str
    """The blob that is the feature map, (N, C, H, W)."""
    logits: str
    """The blob of the two logits, which the softmax reads."""
    weights: Float64
    """float64 (C, H, W)"""
    bias: float


def linear_tail(net: Net, output: str) -> LinearTail:
    """The tail of a net that ends in the blob `output`. Raises ModelError, which names the layer, where there is no feature
    map from which everything is linear."""
    all_shapes = infer(net)
    index = _maker(net.layers, output, len(net.layers))
    logits = softmax_input(net, output)
    if index is None or logits is None:
        raise ModelError(f'no Softmax layer with an input of its own makes "{output}"')
    shape = all_shapes[index].bottoms[0][1:]
    if shape not in ((CLASSES,), (CLASSES, 1, 1)):
        raise ModelError(
            f"the softmax is over {shape_text(shape)} values; an exact explanation needs {CLASSES} classes"
        )
    blob, bias = logits, 0.0
    weights: Float64 = np.array([-1.0, 1.0]).reshape(shape)
    while weights.ndim != 3 or weights.shape[1] * weights.shape[2] == 1:
        index = _maker(net.layers, blob, index)
        if index is None:
            raise ModelError("there is no feature map before the score")
        layer, shapes = net.layers[index], all_shapes[index]
        weights, more = _back(layer, shapes, weights)
        bias += more
        blob = layer.bottoms[0]
    return LinearTail(blob, logits, weights, bias)


def softmax_input(net: Net, output: str) -> str | None:
    """The blob of logits from which a last Softmax along the classes makes `output`; None where there is no such layer, or
    it works in place."""
    index = _maker(net.layers, output, len(net.layers))
    if index is None or net.layers[index].type != "Softmax":
        return None
    layer, shapes = net.layers[index], infer(net)[index]
    axis = canonical_axis(layer, layer.param.softmax_param.axis, len(shapes.bottoms[0]))
    fits = axis == 1 and all(side == 1 for side in shapes.bottoms[0][2:])
    return layer.bottoms[0] if fits and layer.bottoms[0] not in (output, net.input_name) else None


def _maker(layers: Sequence[Layer], blob: str, before: int) -> int | None:
    """The index of the last layer before `before` that makes `blob`; None for the net's input."""
    return next((index for index in reversed(range(before)) if blob in layers[index].tops), None)


def _back(layer: Layer, shapes: LayerShapes, weights: Float64) -> tuple[Float64, float]:
    """(weights of the layer's input, what its bias adds), given those of its output, without the batch axis."""
    bottom = shapes.bottoms[0][1:]
    if layer.type in _KEEP_VALUES and shapes.bottoms[0][0] == shapes.tops[0][0]:
        return weights.reshape(bottom), 0.0
    if layer.type == "InnerProduct" and layer.param.inner_product_param.axis == 1:
        return _through_inner_product(layer, bottom, weights)
    if layer.type == "Pooling" and enum_name(layer.param.pooling_param, "pool") == "AVE":
        return _through_average(layer, shapes.bottoms[0], weights), 0.0
    raise layer.error("is behind the last feature map, and what it computes is no weighted sum")


def _through_inner_product(layer: Layer, bottom: Shape, weights: Float64) -> tuple[Float64, float]:
    settings, flat = layer.param.inner_product_param, weights.reshape(-1)
    matrix = layer.blobs[0].astype(np.float64)
    matrix = matrix.reshape(matrix.shape[-2:])
    bias = float(flat @ layer.blobs[1].astype(np.float64).reshape(-1)) if settings.bias_term else 0.0
    back: Float64 = matrix @ flat if settings.transpose else flat @ matrix
    return back.reshape(bottom), bias


def _through_average(layer: Layer, bottom: Shape, weights: Float64) -> Float64:
    """Each value of the input gets its share of every window that it lies in: Caffe divides by the window clipped to the
    padded input (pooling_layer.cpp)."""
    window, sides = pooling_window(layer, bottom), bottom[2:]
    result: Float64 = np.zeros(bottom[1:])
    for place in np.ndindex(*weights.shape[1:]):
        starts = [at * step - pad for at, step, pad in zip(place, window.stride, window.pad)]
        ends = [
            min(start + kernel, side + pad)
            for start, kernel, side, pad in zip(starts, window.kernel, sides, window.pad)
        ]
        index: tuple[slice | int, ...] = (slice(None), *place)
        share: Float64 = weights[index] / np.prod([end - start for start, end in zip(starts, ends)])
        rows, columns = (slice(max(start, 0), end) for start, end in zip(starts, ends))
        result[:, rows, columns] += share[:, np.newaxis, np.newaxis]
    return result
