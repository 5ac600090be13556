"""Scores that carry blobs of the net: features, by the names that Caffe gives them.

ONNX Runtime computes them from the caffemodel, converted up to the blobs that are asked for. The pipeline of a scan takes
a `BlobClassifier` as it takes any classifier, and its rows have the scores that this made: `BlobScore.blobs` is how what
was computed of a picture comes to whoever reads the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    """ONNX Runtime on a net that gives several blobs; `forward` gives the scores' blob alone."""

    name = "onnxruntime"
    concurrent = True
    output_name = OUTPUT

    def __init__(self, files: ModelFiles, blobs: Sequence[str], threads: int | None = None) -> None:
        """Raises ModelError for a net that cannot be read, makes no such blob, or gives no scores."""
        net = read_net(files.model_def, files.pretrained_model)
        self.model_def, self.model_hash = str(files.model_def), files.short_hash
        self.input_shape = net.input_shape[1:]
        self._input, self._blobs = net.input_name, tuple(blobs)
        try:
            model = convert_blobs(net, list(dict.fromkeys([*blobs, OUTPUT])))
        except ModelError as error:
            raise type(error)(f"{files.model_def}: {error}") from error
        self._session = open_session(model, threads)
        self._names = [output.name[len("output_") :] for output in self._session.get_outputs()]

    def compute(self, blob: Float32) -> dict[str, Float32]:
        """All blobs, `prob` among them, for float32 (N, C, H, W), N at least 1: name -> float32 (N, ...)."""
        return dict(zip(self._names, run_session(self._session, {self._input: blob})))

    def _compute(self, blob: Float32) -> Float32:
        return self.compute(blob)[OUTPUT]


class BlobClassifier(Classifier):
    """Yahoo's recipe around a `BlobEngine`; its scores are `BlobScore`."""

    engine: BlobEngine

    def __init__(self, files: ModelFiles, blobs: Sequence[str], limits: Limits = Limits()) -> None:
        """One thread a picture: the pipeline has several pictures under way. Raises ModelError."""
        super().__init__(BlobEngine(files, blobs, threads=1), limits)
        self._blobs = tuple(blobs)

    def score_pixels(self, pixels: Iterable[Pixels]) -> list[Score]:
        """The scores, with their blobs, of uint8 (256, 256, 3) pictures after the resize and JPEG round trip.

        One picture at a time: a batch of several may be summed up in another order, and the last digit of a feature would
        hang on which pictures came together.
        """
        height, width = self.engine.input_shape[1:]
        assert max(height, width) <= SIDE
        return [self._one(crop(each, height, width)) for each in pixels]

    def _one(self, cropped: Pixels) -> Score:
        blobs = self.engine.compute(self.engine.blob_from_pixels(cropped[np.newaxis]))
        values = blobs[OUTPUT].reshape(-1)
        if values.size <= NSFW:
            raise ModelError(
                f'{self.engine.model_def}: the blob "{OUTPUT}" has {values.size} value(s); the score is its second one'
            )
        wanted = {name: blobs[name][0] for name in self._blobs}
        if not 0 <= values[NSFW] <= 1 or not all(np.isfinite(each).all() for each in wanted.values()):
            return Score(float("nan"), InputError("not-finite", "the network's answer has values that are not finite"))
        score = BlobScore(float(values[NSFW]))
        score.blobs = wanted
        return score
