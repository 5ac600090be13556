"""Lists of paths: one a line, or ended by NUL bytes."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Callable

from open_nsfw.errors import UsageError
from open_nsfw.sources.failures import system_reason
from open_nsfw.sources.item import STDIN
from open_nsfw.sources.stdin import standard_input

LIST_CHUNK = 64 * 1024  # bytes of a list that are read at once; sixteen times the longest path of Linux
LONGEST_LINE = 64 * 1024  # bytes; a list with a longer "path" is no list, and must not be gathered in memory
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # Windows editors begin UTF-8 text with it
# How Windows programs begin text of two or four bytes a letter; the longer marks come first.
_WIDE_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# Without a mark, letters between NUL bytes tell, which no list of names has in this way.
_UTF32_LETTERS = re.compile(rb"(?:[^\0]\0\0\0){2}|(?:\0\0\0[^\0]){2}")
_UTF16_LINE_END = re.compile(rb"[^\0]\0\n\0|\0[^\0]\0\n")
_UTF16_LETTERS = re.compile(rb"(?:[^\0]\0){4,}|(?:\0[^\0]){4,}")
_LETTERS_OF_PATHS = frozenset(b"./\\")  # of which some are in every list that is worth reading
_ENOUGH = 16  # bytes that tell whether a list that begins like wide text is some


def read_list(file: str, nul: bool = False) -> Iterator[str]:
    """The paths in the list `file` (`-` for standard input), as they come: one a line, or ended by NUL bytes, which is
    seen from the first NUL (`nul` says so beforehand: needed where a name with a line break may come first and slowly).

    LF and CRLF end a line, empty ones are left out. A `-` is a file of that name here, and comes as `./-`.
    Raises UsageError: at once, if the list cannot be opened; before the first path, if it is UTF-16 or UTF-32 text, which
    would come apart into single letters, `.` and `/` among them.
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
    """The first bytes of a list: those that came first, and where these may be the beginning of a mark or of wide text, as
    many as tell."""
    beginning = b""
    for chunk in chunks:
        beginning += chunk
        may_be_wide = len(beginning) < 2 or b"\0" in beginning[:2] or beginning.startswith((b"\xff", b"\xfe", b"\xef"))
        if len(beginning) >= _ENOUGH or not may_be_wide:
            break
    return beginning


def _check_encoding(beginning: bytes, file: str) -> None:
    wide = _wide_encoding(beginning)
    if wide is not None:
        remedy = "save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"
        raise UsageError(f"the list of paths {file!r} is {wide} text: {remedy}")


def _wide_encoding(beginning: bytes) -> str | None:
    """UTF-16 or UTF-32, where a list that begins with these bytes is text of that kind."""
    for mark, name in _WIDE_MARKS.items():
        if beginning.startswith(mark):
            return name
    if _UTF32_LETTERS.search(beginning):
        return "UTF-32"
    has_letters = any(_LETTERS_OF_PATHS.intersection(run[0]) for run in _UTF16_LETTERS.finditer(beginning))
    return "UTF-16" if has_letters or _UTF16_LINE_END.search(beginning) else None


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
