"""source -> decode workers -> bounded queue -> engine -> rows, in order.

Each job is a thread with a decoding process of its own. The thread sends a file over, waits for the pixels, and
computes the forward pass itself where the engine allows that: with one job a core, every core is either decoding or
computing, and neither waits for the other. An engine that takes one caller, or batches, gets a thread of its own that
all jobs feed.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from open_nsfw.errors import InputError
from open_nsfw.escalation import Margins, escalates
from open_nsfw.extraction import Extraction
from open_nsfw.formats import SIDE
from open_nsfw.isolation import DecodeWorker, Watchdog
from open_nsfw.outputs import Row
from open_nsfw.sources import Item

if TYPE_CHECKING:
    from open_nsfw.classifier import Classifier, Score
    from open_nsfw.preprocess import Pixels

WINDOW = 256  # files under way, finished ones that wait for a slower one before them included
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
    above: float = 0.8
    """The summary row of a video or animation counts the frames that score at least this."""
    verdict: Callable[[float], str] | None = None
    """Names the band of a score, for every row."""


class Pipeline:
    """Scores items. Use as a context manager: its threads and processes end with it."""

    def __init__(self, options: PipelineOptions) -> None:
        self._options = options
        self._watchdog = Watchdog()
        self._workers: queue.SimpleQueue[DecodeWorker] = queue.SimpleQueue()
        self._all_workers = [
            DecodeWorker(options.extraction, options.max_seconds, self._watchdog) for _ in range(options.jobs)
        ]
        for worker in self._all_workers:
            self._workers.put(worker)
        self._executor = ThreadPoolExecutor(options.jobs, thread_name_prefix="job")
        self._scorer: Future[_Scorer] = Future()
        self._underway: queue.Queue[_Underway | None] = queue.Queue(WINDOW)
        self._held = _Budget(WINDOW_BYTES)
        self._stopped = threading.Event()
        self._reader: threading.Thread | None = None
        self._reader_error: BaseException | None = None

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._scorer.cancel()  # if no model came, jobs that wait for it must not
        for worker in self._all_workers:
            worker.kill()  # ends what a job may still wait for
        self._executor.shutdown(wait=True)
        for worker in self._all_workers:
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
        self._scorer.set_result(_Scorer(models))

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
                self._underway.put(_Underway(self._executor.submit(self._rows, item), size))
        except BaseException as error:  # noqa: BLE001  it comes out of rows(), in the caller's thread
            self._reader_error = error
        finally:
            self._put_end()

    def _put_end(self) -> None:
        while True:
            try:
                return self._underway.put(None, timeout=1)
            except queue.Full:
                if self._stopped.is_set():
                    return

    def _rows(self, item: Item) -> list[Row]:
        """All rows of one item. Raises CancelledError if the run is over before the item's turn."""
        if self._stopped.is_set():
            raise CancelledError
        basis = _basis(item)
        if item.error is not None:
            return [replace(basis, **self._model(), error=_error_text(item.error))]
        rows: list[Row] = []
        worker = self._workers.get()
        try:
            for message, payload in self._messages(worker, item, self._options.quick):
                if message.pop("kind") == "file":
                    basis = replace(basis, **message)
                else:
                    rows.append(self._row(basis, message, payload, self._options.quick))
            if any(row.exact is None for row in rows):
                rows = self._exact_rows(worker, item, rows)
        except InputError as error:
            rows = [row for row in rows if row.exact is not None]
            rows.append(replace(basis, **_next_frame(rows), error=_error_text(error)))
        finally:
            self._workers.put(worker)
        rows = [replace(row, **self._model()) for row in rows]
        rows += self._summary(rows)
        verdict = self._options.verdict
        return rows if verdict is None else [_judged(row, verdict) for row in rows]

    def _messages(self, worker: DecodeWorker, item: Item, quick: bool) -> Iterator[tuple[dict[str, Any], bytes]]:
        return worker.messages(item.path if item.data is None else None, item.data, quick)

    def _row(self, basis: Row, message: dict[str, Any], payload: bytes, quick: bool) -> Row:
        """A picture's row; `exact` is None where its pixels do not suffice for the score that it needs."""
        import numpy as np

        reduced = message.pop("reduced")
        pixels = np.frombuffer(payload, dtype=np.uint8).reshape(SIDE, SIDE, 3)
        score, exact = self._scorer.result().score(pixels, reduced, quick)
        if score.error is not None:
            raise score.error
        return replace(
            basis, **message, kind="picture" if message["frame"] is None else "frame", score=score, exact=exact
        )

    def _exact_rows(self, worker: DecodeWorker, item: Item, rows: list[Row]) -> list[Row]:
        """The rows again, of pixels decoded in full."""
        messages = [each for each in self._messages(worker, item, False) if each[0].pop("kind") == "picture"]
        return [self._row(replace(row, score=None), *each, quick=False) for row, each in zip(rows, messages)]

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
    rows: Future[list[Row]]
    size: int
    """Bytes that the item holds in memory."""


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


@dataclass(frozen=True)
class Models:
    """What computes the scores of a run."""

    exact: Classifier
    quick: Classifier | None = None
    """Of the same model, for the fast mode: scores what is far from any threshold."""
    thresholds: tuple[float, ...] = ()
    margins: Margins = Margins()
    """A picture whose quick score is this near to a threshold is scored exactly."""


class _Scorer:
    """Calls the classifiers from the jobs' threads: directly, or through one thread that collects batches."""

    def __init__(self, models: Models) -> None:
        self.classifier = models.exact
        self._models = models
        self._waiting: queue.Queue[tuple[Pixels, Future[Score]] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        if not self.classifier.engine.concurrent:
            self._thread = threading.Thread(target=self._serve, name="scorer", daemon=True)
            self._thread.start()

    def score(self, pixels: Pixels, reduced: bool, quick: bool) -> tuple[Score, bool | None]:
        """The score of uint8 (256, 256, 3), if `quick` by the quick model where that is enough, and whether it is exact;
        None for that where an exact score is needed and `reduced` pixels cannot give it."""
        models = self._models
        if quick and models.quick is not None:
            (score,) = models.quick.score_pixels(pixels[None])
            if not escalates(score, models.thresholds, models.margins.of(reduced)):
                return score, False
            if reduced:
                return score, None
        return self._exact_score(pixels), self.classifier.engine.exact

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
