"""Lists of paths: one a line, or ended by NUL bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, Callable

from open_nsfw.errors import UsageError
from open_nsfw.sources.failures import system_reason
from open_nsfw.sources.item import STDIN
from open_nsfw.sources.stdin import standard_input

LIST_CHUNK = 64 * 1024  # bytes of a list that are read at once; sixteen times the longest path of Linux
LONGEST_LINE = 64 * 1024  # bytes; a list with a longer "path" is no list, and must not be gathered in memory
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # Windows editors begin UTF-8 text with it


def read_list(file: str, nul: bool = False) -> Iterator[str]:
    """The paths in the list `file` (`-` for standard input), as they come: one a line, or ended by NUL bytes, which is
    seen from the first NUL (`nul` says so beforehand: needed where a name with a line break may come first and slowly).

    LF and CRLF end a line, empty ones are left out. A `-` is a file of that name here, and comes as `./-`.
    Raises UsageError, at once, if the list cannot be opened.
    """
    try:
        stream = standard_input() if file == STDIN else open(file, "rb")
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"the list of paths {file!r} {_reason(error)}") from error
    return _paths(stream, file, nul)


def _reason(error: Exception) -> str:
    return "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {system_reason(error)}"


def _paths(stream: BinaryIO, file: str, nul: bool) -> Iterator[str]:
    try:
        for path in _lines(stream, nul):
            yield "./-" if path == b"-" else os.fsdecode(path)
    except OSError as error:
        raise UsageError(f"the list of paths {file!r} {_reason(error)}") from error
    finally:
        if file != STDIN:
            stream.close()


def _lines(stream: BinaryIO, nul: bool) -> Iterator[bytes]:
    pending, at_start = b"", True
    for chunk in _chunks(stream):
        pending += chunk
        nul = nul or b"\0" in chunk
        if at_start and not nul and pending.startswith(BYTE_ORDER_MARK):
            pending = pending[len(BYTE_ORDER_MARK) :]
        at_start = False
        *whole, pending = pending.split(b"\0" if nul else b"\n")
        if len(pending) > LONGEST_LINE:
            whole, pending = [*whole, pending], b""
        yield from _stripped(whole, nul)
    yield from _stripped([pending], nul)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """What has come so far, without waiting for more: `find | classify_nsfw.py --from-list -` starts at once."""
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return iter(lambda: read(LIST_CHUNK), b"")


def _stripped(lines: list[bytes], nul: bool) -> Iterator[bytes]:
    return filter(None, (line if nul or not line.endswith(b"\r") else line[:-1] for line in lines))
