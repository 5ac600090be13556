"""The cache of converted models.

A converted model is kept as `<key>-<sha256 of the file's content>.onnx`: the key says what it was made from (both model
files, the versions of what makes it), the second half that the bytes are whole. Two processes may write at once, and a file
that is cut short or altered is never used.

Nobody else can plant a model: a folder or a file is taken only if it belongs to this user or to root and nobody else can
write to it. Whenever a model is added, what older releases left is removed, and beyond a size limit what was not used
for longest.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from open_nsfw.errors import ModelError
from open_nsfw.files import PART, written_beside
from open_nsfw.scoring.model_files import HASH_DIGITS, ModelFiles, file_sha256

logger = logging.getLogger("open_nsfw")

CACHE_VARIABLE = "OPEN_NSFW_CACHE"
# Parts of the keys. Raise the first whenever nets/onnx_graph.py makes another graph from the same two files, the second
# whenever nets/quantize.py does from the same model and ranges.
CONVERTER_VERSION = 1
QUANTIZER_VERSION = 2

MOST_BYTES = 256 * 1024**2  # kept at most; Yahoo's model takes 53 MB: as converted, optimized, and in int8
IN_USE_SECONDS = 3600.0  # what was used since is not removed for its size: another process may be about to load it
STALE_SECONDS = 86400.0  # a temporary file of that age was left by a process that was killed

_ENTRY = (  # a regular expression for the names of cached models
    r"(?P<model>[0-9a-f]{32})-v(?P<converter>\d+)"
    r"(?:-ort(?P<runtime>[^-]+)|-int8-v(?P<quantizer>\d+)-[0-9a-f]+)?-[0-9a-f]{64}\.onnx"
)
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


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


def float_key(files: ModelFiles, runtime: str | None = None) -> str:
    """The key of a converted model; `runtime` is the release of ONNX Runtime that optimized it, None for none."""
    optimized = "" if runtime is None else f"-ort{runtime}"
    return f"{files.digest[:32]}-v{CONVERTER_VERSION}{optimized}"


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


# ------------------------------------------------------------------------------------------------- looking after it


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
    return "float32" if match["runtime"] is None else f"float32, optimized by ONNX Runtime {match['runtime']}"


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
