"""Where the directory of a zip file is; of a file in which archives stand one behind the other, where their directories are.

Layout: PKWARE's APPNOTE.TXT, sections 4.3.12 to 4.3.16.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"

# All without their four bytes of magic. A member's header in the directory has: made by, version, flags, method, time, date, crc,
# packed, unpacked, name, extra, comment, disk, internal, external, offset.
CENTRAL_HEADER = struct.Struct("<6H3L5H2L")
_END = struct.Struct("<4H2LH")  # disk, disk, entries, entries, size, offset, comment
_LOCATOR64 = struct.Struct("<LQL")
_END64 = struct.Struct("<Q2H2L4Q")  # size, made by, version, disk, disk, entries, entries, size, offset

LONGEST_END = 4 + _END.size + 0xFFFF  # bytes of the end record with its comment
MOST_ARCHIVES = 100  # one behind the other, whose directories are looked for
FARTHEST = 2**63 - 1  # that a file can be positioned to; an offset in an archive can say more
IN_ZIP64 = 0xFFFFFFFF  # stands where a number did not fit; the extra field has it


class Directory(NamedTuple):
    """Where a directory is."""

    start: int
    end: int
    shift: int
    """How far offsets are off because something stands before the archive."""
    is_last: bool
    """Whether nothing stands behind the archive."""


def find_directories(file: BinaryIO, size: int) -> tuple[list[Directory], bool]:
    """The directories of the archives in the file, in their order, and whether no member is outside of these archives.

    There is one, but where archives stand one behind the other.
    """
    found: list[Directory] = []
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


def _find_directory(file: BinaryIO, size: int) -> Directory | None:
    """The directory of the first `size` bytes, or of an archive that ends there.

    Other programs take the last record that stands at the file's end with its comment. What is in that comment, or in an
    archive that is a member of this one, looks like such a record, too.
    """
    start = max(size - LONGEST_END, 0)
    tail = read_at(file, start, size - start)
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


def _directory_at(file: BinaryIO, at: int, record: bytes, is_last: bool, may_be_empty: bool) -> Directory | None:
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
        is_ours = start == 0 or (may_be_empty and is_last and read_at(file, 0, 4) != LOCAL)
    else:
        is_ours = start >= 0 and read_at(file, start, 4) == CENTRAL
    return Directory(start, at, start - offset, is_last) if is_ours else None


def _is_of_the_whole(file: BinaryIO, directory: Directory) -> bool:
    """Whether a directory is that of the whole file, although its offsets may be off: then something else stands before the
    archive, such as a program that unpacks it. A file that begins with a member was cut, and the directory is that of a
    member; or it is two archives, one behind the other."""
    if directory.shift == 0 or directory.start == directory.end:
        return True
    return read_at(file, 0, 4) != LOCAL and _has_first_member(file, directory)


def _has_first_member(file: BinaryIO, directory: Directory) -> bool:
    """Whether the first member of a directory is where that says, as far as its header alone tells."""
    header = read_at(file, directory.start, 4 + CENTRAL_HEADER.size)
    offset = CENTRAL_HEADER.unpack(header[4:])[-1] if len(header) == 4 + CENTRAL_HEADER.size else 0
    return offset == IN_ZIP64 or read_at(file, offset + directory.shift, 4) == LOCAL


def _zip64_end(file: BinaryIO, at: int) -> tuple[int | None, int, int]:
    """Where the record for large archives begins, the directory's size and offset by it."""
    locator = read_at(file, at - 4 - _LOCATOR64.size, 4 + _LOCATOR64.size)
    if not locator.startswith(LOCATOR64):
        return None, 0, 0
    record_at = at - len(locator) - 4 - _END64.size  # with nothing between them, as everyone writes it
    record = read_at(file, record_at, 4 + _END64.size)
    if len(record) < 4 + _END64.size or not record.startswith(END64):
        return None, 0, 0
    fields = _END64.unpack(record[4:])
    return record_at, fields[-2], fields[-1]


def read_at(file: BinaryIO, at: int, size: int) -> bytes:
    """So many bytes of a seekable file from `at` on, as far as it has them; none from where no file can have any."""
    if not 0 <= at <= FARTHEST:
        return b""
    file.seek(at)
    return file.read(size)
