"""Where the bytes of rows go: a file that other programs do things to, and stdout in all its states."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import OutputError
from open_nsfw.rows import files as row_files
from open_nsfw.rows import lines
from open_nsfw.rows import parquet as parquet_rows
from open_nsfw.rows.files import RowFile
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.row import Row
from open_nsfw.rows.writer import open_writer
from tests.tools.helpers import ROOT
from tests.tools.rows import (
    FAILED,
    PICTURE,
)

ROWS = [b"one\n", b"two\n", b"three\n"]


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"something else\n")
    os.replace(other, file)


def renamed(file: Path) -> None:
    file.rename(file.with_name("renamed"))


TAKEN_AWAY: list[Callable[[Path], None]] = [Path.unlink, replaced, renamed]


@pytest.mark.parametrize("take_away", TAKEN_AWAY)
@pytest.mark.parametrize("then_put", [False, True])
def test_a_file_that_is_taken_away_is_saved_and_told(
    take_away: Callable[[Path], None], then_put: bool, tmp_path: Path
) -> None:
    """At the next row where the system says so at once, at the end always; a file in its place stays as it is."""
    path = tmp_path / "rows"
    file = RowFile(str(path), "rows")
    file.put(ROWS)
    take_away(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(OutputError) as caught:
        if then_put:
            file.put(ROWS)
        file.close()
    assert str(caught.value) == f"rows: was deleted or replaced while this run wrote it; its rows are in {path}.saved"
    written = ROWS * 2 if then_put and take_away is renamed else ROWS
    assert (tmp_path / "rows.saved").read_bytes() == b"".join(written)
    assert (path.read_bytes() if path.exists() else None) == before
    file.close()
    assert not list(tmp_path.glob("*.saved-*"))


def test_a_second_saved_file_gets_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "rows.saved").write_bytes(b"of an earlier run\n")
    file = RowFile(str(tmp_path / "rows"), "rows")
    file.put(ROWS)
    (tmp_path / "rows").unlink()
    with pytest.raises(OutputError, match=r"its rows are in .*/rows\.saved-2$"):
        file.close()
    assert (tmp_path / "rows.saved").read_bytes() == b"of an earlier run\n"
    assert (tmp_path / "rows.saved-2").read_bytes() == b"".join(ROWS)


def test_a_folder_that_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    file = RowFile(str(folder / "rows"), "rows")
    file.put(ROWS)
    shutil.rmtree(folder)
    with pytest.raises(OutputError) as caught:
        file.close()
    expected = "rows: was deleted or replaced while this run wrote it; its rows cannot be saved beside it"
    assert str(caught.value) == expected


@pytest.mark.parametrize("content", [b"", b"one\n", b"one\ntwo\nthree\nmore\n"])
@pytest.mark.parametrize("then_put", [False, True])
def test_a_file_that_is_written_to_by_others(content: bytes, then_put: bool, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    file = RowFile(str(path), "rows")
    file.put(ROWS)
    path.write_bytes(content)
    with pytest.raises(OutputError) as caught:
        file.put(ROWS) if then_put else file.close()
    assert str(caught.value) == "rows: was changed by another program while this run wrote it; stopped there"
    file.close()
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["rows"]


@pytest.mark.skipif(not parquet_rows.find_spec("pyarrow"), reason="no pyarrow here")
def test_a_journal_that_is_taken_away(tmp_path: Path) -> None:
    """Its rows are saved, as JSON lines, and no Parquet file of nothing takes the place of an older one."""
    with pytest.raises(OutputError) as caught, open_writer(OutputOptions("parquet", str(tmp_path / "rows"))) as writer:
        writer.write([Row("a", score=0.5)])
        (tmp_path / "rows.journal").unlink()
    saved = tmp_path / "rows.journal.saved"
    expected = f"{tmp_path}/rows.journal: was deleted or replaced while this run wrote it; its rows are in {saved}"
    assert str(caught.value) == expected
    assert os.listdir(tmp_path) == [saved.name]
    assert saved.read_bytes().startswith(b'{"path": "a", ')


def test_a_device_and_a_pipe_are_not_looked_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = RowFile(str(tmp_path / "pipe"), "pipe")
    file.put(ROWS)
    (tmp_path / "pipe").unlink()
    file.close()
    assert os.read(reader, 100) == b"".join(ROWS)
    os.close(reader)


def test_a_file_replaced_while_it_was_being_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"old\n")
    lock, calls = row_files.lock, []

    def replaced_just_then(descriptor: int) -> bool:
        calls.append(descriptor)
        locked = lock(descriptor)
        if len(calls) == 1:
            (tmp_path / "new").write_bytes(b"new\n")
            os.replace(tmp_path / "new", file)
        return locked

    monkeypatch.setattr(row_files, "lock", replaced_just_then)
    opened = row_files.RowFile(str(file), "rows")
    opened.put([b"row\n"])
    opened.close()
    assert len(calls) == 2
    assert file.read_bytes() == b"new\nrow\n"


def test_an_interrupted_write_leaves_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in a batch the interruption comes."""
    rows = [Row("a", score=0.5), Row("b" * 50, score=0.25)]
    first, both = len(lines.json_line(rows[0])), sum(len(lines.json_line(row)) for row in rows)
    real = row_files.write_all
    for cut in (0, 1, first - 1, first, first + 1, both - 1):

        def interrupted(descriptor: int, data: bytes, cut: int = cut) -> None:
            real(descriptor, data[:cut])
            raise KeyboardInterrupt

        writer = open_writer(OutputOptions("jsonl", str(tmp_path / "rows"), overwrite=True))
        writer.write([PICTURE])
        monkeypatch.setattr(row_files, "write_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.write(rows)
        monkeypatch.setattr(row_files, "write_all", real)
        writer.close()
        kept = [PICTURE] + (rows[:1] if cut >= first else [])
        assert (tmp_path / "rows").read_bytes() == b"".join(map(lines.json_line, kept)), cut


CHILD = """
import sys
from open_nsfw.errors import OutputError
from open_nsfw.rows.writer import OutputOptions, Row, open_writer
try:
    with open_writer(OutputOptions(sys.argv[1])) as writer:
        for number in range(int(sys.argv[2])):
            writer.write([Row(f"{number}.jpg", score=0.5)])
except OutputError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def child(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, **options)


def test_stdout_takes_rows_as_bytes() -> None:
    process = child("jsonl", "3", stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert out == b"".join(lines.json_line(Row(f"{number}.jpg", score=0.5)) for number in range(3))


@pytest.mark.parametrize("form", ["text", "jsonl", "csv"])
def test_a_closed_pipe_is_one_line_and_no_traceback(form: str) -> None:
    writer = child(form, "1000000", stdout=subprocess.PIPE)
    head = subprocess.run(["head", "-n", "1"], stdin=writer.stdout, stdout=subprocess.PIPE, check=True)
    assert writer.stdout is not None
    writer.stdout.close()
    assert writer.stderr is not None
    err = writer.stderr.read()
    assert writer.wait(timeout=60) == 2
    writer.stderr.close()
    assert err == b"stdout: the program that was reading it has gone; stopped there\n"
    first = {"text": b"NSFW score: 0.5 0.jpg\n", "csv": lines.csv_header()}
    assert head.stdout == first.get(form, lines.json_line(Row("0.jpg", score=0.5)))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_one_line_and_no_traceback() -> None:
    with open("/dev/full", "wb") as full:
        process = child("jsonl", "3", stdout=full)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, b"stdout: cannot be written: No space left on device\n")


def test_a_stdout_that_was_closed_at_the_start() -> None:
    process = child("jsonl", "3", preexec_fn=lambda: os.close(1))
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (2, b"stdout: it is closed; name a file with --output\n")


def test_a_pipe_that_does_not_block_gets_every_row() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = child("jsonl", "3000", stdout=writer)
    os.close(writer)
    with open(reader, "rb") as file:
        lines = file.readlines()
    assert process.wait(timeout=60) == 0
    assert [json.loads(line)["path"] for line in lines] == [f"{number}.jpg" for number in range(3000)]
    assert process.stderr is not None
    process.stderr.close()


def test_a_stdout_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    with open_writer(OutputOptions()) as writer:
        writer.write([Row("ü", score=0.5), FAILED])
    assert stream.buffer.getvalue() == "NSFW score: 0.5 ü\n".encode()  # type: ignore[attr-defined]


def test_messages_of_the_system_are_told() -> None:
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    assert str(row_files.cannot_write("rows", error)) == "rows: cannot be written: Input/output error"


def test_a_file_that_cannot_be_replaced_gets_its_new_content_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is mounted into a container; it goes on being the file that rows are appended to."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    file = RowFile(str(tmp_path / "rows"), "rows")
    file.put(ROWS)
    before = os.stat(tmp_path / "rows").st_ino
    monkeypatch.setattr(os, "replace", busy)
    file.replace(ROWS[:1])
    file.put(ROWS[2:])
    file.close()
    assert (tmp_path / "rows").read_bytes() == ROWS[0] + ROWS[2]
    assert os.stat(tmp_path / "rows").st_ino == before
    assert os.listdir(tmp_path) == ["rows"]
