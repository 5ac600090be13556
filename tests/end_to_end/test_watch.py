"""`--watch DIR`: real processes, a real folder, and what people and programs do in one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from open_nsfw.rows.reader import read_rows
from tests.tools.helpers import (
    DATA,
    PICTURE,
    SCRIPT,
    SECONDS,
    plant_module,
    run_command,
    small_net,
    wait_until,
    write_model,
)

pytest.importorskip("watchfiles", reason="watchfiles is not installed in this interpreter")

OTHER = DATA / "pushed" / "0.900-hubble_deep_field.jpg"


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A net that takes no time."""
    return write_model(tmp_path_factory.mktemp("model"), small_net())


class Watch:
    """The command, watching the folder `in`; started in the folder above it."""

    def __init__(self, top: Path, model: list[str], *arguments: str, form: str = "jsonl", under: tuple[str, ...] = ()):
        self.top, self.file = top, top / "rows"
        options = ["--engine", "onnxruntime", *model, "--settle", "0.5", "--format", form, "--output", "rows"]
        line = [*under, sys.executable, str(SCRIPT), "--watch", "in", *options, *arguments]
        self.process = subprocess.Popen(line, cwd=top, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.form = form

    def rows(self) -> list[dict[str, Any]]:
        """Those that are there now."""
        path = self.file if self.form == "jsonl" else Path(f"{self.file}.journal")
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def names(self) -> Counter[str]:
        """The paths that have rows, without the folder's, and how many."""
        return Counter(os.path.relpath(row["path"], "in") for row in self.rows())

    def wait(self, *names: str) -> None:
        """Until these files have rows."""
        wait_until(lambda: self.process.poll() is not None or set(names) <= set(self.names()))
        assert self.process.poll() is None, self.process.communicate()
        assert set(names) <= set(self.names())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ends it; the exit status and stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, err


Start = Callable[..., Watch]


@pytest.fixture(name="start")
def _start(tmp_path: Path, model: list[str]) -> Iterator[Start]:
    """Begins to watch; whatever a test leaves is ended."""
    (tmp_path / "in").mkdir()
    running: list[Watch] = []

    def start(*arguments: str, **options: Any) -> Watch:
        running.append(Watch(tmp_path, model, *arguments, **options))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.communicate()


@pytest.fixture(name="inbox")
def _inbox(tmp_path: Path, start: Start) -> Path:
    """The folder, which the other fixture made."""
    return tmp_path / "in"


def picture(path: Path, colour: str = "teal") -> Path:
    Image.new("RGB", (8, 8), colour).save(path)
    return path


def test_what_is_there_and_what_arrives(start: Start, inbox: Path, tmp_path: Path) -> None:
    """Files, folders that are made and filled, and folders that are moved in, each once; what is no picture has no row."""
    picture(inbox / "there.png")
    watch = start()
    watch.wait("there.png")
    picture(inbox / "new.png")
    (inbox / "text.txt").write_text("no picture")
    (inbox / "deep" / "er").mkdir(parents=True)
    shutil.copy(PICTURE, inbox / "deep" / "er" / "photo.jpg")
    (tmp_path / "elsewhere" / "sub").mkdir(parents=True)
    picture(tmp_path / "elsewhere" / "sub" / "came.png")
    os.rename(tmp_path / "elsewhere", inbox / "moved")
    watch.wait("new.png", "deep/er/photo.jpg", "moved/sub/came.png")
    picture(inbox / "moved" / "sub" / "later.png")
    (inbox / "missing.jpg").write_bytes(b"")
    watch.wait("moved/sub/later.png", "missing.jpg")
    status, err = watch.end()
    assert status == 128 + signal.SIGTERM
    assert set(watch.names().values()) == {1} and len(watch.names()) == 6
    assert "missing.jpg: the file is empty\n" in err
    assert "5 scored" in err and "1 failed" in err and "1 other files passed over" in err


def test_ctrl_c_ends_it_too_and_soon(start: Start, inbox: Path) -> None:
    picture(inbox / "a.png")
    watch = start()
    watch.wait("a.png")
    begin = time.monotonic()
    assert watch.end(signal.SIGINT)[0] == 128 + signal.SIGINT
    assert time.monotonic() - begin < 20


def test_resume_leaves_what_the_file_has(start: Start, inbox: Path) -> None:
    picture(inbox / "a.png")
    first = start()
    first.wait("a.png")
    first.end()
    picture(inbox / "b.png", "navy")
    second = start("--resume")
    second.wait("b.png")
    picture(inbox / "c.png", "red")
    second.wait("c.png")
    status, err = second.end()
    assert status == 143 and "3 scored" in err and "1 of them by earlier runs" in err
    assert second.names() == {"a.png": 1, "b.png": 1, "c.png": 1}


def test_a_file_that_grows_is_waited_for(start: Start, inbox: Path) -> None:
    """It has one row, that of the whole picture."""
    watch = start("--settle", "2")
    picture(inbox / "first.png")
    watch.wait("first.png")
    data = PICTURE.read_bytes()
    with (inbox / "growing.jpg").open("wb", buffering=0) as file:
        for piece in range(16):
            file.write(data[piece * len(data) // 16 : (piece + 1) * len(data) // 16])
            time.sleep(0.2)
            assert "growing.jpg" not in watch.names()
    watch.wait("growing.jpg")
    (row,) = [row for row in watch.rows() if row["path"] == "in/growing.jpg"]
    assert row["error"] is None and row["bytes"] == len(data)


def test_a_file_that_is_written_at_the_start_is_waited_for(start: Start, inbox: Path) -> None:
    data = PICTURE.read_bytes()
    (inbox / "half.jpg").write_bytes(data[:2000])
    with (inbox / "half.jpg").open("ab", buffering=0) as file:
        watch = start("--settle", "3")
        time.sleep(2)
        file.write(data[2000:])
    watch.wait("half.jpg")
    assert [row["error"] for row in watch.rows()] == [None]


def test_moves_are_not_scored_again(start: Start, inbox: Path) -> None:
    """The new name has a row with the same score, known by its content."""
    shutil.copy(PICTURE, inbox / "a.jpg")
    watch = start()
    watch.wait("a.jpg")
    os.rename(inbox / "a.jpg", inbox / "b.jpg")
    (inbox / "folder").mkdir()
    watch.wait("b.jpg")
    os.rename(inbox / "b.jpg", inbox / "folder" / "c.jpg")
    watch.wait("folder/c.jpg")
    os.rename(inbox / "folder", inbox / "renamed")
    watch.wait("renamed/c.jpg")
    _, err = watch.end()
    assert len({row["score"] for row in watch.rows()}) == 1
    assert set(watch.names().values()) == {1}
    assert "; 3 known by content; " in err


def test_a_folder_with_a_temporary_name_is_looked_through(start: Start, inbox: Path, tmp_path: Path) -> None:
    """Only files have such names while they are written."""
    for folder in (inbox / "start.tmp", tmp_path / "album.part"):
        folder.mkdir()
        shutil.copy(PICTURE, folder / "a.jpg")
    watch = start()
    watch.wait("start.tmp/a.jpg")
    os.rename(tmp_path / "album.part", inbox / "album.part")
    watch.wait("album.part/a.jpg")
    watch.end()


def test_a_file_that_is_moved_before_it_stood_still_has_one_row(start: Start, inbox: Path) -> None:
    """As programs do it that write under another name first."""
    watch = start()
    picture(inbox / "a.png")
    watch.wait("a.png")
    picture(inbox / "b.png")
    os.rename(inbox / "b.png", inbox / "c.png")
    watch.wait("c.png")
    watch.end()
    assert watch.names() == {"a.png": 1, "c.png": 1}


def test_a_file_that_is_replaced_is_scored_again(start: Start, inbox: Path, tmp_path: Path) -> None:
    shutil.copy(PICTURE, inbox / "a.jpg")
    watch = start()
    watch.wait("a.jpg")
    shutil.copy(OTHER, tmp_path / "other.jpg")
    os.replace(tmp_path / "other.jpg", inbox / "a.jpg")
    wait_until(lambda: watch.names()["a.jpg"] == 2)
    shutil.copy(DATA / "pushed" / "0.990-coffee.jpg", inbox / "a.jpg")  # written in place
    wait_until(lambda: watch.names()["a.jpg"] == 3)
    watch.end()
    assert len({row["bytes"] for row in watch.rows()}) == 3


def test_hidden_and_temporary_files_and_what_the_run_writes_are_left_alone(start: Start, inbox: Path) -> None:
    """Until they get their own name."""
    watch = start("--output", "in/rows.jsonl", "--cache", "in/cache")
    watch.file = inbox / "rows.jsonl"
    for name in (".hidden.png", "a.png.part", "b.crdownload", "c.tmp"):
        shutil.copy(PICTURE, inbox / name)
    (inbox / ".folder").mkdir()
    picture(inbox / ".folder" / "d.png")
    picture(inbox / "seen.png")
    watch.wait("seen.png")
    os.rename(inbox / "a.png.part", inbox / "a.png")
    watch.wait("a.png")
    status, err = watch.end()
    assert status == 143 and watch.names() == {"seen.png": 1, "a.png": 1}
    assert "2 scored" in err and "0 failed" in err


def test_hidden_files_where_they_are_wanted(start: Start, inbox: Path) -> None:
    watch = start("--hidden")
    picture(inbox / ".hidden.png")
    watch.wait(".hidden.png")


def test_files_are_sorted_as_they_come(start: Start, inbox: Path, tmp_path: Path) -> None:
    """What was brought into a folder inside the watched one is not scored there."""
    watch = start("--move-above", "0", "in/out")
    picture(inbox / "a.png")
    wait_until((inbox / "out" / "in" / "a.png").exists)
    picture(inbox / "b.png", "navy")
    wait_until((inbox / "out" / "in" / "b.png").exists)
    time.sleep(2)
    status, err = watch.end()
    assert watch.names() == {"a.png": 1, "b.png": 1}
    assert "2 files moved by --move-above 0" in err
    assert not (inbox / "a.png").exists()


def test_links_to_files_and_folders(start: Start, inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    picture(tmp_path / "there" / "a.png")
    os.symlink(tmp_path / "there", inbox / "linked")
    watch = start()
    watch.wait("linked/a.png")
    os.symlink(tmp_path / "there" / "a.png", inbox / "link.png")
    picture(tmp_path / "there" / "b.png")
    os.symlink("nowhere", inbox / "broken.png")
    watch.wait("link.png", "linked/b.png")
    assert watch.end()[0] == 143
    assert set(watch.names().values()) == {1}


def test_a_name_that_is_not_utf_8_does_not_end_it(start: Start, inbox: Path) -> None:
    """The library that tells of changes cannot say such a name; the folder is walked for it, and nothing else is lost."""
    watch = start()
    picture(inbox / "first.png")
    watch.wait("first.png")
    (inbox / "filled").mkdir()
    shutil.copy(PICTURE, inbox / "filled" / "a.jpg")
    (inbox / os.fsdecode(b"caf\xe9.jpg")).write_bytes(OTHER.read_bytes())
    os.rename(inbox / "filled", inbox / "moved")
    watch.wait(os.fsdecode(b"caf\xe9.jpg"), "moved/a.jpg")
    picture(inbox / "after.png")
    watch.wait("after.png")
    assert watch.end()[0] == 143
    assert set(watch.names().values()) == {1}


@pytest.mark.once
def test_a_burst_of_ten_thousand_files(start: Start, inbox: Path, tmp_path: Path) -> None:
    """Each has one row."""
    watch = start()
    picture(inbox / "first.png")
    watch.wait("first.png")
    sources = [picture(tmp_path / f"{number}.png", f"#{number:06x}") for number in range(50)]
    for number in range(10_000):
        os.link(sources[number % 50], inbox / f"{number}.png")
    wait_until(lambda: len(watch.names()) == 10_001)
    time.sleep(3)
    status, err = watch.end()
    assert status == 143 and "10,001 scored" in err
    assert set(watch.names().values()) == {1}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_folder_goes(start: Start, inbox: Path, tmp_path: Path, form: str) -> None:
    """The rows are written to their end, and one line says why."""
    picture(inbox / "a.png")
    watch = start(form=form)
    watch.wait("a.png")
    os.rename(inbox, tmp_path / "away")
    _, err = watch.process.communicate(timeout=SECONDS)
    assert watch.process.returncode == 2
    line = "classify_nsfw: error: in: the folder that was watched is gone; what had come is scored"
    assert err.splitlines()[-1] == line
    assert [row.path for row in read_rows(str(watch.file), form)] == ["in/a.png"]


def test_a_parquet_file_is_whole_after_sigterm(start: Start, inbox: Path) -> None:
    picture(inbox / "a.png")
    watch = start(form="parquet")
    watch.wait("a.png")
    assert watch.end()[0] == 143
    assert [row.path for row in read_rows(str(watch.file), "parquet")] == ["in/a.png"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to be less")
def test_what_may_not_be_read_has_a_row_and_has_its_score_when_it_may(start: Start, inbox: Path) -> None:
    picture(inbox / "a.png").chmod(0)
    os.rename(picture(inbox / "c.png"), inbox / "3f9a")
    (inbox / "3f9a").chmod(0)
    (inbox / "closed").mkdir(0o000)
    watch = start(under=("setpriv", "--inh-caps=-all", "--bounding-set=-all"))
    picture(inbox / "b.png")
    watch.wait("a.png", "3f9a", "closed", "b.png")
    (inbox / "a.png").chmod(0o644)
    (inbox / "3f9a").chmod(0o644)
    wait_until(lambda: watch.names()["a.png"] == watch.names()["3f9a"] == 2)
    watch.end()
    errors = {row["path"]: (row["error"] or "").partition(":")[0] for row in watch.rows()}
    assert errors == {"in/a.png": "", "in/3f9a": "", "in/closed": "unreadable", "in/b.png": ""}


def _namespace(limit: str, value: int) -> tuple[str, ...]:
    """A command that runs another one where the system lets a user watch little."""
    return ("unshare", "-Ur", "sh", "-c", f'echo {value} > /proc/sys/user/{limit} && exec "$@"', "sh")


_CAN_LIMIT = (
    shutil.which("unshare") is not None
    and subprocess.run([*_namespace("max_inotify_watches", 9), "true"], capture_output=True, check=False).returncode
    == 0
)


@pytest.mark.skipif(not _CAN_LIMIT, reason="no user namespaces here, whose limits of inotify could be set")
@pytest.mark.parametrize(
    ("limit", "value", "remedy"),
    [
        (
            *("max_inotify_watches", 3),
            "it has more folders than this system lets a user watch: sudo sysctl fs.inotify.max_user_watches=1048576",
        ),
        (
            *("max_inotify_instances", 0),
            "more programs watch folders than this system lets a user run: "
            "sudo sysctl fs.inotify.max_user_instances=1024",
        ),
    ],
)
def test_limits_of_the_system_are_told_with_the_remedy(
    start: Start, inbox: Path, limit: str, value: int, remedy: str
) -> None:
    for number in range(5):
        (inbox / str(number)).mkdir()
    watch = start(under=_namespace(limit, value))
    _, err = watch.process.communicate(timeout=SECONDS)
    assert (watch.process.returncode, err) == (2, f"classify_nsfw: error: --watch in: {remedy}\n")
    assert not watch.file.exists()


@pytest.mark.skipif(not _CAN_LIMIT, reason="no user namespaces here, whose limits of inotify could be set")
def test_a_limit_that_is_reached_later_ends_it(start: Start, inbox: Path) -> None:
    watch = start(under=_namespace("max_inotify_watches", 3))
    picture(inbox / "a.png")
    watch.wait("a.png")
    for number in range(5):
        (inbox / str(number)).mkdir()
    _, err = watch.process.communicate(timeout=SECONDS)
    assert watch.process.returncode == 2
    assert err.splitlines()[-1].startswith("classify_nsfw: error: --watch in: it has more folders than")
    assert watch.names() == {"a.png": 1}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--watch", "in", "x.jpg"], "--watch and INPUT cannot be combined: what is scored are the pictures in DIR"),
        (
            ["--watch", "in", "--from-list", "x"],
            "--watch and --from-list cannot be combined: what is scored are the pictures in DIR",
        ),
        (["--settle", "1", "x.jpg"], "--settle needs --watch DIR"),
        (["--watch", "in", "--settle", "0"], "--settle: a number above 0 is needed, not '0'"),
        (["--watch", "nowhere"], "--watch nowhere: No such file or directory"),
        (["--watch", "file"], "--watch file: is no folder"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path: Path, arguments: list[str], reason: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "file").touch()
    done = run_command(*arguments, cwd=tmp_path)
    assert (done.status, done.err) == (2, f"classify_nsfw: error: {reason}\n")


def test_without_watchfiles_a_line_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    env = plant_module(tmp_path / "planted", "watchfiles", "raise ImportError")
    done = run_command("--watch", "in", cwd=tmp_path, env=env)
    assert done.status == 2
    assert done.err.startswith("classify_nsfw: error: --watch needs watchfiles: ")
    assert done.err.endswith(" install 'watchfiles>=0.24'\n")
