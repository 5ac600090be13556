"""What one of several jobs does: takes items in turns, has them decoded in a process of its own, and scored.

In the fast mode a turn is a few JPEG, whose quick scores are computed together; those that must be scored exactly are then
decoded again. Any other turn is one item.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import sniff
from open_nsfw.pictures.isolation import DecodeWorker, WorkerFailure
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Failure, Picture
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.results import Handling, ItemResult, PictureResult, ends_file
from open_nsfw.scoring.scorer import Scorer, Way
from open_nsfw.sources.item import Item

if TYPE_CHECKING:
    from open_nsfw.scan.recall import LookUp, Recall

# Pictures that the int8 network computes at once: its weights, too large for a core's own cache, are then read once for
# all. Four take 5 % less time than four times one, eight no less than that. The float32 network gains nothing. Also what a
# job decodes before there is a model to score with.
LARGEST_BATCH = 4
Work = list[tuple[Item, ItemResult]]
JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")


@dataclass(frozen=True, eq=False)
class Task:
    """What a job has to do."""

    item: Item
    handling: Handling = field(default_factory=Handling)
    result: Future[ItemResult] = field(default_factory=Future)

    def cancel(self) -> None:
        """It is not going to be done."""
        self.result.cancel()
        self.item.close()


class TaskQueue:
    """Tasks that no job has begun with, in order."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()
        self._changed = threading.Condition()
        self._is_closed = self._is_stopped = False

    def __len__(self) -> int:
        return len(self._tasks)

    def put(self, task: Task) -> None:
        """Add one at the end."""
        with self._changed:
            if self._is_stopped:
                task.cancel()
            else:
                self._tasks.append(task)
                self._changed.notify()

    def abandon(self, task: Task) -> None:
        """Nobody wants the result of a task any more: one that no job has begun with costs nothing, and one that is under
        way ends at its next picture."""
        task.handling.abandoned.set()
        self.withdraw(task)

    def withdraw(self, task: Task) -> bool:
        """Take back a task that no job has begun with; whether there was still time for that."""
        with self._changed:
            if task not in self._tasks:
                return False
            self._tasks.remove(task)
            task.cancel()
            return True

    def stop(self) -> None:
        """Cancel what is there and what comes, when a job or the reader next looks. May be called from a signal handler,
        so it takes no lock."""
        self._is_stopped = True

    def close(self) -> None:
        """No further task comes."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def take(self, most: Callable[[int], int]) -> list[Task]:
        """The first task, and of those behind it so many that `most`, which gets the number of all, is reached; none at
        the end.

        Only JPEG, which take little time, come together: the rows of one come when all are decoded, and anything else may
        be a film.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._is_closed)
            if self._is_stopped:
                while self._tasks:
                    self._tasks.popleft().cancel()
            taken: list[Task] = []
            limit = most(len(self._tasks))
            while self._tasks and (not taken or (len(taken) < limit and _are_jpeg(taken[0], self._tasks[0]))):
                taken.append(self._tasks.popleft())
                taken[-1].result.set_running_or_notify_cancel()
                taken[-1].handling.begun = time.monotonic()
            return taken


