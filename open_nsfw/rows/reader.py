"""A file of rows that this command wrote -> its rows. Whatever else is in it is refused with the number of the line.

read_rows     a file of any format that can be resumed -> Row, Row, ...
reader_of     an open file of JSON lines or CSV -> Record, Record, ...
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from open_nsfw.errors import UsageError
from open_nsfw.rows.lines import csv_header, json_line
from open_nsfw.rows.row import FIELDS, Row
from open_nsfw.text import printable

LONGEST_ROW = 16 * 2**20  # bytes; a name in an archive has at most 65,535 and six times that when escaped
LARGEST_INT = 2**63 - 1  # Parquet's int64

KINDS = ("picture", "frame", "summary")
_FIELDS = {one.name: one for one in FIELDS}
_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (float, int), "bool": (bool,)}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": {"true": True, "false": False}.__getitem__,
}
_CELL = re.compile('(?:"((?:[^"]|"")*)"|([^",]*))(,|$)', re.DOTALL)
_JSON_START = json_line(Row("")).partition(b'""')[0]


class Record(NamedTuple):
    """A row as it stands in the file, its line's end included, and the values of all its fields."""

    raw: bytes
    values: dict[str, Any]


def read_rows(path: str, form: str) -> Iterator[Row]:
    """The rows of a file that was written as `form`: "jsonl", "csv" or "parquet". A torn last row is left out.

    Raises UsageError if the file holds anything else, OSError if it cannot be read.
    """
    if form == "parquet":
        yield from _parquet_rows(path)
        return
    with open(path, "rb") as file:
        for record in reader_of(file, path, form):
            yield Row(**record.values)


def _parquet_rows(path: str) -> Iterator[Row]:
    from open_nsfw.rows import parquet as parquet_rows

    try:
        for found in parquet_rows.read(path):
            yield Row(**_checked(found))
    except ValueError:
        raise not_ours(path, "it is no Parquet file that this command wrote") from None


def not_ours(path: str, why: str) -> UsageError:
    return UsageError(f"{printable(path)}: {why}; it was left as it is, choose another --output or --overwrite it")


class JsonReader:
    """Iterates over the whole records; `whole` is then how many bytes of the file they are."""

    kind = "JSON lines"

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._number = 0
        self.whole = 0

    def __iter__(self) -> Iterator[Record]:
        while True:
            raw, complete = self._next()
            if not complete:
                self._check_torn(raw)
                return
            yield Record(raw, self._parse(raw))

    def _next(self) -> tuple[bytes, bool]:
        """The next line and whether it has its end; what has none is the torn end of the file."""
        self._number += 1
        raw = self._file.readline(LONGEST_ROW)
        if len(raw) == LONGEST_ROW:
            raise self._refuse()
        return self._counted(raw, raw.endswith(b"\n"))

    def _counted(self, raw: bytes, complete: bool) -> tuple[bytes, bool]:
        self.whole += len(raw) if complete else 0
        return raw, complete

    def _check_torn(self, tail: bytes) -> None:
        """What is cut off has to begin as a row does: a file of something else must not lose its end."""
        tail = tail.rstrip(b"\0")  # some file systems leave zeros when the power fails
        if not tail.startswith(_JSON_START[: len(tail)]):
            raise self._refuse()

    def _parse(self, raw: bytes) -> dict[str, Any]:
        try:
            return _checked(self._values(raw))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise self._refuse() from None

    def _values(self, raw: bytes) -> dict[str, Any]:
        found = json.loads(raw)
        if not isinstance(found, dict):
            raise TypeError("not an object")
        return found

    def _refuse(self) -> UsageError:
        return not_ours(self._path, f"line {self._number:,} is no row that this command wrote as {self.kind}")


class CsvReader(JsonReader):
    """The same for CSV. `header` is the file's own: an older version's has fewer columns."""

    kind = "CSV"
    header = csv_header()
    _columns: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Record]:
        raw, complete = self._next()
        if not complete:
            if not csv_header().startswith(raw):
                raise self._refuse()
            return
        self._columns = tuple(raw.decode("latin-1").rstrip("\r\n").split(","))
        if "path" not in self._columns or not set(self._columns) <= set(_FIELDS):
            raise self._refuse()
        self.header = raw
        yield from super().__iter__()

    def _next(self) -> tuple[bytes, bool]:
        """Up to the line's end that is outside quotes: there, quotes have come in pairs."""
        raw = bytearray()
        while True:
            self._number += 1
            line = self._file.readline(LONGEST_ROW)
            raw += line
            if len(raw) >= LONGEST_ROW:
                raise self._refuse()
            if not line.endswith(b"\n") or raw.count(b'"') % 2 == 0:
                return self._counted(bytes(raw), line.endswith(b"\n"))

    def _check_torn(self, tail: bytes) -> None:
        """The header was ours, so is the rest."""

    def _values(self, raw: bytes) -> dict[str, Any]:
        text = raw.decode("utf-8", "surrogateescape")
        text = text[: -2 if text.endswith("\r\n") else -1]
        values: dict[str, Any] = {}
        at = 0
        for left, name in zip(range(len(self._columns), 0, -1), self._columns):
            match = _CELL.match(text, at)
            if match is None or (match.group(3) == ",") != (left > 1):
                raise ValueError("another number of cells, or a quote in the middle of one")
            values[name] = _csv_value(match, name)
            at = match.end()
        return values


def _csv_value(match: re.Match[str], name: str) -> Any:
    field = _FIELDS[name]
    if match.group(1) is not None:
        return _PARSERS[field.type](match.group(1).replace('""', '"'))
    if not match.group(2):
        return None if field.nullable else ""
    return _PARSERS[field.type](match.group(2))


def reader_of(file: BinaryIO, path: str, form: str) -> JsonReader:
    return CsvReader(file, path) if form == "csv" else JsonReader(file, path)


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    """The values of all fields, null where an older version had none. Raises ValueError if this is no row."""
    values = {}
    for name, field in _FIELDS.items():
        value = found.get(name, None if field.nullable else _DEFAULTS.get(name))
        if not _fits(value, field.type, field.nullable):
            raise ValueError(name)
        values[name] = float(value) if field.type == "float" and value is not None else value
    if values["kind"] not in KINDS:
        raise ValueError("kind")
    return values


_DEFAULTS = {"kind": "picture", "engine": "", "model": ""}


def _fits(value: Any, kind: str, nullable: bool) -> bool:
    if value is None:
        return nullable
    if type(value) not in _TYPES[kind]:
        return False
    return kind == "str" or (math.isfinite(value) and (kind == "float" or abs(value) <= LARGEST_INT))
