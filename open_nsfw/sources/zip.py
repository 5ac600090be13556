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
from typing import BinaryIO, NamedTuple

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

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"
DESCRIPTOR = b"PK\x07\x08"

# Without their four bytes of magic.
_LOCAL = struct.Struct("<5H3L2H")  # version, flags, method, time, date, crc, packed, unpacked, name, extra
_CENTRAL = struct.Struct("<6H3L5H2L")  # made by, then as above, comment, disk, internal, external, offset
_END = struct.Struct("<4H2LH")  # disk, disk, entries, entries, size, offset, comment
_LOCATOR64 = struct.Struct("<LQL")
_END64 = struct.Struct("<Q2H2L4Q")  # size, made by, version, disk, disk, entries, entries, size, offset

LONGEST_END = 4 + _END.size + 0xFFFF  # bytes of the end record with its comment
MOST_ARCHIVES = 100  # one behind the other, whose directories are looked for
FARTHEST = 2**63 - 1  # that a file can be positioned to; an offset in an archive can say more
IN_ZIP64 = 0xFFFFFFFF  # stands where a number did not fit; the extra field has it

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


class _Directory(NamedTuple):
    """Where a directory is."""

    start: int
    end: int
    shift: int
    """How far offsets are off because something stands before the archive."""
    is_last: bool
    """Whether nothing stands behind the archive."""


def zip_members(file: BinaryIO, budget: Budget) -> Iterator[Member]:
    """The members of the seekable `file`. Raises ArchiveError where the archive ends in a way that it should not."""
    size = file.seek(0, io.SEEK_END)
    directories, are_all = _find_directories(file, size)
    if are_all:
        return chain.from_iterable(_listed(file, directory, budget) for directory in directories)
    return _scan_and_list(file, size, directories, budget)


def _find_directories(file: BinaryIO, size: int) -> tuple[list[_Directory], bool]:
    """The directories of the archives in the file, in their order, and whether no member is outside of these archives.

    There is one, but where archives stand one behind the other.
    """
    found: list[_Directory] = []
    end = size
    while len(found) < MOST_ARCHIVES:
        directory = _find_directory(file, end)
        if directory is None or (found and not directory.is_last):
            break
        if _is_of_the_whole(file, directory):
            return [directory, *found], True
        if not directory.is_last or directory.shift <= 0 or not _has_first_member(file, directory):
            break
        found.insert(0, directory)
        end = directory.shift
    return found, False


def _find_directory(file: BinaryIO, size: int) -> _Directory | None:
    """The directory of the first `size` bytes, or of an archive that ends there.

    Other programs take the last record that stands at the file's end with its comment. What is in that comment, or in an
    archive that is a member of this one, looks like such a record, too.
    """
    start = max(size - LONGEST_END, 0)
    tail = _read_at(file, start, size - start)
    ends = sorted(_ends(tail), key=lambda at: not _is_at_the_end(tail, at))
    for may_be_empty in (False, True):
        for at in ends:
            record = tail[at + 4 : at + 4 + _END.size]
            found = _directory_at(file, start + at, record, _is_at_the_end(tail, at), may_be_empty)
            if found:
                return found
    return None


def _ends(tail: bytes) -> Iterator[int]:
    """Where records of an end may begin, the last one first."""
    at = tail.rfind(END)
    while at >= 0:
        yield at
        at = tail.rfind(END, 0, at)


def _is_at_the_end(tail: bytes, at: int) -> bool:
    record = tail[at + 4 : at + 4 + _END.size]
    return len(record) == _END.size and at + 4 + _END.size + _END.unpack(record)[-1] == len(tail)


def _directory_at(file: BinaryIO, at: int, record: bytes, is_last: bool, may_be_empty: bool) -> _Directory | None:
    """The directory that the record of an end at `at` tells of. `may_be_empty`: also one of an archive without members that
    stands behind something else, as a comment may have it to hide the members."""
    if len(record) < _END.size:
        return None
    _, _, _, _, size, offset, _ = _END.unpack(record)
    end64, size64, offset64 = _zip64_end(file, at)
    if end64 is not None:
        at, size, offset = end64, size64, offset64
    start = at - size
    if size == 0:
        is_ours = start == 0 or (may_be_empty and is_last and _read_at(file, 0, 4) != LOCAL)
    else:
        is_ours = start >= 0 and _read_at(file, start, 4) == CENTRAL
    return _Directory(start, at, start - offset, is_last) if is_ours else None


