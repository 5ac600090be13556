"""Why this score: what each part of a picture adds to its logit.

    Explainer.explain   a picture -> Explanation: score, logit, bias, and cells, float32 (7, 7) with Yahoo's net

The logit is log(p / (1 - p)) of the score p. Behind its last feature map Yahoo's net is linear: an average over 7 x 7 cells
and one fully connected layer. So the logit is exactly a bias and the sum of 49 numbers, one for each cell
(`nets.linear_tail`); nothing is estimated, and no gradient is needed. For nets that end in another way there is occlusion:
each cell is covered in turn, and what that takes from the logit is the cell's number. Those numbers do not add up.

A cell of the map looks at more of the picture than its own square: the numbers say where in the map something was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import EngineError, InputError, ModelError
from open_nsfw.nets.folding import fold_batch_norm
from open_nsfw.nets.linear_tail import LinearTail, linear_tail, softmax_input
from open_nsfw.nets.read import read_net
from open_nsfw.pictures.pixels import Pixels, Source, crop
from open_nsfw.scoring.classifier import NSFW, Classifier, Score
from open_nsfw.scoring.engine import OUTPUT, Engine, Float32
from open_nsfw.scoring.int8_engine import logits as log_odds_of_probabilities

OCCLUDED = 7  # rows and columns of the squares that are covered in turn, as many as Yahoo's net has cells
EXACT, OCCLUSION = "exact", "occlusion"  # methods
# By how much bias and cells may miss the logit, relative to the larger of 1 and the sum of all magnitudes: float32 adds some
# thousand values a cell.
TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Explanation:
    """What makes up one picture's score."""

    score: float
    """0..1"""
    logit: float
    """log(score / (1 - score)), computed from the net's own logits, so that it has its digits near 0 and 1 too."""
    bias: float | None
    """What the logit is where all cells are 0; None for occlusion, whose cells do not add up."""
    cells: Float32
    """float32 (7, 7) with Yahoo's net, from top left, rows first: what each cell adds to the logit, above 0 towards nsfw."""
    method: str = EXACT
    """`EXACT`: bias and cells add up to the logit. `OCCLUSION`: what covering the cell takes from it."""

    def cell_rows(self) -> tuple[tuple[float, ...], ...]:
        """The cells, row by row, each as the shortest decimal number that is this float32."""
        return tuple(tuple(float(str(value)) for value in row) for row in self.cells)


class ExplainedScore(Score):
    """A score that carries its explanation."""

    explanation: Explanation


class Explainer(Classifier):
    """A classifier whose scores are explained. May be used by several threads, as the classifier that it is made from."""

    def __init__(self, model: Classifier, occlusion: bool = False) -> None:
        """`model`: from `load_model`, of exact scores. With `occlusion` any net is explained, 50 forward passes a picture.

        Raises ModelError for a net that is not linear behind its last feature map, unless `occlusion` is given;
        EngineError for an engine that is not exact.
        """
        super().__init__(model.engine, model.limits)
        if not model.engine.exact:
            raise EngineError(f"an explanation is of the exact score, which {model.engine.name} does not compute")
        self._method = _Occlusion(model.engine) if occlusion else _Sum(model.engine)

    def explain(self, image: Source) -> Explanation:
        """Explain the score of one picture: a path, encoded bytes, a binary file, a Pillow image, or a uint8 RGB array
        (H, W, 3).

        Raises InputError for a picture that cannot be scored, TypeError or ValueError for anything else than the above.
        """
        score = self.score(image)
        assert isinstance(score, ExplainedScore)
        return score.explanation

    def score_pixels(self, pixels: Iterable[Pixels]) -> list[Score]:
        """Scores of pictures after the resize and JPEG round trip, uint8 (256, 256, 3) each: `ExplainedScore`, or one with
        the error `not-finite`."""
        height, width = self.engine.input_shape[1:]
        return [self._explained(crop(each, height, width)) for each in pixels]

    def _explained(self, cropped: Pixels) -> Score:
        with np.errstate(all="ignore"):  # of weights that are no numbers: their score says so
            explanation = self._method.explain(self.engine.blob_from_pixels(cropped[np.newaxis]))
        if not 0 <= explanation.score <= 1 or not np.isfinite(explanation.cells).all():
            return Score(float("nan"), InputError("not-finite", "the network's answer has values that are not finite"))
        score = ExplainedScore(explanation.score)
        score.explanation = explanation
        return score


class _Sum:
    """The exact way: bias and cells add up."""

    def __init__(self, engine: Engine) -> None:
        self._tail = _tail_of(engine)
        self._engine, self._source = engine, engine.with_blobs([self._tail.map, self._tail.logits])

    def explain(self, blob: Float32) -> Explanation:
        """Of float32 (1, C, H, W)."""
        found = self._source.blobs(blob)
        first, second = found[self._tail.logits].reshape(-1).astype(np.float64)
        products = found[self._tail.map][0].astype(np.float64) * self._tail.weights
        cells, logit = products.sum(axis=0), float(second - first)
        off = abs(self._tail.bias + cells.sum() - logit)
        if off > TOLERANCE * max(1.0, float(np.abs(products).sum())):
            raise EngineError(
                f"{self._engine.model_def}: bias and cells miss the logit by {off:.2g}; please report this net, and use "
                "--occlusion meanwhile"
            )
        score = float(found[OUTPUT].reshape(-1)[NSFW])
        return Explanation(score, logit, self._tail.bias, cells.astype(np.float32))


def _tail_of(engine: Engine) -> LinearTail:
    net = read_net(engine.files.model_def, engine.files.pretrained_model)
    try:
        return linear_tail(fold_batch_norm(net), OUTPUT)
    except ModelError as error:
        raise ModelError(f"{engine.model_def}: {error}; open-nsfw explain --occlusion takes any net") from error


class _Occlusion:
    """For any net: cells are covered in turn with the mean colour, a row of them as one batch."""

    def __init__(self, engine: Engine) -> None:
        net = read_net(engine.files.model_def, engine.files.pretrained_model)
        self._logits = softmax_input(net, OUTPUT)
        self._source = engine.with_blobs([] if self._logits is None else [self._logits])
        values = self._source.blobs(np.zeros((1, *engine.input_shape), np.float32))[OUTPUT].size
        if values <= NSFW:
            raise ModelError(
                f'{engine.model_def}: the blob "{OUTPUT}" has {values} value(s); the score is its second one'
            )

    def explain(self, blob: Float32) -> Explanation:
        """Of float32 (1, C, H, W)."""
        found = self._source.blobs(blob)
        score, logit = float(found[OUTPUT].reshape(-1)[NSFW]), float(self._log_odds(found)[0])
        rows, columns = (np.linspace(0, side, OCCLUDED + 1).round().astype(int) for side in blob.shape[2:])
        cells = np.empty((OCCLUDED, OCCLUDED), np.float32)
        for row in range(OCCLUDED):
            covered = np.repeat(blob, OCCLUDED, axis=0)
            for column in range(OCCLUDED):
                covered[column, :, rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = 0
            cells[row] = logit - self._log_odds(self._source.blobs(covered))
        return Explanation(score, logit, None, cells, OCCLUSION)

    def _log_odds(self, found: dict[str, Float32]) -> NDArray[np.float64]:
        """float64 (N,)"""
        if self._logits is None:
            return log_odds_of_probabilities(found[OUTPUT])
        values = found[self._logits].reshape(len(found[self._logits]), -1).astype(np.float64)
        others = np.delete(values, NSFW, axis=1)
        odds: NDArray[np.float64] = values[:, NSFW] - np.logaddexp.reduce(others, axis=1)
        return odds
