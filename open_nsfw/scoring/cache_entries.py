"""What is in the cache of converted models, and how it is kept small: what older releases left is removed, and beyond a size
limit what was not used for longest."""

from __future__ import annotations

import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from open_nsfw.files import PART
from open_nsfw.scoring.model_files import HASH_DIGITS
from open_nsfw.scoring.versions import CONVERTER_VERSION, QUANTIZER_VERSION

MOST_BYTES = 256 * 1024**2  # kept at most; Yahoo's model takes 53 MB: as converted, optimized, and in int8
IN_USE_SECONDS = 3600.0  # what was used since is not removed for its size: another process may be about to load it
STALE_SECONDS = 86400.0  # a temporary file of that age was left by a process that was killed

_ENTRY = (  # a regular expression for the names of cached models
    r"(?P<model>[0-9a-f]{32})-v(?P<converter>\d+)"
    r"(?:-ort(?P<runtime>[^-]+)|-int8-v(?P<quantizer>\d+)-[0-9a-f]+)?(?P<blobs>-blobs[0-9a-f]{16})?-[0-9a-f]{64}\.onnx"
)


@dataclass(frozen=True)
class Entry:
    """One model in the cache."""

    path: Path
    size: int
    """In bytes."""
    used: float
    """When it was last used, in seconds since 1970."""
    model: str
    """The short hash of the model that it was made from."""
    kind: str
    """What it is, for people."""
    outdated: bool
    """Made by an older release, and no longer used by this one."""


def entries(folder: Path) -> list[Entry]:
    """The models in a cache folder, those used last first."""
    found = []
    for path in folder.glob("*.onnx"):
        match = re.fullmatch(_ENTRY, path.name)
        if match is None:
            continue  # not of this software
        try:
            status = path.lstat()
        except OSError:
            continue  # gone since
        if stat.S_ISREG(status.st_mode):
            used = max(status.st_atime, status.st_mtime)
            found.append(
                Entry(path, status.st_size, used, match["model"][:HASH_DIGITS], _kind(match), _outdated(match))
            )
    return sorted(found, key=lambda entry: (-entry.used, entry.path.name))


def _kind(match: re.Match[str]) -> str:
    if match["quantizer"] is not None:
        return "int8"
    optimized = "" if match["runtime"] is None else f", optimized by ONNX Runtime {match['runtime']}"
    return f"float32{' with blobs' if match['blobs'] else ''}{optimized}"


def _outdated(match: re.Match[str]) -> bool:
    older_quantizer = match["quantizer"] is not None and int(match["quantizer"]) < QUANTIZER_VERSION
    return older_quantizer or int(match["converter"]) < CONVERTER_VERSION


def prune(folder: Path, newest: Path) -> None:
    """Remove what older releases and killed processes left, and beyond `MOST_BYTES` the models not used for longest.

    `newest` stays, and so does what was used in the last hour. What cannot be removed stays, too.
    """
    now, total = time.time(), 0
    for entry in entries(folder):
        total += entry.size
        too_much = total > MOST_BYTES and now - entry.used > IN_USE_SECONDS
        if entry.path.name != newest.name and (entry.outdated or too_much):
            total -= entry.size if _remove(entry.path) else 0
    for path in folder.glob(f".*{PART}"):
        try:
            if now - path.lstat().st_mtime > STALE_SECONDS:
                path.unlink()
        except OSError:
            continue


def clear(folder: Path) -> list[Entry]:
    """Remove all models from a cache folder; those that could not be removed."""
    return [entry for entry in entries(folder) if not _remove(entry.path)]


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
