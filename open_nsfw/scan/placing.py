"""A file's way into a folder, so that a kill or a full disk at any moment leaves it whole in one of the two places.

    find_place    where in the folder it belongs, under a free name if its own is taken
    bring         copies or moves it there
    taken_places  where it may have been brought before
    is_one_entry  tells whether its place is where it is already, by another name

A copy is written under a temporary name, flushed to disk, and then takes its name, if that is still free. A moved file
gets its new name before it loses the old one.
"""

from __future__ import annotations

import errno
import filecmp
import itertools
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from open_nsfw.files import LONGEST_NAME, flush_folder, remove_leftover, written_beside

COPY_PIECE = 1024 * 1024  # bytes that are copied at once


class Place(NamedTuple):
    """Where a file belongs."""

    path: str
    holds_it: bool
    """Whether the same content is there already, as after an earlier run."""
    is_own_name: bool
    """Whether the last part of its name is the file's own; else that was taken."""


def find_place(source: str, folder: str, parts: Sequence[str]) -> Place:
    """The place of the file `source` in `folder`, below the folders `parts[:-1]`, with the name `parts[-1]`.

    Names that something else has, be it a file where a folder is needed or a dangling link, get a number: `a-2.jpg`.
    Raises OSError.
    """
    for number, path in enumerate(_places(folder, parts)):
        if not os.path.lexists(path):
            return Place(path, holds_it=False, is_own_name=not number)
        if _is_same_picture(source, path):
            return Place(path, holds_it=True, is_own_name=not number)
    raise AssertionError("unreachable: there is always another name")


def bring(source: str, folder: str, parts: Sequence[str], may_link: bool) -> Place:
    """Bring the file `source` to its place. Raises OSError, and then leaves nothing there.

    `may_link`: the file is going to lose its present name, so that the same file may get the new one.
    """
    while True:
        place = find_place(source, folder, parts)
        if place.holds_it:
            remove_leftover(place.path)
            return place
        os.makedirs(os.path.dirname(place.path), exist_ok=True)
        try:
            if not (may_link and _link(source, place.path)):
                _copy(source, place.path)
        except FileExistsError:
            continue  # another program has taken the name since
        return place


def taken_places(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """Those of the places that `find_place` looks at, up to the first free one, that have something."""
    return itertools.takewhile(os.path.lexists, _places(folder, parts))


def _places(folder: str, parts: Sequence[str]) -> Iterator[str]:
    for part in parts[:-1]:
        paths = (os.path.join(folder, name) for name in _names_like(part))
        folder = next(path for path in paths if os.path.isdir(path) or not os.path.lexists(path))
    return (os.path.join(folder, name) for name in _names_like(parts[-1]))


def is_one_entry(first: str, second: str, may_try: bool) -> bool:
    """Whether two names stand for one entry of one folder, so that removing the one removes the other: a link leads to a
    folder above, a folder is mounted twice, or the disk takes `A` and `a` for the same. Hard links are two entries.

    `may_try`: where nothing else tells, see whether a temporary file beside `first` is beside `second`, too. Raises OSError.
    """
    try:
        one, other = os.lstat(first), os.lstat(second)
    except FileNotFoundError:
        return False
    if os.path.samestat(one, other) and one.st_nlink == 1:
        return True
    if os.path.basename(first) != os.path.basename(second):
        return False
    return _is_one_folder(os.path.dirname(first) or os.curdir, os.path.dirname(second) or os.curdir, may_try)


def _is_one_folder(first: str, second: str, may_try: bool) -> bool:
    one, other = os.stat(first), os.stat(second)
    if one.st_dev == other.st_dev or not may_try:
        return os.path.samestat(one, other)
    # Two file systems may be one that is mounted twice, as over a network, and then their numbers tell nothing.
    with tempfile.NamedTemporaryFile(dir=first, prefix=".") as file:
        return os.path.lexists(os.path.join(second, os.path.basename(file.name)))


def _names_like(name: str) -> Iterator[str]:
    """The name, then `stem-2.suffix`, `stem-3.suffix` and so on, cut to what file systems take."""
    yield name
    stem, suffix = os.path.splitext(name)
    for number in itertools.count(2):
        end = f"-{number}{suffix}"
        yield os.fsdecode(os.fsencode(stem)[: LONGEST_NAME - len(os.fsencode(end))]) + end


def _is_same_picture(source: str, path: str) -> bool:
    """Whether a regular file at `path` has the content of `source`, or `path` is where `source` is."""
    if is_one_entry(source, path, may_try=False):
        return True
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return False
    filecmp.clear_cache()  # it goes by size and time of change, which a new file may share with the one before it
    return os.path.samefile(source, path) or filecmp.cmp(source, path, shallow=False)


def _link(source: str, target: str) -> bool:
    """Give a file a second name; False where that cannot be. Raises FileExistsError."""
    if os.path.islink(source):  # a link would point elsewhere from its new place: its picture is wanted
        return False
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another disk, a file system without hard links, another user's file
        return False
    flush_folder(os.path.dirname(target))
    return True


def _copy(source: str, target: str) -> None:
    with open(source, "rb", opener=_open_file) as read, written_beside(target, replace=False) as written:
        while piece := read.read(COPY_PIECE):
            written.write(piece)
        written.flush()
        status = os.fstat(read.fileno())
        with suppress(OSError):  # some file systems keep neither; the content is what counts
            os.chmod(written.fileno(), stat.S_IMODE(status.st_mode))
            os.utime(written.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _open_file(path: str, flags: int) -> int:
    """Open a regular file; a pipe that has taken its name must not be waited for. Raises OSError for anything else."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor
