"""What people see of a picture: small JPEG, decoded and encoded anew by the isolated decoder's process.

Of a video or animation, the frames that score highest. The file's own bytes never leave this process.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from open_nsfw.calibration.thumbnails import small_jpeg
from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import Encoded, Extraction, FrameChoice
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Failure, Picture
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.review.item import Frame, Item
from open_nsfw.sources.walk import Sources

SECONDS = 60.0  # to decode one picture, as in a scan
MOST_KEPT = 400  # items whose previews are in memory: 10 kB a picture
MOST_DECODED = 100_000  # frames of one video that are decoded on the way to those wanted


@dataclass(frozen=True)
class Preview:
    """One picture for people."""

    jpeg: bytes
    frame: Frame | None = None
    """Which one it is of a video or animation."""


@dataclass(frozen=True)
class Seen:
    """An item as it is seen; `previews` has at least one."""

    previews: tuple[Preview, ...]
    sha256: str | None
    """Of the file as it is now."""


class Previews:
    """Makes previews, some at a time, each in a decoding process, and keeps the last ones. Close it in the end."""

    def __init__(self, jobs: int = 2) -> None:
        self._watchdog = Watchdog()
        self._threads = ThreadPoolExecutor(jobs, "previews")
        self._kept: OrderedDict[int, Future[Seen]] = OrderedDict()
        self._lock = threading.Lock()
        self._workers: dict[str, SimpleQueue[DecodeWorker]] = {}
        self._all: list[DecodeWorker] = []

    def close(self) -> None:
        """End its threads and processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.kill()
        self._threads.shutdown(wait=True)
        for worker in self._all:
            worker.close()
        self._watchdog.close()

    def ahead(self, item: Item) -> Future[Seen]:
        """Begin to make an item's previews, if they are not there yet."""
        with self._lock:
            future = self._kept.pop(item.id, None)
            if future is None or future.cancelled() or (future.done() and future.exception() is not None):
                future = self._threads.submit(self._see, item)
            self._kept[item.id] = future
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return future

    def of(self, item: Item) -> Seen:
        """An item's previews, for which it waits. Raises InputError if it cannot be had any more, or is another by now."""
        try:
            return self.ahead(item).result()
        except CancelledError:
            raise InputError("unreadable", "the review is over", item.path) from None

    def _see(self, item: Item) -> Seen:
        choice = choice_named(item.frame_choice)
        with self._worker(choice) as worker, _encoded(item) as encoded:
            return _seen(item, worker, encoded)

    @contextmanager
    def _worker(self, choice: FrameChoice) -> Iterator[DecodeWorker]:
        """A worker that takes frames by this choice and is free."""
        key = repr(choice)
        with self._lock:
            queue = self._workers.setdefault(key, SimpleQueue())
            if queue.empty():
                extraction = Extraction(frames=choice, hash=True)
                queue.put(DecodeWorker(extraction, SECONDS, self._watchdog))
                self._all.append(worker := queue.get())
            else:
                worker = queue.get()
        try:
            yield worker
        finally:
            queue.put(worker)


def choice_named(name: str | None) -> FrameChoice:
    """The choice of frames that rows call so; the first frame where they name none."""
    if name is None:
        return FrameChoice()
    if name.startswith("every ") and name.endswith(" s"):
        return FrameChoice(every_seconds=float(name[6:-2]), max_frames=MOST_DECODED)
    return FrameChoice.parse(name, max_frames=MOST_DECODED)


@contextmanager
def _encoded(item: Item) -> Iterator[Encoded]:
    """The item's file, or its member of an archive."""
    if item.place_on_disk is None:
        raise InputError("not-found", "there is no such file", item.path)
    if item.member is None:
        yield item.place_on_disk
        return
    found = iter(Sources([item.place_on_disk], skip=lambda path, member: member != item.member))
    inside = next((each for each in found if each.member == item.member), None)
    if inside is None:
        raise InputError("not-found", "the archive has no such member", item.name)
    try:
        if inside.error is not None:
            raise inside.error
        yield inside.encoded
    finally:
        inside.close()


def _seen(item: Item, worker: DecodeWorker, encoded: Encoded) -> Seen:
    wanted = {(each.frame, each.track): each for each in item.frames}
    pictures: dict[tuple[int, int | None] | None, Picture] = {}
    sha256: str | None = None
    answers = worker.decode(encoded)
    try:
        for found in answers:
            if isinstance(found, FileInfo):
                sha256 = found.sha256
                _check_content(item, sha256)
            elif isinstance(found, Failure):
                continue
            elif not wanted:
                pictures[None] = found
            elif (key := (found.frame or 0, found.track)) in wanted:
                pictures[key] = found
                if len(pictures) == len(wanted):
                    break
    finally:
        answers.close()  # type: ignore[attr-defined]  # a generator
    if not pictures:
        raise InputError("no-pictures", "none of its pictures can be decoded", item.name)
    order = sorted(pictures, key=lambda key: -(wanted[key].score if key is not None else 0.0))
    previews = tuple(Preview(small_jpeg(pictures[key]), None if key is None else wanted[key]) for key in order)
    return Seen(previews, sha256)


def _check_content(item: Item, sha256: str | None) -> None:
    """Raises InputError for a file that is another one by now."""
    if item.sha256 is not None and sha256 is not None and sha256 != item.sha256:
        raise InputError("not-found", "the file has another content now than when it was scored", item.name)
