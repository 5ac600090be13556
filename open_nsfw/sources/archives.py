"""Archives -> Items, as a stream: nothing is unpacked to disk, and a member is read when its turn comes.

Names inside archives are labels. Whatever they say (an absolute path, `../`, control characters), nothing is opened,
written or followed by them; links and devices are passed over.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.sources.item import HEAD, Item, is_picture, named_like_picture
from open_nsfw.sources.tar import BLOCK, COMPRESSIONS, decompressed, is_header, tar_members
from open_nsfw.sources.unpack import ArchiveError, Budget, Member, Stream, read_up_to
from open_nsfw.sources.walk import Sources
from open_nsfw.sources.zip import zip_members

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # a member comes first, or the end if there is none
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


def archive_kind(name: str, head: bytes, path: str | None = None) -> str | None:
    """`zip`, `tar`, or the compression of a tar (a key of `COMPRESSIONS`); None if a file is none of them.

    Its first `HEAD` bytes tell, else its name; where it takes a look behind a compression, the file `path` is read.
    """
    if head.startswith(_ZIP_MAGIC):
        return "zip"
    if is_header(head):
        return "tar"
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


def read_archive(file: BinaryIO, kind: str, archive: Item, sources: Sources) -> Iterator[Item]:
    """The pictures in the archive `file`, whose path, size and date are in `archive`; `sources` says what is wanted."""
    return _Archive(archive, sources).items(file, kind)


class _Archive:
    def __init__(self, archive: Item, sources: Sources) -> None:
        self.archive = archive
        self.sources = sources
        self.limits = sources.options.limits

    def items(self, file: BinaryIO, kind: str) -> Iterator[Item]:
        try:
            for member in self._members(file, kind):
                item = self._item(member)
                if item is not None:
                    yield item
        except ArchiveError as error:
            yield replace(self.archive, error=error)
        except OSError as error:
            yield replace(self.archive, error=InputError("unreadable", f"cannot be read: {error.strerror or error}"))

    def _members(self, file: BinaryIO, kind: str) -> Iterator[Member]:
        options = self.sources.options
        size = file.seek(0, os.SEEK_END) if kind == "zip" else self.archive.size
        budget = Budget(options.max_archive_bytes, options.max_archive_ratio, size if kind == "zip" else None)
        if kind == "zip":
            return zip_members(file, budget)
        if kind == "tar":
            return tar_members(file, size)
        return tar_members(decompressed(file, kind, budget))

    def _item(self, member: Member) -> Item | None:
        """A member as an Item; None if it is no picture, or need not come again."""
        if member.special:
            return self._pass_over()
        if self.sources.skip(self.archive.path, member.name):
            return None
        try:
            stream = member.open()
            head = read_up_to(stream, HEAD)
        except ArchiveError:
            raise
        except InputError as error:
            return self._unseen(member, error)
        nested = archive_kind(member.name, head)
        if not is_picture(member.name, head) and not nested:
            return self._pass_over()
        try:
            if nested and not named_like_picture(member.name):
                raise InputError("nested-archive", "is an archive inside an archive; unpack the outer one first")
            data, by_content = self._read(member, head, stream), not named_like_picture(member.name)
            return replace(self.archive, member=member.name, data=data, by_content=by_content)
        except ArchiveError:
            raise
        except InputError as error:
            return replace(self.archive, member=member.name, error=error)

    def _pass_over(self) -> Item | None:
        self.sources.passed_over += 1
        return None

    def _unseen(self, member: Member, error: InputError) -> Item | None:
        """What cannot be looked into counts as a picture unless its name speaks of something else."""
        _, extension = os.path.splitext(member.name)
        if not extension or named_like_picture(member.name) or extension.lower() in _SUFFIXES:
            return replace(self.archive, member=member.name, error=error)
        return self._pass_over()

    def _read(self, member: Member, head: bytes, stream: Stream) -> bytes:
        limit = self.limits.max_bytes
        too_many = InputError("too-many-bytes", f"more than the limit of {limit:,} bytes (--max-bytes)")
        if member.size is not None and member.size > limit:
            raise too_many
        data = head + read_up_to(stream, limit + 1 - len(head))
        if len(data) > limit:
            raise too_many
        if not data:
            raise InputError("empty", "the file is empty")
        if member.size is not None and len(data) != member.size:
            raise InputError("damaged-archive", f"has {len(data):,} bytes where the archive says {member.size:,}")
        if member.crc is not None and zlib.crc32(data) != member.crc:
            raise InputError("damaged-archive", "its checksum is not the one that the archive has")
        return data
