"""Batch norm and scale layers folded into the weights of the layer before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from open_nsfw.nets.net import Layer, Net


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
        mean, deviation = batch_norm_statistics(layer)
        return 1 / deviation, -mean / deviation
    if layer.type != "Scale" or len(layer.bottoms) != 1:
        return None
    param = layer.param.scale_param
    if param.axis != 1 or param.num_axes != 1:
        return None
    factor = layer.blobs[0].reshape(-1).astype(np.float64)
    return factor, layer.blobs[1].reshape(-1).astype(np.float64) if param.bias_term else np.zeros_like(factor)


def batch_norm_statistics(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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
