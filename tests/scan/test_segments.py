"""Stretches of frames that score high."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_nsfw.scan.segments import Moment, Segment, segments


def moments(scores: list[float]) -> list[Moment]:
    """One a second."""
    return [Moment(25 * index, float(index), score) for index, score in enumerate(scores)]


def found(scores: list[float]) -> list[tuple[float | None, float | None, float, float, int]]:
    """(from, to, highest, mean, frames) of each segment above 0.5."""
    return [
        (each.first.seconds, each.last.seconds, each.highest, round(each.mean, 6), each.count)
        for each in segments(moments(scores), 0.5)
    ]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], []),
        ([0.1, 0.4, 0.499], []),
        ([0.5], [(0, 0, 0.5, 0.5, 1)]),
        ([0.1, 0.6, 0.8, 0.1, 0.1], [(1, 2, 0.8, 0.7, 2)]),
        ([0.6, 0.0, 0.9], [(0, 2, 0.9, 0.5, 3)]),  # one frame does not split
        ([0.6, 0.0, 0.0, 0.9], [(0, 0, 0.6, 0.6, 1), (3, 3, 0.9, 0.9, 1)]),  # two do
        ([0.0, 0.6, 0.0, 0.6, 0.0, 0.6, 0.0], [(1, 5, 0.6, 0.36, 5)]),
        ([0.6, 0.0], [(0, 0, 0.6, 0.6, 1)]),  # the end is not in it
    ],
)
def test_segments(scores: list[float], expected: list[tuple[float, ...]]) -> None:
    assert found(scores) == expected


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0.01, 1))
def test_what_holds_for_any_scores(scores: list[float], threshold: float) -> None:
    """Each high frame is in one segment, segments are apart, and begin and end with a high frame."""
    every = moments(scores)
    result: list[Segment] = segments(every, threshold)
    covered = [moment for each in result for moment in every if each.first.frame <= moment.frame <= each.last.frame]
    assert [moment for moment in every if moment.score >= threshold] == [m for m in covered if m.score >= threshold]
    assert sum(each.count for each in result) == len(covered) == len(set(covered))
    for each in result:
        assert each.first.score >= threshold and each.last.score >= threshold
        assert 0 <= each.mean <= each.highest + 1e-9
    for one, other in zip(result, result[1:]):
        between = [moment for moment in every if one.last.frame < moment.frame < other.first.frame]
        assert len(between) >= 2 and all(moment.score < threshold for moment in between)
