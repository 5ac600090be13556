"""Files that are moved or copied by their score: what is done, and what is said about it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.rows.row import Row
from open_nsfw.scan.sorting import Sorter, Sorting

HIGH, LOW = 0.9, 0.1
CONTENT = b"a picture"


class Case:
    """A sorter for the folder `out`, and what it said."""

    def __init__(self, move: bool = True, dry_run: bool = False) -> None:
        self.said: list[str] = []
        self.sorter = Sorter(Sorting(0.8, "out", move, dry_run), self.said.append)

    def add(self, path: str, score: float | None = HIGH, **values: object) -> None:
        self.sorter.add([Row(path, score=score, **values)])  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/a.jpg").write_bytes(CONTENT)


def test_what_is_high_is_brought_there() -> None:
    for move, done in ((False, "copied"), (True, "moved")):
        case = Case(move)
        case.add("in/a.jpg", LOW)
        case.add("in/a.jpg", None)
        case.sorter.add([])
        assert case.said == []
        case.add("in/a.jpg", 0.8)
        assert case.said[:1] == [f"{done} in/a.jpg to out/in/a.jpg (score 0.8)"]
        assert Path("out/in/a.jpg").read_bytes() == CONTENT
        assert Path("in/a.jpg").exists() is not move
        assert case.sorter.failed == 0


def test_a_file_of_several_frames_goes_by_its_summary() -> None:
    case = Case()
    frames = [Row("in/a.jpg", kind="frame", frame=number, score=LOW) for number in range(2)]
    case.sorter.add([*frames, Row("in/a.jpg", kind="summary", score=HIGH)])
    assert case.said == ["moved in/a.jpg to out/in/a.jpg (score 0.9)"]


@pytest.mark.parametrize("move", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_no_file_of_its_own_stays(move: bool, dry_run: bool) -> None:
    """Also where it is said of an earlier run's row, which names another file of this process now."""
    os.mkfifo("in/pipe")
    os.symlink("pipe", "in/link")
    os.symlink("/dev/stdin", "in/stdin")
    os.symlink("/dev/fd", "descriptors")
    names = ["-", "in/pipe", "in/link", "in/stdin", "/dev/stdin", "/dev/fd/63", "descriptors/0", "/dev/null"]
    case = Case(move, dry_run)
    case.add("in/x.zip", member="a.jpg")
    for name in names:
        case.add(name)
    remark = "score 0.9; not a file of its own, so it stays where it is"
    assert case.said == [f"{name}: {remark}" for name in ("in/x.zip!a.jpg", *names)]
    assert case.sorter.failed == 0 and not os.path.exists("out")
    assert sorted(os.listdir("in")) == ["a.jpg", "link", "pipe", "stdin"]
    case = Case(move, dry_run)
    case.sorter.catch_up([Row(name, score=HIGH) for name in names])
    assert case.said == [] and not os.path.exists("out")


@pytest.mark.parametrize("path", ["out/in/a.jpg", "in/../out/a.jpg", "link/a.jpg", "out/./x/../a.jpg"])
def test_what_is_there_already_stays(path: str) -> None:
    Path("out/in").mkdir(parents=True)
    Path("out/x").mkdir()
    Path("link").symlink_to("out")
    Path("out/a.jpg").write_bytes(CONTENT)
    Path("out/in/a.jpg").write_bytes(CONTENT)
    case = Case()
    case.add(path)
    assert case.said == [f"{path}: score 0.9; is in out, so it stays where it is"]
    assert case.sorter.failed == 0


