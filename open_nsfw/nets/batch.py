"""Whether a net computes each picture of a batch by itself, and for batches of which sizes.

Most nets do, for any size. A few have the size of the batch written into a Reshape layer, have weights that run along the
batch, or join its pictures.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from open_nsfw.errors import ModelError
from open_nsfw.nets.ancestors import ancestors
from open_nsfw.nets.net import Layer, Net, Shape
from open_nsfw.nets.settings import bias_axes, canonical_axis, concat_axis, scale_axes
from open_nsfw.nets.shapes import LayerShapes, infer


def mixing_layer(net: Net, blobs: Collection[str] | None = None) -> Layer | None:
    """The first layer behind which the pictures of these blobs (by default: of the net's outputs) are no longer apart; other
    layers are not looked at. None where each picture has one row of each of the blobs, which nothing but that picture changes.

    On the way to them a picture may have several rows, one behind the other, as after a Reshape layer that makes a row of each
    channel: what works row by row keeps the pictures apart then as well.
    """
    wanted = frozenset(net.output_names if blobs is None else blobs)
    needed, batch = ancestors(net, wanted), net.input_shape[0]
    for place, (layer, shapes) in enumerate(zip(net.layers, infer(net))):
        if place in needed and _mixes(layer, shapes, batch, wanted):
            return layer
    return None


def takes_any_batch(net: Net, blobs: Collection[str] | None = None) -> bool:
    """Whether Caffe computes batches of any size, each picture of these blobs (by default: of the net's outputs) as if it were
    alone; otherwise it ends the process, or mixes them. It ends the process for a layer that none of the blobs needs, too."""
    larger = replace(net, input_shape=(net.input_shape[0] + 1, *net.input_shape[1:]))
    try:
        apart = mixing_layer(net, blobs) is None and mixing_layer(larger, blobs) is None
        return apart and _without_batch(net) == _without_batch(larger)
    except ModelError:
        return False  # the size is written into a layer


def _without_batch(net: Net) -> list[tuple[list[Shape], tuple[Shape, ...]]]:
    """By layer, the shapes that rows of its tops have, and those of its weights."""
    return [([top[1:] for top in shapes.tops], shapes.blobs) for shapes in infer(net)]


def _mixes(layer: Layer, shapes: LayerShapes, batch: int, wanted: Collection[str]) -> bool:
    """For a layer whose bottoms have the same number of rows for each picture, in the order of the pictures."""
    for name, top in zip(layer.tops, shapes.tops):
        rows = top[0] if top else 0
        if rows != batch and (name in wanted or rows == 0 or rows % batch):
            return True
    return _works_along_the_batch(layer, shapes)


def _works_along_the_batch(layer: Layer, shapes: LayerShapes) -> bool:
    """For layers whose tops have rows of the pictures along their first axis. Types that may not work along it at all are left
    out: reading the net refuses them."""
    bottom, param = shapes.bottoms[0], layer.param
    if layer.type == "InnerProduct":
        return canonical_axis(layer, param.inner_product_param.axis, len(bottom)) == 0
    if layer.type == "Softmax":
        return canonical_axis(layer, param.softmax_param.axis, len(bottom)) == 0
    if layer.type == "Concat":
        return len(shapes.bottoms) > 1 and concat_axis(layer, bottom) == 0
    if layer.type in ("Bias", "Scale"):
        if len(shapes.bottoms) == 2:  # the second has a row for each picture, which belongs to that of the first
            axis = (param.scale_param if layer.type == "Scale" else param.bias_param).axis
            return canonical_axis(layer, axis, len(bottom)) != 0
        first, end = (scale_axes if layer.type == "Scale" else bias_axes)(layer, bottom)
        return first == 0 and end > 0
    return False
