"""Do the written files compute what training computed? Asked of every engine that is there, on test pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.redecode import decoded_again
from open_nsfw.cores import default_jobs
from open_nsfw.errors import ModelError
from open_nsfw.pictures.pixels import Pixels, as_array, crop
from open_nsfw.scan.compare import EXACT
from open_nsfw.scoring.blobs import BlobEngine
from open_nsfw.scoring.engine import Float32
from open_nsfw.scoring.load import load_engine, pycaffe_is_there
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.training.head import Head
from open_nsfw.training.stages import Part
from open_nsfw.training.torch_net import TorchNet

MOST_CHECKED = 200  # pictures, evenly spread over those that were tested; Caffe takes 40 ms for one


@dataclass(frozen=True)
class Agreement:
    """How an engine's scores from the written files differ from those that training computed."""

    engine: str
    pictures: int
    largest: float
    """Difference of a score."""


Trained = Callable[[Pixels], float]
"""What training computed: the score of uint8 (256, 256, 3) pixels."""


def check_files(
    trained: Trained, written: ModelFiles, examples: Sequence[Example], jobs: int | None
) -> tuple[Agreement, ...]:
    """Decode pictures of `examples` once more and score them with the written files. Raises ModelError where a score is off
    by more than 1e-5 from what training computed, or if no picture is there any more."""
    names = ["onnxruntime", *(["caffe"] if pycaffe_is_there() else [])]
    engines = [load_engine(written.model_def, written.pretrained_model, name) for name in names]
    largest, count = [0.0] * len(engines), 0
    keys = [(each.path, each.member) for each in _spread(examples) if each.path is not None]
    for _, picture in decoded_again(keys, jobs or default_jobs()):
        pixels = as_array(picture)
        expected = trained(pixels)
        for number, engine in enumerate(engines):
            blob = engine.blob_from_pixels(crop(pixels, *engine.input_shape[1:])[np.newaxis])
            largest[number] = max(largest[number], abs(float(engine.forward(blob)[0, 1]) - expected))
        count += 1
    if not count:
        raise ModelError(
            f"{written.pretrained_model}: none of the test pictures can be decoded any more, so the new weights could not be "
            "checked; nothing was kept"
        )
    found = tuple(Agreement(engine.name, count, worst) for engine, worst in zip(engines, largest))
    for each in found:
        if not each.largest <= EXACT:
            raise ModelError(
                f"{written.pretrained_model}: {each.engine} computes other scores from it than training did (off by "
                f"{each.largest:.2g}); nothing was kept, please report this net"
            )
    return found


def head_score(source: ModelFiles, head: Head) -> Trained:
    """By the trained head, in float64, on the features of the source model."""
    engine = BlobEngine(source, [head.features])

    def score(pixels: Pixels) -> float:
        features = _blob(engine, head.features, pixels).reshape(-1).astype(np.float64)
        return _sigmoid(float(features @ head.direction + head.offset))

    return score


def part_score(source: ModelFiles, part: Part, net: TorchNet) -> Trained:
    """By torch, from the blob of the source model at which the trained part begins."""
    engine = BlobEngine(source, [] if part.is_whole else [part.start])

    def score(pixels: Pixels) -> float:
        inputs = _blob(engine, part.start, pixels)
        safe, unsafe = net.logits(inputs).astype(np.float64)[0]
        return _sigmoid(float(unsafe - safe))

    return score


def _blob(engine: BlobEngine, name: str, pixels: Pixels) -> Float32:
    """A blob of one picture, float32 (1, ...); the net's input itself if the engine makes no such blob."""
    inputs = engine.blob_from_pixels(crop(pixels, *engine.input_shape[1:])[np.newaxis])
    return engine.compute(inputs)[name] if name in engine.shapes else inputs


def _sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def _spread(examples: Sequence[Example]) -> Sequence[Example]:
    if len(examples) <= MOST_CHECKED:
        return examples
    return [examples[index * len(examples) // MOST_CHECKED] for index in range(MOST_CHECKED)]