def _is_of_the_whole(file: BinaryIO, directory: _Directory) -> bool:
    """Whether a directory is that of the whole file, although its offsets may be off: then something else stands before the
    archive, such as a program that unpacks it. A file that begins with a member was cut, and the directory is that of a
    member; or it is two archives, one behind the other."""
    if directory.shift == 0 or directory.start == directory.end:
        return True
    return _read_at(file, 0, 4) != LOCAL and _has_first_member(file, directory)


def _has_first_member(file: BinaryIO, directory: _Directory) -> bool:
    """Whether the first member of a directory is where that says, as far as its header alone tells."""
    header = _read_at(file, directory.start, 4 + _CENTRAL.size)
    offset = _CENTRAL.unpack(header[4:])[-1] if len(header) == 4 + _CENTRAL.size else 0
    return offset == IN_ZIP64 or _read_at(file, offset + directory.shift, 4) == LOCAL


def _zip64_end(file: BinaryIO, at: int) -> tuple[int | None, int, int]:
    """Where the record for large archives begins, the directory's size and offset by it."""
    locator = _read_at(file, at - 4 - _LOCATOR64.size, 4 + _LOCATOR64.size)
    if not locator.startswith(LOCATOR64):
        return None, 0, 0
    record_at = at - len(locator) - 4 - _END64.size  # with nothing between them, as everyone writes it
    record = _read_at(file, record_at, 4 + _END64.size)
    if len(record) < 4 + _END64.size or not record.startswith(END64):
        return None, 0, 0
    fields = _END64.unpack(record[4:])
    return record_at, fields[-2], fields[-1]


def _read_at(file: BinaryIO, at: int, size: int) -> bytes:
    if not 0 <= at <= FARTHEST:
        return b""
    file.seek(at)
    return file.read(size)


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


def _listed(file: BinaryIO, directory: _Directory, budget: Budget) -> Iterator[Member]:
    """The members by a directory."""
    headers = io.BufferedReader(Slice(file, directory.start, directory.end), CHUNK)
    while True:
        header = headers.read(4 + _CENTRAL.size)
        if not header:
            return
        if len(header) < 4 + _CENTRAL.size or not header.startswith(CENTRAL):
            raise ArchiveError("damaged-archive", "its directory is damaged; the rest of it is not read")
        made, _, flags, method, _, _, crc, packed, unpacked, name, extra, comment, _, _, external, offset = (
            _CENTRAL.unpack(header[4:])
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
    header = _read_at(file, at, 4 + _LOCAL.size)
    if len(header) < 4 + _LOCAL.size or not header.startswith(LOCAL):
        raise InputError("damaged-archive", "its data is not where the archive's directory says")
    *_, name, extra = _LOCAL.unpack(header[4:])
    return int(at + len(header) + name + extra)


def _scan_and_list(file: BinaryIO, size: int, directories: list[_Directory], budget: Budget) -> Iterator[Member]:
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
        header = _read_at(file, at, 4 + _LOCAL.size)
        if len(header) < 4 + _LOCAL.size or not header.startswith(LOCAL):
            return at
        _, flags, method, _, _, crc, packed, unpacked, name, extra = _LOCAL.unpack(header[4:])
        at += len(header)
        entry = _Entry(flags, method, crc, packed, unpacked, _read_at(file, at, name), file.read(extra))
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
    after = _read_at(file, at, 4 + 20 + 2)
    signed = 4 * after.startswith(DESCRIPTOR)
    # A checksum and two sizes, of four or of eight bytes each; the next header tells which.
    return at + signed + next((length for length in (12, 20) if after[signed + length :].startswith(b"PK")), 12)
