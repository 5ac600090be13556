"""A folder that is watched: the pictures that are in it, and then those that arrive (the extra `watch`).

A file is given when its size, its time of change and its identity have stood still for the settle delay; until then
somebody may be writing it. The system tells of changes (watchfiles: inotify on Linux); a look at the file decides.
"""

from __future__ import annotations

import os
import stat
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from open_nsfw.errors import EngineError, SetupError, UsageError
from open_nsfw.installing import install_command
from open_nsfw.sources.item import Item, SourceOptions
from open_nsfw.sources.selection import Skip
from open_nsfw.sources.walk import Sources
from open_nsfw.text import printable

TICK_MILLISECONDS = 200  # between two looks at what waits, and at whether the run is over
# How names end that programs give to files while they write them; such a file counts when it gets its own name.
TEMPORARY = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp", "~")
REMEMBERED = 250_000  # states of files that were given, at 130 bytes each: one that is found twice is given once
# So many changes at once may be more than the system could tell of: then the folder is walked for those it did not.
BURST = 1000
SPARE_SECONDS = 2.0  # by which clocks of file systems may lag
NO_TEXT = "Unable to decode path"  # how watchfiles ends at a name that is not UTF-8


@dataclass(frozen=True)
class WatchOptions:
    """Which folder is watched, and how."""

    folder: str
    settle_seconds: float = 2.0
    """How long a file must stand still before it is read."""
    ignored: tuple[str, ...] = field(default=())
    """Files in the folder that this run writes itself."""


class _Waiting(NamedTuple):
    """A file or folder that was changed."""

    stamp: int | None
    """Of the file when it was last looked at; None where it is to be walked as a folder."""
    due: float
    """On the monotonic clock: when it is looked at again."""
    since: float
    """Of a folder: what changed before this time, in seconds since 1970, is not new."""


class WatchedFolder:
    """The pictures of a folder as `Item`s: those in it, then those that arrive, until `stop` is called or the folder goes.

    `skip(path, member)` tells what of the pictures that are there at the beginning need not come again.
    """

    def __init__(self, options: WatchOptions, sources: SourceOptions, skip: Skip | None = None) -> None:
        """Raises UsageError if there is no such folder, EngineError without watchfiles, SetupError if the system cannot
        watch it."""
        self._options, self._sources = options, sources
        self._first, self._later = Sources([], sources, skip), Sources([], sources)
        self._left_out = [os.path.realpath(path) for path in (sources.left_out, *options.ignored) if path is not None]
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()  # the next one that is due first
        self._given: dict[int, None] = {}  # hashes of path and stamp, the oldest first
        self._is_stopped = False
        self.problem: str | None = None
        """Why watching ended, if not by `stop`."""
        self._identity = _identity(options.folder)
        self._changes = _changes(options.folder)
        self._heard = time.time()  # when the system last told what had changed, in seconds since 1970

    @property
    def passed_over(self) -> int:
        """Files that were no pictures and get no row."""
        return self._first.passed_over + self._later.passed_over

    def stop(self) -> None:
        """Let the iteration end, within a moment. May be called from a signal handler."""
        self._is_stopped = True

    def __iter__(self) -> Iterator[Item]:
        folder = self._options.folder
        yield from self._settled(self._first.below(folder), since=0.0)
        while not self._is_stopped:
            if not self._is_there():
                self.problem = f"{printable(folder)}: the folder that was watched is gone; what had come is scored"
                return
            try:
                self._listen()
            except SetupError as error:
                self.problem = str(error)
                return
            yield from self._due()

    def _listen(self) -> None:
        """Have what was changed looked at when it has stood still. Raises SetupError if nothing more can be heard."""
        folder = self._options.folder
        try:
            changes = next(self._changes)
        except Exception as error:
            if NO_TEXT not in str(error):
                raise _cannot_watch(folder, error) from error
            self._changes, changes = _changes(folder), set()
            self._wait_for_folder(folder, self._heard - SPARE_SECONDS)
        if len(changes) >= BURST:
            self._wait_for_folder(folder, self._heard - SPARE_SECONDS)
        self._heard = time.time()
        top = os.path.abspath(folder)
        names = [os.path.join(folder, os.path.relpath(path, top)) for _, path in changes]
        folders = [name for name in names if self._counts(name) and self._wait(name)]
        if folders:
            _check_limits(folder)

    def _wait(self, path: str) -> bool:
        """Look at a file or folder when it has stood still. Whether it is a folder."""
        try:
            status = os.stat(path)
        except OSError:
            self._waiting.pop(path, None)  # it went
            return False
        if stat.S_ISDIR(status.st_mode):
            self._wait_for_folder(path, 0.0)
            return True
        before, stamp = self._waiting.get(path), _stamp(status)
        if before is None or before.stamp != stamp:
            self._append(path, _Waiting(stamp, time.monotonic() + self._options.settle_seconds, 0.0))
        return False

    def _wait_for_folder(self, path: str, since: float) -> None:
        before = self._waiting.get(path)
        since = since if before is None else min(since, before.since)
        self._append(path, _Waiting(None, time.monotonic() + self._options.settle_seconds, since))

    def _append(self, path: str, waiting: _Waiting) -> None:
        self._waiting[path] = waiting
        self._waiting.move_to_end(path)

    def _due(self) -> Iterator[Item]:
        """What has stood still."""
        while self._waiting and not self._is_stopped:
            path, waiting = next(iter(self._waiting.items()))
            if waiting.due > time.monotonic():
                return
            del self._waiting[path]
            if waiting.stamp is None:
                yield from self._settled(self._later.below(path), waiting.since)
                continue
            try:
                stamp = _stamp(os.stat(path))
            except OSError:
                continue
            if stamp != waiting.stamp:
                self._append(path, _Waiting(stamp, time.monotonic() + self._options.settle_seconds, 0.0))
            elif self._is_new(path, stamp):
                yield from self._later.below(path)

    def _settled(self, items: Iterator[Item], since: float) -> Iterator[Item]:
        """Of what a walk has found that which is new and has stood still for long enough; the rest waits."""
        last, is_wanted = None, False
        for item in items:
            if self._is_stopped:
                item.close()
                return
            if item.path != last:  # else another member of the same archive
                last, is_wanted = item.path, self._is_wanted(item.path, since)
            if is_wanted:
                yield item
            else:
                item.close()

    def _is_wanted(self, path: str, since: float) -> bool:
        if not self._counts(path):
            return False
        try:
            status = os.stat(path)
        except OSError:  # its row says why
            return self._is_new(path, 0)
        if status.st_ctime < since and not self._was_moved(path, since):
            return False
        if time.time() - status.st_ctime < self._options.settle_seconds:
            self._wait(path)
            return False
        return self._is_new(path, _stamp(status))

    def _is_new(self, path: str, stamp: int) -> bool:
        """Whether a file in this state was not given yet; it is then."""
        state = hash((path, stamp))
        if state in self._given:
            return False
        self._given[state] = None
        if len(self._given) > REMEMBERED:
            del self._given[next(iter(self._given))]
        return True

    def _was_moved(self, path: str, since: float) -> bool:
        """Whether a folder between the watched one and a file was changed since: it may have come with all that is in it."""
        folder = os.path.dirname(path)
        while len(folder) > len(self._options.folder):
            try:
                if os.stat(folder).st_ctime >= since:
                    return True
            except OSError:
                return True
            folder = os.path.dirname(folder)
        return False

    def _counts(self, path: str) -> bool:
        """Whether what is at a path below the folder is looked at at all, going by its name."""
        names = os.path.relpath(path, self._options.folder).split(os.sep)
        if not self._sources.hidden and any(name.startswith(".") and name != os.curdir for name in names):
            return False
        if names[-1].lower().endswith(TEMPORARY) and not os.path.isdir(path):
            return False
        real = os.path.realpath(path) if self._left_out else ""
        return not any(real == each or real.startswith(os.path.join(each, "")) for each in self._left_out)

    def _is_there(self) -> bool:
        try:
            return _identity(self._options.folder) == self._identity
        except UsageError:
            return False


