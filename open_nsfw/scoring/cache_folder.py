"""The folder of converted models, and whether what lies there can be trusted: only if nobody else can put anything there."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
