"""The members of a zip file, one after the other, in the order of its directory.

The standard library's `zipfile` holds the whole directory in memory and refuses a file that was cut short. Here the
directory is read as a stream, and a file without one is read from its beginning, as far as it goes. Of archives that stand
one behind the other in a file, all are read.
Layout: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Generator, Iterator
from itertools import chain
from typing import BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.sources.unpack import (
    CHUNK,
    RAW_BITS,
    ArchiveError,
    Budget,
    Decompressor,
    Member,
    Slice,
    Stream,
    Unpacked,
    ZlibDecompressor,
)
from open_nsfw.sources.zip_directory import (
    CENTRAL,
    CENTRAL_HEADER,
    IN_ZIP64,
    LOCAL,
    Directory,
    find_directories,
    read_at,
)

DESCRIPTOR = b"PK\x07\x08"

# Without its four bytes of magic.
_LOCAL = struct.Struct("<5H3L2H")  # version, flags, method, time, date, crc, packed, unpacked, name, extra

ENCRYPTED = 0x0001
SIZES_FOLLOW = 0x0008  # a descriptor behind the data has the sizes
STRONGLY_ENCRYPTED = 0x0040
UTF8 = 0x0800

STORED, DEFLATED, BZIP2, AES = 0, 8, 12, 99
_METHODS = {9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd"}
# Systems that made an archive: on these a name is bytes of the file system, which are UTF-8. Others mean the letters of MS-DOS.
_UNIX, _MACOS = 3, 19
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075  # extra fields

_CUT = "its end is missing: the file was cut short, or is no zip archive"
_CUT_BEFORE = "what stands before its last archive is cut short or damaged; members of that may be missing"


def zip_members(file: BinaryIO, budget: Budget) -> Iterator[Member]:
    """The members of the seekable `file`. Raises ArchiveError where the archive ends in a way that it should not."""
    size = file.seek(0, io.SEEK_END)
    directories, are_all = find_directories(file, size)
    if are_all:
        return chain.from_iterable(_listed(file, directory, budget) for directory in directories)
    return _scan_and_list(file, size, directories, budget)


class _Entry:
    """What a header says about a member."""

    def __init__(
        self,
        flags: int,
        method: int,
        crc: int,
        packed: int,
        unpacked: int,
        name: bytes,
        extra: bytes,
        system: int | None = None,
    ) -> None:
        """`system` is the one that made it, of which only the directory tells."""
        self.flags = flags
        self.method = method
        self.crc = crc
        self.name = _name(name, flags, extra, system)
        self.unpacked, self.packed, self.offset = unpacked, packed, 0
        self._extra = extra

    def resolve(self, offset: int) -> None:
        """Put the 64-bit numbers in where they did not fit."""
        numbers = _zip64_numbers(self._extra)
        self.unpacked = next(numbers, self.unpacked) if self.unpacked == IN_ZIP64 else self.unpacked
        self.packed = next(numbers, self.packed) if self.packed == IN_ZIP64 else self.packed
        self.offset = next(numbers, offset) if offset == IN_ZIP64 else offset

    def reader(self, source: Stream, budget: Budget, failure: type[InputError] = InputError) -> Stream:
        """The unpacked bytes. Raises InputError: `encrypted`, `unsupported-compression`."""
        if self.flags & (ENCRYPTED | STRONGLY_ENCRYPTED) or self.method == AES:
            raise InputError("encrypted", "is encrypted; unpack the archive with its password first")
        if self.method == STORED:
            return source
        if self.method == DEFLATED:
            return Unpacked(source, _new_inflater, budget, failure)
        if self.method == BZIP2:
            return Unpacked(source, _new_bzip2, budget, failure)
        name = _METHODS.get(self.method, f"method {self.method}")
        raise InputError(
            "unsupported-compression", f"is compressed with {name}; pack it with Deflate, bzip2 or not at all"
        )


def _name(raw: bytes, flags: int, extra: bytes, system: int | None) -> str:
    """A member's name; what is not in the encoding that it should be in is carried by surrogate escapes."""
    unicode_path = b"" if flags & UTF8 else _extra_field(extra, _UNICODE_PATH)
    if unicode_path[:1] == b"\1" and int.from_bytes(unicode_path[1:5], "little") == zlib.crc32(raw):
        raw, is_utf8 = unicode_path[5:], True  # the checksum tells that nobody has renamed the member since
    else:
        is_utf8 = bool(flags & UTF8) or (_is_utf8(raw) if system is None else system in (_UNIX, _MACOS))
    return raw.decode("utf-8", "surrogateescape") if is_utf8 else raw.decode("cp437")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _zip64_numbers(extra: bytes) -> Iterator[int]:
    body = _extra_field(extra, _ZIP64)
    for start in range(0, len(body) - 7, 8):
        yield int.from_bytes(body[start : start + 8], "little")


