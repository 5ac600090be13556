"""An uploaded archive -> the pictures in it, by the readers of `sources`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import HEAD
from open_nsfw.sources.archives import archive_kind, bytes_that_tell, read_archive
from open_nsfw.sources.item import Item, SourceOptions, is_picture
from open_nsfw.sources.selection import Selection


def members(item: Item, options: SourceOptions) -> Iterator[Item] | None:
    """The members of an upload that is an archive, by its content; None if it is none. Closes the upload at the end."""
    kind = None if item.error is not None else _kind(item)
    return None if kind is None else _members(item, kind, options)


def _kind(item: Item) -> str | None:
    head = _first(item, HEAD)
    return None if is_picture("", head) else archive_kind("", _first(item, bytes_that_tell(head)))


def _first(item: Item, size: int) -> bytes:
    if item.file is None:
        return (item.data or b"")[:size]
    head = item.file.read(size)
    item.file.seek(0)
    return head


def _members(item: Item, kind: str, options: SourceOptions) -> Iterator[Item]:
    archive, sure, unsure = Item(item.path, size=item.held), 0, 0
    with closing(_opened(item)) as file:
        for member in read_archive(file, kind, archive, Selection(options)):
            sure, unsure = sure + (not member.by_content), unsure + member.by_content
            yield member
    if not sure:
        yield Item(item.path, error=InputError("no-pictures", "there is no picture in it"), unless_seen=unsure)


def _opened(item: Item) -> BinaryIO:
    return io.BytesIO(item.data or b"") if item.file is None else item.file
