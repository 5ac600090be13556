"""Opening a file of rows, writing it, and ending it: what exists is not lost, and what fits is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_nsfw.errors import OutputError, SetupError, UsageError
from open_nsfw.installing import install_command
from open_nsfw.rows import lines
from open_nsfw.rows import parquet as parquet_rows
from open_nsfw.rows import reader as row_reader
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.row import Row
from open_nsfw.rows.writer import Writer, open_writer
from tests.tools.helpers import ROOT
from tests.tools.rows import (
    FAILED,
    PICTURE,
    any_row,
    many,
    needs_pyarrow,
    read,
    write,
)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@many
@given(rows=st.lists(any_row, max_size=5))
def test_rows_round_trip(form: str, rows: list[Row], tmp_path: Path) -> None:
    write(tmp_path / "rows", rows, form, overwrite=True)
    assert list(row_reader.read_rows(str(tmp_path / "rows"), form)) == rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (OutputOptions("xml"), "--format xml: there is no such format; there are text, jsonl, csv, parquet"),
        (OutputOptions("jsonl", "f", resume=True, overwrite=True), "--resume and --overwrite cannot be combined"),
        (
            OutputOptions("text", "f", resume=True),
            "--resume cannot go on with --format text, which holds too little; it can with jsonl, csv, parquet",
        ),
        (OutputOptions("jsonl", resume=True), "--resume needs the file to go on with: --output FILE"),
        (OutputOptions("jsonl", "-", resume=True), "--resume needs the file to go on with: --output FILE"),
        (OutputOptions("parquet"), "--format parquet needs a file to write: --output FILE"),
        (
            OutputOptions("jsonl", os.devnull, resume=True),
            "/dev/null: is no plain file, as --resume and --format parquet need it",
        ),
    ],
)
def test_requests_that_make_no_sense(
    options: OutputOptions, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_writer(options)
    assert str(caught.value) == message
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", ["text", "jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)])
def test_an_existing_file_is_not_lost_unasked(form: str, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    write(file, [PICTURE], form)
    before = file.read_bytes()
    with pytest.raises(UsageError) as caught:
        write(file, [FAILED], form)
    assert str(caught.value) == f"{file}: exists already; --resume goes on with it, --overwrite starts anew"
    assert file.read_bytes() == before
    write(file, [PICTURE, PICTURE], form, overwrite=True)
    assert file.read_bytes() != before
    assert os.listdir(tmp_path) == ["rows"]


def test_an_empty_file_is_no_loss(tmp_path: Path) -> None:
    (tmp_path / "rows").touch()
    write(tmp_path / "rows", [PICTURE], "jsonl")
    assert (tmp_path / "rows").read_bytes() == lines.json_line(PICTURE)


@needs_pyarrow
def test_a_journal_left_behind_is_not_lost_unasked(tmp_path: Path) -> None:
    journal = tmp_path / "rows.parquet.journal"
    journal.write_bytes(lines.json_line(PICTURE))
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "rows.parquet", [], "parquet")
    assert str(caught.value) == f"{journal}: exists already; --resume goes on with it, --overwrite starts anew"
    assert journal.read_bytes() == lines.json_line(PICTURE)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write(tmp_path / "none" / "rows", [], "jsonl")
    assert str(caught.value) == f"{tmp_path}/none/rows: cannot be written: No such file or directory"
    with pytest.raises(OutputError) as caught:
        write(tmp_path, [], "jsonl")
    assert str(caught.value) == f"{tmp_path}: cannot be written: Is a directory"


def test_parquet_without_its_library_is_told_before_anything_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_rows, "find_spec", lambda name: None)
    with pytest.raises(SetupError) as caught:
        open_writer(OutputOptions("parquet", str(tmp_path / "rows.parquet")))
    assert str(caught.value) == f"--format parquet needs pyarrow: {install_command('parquet')}"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", ["jsonl", pytest.param("parquet", marks=needs_pyarrow)])
def test_two_runs_cannot_write_one_file(form: str, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    name = f"{file}.journal" if form == "parquet" else str(file)
    with open_writer(OutputOptions(form, str(file))) as writer:
        for options in (OutputOptions(form, str(file), resume=True), OutputOptions(form, str(file), overwrite=True)):
            with pytest.raises(OutputError) as caught:
                open_writer(options)
            assert str(caught.value) == f"{name}: another run is writing it; wait for it or choose another file"
        writer.write([PICTURE])
    assert list(row_reader.read_rows(str(file), form)) == [PICTURE]


@pytest.mark.parametrize("form", ["text", "jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)])
def test_rows_are_in_the_file_as_soon_as_write_returns(form: str, tmp_path: Path) -> None:
    file = tmp_path / ("rows.journal" if form == "parquet" else "rows")
    with open_writer(OutputOptions(form, str(tmp_path / "rows"))) as writer:
        before = file.stat().st_size
        writer.write([PICTURE, PICTURE])
        assert file.read_bytes()[before:].count(b"photos/a.jpg") == 2
        assert not writer.is_done(PICTURE.path)
        writer.write([])
        writer.close()
        writer.close()


@needs_pyarrow
def test_a_parquet_run_that_failed_leaves_its_journal(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_writer(OutputOptions("parquet", str(tmp_path / "rows"))) as writer:
        writer.write([PICTURE])
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["rows.journal"]
    assert (tmp_path / "rows.journal").read_bytes() == lines.json_line(PICTURE)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("rows")
    write(tmp_path / "link", [Row("-", score=0.5), PICTURE], "jsonl")
    write(tmp_path / "link", [], "jsonl", resume=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "rows").read_bytes() == lines.json_line(PICTURE)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("form", ["text", "jsonl", "csv"])
def test_a_device_that_is_full(form: str) -> None:
    with pytest.raises(OutputError) as caught:
        write(Path("/dev/full"), [PICTURE], form)
    assert str(caught.value) == "/dev/full: cannot be written: No space left on device"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, which only root can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], stderr=subprocess.PIPE, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk to fill: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a traceback that pytest keeps may hold a file


def fill(writer: Writer, most: int = 10_000) -> list[Row]:
    """Rows in batches until the disk is full; all that were tried."""
    tried: list[Row] = []
    with pytest.raises(OutputError, match="No space left on device$"), writer:
        while len(tried) < most:
            batch = [Row(f"{len(tried) + number}.jpg", score=0.5) for number in range(7)]
            tried += batch
            writer.write(batch)
    return tried


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_full_disk_leaves_whole_rows_and_all_that_fit(form: str, small_disk: Path) -> None:
    file = small_disk / "rows"
    tried = fill(open_writer(OutputOptions(form, str(file))))
    rows = list(row_reader.read_rows(str(file), form))
    assert file.read_bytes().endswith(b"\n")
    assert rows == tried[: len(rows)]
    assert len(tried) - 7 <= len(rows) < len(tried)
    longest = len(lines.json_line(tried[-1]))
    assert 65536 - longest < file.stat().st_size <= 65536
    with open_writer(OutputOptions(form, str(file), resume=True)) as writer:
        assert [writer.is_done(row.path) for row in tried] == [True] * len(rows) + [False] * (len(tried) - len(rows))


def test_a_disk_too_full_for_a_new_file_keeps_the_old_one(small_disk: Path) -> None:
    file = small_disk / "rows"
    one = len(lines.json_line(Row("100.jpg", score=0.5)))
    write(file, [Row("-", score=0.5)] + [Row(f"{number}.jpg", score=0.5) for number in range(34_000 // one)], "jsonl")
    before = file.read_bytes()
    assert len(before) > 33_000
    with pytest.raises(OutputError) as caught:
        write(file, [], "jsonl", resume=True)
    assert str(caught.value) == f"{file}: cannot be written: No space left on device"
    assert file.read_bytes() == before
    assert os.listdir(small_disk) == ["rows"]


@needs_pyarrow
def test_a_disk_too_full_for_parquet_keeps_the_journal(small_disk: Path) -> None:
    file = small_disk / "rows.parquet"
    one = len(lines.json_line(Row("x" * 204, score=0.5)))
    rows = [Row(f"{os.urandom(100).hex()}.jpg", score=0.5) for _ in range(50_000 // one)]
    writer = open_writer(OutputOptions("parquet", str(file)))
    writer.write(rows)
    with pytest.raises(OutputError) as caught:
        writer.close()
    assert str(caught.value) == (
        f"{file}: cannot be written: No space left on device; its rows are safe in {file}.journal, --resume goes on"
    )
    assert os.listdir(small_disk) == ["rows.parquet.journal"]
    assert list(row_reader.read_rows(f"{file}.journal", "jsonl")) == rows


def test_writing_text_imports_nothing_heavy() -> None:
    """The score of one picture must not wait for what it does not need."""
    script = textwrap.dedent(
        """
        import sys
        from open_nsfw.rows.options import OutputOptions
        from open_nsfw.rows.row import Row
        from open_nsfw.rows.writer import open_writer
        with open_writer(OutputOptions(single=True)) as writer:
            writer.write([Row("a", score=0.0129502080381)])
        print(sorted({"numpy", "json", "csv", "pyarrow", "select", "open_nsfw.rows.resume"} & set(sys.modules)))
        """
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    assert out == b"NSFW score: 0.0129502080381\n[]\n"


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="this system has no /proc")
def test_descriptors_by_name(tmp_path: Path) -> None:
    """A pipe, as /dev/stdout may be; and a file that was deleted, into which rows would be lost."""
    reader, writer = os.pipe()
    write(Path(f"/proc/self/fd/{writer}"), [PICTURE], "jsonl")
    assert os.read(reader, 10_000) == lines.json_line(PICTURE)
    with open(tmp_path / "rows", "wb") as file:
        (tmp_path / "rows").unlink()
        with pytest.raises(OutputError, match="was deleted or replaced while this run wrote it"):
            write(Path(f"/proc/self/fd/{file.fileno()}"), [PICTURE], "jsonl")
    os.close(reader)
    os.close(writer)


def test_a_file_that_moves_and_leaves_a_link_is_still_there(tmp_path: Path) -> None:
    with open_writer(OutputOptions("jsonl", str(tmp_path / "rows"))) as writer:
        writer.write([PICTURE])
        (tmp_path / "rows").rename(tmp_path / "elsewhere")
        (tmp_path / "rows").symlink_to("elsewhere")
        writer.write([FAILED])
    assert read(tmp_path / "elsewhere", "jsonl") == [PICTURE, FAILED]
