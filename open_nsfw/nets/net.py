"""`Net` and `Layer`: a Caffe net as data, and what every module of this room says about one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import ModelError, UnsupportedLayerError

Blob = NDArray[np.float32]
Shape = tuple[int, ...]

MOST_VALUES = 2**31 - 1  # in one blob: Caffe counts them in a C int
MOST_AXES = 32  # of one blob: kMaxBlobAxes in Caffe's blob.hpp
CHUNK = 64 * 2**20  # bytes of a file that are read at once
LONGEST_NAME = 60  # characters of a name in a message; a stranger's may have a megabyte


def cut(name: str) -> str:
    """A name for a message, of at most `LONGEST_NAME` characters."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 3] + "..."


def quoted(name: str) -> str:
    """A name for a message, cut and in quotes."""
    return f'"{cut(name)}"'


def count_values(shape: Shape) -> int:
    """How many values a blob of this shape has; of more than `MOST_VALUES`, some number above that.

    The product is not taken further than that: of many large dimensions it would have millions of digits.
    """
    count = 1
    for dimension in shape:
        count *= dimension
        if count > MOST_VALUES and 0 not in shape:
            break
    return count


def check_axes(shape: Shape, what: str) -> None:
    """Raises ModelError if `what` has more axes than a blob of Caffe can have."""
    if len(shape) > MOST_AXES:
        raise ModelError(f"{what} has {len(shape)} axes; a blob of Caffe has at most {MOST_AXES}")


@dataclass(frozen=True)
class Layer:
    """One layer of the test-phase net.

    `param` is the LayerParameter message without its blobs; `blobs` are the learned arrays as the caffemodel stores
    them (float32, Caffe's order), empty for a layer that learns nothing.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    param: Any = field(repr=False)
    blobs: tuple[Blob, ...] = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """What messages call this layer: its name and type."""
        return f"layer {quoted(self.name)} ({cut(self.type)})"

    def error(self, message: str) -> ModelError:
        """A ModelError whose text begins with this layer's name and type."""
        return ModelError(f"{self.label}: {message}")

    def unsupported(self, message: str) -> UnsupportedLayerError:
        """The same for what real Caffe computes and this package does not."""
        return UnsupportedLayerError(f"{self.label}: {message}")


@dataclass(frozen=True)
class Net:
    """A net ready to be computed: one input, layers in the order in which Caffe runs them, weights checked."""

    name: str
    input_name: str
    input_shape: Shape
    layers: tuple[Layer, ...]

    @property
    def layer_names(self) -> frozenset[str]:
        """Of all layers."""
        return frozenset(layer.name for layer in self.layers)

    @property
    def blob_names(self) -> list[str]:
        """All blobs that layers make, in order, each once."""
        return list(dict.fromkeys(top for layer in self.layers for top in layer.tops))

    @property
    def output_names(self) -> list[str]:
        """Blobs that no later layer reads, as Caffe lists its outputs."""
        last_made = {top: index for index, layer in enumerate(self.layers) for top in layer.tops}
        last_read = {bottom: index for index, layer in enumerate(self.layers) for bottom in layer.bottoms}
        return [name for name in self.blob_names if last_made[name] >= last_read.get(name, -1)]


def read_model_file(path: str | Path, most: int) -> bytes:
    """The bytes of a prototxt or caffemodel. Raises ModelError if it cannot be read or has more than `most` bytes."""
    chunks, total = [], 0
    try:
        with open(path, "rb") as file:
            while total <= most and (
                chunk := file.read(CHUNK)
            ):  # asked for at once, all that is allowed would be allocated
                chunks.append(chunk)
                total += len(chunk)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    if total > most:
        raise ModelError(f"{path}: more than {most:,} bytes, which no such file of a published net has")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def shape_text(shape: Shape) -> str:
    """A shape for people: `1 x 3 x 224 x 224`."""
    return " x ".join(map(str, shape)) or "a single value"
