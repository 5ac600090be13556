"""The cache of converted models.

A converted model is kept as `<key>-<sha256 of the file's content>.onnx`: the key says what it was made from (both model
files, the versions of what makes it), the second half that the bytes are whole. Two processes may write at once, and a file
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
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.files import written_beside
from open_nsfw.scoring.model_files import ModelFiles, file_sha256
from open_nsfw.scoring.versions import CONVERTER_VERSION, QUANTIZER_VERSION

logger = logging.getLogger("open_nsfw")

CACHE_VARIABLE = "OPEN_NSFW_CACHE"
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


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


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Meanwhile converted models are looked for and kept in `folder`, in this whole process."""
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE_VARIABLE]
        else:
            os.environ[CACHE_VARIABLE] = before


def float_key(files: ModelFiles, runtime: str | None = None, blobs: Sequence[str] = ()) -> str:
    """The key of a converted model; `runtime` is the release of ONNX Runtime that optimized it, None for none. `blobs`:
    what it gives beside its output."""
    optimized = "" if runtime is None else f"-ort{runtime}"
    names = f"-blobs{hashlib.sha256(json.dumps(list(blobs)).encode()).hexdigest()[:16]}" if blobs else ""
    return f"{files.digest[:32]}-v{CONVERTER_VERSION}{optimized}{names}"


def int8_key(files: ModelFiles, ranges: bytes) -> str:
    """The key of the int8 model that is made with this ranges file."""
    return f"{float_key(files)}-int8-v{QUANTIZER_VERSION}-{hashlib.sha256(ranges).hexdigest()[:16]}"


def cached(key: str, suffix: str, make: Callable[[], bytes]) -> Path | bytes:
    """The cached file for `key`, made and kept if there is none that is whole.

    Gives its path, or the bytes themselves where they cannot be kept (a read-only folder, a full disk, a folder that
    others can write to); the log then has a warning that says so, since each run pays for the making.
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
        from open_nsfw.scoring.cache_entries import prune  # most runs find their model

        kept = _keep(folder, f"{key}-{hashlib.sha256(data).hexdigest()}{suffix}", data)
    except OSError as error:
        logger.warning(
            "the converted model cannot be kept in %s (%s), so every run makes it anew; name a writable folder in %s",
            folder,
            error.strerror or error,
            CACHE_VARIABLE,
        )
        return data
    prune(folder, kept)
    return kept


def _find_whole(folder: Path, key: str, suffix: str) -> Path | None:
    if not folder.is_dir() or distrust(folder) is not None:
        return None
    # As many digits as a hash has: the keys of others begin with `key`, and their files would be read in vain.
    for path in sorted(folder.glob(f"{key}-{'[0-9a-f]' * 64}{suffix}")):
        try:
            if distrust(path) is None and file_sha256(path).hexdigest() == path.name[len(key) + 1 : -len(suffix)]:
                _note_use(path)
                return path
        except (OSError, ModelError):
            continue  # not readable, or gone since: as good as not there
    return None


def distrust(path: Path) -> str | None:
    """Why this folder or file may hold what another user put there; None if it cannot. Raises OSError if it is not
    there."""
    if not hasattr(os, "geteuid"):
        return None  # Windows: the user's folders are closed to others by their access lists
    own = (0, os.geteuid())
    linked, status = os.lstat(path), os.stat(path)
    if linked.st_uid not in own or status.st_uid not in own:
        return "it belongs to another user"
    if status.st_mode & _WRITABLE_BY_OTHERS and not _is_own_group_only(status):
        return "other users can write to it; `chmod go-w` on it, or remove it"
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"all users can write to {parent}"
    return None


def _is_own_group_only(status: os.stat_result) -> bool:
    """Whether those who can write are this user and the user's own group, which has no other members: many systems give
    each user such a group, and a umask that lets it write."""
    import grp
    import pwd

    if status.st_mode & stat.S_IWOTH:
        return False
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}


def _note_use(path: Path) -> None:
    """Set the time of last access, which many systems update once a day or never."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    except OSError:
        pass  # root's, or on a read-only disk: then it is not this user who removes it


def _keep(folder: Path, name: str, data: bytes) -> Path:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if (reason := distrust(folder)) is not None:
        raise PermissionError(errno.EPERM, reason)
    # Others may read it: root can fill a cache for all users.
    with written_beside(str(folder / name), mode=0o644) as file:
        file.write(data)
    return folder / name
