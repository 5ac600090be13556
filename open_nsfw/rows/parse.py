"""A line of strangers' JSON or CSV -> its values, in time and memory that its length bounds.

json_object   the bytes of one JSON object -> a dictionary
json_value    any JSON -> its value
csv_cells     a record of CSV -> its cells
"""

from __future__ import annotations

import json
from typing import Any

LONGEST_NUMBER = 40  # characters; a float of Python has 24 at most, a 64-bit integer 20


def json_object(raw: bytes) -> dict[str, Any]:
    """Raises ValueError for anything but one JSON object, also for numbers of absurd length, NaN and infinities."""
    found = json_value(raw)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def json_value(raw: bytes | str) -> Any:
    """Any JSON value. Raises ValueError for anything else, also for numbers of absurd length, NaN and infinities."""
    try:
        return _DECODER.decode(raw if isinstance(raw, str) else _text(raw))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _text(raw: bytes) -> str:
    """As `json.loads` decodes it; a row that this command wrote is ASCII."""
    return raw.decode("ascii") if raw.isascii() else raw.decode(json.detect_encoding(raw), "surrogatepass")


def integer(text: str) -> int:
    """A whole number. Raises ValueError, also for one that is absurdly long, which would take quadratic time."""
    return int(_bounded(text))


def number(text: str) -> float:
    """Raises ValueError, also for a number that is absurdly long."""
    return float(_bounded(text))


def csv_cells(record: str, most: int) -> list[str | None]:
    """The cells of a record without its line's end: None for an empty one, "" for an empty text, which RFC 4180 does not
    tell apart, but the quotes do. Raises ValueError if there are more than `most`, or a quote stands in the middle of one."""
    if '"' not in record:  # most records: a fortieth of the time
        texts = record.split(",", most)
        if len(texts) > most:
            raise ValueError("too many cells")
        return [text or None for text in texts]
    cells: list[str | None] = []
    at = 0
    while len(cells) < most:
        cell, at = _quoted_cell(record, at + 1) if record.startswith('"', at) else _plain_cell(record, at)
        cells.append(cell)
        if at == len(record):
            return cells
        if record[at] != ",":
            raise ValueError("something behind a closing quote")
        at += 1
    raise ValueError("too many cells")


def _quoted_cell(record: str, at: int) -> tuple[str, int]:
    """The cell behind the opening quote, and where it ends."""
    pieces = []
    while True:
        end = record.index('"', at)
        pieces.append(record[at:end])
        at = end + 1
        if not record.startswith('"', at):
            return '"'.join(pieces), at
        at += 1


def _plain_cell(record: str, at: int) -> tuple[str | None, int]:
    end = record.find(",", at)
    end = len(record) if end < 0 else end
    text = record[at:end]
    if '"' in text:
        raise ValueError("a quote in the middle of a cell")
    return text or None, end


def _bounded(text: str) -> str:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number of too many digits")
    if "_" in text or not text.isascii():  # which Python reads, and no row has
        raise ValueError("no number")
    return text


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no number")


# Made once: `json.loads` makes one for each text, which takes as long as a row of 400 characters takes to be read.
_DECODER = json.JSONDecoder(parse_int=integer, parse_float=number, parse_constant=_refuse)
