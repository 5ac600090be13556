"""The cache of converted models.

A converted model is kept as `<key>-<sha256 of the file's content>.onnx`: the key says what it was made from (both model
files and the converter's version), the second half that the bytes are whole. It is written under a temporary name and
renamed, so two processes may write at once, and a file that is cut short or altered is never used.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.scoring.model_files import file_sha256

logger = logging.getLogger("open_nsfw")

CACHE_VARIABLE = "OPEN_NSFW_CACHE"


def cache_dir() -> Path:
    """Where converted models are kept: $OPEN_NSFW_CACHE, or `open_nsfw` in the user's cache folder of the platform."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join("~", "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join("~", "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return Path(os.path.expanduser(base)) / "open_nsfw"


def cached(key: str, suffix: str, make: Callable[[], bytes]) -> Path | bytes:
    """The cached file for `key`, made and kept if there is none that is whole.

    Gives its path, or the bytes themselves where they cannot be kept (a read-only folder, a full disk); the log then
    has a warning that says so, since each run pays for the making.
    """
    folder = cache_dir()
    try:
        found = _find_whole(folder, key, suffix)
    except OSError:  # a name that is too long, a folder that is none: keeping says what it is
        found = None
    if found is not None:
        return found
    data = make()
    try:
        if str(folder).startswith("~"):  # a user without a home folder, as in containers
            raise FileNotFoundError(errno.ENOENT, "there is no home folder")
        return _keep(folder, f"{key}-{hashlib.sha256(data).hexdigest()}{suffix}", data)
    except OSError as error:
        logger.warning(
            "the converted model cannot be kept in %s (%s), so every run makes it anew; name a writable folder in %s",
            folder,
            error.strerror or error,
            CACHE_VARIABLE,
        )
        return data


def _find_whole(folder: Path, key: str, suffix: str) -> Path | None:
    for path in sorted(folder.glob(f"{key}-*{suffix}")):
        try:
            if file_sha256(path).hexdigest() == path.name[len(key) + 1 : -len(suffix)]:
                return path
        except ModelError:
            continue  # not readable, or gone since: as good as not there
    return None


def _keep(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would shut other users out of a shared cache
        os.replace(temporary, folder / name)
    except BaseException:
        os.unlink(temporary)
        raise
    return folder / name
