"""Which layers of a net are trained, and at which blob the part of the net that is computed again and again begins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import Layer, Net, quoted
from open_nsfw.nets.sharing import check_not_shared
from open_nsfw.scoring.engine import OUTPUT

HEAD, STAGE3, STAGE2, ALL, AUTO = "head", "stage3", "stage2", "all", "auto"
DEEP = (STAGE3, STAGE2, ALL)  # from the least layers to the most
LEARNING = ("Convolution", "InnerProduct", "Scale")  # types of layers that learn; batch norm stays as it is
STAGE = re.compile(r"(?:^|_)(stage[0-9]+)(?:_|$)")  # in the names that build-net and pynetbuilder give


@dataclass(frozen=True)
class Part:
    """The layers from the blob `start` to the logits."""

    start: str
    """The one blob that they read: what lies below it is never trained. The net's input for the whole net."""
    layers: tuple[Layer, ...]
    """In Caffe's order, without the softmax."""
    logits: str
    """The blob of two values, of which the softmax makes the score."""
    is_whole: bool = False
    """Whether that is all of the net, so that `start` is its input."""

    @property
    def trained(self) -> tuple[str, ...]:
        """The names of the layers that learn, the head last."""
        return tuple(layer.name for layer in self.layers if layer.type in LEARNING)


def find_part(net: Net, what: str) -> Part:
    """The part of a net that `what`, one of `DEEP`, trains. Raises ModelError for a net that has no such stage,
    and for one whose layers share parameters there."""
    softmax = next(layer for layer in reversed(net.layers) if OUTPUT in layer.tops)
    layers = [layer for layer in _makers(net, softmax.bottoms[0]) if layer.type != "Input"]
    first = 0 if what == ALL else _first_of(layers, what)
    part = tuple(layers[first:])
    (start,) = _inputs(part) or {net.input_name}
    if what != ALL and any(start in layer.tops for layer in part):
        raise ModelError(f"the stage {what} changes the blob {quoted(start)} that it reads; train the head or all")
    found = Part(start, part, softmax.bottoms[0], what == ALL)
    check_not_shared(net, found.trained)
    return found


def _makers(net: Net, blob: str) -> list[Layer]:
    """The layers that a blob hangs on, in Caffe's order: others, such as a second output, have no gradient."""
    needed, found = {blob}, []
    for layer in reversed(net.layers):
        if not needed.isdisjoint(layer.tops):
            needed.update(layer.bottoms)
            found.append(layer)
    return found[::-1]


def _first_of(layers: list[Layer], stage: str) -> int:
    found = [each for each in dict.fromkeys(map(_stage_of, layers)) if each]
    if stage not in found:
        known = f"its stages are {', '.join(found)}" if found else "its layers are not named by stages"
        raise ModelError(f"the net has no {stage} to train: {known}; --train head and --train all work with it")
    first = next(index for index, layer in enumerate(layers) if _stage_of(layer) == stage)
    if len(_inputs(tuple(layers[first:]))) != 1:
        raise ModelError(f"the layers from {stage} on read several blobs of those below; train the head or all")
    return first


def _stage_of(layer: Layer) -> str:
    match = STAGE.search(layer.name)
    return match.group(1) if match else ""


def _inputs(part: tuple[Layer, ...]) -> set[str]:
    """The blobs that the layers read and none of them has made."""
    made: set[str] = set()
    read: set[str] = set()
    for layer in part:
        read |= set(layer.bottoms) - made
        made |= set(layer.tops)
    return read
