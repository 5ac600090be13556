"""The cache of converted models.

A converted model is kept as `<key>-<sha256 of the file's content>.onnx`: the key says what it was made from (both model
files, the versions of what makes it), the second half that the bytes are whole. The one that is laid out for this processor
is two files of one key: the graph, and its weights with the ending `.weights`. Two processes may write at once, and a file
that is cut short or altered is never used.

Nobody else can plant a model: a folder or a file is taken only if it belongs to this user or to root and nobody else can
write to it. Whenever a model is added, cache_entries.py tidies up.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.files import written_beside
from open_nsfw.scoring.cache_folder import CACHE_VARIABLE, cache_dir, distrust
from open_nsfw.scoring.hashes import content_sha256
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.versions import CONVERTER_VERSION, QUANTIZER_VERSION

logger = logging.getLogger("open_nsfw")

# A use is noted once in so many seconds: it changes the file's ctime, after which the file is hashed anew.
NOTE_SECONDS = 43200.0


def float_key(files: ModelFiles, blobs: Sequence[str] = ()) -> str:
    """The key of a converted model. `blobs`: what it gives beside its output."""
    return f"{files.digest[:32]}-v{CONVERTER_VERSION}{_blobs_key(blobs)}"


def _blobs_key(blobs: Sequence[str]) -> str:
    return f"-blobs{hashlib.sha256(json.dumps(list(blobs)).encode()).hexdigest()[:16]}" if blobs else ""


def laid_out_key(files: ModelFiles, runtime: str, processor: str, blobs: Sequence[str] = ()) -> str:
    """The key of the model that a release of ONNX Runtime laid out for a processor, by its `processor.name_of`."""
    return f"{float_key(files)}-ort{runtime}-{processor}{_blobs_key(blobs)}"


def int8_key(files: ModelFiles, ranges: bytes) -> str:
    """The key of the int8 model that is made with this ranges file."""
    return f"{float_key(files)}-int8-v{QUANTIZER_VERSION}-{hashlib.sha256(ranges).hexdigest()[:16]}"


def cached(key: str, suffix: str, make: Callable[[], bytes]) -> Path | bytes:
    """The cached file for `key`, made and kept if there is none that is whole.

    Gives its path, or the bytes themselves where they cannot be kept (a read-only folder, a full disk, a folder that
    others can write to); the log then has a warning that says so, since each run pays for the making.
    """
    found = find(key, suffix)
    if found is not None:
        return found
    data = make()
    try:
        return keep(key, suffix, data)
    except OSError as error:
        logger.warning(
            "the converted model cannot be kept in %s (%s), so every run makes it anew; name a writable folder in %s",
            cache_dir(),
            error.strerror or error,
            CACHE_VARIABLE,
        )
        return data


def find(key: str, suffix: str) -> Path | None:
    """The cached file for `key`, if there is one that is whole and can be trusted."""
    folder = cache_dir()
    try:
        if not folder.is_dir() or distrust(folder) is not None:
            return None
        # As many digits as a hash has: the keys of others begin with `key`, and their files would be read in vain.
        found = sorted(folder.glob(f"{key}-{'[0-9a-f]' * 64}{suffix}"))
    except OSError:  # a name that is too long, a folder that is none: keeping says what it is
        return None
    for path in found:
        try:
            if distrust(path) is None and content_sha256(path) == path.name[len(key) + 1 : -len(suffix)]:
                _note_use(path)
                return path
        except (OSError, ModelError):
            continue  # not readable, or gone since: as good as not there
    return None


def keep(key: str, suffix: str, data: bytes) -> Path:
    """Write a file for `key`, and remove what has become too much. Raises OSError."""
    from open_nsfw.scoring.cache_entries import prune  # most runs find their model

    folder = cache_dir()
    if str(folder).startswith("~"):  # a user without a home folder, as in containers
        raise FileNotFoundError(errno.ENOENT, "there is no home folder")
    # `parents=True` would leave those above open to everybody under a umask of 0, and the folder not to be trusted.
    for missing in reversed([each for each in folder.parents if not each.exists()]):
        missing.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o755, exist_ok=True)
    if (reason := distrust(folder)) is not None:
        raise PermissionError(errno.EPERM, reason)
    path = folder / f"{key}-{hashlib.sha256(data).hexdigest()}{suffix}"
    # Others may read it: root can fill a cache for all users.
    with written_beside(str(path), mode=0o644) as file:
        file.write(data)
    prune(folder, path)
    return path


def _note_use(path: Path) -> None:
    """Set the time of last access, which many systems update once a day or never."""
    try:
        status, now = path.stat(), time.time_ns()
        if now - max(status.st_atime_ns, status.st_mtime_ns) > NOTE_SECONDS * 1e9:
            os.utime(path, ns=(now, status.st_mtime_ns))
    except OSError:
        pass  # root's, or on a read-only disk: then it is not this user who removes it
