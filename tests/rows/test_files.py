"""The file that rows are appended to: what other programs do to it meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from open_nsfw.errors import OutputError
from open_nsfw.rows import parquet as parquet_rows
from open_nsfw.rows.files import RowFile
from open_nsfw.rows.options import OutputOptions
from open_nsfw.rows.row import Row
from open_nsfw.rows.writer import open_writer

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
