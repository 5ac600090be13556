"""sources -> decoding processes -> engine -> rows, in order: the threads of a scan, and what they may hold.

A reader goes through the sources, and gives each item to the jobs of a `Pool`, which do not wait for the scores of an engine
that takes batches. Whoever goes through `Pipeline.rows` does, and gets the rows of each item in the items' order.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

from open_nsfw.rows.row import Row
from open_nsfw.scan.job import Task
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pool import Pool
from open_nsfw.scan.results import ItemResult
from open_nsfw.scan.seen import PassedOver
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item

WINDOW = 256  # files under way, finished ones that wait for a slower one before them included
WINDOW_BYTES = 128 * 1024 * 1024  # of archive members and the like that are held at once, in memory or temporary files
STOP_SECONDS = 0.1  # between two looks at whether the run is over
READER_SECONDS = 1  # for the reader of the sources to notice that it is over


class Pipeline:
    """Scores items. Use as a context manager: its threads and processes end with it."""

    def __init__(self, options: PipelineOptions) -> None:
        self._options = options
        self._pool = Pool(options)
        self._underway: queue.SimpleQueue[_Underway | None] = queue.SimpleQueue()  # in the order of the items
        self._room = threading.Semaphore(WINDOW)
        self._held = Budget(WINDOW_BYTES)
        self._stopped = False
        self._reader: threading.Thread | None = None
        self._reader_error: BaseException | None = None
        self._process, self._closing, self._is_closed = os.getpid(), threading.Lock(), False

    def __enter__(self) -> Pipeline:
        # An interpreter that ends stops threads wherever they are, and in ONNX Runtime that aborts the process.
        atexit.register(self._close)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        """End threads and processes, once. A fork of the process that they belong to leaves them alone."""
        atexit.unregister(self._close)
        if os.getpid() != self._process:
            return
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self.stop()
            self._pool.close()
            if self._reader is not None:
                # Unless its source keeps it: a read from a terminal or pipe cannot be called off.
                self._reader.join(READER_SECONDS)

    def use(self, models: Models) -> None:
        """Hand over what computes the scores. Files are read and decoded before it is there."""
        self._pool.use(models)

    def stop(self) -> None:
        """Take no further item; `rows` gives what is under way and ends. May be called from a signal handler."""
        self._stopped = True
        self._pool.tasks.stop()
        self._held.open()
        # Wakes `rows` where the source has nothing to give for long. A handler may come while `rows` is in that queue: of
        # Python's, only SimpleQueue stands that.
        self._underway.put(None)

    def start(self, items: Iterable[Item]) -> None:
        """Begin to read and decode `items`, in the background."""
        self._reader = threading.Thread(target=self._read, args=(items,), name="reader", daemon=True)
        self._reader.start()
        self._pool.start()

    def rows(self) -> Iterator[list[Row]]:
        """The rows of each item, in the items' order: one for a picture, more for an animation or a video, none for a
        file that was taken for its content alone and has only sound.

        An exception of the source or of the engine comes out here.
        """
        passed_over = PassedOver()
        while True:
            try:
                underway = self._underway.get(block=not self._stopped)
            except queue.Empty:  # stopped, and nothing more is under way
                break
            if underway is None:
                if self._stopped:
                    continue
                break
            try:
                rows = self._pool.rows(underway.result.result(), self._options)
                if passed_over.is_due(underway.unless_seen):
                    passed_over.note(not rows)
                    yield rows
            except CancelledError:
                continue
            finally:
                self._held.give_back(underway.size)
                self._room.release()
        if self._reader_error is not None:
            raise self._reader_error

    def _read(self, items: Iterable[Item]) -> None:
        """The reader's thread."""
        try:
            for item in items:
                size = item.held
                self._held.take(size)
                if not self._has_room():
                    item.close()
                    break
                task = Task(item)
                self._pool.submit(task)
                self._underway.put(_Underway(task.result, size, item.unless_seen))
        except BaseException as error:  # noqa: BLE001  it comes out of rows(), in the caller's thread
            self._reader_error = error
        finally:
            self._pool.tasks.close()
            self._underway.put(None)

    def _has_room(self) -> bool:
        """Wait until one more file may be under way; False if the run is over."""
        while not self._room.acquire(timeout=STOP_SECONDS):
            if self._stopped:
                return False
        return not self._stopped


@dataclass(frozen=True)
class _Underway:
    """What `rows` waits for. The item itself, which may hold a whole file, ends with its job."""

    result: Future[ItemResult]
    size: int
    """Bytes that the item takes of the budget."""
    unless_seen: int
    """Of the item: it has no rows unless so many before it were passed over."""


class Budget:
    """Lets the reader hold some bytes at once; a single item may be larger than the whole budget."""

    def __init__(self, most: int) -> None:
        self._most, self._taken, self._is_open = most, 0, False
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Wait until there is room for so many bytes."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._taken == 0 or self._taken + size <= self._most)
            self._taken += size

    def give_back(self, size: int) -> None:
        """Make room again."""
        with self._changed:
            self._taken -= size
            self._changed.notify_all()

    def open(self) -> None:
        """Let everyone pass from now on."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()
