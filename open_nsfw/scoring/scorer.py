"""Pixels -> scores, for many threads at once: quick ones where they suffice, and exact ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from open_nsfw.scoring.fast import escalates

if TYPE_CHECKING:
    from open_nsfw.nets.ranges import Margins
    from open_nsfw.pictures.pixels import Pixels
    from open_nsfw.scoring.classifier import Classifier, Score
    from open_nsfw.scoring.engine import Engine


@dataclass(frozen=True)
class Models:
    """What computes the scores of a run."""

    exact: Classifier
    quick: Classifier | None = None
    """Of the same model, for the fast mode: scores what is far from any threshold."""
    thresholds: tuple[float, ...] = ()
    margins: Margins | None = None
    """With `quick`: a picture whose quick score is this near to a threshold is scored exactly."""


@dataclass(frozen=True)
class Decoded:
    """A picture that waits for its score."""

    pixels: Pixels
    """uint8, RGB, square: the recipe's 256 x 256, or as much of their middle as a quick score needs."""
    exact: bool
    """Whether they are the recipe's."""
    reduced: bool
    """Whether the picture was decoded at reduced size."""


Scored = tuple["Score", Optional[bool]]
"""A score and whether it is exact; None for that where an exact one is needed and the pixels cannot give it."""


class Scorer:
    """Calls the classifiers from the jobs' threads: directly, or through one thread that collects batches."""

    def __init__(self, models: Models) -> None:
        self.classifier = models.exact
        self._models = models
        self._waiting: queue.Queue[tuple[Pixels, Future[Score]] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        if not self.classifier.engine.concurrent:
            self._thread = threading.Thread(target=self._serve, name="scorer", daemon=True)
            self._thread.start()

    @property
    def quick_side(self) -> int:
        """Pixels a side that a quick score needs."""
        assert self._models.quick is not None
        return max(self._models.quick.engine.input_shape[1:])

    def engine(self, exact: bool | None) -> Engine:
        """What computed a score that is `exact`; of a failure, what would have."""
        return self.classifier.engine if exact is not False or self._models.quick is None else self._models.quick.engine

    def scores(self, pictures: Sequence[Decoded], quick: bool) -> list[Scored]:
        """The scores of some pictures, if `quick` by the quick model where that is enough."""
        if not quick or self._models.quick is None:
            return [self._exact(each) for each in pictures]
        scores = self._models.quick.score_pixels([each.pixels for each in pictures])
        return [self._decided(score, each) for score, each in zip(scores, pictures)]

    def _decided(self, score: Score, picture: Decoded) -> Scored:
        models = self._models
        assert models.margins is not None
        if not escalates(score, models.thresholds, models.margins.of(picture.reduced)):
            return score, False
        return self._exact(picture) if picture.exact else (score, None)

    def _exact(self, picture: Decoded) -> Scored:
        return self._exact_score(picture.pixels), self.classifier.engine.exact

    def _exact_score(self, pixels: Pixels) -> Score:
        if self._thread is None:
            return self.classifier.score_pixels(pixels[None])[0]
        future: Future[Score] = Future()
        self._waiting.put((pixels, future))
        return future.result()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _serve(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < self.classifier.engine.batch_size and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)
                    break
                batch.append(following)
            self._score_batch(batch)

    def _score_batch(self, batch: list[tuple[Pixels, Future[Score]]]) -> None:
        import numpy as np

        try:
            scores = self.classifier.score_pixels(np.stack([pixels for pixels, _ in batch]))
        except Exception as error:  # noqa: BLE001  it comes out where the score is waited for
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), score in zip(batch, scores):
            future.set_result(score)
