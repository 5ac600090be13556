"""Where the bytes of rows go: stdout, or a file that holds whole rows whatever happens.

    Stdout     sys.stdout, past Python's buffer
    RowFile    a locked file; `put` appends whole rows, `replace` gives it a new content in one step

Nothing is held back: what `put` has taken is with the system.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from open_nsfw.errors import OutputError

PARTIAL = ".partial"  # a file that is being written and then takes the name of the one it replaces


def write_all(descriptor: int, data: bytes) -> None:
    """All of `data`, also into a pipe that somebody made non-blocking. Raises OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            import select

            select.select([], [descriptor], [])


def cannot_write(name: str, error: OSError) -> OutputError:
    """The one line about a full disk, a closed pipe, a folder that is not there."""
    if error.errno == errno.EPIPE:
        return OutputError(f"{name}: the program that was reading it has gone; stopped there")
    return OutputError(f"{name}: cannot be written: {error.strerror or error}")


class Stdout:
    """sys.stdout, past Python's buffer: what cannot be written is not tried again when the process ends."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise OutputError("stdout: it is closed; name a file with --output")
        self._do(sys.stdout.flush)

    def put(self, rows: Sequence[bytes]) -> None:
        """Writes the rows. Raises OutputError when the pipe is closed or the disk behind it is full."""
        data = b"".join(rows)
        try:
            descriptor = sys.stdout.fileno()
        except (OSError, ValueError, AttributeError):  # no descriptor behind it: a notebook, a test
            sys.stdout.buffer.write(data)
            return
        self._do(lambda: write_all(descriptor, data))

    @staticmethod
    def _do(write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            raise cannot_write("stdout", error) from error

    def close(self) -> None:
        """Nothing: stdout is not ours."""


class RowFile:
    """A file that is appended to, locked against other runs, and holds whole rows after every `put`, also a failed one.

    Raises OutputError if it cannot be opened or another run has it. `name` is what messages call it.
    """

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.name = name
        self.created = not os.path.exists(path)
        self._descriptor = _open_locked(path, name)
        self.regular = _is_regular(self._descriptor)

    def size(self) -> int:
        """Bytes in the file; 0 for a pipe or device."""
        return os.fstat(self._descriptor).st_size if self.regular else 0

    def put(self, rows: Sequence[bytes]) -> None:
        """Appends the rows. Raises OutputError when the disk is full; the rows that fitted are whole then."""
        before = self.size()
        try:
            write_all(self._descriptor, b"".join(rows))
        except BaseException as error:  # a KeyboardInterrupt leaves whole rows, too
            self._cut_torn(before, rows)
            if isinstance(error, OSError):
                raise cannot_write(self.name, error) from error
            raise

    def _cut_torn(self, before: int, rows: Sequence[bytes]) -> None:
        if not self.regular:
            return
        written = self.size() - before
        whole = 0
        for row in rows:
            if whole + len(row) > written:
                break
            whole += len(row)
        self.cut(before + whole)

    def cut(self, size: int) -> None:
        """Leaves the first `size` bytes."""
        os.ftruncate(self._descriptor, size)

    def remove_if_new(self) -> None:
        """Leaves no file where there was none, if nothing is in it."""
        if self.created and self.regular and not self.size():
            with suppress(FileNotFoundError):
                os.unlink(self.path)

    def replace(self, rows: Iterable[bytes]) -> None:
        """Gives the file a new content in one step: whoever looks sees all of the old or all of the new one."""
        partial = self.path + PARTIAL
        with suppress(FileNotFoundError):
            os.unlink(partial)  # left by a kill; nobody else writes it, for the lock is ours
        descriptor = _open_locked(partial, self.name)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.writelines(rows)
            os.fsync(descriptor)
            os.chmod(partial, stat.S_IMODE(os.fstat(self._descriptor).st_mode))
            os.replace(partial, self.path)
        except BaseException as error:
            os.close(descriptor)
            with suppress(OSError):
                os.unlink(partial)
            if isinstance(error, OSError):
                raise cannot_write(self.name, error) from error
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor

    def close(self) -> None:
        """May be called twice. Raises OutputError: some file systems tell only here that the disk is full."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            if self.regular:
                os.fsync(descriptor)
        except OSError as error:
            raise cannot_write(self.name, error) from error
        finally:
            os.close(descriptor)


def _open_locked(path: str, name: str) -> int:
    while True:
        try:
            descriptor = os.open(path, _append_flags(path), 0o666)
        except OSError as error:
            raise cannot_write(name, error) from error
        if not _is_regular(descriptor):
            return descriptor
        _lock(descriptor, name)
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)  # another run put a new file in its place between our opening it and locking it


def _append_flags(path: str) -> int:
    device = os.path.exists(path) and not os.path.isfile(path)
    access = os.O_WRONLY if device else os.O_RDWR  # a pipe opened for both would have us as its reader
    return access | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _is_still(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _lock(descriptor: int, name: str) -> None:
    """Held until the descriptor is closed, by a kill too. Where there are no locks (Windows, some networks), none."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OutputError(f"{name}: another run is writing it; wait for it or choose another file") from None
    except OSError:
        return


JOURNAL = ".journal"  # what Parquet's rows are kept in until the end: FILE.journal, JSON lines