@pytest.mark.parametrize("move", [True, False])
def test_a_failure_names_the_place_and_the_reason(move: bool) -> None:
    case = Case(move)
    case.add("in/none.jpg")
    verb = "move" if move else "copy"
    assert case.said == [f"in/none.jpg: cannot {verb} it to out/in/none.jpg: No such file or directory"]
    assert case.sorter.failed == 1


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_cannot_be_removed(links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is whole in its new place; the next run tries again, and counts it as moved once it can be."""
    unlink = os.unlink

    def fail(path: str) -> None:
        if str(path).startswith("in/"):
            raise OSError(errno.EPERM, "Operation not permitted")
        unlink(path)

    def no_link(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fail)
        if not links:
            patch.setattr(os, "link", no_link)
        for _ in range(2):
            case = Case()
            case.add("in/a.jpg")
            expected = "is in out/in/a.jpg now, but cannot be removed from its old place: Operation not permitted"
            assert case.said == [f"in/a.jpg: {expected}"]
            assert case.sorter.failed == 1
            assert os.listdir("out/in") == ["a.jpg"]
    case = Case()
    case.add("in/a.jpg")
    assert (case.said, case.sorter.failed) == (["moved in/a.jpg to out/in/a.jpg (score 0.9)"], 0)
    assert os.listdir("in") == [] and os.listdir("out/in") == ["a.jpg"]


def test_names_that_are_taken_are_said() -> None:
    Path("out/in").mkdir(parents=True)
    Path("out/in/a.jpg").write_bytes(b"another")
    case = Case(dry_run=True)
    case.add("in/a.jpg")
    assert case.said == ["would move in/a.jpg to out/in/a-2.jpg (score 0.9)"]
    case = Case()
    case.add("in/a.jpg")
    assert case.said == ["moved in/a.jpg to out/in/a-2.jpg, its own name being taken (score 0.9)"]


def test_links_whose_file_was_moved() -> None:
    """They have the row of their file, and get there too."""
    Path("in/b.jpg").symlink_to("a.jpg")
    Path("in/c.jpg").symlink_to(os.path.abspath("in/b.jpg"))
    case = Case()
    row = Row("in/a.jpg", score=HIGH, format="JPEG", bytes=9)
    case.sorter.add([row])
    lost = [Row("in/b.jpg", error="not-found: there is no such file")]
    assert case.sorter.revised(lost) == [replace(row, path="in/b.jpg")]
    case.sorter.add(case.sorter.revised(lost))
    case.add("in/c.jpg")
    case.add("in/a.jpg")  # named a second time
    assert case.said == [f"moved in/{name}.jpg to out/in/{name}.jpg (score 0.9)" for name in "abc"]
    assert sorted(os.listdir("out/in")) == ["a.jpg", "b.jpg", "c.jpg"] and os.listdir("in") == []
    assert {Path("out/in", name).read_bytes() for name in os.listdir("out/in")} == {CONTENT}


def test_rows_of_what_is_really_not_there_stay() -> None:
    case = Case()
    Path("in/broken.jpg").symlink_to("nowhere")
    for rows in (
        [],
        [Row("in/broken.jpg", error="not-found: there is no such file")],
        [Row("in/none.jpg", error="not-found: there is no such file")],
        [Row("in/a.jpg", error="truncated: the picture ends early")],
        [Row("in/a.jpg", score=LOW)],
    ):
        assert case.sorter.revised(rows) == rows


def row_of(file: str, path: str) -> Row:
    """The high row of a file, from when it was at `path`."""
    status = os.stat(file)
    return Row(path, score=HIGH, bytes=status.st_size, modified=status.st_mtime)


def test_catching_up_finds_the_file_that_was_moved_and_not_another_of_its_name() -> None:
    """What had the name before, of another size or time, and what is no file."""
    Path("out/in").mkdir(parents=True)
    for name, content, seconds in (
        ("a", b"other", 50),
        ("a-2", CONTENT, 10),
        ("a-4", CONTENT, 50),
        ("a-5", CONTENT, 50),
    ):
        Path(f"out/in/{name}.jpg").write_bytes(content)
        os.utime(f"out/in/{name}.jpg", (seconds, seconds))
    os.mkfifo("out/in/a-3.jpg")
    os.unlink("in/a.jpg")
    Path("in/link.jpg").symlink_to("a.jpg")
    row = row_of("out/in/a-4.jpg", "in/a.jpg")
    case = Case()
    case.sorter.catch_up([row, Row("in/link.jpg", score=HIGH)])
    assert case.said == ["moved in/link.jpg to out/in/link.jpg (score 0.9)"]
    assert Path("out/in/link.jpg").read_bytes() == CONTENT
    assert case.sorter.summary() == "2 files moved by --move-above 0.8"
    os.unlink("out/in/a-4.jpg")
    Path("in/link.jpg").symlink_to("a.jpg")
    case = Case()
    case.sorter.catch_up([row])
    lost = [Row("in/link.jpg", error="not-found: there is no such file")]
    assert case.sorter.revised(lost) == lost
    assert case.sorter.summary() == "0 files moved by --move-above 0.8"


def test_a_folder_whose_pictures_were_all_moved_has_no_row() -> None:
    """In an earlier run, whether they are still where they were brought or not, or in this one, as where it is named twice."""
    Path("link").symlink_to("in")
    Path("other").mkdir()
    empty = {name: [Row(name, error="no-pictures: there is no picture in it")] for name in ("in", ".", "link", "other")}
    for is_later in (True, False):
        case = Case()
        if is_later:
            case.sorter.catch_up([Row("in/gone.jpg", score=HIGH), Row("other/low.jpg", score=LOW)])
        else:
            case.add("in/a.jpg")
        assert {name: case.sorter.revised(rows) for name, rows in empty.items()} == {
            **dict.fromkeys(("in", ".", "link"), []),
            "other": empty["other"],
        }
    case = Case(move=False)
    case.sorter.catch_up([Row("in/gone.jpg", score=HIGH)])
    assert case.sorter.revised(empty["in"]) == empty["in"]


def test_catching_up_on_the_rows_of_earlier_runs() -> None:
    """A file that was moved then, one that was not, and a link to the first."""
    Path("out/in").mkdir(parents=True)
    Path("out/in/moved.jpg").write_bytes(b"moved")
    Path("in/link.jpg").symlink_to("moved.jpg")
    rows = [
        Row("in/a.jpg", kind="frame", score=1.0),
        row_of("out/in/moved.jpg", "in/moved.jpg"),
        Row("in/x.zip", member="a.jpg", score=HIGH),
        Row("-", score=HIGH),
        Row("in/gone.jpg", score=HIGH),
        Row("in/a.jpg", score=HIGH),
        Row("in/link.jpg", score=HIGH),
    ]
    case = Case()
    case.sorter.catch_up(rows)
    assert case.said == [f"moved in/{name} to out/in/{name} (score 0.9)" for name in ("a.jpg", "link.jpg")]
    assert Path("out/in/link.jpg").read_bytes() == b"moved"
    assert case.sorter.failed == 0


def test_what_is_no_folder() -> None:
    Path("out").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"^out: is no folder, so no files can be brought there$"):
        Case()
