"""Rows into the store: every format, what is new, what moved, what is the same."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.review.inputs import Rows
from open_nsfw.review.intake import take_in
from open_nsfw.review.store import Store, open_store
from open_nsfw.review.whereabouts import look_for
from open_nsfw.rows import parquet
from open_nsfw.rows.lines import csv_header, csv_line
from open_nsfw.rows.row import Row
from tests.tools.review import ANNA, add_rows, column, label_next, new_store, rows_of, write_rows

NAMES = ["plain.jpg", 'a, "b".jpg', "caf\udce9.jpg", "bytes:x.jpg", "line\nend.jpg"]


def written(folder: Path, form: str, rows: list[Row]) -> Path:
    """A file of rows in one of the formats."""
    path = folder / f"rows.{form}"
    if form == "csv":
        path.write_bytes(csv_header() + b"".join(map(csv_line, rows)))
    elif form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed in this interpreter")
        parquet.write(str(path), rows)
    else:
        write_rows(path, rows)
    return path


def items(store: Store) -> list[tuple[object, object]]:
    """(path, score) of all items."""
    return list(
        zip(column(store, "SELECT path FROM item ORDER BY id"), column(store, "SELECT score FROM item ORDER BY id"))
    )


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_every_format_is_read(tmp_path: Path, form: str) -> None:
    """With names of any bytes; rows without a score are counted."""
    rows = [Row(name, score=0.25 + number / 100, model="m") for number, name in enumerate(NAMES)]
    rows.append(Row("bad.jpg", error="truncated: it ends too early", model="m"))
    with open_store(str(tmp_path / "s.sqlite"), create=True) as store:
        taken = take_in(store, Rows(str(written(tmp_path, form, rows)), ()))
        assert (taken.added, taken.without) == (5, 1)
        found = dict(items(store))
        assert found["plain.jpg"] == 0.25 and found["bytes:caf%E9.jpg"] == 0.27
        assert take_in(store, Rows(str(tmp_path / f"rows.{form}"), ())).unchanged


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_file_of_something_else_is_one_line(tmp_path: Path, form: str) -> None:
    """With what is needed; nothing is added."""
    path = tmp_path / f"x.{form}"
    path.write_text("name,age\nAnna,9\n")
    advice = "; rows that `classify_nsfw --output` wrote are needed, as .jsonl, .csv or .parquet"
    with open_store(str(tmp_path / "s.sqlite"), create=True) as store:
        with pytest.raises(UsageError) as error:
            take_in(store, Rows(str(path), ()))
        assert str(error.value).startswith(f"{path}: ") and str(error.value).endswith(advice)
        assert items(store) == []


def test_frames_go_with_their_summary(tmp_path: Path) -> None:
    """Those that score highest; a video is one item."""
    frames = [
        Row("clip.mp4", kind="frame", frame=n, seconds=n * 1.0, score=(n * 37 % 100) / 100, model="m")
        for n in range(100)
    ]
    summary = Row("clip.mp4", kind="summary", score=0.99, frames=100, frame_choice="every 1 s", model="m")
    path = write_rows(tmp_path / "rows.jsonl", [Row("a.jpg", score=0.1, model="m"), *frames, summary])
    with open_store(str(tmp_path / "s.sqlite"), create=True) as store:
        assert take_in(store, Rows(str(path), ())).added == 2
        (text,) = column(store, "SELECT frames FROM item WHERE path = 'clip.mp4'")
        assert (
            text
            == "[[27, null, 27.0, 0.99], [54, null, 54.0, 0.98], [81, null, 81.0, 0.97], [8, null, 8.0, 0.96], "
            + ("[35, null, 35.0, 0.95], [62, null, 62.0, 0.94]]")
        )


def test_a_second_run_adds_what_is_new(tmp_path: Path) -> None:
    """Decisions stay; a new score of a known picture replaces the old one."""
    rows = rows_of([0.4, 0.5, 0.6], tmp_path)
    with new_store(tmp_path, rows) as store:
        label_next(store, ANNA, "nsfw")
        more = [*rows[:2], replace(rows[2], score=0.7, model="other"), *rows_of([0.1] * 5, tmp_path)[3:]]
        taken = add_rows(store, write_rows(tmp_path / "rows.jsonl", more))
        assert (taken.added, taken.known, taken.rescored) == (2, 3, 1)
        assert column(store, "SELECT count(*) FROM opinion") == [1]
        assert column(store, "SELECT score FROM item WHERE id = 3") == [0.7]


def test_the_same_content_is_asked_for_once(tmp_path: Path) -> None:
    """Under whatever names it is; of a changed file the decision about the old content stays."""
    rows = rows_of([0.4, 0.5], tmp_path)
    copy = tmp_path / "copy.jpg"
    copy.touch()
    with new_store(tmp_path, [*rows, replace(rows[0], path=str(copy))]) as store:
        assert len(items(store)) == 2
        label_next(store, ANNA, "nsfw", 2)
        changed = replace(rows[0], sha256="f" * 64, score=0.45)
        assert add_rows(store, write_rows(tmp_path / "more.jsonl", [changed])).added == 1
        assert column(store, "SELECT count(*) FROM item WHERE path = ?", rows[0].path) == [2]
        assert column(store, "SELECT count(*) FROM opinion") == [2]


def real_rows(folder: Path, count: int) -> list[Row]:
    """Rows about files with contents, with their hashes."""
    rows = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        path.write_bytes(b"content %d" % number)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append(Row(str(path), score=0.5, bytes=path.stat().st_size, sha256=digest, model="m"))
    return rows


def test_files_that_moved_are_found_by_their_content(tmp_path: Path) -> None:
    """In the folder where they were, and in those that are named; one that is nowhere is named, and nobody is asked."""
    folder, other = tmp_path / "pictures", tmp_path / "other" / "deep"
    folder.mkdir()
    other.mkdir(parents=True)
    with new_store(tmp_path, real_rows(folder, 4)) as store:
        (folder / "0.jpg").rename(folder / "renamed.jpg")
        shutil.move(folder / "1.jpg", other / "1.jpg")
        (folder / "2.jpg").unlink()
        result = look_for(store)
        assert result.found == 1
        assert result.lost == [str(folder / "1.jpg"), str(folder / "2.jpg")]
        result = look_for(store, [str(tmp_path / "other")])
        assert result.found == 1 and result.lost == [str(folder / "2.jpg")]
        places = column(store, "SELECT place_on_disk FROM item ORDER BY id")
        assert places == [str(folder / "renamed.jpg"), str(other / "1.jpg"), None, str(folder / "3.jpg")]
        assert len(label_next(store, ANNA, "nsfw", 3)) == 3
        (folder / "2.jpg").write_bytes(b"content 2")
        assert look_for(store).found == 1
        assert len(label_next(store, ANNA, "nsfw", 1)) == 1


def test_another_file_of_the_same_name_is_not_taken_for_a_lost_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is opened in another folder, and its paths are relative."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    rows = [replace(row, path=os.path.basename(row.path)) for row in real_rows(here, 2)]
    rows[1] = replace(rows[1], sha256=None)
    with new_store(tmp_path, rows) as store:
        for name in ("0.jpg", "1.jpg"):
            (here / name).unlink()
        assert len(look_for(store).lost) == 2
        monkeypatch.chdir(there)
        (there / "0.jpg").write_bytes(b"another 0")
        (there / "1.jpg").write_bytes(b"another one")
        assert look_for(store).found == 0
        (there / "0.jpg").write_bytes(b"content 0")
        assert look_for(store).found == 1


def test_rows_of_a_moved_file_keep_its_decision(tmp_path: Path) -> None:
    """It is the same item under its new name."""
    rows = real_rows(tmp_path, 2)
    with new_store(tmp_path, rows) as store:
        label_next(store, ANNA, "nsfw", 2)
        moved = tmp_path / "moved.jpg"
        (tmp_path / "0.jpg").rename(moved)
        taken = add_rows(store, write_rows(tmp_path / "more.jsonl", [replace(rows[0], path=str(moved))]))
        assert (taken.added, taken.moved) == (0, 1)
        assert sorted(map(str, column(store, "SELECT path FROM item"))) == [str(tmp_path / "1.jpg"), str(moved)]
