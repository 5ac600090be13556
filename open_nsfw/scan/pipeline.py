"""source -> decode workers -> bounded queue -> engine -> rows, in order.

Each job is a thread with a decoding process of its own. The thread sends a file over, waits for the pixels, and
computes the forward pass itself where the engine allows that: with one job a core, every core is either decoding or
computing, and neither waits for the other. In the fast mode a job takes a few JPEG in turn, has their quick scores
computed together, and then goes back to those that must be scored exactly. An engine that takes one caller, or batches,
gets a thread of its own that all jobs feed.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import NO_PICTURES, Extraction
from open_nsfw.pictures.formats import sniff
from open_nsfw.pictures.isolation import DecodeWorker, Watchdog
from open_nsfw.rows.row import Row
from open_nsfw.scoring.scorer import Decoded, Models, Scorer
from open_nsfw.sources.item import Item

if TYPE_CHECKING:
    from open_nsfw.scoring.classifier import Score

WINDOW = 256  # files under way, finished ones that wait for a slower one before them included
# Pictures that the int8 network computes at once: its weights, too large for a core's own cache, are then read once for
# all. Four take 5 % less time than four times one, eight no less than that. The float32 network gains nothing. Also what a
# job decodes before there is a model to score with.
LARGEST_BATCH = 4
WINDOW_BYTES = 128 * 1024 * 1024  # of archive members and the like that are held in memory at once
JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")
STOP_SECONDS = 0.1  # between two looks at whether the run is over
READER_SECONDS = 1  # for the reader of the sources to notice that it is over


@dataclass(frozen=True)
class PipelineOptions:
    """How a scan is run."""

    jobs: int
    """Files decoded and scored at the same time."""
    extraction: Extraction = Extraction()
    max_seconds: float = 60.0
    """For decoding one picture."""
    quick: bool = False
    """Whether the fast mode's models are to be used."""
    quick_side: int | None = None
    """Pixels a side that a quick score needs; None: the model says, and decoding waits for it."""
    above: float = 0.8
    """The summary row of a video or animation counts the frames that score at least this."""
    verdict: Callable[[float], str] | None = None
    """Names the band of a score, for every row."""


