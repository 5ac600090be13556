"""The bytes of one picture from a stream: a small one in memory, a large one in an unlinked temporary file.

What may be large is never in this process's memory as a whole, and nothing is allocated because a stream might be long.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import Limits, too_many_bytes
from open_nsfw.sources.failures import system_reason
from open_nsfw.sources.unpack import Stream

MOST_IN_MEMORY = 8 * 1024 * 1024  # bytes; most pictures have less, and a film is better off in a file
PIECE = 1024 * 1024  # bytes that are read at once


@dataclass(frozen=True)
class Payload:
    """All bytes of a picture: `data`, or, of a large one, a `file` at its beginning, which is its owner's to close."""

    size: int
    crc: int
    """CRC-32, as archives have it; 0 where `with_crc` was not asked for."""
    data: bytes | None = None
    file: BinaryIO | None = None


def read_payload(stream: Stream, limits: Limits, head: bytes = b"", with_crc: bool = False) -> Payload:
    """What is left in `stream`, behind `head`, which was read from it before.

    Raises InputError if it is empty, has more than `limits.max_bytes`, or cannot be kept in a file; OSError and
    InputError of the stream itself.
    """
    buffer = PayloadBuffer(with_crc)
    try:
        piece = head or stream.read(PIECE)
        while piece:
            buffer.add(piece)
            if buffer.size > limits.max_bytes:
                raise too_many_bytes(limits)
            piece = stream.read(PIECE)
        if not buffer.size:
            raise InputError("empty", "the file is empty")
        return buffer.payload()
    except BaseException:
        buffer.close()
        raise


class PayloadBuffer:
    """Takes pieces; moves them to a temporary file when they become many."""

    def __init__(self, with_crc: bool = False) -> None:
        self.size = 0
        """Bytes so far."""
        self._with_crc = with_crc
        self._crc = 0
        self._memory = io.BytesIO()  # not a list: a piece of one byte would take forty
        self._file: BinaryIO | None = None

    def add(self, piece: bytes) -> None:
        """Keep a piece. Raises InputError if the folder for temporary files has no room for it."""
        self.size += len(piece)
        if self._with_crc:
            import zlib

            self._crc = zlib.crc32(piece, self._crc)
        self._memory.write(piece)
        if self.size > MOST_IN_MEMORY:
            self._to_file()

    def _to_file(self) -> None:
        with _storage_errors():
            if self._file is None:
                import tempfile

                self._file = tempfile.TemporaryFile()
            self._file.write(self._memory.getvalue())
        self._memory = io.BytesIO()

    def payload(self) -> Payload:
        """All that was added; the buffer is of no use any more. Raises InputError as `add` does."""
        if self._file is None:
            return Payload(self.size, self._crc, data=self._memory.getvalue())
        with _storage_errors():
            self._file.seek(0)  # writes what is in the buffer
        return Payload(self.size, self._crc, file=self._file)

    def close(self) -> None:
        """Forget it, where its payload is not wanted."""
        if self._file is not None:
            self._file.close()


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Makes an OSError the InputError of the picture that could not be kept."""
    try:
        yield
    except OSError as error:
        problem = f"the folder for temporary files cannot hold it: {system_reason(error)}"
        raise InputError(
            "unreadable", f"has over {MOST_IN_MEMORY:,} bytes, and {problem}; name another one in TMPDIR"
        ) from error
