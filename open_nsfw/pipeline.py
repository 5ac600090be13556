"""source -> decode workers -> bounded queue -> engine -> rows, in order.

Each job is a thread with a decoding process of its own. The thread sends a file over, waits for the pixels, and
computes the forward pass itself where the engine allows that: with one job a core, every core is either decoding or
computing, and neither waits for the other. In the fast mode a job takes a few files in turn, has their quick scores
computed together, and then goes back to those that must be scored exactly. An engine that takes one caller, or batches,
gets a thread of its own that all jobs feed.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from open_nsfw.errors import InputError
from open_nsfw.extraction import Extraction
from open_nsfw.isolation import DecodeWorker, Watchdog
from open_nsfw.outputs import Row
from open_nsfw.scorer import Decoded, Models, Scorer
from open_nsfw.sources import Item

if TYPE_CHECKING:
    from open_nsfw.classifier import Score

WINDOW = 256  # files under way, finished ones that wait for a slower one before them included
# Pictures that the int8 network computes at once: its weights, too large for a core's own cache, are then read once for
# all. Four take 5 % less time than four times one, eight no less than that. The float32 network gains nothing. Also what a
# job decodes before there is a model to score with.
LARGEST_BATCH = 4
WINDOW_BYTES = 128 * 1024 * 1024  # of archive members and the like that are held in memory at once
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
        self._underway: queue.Queue[_Underway | None] = queue.Queue(WINDOW)
        self._waiting: queue.SimpleQueue[_Underway | None] = queue.SimpleQueue()  # those that no job has begun with
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
        deadline = time.monotonic() + READER_SECONDS
        while self._reader is not None and self._reader.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._underway.get(timeout=0.05)  # it may wait for room

    def use(self, models: Models) -> None:
        """Hand over what computes the scores. Files are read and decoded before it is there."""
        self._scorer.set_result(Scorer(models))

    def stop(self) -> None:
        """Take no further item; `rows` gives what is under way and ends. May be called from a signal handler."""
        self._stopped.set()
        self._held.open()
        try:
            self._underway.put_nowait(None)  # wakes `rows` where the source has nothing to give for long
        except queue.Full:
            pass  # then `rows` has something to wake it

    def start(self, items: Iterable[Item]) -> None:
        """Begin to read and decode `items`, in the background."""
        self._reader = threading.Thread(target=self._read, args=(items,), name="reader", daemon=True)
        self._reader.start()
        for job in self._jobs:
            job.start()

    def rows(self) -> Iterator[list[Row]]:
        """The rows of each item, in the items' order: one for a picture, more for an animation or a video.

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
        if self._reader_error is not None:
            raise self._reader_error

    def _read(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                size = len(item.data or b"")
                self._held.take(size)
                if self._stopped.is_set():
                    break
                underway = _Underway(item, size)
                self._waiting.put(underway)
                self._underway.put(underway)
        except BaseException as error:  # noqa: BLE001  it comes out of rows(), in the caller's thread
            self._reader_error = error
        finally:
            self._waiting.put(None)
            self._put_end()

    def _put_end(self) -> None:
        while True:
            try:
                return self._underway.put(None, timeout=1)
            except queue.Full:
                if self._stopped.is_set():
                    return

    def _job(self, worker: DecodeWorker) -> None:
        """A job's thread: take turns until there are no more items."""
        while (first := self._waiting.get()) is not None:
            taken: list[_Result] = []
            try:
                self._turn(worker, first, taken)
            except BaseException as error:  # noqa: BLE001  it comes out of rows(), in the caller's thread
                for each in taken:
                    if not each.underway.rows.done():
                        each.underway.rows.set_exception(error)
        self._waiting.put(None)  # for the next job

    def _turn(self, worker: DecodeWorker, first: _Underway, taken: list[_Result]) -> None:
        """Give some items their rows."""
        quick, waiting = self._options.quick, list[_Waiting]()
        for underway in self._next_items(first):
            taken.append(_Result(underway))
            self._decode(worker, taken[-1], waiting, quick)
        self._score(waiting, quick)
        for result in taken:
            if any(row.exact is None for row in result.rows):
                result.rows.clear()
                self._decode(worker, result, waiting, quick=False)
                self._score(waiting, quick=False)
            result.underway.rows.set_result(self._rows(result))

    def _next_items(self, first: _Underway) -> Iterator[_Underway]:
        """A job's share of what waits, a batch at most; a batch also if there is no model yet to score with."""
        share = -(-(1 + self._waiting.qsize()) // self._options.jobs)
        underway: _Underway | None = first
        taken = 0
        while underway is not None:
            if self._stopped.is_set():
                underway.rows.cancel()
            else:
                yield underway
            taken += 1
            if taken >= (min(share, self._batch) if self._scorer.done() else LARGEST_BATCH):
                return
            try:
                underway = self._waiting.get_nowait()
            except queue.Empty:
                return
        self._waiting.put(None)  # the end, which every job must see

    def _decode(self, worker: DecodeWorker, result: _Result, waiting: list[_Waiting], quick: bool) -> None:
        """Let an item's pictures wait, and score all that do whenever they make a batch."""
        item = result.underway.item
        if item.error is not None:
            result.error = item.error
            return
        side = self._quick_side() if quick else None
        try:
            for message, payload in worker.messages(item.path if item.data is None else None, item.data, side):
                if message.pop("kind") == "file":
                    result.basis = replace(result.basis, **message)
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
        if result.error is not None:
            rows = [*rows, replace(result.basis, **_next_frame(rows), error=_error_text(result.error))]
        rows = [replace(row, **self._model()) for row in rows]
        rows += self._summary(rows)
        verdict = self._options.verdict
        return rows if verdict is None else [_judged(row, verdict) for row in rows]

    def _model(self) -> dict[str, Any]:
        engine = self._scorer.result().classifier.engine
        return {"engine": engine.name, "model": engine.model_hash}

    def _summary(self, rows: list[Row]) -> list[Row]:
        """The row that sums up a file of several pictures."""
        if not any(row.kind == "frame" for row in rows):
            return []
        scores = [row.score for row in rows if row.score is not None]
        above = sum(score >= self._options.above for score in scores)
        exact = all(row.exact for row in rows if row.score is not None)
        basis = replace(rows[0], kind="summary", frame=None, seconds=None, error=None, exact=exact)
        if not scores:
            return [
                replace(basis, score=None, frames=0, above=0, error="no-pictures: none of its frames could be scored")
            ]
        mean = sum(scores) / len(scores)
        return [replace(basis, score=max(scores), max=max(scores), mean=mean, frames=len(scores), above=above)]


@dataclass(frozen=True)
class _Underway:
    item: Item
    size: int
    """Bytes that the item holds in memory."""
    rows: Future[list[Row]] = field(default_factory=Future)


class _Result:
    """What is known of one item so far."""

    def __init__(self, underway: _Underway) -> None:
        self.underway = underway
        self.basis = _basis(underway.item)
        self.rows: list[Row] = []
        """Of its pictures; `exact` is None where the pixels did not suffice for the score that is needed."""
        self.error: InputError | None = None
        """What ended it."""

    def add(self, fields: dict[str, Any], score: Score, exact: bool | None) -> None:
        """A picture has its score, unless it is no number, which ends the file."""
        if self.error is None and score.error is not None:
            self.error = score.error
        if self.error is None:
            kind = "picture" if fields["frame"] is None else "frame"
            self.rows.append(replace(self.basis, **fields, kind=kind, score=score, exact=exact))


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


def _basis(item: Item) -> Row:
    return Row(
        path=item.path,
        member=item.member,
        bytes=item.size if item.data is None else len(item.data),
        modified=item.modified,
    )


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
