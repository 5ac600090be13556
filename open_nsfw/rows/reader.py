"""A file of rows that this command wrote -> its rows. Whatever else is in it is refused with the number of the line, in
time and memory that grow with no more than the length of one row.

read_rows     a file of any format that can be resumed -> Row, Row, ...
reader_of     an open file of JSON lines or CSV -> Record, Record, ...
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from open_nsfw.errors import UsageError
from open_nsfw.rows.lines import csv_header, json_line
from open_nsfw.rows.parse import csv_cells, integer, json_object, json_value, number
from open_nsfw.rows.row import FIELDS, Field, Grid, Row
from open_nsfw.text import printable

# Bytes of a row, line's end included. The longest name, of a member of an archive or in a list, has 131,072 bytes, and
# JSON may spell each with six.
LONGEST_ROW = 2 * 2**20
LARGEST_INT = 2**63 - 1  # Parquet's int64
LARGEST: dict[type, float] = {int: LARGEST_INT, float: sys.float_info.max}  # of finite numbers

# What a file is told that --resume is not to touch.
LEFT_ALONE = "; it was left as it is, choose another --output or --overwrite it"

KINDS = ("picture", "frame", "part", "segment", "summary")
_FIELDS = {one.name: one for one in FIELDS}
_TYPES: dict[str, tuple[type, ...]] = {
    **{"str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "Grid": (list,)}
}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": integer,
    "float": number,
    "bool": {"true": True, "false": False}.__getitem__,
    "Grid": json_value,
}
_JSON_START = json_line(Row("")).partition(b'""')[0]


class Record(NamedTuple):
    """A row as it stands in the file, its line's end included, and the values of all its fields."""

    raw: bytes
    values: dict[str, Any]


def read_rows(path: str, form: str, advice: str = LEFT_ALONE) -> Iterator[Row]:
    """The rows of a file that was written as `form`: "jsonl", "csv" or "parquet". A torn last row is left out.

    Raises UsageError if the file holds anything else, `advice` at the end of its line; OSError if it cannot be read.
    """
    if form == "parquet":
        yield from _parquet_rows(path, advice)
        return
    with open(path, "rb") as file:
        for record in reader_of(file, path, form, advice):
            yield Row(**record.values)


def _parquet_rows(path: str, advice: str) -> Iterator[Row]:
    from open_nsfw.rows import parquet as parquet_rows

    try:
        for found in parquet_rows.read(path):
            yield Row(**checked(found))
    except ValueError:
        raise not_ours(path, "it is no Parquet file that this command wrote", advice) from None


def not_ours(path: str, why: str, advice: str = LEFT_ALONE) -> UsageError:
    """The refusal of a file that is not what was expected; `advice`, behind a semicolon, says what to do."""
    return UsageError(f"{printable(path)}: {why}{advice}")


def reader_of(file: BinaryIO, path: str, form: str, advice: str = LEFT_ALONE) -> JsonReader:
    """The reader of `form`, "jsonl" or "csv"; `path` and `advice` are for messages."""
    return (CsvReader if form == "csv" else JsonReader)(file, path, advice)


class JsonReader:
    """Iterates over the whole records; `whole` is then how many bytes of the file they are."""

    kind = "JSON lines"

    def __init__(self, file: BinaryIO, path: str, advice: str = LEFT_ALONE) -> None:
        self._file = file
        self._path, self._advice = path, advice
        self._lines_read = 0
        self._first_line = 0  # of the record in hand
        self.whole = 0

    def __iter__(self) -> Iterator[Record]:
        while True:
            raw, complete = self._next()
            if not complete:
                if not self._is_torn_row(raw.rstrip(b"\0")):  # some file systems leave zeros when the power fails
                    raise self._refuse()
                return
            yield Record(raw, self._parse(raw))

    def _next(self) -> tuple[bytes, bool]:
        """The next record and whether it has its end; what has none is the torn end of the file."""
        self._first_line = self._lines_read + 1
        raw = self._line()
        return self._counted(raw, raw.endswith(b"\n"))

    def _line(self, before: int = 0) -> bytes:
        """The next line of a record that has `before` bytes already."""
        self._lines_read += 1
        line = self._file.readline(LONGEST_ROW)
        if before + len(line) >= LONGEST_ROW:
            raise self._refuse()
        return line

    def _counted(self, raw: bytes, complete: bool) -> tuple[bytes, bool]:
        self.whole += len(raw) if complete else 0
        return raw, complete

    def _is_torn_row(self, tail: bytes) -> bool:
        """What is cut off has to begin as a row does: a file of something else must not lose its end."""
        return tail.startswith(_JSON_START[: len(tail)])

    def _parse(self, raw: bytes) -> dict[str, Any]:
        try:
            return checked(self._values(raw))
        except (ValueError, KeyError):
            raise self._refuse() from None

    def _values(self, raw: bytes) -> dict[str, Any]:
        return json_object(raw)

    def _refuse(self) -> UsageError:
        return not_ours(
            self._path, f"line {self._first_line:,} is no row that this command wrote as {self.kind}", self._advice
        )


