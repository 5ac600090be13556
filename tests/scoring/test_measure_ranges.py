"""What is kept while ranges are measured."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from open_nsfw.scoring.measure_ranges import SAMPLES, _samples

PICTURES, VALUES = 6, SAMPLES  # so that a sixth of each picture's values is taken


def test_activations_are_let_go() -> None:
    """Of each picture some values are kept, not all: of 600 pictures they would take 24 GB."""
    made: list[weakref.ref[Any]] = []

    def activations() -> Iterator[dict[str, Any]]:
        for number in range(PICTURES):
            values = np.full((1, VALUES), number, np.float32)
            made.append(weakref.ref(values))
            yield {"point": values}
            del values
            assert sum(each() is not None for each in made) <= 2  # this one, and what the caller still names

    graph: Any = SimpleNamespace(points=["point"])
    samples, means = _samples(graph, activations(), PICTURES)
    assert samples["point"].size == SAMPLES
    assert sorted(set(samples["point"].tolist())) == list(range(PICTURES))
    assert means["point"].tolist() == [2.5]
