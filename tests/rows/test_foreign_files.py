"""Files of something else, and damaged ones: refused and left as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.rows import lines, resume
from open_nsfw.rows import reader as row_reader
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.row import Row
from open_nsfw.rows.writer import open_writer
from tests.tools.helpers import examples
from tests.tools.rows import (
    LEFT,
    needs_pyarrow,
    read,
    resumed,
    write,
)

ROW = lines.json_line(Row("a", score=0.5))


FOREIGN_JSON = {
    b"some notes\n": 1,
    b"notes without a line's end": 1,
    b"\x89PNG\r\n\x1a\n": 1,
    ROW + b"\n": 2,
    ROW + b'{"score": 0.5}\n': 2,
    ROW + b'{"path": 5}\n': 2,
    ROW + b'{"path": null}\n': 2,
    ROW + b'{"path": "a", "score": NaN}\n': 2,
    ROW + b'{"path": "a", "score": 1e999}\n': 2,
    ROW + b'{"path": "a", "score": true}\n': 2,
    ROW + b'{"path": "a", "frame": 1.5}\n': 2,
    ROW + b'{"path": "a", "frame": 9223372036854775808}\n': 2,
    ROW + b'{"path": "a", "engine": null}\n': 2,
    ROW + b'{"path": "a", "kind": "film"}\n': 2,
    ROW + b'["path"]\n' + ROW: 2,
    ROW + b"[" * 100_000 + b"\n": 2,
    ROW + ROW + b"notes": 3,
}


FOREIGN_CSV = {
    b"name,age\r\nx,5\r\n": 1,
    b"notes": 1,
    lines.csv_header().replace(b"path", b"name") + b"x\r\n": 1,
    b"path,score\r\na,0.5\r\nb,half\r\n": 3,
    b"path,score\r\na,nan\r\n": 2,
    b"path,score\r\na\r\n": 2,
    b"path,score\r\na,0.5,\r\n": 2,
    b'path,score\r\na"b"c,0.5\r\n': 2,
    b'path,score\r\n"a"b,0.5\r\n': 2,
    b"path,kind\r\na,film\r\n": 2,
    b'path,score\r\n"a\r\nb",0.5\r\nc,d\r\n': 4,
}


@pytest.mark.parametrize(
    ("form", "data", "line"),
    [("jsonl", data, line) for data, line in FOREIGN_JSON.items()]
    + [("csv", data, line) for data, line in FOREIGN_CSV.items()],
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(
    form: str, data: bytes, line: int, tmp_path: Path
) -> None:
    file = tmp_path / "rows"
    file.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        resumed(file, form)
    kind = {"jsonl": "JSON lines", "csv": "CSV"}[form]
    assert str(caught.value) == f"{file}: line {line} is no row that this command wrote as {kind}; {LEFT}"
    assert file.read_bytes() == data
    resumed_again = open_writer(OutputOptions(form, str(file), overwrite=True))  # the lock is free
    resumed_again.close()


@needs_pyarrow
@pytest.mark.parametrize("kind", ["notes", "other columns", "truncated", "null path"])
def test_a_parquet_file_of_something_else_is_refused_and_left_as_it_is(kind: str, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    file = tmp_path / "rows"
    tables = {
        "other columns": {"path": ["a"], "age": [5]},
        "null path": {"path": pyarrow.array([None], pyarrow.string())},
    }
    if kind in tables:
        pyarrow.parquet.write_table(pyarrow.table(tables[kind]), file)
    else:
        write(file, [Row("a", score=0.5)], "parquet")
        file.write_bytes(b"some notes" if kind == "notes" else file.read_bytes()[:-9])
    before = file.read_bytes()
    with pytest.raises(UsageError) as caught:
        resumed(file, "parquet")
    assert str(caught.value) == f"{file}: it is no Parquet file that this command wrote; {LEFT}"
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["rows"]


def test_a_row_longer_than_any_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_reader, "LONGEST_ROW", 1000)
    for form, head in (("jsonl", b""), ("csv", lines.csv_header())):
        (tmp_path / "rows").write_bytes(head + b'"' + b"x\n" * 1000)
        with pytest.raises(UsageError, match=r": line \d+ is no row"):
            resumed(tmp_path / "rows", form)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "rows", [Row("a", score=0.5)], "jsonl")

    def broken(*arguments: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(resume, "reader_of", broken)
    with pytest.raises(OutputError) as caught:
        resumed(tmp_path / "rows", "jsonl")
    assert str(caught.value) == f"{tmp_path}/rows: cannot be read: Input/output error"


near_rows = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [ROW, ROW[:-1], b'{"path": "', b"\n", b"\r\n", b'"', b",", b"path,score\r\n", b"a,0.5\r\n", b"\0"]
        ),
        st.sampled_from([lines.csv_header(), lines.csv_line(Row('a"\n', score=0.5)), b"1e400", b"NaN", b"\xff"]),
    ),
    max_size=8,
).map(b"".join)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@settings(deadline=None, max_examples=examples(400), suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(data=b'path,score\r\n"a\n')
@given(data=near_rows)
def test_any_bytes_are_taken_up_or_refused_untouched(form: str, data: bytes, tmp_path: Path) -> None:
    """Fuzzing the readers: nothing but UsageError comes out, and nothing refused is changed."""
    file = tmp_path / "rows"
    file.write_bytes(data)
    try:
        resumed(file, form).close()
    except UsageError as error:
        assert LEFT in str(error)
        assert file.read_bytes() == data
        return
    once = file.read_bytes()
    rows = read(file, form)
    resumed(file, form).close()
    assert file.read_bytes() == once
    assert read(file, form) == rows


@needs_pyarrow
@settings(deadline=None, max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 3000), value=st.integers(0, 255))
def test_a_damaged_parquet_file_is_taken_up_or_refused_untouched(place: int, value: int, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    write(file, [Row("a", score=0.5), Row("b", error="x: y")], "parquet", overwrite=True)
    data = bytearray(file.read_bytes())
    data[place % len(data)] = value
    file.write_bytes(data)
    try:
        resumed(file, "parquet").abandon()
    except (UsageError, OutputError):
        assert os.listdir(tmp_path) == ["rows"]
    assert file.read_bytes() == data
    for path in tmp_path.iterdir():
        path.unlink()


@needs_pyarrow
def test_damage_at_which_pyarrow_ends_its_process(tmp_path: Path) -> None:
    """Not that of the command: the description of a column says that it has no empty cells, its numbers that it has."""
    file = tmp_path / "rows"
    write(file, [Row("a", score=0.5), Row("b", error="x: y")], "parquet", overwrite=True)
    column = b"%\x02\x18\x06height"  # in Thrift: repetition type OPTIONAL, and the name
    assert column in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(column, b"%\x22" + column[2:], 1))
    with pytest.raises(UsageError, match="no Parquet file that this command wrote"):
        resumed(file, "parquet")
