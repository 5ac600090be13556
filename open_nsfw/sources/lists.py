"""Lists of paths: one a line, or ended by NUL bytes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Callable

from open_nsfw.errors import UsageError
from open_nsfw.sources.failures import system_reason
from open_nsfw.sources.item import STDIN
from open_nsfw.sources.stdin import standard_input

LIST_CHUNK = 64 * 1024  # bytes of a list that are read at once; sixteen times the longest path of Linux
LONGEST_LINE = 64 * 1024  # bytes; a list with a longer "path" is no list, and must not be gathered in memory
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # Windows editors begin UTF-8 text with it
LONGEST_UNSURE = 4096  # bytes that are waited for where the first ones do not tell how a list is written
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")  # how they begin text of two or four bytes a letter


def read_list(file: str, nul: bool = False) -> Iterator[str]:
    """The paths in the list `file` (`-` for standard input), as they come: one a line, or ended by NUL bytes, which is
    seen from the first NUL (`nul` says so beforehand: needed where a name with a line break may come first and slowly).

    LF and CRLF end a line, empty ones are left out. A `-` is a file of that name here, and comes as `./-`.
    Raises UsageError: at once, if the list cannot be opened; before the first path, if it is text in UTF-16 or UTF-32,
    which would come apart into single letters, `.` and `/` among them.
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
        chunks = _chunks(stream)
        beginning = _beginning(chunks)
        if not nul:
            _check_encoding(beginning, file)
        for path in _lines(itertools.chain([beginning], chunks), nul):
            yield "./-" if path == b"-" else os.fsdecode(path)
    except OSError as error:
        raise UsageError(f"the list of paths {file!r} {_reason(error)}") from error
    finally:
        if file != STDIN:
            stream.close()


def _beginning(chunks: Iterator[bytes]) -> bytes:
    """The first bytes of a list: those that came first, and where these may belong to a mark or to wide text, as many as
    tell."""
    beginning = b""
    for chunk in chunks:
        beginning += chunk
        if len(beginning) >= LONGEST_UNSURE or not _is_unsure(beginning):
            break
    return beginning


def _is_unsure(beginning: bytes) -> bool:
    """Whether more bytes are needed to tell how a list is written."""
    if beginning.startswith(WIDE_MARKS):
        return not {0, ord("\n")} & set(beginning[2:])
    if any(mark.startswith(beginning) and mark != beginning for mark in (*WIDE_MARKS, BYTE_ORDER_MARK)):
        return True
    looks_wide = len(beginning) == 1 or (b"\0" in beginning and any(not any(beginning[at::2]) for at in (0, 1)))
    return looks_wide and not _is_wide(beginning)


def _check_encoding(beginning: bytes, file: str) -> None:
    if _is_wide(beginning):
        remedy = "save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"
        raise UsageError(f"the list of paths {file!r} is text in UTF-16 or UTF-32: {remedy}")


def _is_wide(beginning: bytes) -> bool:
    """Whether a list begins as text of two or four bytes a letter does, and not as short names that are ended by NUL bytes."""
    if beginning.startswith(WIDE_MARKS):
        return b"\0" in beginning[2:]
    pairs = [(beginning[at::2], beginning[1 - at :: 2]) for at in (0, 1)]
    return any(_has_wide_line(*each) or _is_wide_path(*each) for each in pairs)


def _has_wide_line(letters: bytes, others: bytes) -> bool:
    """Whether a line of at least two letters ends in one whose other byte is NUL: no name ends with a line break. A fourth of
    the letters before, such as digits, dots and slashes, are of ASCII, too."""
    end = next((at for at, pair in enumerate(zip(letters, others)) if pair == (ord("\n"), 0)), 0)
    narrow = others[:end].count(0)
    return narrow >= 2 and 4 * narrow >= end


def _is_wide_path(letters: bytes, others: bytes) -> bool:
    """Whether every second byte is NUL, and the others are a path. Names of one letter may be a list, too, and `find` begins
    one with `.`, but none of them is a slash."""
    return len(others) > 1 and not any(others) and (bool({ord("/"), ord("\\")} & set(letters)) or b"." in letters[1:])


def _lines(chunks: Iterable[bytes], nul: bool) -> Iterator[bytes]:
    pending, at_start = b"", True
    for chunk in chunks:
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
