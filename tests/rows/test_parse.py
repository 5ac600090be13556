"""Lines of JSON and CSV from anybody: the right values, or ValueError, in time that their length bounds."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from open_nsfw.rows.parse import csv_cells, integer, json_object, number
from tests.tools.helpers import examples

# The csv module of Python 3.10 writes no zero byte: that of 3.9 did, and that of 3.11 does again.
WRITTEN = st.characters(exclude_characters="\0" if sys.version_info[:2] == (3, 10) else "")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("", [None]),
        ("a,,b", ["a", None, "b"]),
        ('"",a,""', ["", "a", ""]),
        ('"a""b,\r\n"', ['a"b,\r\n']),
        ('""""', ['"']),
        ("a,", ["a", None]),
        ('"\0",\0', ["\0", "\0"]),
    ],
)
def test_cells(record: str, expected: list[str | None]) -> None:
    assert csv_cells(record, 3) == expected


@pytest.mark.parametrize("record", ['a"b', 'a"', '"a"b', '"a', '"', '"a" ,b', '""a""', "a,b,c,d", ",,,"])
def test_what_is_no_record(record: str) -> None:
    with pytest.raises(ValueError):
        csv_cells(record, 3)


@settings(max_examples=examples(200))
@given(st.lists(st.text(WRITTEN), min_size=1, max_size=5))
def test_cells_that_the_standard_library_writes(values: list[str]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow(values)
    assert csv_cells(buffer.getvalue()[:-2], 5) == values


@settings(max_examples=examples(300))
@given(st.text(st.sampled_from('",\na')))
def test_any_text_is_cells_or_refused(text: str) -> None:
    """Whatever is taken for cells gives the text back."""
    try:
        cells = csv_cells(text, 1000)
    except ValueError:
        return
    assert re.fullmatch(",".join(map(spelled, cells)), text)


def spelled(cell: str | None) -> str:
    """The ways to write a cell, as a pattern."""
    if cell is None:
        return ""
    quoted = '"' + cell.replace('"', '""') + '"'
    plain = [cell] if cell and not set(cell) & set('",') else []
    return f"(?:{'|'.join(map(re.escape, [quoted, *plain]))})"


@pytest.mark.parametrize(
    "record", ['"' + '""' * 1_000_000 + '"', "," * 2_000_000, '"' + "a,\n" * 700_000 + '"', '"' * 999_999]
)
def test_long_records_take_no_time(record: str) -> None:
    started = time.monotonic()
    for most in (1, 1000):
        try:
            csv_cells(record, most)
        except ValueError:
            continue
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "line",
    [
        *("[]", "5", "null", '"a"', "", "{", '{"a": }', '{"a": NaN}', '{"a": -Infinity}', "{} {}"),
        '{"a": ' + "1" * 400 + "}",
        '{"a": 0.' + "1" * 400 + "}",
        '{"a": ' + "[" * 100_000 + "}",
    ],
)
def test_what_is_no_json_object(line: str) -> None:
    with pytest.raises(ValueError):
        json_object(line.encode())


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(ValueError):
        json_object(b'{"a": "\xff"}')


@settings(max_examples=examples(200))
@given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.text(), st.integers(-(2**70), 2**70))))
def test_objects_that_the_standard_library_writes(found: dict[str, object]) -> None:
    assert json_object(json.dumps(found).encode()) == found


def test_numbers() -> None:
    assert (integer("-17"), number("2.5e-1")) == (-17, 0.25)
    for parse in (integer, number):
        with pytest.raises(ValueError, match=r"^a number of too many digits$"):
            parse("1" * 41)
        for text in ("1_0", "٣"):
            with pytest.raises(ValueError, match=r"^no number$"):
                parse(text)
    started = time.monotonic()
    with pytest.raises(ValueError, match="digits"):
        integer("1" * 10_000_000)
    assert time.monotonic() - started < 5
