"""Files that appear whole or not at all: the one place that writes a file beside its name and then gives it the name.

    write_whole      content -> a file
    written_beside   the same for what is written piece by piece
    check_writable   tries whether that could be done now
    check_free       refuses a name whose file would be lost

The temporary file beside `photos.json` is `.photos.json.part`. It is locked while it is written: of two processes that
write the same file, the second waits. What a kill leaves of it is taken over by the next process that writes the file.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.text import printable

PART = ".part"  # ends the name of a temporary file
LONGEST_NAME = 255  # bytes of a file's name on the usual file systems
COPY_PIECE = 1024 * 1024  # bytes that are copied at once
# What Docker, Podman and Buildah leave in a container, by which a process can tell that it is in one.
CONTAINER_SIGNS = ("/.dockerenv", "/run/.containerenv")
WAIT_SECONDS = 0.05  # between two looks at whether another process has finished


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file so that nobody ever sees half of it, and that is on disk then. Raises OutputError."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    with _told(path):
        target = os.path.realpath(path)  # a link stays a link
        if _is_written_in_place(target):
            with open(path, "wb") as file:
                file.write(data)
            return
        with written_beside(target) as beside:
            beside.write(data)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Try whether `path` could be written now, and leave everything as it is: for work that is too long to be done in
    vain. Raises OutputError."""
    with _told(path):
        target = os.path.realpath(path)
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not _is_written_in_place(target):
            os.close(_claim(_temporary_name(target)))
            remove_leftover(target)


def check_free(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raises UsageError where writing would replace a file that has something in it, unless it is to be overwritten. Empty
    files, pipes and devices have nothing to lose."""
    if not overwrite and os.path.isfile(path) and os.path.getsize(path):
        raise UsageError(f"{printable(os.fspath(path))}: exists already; --overwrite replaces it")


@contextmanager
def written_beside(target: str, replace: bool = True, mode: int | None = None) -> Iterator[BinaryIO]:
    """An empty file, open for reading and appending, that becomes `target` at the end of the block: it is flushed to disk
    and takes the name in one step. If the block raises, nothing of it is left.

    `mode` are its permissions, if not those of the file that it replaces. Raises OSError; FileExistsError if there is
    something at `target` and it is not to be replaced, or is a pipe or a device, which a file must not take the place of.
    """
    if replace and os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target):
        raise FileExistsError(errno.EEXIST, "it is no plain file")
    temporary = _temporary_name(target)
    descriptor = _claim(temporary)
    try:
        with open(descriptor, "r+b", closefd=False) as file:
            yield file
        if mode is None and replace and os.path.exists(target):
            mode = stat.S_IMODE(os.stat(target).st_mode)
        if mode is not None:
            os.chmod(temporary, mode)
        os.fsync(descriptor)
        (_replace if replace else _take_free_name)(temporary, target)
        flush_folder(os.path.dirname(target))
    finally:
        if is_same_file(temporary, descriptor):  # else the name is free, or another process's by now
            os.unlink(temporary)
        os.close(descriptor)


def remove_leftover(target: str) -> None:
    """Remove what a kill left beside a file that has its name already. Raises OSError."""
    temporary = _temporary_name(target)
    if os.path.lexists(temporary):
        descriptor = _claim(temporary)
        os.unlink(temporary)
        os.close(descriptor)


def is_same_file(path: str, descriptor: int, follow: bool = False) -> bool:
    """Whether the name `path` stands for the open file; `follow`: also as a link to it."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=follow), os.fstat(descriptor))
    except OSError:
        return False


def lock(descriptor: int) -> bool:
    """Lock an open file for this process until it is closed, by a kill too; False if another process has it.

    Where there are no locks (Windows, some network file systems), it is as if nobody else had one.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def flush_folder(folder: str) -> None:
    """Have the names in a folder written to disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _told(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_be_written(os.fspath(path), error) from error


def cannot_be_written(name: str, error: OSError) -> OutputError:
    """The one line about a file or folder that the system does not let be written, with what to do in a container."""
    advice = ""
    if any(map(os.path.exists, CONTAINER_SIGNS)):
        if error.errno in (errno.EACCES, errno.EPERM):
            advice = '; run the container as the folder\'s owner: docker run --user "$(id -u):$(id -g)" ...'
        elif error.errno == errno.EROFS:
            advice = "; mount the folder without `:ro`, or write to another one"
    return OutputError(f"{name}: cannot be written: {error.strerror or error}{advice}")


def _is_written_in_place(target: str) -> bool:
    """A pipe or a device is not to be replaced; and a file may be writable where no other can be made in its folder."""
    if not os.path.exists(target):
        return False
    return not os.path.isfile(target) or not os.access(os.path.dirname(target), os.W_OK)


def _temporary_name(target: str) -> str:
    folder, name = os.path.split(target)
    encoded = os.fsencode(name)
    if len(encoded) > LONGEST_NAME - len(PART) - 1:
        import zlib

        name = os.fsdecode(encoded[: LONGEST_NAME // 2]) + f"{zlib.crc32(encoded):08x}"
    return os.path.join(folder, f".{name}{PART}")


def _claim(temporary: str) -> int:
    """A descriptor of the empty file `temporary`, locked."""
    while True:
        descriptor = _open_own(temporary)
        if descriptor is None:
            continue
        while is_same_file(temporary, descriptor):
            if lock(descriptor) and is_same_file(temporary, descriptor):
                os.ftruncate(descriptor, 0)
                return descriptor
            time.sleep(WAIT_SECONDS)
        os.close(descriptor)  # the other process has finished: its file has its name now


def _open_own(temporary: str) -> int | None:
    """A new file, or one that a process of this user's has left or is writing; None if the name was not to be had and
    is to be tried again.

    Whatever else stands there (a link, another user's file, one that has a second name) is removed, never written to.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        return os.open(temporary, flags | os.O_EXCL, 0o666)
    except FileExistsError:
        pass
    try:
        found = os.lstat(temporary)
        own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and own:
            return os.open(temporary, flags & ~os.O_CREAT)
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    return None


def _replace(temporary: str, target: str) -> None:
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno != errno.EBUSY:  # as of a file that is mounted into a container
            raise
        with open(temporary, "rb") as read, open(target, "wb") as written:
            written.writelines(iter(lambda: read.read(COPY_PIECE), b""))
            written.flush()
            os.fsync(written.fileno())


def _take_free_name(temporary: str, target: str) -> None:
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: nothing else there refuses a name that is taken
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(temporary, target)
