"""The content of an item with its SHA-256, taken so that what is decoded is what was hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace
from typing import BinaryIO

from open_nsfw.pictures.containers import HEAD, container_of
from open_nsfw.pictures.formats import Limits
from open_nsfw.sources.item import Item
from open_nsfw.sources.payload import MOST_IN_MEMORY, PIECE


@dataclass(frozen=True)
class Content:
    """What is in the file of an item."""

    sha256: bytes
    """32 bytes."""
    size: int
    item: Item
    """The item, with these bytes as its `data` where they came from a small file."""
    stamp: tuple[int, ...] | None = None
    """Of a large file, which is read once more to be decoded: what changes when somebody writes into it."""

    @property
    def is_unchanged(self) -> bool:
        """Whether nobody has written into the file since it was hashed."""
        if self.stamp is None:
            return True
        try:
            return _stamp(os.stat(self.item.path)) == self.stamp
        except OSError:
            return False


def content_of(item: Item, limits: Limits) -> Content | None:
    """The content of an item; None where it has none, cannot be read, or has more bytes than a picture may have: whoever
    decodes it says what is wrong with it."""
    if item.error is not None:
        return None
    if item.data is not None:
        return Content(hashlib.sha256(item.data).digest(), len(item.data), item)
    try:
        if item.file is not None:
            digest = _digest(item.file)
            item.file.seek(0)
            return Content(digest, item.held, item)
        return _content_of_file(item, limits)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def _content_of_file(item: Item, limits: Limits) -> Content | None:
    # Without waiting for the other end, should a pipe have taken the file's place.
    descriptor = os.open(item.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        if status.st_size > min(MOST_IN_MEMORY, limits.max_bytes):
            if status.st_size > limits.max_bytes and container_of(file.read(HEAD)) is None:
                return None  # only a film may be so large
            return Content(_digest(file), status.st_size, item, _stamp(status))
        data = file.read(status.st_size + 1)
    if len(data) != status.st_size:  # somebody is writing it
        return None
    return Content(hashlib.sha256(data).digest(), len(data), replace(item, data=data))


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.digest()


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
