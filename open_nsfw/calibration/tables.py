"""A table that a person or a program wrote, as CSV with a header or as JSON lines -> its rows, by column.

The file may be anything: no line, cell or number of it takes more than bounded time and memory, and what cannot be read
is refused with the number of its line.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from open_nsfw.errors import UsageError

LONGEST_LINE = 16 * 2**20  # characters; as rows/reader.py has it
LONGEST_CELL = 1 << 20  # characters; csv's own limit is shorter than the longest path, escaped
LONGEST_INTEGER = 20  # digits with a sign; a whole number in a table is 0 or 1 or a count
OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs"}  # spreadsheets write them where a comma stands in numbers
LONGEST_QUOTE = 80  # characters of a value in a message

Cells = dict[str, object]
"""Column -> value: text from CSV; text, number, bool, None, or something nested from JSON lines."""


def read_table(path: str) -> Iterator[tuple[int, Cells]]:
    """(line number, cells) for each row; the file's first character tells which format it is. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            first = _first_character(file, path)
            if first == b"[":
                raise UsageError(
                    f"{path}: is one JSON array; JSON lines are needed, an object on each: jq -c '.[]' FILE"
                )
            if first == b"{":
                yield from _json_rows(file, path)
                return
        # Names that are not UTF-8 pass through, as they do in what this program writes; utf-8-sig drops Excel's mark.
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from _csv_rows(text, path)
    except OSError as error:
        raise cannot_read(path, error) from error


def cannot_read(path: str, error: OSError) -> UsageError:
    """The message about a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return UsageError(f"{path}: there is no such file or folder")
    return UsageError(f"{path}: cannot be read: {error.strerror or error}")


def quoted(value: object) -> str:
    """A value of a cell for a message, cut to a length that a person reads."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."


def _first_character(file: BinaryIO, path: str) -> bytes:
    """Of the text. Raises UsageError for UTF-16, which PowerShell and Excel write on request."""
    head = file.read(4096)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head[:2]:
        raise UsageError(f"{path}: is UTF-16; save it as UTF-8")
    file.seek(0)
    return head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]


def _lines(file: BinaryIO | TextIO, path: str) -> Iterator[str | bytes]:
    """The lines with their ends. Raises UsageError for one that is too long."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise UsageError(f"{path} line {number}: is longer than {LONGEST_LINE:,} characters")
        yield line


def _json_rows(file: BinaryIO, path: str) -> Iterator[tuple[int, Cells]]:
    for number, line in enumerate(_lines(file, path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_int=_integer)
        except _TooManyDigits as error:
            raise UsageError(f"{path} line {number}: {error}") from None
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UsageError(f"{path} line {number}: is no JSON object")
        yield number, row


class _TooManyDigits(ValueError):
    """A whole number whose conversion to a float may overflow or take long."""


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise _TooManyDigits(f"the number {text[:LONGEST_INTEGER]}... has {len(text):,} digits")
    return int(text)


def _csv_rows(file: TextIO, path: str) -> Iterator[tuple[int, Cells]]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(_lines(file, path), restkey="\0more", strict=True)  # type: ignore[arg-type]  # of str here
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        for character, name in OTHER_DELIMITERS.items():
            if len(reader.fieldnames) == 1 and character in reader.fieldnames[0]:
                raise UsageError(f"{path}: its columns are parted by {name}; save it with commas")
        twice = next((name for name, count in Counter(reader.fieldnames).items() if name and count > 1), None)
        if twice is not None:
            raise UsageError(f"{path}: has more than one column {quoted(twice)}")
        for row in reader:
            if "\0more" in row:
                raise UsageError(f"{path} line {reader.reader.line_num}: has more cells than the header")
            yield reader.reader.line_num, {**row}
    except csv.Error as error:
        raise UsageError(f"{path} line {reader.reader.line_num}: is no CSV: {error}") from error