class Pipeline:
    """Scores items. Use as a context manager: its threads and processes end with it."""

    def __init__(self, options: PipelineOptions) -> None:
        self._options = options
        self._watchdog = Watchdog()
        self._workers = [
            DecodeWorker(options.extraction, options.max_seconds, self._watchdog) for _ in range(options.jobs)
        ]
        self._jobs = [threading.Thread(target=self._job, args=(worker,), daemon=True) for worker in self._workers]
        self._scorer: Future[Scorer] = Future()
        self._batch = LARGEST_BATCH if options.quick else 1
        self._underway: queue.SimpleQueue[_Underway | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(WINDOW)
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()  # what no job has begun with
        self._held = _Budget(WINDOW_BYTES)
        self._stopped = threading.Event()
        self._reader: threading.Thread | None = None
        self._reader_error: BaseException | None = None

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._waiting.put(None)  # the reader may never come to say so
        self._scorer.cancel()  # if no model came, jobs that wait for it must not
        for worker in self._workers:
            worker.kill()  # ends what a job may still wait for
        for job in self._jobs:
            if job.ident is not None:
                job.join()
        for worker in self._workers:
            worker.close()
        if not self._scorer.cancelled():
            self._scorer.result().close()
        self._watchdog.close()
        self._join_reader()

    def _join_reader(self) -> None:
        """Wait for the reader, unless its source keeps it: a read from a terminal or pipe cannot be called off."""
        if self._reader is not None:
            self._reader.join(READER_SECONDS)

    def use(self, models: Models) -> None:
        """Hand over what computes the scores. Files are read and decoded before it is there."""
        self._scorer.set_result(Scorer(models))

    def stop(self) -> None:
        """Take no further item; `rows` gives what is under way and ends. May be called from a signal handler."""
        self._stopped.set()
        self._held.open()
        # Wakes `rows` where the source has nothing to give for long. A handler may come while `rows` is in that queue: of
        # Python's, only SimpleQueue stands that.
        self._underway.put(None)

    def start(self, items: Iterable[Item]) -> None:
        """Begin to read and decode `items`, in the background."""
        self._reader = threading.Thread(target=self._read, args=(items,), name="reader", daemon=True)
        self._reader.start()
        for job in self._jobs:
            job.start()

    def rows(self) -> Iterator[list[Row]]:
        """The rows of each item, in the items' order: one for a picture, more for an animation or a video, none for a
        file that was taken for its content alone and has only sound.

        An exception of the source or of the engine comes out here.
        """
        while True:
            try:
                underway = self._underway.get(block=not self._stopped.is_set())
            except queue.Empty:  # stopped, and nothing more is under way
                break
            if underway is None:
                if self._stopped.is_set():
                    continue
                break
            try:
                yield underway.rows.result()
            except CancelledError:
                continue
            finally:
                self._held.give_back(underway.size)
                self._room.release()
        if self._reader_error is not None:
            raise self._reader_error

    def _read(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                size = item.held
                self._held.take(size)
                if not self._has_room():
                    break
                task = _Task(item)
                self._waiting.put(task)
                self._underway.put(_Underway(task.rows, size))
        except BaseException as error:  # noqa: BLE001  it comes out of rows(), in the caller's thread
            self._reader_error = error
        finally:
            self._waiting.put(None)
            self._underway.put(None)

    def _has_room(self) -> bool:
        """Wait until one more file may be under way; False if the run is over."""
        while not self._room.acquire(timeout=STOP_SECONDS):
            if self._stopped.is_set():
                return False
        return not self._stopped.is_set()

    def _job(self, worker: DecodeWorker) -> None:
        """A job's thread."""
        left: list[_Task] = []  # taken, and to be begun with in the next turn
        while self._take_turn(worker, left):
            pass  # between two turns, which may be long, the items of the last one are not held
        self._waiting.put(None)  # for the next job

    def _take_turn(self, worker: DecodeWorker, left: list[_Task]) -> bool:
        """Give some items their rows. False if there are no more."""
        first = left.pop() if left else self._waiting.get()
        if first is None:
            return False
        results: list[_Result] = []
        try:
            self._finish(worker, self._next_items(first, left), results)
        except BaseException as error:  # noqa: BLE001  it comes out of rows(), in the caller's thread
            for result in results:
                if not result.task.rows.done():
                    result.task.rows.set_exception(error)
        finally:
            for result in results:
                result.task.item.close()
        return True

    def _finish(self, worker: DecodeWorker, tasks: Iterable[_Task], results: list[_Result]) -> None:
        quick, waiting = self._options.quick, list[_Waiting]()
        for task in tasks:
            results.append(_Result(task))
            self._decode(worker, results[-1], waiting, quick)
        self._score(waiting, quick)
        for result in results:
            if any(row.exact is None and row.error is None for row in result.rows):
                result.rows.clear()
                self._decode(worker, result, waiting, quick=False)
                self._score(waiting, quick=False)
            result.task.rows.set_result(self._rows(result))

    def _next_items(self, first: _Task, left: list[_Task]) -> Iterator[_Task]:
        """A job's share of what waits, a batch at most; a batch also if there is no model yet to score with.

        Only JPEG, which take little time, share a turn: the rows of one come when all are decoded, and anything else may
        be a film.
        """
        share = -(-(1 + self._waiting.qsize()) // self._options.jobs)
        task, taken = first, 0
        while True:
            if self._stopped.is_set():
                task.rows.cancel()
                task.item.close()
            else:
                yield task
            taken += 1
            if taken >= (min(share, self._batch) if self._scorer.done() else LARGEST_BATCH) or not _is_jpeg(task.item):
                return
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                return
            if following is None:
                self._waiting.put(None)  # the end, which every job must see
                return
            if not _is_jpeg(following.item):
                left.append(following)
                return
            task = following

    def _decode(self, worker: DecodeWorker, result: _Result, waiting: list[_Waiting], quick: bool) -> None:
        """Let an item's pictures wait, and score all that do whenever they make a batch."""
        item = result.task.item
        if item.error is not None:
            result.error = item.error
            return
        side = self._quick_side() if quick else None
        try:
            for message, payload in worker.messages(item.location, item.data, side):
                kind = message.pop("kind")
                if kind == "file":
                    result.basis = replace(result.basis, **message)
                    continue
                if kind == "failure":
                    self._score(waiting, quick)  # the frames that came before it
                    result.add_failure(message)
                    continue
                waiting.append(_waiting(result, message, payload))
                if len(waiting) >= (self._batch if self._scorer.done() else LARGEST_BATCH):
                    self._score(waiting, quick)
                if result.error is not None:
                    return
        except InputError as error:
            self._score(waiting, quick)  # the frames that came before it
            result.error = result.error or error

    def _quick_side(self) -> int:
        known = self._options.quick_side
        return self._scorer.result().quick_side if known is None else known

    def _score(self, waiting: list[_Waiting], quick: bool) -> None:
        """Score what waits; that of a file whose frame before it had no score is dropped."""
        if waiting:
            scores = self._scorer.result().scores([each.picture for each in waiting], quick)
            for each, (score, exact) in zip(waiting, scores):
                each.result.add(each.fields, score, exact)
            waiting.clear()

    def _rows(self, result: _Result) -> list[Row]:
        """All rows of one item."""
        rows = result.rows
        if _is_passed_over(result):
            return []
        if result.error is not None:
            rows = [*rows, replace(result.basis, **_next_frame(rows), error=_error_text(result.error))]
        rows = [replace(row, **self._model(row.exact)) for row in rows]
        rows += self._summary(rows)
        verdict = self._options.verdict
        return rows if verdict is None else [_judged(row, verdict) for row in rows]

    def _model(self, exact: bool | None) -> dict[str, Any]:
        engine = self._scorer.result().engine(exact)
        return {"engine": engine.name, "model": engine.model_hash}

    def _summary(self, rows: list[Row]) -> list[Row]:
        """The row that sums up a file of several pictures."""
        if not any(row.kind == "frame" for row in rows):
            return []
        scores = [row.score for row in rows if row.score is not None]
        above = sum(score >= self._options.above for score in scores)
        exact = all(row.exact for row in rows if row.score is not None)
        basis = replace(
            rows[0], kind="summary", frame=None, seconds=None, error=None, exact=exact, **self._model(exact)
        )
        if not scores:
            return [
                replace(basis, score=None, frames=0, above=0, error="no-pictures: none of its frames could be scored")
            ]
        mean = sum(scores) / len(scores)
        return [replace(basis, score=max(scores), max=max(scores), mean=mean, frames=len(scores), above=above)]


@dataclass(frozen=True)
class _Task:
    """What a job has to do."""

    item: Item
    rows: Future[list[Row]] = field(default_factory=Future)


@dataclass(frozen=True)
class _Underway:
    """What `rows` waits for. The item itself, which may hold a whole file, ends with its job."""

    rows: Future[list[Row]]
    size: int
    """Bytes that the item takes of the budget."""


class _Result:
    """What is known of one item so far."""

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.basis = _basis(task.item)
        self.rows: list[Row] = []
        """Of its pictures; `exact` is None where the pixels did not suffice for the score that is needed."""
        self.error: InputError | None = None
        """What ended it."""

    def add(self, fields: dict[str, Any], score: Score, exact: bool | None) -> None:
        """A picture has its score, unless that is no number, which ends the file; an exact one is still to come where
        `exact` is None."""
        if self.error is None and exact is not None:
            self.error = score.error
        if self.error is None:
            kind = "picture" if fields["frame"] is None else "frame"
            self.rows.append(replace(self.basis, **fields, kind=kind, score=score, exact=exact))

    def add_failure(self, fields: dict[str, Any]) -> None:
        """A picture of the file cannot be had; the file goes on."""
        if self.error is None:
            error = _error_text(InputError(fields.pop("code"), fields.pop("message")))
            self.rows.append(replace(self.basis, **fields, kind="frame", error=error))


@dataclass(frozen=True)
class _Waiting:
    result: _Result
    fields: dict[str, Any]
    """Of the picture's row."""
    picture: Decoded


def _waiting(result: _Result, message: dict[str, Any], payload: bytes) -> _Waiting:
    """A worker's message about a picture."""
    import numpy as np

    exact, reduced = message.pop("exact"), message.pop("reduced")
    side = math.isqrt(len(payload) // 3)
    pixels = np.frombuffer(payload, dtype=np.uint8).reshape(side, side, 3)
    return _Waiting(result, message, Decoded(pixels, exact, reduced))


class _Budget:
    """Lets the reader hold some bytes at once; a single item may be larger than the whole budget."""

    def __init__(self, most: int) -> None:
        self._most, self._taken, self._is_open = most, 0, False
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._taken == 0 or self._taken + size <= self._most)
            self._taken += size

    def give_back(self, size: int) -> None:
        with self._changed:
            self._taken -= size
            self._changed.notify_all()

    def open(self) -> None:
        """Let everyone pass from now on."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


def _is_jpeg(item: Item) -> bool:
    """Most likely: by its first bytes where they are at hand, otherwise by its name."""
    if item.data is not None:
        return sniff(item.data) == "JPEG"
    return item.path.lower().endswith(JPEG_ENDINGS)


def _basis(item: Item) -> Row:
    return Row(
        path=item.path,
        member=item.member,
        bytes=item.size if item.data is None and item.file is None else item.held,
        modified=item.modified,
    )


def _is_passed_over(result: _Result) -> bool:
    """Whether a file that nobody asked for turned out to be sound without a film."""
    code = None if result.error is None else result.error.code
    return code == NO_PICTURES and result.task.item.by_content and not result.rows


def _judged(row: Row, verdict: Callable[[float], str]) -> Row:
    return row if row.score is None else replace(row, verdict=verdict(row.score))


def _next_frame(rows: list[Row]) -> dict[str, Any]:
    """Where in a file of several pictures an error belongs: behind the last good frame."""
    if not rows or rows[-1].frame is None:
        return {}
    return {"kind": "frame", "frame": rows[-1].frame + 1}


def _error_text(error: InputError) -> str:
    """`code: sentence`, as rows carry it."""
    return f"{error.code}: {error}"
