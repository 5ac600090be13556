"""The classifier and an engine that computes batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.engine import Engine, Float32
from tests.tools.helpers import OTHER_PICTURE, PICTURE


class Batching(Engine):
    """Takes four inputs at once; its score is the mean of an input's first row, into 0..1."""

    name, model_def, model_hash, output_name = "batching", "net.prototxt", "0" * 12, "prob"
    input_shape = (3, 224, 224)
    batch_size = 4

    def __init__(self) -> None:
        self.batches: list[int] = []

    def _compute(self, blob: Float32) -> Float32:
        self.batches.append(len(blob))
        scores = blob[:, :, 0].mean(axis=(1, 2)) / 1000 + 0.5
        return np.stack([1 - scores, scores], axis=1).astype(np.float32)


def test_lists_go_to_the_engine_in_batches() -> None:
    """As many pictures as it takes at once; those without pixels take no place, and all keep theirs in the order."""
    engine = Batching()
    model = Classifier(engine)
    pictures = [PICTURE, OTHER_PICTURE, "no/such.jpg"] * 3
    scores = list(model.scores(pictures))
    assert engine.batches == [3, 3]  # of four, four and one picture, each third of which has no pixels
    assert [score.error is None for score in scores] == [True, True, False] * 3
    assert scores[0] == scores[3] == scores[6] == model.score(PICTURE)
    assert scores[1] == scores[4] == scores[7] == model.score(OTHER_PICTURE)
    assert scores[0] != scores[1]


def test_a_stream_is_read_a_batch_ahead_and_no_more() -> None:
    """Whoever scores a camera's pictures waits for a batch, not for the end."""
    taken: list[int] = []

    def many() -> Iterator[Path]:
        for index in range(10):
            taken.append(index)
            yield PICTURE

    stream = Classifier(Batching()).scores(many())
    assert taken == []
    next(stream)
    assert len(taken) == 4


def test_a_mistake_costs_no_picture_before_it_its_score() -> None:
    """In the middle of a batch, too."""
    found = []
    with pytest.raises(TypeError):
        for score in Classifier(Batching()).scores([PICTURE, OTHER_PICTURE, 3]):  # type: ignore[list-item]
            found.append(score)
    assert len(found) == 2
