"""The members of a tar file, compressed or not, read as a stream from beginning to end.

The standard library's `tarfile` remembers every member it has passed, and reads headers of any length that a stranger's
file gives them into memory. Layout: POSIX.1-2017, `pax`; the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

from open_nsfw.errors import InputError
from open_nsfw.installing import install_command
from open_nsfw.sources.heads import BLOCK, is_header, number
from open_nsfw.sources.unpack import (
    CHUNK,
    GZIP_BITS,
    UNPACKER_MEMORY,
    WINDOW_LOG,
    ArchiveError,
    Budget,
    Decompressor,
    Member,
    Stream,
    Unpacked,
    ZlibDecompressor,
    decompression_error,
    read_up_to,
)

LONGEST_HEADER = 1024 * 1024  # bytes of pax records, which may hold a file's extended attributes
LONGEST_NAME = 64 * 1024  # bytes; a path of Linux has 4096, a zip's name at most as many as this
MOST_RECORDS = 1000  # in one pax header; a file has a dozen, and a hundred with many extended attributes
SEEK_FROM = 1024 * 1024  # bytes that it pays to seek over rather than to read

COMPRESSIONS = {"gz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ\x00", "zst": b"\x28\xb5\x2f\xfd"}

_REGULAR = b"0\x007"  # type flags; \0 is from before POSIX, 7 was meant for contiguous files
_NO_DATA = b"123456"  # links, devices, folders, pipes: whatever size their header gives
_FOLDERS = b"5D"
_SPARSE_NAME, _IS_SPARSE = "GNU.sparse.name", "GNU.sparse"
_NAME_KEYS = ("path", _SPARSE_NAME)
_LONG_NAME, _LONG_LINK, _SPARSE, _PAX, _PAX_ALL, _PAX_SUN = b"L", b"K", b"S", b"x", b"g", b"X"


def decompressed(file: Stream, compression: str, budget: Budget) -> Stream:
    """The stream inside `file`; `compression` is a key of `COMPRESSIONS`. Raises ArchiveError: `missing-library`."""
    follow = COMPRESSIONS[compression]
    if compression == "gz":
        return Unpacked(file, lambda: ZlibDecompressor(GZIP_BITS), budget, ArchiveError, follow)
    if compression == "zst":
        return _zstd(file, budget, follow)
    return Unpacked(file, _new_bzip2 if compression == "bz2" else _new_xz, budget, ArchiveError, follow)


def _new_bzip2() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _new_xz() -> Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, UNPACKER_MEMORY)


def _zstd(file: Stream, budget: Budget, follow: bytes) -> Stream:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        return _ZstandardStream(file, budget)
    options = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}
    return Unpacked(file, lambda: zstd.ZstdDecompressor(options=options), budget, ArchiveError, follow)


class _ZstandardStream:
    """The same through the package `zstandard`, whose decompressor objects know no limit to what they give at once."""

    def __init__(self, file: Stream, budget: Budget) -> None:
        try:
            import zstandard  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            raise ArchiveError(
                "missing-library", f"Zstandard archives need a library: {install_command('zstd')}"
            ) from None
        self._file = file
        self._budget = budget
        self._taken = 0
        self._produced = 0
        self._error = zstandard.ZstdError
        unpacker: Any = zstandard.ZstdDecompressor(max_window_size=2**WINDOW_LOG)
        self._reader = unpacker.stream_reader(self._Packed(self), read_size=CHUNK, read_across_frames=True)

    class _Packed:
        """The packed side, as an object with the method `read` that the library asks for."""

        def __init__(self, stream: _ZstandardStream) -> None:
            self.read = stream._take

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        self._taken += len(data)
        self._budget.unpacked(0, len(data))
        return data

    def read(self, size: int) -> bytes:
        try:
            piece: bytes = self._reader.read(min(size, CHUNK))
        except self._error as error:
            raise decompression_error(error) from error
        self._produced += len(piece)
        self._budget.unpacked(len(piece), 0)
        self._budget.judge(self._produced, self._taken, ArchiveError)
        return piece


def tar_members(stream: Stream, size: int | None = None) -> Iterator[Member]:
    """The members of a tar; `size` is that of a seekable file. Raises ArchiveError where it breaks off or is broken."""
    source = _Source(stream, size)
    names = _Names()
    ended = False
    while True:
        block = source.read(BLOCK)
        if ended and len(block) < BLOCK:
            return
        if not block:
            raise ArchiveError("damaged-archive", "ends without an end mark: the file was cut short")
        if len(block) < BLOCK:
            raise ArchiveError("damaged-archive", "breaks off inside a header")
        if not block.strip(b"\0"):
            ended = True  # but `cat a.tar b.tar` goes on behind it
        elif is_header(block):
            ended = False
            yield from _entry(block, source, names)
        elif ended:
            return  # whatever fills the last record
        else:
            raise ArchiveError("damaged-archive", "a header is damaged; the rest of it is not read")


class _Names:
    """What the headers before a member's own say about it: the few records that matter, however many there are."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}

    def add(self, key: str, value: bytes) -> None:
        """Take a record. Raises ArchiveError for a name that is absurdly long."""
        if key in _NAME_KEYS and len(value) > LONGEST_NAME:
            raise ArchiveError("damaged-archive", f"a name of {len(value):,} bytes; the rest of it is not read")
        if key in _NAME_KEYS or key == "size":
            self._records[key] = value
        elif key.startswith("GNU.sparse."):
            self._records[_IS_SPARSE] = b""

    def take(self) -> dict[str, bytes]:
        records, self._records = self._records, {}
        return records