def _extra_field(extra: bytes, wanted: int) -> bytes:
    """The content of the first extra field of this kind; nothing if there is none."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        at += 4
        if kind == wanted:
            return extra[at : at + size]
        at += size
    return b""


def _new_inflater() -> Decompressor:
    return ZlibDecompressor(RAW_BITS)


def _new_bzip2() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _listed(file: BinaryIO, directory: Directory, budget: Budget) -> Iterator[Member]:
    """The members by a directory."""
    headers = io.BufferedReader(Slice(file, directory.start, directory.end), CHUNK)
    while True:
        header = headers.read(4 + CENTRAL_HEADER.size)
        if not header:
            return
        if len(header) < 4 + CENTRAL_HEADER.size or not header.startswith(CENTRAL):
            raise ArchiveError("damaged-archive", "its directory is damaged; the rest of it is not read")
        made, _, flags, method, _, _, crc, packed, unpacked, name, extra, comment, _, _, external, offset = (
            CENTRAL_HEADER.unpack(header[4:])
        )
        entry = _Entry(flags, method, crc, packed, unpacked, headers.read(name), headers.read(extra), made >> 8)
        headers.read(comment)
        entry.resolve(offset)
        kind = stat.S_IFMT(external >> 16) if made >> 8 == _UNIX else 0
        if entry.name.endswith("/") or kind == stat.S_IFDIR:
            continue
        special = kind not in (0, stat.S_IFREG)
        yield _member(file, entry, directory.shift, budget, special)


def _member(file: BinaryIO, entry: _Entry, shift: int, budget: Budget, special: bool) -> Member:
    def opened() -> Stream:
        start = _data_start(file, entry.offset + shift)
        return entry.reader(Slice(file, start, start + entry.packed, budget), budget)

    return Member(entry.name, opened, entry.unpacked, entry.crc, special)


def _data_start(file: BinaryIO, at: int) -> int:
    """Behind the header that stands before the data and repeats, in other lengths, what the directory says."""
    header = read_at(file, at, 4 + _LOCAL.size)
    if len(header) < 4 + _LOCAL.size or not header.startswith(LOCAL):
        raise InputError("damaged-archive", "its data is not where the archive's directory says")
    *_, name, extra = _LOCAL.unpack(header[4:])
    return int(at + len(header) + name + extra)


def _scan_and_list(file: BinaryIO, size: int, directories: list[Directory], budget: Budget) -> Iterator[Member]:
    """The members of a file that does not begin with one of the archives with these directories: by their own headers, then
    those of the archives. An archive that is in one of the members is none of these. Ends with ArchiveError."""
    at = yield from _scan(file, size, budget)
    behind = [directory for directory in directories if directory.shift >= at]
    for directory in behind:
        yield from _listed(file, directory, budget)
    raise ArchiveError("damaged-archive", _CUT_BEFORE if behind else _CUT)


def _scan(file: BinaryIO, size: int, budget: Budget) -> Generator[Member, None, int]:
    """The members from the file's beginning on, by their own headers; gives where the last one ends. Raises ArchiveError if
    that is not known."""
    at = 0
    while True:
        header = read_at(file, at, 4 + _LOCAL.size)
        if len(header) < 4 + _LOCAL.size or not header.startswith(LOCAL):
            return at
        _, flags, method, _, _, crc, packed, unpacked, name, extra = _LOCAL.unpack(header[4:])
        at += len(header)
        entry = _Entry(flags, method, crc, packed, unpacked, read_at(file, at, name), file.read(extra))
        entry.resolve(0)
        at += name + extra
        if flags & SIZES_FOLLOW and not entry.packed:
            at = yield from _unsized(file, at, size, entry, budget)
            continue
        if at + entry.packed > size:
            raise ArchiveError("damaged-archive", f"breaks off inside a member, {entry.name!a}")
        if not entry.name.endswith("/"):
            yield _scanned(file, at, entry, budget)
        at += entry.packed


def _scanned(file: BinaryIO, at: int, entry: _Entry, budget: Budget) -> Member:
    def opened() -> Stream:
        return entry.reader(Slice(file, at, at + entry.packed, budget), budget)

    return Member(entry.name, opened, entry.unpacked, entry.crc)


def _unsized(file: BinaryIO, at: int, size: int, entry: _Entry, budget: Budget) -> Generator[Member, None, int]:
    """A member whose length only its compressed data tells; gives where the next header is to be expected."""
    if entry.method not in (DEFLATED, BZIP2) or entry.flags & ENCRYPTED:
        raise ArchiveError("damaged-archive", "its end is missing, and with it the sizes of its members")
    stream = entry.reader(Slice(file, at, size), budget, ArchiveError)
    assert isinstance(stream, Unpacked)
    yield Member(entry.name, lambda: stream)
    while stream.read(CHUNK):
        pass  # what nobody wanted to see
    at += stream.consumed
    after = read_at(file, at, 4 + 20 + 2)
    signed = 4 * after.startswith(DESCRIPTOR)
    # A checksum and two sizes, of four or of eight bytes each; the next header tells which.
    return at + signed + next((length for length in (12, 20) if after[signed + length :].startswith(b"PK")), 12)
