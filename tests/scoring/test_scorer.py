"""Which classifier computes a picture's score, and what comes of it."""

from __future__ import annotations

import math
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from open_nsfw.errors import InputError
from open_nsfw.nets.ranges import Margins
from open_nsfw.pictures.picture import Picture
from open_nsfw.scoring.classifier import Score
from open_nsfw.scoring.scorer import Models, Needs, Outcome, Scored, Scorer, Way

QUICK_SIDE = 224


class Fixed:
    """A classifier that gives one score, and notes how many pictures it got at a time."""

    def __init__(self, score: float, exact: bool = True, batch: int | None = None) -> None:
        self.engine = SimpleNamespace(
            name=f"gives {score}",
            exact=exact,
            concurrent=batch is None,
            batch_size=batch or 1,
            input_shape=(3, QUICK_SIDE, QUICK_SIDE - 1),
        )
        self.score = score if isinstance(score, Score) else Score(score)
        self.calls: list[list[tuple[int, ...]]] = []

    def score_pixels(self, pixels: Any) -> list[Score]:
        """The one score for each."""
        self.calls.append([each.shape for each in pixels])
        return [self.score for _ in pixels]


def picture(exact: bool = True, reduced: bool = False) -> Picture:
    """One with the recipe's pixels, or the quick decode's."""
    side = 256 if exact else QUICK_SIDE
    return Picture(bytes(3 * side * side), 8, 6, "JPEG", exact=exact, reduced=reduced)


def outcome(quick: float, pixels: Picture, use_quick: bool = True, margins: Margins | None = None) -> Outcome:
    """What comes of one picture; the exact score is 0.9, the threshold 0.5."""
    models: Any = Models(Fixed(0.9), Fixed(quick, exact=False), (0.5,), margins)  # type: ignore[arg-type]
    (found,) = Scorer(models).scores([pixels], Way.QUICK if use_quick else Way.EXACT)
    return found


def test_a_quick_score_far_from_the_threshold_will_do() -> None:
    assert outcome(0.1, picture(exact=False)) == Scored(Score(0.1), exact=False)


def test_near_to_it_the_exact_one_is_needed() -> None:
    """At once where the pixels are the recipe's; otherwise they have to be made first."""
    near = Margins(full=0.5, reduced=3.0)
    assert outcome(0.45, picture(), margins=near) == Scored(Score(0.9), exact=True)
    assert outcome(0.45, picture(exact=False), margins=near) is Needs.EXACT_PIXELS
    assert outcome(0.1, picture(exact=False), margins=near) == Scored(Score(0.1), exact=False)
    assert outcome(0.1, picture(exact=False, reduced=True), margins=near) is Needs.EXACT_PIXELS


def test_a_quick_score_that_is_no_number_is_none() -> None:
    no_number = Score(math.nan, InputError("not-finite", "no probability"))
    assert outcome(no_number, picture()) == Scored(Score(0.9), exact=True)


def test_exact_scores_alone_on_demand() -> None:
    """Whatever models there are."""
    assert outcome(0.1, picture(), use_quick=False) == Scored(Score(0.9), exact=True)


def test_an_engine_that_is_not_exact() -> None:
    models: Any = Models(Fixed(0.9, exact=False))  # type: ignore[arg-type]
    assert Scorer(models).scores([picture()], Way.EXACT) == [Scored(Score(0.9), exact=False)]


def test_who_computed_it() -> None:
    both: Any = Models(Fixed(0.9), Fixed(0.1))  # type: ignore[arg-type]
    assert [Scorer(both).engine(exact).name for exact in (True, False, None)] == ["gives 0.9", "gives 0.1", "gives 0.9"]
    alone: Any = Models(Fixed(0.9))  # type: ignore[arg-type]
    assert Scorer(alone).engine(False).name == "gives 0.9"
    assert Scorer(both).quick_side == QUICK_SIDE


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_what_waits_is_scored_before_the_end(count: int) -> None:
    """In batches of four at most, of uint8 arrays; nobody's score is lost when the scorer closes."""
    exact = Fixed(0.9, batch=4)
    scorer = Scorer(Models(exact))  # type: ignore[arg-type]
    scores = scorer.scores([picture()] * count, Way.EXACT)
    scorer.close()
    assert [each.result() for each in scores if isinstance(each, Future)] == [Scored(Score(0.9), exact=True)] * count
    assert sum(map(len, exact.calls)) == count and max(map(len, exact.calls)) <= 4
    assert {shape for call in exact.calls for shape in call} == {(256, 256, 3)}
