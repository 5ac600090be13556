"""The file of a review: SQLite, opened and checked, and its transactions.

The file is in WAL mode, so that a kill at any moment leaves all that was committed, and several processes may have it open.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.review.schema import APPLICATION, TABLES, VERSION
from open_nsfw.text import printable

WAIT_SECONDS = 30  # for another process to finish its transaction
MAGIC = b"SQLite format 3\0"


class Store:
    """An open review store. One connection, which threads take in turn."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that is there as a whole when the block ends, or not at all; `durable`: also if the power fails then,
        which no lease needs. Raises OutputError."""
        with self._lock, _told(self.path):
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of the file. Raises OutputError."""
        with self._lock, _told(self.path):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def open_store(path: str, create: bool = False) -> Store:
    """The store in the file `path`; with `create`, a new one where there is no file or an empty one.

    Raises UsageError for a file that is no whole store of a version that is known, which is left as it is, and OutputError
    where the file cannot be opened.
    """
    is_new = not os.path.exists(path) or os.path.isfile(path) and os.path.getsize(path) == 0
    if is_new and not create:
        raise UsageError(f"{printable(path)}: there is no review store; `open-nsfw review` makes one with --store")
    if not is_new:
        _check_begins_like_one(path)
    with _told(path):
        connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path, is_new)
        except BaseException:
            connection.close()
            raise
    return Store(path, connection)


def _check_begins_like_one(path: str) -> None:
    """Before SQLite touches it."""
    try:
        with open(path, "rb") as file:
            head = file.read(len(MAGIC))
    except OSError as error:
        raise UsageError(f"{printable(path)}: cannot be read: {error.strerror or error}") from error
    if head != MAGIC:
        raise _foreign(path, "it is no SQLite database")


def _prepare(connection: sqlite3.Connection, path: str, is_new: bool) -> None:
    connection.row_factory = sqlite3.Row
    if not is_new:
        _check(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    if is_new:
        connection.execute("BEGIN IMMEDIATE")
        if _number(connection, "application_id") == 0:  # else another process was first
            for statement in _statements(TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
        _check(connection, path)


def _statements(text: str) -> Iterator[str]:
    """One SQL statement after the other: executescript() would end the transaction first."""
    statement = ""
    for line in text.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _check(connection: sqlite3.Connection, path: str) -> None:
    if _number(connection, "application_id") != APPLICATION:
        raise _foreign(path, "it is a database of something else")
    version = _number(connection, "user_version")
    if version != VERSION:
        raise _foreign(path, f"it is a review store of version {version}, this program knows version {VERSION}")
    connection.execute("SELECT count(*) FROM setting").fetchone()


def _foreign(path: str, why: str) -> UsageError:
    return UsageError(f"{printable(path)}: {why}; it was left as it is, name another --store")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Makes an error of SQLite one of ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise OutputError(f"{printable(path)}: cannot be used: {error}") from error
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            raise
        raise _damaged(path, error) from error
    except UnicodeDecodeError as error:  # of what SQLite says about a name that is damaged itself
        raise _damaged(path, error) from error


@contextmanager
def reads(what: str) -> Iterator[None]:
    """Around what makes sense of a value in a transaction: where it makes none, the store is as damaged as where SQLite finds
    it so."""
    try:
        yield
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"{what} makes no sense") from error


def _damaged(path: str, error: Exception) -> UsageError:
    return UsageError(
        f"{printable(path)}: the store is damaged or cut off ({error}); bring it back from a copy, or name another --store"
    )


# --- settings ---


def setting(connection: sqlite3.Connection, name: str) -> str | None:
    """What the store was told under this name; None where nothing."""
    row = connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Keep a value under a name."""
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
