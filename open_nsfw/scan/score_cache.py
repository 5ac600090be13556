"""The cache of scores: what is known of files by their content, in an SQLite file that several processes may share.

An entry is found by the SHA-256 of a file's content and a digest of all that its rows depend on beside it
(score_context.py). Each has a checksum, so one that a disk has altered is not taken for a score. `id` says when an entry
was last used: to use it is to give it the highest one, and the lowest ones go first where the file becomes too large.

A fault while a run is under way costs no row: it is told once, and the run goes on without the cache.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from tempfile import TemporaryDirectory
from typing import TypeVar

from open_nsfw.scan.score_cache_file import NoRoom, opened
from open_nsfw.scan.score_cache_options import CacheOptions
from open_nsfw.text import printable

BUSY_SECONDS = 2.0  # to wait for another process that writes, which takes milliseconds
PAUSE_SECONDS = 10.0  # after a fault that may pass, such as a full disk
USES_AT_ONCE = 500  # that are noted in one transaction
EVICTED_AT_ONCE = 500  # entries that are removed in one transaction, so that other processes wait for milliseconds
KEPT_SHARE = 0.95  # of the largest size: what is left when old entries have been removed
PASSING_BYTES = 64 << 20  # of a cache for one run: a quarter of a million pictures
CHECK_BYTES = 8  # of the SHA-256 that guards an entry

logger = logging.getLogger("open_nsfw")
T = TypeVar("T")


def open_score_cache(options: CacheOptions) -> ScoreCache | None:
    """The cache in a file, with the errors of `ScoreCache`; None, and a warning, where the disk is full or another process
    has the file for long: that must not keep anybody from scores."""
    try:
        return ScoreCache(options.path, options.max_bytes)
    except NoRoom as error:
        logger.warning("%s; the run goes on without it", error)
        return None


@contextmanager
def passing_score_cache() -> Iterator[ScoreCache | None]:
    """A cache for one run alone, in the folder for temporary files; None, and a warning, where there is no room."""
    with TemporaryDirectory(prefix="open-nsfw-") as folder:
        cache = open_score_cache(CacheOptions(os.path.join(folder, "scores"), PASSING_BYTES))
        with cache or nullcontext():
            yield cache


class ScoreCache:
    """One open cache of scores. May be used by several threads. Use as a context manager."""

    def __init__(self, path: str, most_bytes: int) -> None:
        """Open the file, or make it. `most_bytes`: how large it may become, beside what SQLite has not merged into it yet
        (4 MiB). Raises UsageError if it is anything else than a whole cache of this version, or others can write to it;
        OutputError if it cannot be written, NoRoom if it could be at another time."""
        self.path, self._most = path, most_bytes
        self._lock = threading.Lock()
        self._used: list[tuple[bytes, bytes]] = []  # entries whose use is not noted in the file yet
        self._resumes = 0.0  # on the monotonic clock; infinite where the file is damaged
        self._told: set[str] = set()
        self._found = 0
        self._database = opened(path, BUSY_SECONDS)
        try:
            self._evict()
            self._database.executescript("PRAGMA incremental_vacuum")  # execute() would stop at the first page
        except sqlite3.Error as error:
            self._database.close()
            raise NoRoom(f"{printable(path)}: the cache of scores cannot be written: {error}") from error

    def __enter__(self) -> ScoreCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def found(self) -> int:
        """How many files had their rows without being scored."""
        return self._found

    def note_found(self) -> None:
        """One more file has its rows without being scored."""
        with self._lock:
            self._found += 1

    def knows(self, content: bytes) -> bool:
        """Whether there is any entry for a content's SHA-256, in whatever context."""
        query = "SELECT 1 FROM scores WHERE content = ? LIMIT 1"
        return self._tried(lambda: self._database.execute(query, (content,)).fetchone() is not None, False)

    def get(self, content: bytes, context: bytes) -> bytes | None:
        """What was put there, or None."""
        return self._tried(lambda: self._get(content, context), None)

    def put(self, content: bytes, context: bytes, value: bytes) -> None:
        """Keep an entry; what was there goes. One that alone is an eighth of the largest size is not kept."""
        packed = zlib.compress(value, 1)
        if len(packed) <= self._most // 8:
            self._tried(lambda: self._put(content, context, packed), None)

    def close(self) -> None:
        """Note what was used, and close the file."""
        self._tried(self._note_uses, None)
        with self._lock, suppress(sqlite3.Error):
            self._database.close()

    def _tried(self, work: Callable[[], T], otherwise: T) -> T:
        """What `work` gives, or `otherwise` where the file is of no use now."""
        with self._lock:
            if time.monotonic() < self._resumes:
                return otherwise
            try:
                return work()
            except (sqlite3.Error, zlib.error) as error:
                self._put_aside(error)
                return otherwise

    def _put_aside(self, error: Exception) -> None:
        """Do without the file: for a while, or where it is damaged to the end."""
        with suppress(sqlite3.Error):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        may_pass = isinstance(error, sqlite3.OperationalError)
        self._resumes = time.monotonic() + PAUSE_SECONDS if may_pass else float("inf")
        remedy = "the run goes on without it" if may_pass else "it is damaged; the run goes on without it; remove it"
        if str(error) not in self._told:
            self._told.add(str(error))
            logger.warning("%s: the cache of scores cannot be used (%s); %s", printable(self.path), error, remedy)

    def _get(self, content: bytes, context: bytes) -> bytes | None:
        query = "SELECT checksum, value FROM scores WHERE content = ? AND context = ?"
        row = self._database.execute(query, (content, context)).fetchone()
        if row is None:
            return None
        checksum, packed = row
        if checksum != _checksum(content, context, packed):
            raise sqlite3.DatabaseError("an entry is not what was written")
        self._used.append((content, context))
        if len(self._used) >= USES_AT_ONCE:
            self._note_uses()
        return zlib.decompress(packed)

    def _put(self, content: bytes, context: bytes, packed: bytes) -> None:
        self._note_uses()
        self._database.execute(
            "INSERT OR REPLACE INTO scores (id, content, context, checksum, value)"
            " VALUES ((SELECT coalesce(max(id), 0) + 1 FROM scores), ?, ?, ?, ?)",
            (content, context, _checksum(content, context, packed), packed),
        )
        self._evict()

    def _note_uses(self) -> None:
        """Give the entries that were used the highest numbers."""
        if not self._used:
            return
        used = list(dict.fromkeys(self._used))
        self._used.clear()  # also where they cannot be noted: they only say what is removed first
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(
            "UPDATE scores SET id = (SELECT max(id) + 1 FROM scores) WHERE content = ? AND context = ?", used
        )
        self._database.execute("COMMIT")

    def _evict(self) -> None:
        """Remove what was not used for longest, if the file is too large."""
        if self._size() <= self._most:
            return
        while self._size() > self._most * KEPT_SHARE:
            removed = self._database.execute(
                "DELETE FROM scores WHERE id IN (SELECT id FROM scores ORDER BY id LIMIT ?)", (EVICTED_AT_ONCE,)
            )
            if not removed.rowcount:
                return

    def _size(self) -> int:
        """Bytes of the file that hold something."""
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def _checksum(content: bytes, context: bytes, packed: bytes) -> bytes:
    return hashlib.sha256(b"".join((content, context, packed))).digest()[:CHECK_BYTES]
