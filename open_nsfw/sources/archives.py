"""Archives -> Items, as a stream: nothing is unpacked to disk, and a member is read when its turn comes.

Names inside archives are labels. Whatever they say (an absolute path, `../`, control characters), nothing is opened,
written or followed by them; links and devices are passed over.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import BinaryIO, Callable

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import HEAD
from open_nsfw.pictures.formats import too_many_bytes
from open_nsfw.sources.failures import unreadable
from open_nsfw.sources.heads import BLOCK, archive_by_magic, is_header
from open_nsfw.sources.item import Item, is_picture, may_be_only_sound, named_like_picture
from open_nsfw.sources.payload import Payload, read_payload
from open_nsfw.sources.selection import Selection
from open_nsfw.sources.tar import COMPRESSIONS, decompressed, tar_members
from open_nsfw.sources.unpack import ArchiveError, Budget, Member, Stream, read_up_to
from open_nsfw.sources.zip import zip_members

_SUFFIXES = {
    ".zip": "zip",
    ".tar": "tar",
    ".tar.gz": "gz",
    ".tgz": "gz",
    ".tar.bz2": "bz2",
    ".tbz2": "bz2",
    ".tar.xz": "xz",
    ".txz": "xz",
    ".tar.zst": "zst",
    ".tzst": "zst",
}


# Bytes of a compressed stream of which the tar header in it is to be had: nothing comes out of bzip2 before a block is
# whole, which has 900,000 bytes, and up to 1 % more where they cannot be compressed; zstd's have 128 KiB.
_LOOKAHEAD = 1024 * 1024


def bytes_that_tell(head: bytes) -> int:
    """How many of the first bytes `archive_kind` needs of what it cannot read by a path, and that begins with `head`."""
    return _LOOKAHEAD if head.startswith(tuple(COMPRESSIONS.values())) else HEAD


def archive_kind(name: str, head: bytes, path: str | None = None) -> str | None:
    """`zip`, `tar`, or the compression of a tar (a key of `COMPRESSIONS`); None if a file is none of them.

    Its first `HEAD` bytes tell, else its name. Where it takes a look behind a compression, the file `path` is read; `head`
    is to have the `bytes_that_tell` if there is none.
    """
    by_magic = archive_by_magic(head)
    if by_magic:
        return by_magic
    named = next((kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix)), None)
    for compression, magic in COMPRESSIONS.items():
        if head.startswith(magic):
            return compression if named == compression or _holds_tar(head, path, compression) else None
    return named


def _holds_tar(head: bytes, path: str | None, compression: str) -> bool:
    try:
        with open(path, "rb") if path else io.BytesIO(head) as file:
            return is_header(read_up_to(decompressed(file, compression, Budget(2**63, float("inf"))), BLOCK))
    except (InputError, OSError):
        return False


def read_archive(file: BinaryIO, kind: str, archive: Item, selection: Selection) -> Iterator[Item]:
    """The pictures in the archive `file`, whose path, size and date are in `archive`."""
    return _Archive(archive, selection).items(file, kind)


class _Archive:
    def __init__(self, archive: Item, selection: Selection) -> None:
        self._archive = archive
        self._selection = selection

    def items(self, file: BinaryIO, kind: str) -> Iterator[Item]:
        try:
            for member in self._members(file, kind):
                item = self._item(member)
                if item is not None:
                    yield item
        except ArchiveError as error:
            yield replace(self._archive, error=error)
        except OSError as error:
            yield replace(self._archive, error=unreadable(error))

    def _members(self, file: BinaryIO, kind: str) -> Iterator[Member]:
        options = self._selection.options
        size = file.seek(0, os.SEEK_END) if kind == "zip" else self._archive.size
        budget = Budget(options.max_archive_bytes, options.max_archive_ratio, size if kind == "zip" else None)
        if kind == "zip":
            return zip_members(file, budget)
        if kind == "tar":
            return tar_members(file, size)
        return tar_members(decompressed(file, kind, budget))

    def _item(self, member: Member) -> Item | None:
        """A member as an Item; None if it is no picture, or need not come again."""
        read = None if member.special else self._reader(member)
        if read is None:
            self._selection.pass_over()
            return None
        # Asked only now: two members may have one name, and only those that have a row are counted.
        if not self._selection.wants(self._archive.path, member.name):
            return None
        try:
            return read()
        except ArchiveError:
            raise
        except InputError as error:
            return replace(self._archive, member=member.name, error=error)

    def _reader(self, member: Member) -> Callable[[], Item] | None:
        """What reads a member, or raises the InputError of its row; None if it is no picture."""
        try:
            stream = member.open()
            head = read_up_to(stream, HEAD)
        except ArchiveError:
            raise
        except InputError as error:
            return partial(_fail, error) if _may_be_picture(member.name) else None
        if is_picture(member.name, head):
            return partial(self._read, member, head, stream)
        if archive_kind(member.name, _lengthened(head, stream)):
            nested = InputError("nested-archive", "is an archive inside an archive; unpack the outer one first")
            return partial(_fail, nested)
        return None

    def _read(self, member: Member, head: bytes, stream: Stream) -> Item:
        limits = self._selection.options.limits
        if member.size is not None and member.size > limits.max_bytes:
            raise too_many_bytes(limits)
        payload = read_payload(stream, limits, head, with_crc=member.crc is not None)
        damage = _damage(member, payload)
        if damage is not None:
            if payload.file is not None:
                payload.file.close()
            raise InputError("damaged-archive", damage)
        by_content = may_be_only_sound(member.name, head)
        return replace(self._archive, member=member.name, data=payload.data, file=payload.file, by_content=by_content)


def _lengthened(head: bytes, stream: Stream) -> bytes:
    """The bytes that tell what a member is: its first ones, and those that are still to be read."""
    try:
        return head + read_up_to(stream, bytes_that_tell(head) - len(head))
    except ArchiveError:
        raise
    except InputError:  # no picture by its first bytes, and whatever else it is, it is damaged
        return head


def _fail(error: InputError) -> Item:
    raise error


def _may_be_picture(name: str) -> bool:
    """Whether a member that cannot be looked into counts as a picture: unless its name speaks of something else."""
    _, extension = os.path.splitext(name)
    return not extension or named_like_picture(name) or extension.lower() in _SUFFIXES


def _damage(member: Member, payload: Payload) -> str | None:
    """What the archive says about a member and is not so."""
    if member.size is not None and payload.size != member.size:
        return f"has {payload.size:,} bytes where the archive says {member.size:,}"
    if member.crc is not None and payload.crc != member.crc:
        return "its checksum is not the one that the archive has"
    return None
