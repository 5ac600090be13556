"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
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
            os.replace(temporary, target)


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
    special = os.path.exists(target) and not os.path.isfile(target)  # /dev/null, a pipe: not to be replaced
    temporary = os.fspath(path) if special else f"{target}.{os.getpid()}.part"
    try:
        yield temporary, temporary if special else target
    except OSError as error:
        raise OutputError(f"{os.fspath(path)}: cannot be written: {error.strerror or error}") from error
    finally:
        if not special and os.path.exists(temporary):
            os.unlink(temporary)