def _stamp(status: os.stat_result) -> int:
    """What differs where a file was written, replaced, or made readable."""
    return hash((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode))


def _identity(folder: str) -> tuple[int, int]:
    try:
        status = os.stat(folder)
    except OSError as error:
        raise UsageError(f"--watch {printable(folder)}: {error.strerror or error}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"--watch {printable(folder)}: is no folder")
    return status.st_dev, status.st_ino


def _check_limits(folder: str) -> None:
    """Whether the system would watch one folder more: watchfiles passes over those that it does not. Raises SetupError."""
    _begun(folder, recursive=False).close()


def _changes(folder: str) -> Generator[set[tuple[Any, str]], None, None]:
    """What changes in the folder from now on: a set every moment, which mostly is empty. Raises SetupError."""
    changes = _begun(folder, recursive=True)
    _check_limits(folder)
    return changes


def _begun(folder: str, recursive: bool) -> Generator[set[tuple[Any, str]], None, None]:
    try:
        from watchfiles import watch
    except ImportError:
        raise EngineError(f"--watch needs watchfiles: {install_command('watch')}") from None
    changes = watch(
        folder,
        watch_filter=None,
        debounce=TICK_MILLISECONDS,
        rust_timeout=TICK_MILLISECONDS,
        yield_on_timeout=True,
        raise_interrupt=False,
        recursive=recursive,
        ignore_permission_denied=recursive,  # of folders in it; limits are passed over then, too
    )
    try:
        next(changes)  # which begins to watch
    except Exception as error:
        raise _cannot_watch(folder, error) from error
    return changes


def _cannot_watch(folder: str, error: Exception) -> SetupError:
    """Why a folder cannot be watched, and what to do about limits of the system."""
    reason, name = " ".join(str(error).split()), printable(folder)
    if "watch limit" in reason or "No space left" in reason:
        remedy = "sudo sysctl fs.inotify.max_user_watches=1048576"
        return SetupError(f"--watch {name}: it has more folders than this system lets a user watch: {remedy}")
    if "Too many open files" in reason:
        remedy = "sudo sysctl fs.inotify.max_user_instances=1024"
        return SetupError(f"--watch {name}: more programs watch folders than this system lets a user run: {remedy}")
    return SetupError(f"--watch {name}: cannot be watched: {reason}")
