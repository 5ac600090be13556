"""Standard input, named pipes and this process's own descriptors -> Items: what can be read only here, and only once."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, cast

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import HEAD
from open_nsfw.sources.failures import unreadable
from open_nsfw.sources.item import STDIN, Item, is_picture
from open_nsfw.sources.selection import Selection

MOST_LINKS = 40  # that Linux follows in one path


def standard_input() -> BinaryIO:
    """The bytes of standard input, through a buffer of its own.

    A read that still waits when the process ends holds its buffer's lock; if that were sys.stdin's, which Python closes
    then, Python would abort. Raises AttributeError if standard input is closed.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (io.UnsupportedOperation, ValueError):  # no descriptor behind it: a notebook, a test
        return sys.stdin.buffer


class Prefixed(io.RawIOBase):
    """A stream whose first bytes, `head`, can be seen before they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.head = file.read(HEAD)
        self._unread = self.head

    def look_ahead(self, size: int) -> bytes:
        """The first `size` bytes, fewer only if there are no more; of use only before anything was read."""
        if (
            size > len(self.head) == HEAD
        ):  # else it has ended, and would be asked a second time, which a terminal notices
            self.head += self._file.read(size - HEAD)
        self._unread = self.head
        return self.head

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end; all of them for -1."""
        size = -1 if size is None else size
        first = self._unread if size < 0 else self._unread[:size]
        self._unread = self._unread[len(first) :]
        rest = self._file.read(size if size < 0 else size - len(first)) if len(first) != size else b""
        return first + rest if first else rest


def stdin_items(selection: Selection) -> Iterator[Item]:
    """A picture on standard input; an archive there gives its members (a zip, which is read from its end, only up to
    `limits.max_bytes`)."""
    item = Item(STDIN)
    try:
        if sys.stdin is None:
            raise InputError("unreadable", "standard input is closed")
        yield from _stream_items(Prefixed(standard_input()), item, selection)
    except InputError as error:
        yield replace(item, error=error)
    except (OSError, ValueError) as error:
        yield replace(item, error=unreadable(error))


def _stream_items(stream: Prefixed, item: Item, selection: Selection) -> Iterator[Item]:
    from open_nsfw.sources.payload import read_payload

    file, kind = cast(BinaryIO, stream), None
    if not is_picture("", stream.head):
        from open_nsfw.sources.archives import archive_kind, bytes_that_tell, read_archive

        kind = archive_kind("", stream.look_ahead(bytes_that_tell(stream.head)))
        if kind and kind != "zip":
            yield from read_archive(file, kind, item, selection)
            return
    payload = read_payload(file, selection.options.limits)
    if not kind:
        yield replace(item, data=payload.data, file=payload.file)
        return
    with payload.file or io.BytesIO(payload.data or b"") as whole:
        yield from read_archive(whole, kind, item, selection)


def pipe_items(path: str, selection: Selection) -> Iterator[Item]:
    """What a named pipe or a device that was asked for gives, as standard input does: read here, because it can be read only
    once."""
    item = Item(path)
    try:
        with open(path, "rb") as file:
            yield from _stream_items(Prefixed(file), item, selection)
    except OSError as error:
        yield replace(item, error=unreadable(error))
    except InputError as error:
        yield replace(item, error=error)


def is_own_descriptor(path: str) -> bool:
    """Whether a path leads to an open file of this process, as /dev/stdin and /dev/fd/N do, also through links: in the
    process that decodes, the same name would be that process's file."""
    own = {f"/proc/{os.getpid()}/fd", "/dev/fd"}
    for _ in range(MOST_LINKS):
        folder = os.path.realpath(os.path.dirname(path))
        if folder in own:
            return True
        path = os.path.join(folder, os.path.basename(path))
        if not os.path.islink(path):
            return False
        path = os.path.join(folder, os.readlink(path))
    return False


def opened(item: Item) -> Item:
    """An Item of a file, with the file open."""
    try:
        return replace(item, file=open(item.path, "rb", buffering=0))
    except OSError as error:
        return replace(item, error=unreadable(error))
