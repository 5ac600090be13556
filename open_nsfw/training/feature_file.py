"""Features of pictures in a file, by the SHA-256 of the encoded picture.

The file begins with a line of JSON that says of which model and blob the features are. Records of one size follow: the
SHA-256, the features (little-endian float32, or bytes where they are pixels), the CRC-32 of both. A record is written at
once and only ever added, so a run that is killed leaves at most one that is cut short, which the next run takes away. A
record that is damaged counts as not there.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.files import lock

Float32 = NDArray[np.float32]

FORMAT = 1
DIGEST_BYTES, CRC_BYTES = 32, 4
BYTES_AT_ONCE = 16 * 2**20  # read when a file is opened
LONGEST_HEADER = 4096


@dataclass(frozen=True)
class FeatureKind:
    """What the features of a file are."""

    model: str
    """SHA-256 over prototxt and weights, hexadecimal (`ModelFiles.digest`)."""
    blob: str
    """The name of Caffe's blob."""
    values: int
    """How many each picture has."""
    type: str = "<f4"
    """NumPy's name of their type: "<f4" or "u1"."""

    @property
    def size(self) -> int:
        """How many bytes each picture takes."""
        return self.values * np.dtype(self.type).itemsize

    def header(self) -> bytes:
        """The first line of the file."""
        return json.dumps({"open_nsfw_features": FORMAT, **asdict(self)}, sort_keys=True).encode("ascii") + b"\n"


class FeatureFile:
    """The file, open for reading and adding. Use as a context manager."""

    def __init__(self, path: str, kind: FeatureKind, overwrite: bool = False) -> None:
        """Open or begin the file. Raises UsageError if it holds other features, OutputError if it cannot be written or
        another run has it."""
        self._path, self._kind = path, kind
        self._record = DIGEST_BYTES + kind.size + CRC_BYTES
        self._at: dict[str, int] = {}
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            self._file = os.fdopen(descriptor, "r+b", buffering=0)
        except OSError as error:
            raise self._failure(error) from error
        try:
            self._open(overwrite)
        except OSError as error:
            self._file.close()
            raise self._failure(error) from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> FeatureFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self._at

    def __len__(self) -> int:
        return len(self._at)

    def add(self, sha256: str, features: NDArray[Any]) -> None:
        """Keep the features of a picture, (values,) of the file's type. Raises OutputError, as for a full disk."""
        if sha256 in self._at:
            return
        content = bytes.fromhex(sha256) + np.ascontiguousarray(features, dtype=self._kind.type).tobytes()
        record = content + zlib.crc32(content).to_bytes(CRC_BYTES, "little")
        if len(record) != self._record:
            raise ValueError(f"{self._kind.values} features are needed, not {features.size}")
        try:
            self._write(record, self._end)
        except OSError as error:
            raise self._failure(error) from error
        self._at[sha256] = self._end
        self._end += self._record

    def read(self, digests: Sequence[str]) -> NDArray[Any]:
        """(N, values) of the file's type: the features of these pictures, which must be there. For one thread."""
        found = np.empty((len(digests), self._kind.values), np.dtype(self._kind.type).newbyteorder("="))
        for row, sha256 in zip(found, digests):
            position = self._at[sha256] + DIGEST_BYTES
            row[:] = np.frombuffer(self._read(self._kind.size, position), self._kind.type)
        return found

    def _open(self, overwrite: bool) -> None:
        """Check the header, or write it, and find the records."""
        if not lock(self._file.fileno()):
            raise OutputError(f"{self._path}: another run is writing it")
        if overwrite:
            self._file.truncate(0)
        header = self._kind.header()
        head = self._read(LONGEST_HEADER, 0)
        if head[: len(header)] != header:
            if b"\n" in head or not header.startswith(head):
                raise UsageError(f"{self._path}: holds features of another model; --overwrite begins anew")
            self._write(header, 0)  # a new file, or one whose first run was killed here
        self._end = len(header)
        self._find_records()
        self._file.truncate(self._end)

    def _find_records(self) -> None:
        size = max(BYTES_AT_ONCE // self._record, 1) * self._record
        while chunk := self._read(size, self._end):
            whole = len(chunk) // self._record
            for number in range(whole):
                record = chunk[number * self._record : (number + 1) * self._record]
                content, crc = record[:-CRC_BYTES], record[-CRC_BYTES:]
                if zlib.crc32(content).to_bytes(CRC_BYTES, "little") == crc:
                    self._at[content[:DIGEST_BYTES].hex()] = self._end + number * self._record
            self._end += whole * self._record
            if not whole:
                break

    def _read(self, size: int, position: int) -> bytes:
        """So many bytes, less only where the file ends."""
        self._file.seek(position)
        parts = []
        while size and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _write(self, data: bytes, position: int) -> None:
        """All of `data`, also where the system takes less at a time."""
        self._file.seek(position)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"{self._path}: cannot be written: {error.strerror or error}")
