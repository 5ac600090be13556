"""Names of the command's own open files: in the process that decodes, the same names are other files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.tools.archive_samples import make_tar, make_zip
from tests.tools.helpers import OTHER_PICTURE, PICTURE, ROOT, SCRIPT, SECONDS, small_net, terminal_output, write_model

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/fd/0"), reason="this system has no /dev/fd")


def command(folder: Path, *arguments: object) -> list[str]:
    model = write_model(folder, small_net())
    options = ["--engine", "onnxruntime", *model, "--format", "jsonl", "--hash", "--quiet"]
    return [sys.executable, str(SCRIPT), *options, *map(str, arguments)]


def scan(
    folder: Path, *arguments: object, stdin: BinaryIO | int, others: tuple[int, ...] = ()
) -> list[dict[str, object]]:
    line = command(folder, *arguments)
    done = subprocess.run(line, stdin=stdin, capture_output=True, timeout=SECONDS, check=False, pass_fds=others)
    assert done.returncode == 0, done.stderr
    return [json.loads(row) for row in done.stdout.splitlines()]


@pytest.fixture(name="names")
def _names(tmp_path: Path) -> list[str]:
    """All kinds of names of the command's standard input."""
    (tmp_path / "link.jpg").symlink_to("/dev/stdin")
    (tmp_path / "second.jpg").symlink_to("link.jpg")
    (tmp_path / "folder").symlink_to("/proc/self/fd")
    names = ["/dev/stdin", "/dev/fd/0", str(tmp_path / "link.jpg"), str(tmp_path / "second.jpg")]
    return names + (["/proc/self/fd/0", str(tmp_path / "folder" / "0")] if os.path.exists("/proc/self/fd/0") else [])


def test_a_file_by_redirection(names: list[str], tmp_path: Path) -> None:
    """Under each name from its beginning, alone and together."""
    size = PICTURE.stat().st_size
    for arguments in (names, *([name] for name in names)):
        with PICTURE.open("rb") as file:
            rows = scan(tmp_path, *arguments, stdin=file)
        assert [(row["path"], row["bytes"], row["format"]) for row in rows] == [
            (each, size, "JPEG") for each in arguments
        ]
        assert len({row["sha256"] for row in rows}) == 1


def test_a_pipe(names: list[str], tmp_path: Path) -> None:
    for name in names:
        with subprocess.Popen(["cat", PICTURE], stdout=subprocess.PIPE) as source:
            assert source.stdout is not None
            (row,) = scan(tmp_path, name, stdin=source.stdout.fileno())
        assert (row["path"], row["bytes"], row["error"]) == (name, PICTURE.stat().st_size, None)


def test_other_descriptors(tmp_path: Path) -> None:
    """As a shell's `3<file` and `<(command)` make them."""
    with OTHER_PICTURE.open("rb") as file, subprocess.Popen(["cat", PICTURE], stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        others = (file.fileno(), source.stdout.fileno())
        rows = scan(tmp_path, *(f"/dev/fd/{number}" for number in others), stdin=subprocess.DEVNULL, others=others)
    assert [row["format"] for row in rows] == ["PNG", "JPEG"]


def test_an_archive(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(make_zip([("a", PICTURE.read_bytes()), ("b", OTHER_PICTURE.read_bytes())]))
    for name in (names[0], names[1]):
        with (tmp_path / "x.zip").open("rb") as file:
            rows = scan(tmp_path, name, stdin=file)
        assert [(row["path"], row["member"], row["format"]) for row in rows] == [
            (name, "a", "JPEG"),
            (name, "b", "PNG"),
        ]


def test_an_archive_through_a_pipe(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(
        make_tar([("a", PICTURE.read_bytes()), ("b", OTHER_PICTURE.read_bytes())], "w:gz")
    )
    for name in ("-", *names):
        with subprocess.Popen(["cat", tmp_path / "x.tar.gz"], stdout=subprocess.PIPE) as source:
            assert source.stdout is not None
            found = scan(tmp_path, name, stdin=source.stdout.fileno())
        assert [(row["path"], row["member"], row["format"]) for row in found] == [
            (name, "a", "JPEG"),
            (name, "b", "PNG"),
        ]


def test_a_link_to_it_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").symlink_to("/dev/stdin")
    shutil.copy(OTHER_PICTURE, tmp_path / "in" / "b.png")
    with PICTURE.open("rb") as file:
        rows = scan(tmp_path, tmp_path / "in", stdin=file)
    assert [row["format"] for row in rows] == ["JPEG", "PNG"]


def test_a_list(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{PICTURE}\n{OTHER_PICTURE}\n")
    with (tmp_path / "list").open("rb") as file:
        rows = scan(tmp_path, "--from-list", "/dev/stdin", stdin=file)
    assert [row["path"] for row in rows] == [str(PICTURE), str(OTHER_PICTURE)]


def test_a_pipe_that_a_pattern_finds(tmp_path: Path) -> None:
    """It is passed over, as in a folder, also by a pattern in a list and while the bar's thread counts what will come."""
    (tmp_path / "in").mkdir()
    shutil.copy(OTHER_PICTURE, tmp_path / "in" / "a.png")
    os.mkfifo(tmp_path / "in" / "pipe")
    (tmp_path / "list").write_text("in/*\n")
    line = command(tmp_path, "--jobs", "1")
    line.remove("--quiet")
    for arguments in (["in/*"], ["--from-list", "list"]):
        done = subprocess.run(
            [*line, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert [json.loads(row)["path"] for row in done.stdout.splitlines()] == ["in/a.png"]
        assert (done.returncode, done.stderr.endswith("; 1 other files passed over\n")) == (0, True), done.stderr
    terminal = terminal_output(["timeout", str(SECONDS), *line, str(tmp_path / "in" / "*")])
    assert "1 other files passed over" in terminal


def test_pipes_are_not_opened_to_count_what_will_come(tmp_path: Path) -> None:
    """By a pattern or by name: what is read for the count is lost for the score."""
    os.mkfifo(tmp_path / "pipe")
    shutil.copy(OTHER_PICTURE, tmp_path / "a.png")
    code = "import sys; from open_nsfw.scan.run import count_ahead; print(count_ahead(sys.argv[1:]))"
    for argument, expected in (("*", "1"), ("pipe", "None"), (".", "1")):
        line = [sys.executable, "-c", code, argument]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, timeout=SECONDS, check=True)
        assert done.stdout.decode().strip() == expected
