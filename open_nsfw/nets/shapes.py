"""The shapes of a net's blobs and weights, by Caffe's rules, and the checks that go with them.

`infer(net)` walks the layers once and gives for each the shapes of its tops and of the weights it needs. Shapes are
those for the batch size that the prototxt states.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from open_nsfw.nets.net import MOST_VALUES, Layer, Net, Shape, count_values, shape_text
from open_nsfw.nets.shape_rules import RULES


@dataclass(frozen=True)
class LayerShapes:
    """Shapes around one layer: what it reads, what it makes, and the weights it must have."""

    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    blobs: tuple[Shape, ...]


def infer(net: Net) -> list[LayerShapes]:
    """Shapes around every layer of `net`, in order. Raises ModelError naming the layer that cannot work."""
    known: dict[str, Shape] = {net.input_name: net.input_shape}
    result = []
    for layer in net.layers:
        bottoms = tuple(known[name] for name in layer.bottoms)
        _check_counts(layer)
        if layer.type not in _IN_PLACE and set(layer.tops) & set(layer.bottoms):
            raise layer.unsupported("it does not work in place: give its top another name")
        tops, blobs = RULES[layer.type](layer, bottoms)
        check_params(layer, len(blobs))
        if any(min(top, default=1) < 1 for top in tops):
            raise layer.error(
                f"its input of shape {shape_text(bottoms[0])} is too small: the output would be {shape_text(tops[0])}"
            )
        if any(count_values(shape) > MOST_VALUES for shape in [*tops, *blobs]):
            raise layer.error("a blob around it has more values than a blob of Caffe can have")
        known.update(zip(layer.tops, tops))
        result.append(LayerShapes(bottoms, tuple(tops), tuple(blobs)))
    return result


def check_weights(net: Net) -> None:
    """Raises ModelError if a layer's weights are missing or have other shapes than the layer needs."""
    names: set[str] = set()
    for layer, shapes in zip(net.layers, infer(net)):
        if shapes.blobs and not layer.blobs:
            raise layer.error(
                "a layer before it has the same name, so that Caffe copies no weights into it; give it another name"
                if layer.name in names
                else "the weights file has nothing for it"
            )
        names.add(layer.name)
        found = [blob.shape for blob in layer.blobs]
        if len(found) != len(shapes.blobs):
            raise layer.error(f"{len(shapes.blobs)} weight blobs are needed, the file has {len(found)}")
        for needed, blob in zip(shapes.blobs, found):
            if not same_shape(blob, needed):
                raise layer.error(f"weights of shape {shape_text(needed)} are needed, the file has {shape_text(blob)}")


def same_shape(found: Shape, needed: Shape) -> bool:
    """Caffe's own rule: an old four-dimensional blob matches when only leading ones are added."""
    return found == needed or (len(found) == 4 and found == (1,) * (4 - len(needed)) + needed)


def _check_counts(layer: Layer) -> None:
    least, most = _BOTTOM_COUNTS.get(layer.type, (1, 1))
    if not least <= len(layer.bottoms) <= most:
        raise layer.error(f"it has {len(layer.bottoms)} bottoms, which the type does not take")
    if len(layer.param.propagate_down) not in (0, len(layer.bottoms)):
        raise layer.error(f"propagate_down is given for each of its {len(layer.bottoms)} bottoms, or not at all")
    if len(layer.param.loss_weight) not in (0, len(layer.tops)):
        raise layer.error(f"loss_weight is given for each of its {len(layer.tops)} tops, or not at all")
    _check_finite(layer)
    tops = {
        "Convolution": len(layer.bottoms),
        "Deconvolution": len(layer.bottoms),
        "Split": len(layer.tops),
        "Slice": len(layer.tops),
    }.get(layer.type, 1)
    if len(layer.tops) != max(tops, 1):
        raise layer.unsupported(f"it has {len(layer.tops)} tops, {tops} are supported")


def _check_finite(layer: Layer) -> None:
    """Raises UnsupportedLayerError for a setting that is no finite number: Caffe's libraries make of it what they will."""
    for setting, values in layer.param.ListFields():
        if setting.name.endswith("_param"):
            for descriptor, value in values.ListFields():
                numbers = value if isinstance(value, Iterable) else [value]
                if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                    raise layer.unsupported(f"its {descriptor.name} is not a finite number")


def check_params(layer: Layer, blobs: int) -> None:
    """Raises ModelError for settings of parameters that the layer does not have, or that do not let it work."""
    specs = layer.param.param
    if len(specs) > blobs:
        raise layer.error(f"it has {len(specs)} `param` for {blobs} blobs; each blob has one at most")
    # Of three, Caffe takes the rates for those of an older batch norm, and does without them.
    if layer.type == "BatchNorm" and len(specs) < blobs and any(spec.lr_mult != 0 for spec in specs):
        raise layer.error("the lr_mult of its statistics must be 0: they are not learnt")


# Types that Caffe computes rightly where top and bottom are one blob; others read what they have overwritten.
_IN_PLACE = frozenset(
    "BNLL BatchNorm Bias Dropout ELU Exp Log PReLU Power ReLU Scale Sigmoid Softmax TanH Threshold".split()
)
_ANY = 10**6
_BOTTOM_COUNTS = {
    "Bias": (1, 2),
    "Concat": (1, _ANY),
    "Convolution": (1, _ANY),
    "Deconvolution": (1, _ANY),
    "Crop": (2, 2),
    "Eltwise": (2, _ANY),
    "Scale": (1, 2),
}
