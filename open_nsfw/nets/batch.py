"""Whether a net computes each picture of a batch by itself, and for batches of which sizes.

Most nets do, for any size. A few have the size of the batch written into a Reshape layer, have weights that run along the
batch, or join its pictures.
"""

from __future__ import annotations

from dataclasses import replace

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import Layer, Net, Shape
from open_nsfw.nets.settings import bias_axes, canonical_axis, scale_axes
from open_nsfw.nets.shapes import LayerShapes, infer


def mixing_layer(net: Net) -> Layer | None:
    """The first layer behind which pictures are no longer apart: the first axis of a blob is not the batch any more, or the
    layer works along it. None where each picture has a row of its own in all blobs, which nothing but that picture
    changes."""
    pairs = zip(net.layers, infer(net))
    return next((layer for layer, shapes in pairs if _mixes(layer, shapes, net.input_shape[0])), None)


def takes_any_batch(net: Net) -> bool:
    """Whether Caffe computes batches of any size, each picture as if it were alone; otherwise it ends the process, or mixes
    them."""
    larger = replace(net, input_shape=(net.input_shape[0] + 1, *net.input_shape[1:]))
    try:
        return mixing_layer(net) is None and mixing_layer(larger) is None and _rows(net) == _rows(larger)
    except ModelError:
        return False  # the size is written into a layer


def _rows(net: Net) -> list[list[Shape]]:
    """The shapes that tops have for one picture, by layer."""
    return [[top[1:] for top in shapes.tops] for shapes in infer(net)]


def _mixes(layer: Layer, shapes: LayerShapes, batch: int) -> bool:
    return any(top[:1] != (batch,) for top in shapes.tops) or _works_along_the_batch(layer, shapes)


def _works_along_the_batch(layer: Layer, shapes: LayerShapes) -> bool:
    """For layers whose tops have the batch as their first axis. Types that may not work along it at all are left out: reading
    the net refuses them."""
    bottom, param = shapes.bottoms[0], layer.param
    if layer.type == "InnerProduct":
        return canonical_axis(layer, param.inner_product_param.axis, len(bottom)) == 0
    if layer.type == "Softmax":
        return canonical_axis(layer, param.softmax_param.axis, len(bottom)) == 0
    if layer.type in ("Bias", "Scale"):
        if len(shapes.bottoms) == 2:  # the second has a row for each picture, which belongs to that of the first
            axis = (param.scale_param if layer.type == "Scale" else param.bias_param).axis
            return canonical_axis(layer, axis, len(bottom)) != 0
        first, end = (scale_axes if layer.type == "Scale" else bias_axes)(layer, bottom)
        return first == 0 and end > 0
    return False