class CsvReader(JsonReader):
    """Iterates over the whole records of CSV. `header` is the file's own: an older version's has fewer columns."""

    kind = "CSV"
    header = csv_header()
    _columns: tuple[str, ...] = ()
    _parsers: Sequence[tuple[str, Callable[[str], Any], str | None]] = ()

    def __iter__(self) -> Iterator[Record]:
        raw, complete = self._next()
        if not complete:
            if not csv_header().startswith(raw.rstrip(b"\0")):
                raise self._refuse()
            return
        self._columns = tuple(raw.decode("latin-1").rstrip("\r\n").split(","))
        if "path" not in self._columns or not set(self._columns) <= set(_FIELDS):
            raise self._refuse()
        self.header = raw
        fields = map(_FIELDS.__getitem__, self._columns)
        self._parsers = [(one.name, _PARSERS[one.type], None if one.nullable else "") for one in fields]
        yield from super().__iter__()

    def _next(self) -> tuple[bytes, bool]:
        """Up to the line's end that is outside quotes: there, quotes have come in pairs."""
        self._first_line = self._lines_read + 1
        lines: list[bytes] = []
        size, quotes = 0, 0
        while True:
            line = self._line(size)
            lines.append(line)
            size += len(line)
            quotes += line.count(b'"')
            if not line.endswith(b"\n") or quotes % 2 == 0:
                return self._counted(b"".join(lines), line.endswith(b"\n"))

    def _is_torn_row(self, tail: bytes) -> bool:
        """A quote that was never closed makes one torn row of all rows behind it, which must not be lost."""
        text = tail.decode("utf-8", "surrogateescape").removesuffix("\r")
        try:
            csv_cells(text + '"' * (tail.count(b'"') % 2), len(self._columns))
        except ValueError:
            return False
        return not any(map(self._is_row, tail.splitlines(keepends=True)[1:]))

    def _is_row(self, line: bytes) -> bool:
        try:
            checked(self._values(line))
        except (ValueError, KeyError):
            return False
        return line.endswith(b"\n")

    def _values(self, raw: bytes) -> dict[str, Any]:
        text = raw.decode("utf-8", "surrogateescape")
        cells = csv_cells(text[: -2 if text.endswith("\r\n") else -1], len(self._columns))
        if len(cells) < len(self._columns):
            raise ValueError("too few cells")
        return {
            name: empty if cell is None else parse(cell) for (name, parse, empty), cell in zip(self._parsers, cells)
        }


def checked(found: dict[str, Any]) -> dict[str, Any]:
    """The values of all fields, null where an older version had none. Raises ValueError if this is no row."""
    shape = (*found, *map(type, found.values()))
    known = _shapes.get(shape)
    if known is not None:
        bounds, missing = known
        if found.get("kind", "picture") in KINDS and all(low <= found[name] <= high for name, low, high in bounds):
            return {**found, **missing}
    values = _checked_by_field(found)
    if len(_shapes) < MOST_SHAPES:
        _note_shape(shape, found, values)
    return values


# Names and types of a row that passed all checks -> what is left to check of the next one with the same: the values of its
# numbers, and what fields it lacks. A file has a handful of such shapes; a row of a known one takes 2 microseconds instead of 10.
_shapes: dict[tuple[object, ...], tuple[list[tuple[str, float, float]], dict[str, Any]]] = {}
MOST_SHAPES = 256


def _note_shape(shape: tuple[object, ...], found: dict[str, Any], values: dict[str, Any]) -> None:
    kinds = {name: type(value) for name, value in found.items()}
    if any(name not in _FIELDS or kind is list for name, kind in kinds.items()):
        return  # left out, or looked into
    fields = [(_FIELDS[name], LARGEST[kind], kind) for name, kind in kinds.items() if kind in LARGEST]
    if any(kind is int and field.type == "float" for field, _, kind in fields):
        return  # it becomes another number
    bounds = [(field.name, max(field.least, -largest), min(field.most, largest)) for field, largest, _ in fields]
    _shapes[shape] = bounds, {name: value for name, value in values.items() if name not in found}


def _checked_by_field(found: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name, field in _FIELDS.items():
        value = found.get(name, None if field.nullable else _DEFAULTS.get(name))
        if not _fits(value, field):
            raise ValueError(name)
        values[name] = value if value is None else _AS_IN_ROWS.get(field.type, _unchanged)(value)
    if values["kind"] not in KINDS:
        raise ValueError("kind")
    return values


def _unchanged(value: Any) -> Any:
    return value


def _grid(value: list[list[float]]) -> Grid:
    return tuple(tuple(map(float, row)) for row in value)


_AS_IN_ROWS: dict[str, Callable[[Any], Any]] = {"float": float, "Grid": _grid}
_DEFAULTS = {"kind": "picture", "engine": "", "model": ""}


def _fits(value: Any, field: Field) -> bool:
    if value is None:
        return field.nullable
    if type(value) not in _TYPES[field.type]:
        return False
    if field.type == "str":
        return True
    if field.type == "Grid":
        return all(type(row) is list and len(row) == len(value[0]) and all(map(_is_real, row)) for row in value)
    if isinstance(value, int) and abs(value) > LARGEST_INT:
        return False
    return math.isfinite(value) and field.least <= value <= field.most


def _is_real(value: Any) -> bool:
    """A finite number."""
    return type(value) in (int, float) and abs(value) <= LARGEST_INT and math.isfinite(value)