class Job:
    """One job. `run` is its thread."""

    def __init__(
        self,
        worker: DecodeWorker,
        tasks: TaskQueue,
        scorer: Future[Scorer],
        options: PipelineOptions,
        recall: Recall | None = None,
    ) -> None:
        self._worker, self._tasks, self._scorer, self._options = worker, tasks, scorer, options
        self._recall = recall

    def run(self) -> None:
        """Take turns until no task is left."""
        while self._take_turn():
            pass  # between two turns, which may be long, the items of the last one are not held

    def _take_turn(self) -> bool:
        """Give some tasks their results. False if there are no more."""
        tasks = self._tasks.take(self._most)
        try:
            results = [ItemResult(task.item, task.handling) for task in tasks]
            work = [(task.item, result) for task, result in zip(tasks, results)]
            if self._recall is None or any(each.handling.explain or each.handling.anew for each in results):
                self._fill(work)
            else:
                self._fill_unknown(work, self._recall)
            for task, result in zip(tasks, results):
                task.result.set_result(result)
        except BaseException as error:  # noqa: BLE001  it comes out of Pipeline.rows, in the caller's thread
            for task in tasks:
                if not task.result.done():
                    task.result.set_exception(error)
        finally:
            for task in tasks:
                task.item.close()
        return bool(tasks)

    def _most(self, waiting: int) -> int:
        """Tasks of a turn: a job's share of what waits, a batch at most; a batch also if there is no model yet to score
        with."""
        share = -(-waiting // self._options.jobs)
        return min(share, self._batch) if self._scorer.done() else LARGEST_BATCH

    @property
    def _views(self) -> bool:
        """Whether parts are scored as well, which need the recipe's pixels, also for quick scores."""
        return self._options.extraction.views is not None

    @property
    def _batch(self) -> int:
        """Pictures that are scored at once."""
        return LARGEST_BATCH if self._options.quick or not self._scorer.done() else 1

    def _fill_unknown(self, work: Work, recall: Recall) -> None:
        """Decode and score what is not known by its content. Only then, with nothing that another job may wait for, wait
        for what other jobs are at."""
        looked_up: list[LookUp] = []
        try:
            for item, result in work:
                looked_up.append(recall.look_up(item, result))
            self._fill([(each.item, each.result) for each in looked_up if each.is_work])
        except BaseException:
            for each in looked_up:
                each.result.is_whole = False
            raise
        finally:
            for each in looked_up:
                recall.publish(each)
        for each in looked_up:
            if not each.is_known and not each.is_work and not recall.take_over(each):
                self._fill([(each.item, each.result)])

    def _fill(self, work: Work) -> None:
        """Decode and score; exactly in the second round, where the pixels of the first did not suffice."""
        self._round([(item, result) for item, result in work if result.handling.explain], Way.EXPLAINED)
        work = [(item, result) for item, result in work if not result.handling.explain]
        self._round(work, Way.QUICK if self._options.quick else Way.EXACT)
        again = [(item, result) for item, result in work if result.needs_exact_pixels]
        for _, result in again:
            result.begin_again()
        self._round(again, Way.EXACT)

    def _round(self, work: Work, way: Way) -> None:
        waiting: list[tuple[PictureResult, Picture]] = []
        for item, result in work:
            if result.error is None:
                self._decode(item, result, waiting, way)
        self._score(waiting, way)

    def _decode(self, item: Item, result: ItemResult, waiting: list[tuple[PictureResult, Picture]], way: Way) -> None:
        """Give an item its pictures, and all that wait their scores whenever they make a batch."""
        try:
            quick_side = self._quick_side() if way is Way.QUICK and not self._views else None
            for found in self._worker.decode(item.encoded, quick_side, result.handling.frames):
                if result.handling.abandoned.is_set():
                    result.is_whole = False
                    break  # which ends the decoding process, too
                if isinstance(found, FileInfo):
                    result.set_file(found)
                elif isinstance(found, Failure):
                    result.add_failed(found)
                else:
                    waiting.append((picture := result.add(found), found))
                    may_end = self._options.stop_above is not None and found.frame is not None
                    if may_end or len(waiting) >= self._batch:
                        self._score(waiting, way)
                        result.tell(found)
                    if may_end and ends_file(picture.scored_row(), self._options):
                        break  # which ends the decoding process, too: nothing behind it is decoded
        except InputError as error:
            result.error = error
            result.is_whole = not isinstance(error, WorkerFailure)

    def _quick_side(self) -> int:
        known = self._options.quick_side
        return self._scorer.result().quick_side if known is None else known

    def _score(self, waiting: list[tuple[PictureResult, Picture]], way: Way) -> None:
        """Ask for the scores of what waits."""
        if waiting:
            outcomes = self._scorer.result().scores([picture for _, picture in waiting], way)
            for (result, _), outcome in zip(waiting, outcomes):
                result.outcome = outcome
            waiting.clear()


def _are_jpeg(*tasks: Task) -> bool:
    return all(_is_jpeg(task.item) for task in tasks)


def _is_jpeg(item: Item) -> bool:
    """Most likely: by its first bytes where they are at hand, otherwise by its name."""
    if item.data is not None:
        return sniff(item.data) == "JPEG"
    return item.path.lower().endswith(JPEG_ENDINGS)