class _Source:
    """A tar's bytes: blocks of headers, and the data between them."""

    def __init__(self, stream: Stream, size: int | None) -> None:
        self._stream = stream
        self._size = size
        self._at = 0

    def read(self, size: int) -> bytes:
        data = read_up_to(self._stream, size)
        self._at += len(data)
        return data

    def header(self, size: int) -> bytes:
        """The data of a member that only says something about the next one."""
        if size > LONGEST_HEADER:
            raise ArchiveError("damaged-archive", f"a header of {size:,} bytes; the rest of it is not read")
        data = self.read(_padded(size))
        if len(data) < _padded(size):
            raise ArchiveError("damaged-archive", "breaks off inside a header")
        return data[:size]

    def skip(self, size: int) -> None:
        if self._size is not None and size >= SEEK_FROM:
            self._seek(size)
            return
        while size:
            data = self.read(min(size, CHUNK))
            if not data:
                raise ArchiveError("damaged-archive", "breaks off inside a member")
            size -= len(data)

    def _seek(self, size: int) -> None:
        assert self._size is not None and isinstance(self._stream, io.IOBase)
        if self._at + size > self._size:
            raise ArchiveError("damaged-archive", "breaks off inside a member")
        self._stream.seek(size, os.SEEK_CUR)
        self._at += size


class _Data:
    """The bytes of one member."""

    def __init__(self, source: _Source, size: int) -> None:
        self._source = source
        self.left = size

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self.left, CHUNK))
        if self.left and not data:
            raise ArchiveError("damaged-archive", "breaks off inside a member")
        self.left -= len(data)
        return data


def _entry(block: bytes, source: _Source, names: _Names) -> Iterator[Member]:
    """What follows a header: a member, or something about the next one."""
    flag = block[156:157]
    size = _size(block[124:136])
    if flag in (_LONG_NAME, _LONG_LINK):
        name = source.header(size).split(b"\0", 1)[0]
        if flag == _LONG_NAME:
            names.add("path", name)
    elif flag in (_PAX, _PAX_SUN):
        for key, value in _pax_records(source.header(size)):
            names.add(key, value)
    elif flag == _PAX_ALL:
        source.skip(_padded(size))  # comments, in practice
    else:
        yield from _member(block, flag, size, source, names.take())


def _member(block: bytes, flag: bytes, size: int, source: _Source, records: dict[str, bytes]) -> Iterator[Member]:
    size = _pax_size(records["size"]) if "size" in records else size
    name = _name(block, records)
    sparse = flag == _SPARSE or _SPARSE_NAME in records or _IS_SPARSE in records
    if flag == _SPARSE:
        _skip_sparse_map(block, source)
    if flag in _NO_DATA:
        size = 0
    data = _Data(source, size)
    is_folder = flag in _FOLDERS or (flag == b"\0" and name.endswith("/"))
    if sparse:
        yield Member(records.get(_SPARSE_NAME, os.fsencode(name)).decode("utf-8", "surrogateescape"), _refuse_sparse)
    elif not is_folder:
        yield Member(name, lambda: data, size, special=flag not in _REGULAR)
    source.skip(data.left + _padded(size) - size)


def _name(block: bytes, records: dict[str, bytes]) -> str:
    name = records.get("path")
    if name is None:
        name = block[:100].split(b"\0", 1)[0]
        prefix = block[345:500].split(b"\0", 1)[0]
        # In GNU's dialect, known by a blank in place of the NUL, other things stand there.
        if prefix and block[257:263] == b"ustar\0":
            name = prefix + b"/" + name
    return name.decode("utf-8", "surrogateescape")


def _refuse_sparse() -> Stream:
    raise InputError("sparse-member", "is stored as a sparse file, which is not read; pack it without --sparse")


def _skip_sparse_map(block: bytes, source: _Source) -> None:
    """GNU's old format: the list of the file's parts goes on in blocks behind the header."""
    more = block[482]
    while more:
        more = source.header(BLOCK)[504]


def _pax_records(data: bytes) -> Iterator[tuple[str, bytes]]:
    """`LENGTH KEY=VALUE\\n`, one after the other, the length being that of all of it."""
    at = 0
    for _ in range(MOST_RECORDS):
        if at == len(data) or (not data[at] and not data[at:].strip(b"\0")):
            return
        blank = data.find(b" ", at, at + 21)
        digits = data[at:blank] if blank >= 0 else b""
        if not digits.isdigit() or not 5 <= int(digits) <= len(data) - at:
            raise ArchiveError("damaged-archive", "a pax header is damaged; the rest of it is not read")
        end = at + int(digits)
        key, _, value = data[blank + 1 : end - 1].partition(b"=")
        yield key.decode("utf-8", "replace"), value
        at = end
    if at < len(data):
        raise ArchiveError("damaged-archive", f"a pax header of over {MOST_RECORDS:,} records; the rest is not read")


def _pax_size(value: bytes) -> int:
    if not value.isdigit() or len(value) > 20:
        raise ArchiveError("damaged-archive", "a pax header is damaged; the rest of it is not read")
    return int(value)


def _size(field: bytes) -> int:
    try:
        size = number(field)
    except ValueError:
        size = -1
    if size < 0:
        raise ArchiveError("damaged-archive", "a header is damaged; the rest of it is not read")
    return size


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
