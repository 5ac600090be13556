"""Which layers a blob comes from, also through memory that several blobs share."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

from open_nsfw.nets.net import Layer, Net


def shares_memory(layer: Layer) -> bool:
    """Whether Caffe lets the tops be views of the bottom's memory: all layers that call `ShareData` on a top do."""
    alone = len(layer.bottoms) == len(layer.tops) == 1
    return layer.type in ("Split", "Flatten", "Reshape") or (layer.type in ("Concat", "Slice") and alone)


def ancestors(net: Net, blobs: Collection[str]) -> frozenset[int]:
    """The places, in `net.layers`, of the layers that these blobs depend on as they are when all layers have run. A layer in
    place changes every blob that shares the memory it writes to. Blobs that no layer makes depend on none."""
    read = _Reading(net.input_name)
    parents = [read.add(place, layer) for place, layer in enumerate(net.layers)]
    found = set(chain.from_iterable(read.layers_behind(blob) for blob in blobs if blob in read.memory))
    for place in reversed(range(len(parents))):
        if place in found:
            found.update(parents[place])
    return frozenset(found)


class _Reading:
    """What blobs hold at one point of a net, while its layers are gone through in order."""

    def __init__(self, input_name: str) -> None:
        self.memory = {input_name: 0}
        """Blob -> the number of its memory."""
        self._writers: list[int | None] = [None]
        """The layer that wrote to each memory last; None for the input's."""
        self._makers: dict[str, int] = {}
        """Blob -> the last layer that has it as a top, which gave it its shape."""

    def layers_behind(self, blob: str) -> list[int]:
        """The layers that a blob has its values and its shape from; those that they read from are not followed."""
        places = (self._writers[self.memory[blob]], self._makers.get(blob))
        return [place for place in places if place is not None]

    def add(self, place: int, layer: Layer) -> list[int]:
        """Go past a layer; the layers that its bottoms are from."""
        behind = [each for bottom in layer.bottoms for each in self.layers_behind(bottom)]
        for index, top in enumerate(layer.tops):
            if shares_memory(layer):
                self.memory[top] = self.memory[layer.bottoms[0]]
            elif index < len(layer.bottoms) and layer.bottoms[index] == top:
                self._writers[self.memory[top]] = place
            else:
                self._writers.append(place)
                self.memory[top] = len(self._writers) - 1
            self._makers[top] = place
        return behind
