"""Where the bytes of rows go: stdout, or a file that holds whole rows whatever happens.

    Stdout     sys.stdout, past Python's buffer
    RowFile    a locked file; `put` appends whole rows, `replace` gives it a new content in one step

Nothing is held back: what `put` has taken is with the system. A file that another program deletes, replaces or changes
meanwhile is noticed at the next row or at the end, and the rows of a file that has lost its name are saved beside it.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence

from open_nsfw.errors import OutputError
from open_nsfw.files import cannot_be_written, is_same_file, lock, written_beside
from open_nsfw.text import printable

JOURNAL = ".journal"  # what Parquet's rows are kept in until the end: FILE.journal, JSON lines
SAVED = ".saved"  # FILE.saved has the rows of a FILE that was taken away while it was written
COPY_PIECE = 1024 * 1024  # bytes that are copied at once


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
    return cannot_be_written(name, error)


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
        self._left_size = self.size()  # as this run left it
        self._is_given_up = False  # removed, or known to be no longer this run's

    def size(self) -> int:
        """Bytes in the file; 0 for a pipe or device."""
        return os.fstat(self._descriptor).st_size if self.regular else 0

    def put(self, rows: Sequence[bytes]) -> None:
        """Appends the rows. Raises OutputError when the disk is full; the rows that fitted are whole then."""
        self._check_content()
        before = self.size()
        try:
            write_all(self._descriptor, b"".join(rows))
        except BaseException as error:  # a KeyboardInterrupt leaves whole rows, too
            self._cut_torn(before, rows)
            if isinstance(error, OSError):
                raise cannot_write(self.name, error) from error
            raise
        finally:
            self._left_size = self.size()

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
        self._left_size = self.size()

    def remove(self) -> None:
        """Removes the file, which stays locked until it is closed: nobody else begins to append to it."""
        os.unlink(self.path)
        self._is_given_up = True

    def remove_if_new(self) -> None:
        """Leaves no file where there was none, if nothing is in it."""
        if self.created and self.regular and not self.size() and is_same_file(self.path, self._descriptor, follow=True):
            self.remove()

    def replace(self, rows: Iterable[bytes]) -> None:
        """Gives the file a new content in one step: whoever looks sees all of the old or all of the new one."""
        descriptor = -1
        try:
            with written_beside(self.path) as file:  # it is locked, and stays so with its second descriptor
                file.writelines(rows)
                descriptor = os.dup(file.fileno())
        except BaseException as error:
            if descriptor >= 0:
                os.close(descriptor)
            if isinstance(error, OSError):
                raise cannot_write(self.name, error) from error
            raise
        if is_same_file(self.path, descriptor):
            self._descriptor, descriptor = descriptor, self._descriptor
        os.close(descriptor)  # the old file's; or the new one's, where it could only be copied into the old one
        self._left_size = self.size()

    def check(self) -> None:
        """Raises OutputError if the file is no longer the one that this run has written."""
        self._check_content()
        if self.regular and not is_same_file(self.path, self._descriptor, follow=True):
            raise self._taken_away()

    def _check_content(self) -> None:
        """As much of `check` as takes no time."""
        if not self.regular:
            return
        found = os.fstat(self._descriptor)
        if not found.st_nlink:
            raise self._taken_away()
        if found.st_size != self._left_size:
            self._is_given_up = True
            raise OutputError(f"{self.name}: was changed by another program while this run wrote it; stopped there")

    def _taken_away(self) -> OutputError:
        self._is_given_up = True
        saved = self._save()
        if saved is None:
            return OutputError(
                f"{self.name}: was deleted or replaced while this run wrote it; its rows cannot be saved beside it"
            )
        return OutputError(f"{self.name}: was deleted or replaced while this run wrote it; its rows are in {saved}")

    def _save(self) -> str | None:
        """Writes the rows to FILE.saved, or FILE.saved-2 if there is one already; its name, None if that fails."""
        for number in itertools.count(1):
            path = self.path + SAVED + ("" if number == 1 else f"-{number}")
            try:
                with written_beside(path, replace=False) as file:
                    for start in range(0, self.size(), COPY_PIECE):
                        file.write(os.pread(self._descriptor, COPY_PIECE, start))
            except FileExistsError:
                continue
            except OSError:
                return None
            return printable(path)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """May be called twice. Raises OutputError if the file is no longer there, or the last rows are not on disk: some
        file systems tell only here that the disk is full."""
        if self._descriptor < 0:
            return
        try:
            if self.regular:
                os.fsync(self._descriptor)
            if not self._is_given_up:
                self.check()
        except OSError as error:
            raise cannot_write(self.name, error) from error
        finally:
            os.close(self._descriptor)
            self._descriptor = -1


def _open_locked(path: str, name: str) -> int:
    while True:
        try:
            descriptor = os.open(path, _append_flags(path), 0o666)
        except OSError as error:
            raise cannot_write(name, error) from error
        if not _is_regular(descriptor):
            return descriptor
        if not lock(descriptor):
            os.close(descriptor)
            raise OutputError(f"{name}: another run is writing it; wait for it or choose another file")
        if is_same_file(path, descriptor, follow=True):
            return descriptor
        os.close(descriptor)  # another run put a new file in its place between our opening it and locking it


def _append_flags(path: str) -> int:
    device = os.path.exists(path) and not os.path.isfile(path)
    access = os.O_WRONLY if device else os.O_RDWR  # a pipe opened for both would have us as its reader
    return access | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)
