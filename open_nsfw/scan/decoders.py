"""Work on items that needs their pixels, outside the pipeline: several decoding processes, and a thread for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.sources.item import Item

AHEAD = 2  # items a job that are taken from the sources, so that no job waits for another's
SECONDS = 60.0  # to decode one picture, as in a scan

Result = TypeVar("Result")


class Decoders:
    """Decoding processes for several threads. Use as a context manager: threads and processes end with it."""

    def __init__(self, extraction: Extraction, jobs: int = 1, seconds: float = SECONDS) -> None:
        """`seconds`: how long one picture may take."""
        self._watchdog = Watchdog()
        options = extraction.shared_by(jobs)
        self._workers = [DecodeWorker(options, seconds, self._watchdog) for _ in range(jobs)]
        self._free: SimpleQueue[DecodeWorker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(jobs, "decoding")
        self._stopped = False

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._threads.shutdown(wait=True)
        for worker in self._workers:
            worker.close()
        self._watchdog.close()

    def stop(self) -> None:
        """Begin with no further item; `map` gives what is under way and ends. May be called from a signal handler."""
        self._stopped = True

    def map(self, work: Callable[[DecodeWorker, Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """What `work` makes of each item, in the items' order; the items are closed. Its exceptions come out here."""
        waiting: deque[Future[Result]] = deque()
        for item in items:
            if self._stopped:
                item.close()
                break
            waiting.append(self._threads.submit(self._do, work, item))
            if len(waiting) >= AHEAD * len(self._workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _do(self, work: Callable[[DecodeWorker, Item], Result], item: Item) -> Result:
        worker = self._free.get()
        try:
            return work(worker, item)
        finally:
            item.close()
            self._free.put(worker)
