"""What people see of a picture: small JPEG, decoded and encoded anew by the isolated decoder's process.

Of a video or animation, the frames that score highest. The file's own bytes never leave this process.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from open_nsfw.calibration.thumbnails import small_jpeg
from open_nsfw.errors import InputError, UsageError
from open_nsfw.pictures.extraction import Encoded, Extraction, FrameChoice
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.review.item import Frame, Item
from open_nsfw.sources.walk import Sources
from open_nsfw.text import number

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
        self._jobs = jobs
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

    def picture(self, item: Item, number: int) -> Picture:
        """The picture behind an item's preview of this number, as the network reads it; decoded again, in this thread.

        Raises InputError if there is none, UsageError after `close`.
        """
        with _until_closed(), self._worker(choice_named(item.frame_choice)) as worker, _encoded(item) as encoded:
            pictures, _ = _decoded(item, worker, encoded)
        if not 0 <= number < len(pictures):
            raise InputError("no-pictures", f"it has no picture of number {number}", item.name)
        return pictures[number][1]

    def of(self, item: Item) -> Seen:
        """An item's previews, for which it waits. Raises InputError if it cannot be had any more, or is another by now;
        UsageError after `close`, which says nothing of the item."""
        with _until_closed():
            return self.ahead(item).result()

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
                extraction = Extraction(frames=choice, hash=True).shared_by(self._jobs)
                queue.put(DecodeWorker(extraction, SECONDS, self._watchdog))
                self._all.append(worker := queue.get())
            else:
                worker = queue.get()
        try:
            yield worker
        finally:
            queue.put(worker)


@contextmanager
def _until_closed() -> Iterator[None]:
    """Makes what `close` raises in others' threads an error for people."""
    try:
        yield
    except CancelledError:
        raise UsageError("the review is over") from None


def choice_named(name: str | None) -> FrameChoice:
    """The choice of frames that rows call so; the first frame where they name none. Raises UsageError for another name."""
    if name is None:
        return FrameChoice()
    if name.endswith(" s"):  # of a video: `every N s` or `scenes, every N s`
        scenes, _, every = name[: -len(" s")].rpartition("every ")
        return FrameChoice(every_seconds=_seconds(every), max_frames=MOST_DECODED, scenes=bool(scenes))
    return FrameChoice.parse(name, max_frames=MOST_DECODED)


def _seconds(text: str) -> float:
    value = number(text)
    if not 0 < value < math.inf:
        raise UsageError(f"the rows name a choice of frames that is none: every {text} s")
    return value


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
    pictures, sha256 = _decoded(item, worker, encoded)
    return Seen(tuple(Preview(small_jpeg(picture), frame) for frame, picture in pictures), sha256)


def _decoded(
    item: Item, worker: DecodeWorker, encoded: Encoded
) -> tuple[list[tuple[Frame | None, Picture]], str | None]:
    """(the item's pictures, of several frames those that score highest first; the SHA-256 of the file). Raises InputError."""
    wanted = {(each.frame, each.track): each for each in item.frames}
    found: list[tuple[Frame | None, Picture]] = []
    sha256: str | None = None
    answers = worker.decode(encoded)
    try:
        for answer in answers:
            if isinstance(answer, FileInfo):
                sha256 = answer.sha256
                _check_content(item, sha256)
            elif isinstance(answer, Picture):
                frame = wanted.get((answer.frame or 0, answer.track))
                if frame is not None or not wanted:
                    found.append((frame, answer))
                if wanted and len(found) == len(wanted):
                    break
    finally:
        answers.close()  # type: ignore[attr-defined]  # it is a generator
    if not found:
        raise InputError("no-pictures", "none of its pictures can be decoded", item.name)
    return sorted(found, key=lambda each: -(each[0].score if each[0] is not None else 0.0)), sha256


def _check_content(item: Item, sha256: str | None) -> None:
    """Raises InputError for a file that is another one by now."""
    if item.sha256 is not None and sha256 is not None and sha256 != item.sha256:
        raise InputError("not-found", "the file has another content now than when it was scored", item.name)
