"""What a net costs for one picture: parameters, multiply-adds, and the memory of its activations, layer by layer.

Two ways of counting stand side by side. pynetbuilder's takes the first learned blob of each layer: weights of convolutions
and fully connected layers, means of batch norms, factors of scales; a convolution's count once for each output pixel,
all others once. The full one takes every learned value, and for each layer the operations of the table `_OPERATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from open_nsfw.nets.net import Layer, Net, Shape, count_values
from open_nsfw.nets.settings import pooling_window
from open_nsfw.nets.shapes import LayerShapes, infer

FLOAT_BYTES = 4
WINDOWED = ("Convolution", "Deconvolution")


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs for one picture."""

    name: str
    type: str
    output: Shape
    """Shape of its first top, the batch left out."""
    parameters: int
    """Every learned value."""
    multiply_adds: int
    """A multiplication with the addition behind it counts as one; so does either alone, and a comparison."""
    first_blob: int
    """Values of its first learned blob: pynetbuilder's parameters."""
    first_blob_uses: int
    """How often those are used, added up: pynetbuilder's multiply-adds."""
    activation_bytes: int
    """float32 values of the tops that are no bottom as well."""


@dataclass(frozen=True)
class NetCost:
    """What a whole net costs for one picture."""

    name: str
    input: Shape
    """(C, H, W), the batch left out."""
    layers: tuple[LayerCost, ...]
    peak_bytes: int
    """The most memory that activations need at one time, where a blob is given back when nothing reads it any more."""

    @property
    def parameters(self) -> int:
        """Every learned value."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of all layers."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def first_blobs(self) -> int:
        """Parameters as pynetbuilder counts them."""
        return sum(layer.first_blob for layer in self.layers)

    @property
    def first_blob_uses(self) -> int:
        """Multiply-adds as pynetbuilder counts them."""
        return sum(layer.first_blob_uses for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Of all blobs together, which is what Caffe keeps."""
        return FLOAT_BYTES * count_values(self.input) + sum(layer.activation_bytes for layer in self.layers)


def cost_of(net: Net) -> NetCost:
    """What a net costs for one picture, whatever batch its prototxt states. Raises ModelError for a layer that cannot
    work."""
    shapes = [_for_one_picture(around, net.input_shape[0]) for around in infer(net)]
    layers = tuple(map(_layer_cost, net.layers, shapes))
    return NetCost(net.name, net.input_shape[1:], layers, _peak(net, shapes))


def _for_one_picture(shapes: LayerShapes, batch: int) -> LayerShapes:
    """A picture's share of the shapes around a layer for a whole batch. The batch is not simply taken to be 1: a Reshape
    layer may have it written into it. A blob that does not divide into pictures counts as a whole."""

    def share(shape: Shape) -> Shape:
        return (shape[0] // batch, *shape[1:]) if shape and shape[0] % batch == 0 else shape

    return LayerShapes(tuple(map(share, shapes.bottoms)), tuple(map(share, shapes.tops)), shapes.blobs)


def _layer_cost(layer: Layer, shapes: LayerShapes) -> LayerCost:
    blobs = [count_values(shape) for shape in shapes.blobs]
    first = blobs[0] if blobs else 0
    positions = count_values(shapes.tops[0][2:]) if layer.type in WINDOWED else 1
    made = [shape for top, shape in zip(layer.tops, shapes.tops) if top not in layer.bottoms]
    return LayerCost(
        name=layer.name,
        type=layer.type,
        output=shapes.tops[0][1:],
        parameters=sum(blobs),
        multiply_adds=_OPERATIONS.get(layer.type, _none)(layer, shapes),
        first_blob=first,
        first_blob_uses=first * positions,
        activation_bytes=FLOAT_BYTES * sum(map(count_values, made)),
    )


def _peak(net: Net, shapes: list[LayerShapes]) -> int:
    """Bytes of the blobs that are alive at once, at most: from the layer that makes one to the last that reads it. A blob
    that nothing reads is an output and stays to the end."""
    last_read = {bottom: index for index, layer in enumerate(net.layers) for bottom in layer.bottoms}
    alive = {net.input_name: count_values(net.input_shape[1:])}
    peak = sum(alive.values())
    for index, (layer, around) in enumerate(zip(net.layers, shapes)):
        alive.update((top, count_values(shape)) for top, shape in zip(layer.tops, around.tops))
        peak = max(peak, sum(alive.values()))
        for name in {*layer.bottoms, *layer.tops}:
            if last_read.get(name, len(net.layers)) <= index:
                del alive[name]
    return FLOAT_BYTES * peak


# --- operations of a layer, for the full count ---


def _none(layer: Layer, shapes: LayerShapes) -> int:
    """Copies, views, and what inference leaves out."""
    return 0


def _each_value(layer: Layer, shapes: LayerShapes) -> int:
    return sum(map(count_values, shapes.tops))


def _convolution(layer: Layer, shapes: LayerShapes) -> int:
    around = shapes.tops[0] if layer.type == "Convolution" else shapes.bottoms[0]
    bias = count_values(shapes.tops[0]) if len(shapes.blobs) > 1 else 0
    return (count_values(shapes.blobs[0]) * count_values(around[2:]) + bias) * len(shapes.tops)


def _inner_product(layer: Layer, shapes: LayerShapes) -> int:
    return sum(map(count_values, shapes.blobs))


def _pooling(layer: Layer, shapes: LayerShapes) -> int:
    tall, wide = pooling_window(layer, shapes.bottoms[0]).kernel
    return count_values(shapes.tops[0]) * tall * wide


def _neighbours(layer: Layer, shapes: LayerShapes) -> int:
    size: int = layer.param.lrn_param.local_size
    return count_values(shapes.tops[0]) * (size + 1)


def _eltwise(layer: Layer, shapes: LayerShapes) -> int:
    return count_values(shapes.tops[0]) * (len(shapes.bottoms) - 1)


# Types that are not here count nothing: they move values or leave them as they are.
_OPERATIONS: dict[str, Callable[[Layer, LayerShapes], int]] = {
    **dict.fromkeys(("Convolution", "Deconvolution"), _convolution),
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "LRN": _neighbours,
    "Eltwise": _eltwise,
    **dict.fromkeys(
        "AbsVal ArgMax BNLL BatchNorm Bias ELU Exp Log MVN PReLU Power ReLU Reduction Scale Sigmoid Softmax TanH "
        "Threshold".split(),
        _each_value,
    ),
}
