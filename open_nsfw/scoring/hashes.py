"""SHA-256 of model files. Those of large files are remembered: hashing 24 MB takes 13 ms, an eighth of a start.

A file counts as unchanged while its name, size, inode, and the times of its last change are what they were when it was
hashed. Any program that writes to a file sets the time that Linux and macOS call ctime, and no program can set it back.
`open-nsfw cache --check` hashes everything again. The record is `hashes.json` in the cache of converted models, and is
taken under the same conditions as a model there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from open_nsfw.errors import ModelError
from open_nsfw.files import written_beside
from open_nsfw.scoring.cache_folder import cache_dir, distrust

RECORD = "hashes.json"
SMALLEST = 1 << 20  # bytes of a file that is worth a line in the record: less are hashed in under a millisecond
MOST_FILES = 64
MOST_RECORD_BYTES = 1 << 18
# A file that was written to just now may be written to again within the same tick of the file system's clock, and nothing
# would show it. FAT's clock, the coarsest, ticks every 2 seconds.
SETTLED_NS = 2_000_000_000
CHUNK = 1 << 20
MOST_BYTES = 2**31 - 1  # of a model file: protobuf reads no longer message, and /dev/zero has no end


class Hashed(NamedTuple):
    """A file as it was when it was hashed. (A dataclass would take a millisecond of each start to define.)"""

    size: int
    inode: int
    modified_ns: int
    changed_ns: int
    sha256: str

    def is_of(self, status: os.stat_result) -> bool:
        """Whether the file has not been written to since."""
        return self[:4] == _identity(status)


def content_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, hexadecimal; from the record if the file is there and has not changed since.

    Raises ModelError if it cannot be read or is too large.
    """
    try:
        before, name = os.stat(path), os.path.abspath(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return file_sha256(path)  # says what is wrong with it
    if before.st_size < SMALLEST:
        return file_sha256(path)
    known = recorded().get(name)
    if known is not None and known.is_of(before):
        return known.sha256
    sha256 = file_sha256(path)
    if _identity(os.stat(path)) == _identity(before) and _is_settled(before):
        _remember(name, Hashed(*_identity(before), sha256))
    return sha256


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, read now, hexadecimal. Raises ModelError if it cannot be read or is too large."""
    digest, total = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                total += len(chunk)
                if total > MOST_BYTES:
                    raise ModelError(
                        f"{path}: more than {MOST_BYTES:,} bytes, which no such file of a published net has"
                    )
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def recorded() -> dict[str, Hashed]:
    """The record: absolute path of a file -> how it was. Empty where there is none that can be trusted and read."""
    path = cache_dir() / RECORD
    try:
        if not path.is_file() or distrust(path.parent) is not None or distrust(path) is not None:
            return {}
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.read(MOST_RECORD_BYTES))
        return {str(name): _hashed(*values) for name, values in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # damaged: written again
        return {}


def altered() -> list[str]:
    """The recorded files that have other content than when they were hashed, though nothing else shows it: read in full,
    and taken out of the record. Raises OSError if that cannot be written."""
    files = recorded()
    found = [name for name, known in files.items() if not _holds(name, known)]
    if found:
        _write({name: known for name, known in files.items() if name not in found})
    return found


def _holds(name: str, known: Hashed) -> bool:
    try:
        return not known.is_of(os.stat(name)) or file_sha256(Path(name)) == known.sha256
    except (OSError, ModelError):
        return True  # gone, or not to be read: a run notices that


def _hashed(size: int, inode: int, modified_ns: int, changed_ns: int, sha256: str) -> Hashed:
    return Hashed(int(size), int(inode), int(modified_ns), int(changed_ns), str(sha256))


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def _is_settled(status: os.stat_result) -> bool:
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS


def _remember(name: str, hashed: Hashed) -> None:
    """Add a file to the record, if there is a folder for it; of two processes that do so at once one may lose its line."""
    files = {other: known for other, known in recorded().items() if other != name and os.path.exists(other)}
    kept = list(files.items())[-(MOST_FILES - 1) :]
    try:
        if cache_dir().is_dir() and distrust(cache_dir()) is None:
            _write(dict([*kept, (name, hashed)]))
    except OSError:
        pass  # a read-only folder, a full disk: the next run hashes again


def _write(files: dict[str, Hashed]) -> None:
    with written_beside(str(cache_dir() / RECORD), mode=0o644) as file:
        file.write(json.dumps(files, indent=1).encode())
