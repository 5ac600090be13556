"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from open_nsfw.errors import OutputError


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file so that nobody ever sees half of it. Raises OutputError."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    with _beside(path) as (temporary, target):
        with open(temporary, "wb") as file:
            file.write(data)
        if temporary != target:
            _take_its_place(temporary, target)


def _take_its_place(temporary: str, target: str) -> None:
    if os.path.exists(target):
        shutil.copymode(target, temporary)
    try:
        os.replace(temporary, target)
    except OSError as error:
        if error.errno != errno.EBUSY:  # as of a file that is mounted into a container
            raise
        shutil.copyfile(temporary, target)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Try whether `path` could be written now, and leave everything as it is: for work that is too long to be done in
    vain. Raises OutputError."""
    with _beside(path) as (temporary, target):
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if temporary != target:
            with open(temporary, "wb"):
                pass


@contextmanager
def _beside(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """(the name of a temporary file, the name it is to get); what is left of the first is removed."""
    target = os.path.realpath(path)  # a link stays a link
    # /dev/null and pipes are not to be replaced, and a file may be open to who may make no other in its folder.
    special = os.path.exists(target) and (not os.path.isfile(target) or not os.access(os.path.dirname(target), os.W_OK))
    temporary = os.fspath(path) if special else f"{target}.{os.getpid()}.part"
    try:
        yield temporary, temporary if special else target
    except OSError as error:
        raise OutputError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error
    finally:
        if not special and os.path.exists(temporary):
            os.unlink(temporary)
