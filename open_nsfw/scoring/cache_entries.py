"""What is in the cache of converted models, and how it is kept small: what older releases left is removed, and beyond a size
limit what was not used for longest."""

from __future__ import annotations

import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.files import PART
from open_nsfw.scoring.hashes import RECORD, file_sha256
from open_nsfw.scoring.model_files import HASH_DIGITS
from open_nsfw.scoring.versions import CONVERTER_VERSION, QUANTIZER_VERSION

MOST_BYTES = 256 * 1024**2  # kept at most; Yahoo's model takes 53 MB: as converted, laid out, and in int8
IN_USE_SECONDS = 86400.0  # what was used since is not removed for its size; a use is noted twice a day (cache.py)
STALE_SECONDS = 86400.0  # a temporary file of that age was left by a process that was killed

_ENTRY = (  # a regular expression for the names of cached models
    r"(?P<model>[0-9a-f]{32})-v(?P<converter>\d+)"
    r"(?:-ort(?P<runtime>[^-]+)(?:-(?P<processor>[0-9a-f]{8}|any))?|-int8-v(?P<quantizer>\d+)-[0-9a-f]+)?"
    r"(?P<blobs>-blobs[0-9a-f]{16})?-[0-9a-f]{64}(?P<suffix>\.onnx|\.weights)"
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
    is_model: bool
    """Whether it is a model, rather than the weights of one."""


def entries(folder: Path) -> list[Entry]:
    """The models in a cache folder, and the weights of some in files of their own; those used last first."""
    found = []
    for path in folder.glob("*"):
        match = re.fullmatch(_ENTRY, path.name)
        if match is None:
            continue  # not of this software
        try:
            status = path.lstat()
        except OSError:
            continue  # gone since
        if stat.S_ISREG(status.st_mode):
            used, model = max(status.st_atime, status.st_mtime), match["model"][:HASH_DIGITS]
            is_model = match["suffix"] == ".onnx"
            found.append(Entry(path, status.st_size, used, model, _kind(match), _outdated(match), is_model))
    return sorted(found, key=lambda entry: (-entry.used, entry.path.name))


def _kind(match: re.Match[str]) -> str:
    if match["quantizer"] is not None:
        return "int8"
    kind = f"float32{' with blobs' if match['blobs'] else ''}"
    if match["runtime"] is None:
        return kind
    weights = "" if match["suffix"] == ".onnx" else "weights of "
    return f"{weights}{kind}, laid out by ONNX Runtime {match['runtime']} for processor {match['processor'] or 'any'}"


def _outdated(match: re.Match[str]) -> bool:
    older_quantizer = match["quantizer"] is not None and int(match["quantizer"]) < QUANTIZER_VERSION
    older_layout = match["runtime"] is not None and match["processor"] is None  # weights and graph in one file
    return older_quantizer or older_layout or int(match["converter"]) < CONVERTER_VERSION


def prune(folder: Path, newest: Path) -> None:
    """Remove what older releases and killed processes left, and beyond `MOST_BYTES` the models not used for longest.

    `newest` stays, and so does what was used in the last day. What cannot be removed stays, too.
    """
    now, total = time.time(), 0
    for entry in entries(folder):
        total += entry.size
        too_much = total > MOST_BYTES and now - entry.used > IN_USE_SECONDS
        if entry.path.name != newest.name and (entry.outdated or too_much):
            total -= entry.size if remove(entry.path) else 0
    for path in folder.glob(f".*{PART}"):
        try:
            if now - path.lstat().st_mtime > STALE_SECONDS:
                path.unlink()
        except OSError:
            continue


def damaged(folder: Path) -> list[Entry]:
    """The models whose content is not what their names say, read in full."""
    return [entry for entry in entries(folder) if not _is_whole(entry)]


def _is_whole(entry: Entry) -> bool:
    try:
        return file_sha256(entry.path) == entry.path.stem[-64:]
    except ModelError:  # gone, or not to be read
        return True


def clear(folder: Path) -> list[Entry]:
    """Remove all models from a cache folder, and what is remembered of files; the models that could not be removed."""
    left = [entry for entry in entries(folder) if not remove(entry.path)]
    remove(folder / RECORD)
    return left


def remove(path: Path) -> bool:
    """Remove a file of the cache; whether it is gone."""
    try:
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
