"""The file of a cache of scores: made, or opened after it was found to be one.

SQLite would make its own of an empty file, and wait with the verdict on any other until it reads from it. So the header
is looked at first, and what is not a cache of scores is left as it is.
Layout of the header: https://www.sqlite.org/fileformat.html, section 1.3.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from pathlib import Path

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.scoring.cache_folder import distrust
from open_nsfw.text import printable

MAGIC = b"SQLite format 3\0"
HEADER = 100  # bytes
# In the header, whole numbers of four bytes, big-endian; the size of a page has two, in which 1 stands for 65,536.
_PAGE_SIZE_AT, _PAGES_AT, _SCHEMA_AT, _VERSION_AT, _APPLICATION_AT = 16, 28, 40, 60, 68
APPLICATION = 0x4E534643  # "NSFC"
VERSION = 1  # of the table below
SIDE_FILES = ("", "-wal", "-shm", "-journal")  # what SQLite has beside a file, and reads from
START_SECONDS = 10.0  # for several processes that make the same file at the same time
RETRY_SECONDS = 0.05
_MAY_PASS = ("full", "I/O", "locked")  # in SQLite's messages: "database or disk is full", and so on

# `id` rises with each use. It is the order of the entries in the file, so what is removed together frees whole pages.
TABLE = """CREATE TABLE scores (
    id INTEGER PRIMARY KEY,
    content BLOB NOT NULL,
    context BLOB NOT NULL,
    checksum BLOB NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (content, context)
)"""


class NoRoom(OutputError):
    """A cache of scores cannot be written now: the disk is full, or another process has it for long."""


def opened(path: str, busy_seconds: float) -> sqlite3.Connection:
    """The file, open, with the table in it. Calls wait so many seconds for another process that writes.

    Raises UsageError if it is anything else than a whole cache of this version, or others can write to it; OutputError if
    it cannot be opened or written, NoRoom if it could be at another time.
    """
    name = printable(path)
    try:
        _create(path)
        _check_header(path)
        return _connected(path, busy_seconds)
    except sqlite3.OperationalError as error:
        kind = NoRoom if any(word in str(error) for word in _MAY_PASS) else OutputError
        raise kind(f"{name}: the cache of scores cannot be opened: {error}") from error
    except sqlite3.DatabaseError as error:
        raise _damaged(name, str(error)) from error
    except OSError as error:
        kind = NoRoom if error.errno == errno.ENOSPC else OutputError
        raise kind(f"{name}: the cache of scores cannot be opened: {error.strerror or error}") from error


def _create(path: str) -> None:
    """Make the file, empty, if it is not there: readable for this user alone, since it tells what was scored. Raises
    UsageError for a pipe or a device, which could be waited for in vain."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise _foreign(printable(path))
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        with open(path, "r+b"):  # whether it may be written
            pass


def _check_header(path: str) -> None:
    """Raises UsageError for what this user must not trust or this version does not write."""
    name = printable(path)
    for suffix in SIDE_FILES:
        if os.path.lexists(path + suffix) and (reason := distrust(Path(path + suffix))) is not None:
            raise UsageError(f"{name}{suffix}: {reason}; scores that others may have put there are not used")
    is_in_use = os.path.exists(path + "-wal")  # then the file may lack what is in there
    with open(path, "rb") as file:
        header, size = file.read(HEADER), os.fstat(file.fileno()).st_size
    if not header:
        return
    if not header.startswith(MAGIC[: len(header)]):
        raise _foreign(name)
    if len(header) == HEADER and _number(header, _APPLICATION_AT) != APPLICATION:
        if _number(header, _APPLICATION_AT) == _number(header, _SCHEMA_AT) == 0:
            return  # no table was ever made: another process is about to make this one
        raise _foreign(name)
    if len(header) < HEADER or (size < _size(header) and not is_in_use):
        raise _damaged(name, "it is cut short")
    if _number(header, _VERSION_AT) != VERSION:
        raise UsageError(
            f"{name}: a cache of scores of version {_number(header, _VERSION_AT)}, and this release has version {VERSION}; "
            "remove it, or name another file in --cache"
        )


def _size(header: bytes) -> int:
    """Bytes that the file has by its header."""
    page = int.from_bytes(header[_PAGE_SIZE_AT : _PAGE_SIZE_AT + 2], "big")
    return (65536 if page == 1 else page) * _number(header, _PAGES_AT)


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 4], "big")


def _foreign(name: str) -> UsageError:
    return UsageError(f"{name}: is no cache of scores; it was left as it is, name another file in --cache")


def _damaged(name: str, reason: str) -> UsageError:
    return UsageError(f"{name}: the cache of scores is damaged ({reason}); remove it, and the next run makes it anew")


def _connected(path: str, busy_seconds: float) -> sqlite3.Connection:
    """A connection, once the table is there. Where other processes open the same new file, SQLite does not wait by itself."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        # The absolute path: SQLite takes some names, as ":memory:", for something else than files.
        database = sqlite3.connect(
            os.path.abspath(path), timeout=busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            _set_up(database)
            return database
        except sqlite3.OperationalError as error:
            database.close()
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
        except BaseException:
            database.close()
            raise


def _set_up(database: sqlite3.Connection) -> None:
    """Make the table if it is not there, or check that it is this one."""
    database.execute("PRAGMA trusted_schema = OFF")
    if _table(database) is None:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only an empty file takes it
        database.execute("BEGIN IMMEDIATE")
        if _table(database) is None:  # else another process was faster
            database.execute(TABLE)
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("COMMIT")
    if _table(database) != TABLE:
        raise sqlite3.DatabaseError("its table is not the one that belongs there")
    database.execute("PRAGMA journal_mode = WAL")  # readers and one writer do not wait for each other
    database.execute("PRAGMA synchronous = NORMAL")  # a power failure may cost the last entries, never the file
    database.execute(f"PRAGMA journal_size_limit = {4 << 20}")
    database.execute("SELECT min(id), max(id) FROM scores").fetchone()


def _table(database: sqlite3.Connection) -> str | None:
    row = database.execute("SELECT sql FROM sqlite_master WHERE name = 'scores'").fetchone()
    return None if row is None else str(row[0])
