"""`--move-above` and `--copy-above` of the whole command."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from open_nsfw.rows.reader import read_rows
from tests.tools.helpers import DATA, PICTURE, SECONDS, Result, run_command

PUSHED = DATA / "pushed"


@pytest.fixture(name="inbox")
def _inbox(tmp_path: Path) -> Path:
    """A folder with a low and two high pictures, one of them deeper down; commands run in the folder above it."""
    (tmp_path / "inbox" / "deep").mkdir(parents=True)
    shutil.copy(PUSHED / "0.050-chelsea.jpg", tmp_path / "inbox" / "low.jpg")
    shutil.copy(PUSHED / "0.900-hubble_deep_field.jpg", tmp_path / "inbox" / "high.jpg")
    shutil.copy(PUSHED / "0.990-coffee.jpg", tmp_path / "inbox" / "deep" / "high.jpg")
    return tmp_path


def run(folder: Path, *arguments: object) -> Result:
    return run_command("--engine", "onnxruntime", *map(str, arguments), cwd=folder)


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_move_above_keeps_folders_and_says_so(inbox: Path) -> None:
    """What is low stays."""
    done = run(inbox, "inbox", "--move-above", "0.8", "out")
    assert files(inbox) == ["inbox/low.jpg", "out/inbox/deep/high.jpg", "out/inbox/high.jpg"]
    assert "classify_nsfw: moved inbox/deep/high.jpg to out/inbox/deep/high.jpg (score 0.989994)\n" in done.err
    assert done.status == 0


def test_copy_above_twice(inbox: Path) -> None:
    """The second time everything is there already, and the same: nothing to say."""
    assert run(inbox, "inbox", "--copy-above", "0.8", "out").status == 0
    assert len(files(inbox)) == 5
    again = run(inbox, "inbox", "--copy-above", "0.8", "out")
    assert again.status == 0
    assert "classify_nsfw: copied " not in again.err


def test_nothing_is_overwritten(inbox: Path) -> None:
    """A different file of that name stays as it is; the picture gets another name, which is said."""
    (inbox / "out" / "inbox").mkdir(parents=True)
    (inbox / "out" / "inbox" / "high.jpg").write_text("another")
    done = run(inbox, "inbox/high.jpg", "--move-above", "0.8", "out")
    assert (inbox / "out" / "inbox" / "high.jpg").read_text() == "another"
    assert not (inbox / "inbox" / "high.jpg").exists()
    assert (inbox / "out" / "inbox" / "high-2.jpg").exists()
    expected = "moved inbox/high.jpg to out/inbox/high-2.jpg, its own name being taken (score 0.900"
    assert expected in done.err
    assert done.status == 0


def test_dry_run_does_nothing_but_say_it(inbox: Path) -> None:
    """The same folder before and after."""
    before = files(inbox)
    done = run(inbox, "inbox", "--move-above", "0.8", "out", "--dry-run")
    assert files(inbox) == before
    assert "classify_nsfw: would move inbox/high.jpg to out/inbox/high.jpg (score 0.900" in done.err


def test_paths_that_lead_upwards_or_from_the_root_end_below_the_folder(inbox: Path) -> None:
    """`..` and a leading `/` are dropped from the place in the target folder."""
    (inbox / "elsewhere").mkdir()
    absolute = (inbox / "inbox" / "high.jpg").resolve()
    run(inbox / "elsewhere", "../inbox/deep/high.jpg", absolute, "--copy-above", "0.8", "../out")
    assert [name for name in files(inbox) if name.startswith("out")] == sorted(
        ["out/inbox/deep/high.jpg", "out" + str(absolute)]
    )


@pytest.mark.parametrize("option", ["--move-above", "--copy-above"])
@pytest.mark.parametrize("source", ["inbox", "inbox/**/*.jpg", "."])
def test_a_folder_inside_the_source_is_left_out(option: str, source: str, inbox: Path) -> None:
    """What an earlier run brought there is neither scored nor brought deeper."""
    for number in range(3):
        done = run(inbox, source, option, "0.8", "inbox/out", "--format", "csv")
        assert done.status == 0, done.err
        assert done.counts == (1 if number and option == "--move-above" else 3, 0)
    sorted_out = ["inbox/out/inbox/deep/high.jpg", "inbox/out/inbox/high.jpg"]
    left = ["inbox/low.jpg"] if option == "--move-above" else ["inbox/deep/high.jpg", "inbox/high.jpg", "inbox/low.jpg"]
    assert files(inbox) == sorted(left + sorted_out)
    again = run(inbox, "inbox/out", option, "0.8", "inbox/out")
    assert "inbox/out/inbox/high.jpg: score 0.900" in again.err
    assert "; is in inbox/out, so it stays where it is\n" in again.err
    assert files(inbox) == sorted(left + sorted_out)


def test_links_to_what_was_moved_get_there_too(inbox: Path) -> None:
    """Whether a link comes before or after its file, and how long before it is read."""
    for name in ("a.jpg", "m.jpg", "zz.jpg"):
        os.symlink("high.jpg", inbox / "inbox" / name)
    os.symlink("zz.jpg", inbox / "inbox" / "zzz.jpg")
    done = run(inbox, "inbox", "inbox/high.jpg", "--jobs", "1", "--move-above", "0.8", "out", "--format", "jsonl")
    assert done.status == 0, done.err
    names = ["a.jpg", "deep/high.jpg", "high.jpg", "m.jpg", "zz.jpg", "zzz.jpg"]
    assert files(inbox / "out" / "inbox") == names
    assert os.listdir(inbox / "inbox") == ["low.jpg"] or sorted(os.listdir(inbox / "inbox")) == ["deep", "low.jpg"]
    content = {name: (inbox / "out" / "inbox" / name).read_bytes() for name in names if name != "deep/high.jpg"}
    assert set(content.values()) == {(PUSHED / "0.900-hubble_deep_field.jpg").read_bytes()}
    assert not any((inbox / "out" / "inbox" / name).is_symlink() for name in names)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert {round(row["score"], 2) for row in rows if row["path"] != "inbox/low.jpg"} == {0.9, 0.99}


@pytest.mark.parametrize("option", [["--move-above"], ["--copy-above"], ["--dry-run", "--move-above"]])
@pytest.mark.parametrize("has_hard_links", [True, False])
def test_a_place_that_is_where_the_file_is_already(option: list[str], has_hard_links: bool, inbox: Path) -> None:
    """A link in the target folder leads back: to move the file there would be to lose it."""
    (inbox / "out").mkdir()
    (inbox / "out" / "inbox").symlink_to("../inbox")
    if has_hard_links:
        os.link(inbox / "inbox" / "high.jpg", inbox / "elsewhere.jpg")
        os.link(inbox / "inbox" / "high.jpg", inbox / "inbox" / "high-2.jpg")
    before = files(inbox)
    done = run(inbox, "inbox", *option, "0.8", "out")
    assert files(inbox) == before
    names = ["deep/high", *(["high-2"] if has_hard_links else []), "high"]
    expected = [f"classify_nsfw: inbox/{name}.jpg: score S; is in out, so it stays where it is" for name in names]
    assert (done.status, [re.sub(r"0\.\d+;", "S;", line) for line in done.errors]) == (0, expected)
    assert f", 0 files {'would be ' * (len(option) - 1)}" in done.err


def test_hard_links_are_files_of_their_own(inbox: Path) -> None:
    """One of them is in the target folder already, as after a kill in the middle of a move."""
    (inbox / "out" / "inbox").mkdir(parents=True)
    os.link(inbox / "inbox" / "high.jpg", inbox / "out" / "inbox" / "high.jpg")
    done = run(inbox, "inbox/high.jpg", "--move-above", "0.8", "out")
    assert done.status == 0
    assert "moved inbox/high.jpg to out/inbox/high.jpg (score 0.900" in done.err
    assert files(inbox) == ["inbox/deep/high.jpg", "inbox/low.jpg", "out/inbox/high.jpg"]


@pytest.mark.parametrize("option", ["--move-above", "--copy-above"])
def test_what_can_be_read_only_once_stays(option: str, inbox: Path) -> None:
    """Standard input by a link, and a named pipe, which nobody writes to a second time."""
    os.mkfifo(inbox / "pipe")
    (inbox / "link").symlink_to("/proc/self/fd/0" if os.path.exists("/proc/self/fd/0") else "/dev/stdin")
    data = (inbox / "inbox" / "high.jpg").read_bytes()
    writer = threading.Thread(target=(inbox / "pipe").write_bytes, args=(data,), daemon=True)
    writer.start()
    line = ["--engine", "onnxruntime", "link", "pipe", "--format", "csv", option, "0.8", "out"]
    done = run_command(*line, cwd=inbox, stdin=data)
    writer.join(SECONDS)
    expected = [
        f"classify_nsfw: {name}: score S; not a file of its own, so it stays where it is" for name in ("link", "pipe")
    ]
    assert (done.status, [re.sub(r"0\.\d+;", "S;", each) for each in done.errors]) == (0, expected)
    assert done.counts == (2, 0)
    assert sorted(os.listdir(inbox)) == ["inbox", "link", "pipe"]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_finished_move_that_is_run_again_is_still_a_success(form: str, inbox: Path) -> None:
    """The folder is empty then, and the rows say why."""
    (inbox / "inbox" / "low.jpg").unlink()
    line = ["inbox", "--move-above", "0.8", "out", "--format", form, "--output", "rows", "--resume"]
    for _ in range(3):
        done = run(inbox, *line)
        assert (done.status, done.counts) == (0, (2, 0)), done.err
        assert "2 files moved by --move-above 0.8" in done.err and "passed over" not in done.err
        assert [row.path for row in read_rows(str(inbox / "rows"), form)] == ["inbox/deep/high.jpg", "inbox/high.jpg"]
    done = run(inbox, "inbox", "--move-above", "0.8", "out")
    assert (done.status, done.errors) == (1, ["classify_nsfw: inbox: there is no picture in it"])


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_folder_is_told_before_anything_is_scored(make: object, inbox: Path) -> None:
    make(inbox / "out")  # type: ignore[operator]
    done = run(inbox, "inbox", "--move-above", "0.8", "out")
    expected = "classify_nsfw: error: out: is no folder, so no files can be brought there\n"
    assert (done.status, done.err, done.out) == (2, expected, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dry-run",), "--dry-run needs --move-above or --copy-above"),
        (("--move-above", "2", "out"), "--move-above: a score from 0 to 1 is needed, not '2'"),
        (("--copy-above", "x", "out"), "--copy-above: a score from 0 to 1 is needed, not 'x'"),
        (("--copy-above", "0.8", ""), "--copy-above: the name of a folder is needed, not ''"),
    ],
)
def test_verdicts_that_make_no_sense(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """One line and exit status 2."""
    done = run(tmp_path, PICTURE, *arguments)
    assert (done.status, done.err) == (2, f"classify_nsfw: error: {message}\n")
