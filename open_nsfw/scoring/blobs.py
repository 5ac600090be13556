"""Scores that carry blobs of the net: features, by the names that Caffe gives them.

ONNX Runtime computes them from the caffemodel, converted up to the blobs that are asked for. The pipeline of a scan takes
a `BlobClassifier` as it takes any classifier, and its rows have the scores that this made: `BlobScore.blobs` is how what
was computed of a picture comes to whoever reads the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from open_nsfw.errors import InputError, ModelError
from open_nsfw.nets.onnx_graph import convert_blobs
from open_nsfw.nets.read import read_net
from open_nsfw.pictures.formats import SIDE, Limits
from open_nsfw.pictures.pixels import Pixels, crop
from open_nsfw.scoring.classifier import NSFW, Classifier, Score
from open_nsfw.scoring.engine import OUTPUT, Engine, Float32
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.onnx_runtime import open_session, run_session


class BlobScore(Score):
    """A score with the blobs that its picture has: name -> float32, any shape."""

    blobs: dict[str, Float32]


class BlobEngine(Engine):
    """ONNX Runtime on a net that gives several blobs; `forward` gives the scores' blob alone.

    `shapes` has the shape of each blob that was asked for, of one picture.
    """

    name = "onnxruntime"
    concurrent = True
    output_name = OUTPUT

    def __init__(
        self, files: ModelFiles, blobs: Sequence[str], threads: int | None = None, model: Path | None = None
    ) -> None:
        """`model`: what `blob_model` made for these blobs, as a file; None: it is made now. Raises ModelError for a net that
        cannot be read, makes no such blob, or does not read pictures."""
        self.files, self.model_def, self.model_hash = files, str(files.model_def), files.short_hash
        self._session = open_session(blob_model(files, blobs) if model is None else model, threads)
        (model_input,) = self._session.get_inputs()
        self._input, self.input_shape = model_input.name, tuple(model_input.shape[1:])
        made = {output.name[len("output_") :]: tuple(output.shape[1:]) for output in self._session.get_outputs()}
        self._names, self.has_scores = list(made), OUTPUT in made
        self.shapes: dict[str, tuple[int, ...]] = {name: made[name] for name in blobs}

    def compute(self, blob: Float32) -> dict[str, Float32]:
        """All blobs, and `prob` if the net makes it, for float32 (N, C, H, W), N at least 1: name -> float32 (N, ...)."""
        return dict(zip(self._names, run_session(self._session, {self._input: blob})))

    def _compute(self, blob: Float32) -> Float32:
        return self.compute(blob)[OUTPUT]


def blob_model(files: ModelFiles, blobs: Sequence[str]) -> bytes:
    """The net as an ONNX model that gives these blobs, and `prob` if the net makes it. Raises ModelError for a net that
    cannot be read, makes no such blob, or does not read pictures."""
    net = read_net(files.model_def, files.pretrained_model)
    shape = net.input_shape[1:]
    if len(shape) != 3 or shape[0] != 3 or max(shape[1:]) > SIDE:
        raise ModelError(
            f"{files.model_def}: a net that reads pictures of 3 channels and at most {SIDE} x {SIDE} pixels is needed, "
            f"this one reads {shape}"
        )
    scores = [OUTPUT] if OUTPUT in net.blob_names else []
    try:
        return convert_blobs(net, list(dict.fromkeys([*blobs, *scores])))
    except ModelError as error:
        raise type(error)(f"{files.model_def}: {error}") from error


class BlobClassifier(Classifier):
    """Yahoo's recipe around a `BlobEngine`; its scores are `BlobScore`."""

    engine: BlobEngine

    def __init__(
        self, files: ModelFiles, blobs: Sequence[str], limits: Limits = Limits(), model: Path | None = None
    ) -> None:
        """One thread a picture: the pipeline has several pictures under way. `model` as for `BlobEngine`. Raises
        ModelError."""
        self.engine = BlobEngine(
            files, blobs, threads=1, model=model
        )  # which checks what Classifier would, but for the scores
        self.limits = limits

    def score_pixels(self, pixels: Iterable[Pixels]) -> list[Score]:
        """The scores, with their blobs, of uint8 (256, 256, 3) pictures after the resize and JPEG round trip.

        One picture at a time: a batch of several may be summed up in another order, and the last digit of a feature would
        hang on which pictures came together.
        """
        height, width = self.engine.input_shape[1:]
        return [self._one(crop(each, height, width)) for each in pixels]

    def _one(self, cropped: Pixels) -> Score:
        blobs = self.engine.compute(self.engine.blob_from_pixels(cropped[np.newaxis]))
        value = self._score_of(blobs)
        wanted = {name: blobs[name][0] for name in self.engine.shapes}
        if not 0 <= value <= 1 or not all(np.isfinite(each).all() for each in wanted.values()):
            return Score(float("nan"), InputError("not-finite", "the network's answer has values that are not finite"))
        score = BlobScore(value)
        score.blobs = wanted
        return score

    def _score_of(self, blobs: dict[str, Float32]) -> float:
        """0 for a net that makes no scores: its blobs need something to travel with."""
        if not self.engine.has_scores:
            return 0.0
        values = blobs[OUTPUT].reshape(-1)
        if values.size <= NSFW:
            raise ModelError(
                f'{self.engine.model_def}: the blob "{OUTPUT}" has {values.size} value(s); the score is its second one'
            )
        return float(values[NSFW])
