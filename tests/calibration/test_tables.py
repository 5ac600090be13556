"""Tables that anybody may have written take bounded time and memory."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from open_nsfw.calibration import tables
from open_nsfw.calibration.label_source import read_labels
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.scores_file import read_scores
from open_nsfw.errors import UsageError

NAMES = LabelNames()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"score": 1' + "0" * 400 + ', "label": 1}', "FILE line 1: the number 10000000000000000000... has 401 digits"),
        (
            '{"score": 0.5, "label": -' + "9" * 400 + "}",
            "FILE line 1: the number -9999999999999999999... has 401 digits",
        ),
        ('{"score": 1e999, "label": 1}', "FILE line 1: the score inf is no number from 0 to 1"),
        ('{"score": NaN, "label": 1}', "FILE line 1: the score nan is no number from 0 to 1"),
        ("score,label\n1" + "0" * 400 + ",1\n", f"FILE line 2: the score '1{'0' * 75}... is no number from 0 to 1"),
        ("score,label\n1e999,1\n", "FILE line 2: the score '1e999' is no number from 0 to 1"),
        ('{"score": [1], "label": 1}', "FILE line 1: the score a list is no number from 0 to 1"),
        (
            '{"score": "' + "[" * 999 + '", "label": 1}',
            f"FILE line 1: the score '{'[' * 76}... is no number from 0 to 1",
        ),
        ('{"score": ' + "[" * 100_000, "FILE line 1: is no JSON object"),
    ],
)
def test_numbers_that_no_float_holds(content: str, message: str, tmp_path: Path) -> None:
    """In labels and in scores, one line each."""
    path = tmp_path / "table"
    path.write_text(content)
    for read in (lambda: read_labels(str(path), NAMES), lambda: read_scores(str(path))):
        with pytest.raises(UsageError) as caught:
            read()
        if "label" not in message and "-999" not in message:
            assert str(caught.value).replace(str(path), "FILE") == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'[{"score": 0.5, "label": 1}]',
            "is one JSON array; JSON lines are needed, an object on each: jq -c '.[]' FILE",
        ),
        (b"\xef\xbb\xbf\n [\n", "is one JSON array; JSON lines are needed, an object on each: jq -c '.[]' FILE"),
        ("score,label\n0.5,1\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("score,label\n0.5,1\n".encode("utf-16-le"), "is UTF-16; save it as UTF-8"),
        ('{"score": 0.5}\n'.encode("utf-16-be"), "is UTF-16; save it as UTF-8"),
        (b"score;label\n0,5;1\n", "its columns are parted by semicolons; save it with commas"),
        (b"score\tlabel\n0.5\t1\n", "its columns are parted by tabs; save it with commas"),
        (b"score,label, Score \n0.5,1,0.1\n", "has more than one column 'score'"),
    ],
)
def test_tables_of_another_form(content: bytes, message: str, tmp_path: Path) -> None:
    """Say which, and what to do."""
    path = tmp_path / "table"
    path.write_bytes(content)
    for read in (lambda: read_labels(str(path), NAMES), lambda: read_scores(str(path))):
        with pytest.raises(UsageError) as caught:
            read()
        assert str(caught.value) == f"{path}: {message}"


def test_columns_without_a_name_may_be_several(tmp_path: Path) -> None:
    """As a spreadsheet writes them for cells that were once used."""
    path = tmp_path / "table"
    path.write_text("score,label,,\n0.5,1,,\n")
    assert [entry.score for entry in read_labels(str(path), NAMES).entries] == [0.5]


def test_a_label_of_any_kind_is_refused_in_one_short_line(tmp_path: Path) -> None:
    """Lists in lists among them."""
    path = tmp_path / "table"
    for label, shown in (
        ("[" * 300 + "]" * 300, "a list"),
        ("{}", "an object"),
        ('"' + "x" * 999 + '"', f"'{'x' * 76}..."),
    ):
        path.write_text('{"score": 0.5, "label": ' + label + "}")
        with pytest.raises(UsageError) as caught:
            read_labels(str(path), NAMES)
        assert str(caught.value) == (
            f"{path} line 1: the label {shown} is neither 'nsfw' nor 'sfw' (--positive NAME, --negative NAME)"
        )


def test_one_stray_quote_costs_no_time(tmp_path: Path) -> None:
    """3 MB of rows behind it, as one cell."""
    path = tmp_path / "labels.csv"
    path.write_text('path,label\n"a.jpg,1\n' + "b.jpg,0\n" * 400_000)
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"is no CSV: field larger than field limit \(1048576\)$"):
        read_labels(str(path), NAMES)
    assert time.monotonic() - started < 5


def test_a_line_without_end_is_not_read_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its format."""
    monkeypatch.setattr(tables, "LONGEST_LINE", 1000)
    path = tmp_path / "table"
    for content in ('{"score": "' + "1" * 2000, "score," + "x" * 2000):
        path.write_text(content)
        with pytest.raises(UsageError) as caught:
            read_labels(str(path), NAMES)
        assert str(caught.value) == f"{path} line 1: is longer than 1,000 characters"
