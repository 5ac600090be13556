"""Jobs that wait for tasks: what nobody wants any more, frames for one task alone, and the end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.scan.job import Task
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pool import Pool
from open_nsfw.scan.results import Handling, ItemResult
from open_nsfw.scoring.classifier import Score
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item
from tests.scan.test_pipeline import SMALL, Brightness
from tests.tools.helpers import DATA, wait_until

OPTIONS = PipelineOptions(1)
GIF = (DATA / "pictures" / "animated.gif").read_bytes()


class Waiting(Brightness):
    """Gives no score before it may."""

    def __init__(self) -> None:
        super().__init__()
        import threading

        self.may = threading.Event()

    def score_pixels(self, pixels: Any) -> list[Score]:
        """As soon as it may."""
        assert self.may.wait(60)
        return [Score(float(np.mean(each)) / 255) for each in pixels]


@pytest.fixture
def waiting() -> Iterator[tuple[Pool, Waiting]]:
    """A pool of one job, whose classifier waits."""
    classifier = Waiting()
    with Pool(OPTIONS) as pool:
        pool.use(Models(classifier))  # type: ignore[arg-type]
        pool.start()
        yield pool, classifier
        classifier.may.set()


def test_results_come_in_any_order(waiting: tuple[Pool, Waiting]) -> None:
    """Each task has its own, whichever frames its file was to give."""
    pool, classifier = waiting
    classifier.may.set()
    all_frames = replace(OPTIONS.extraction.frames, mode="all")
    tasks = [Task(Item("a", data=GIF)), Task(Item("b", data=GIF), Handling(all_frames)), Task(Item("c", data=SMALL[0]))]
    for task in tasks:
        pool.submit(task)
    assert [len(pool.rows(task.result.result(60), OPTIONS)) for task in tasks] == [1, 4, 1]


def test_what_nobody_wants_any_more_is_not_begun(waiting: tuple[Pool, Waiting]) -> None:
    """A task that waits is taken out; the one behind it has its turn."""
    pool, classifier = waiting
    first, second, third = (Task(Item(name, data=SMALL[0])) for name in "abc")
    for task in (first, second, third):
        pool.submit(task)
    wait_until(first.result.running)
    pool.tasks.abandon(second)
    assert second.result.cancelled() and len(pool.tasks) == 1
    classifier.may.set()
    assert third.result.result(60).error is None


def test_a_file_of_many_frames_ends_when_nobody_wants_them(waiting: tuple[Pool, Waiting]) -> None:
    """With the frame that is at work; whoever watches is told of each."""
    pool, classifier = waiting
    seen: list[int] = []

    def watch(result: ItemResult) -> None:
        seen.append(len(result.frame_rows(0, pool.scorer.result(), OPTIONS)))

    task = Task(Item("a", data=GIF), Handling(FrameChoice("all"), watch=watch))
    pool.submit(task)
    wait_until(task.result.running)
    pool.tasks.abandon(task)
    classifier.may.set()
    task.result.result(60)
    assert len(seen) < 3
    whole = Task(Item("a", data=GIF), Handling(FrameChoice("all"), watch=watch))
    pool.submit(whole)
    whole.result.result(60)
    assert seen[-3:] == [1, 2, 3]


def test_the_end_cancels_what_waits_and_what_is_at_work() -> None:
    """Nobody waits for ever."""
    classifier = Waiting()
    with Pool(OPTIONS) as pool:
        pool.start()  # there is no model yet, so the first task waits for it
        tasks = [Task(Item(name, data=SMALL[0])) for name in "abcdefgh"]
        for task in tasks:
            pool.submit(task)
        wait_until(tasks[0].result.running)
    for task in tasks:
        with pytest.raises(CancelledError):
            task.result.result(0)
    assert not classifier.may.is_set()
