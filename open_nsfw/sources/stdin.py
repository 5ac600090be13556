"""Standard input as a binary file, and a look at its first bytes."""

from __future__ import annotations

import io
import sys
from typing import BinaryIO

from open_nsfw.sources.item import (
    HEAD,
)


class Prefixed(io.RawIOBase):
    """A stream whose first bytes, `head`, can be seen before they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.head = file.read(HEAD)
        self._unread = self.head

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end; all of them for -1."""
        size = -1 if size is None else size
        first = self._unread if size < 0 else self._unread[:size]
        self._unread = self._unread[len(first) :]
        rest = self._file.read(size if size < 0 else size - len(first)) if len(first) != size else b""
        return first + rest if first else rest


def standard_input() -> BinaryIO:
    """The bytes of standard input, through a buffer of its own.

    A read that still waits when the process ends holds its buffer's lock; if that were sys.stdin's, which Python closes
    then, Python would abort. Raises AttributeError if standard input is closed.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (io.UnsupportedOperation, ValueError):  # no descriptor behind it: a notebook, a test
        return sys.stdin.buffer
