"""The fields of a row, and its values as every format writes them."""

from __future__ import annotations

import dataclasses
import json

import pytest

from open_nsfw.rows import lines
from open_nsfw.rows.row import FIELDS, Row
from tests.tools.rows import (
    PICTURE,
)


def test_every_format_has_the_fields_of_row() -> None:
    names_of_row = [one.name for one in dataclasses.fields(Row)]
    assert [one.name for one in FIELDS] == names_of_row
    assert lines.csv_header().decode() == ",".join(names_of_row) + "\r\n"
    assert list(json.loads(lines.json_line(PICTURE))) == names_of_row


def test_types_of_fields() -> None:
    types = {one.name: (one.type, one.nullable) for one in FIELDS}
    assert types["path"] == ("str", False)
    assert types["member"] == ("str", True)
    assert types["frame"] == ("int", True)
    assert types["score"] == ("float", True)
    assert types["engine"] == ("str", False)


def test_every_field_says_what_it_means() -> None:
    assert [one.name for one in FIELDS if not one.means] == []


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_becomes_an_error_and_no_nan(score: float) -> None:
    row = json.loads(lines.json_line(Row("a", score=score, mean=score)))
    assert row["score"] is None
    assert row["mean"] is None
    assert row["error"] == f"not-finite: the network's answer is no probability but {score}"
    assert lines.text_line(Row("a", score=score)) == b""
    assert b"nan," not in lines.csv_line(Row("a", score=score)).replace(b"but nan", b"")


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    import numpy as np

    row = Row("a", score=np.float32(0.5), frame=np.int64(3), mean=np.float64(0.25))  # type: ignore[arg-type]
    assert lines.csv_line(row) == b'a,,picture,3,,,,,,,,,,,0.5,,,,,,,,,,,,,0.25,,,,,,,,,"",""\r\n'
    assert lines.json_line(row) == lines.json_line(Row("a", score=0.5, frame=3, mean=0.25))
