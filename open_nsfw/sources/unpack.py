"""Decompression of what strangers packed: a chunk in memory at a time, and a budget for what comes out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Protocol

from open_nsfw.errors import InputError

CHUNK = 64 * 1024  # bytes in and bytes out of a decompressor at once
RATIO_FROM = (
    10 * 1024 * 1024
)  # bytes unpacked from which on the ratio is judged: a small blank bitmap packs to nothing, too
UNPACKER_MEMORY = (
    128 * 1024 * 1024
)  # bytes of history a decompressor may keep: xz -9 takes half, zstd allows this by default
WINDOW_LOG = 27  # the same for zstd, as a power of two
_TOO_LARGE = ("memory usage limit", "too much memory")  # what lzma and zstd say of data that needs more

GZIP_BITS = 31  # zlib's window bits: 15, plus 16 for a gzip header
RAW_BITS = -15  # no header, as in zip


class ArchiveError(InputError):
    """The rest of an archive cannot be read; an InputError alone costs only the member in hand."""


class Stream(Protocol):
    """What members are read from: `read(size)` gives at most `size` bytes, and none only at the end."""

    def read(self, size: int, /) -> bytes: ...


class Decompressor(Protocol):
    """As of bz2, lzma and Python 3.14's compression.zstd."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class ZlibDecompressor:
    """zlib's, which differs from the others in who keeps the input that is left over."""

    def __init__(self, window_bits: int) -> None:
        import zlib

        self._zlib = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


class Budget:
    """What unpacking one archive may cost: `max_added` bytes more than were packed, `max_ratio` in any one stream.

    `packed` is the size of a zip: its members cannot hold more, unless they overlap, which only bombs do.
    """

    def __init__(self, max_added: int, max_ratio: float, packed: int | None = None) -> None:
        self.max_added = max_added
        self.max_ratio = max_ratio
        self._added = 0
        self._packed_left = packed

    def unpacked(self, produced: int, consumed: int) -> None:
        """Count what a decompressor made. Raises ArchiveError."""
        self._added += produced - consumed
        if self._added > self.max_added:
            raise ArchiveError(
                "archive-bomb",
                f"unpacks to {self.max_added:,} bytes more than it has (--max-archive-bytes); the rest is not read",
            )

    def read(self, count: int) -> None:
        """Count what was read of a zip's members. Raises ArchiveError."""
        if self._packed_left is not None:
            self._packed_left -= count
            if self._packed_left < 0:
                raise ArchiveError("archive-bomb", "its members overlap, as in a zip bomb; the rest of it is not read")

    def judge(self, produced: int, consumed: int, failure: type[InputError]) -> None:
        """Raises `failure` if one stream unpacks to far more than it was."""
        if produced > RATIO_FROM and produced > self.max_ratio * consumed:
            raise failure(
                "archive-bomb", f"unpacks to more than {self.max_ratio:g} times its size (--max-archive-ratio)"
            )


class Slice(io.RawIOBase):
    """The bytes start..end of a file that others read in, too."""

    def __init__(self, file: BinaryIO, start: int, end: int, budget: Budget | None = None) -> None:
        self._file = file
        self._at = start
        self._end = end
        self._budget = budget

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes and at most `CHUNK`: RawIOBase would allocate as many as are asked for."""
        return super().read(CHUNK if size is None or size < 0 else min(size, CHUNK)) or b""

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._at)
        data = self._file.read(max(min(len(buffer), self._end - self._at), 0))
        buffer[: len(data)] = data
        self._at += len(data)
        if self._budget:
            self._budget.read(len(data))
        return len(data)


class Unpacked:
    """The decompressed bytes of `source`, in pieces of at most `CHUNK`.

    A stream that breaks off or makes no sense raises `failure` with the code `damaged-archive`. `follow` is the magic
    by which a further stream is known (files made with `cat a.gz b.gz`), also behind zeros, which pad streams to the blocks
    of a tape or a disk; anything else after the end is left alone.
    """

    def __init__(
        self,
        source: Stream,
        new: Callable[[], Decompressor],
        budget: Budget,
        failure: type[InputError] = InputError,
        follow: bytes = b"",
    ) -> None:
        self._source = source
        self._new = new
        self._decompressor = new()
        self._budget = budget
        self._failure = failure
        self._follow = follow
        self._taken = 0
        self._produced = 0
        self._piece = b""
        self._given = 0  # bytes of the piece

    @property
    def consumed(self) -> int:
        """Bytes of the source that made what came so far; exact at the end."""
        return self._taken - len(self._decompressor.unused_data)

    def read(self, size: int) -> bytes:
        if self._given == len(self._piece):
            self._piece, self._given = self._next_piece(), 0
        piece = self._piece[self._given : self._given + size]
        self._given += len(piece)
        return piece

    def _next_piece(self) -> bytes:
        data = b""
        while True:
            piece = self._decompress(data)
            if piece:
                return piece
            if self._decompressor.eof:
                data = self._next_stream()
                if not data:
                    return b""
            elif self._decompressor.needs_input:
                data = self._take()
                if not data:
                    raise self._failure("damaged-archive", "breaks off before the end of its compressed data")
            else:
                data = b""

    def _take(self) -> bytes:
        data = self._source.read(CHUNK)
        self._taken += len(data)
        self._budget.unpacked(0, len(data))
        return data

    def _decompress(self, data: bytes) -> bytes:
        if self._decompressor.eof:
            return b""
        try:
            piece = self._decompressor.decompress(data, CHUNK)
        except Exception as error:  # each library has its own exceptions, and needs an import to name them
            raise decompression_error(error, self._failure) from error
        self._produced += len(piece)
        self._budget.unpacked(len(piece), 0)
        self._budget.judge(self._produced, self._taken, self._failure)
        return piece

    def _next_stream(self) -> bytes:
        """The beginning of a further stream behind the one that has ended; nothing if something else is there."""
        if not self._follow:
            return b""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while len(rest) < len(self._follow):
            more = self._take()
            if not more:
                return b""
            rest = (rest + more).lstrip(b"\0")
        if not rest.startswith(self._follow):
            return b""
        self._decompressor = self._new()
        return rest


def decompression_error(error: Exception, failure: type[InputError] = ArchiveError) -> InputError:
    """The `failure` for what a library that decompresses has said."""
    if any(words in str(error).lower() for words in _TOO_LARGE):
        most = f"the {UNPACKER_MEMORY >> 20} MiB that are allowed"
        remedy = "pack it again without --long or with a smaller dictionary"
        return failure("unsupported-compression", f"unpacking it needs a larger window than {most}; {remedy}")
    return failure("damaged-archive", f"its compressed data is damaged: {error}")


@dataclass(frozen=True)
class Member:
    """One entry of an archive, read only when asked and only while its turn lasts."""

    name: str
    open: Callable[[], Stream]
    """Raises InputError if there is nothing to read (encrypted, ...). What is read may raise InputError, too."""
    size: int | None = None
    """Unpacked, as the archive has it; None if it does not tell. An archive may lie."""
    crc: int | None = None
    special: bool = False
    """A link or a device, which has no bytes of its own."""


def read_up_to(stream: Stream, size: int) -> bytes:
    """`size` bytes of a stream that gives them piecemeal; fewer only at its end."""
    pieces = []
    while size > 0:
        piece = stream.read(size)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
