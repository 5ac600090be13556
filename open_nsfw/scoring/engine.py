"""Engines compute a net: float32 (N, C, H, W) in, float32 (N, K) out.

`caffe` is pycaffe itself, the reference. `onnxruntime` computes the same numbers from the converted model, where there
is no Caffe. Each library is imported when its engine is asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import EngineError, ModelError
from open_nsfw.pictures.pixels import Pixels, to_blob
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.text import brief

OUTPUT = "prob"  # the blob that Yahoo's script reads

Float32 = NDArray[np.float32]


class Engine(ABC):
    """A net ready to compute."""

    name: str
    exact = True
    """Whether the scores are Yahoo's to 1e-5."""
    concurrent = False
    """Whether calls of `forward` from several threads run side by side; otherwise they wait for each other."""
    batch_size = 1
    """How many inputs at once pay off."""
    files: ModelFiles
    """What the net was read from."""
    model_def: str
    """Where the net was read from, for error messages."""
    model_hash: str
    made_from: str = ""
    """What else the scores depend on, as a text that differs where that does: of int8 the SHA-256 of the ranges file; that
    a GPU computes."""
    input_shape: tuple[int, ...]
    """(C, H, W) of one input."""
    output_name: str
    """The blob that `forward` gives."""

    @abstractmethod
    def _compute(self, blob: Float32) -> Float32:
        """The output blob, any shape that begins with N, for at least one input."""

    def forward(self, blob: NDArray[Any]) -> Float32:
        """Compute float32 (N, C, H, W), N of any size, to float32 (N, K), K the values of one output.

        Raises ValueError if the blob has another shape, TypeError if it is not of a float dtype.
        """
        if blob.dtype.kind != "f":
            raise TypeError(f"a float32 blob is needed, this one is {blob.dtype}")
        if blob.ndim != len(self.input_shape) + 1 or blob.shape[1:] != self.input_shape:
            raise ValueError(
                f"a blob of shape (N, {', '.join(map(str, self.input_shape))}) is needed, got {blob.shape}"
            )
        count = blob.shape[0]
        ready = np.ascontiguousarray(blob, dtype=np.float32)
        output = self._compute(ready if count else np.zeros((1, *self.input_shape), np.float32))
        return output.reshape(output.shape[0], -1)[:count]

    def with_blobs(self, names: Sequence[str]) -> BlobSource:
        """The same net on this engine, giving further blobs, by the names that Caffe gives them, beside `output_name`.

        Raises ModelError for a blob that the net does not make, EngineError where this engine gives scores alone.
        """
        raise EngineError(f"the engine {self.name} gives scores and no other blobs; --engine onnxruntime does")

    def blob_from_pixels(self, pixels: Pixels) -> Float32:
        """uint8 (N, H, W, 3) RGB, 0..255 -> float32 (N, 3, H, W), the network's input."""
        return to_blob(pixels)


class BlobSource(ABC):
    """A net ready to compute several of its blobs."""

    @abstractmethod
    def blobs(self, blob: Float32) -> dict[str, Float32]:
        """All that was asked for, and the engine's own output, of float32 (N, C, H, W), N at least 1: name -> float32
        (N, ...)."""


def output_name(blob_names: list[str], outputs: list[str]) -> str:
    """The blob to give: `prob` where the net has one, else its only output. Raises ModelError if that is not clear."""
    if OUTPUT in blob_names:
        return OUTPUT
    if len(outputs) == 1:
        return outputs[0]
    names = brief(", ".join(outputs))
    raise ModelError(f'the net makes no blob "{OUTPUT}" and has {len(outputs)} outputs ({names})')
