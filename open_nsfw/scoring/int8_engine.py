"""The int8 network in ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import ModelError
from open_nsfw.nets.ranges import Ranges
from open_nsfw.scoring.cache import cached, int8_key
from open_nsfw.scoring.classifier import NSFW
from open_nsfw.scoring.engine import Engine, Float32
from open_nsfw.scoring.model_files import ModelFiles, read_ranges
from open_nsfw.scoring.onnx_engine import converted_model
from open_nsfw.scoring.onnx_runtime import open_session, run_session
from open_nsfw.scoring.processor import has_vnni
from open_nsfw.scoring.versions import CONVERTER_VERSION

PROBES, PROBE_SEED, PROBE_CELLS = 4, 2016, 14  # pictures of 14 x 14 soft spots, on which a new int8 model is tried
LARGEST_PROBE_DIFFERENCE = 3.0  # logits; these are no photos (0.95 is usual), and a wrong graph is off by tens
SMALLEST_PROBABILITY = 1e-30
SUM_TOLERANCE = 1e-3  # by which the probabilities of all classes may miss 1
# Nearer to 1 than this, float32 has too few steps for a logit to be known to a thousandth: a softmax has the others' small
# probabilities to tell from, a sigmoid has nothing.
LEAST_ALONE = 1e-3


class Int8Engine(Engine):
    """ONNX Runtime on the int8 model, made from the caffemodel and a ranges file."""

    name = "onnxruntime-int8"
    concurrent = True
    exact = False

    def __init__(
        self, files: ModelFiles, threads: int | None = None, ranges: str | os.PathLike[str] | None = None
    ) -> None:
        """`ranges`: the ranges file, None for the packaged one. Raises ModelError and EngineError."""
        self.ranges, content = read_ranges(files, ranges)
        self.files, self.model_def, self.model_hash = files, str(files.model_def), files.short_hash
        self.made_from = hashlib.sha256(content).hexdigest()
        self._session = int8_session(quantized_model(files, self.ranges, content), threads)
        (model_input,), (model_output,) = self._session.get_inputs(), self._session.get_outputs()
        self._input = model_input.name
        self.input_shape = tuple(model_input.shape[1:])
        self.output_name = model_output.name[len("output_") :]

    def _compute(self, blob: Float32) -> Float32:
        return run_session(self._session, {self._input: blob})[0]


def int8_session(model: Path | bytes, threads: int | None) -> Any:
    """An ONNX Runtime session on the CPU that computes int8 rightly on every processor. Raises EngineError."""
    precise = "0" if has_vnni() else "1"
    return open_session(
        model,
        threads,
        configure=lambda options: options.add_session_config_entry("session.x64quantprecision", precise),
    )


def quantized_model(files: ModelFiles, ranges: Ranges, content: bytes) -> Path | bytes:
    """The int8 model, from the cache or made and checked now. `content`: the bytes of the ranges file.

    Raises ModelError if the ranges do not fit the model, or the result does not compute what they promise.
    """
    return cached(int8_key(files, content), ".onnx", lambda: quantized(files, ranges))


def float_model(files: ModelFiles, blobs: Sequence[str] = ()) -> bytes:
    """The float32 ONNX model that is quantized; it gives its output, and behind that the `blobs`."""
    model = converted_model(files, blobs)
    return model.read_bytes() if isinstance(model, Path) else model


def quantized(files: ModelFiles, ranges: Ranges) -> bytes:
    """The int8 model, made and checked now. Raises ModelError as `quantized_model` does."""
    from open_nsfw.nets.quantize import quantize  # with the onnx package, which a cached model makes unnecessary

    if ranges.converter != CONVERTER_VERSION:
        raise ModelError(
            f"{ranges.source}: the ranges are of version {ranges.converter} of the converter, this is version "
            f"{CONVERTER_VERSION}; make them again: open-nsfw quantize-ranges FOLDER --output FILE"
        )
    exact = float_model(files)
    try:
        quick = quantize(exact, ranges)
    except ModelError as error:
        raise ModelError(f"{ranges.source}: {error}") from error
    worst = _worst_difference(exact, quick)
    if not worst <= LARGEST_PROBE_DIFFERENCE:
        raise ModelError(
            f"{files.pretrained_model}: the int8 net that the ranges{f' in {ranges.source}' if ranges.source else ''} make "
            f"of it is off by {worst:.2g} logits; do without --fast, or make ranges of other pictures "
            "(open-nsfw quantize-ranges)"
        )
    return quick


def _worst_difference(exact: bytes, quick: bytes) -> float:
    """The largest difference in logits over the probes."""
    sessions = [int8_session(model, None) for model in (exact, quick)]
    model_input = sessions[0].get_inputs()[0]
    blob = probes(model_input.shape[1:])
    reference, output = (run_session(session, {model_input.name: blob})[0] for session in sessions)
    check_scores(reference)
    return worst_difference(output, reference)


def probes(input_shape: Sequence[int]) -> Float32:
    """A few seeded inputs of coloured spots, float32 (4, C, H, W), in the range of mean-subtracted pixels; of a net that reads
    no pictures, inputs of single values, float32 (4, ...)."""
    random = np.random.default_rng(PROBE_SEED)
    if len(input_shape) != 3:
        return random.uniform(-120, 130, (PROBES, *input_shape)).astype(np.float32)
    channels, height, width = input_shape
    cells = random.uniform(-120, 130, (PROBES, channels, PROBE_CELLS, PROBE_CELLS)).astype(np.float32)
    spots = np.kron(cells, np.ones((-(-height // PROBE_CELLS), -(-width // PROBE_CELLS)), np.float32))
    return np.ascontiguousarray(spots[..., :height, :width])


def worst_difference(output: Float32, reference: Float32) -> float:
    """The largest difference between a net's output and the right one, both float32 (N, ...).

    In logits of the class that is scored: of its probability among the classes, or, where each value is a probability by
    itself, of that alone. Values that are no probabilities count as they are, those above 1 by their share of the largest.
    """
    ours, right = (each.reshape(len(each), -1).astype(np.float64) for each in (output, reference))
    if right.shape[1] <= NSFW or right.min() < 0 or right.max() > 1:
        return float(np.abs(ours - right).max() / max(np.abs(right).max(), 1.0))
    if np.allclose(right.sum(axis=1), 1, rtol=0, atol=SUM_TOLERANCE):
        return float(np.abs(logits(output) - logits(reference)).max())
    clipped = (np.clip(each[:, NSFW], LEAST_ALONE, 1 - LEAST_ALONE) for each in (ours, right))
    alone, expected = (np.log(each / (1 - each)) for each in clipped)
    return float(np.abs(alone - expected).max())


def check_scores(output: Float32) -> None:
    """Raises ModelError if a net's output, (N, ...), has no value that is the score."""
    values = output.reshape(len(output), -1).shape[1]
    if values <= NSFW:
        raise ModelError(f"the net gives {values} value(s); a score is the second of two or more")


def logits(output: Float32) -> NDArray[np.float64]:
    """`prob`, float32 (N, K), K of 2 or more, as log(p / (1 - p)) of the class that is scored: float64 (N,)."""
    check_scores(output)
    probabilities = output.reshape(len(output), -1).astype(np.float64)
    others = np.delete(probabilities, NSFW, axis=1).sum(axis=1)
    ratio: NDArray[np.float64] = np.log(
        np.maximum(probabilities[:, NSFW], SMALLEST_PROBABILITY) / np.maximum(others, SMALLEST_PROBABILITY)
    )
    return ratio
