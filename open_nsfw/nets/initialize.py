"""Weights to start from: as Caffe's fillers would draw them, and taken over from another caffemodel where they fit.

Formulas of the fillers: caffe/filler.hpp. `msra` is He and others 2015 (arXiv 1502.01852), `xavier` Glorot and Bengio 2010.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from open_nsfw.errors import UsageError
from open_nsfw.nets.net import Blob, Layer, Net, Shape
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.shapes import infer, same_shape


@dataclass(frozen=True)
class Taken:
    """Weights of a net, and what became of another file's."""

    weights: dict[str, tuple[Blob, ...]]
    """Layer name -> its blobs, float32."""
    kept: tuple[str, ...]
    """Layers whose blobs are those of the file."""
    left: tuple[str, ...]
    """A sentence for each layer whose blobs are not, and for each of the file that the net has no place for."""


def initial_weights(net: Net, seed: int = 2016) -> dict[str, tuple[Blob, ...]]:
    """Blobs for every layer that learns, as its fillers say: layer name -> float32 arrays.

    Batch norm is neutral (mean 0, variance 1), Scale and PReLU as Caffe begins. The same seed gives the same values.
    Raises UsageError for a filler that is not known here.
    """
    random = np.random.default_rng(seed)
    return {
        layer.name: tuple(_filled(layer, index, shape, random) for index, shape in enumerate(shapes.blobs))
        for layer, shapes in zip(net.layers, infer(net))
        if shapes.blobs
    }


def take_over(net: Net, weights: Mapping[str, tuple[Blob, ...]], given: Mapping[str, tuple[Blob, ...]]) -> Taken:
    """`weights`, with the blobs of `given` for each layer that fits by name and shape."""
    result, kept, left = dict(weights), [], []
    for name, shapes in ((layer.name, shapes.blobs) for layer, shapes in zip(net.layers, infer(net)) if shapes.blobs):
        found = given.get(name, ())
        if not found:
            left.append(f"{name}: the file has no layer of this name")
        elif len(found) != len(shapes) or not all(map(same_shape, (blob.shape for blob in found), shapes)):
            left.append(f"{name}: {_shapes(shapes)} are needed, the file has {_shapes([blob.shape for blob in found])}")
        else:
            result[name] = tuple(blob.reshape(shape) for blob, shape in zip(found, shapes))
            kept.append(name)
    names = net.layer_names
    left += [
        f"{name}: the net has no layer of this name" for name, found in given.items() if found and name not in names
    ]
    return Taken(result, tuple(kept), tuple(left))


def _shapes(shapes: Any) -> str:
    return " and ".join(" x ".join(map(str, shape)) or "1" for shape in shapes)


def _filled(layer: Layer, index: int, shape: Shape, random: np.random.Generator) -> Blob:
    if layer.type == "BatchNorm":
        return np.full(
            shape, 0.0 if index == 0 else 1.0, np.float32
        )  # means; variances, and the factor that scales both
    filler, usual = _filler(layer, index)
    if filler is None:
        return np.full(shape, usual, np.float32)
    return _draw(layer, filler, shape, random)


def _filler(layer: Layer, index: int) -> tuple[Any, float]:
    """(the filler message or None, the value that Caffe takes without one)."""
    message, names, usual = {
        "Convolution": ("convolution_param", ("weight_filler", "bias_filler"), 0.0),
        "Deconvolution": ("convolution_param", ("weight_filler", "bias_filler"), 0.0),
        "InnerProduct": ("inner_product_param", ("weight_filler", "bias_filler"), 0.0),
        "Scale": ("scale_param", ("filler", "bias_filler"), 1.0 if index == 0 else 0.0),
        "Bias": ("bias_param", ("filler",), 0.0),
        "PReLU": ("prelu_param", ("filler",), 0.25),
    }[layer.type]
    parameter = getattr(layer.param, message)
    return (getattr(parameter, names[index]) if parameter.HasField(names[index]) else None), usual


def _draw(layer: Layer, filler: Any, shape: Shape, random: np.random.Generator) -> Blob:
    if filler.type == "constant":
        return np.full(shape, filler.value, np.float32)
    if filler.type == "uniform":
        return _uniform(random, filler.min, filler.max, shape)
    if filler.type == "gaussian" and filler.sparse < 0:
        return _normal(random, filler.std, shape) + np.float32(filler.mean)
    if filler.type == "msra":
        return _normal(random, math.sqrt(2 / _fan(filler, shape)), shape)
    if filler.type == "xavier":
        reach = math.sqrt(3 / _fan(filler, shape))
        return _uniform(random, -reach, reach, shape)
    raise UsageError(f"layer {layer.name}: weights of the filler {filler.type!r} are drawn by Caffe alone")


def _normal(random: np.random.Generator, spread: float, shape: Shape) -> Blob:
    return random.standard_normal(shape, np.float32) * np.float32(spread)


def _uniform(random: np.random.Generator, low: float, high: float, shape: Shape) -> Blob:
    return random.random(shape, np.float32) * np.float32(high - low) + np.float32(low)


def _fan(filler: Any, shape: Shape) -> float:
    """How many inputs a value of the output has, or outputs one of the input, or the mean of both: Caffe's
    variance_norm."""
    count = math.prod(shape)
    fan_in, fan_out = count / shape[0], count / shape[1] if len(shape) > 1 else float(count)
    return {"FAN_IN": fan_in, "FAN_OUT": fan_out, "AVERAGE": (fan_in + fan_out) / 2}[enum_name(filler, "variance_norm")]
