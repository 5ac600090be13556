"""Pictures -> scores, for many threads at once: quick ones where they suffice, and exact ones."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Union

from open_nsfw.scoring.fast import escalates

# They load NumPy, which the command does while its decoding process comes up, not before it starts that.
if TYPE_CHECKING:
    from open_nsfw.nets.ranges import Margins
    from open_nsfw.pictures.picture import Picture
    from open_nsfw.scoring.classifier import Classifier, Score
    from open_nsfw.scoring.engine import Engine

BATCHES_AHEAD = 2  # that may wait for an engine which takes batches; a picture holds 192 KiB


@dataclass(frozen=True)
class Models:
    """What computes the scores of a run."""

    exact: Classifier
    quick: Classifier | None = None
    """Of the same model, for the fast mode: scores what is far from any threshold."""
    thresholds: tuple[float, ...] = ()
    margins: Margins | None = None
    """With `quick`: a picture whose quick score is this near to a threshold is scored exactly; None: 0."""
    explainer: Classifier | None = None
    """Of the same model: gives exact scores with their explanations."""


class Scored(NamedTuple):
    """A score, and whether it is an exact one."""

    score: Score
    exact: bool


class Needs(Enum):
    """What a picture lacks for the score that it must have."""

    EXACT_PIXELS = "the recipe's pixels, where it has the quick decode's"


class Way(Enum):
    """How pictures are scored."""

    QUICK = "by the quick model where that is enough"
    EXACT = "by the exact model"
    EXPLAINED = "exactly, with what each part of the picture adds to the score"


# What comes of a picture; the score may still be under way.
Outcome = Union[Scored, "Future[Scored]", Needs]


class Scorer:
    """Calls the classifiers from the jobs' threads: directly, or through one thread that collects batches."""

    def __init__(self, models: Models) -> None:
        self.models = self._models = models
        engine = models.exact.engine
        self._explaining = threading.Lock()
        self._batches = None if engine.concurrent else _Batches(models.exact)

    def use(self, models: Models) -> None:
        """Decide by the thresholds and margins of these models from now on; they have the classifiers of the first ones."""
        self.models = self._models = models

    @property
    def quick_side(self) -> int:
        """Pixels a side that a quick score needs."""
        assert self._models.quick is not None
        return max(self._models.quick.engine.input_shape[1:])

    def engine(self, exact: bool | None) -> Engine:
        """What computed a score that is `exact`; of a failure (None), what would have."""
        quick = self._models.quick
        return self._models.exact.engine if exact is not False or quick is None else quick.engine

    def scores(self, pictures: Sequence[Picture], way: Way) -> list[Outcome]:
        """The scores of some pictures."""
        from open_nsfw.pictures.pixels import as_array

        if way is Way.EXPLAINED:
            return [self._explained(each) for each in pictures]
        if way is Way.EXACT or self._models.quick is None:
            return [self._exact(each) for each in pictures]
        scores = self._models.quick.score_pixels([as_array(each) for each in pictures])
        return [self._decided(score, each) for score, each in zip(scores, pictures)]

    def _decided(self, score: Score, picture: Picture) -> Outcome:
        """The quick score, if that is enough for this picture."""
        models = self._models
        margin = 0.0 if models.margins is None else models.margins.of(picture.reduced)
        if not escalates(score, models.thresholds, margin):
            return Scored(score, exact=False)
        return self._exact(picture) if picture.exact else Needs.EXACT_PIXELS

    def _explained(self, picture: Picture) -> Scored:
        from open_nsfw.pictures.pixels import as_array

        explainer = self._models.explainer
        assert explainer is not None
        with nullcontext() if explainer.engine.concurrent else self._explaining:
            (score,) = explainer.score_pixels([as_array(picture)])
        return Scored(score, exact=True)

    def _exact(self, picture: Picture) -> Scored | Future[Scored]:
        if self._batches is not None:
            return self._batches.add(picture)
        from open_nsfw.pictures.pixels import as_array

        (score,) = self._models.exact.score_pixels([as_array(picture)])
        return Scored(score, self._models.exact.engine.exact)

    def close(self) -> None:
        """End the thread."""
        if self._batches is not None:
            self._batches.close()


class _Batches:
    """Pictures for an engine that takes one caller: what waits at one time goes to it as one batch."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier, self._most = classifier, classifier.engine.batch_size
        # Whoever adds to a full queue waits: decoding may be faster than the engine.
        self._waiting: queue.Queue[tuple[Picture, Future[Scored]] | None] = queue.Queue(BATCHES_AHEAD * self._most)
        self._ended = False
        self._thread = threading.Thread(target=self._serve, name="scorer", daemon=True)
        self._thread.start()

    def add(self, picture: Picture) -> Future[Scored]:
        """The score that the picture is going to have."""
        score: Future[Scored] = Future()
        self._waiting.put((picture, score))
        return score

    def close(self) -> None:
        """End the thread, when it has scored what waits."""
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while batch := self._next():
            self._score(batch)
            del batch  # while the next one is waited for, its pixels are not held

    def _next(self) -> list[tuple[Picture, Future[Scored]]]:
        """What waits, a batch at most; nothing at the end."""
        batch: list[tuple[Picture, Future[Scored]]] = []
        while not self._ended and len(batch) < self._most:
            try:
                following = self._waiting.get(block=not batch)
            except queue.Empty:
                break
            if following is None:
                self._ended = True
            else:
                batch.append(following)
        return batch

    def _score(self, batch: list[tuple[Picture, Future[Scored]]]) -> None:
        from open_nsfw.pictures.pixels import as_array

        try:
            scores = self._classifier.score_pixels([as_array(picture) for picture, _ in batch])
        except BaseException as error:  # noqa: BLE001  it comes out where the score is waited for
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), score in zip(batch, scores):
            future.set_result(Scored(score, self._classifier.engine.exact))
