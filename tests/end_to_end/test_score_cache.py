"""`classify_nsfw --cache FILE` as a user has it: rows as without it, whatever is scored, whoever shares the file, and
whatever becomes of the processes and of the disk."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tools.archive_samples import make_tar, make_zip
from tests.tools.helpers import (
    DATA,
    OTHER_PICTURE,
    PICTURE,
    SCRIPT,
    SECONDS,
    examples,
    run_command,
    small_net,
    write_model,
)

PICTURES = DATA / "pictures"
WAYS = {
    "exact": ("--frames", "all", "--hash"),
    "first frames": ("--max-pixels", "5000"),
    "views": ("--views", "tiles", "--upright"),
    "explained": ("--explain", "--frames", "all"),
    "fast": ("--fast", "--frames", "max=2"),
    "stricter": ("--fast", "--thresholds", "0.05,0.5"),
}


def make_inputs(folder: Path) -> list[str]:
    """Pictures, an animation, pages, damage, text, copies, archives, a film where its library is there."""
    inside = folder / "in"
    inside.mkdir()
    for name in ("animated.gif", "multi-page.tif", "baseline.jpg", "alpha.webp"):
        shutil.copy(PICTURES / name, inside)
    shutil.copy(PICTURES / "baseline.jpg", inside / "copy.jpg")
    (inside / "damaged.jpg").write_bytes(PICTURE.read_bytes()[:3000])
    (inside / "text.jpg").write_text("Nothing to see here.")
    members = [("copy.jpg", (PICTURES / "baseline.jpg").read_bytes()), ("other.png", OTHER_PICTURE.read_bytes())]
    (folder / "x.zip").write_bytes(make_zip(members))
    (folder / "x.tar").write_bytes(make_tar(members))
    if importlib.util.find_spec("av"):
        from tests.tools.films import film

        (folder / "clip.mkv").write_bytes(film())
        shutil.copy(folder / "clip.mkv", inside)
    return ["in", "x.zip", "x.tar", *(["clip.mkv"] if (folder / "clip.mkv").exists() else []), "missing.jpg"]


@pytest.mark.once
def test_rows_are_those_of_a_run_without_a_cache(tmp_path: Path) -> None:
    """In each way to score, at the first run that fills the cache and at the second, which scores nothing; all ways share
    one file, in which none finds what another has put there."""
    inputs = make_inputs(tmp_path)
    for name, options in WAYS.items():
        arguments = [*inputs, *options, "--format", "jsonl"]
        fresh = run_command(*arguments, cwd=tmp_path)
        first, second = (run_command(*arguments, "--cache", "cache", cwd=tmp_path) for _ in range(2))
        assert fresh.status == 1 and len(fresh.out.splitlines()) >= 10
        for result in (first, second):
            assert (result.out, result.status) == (fresh.out, 1), name
            assert result.err.splitlines()[:-1] == fresh.err.splitlines()[:-1]
        contents, files = (8, 13) if "clip.mkv" in inputs else (7, 11)
        assert f"; {files - contents} known by content; " in first.err
        assert f"; {files} known by content; " in second.err


@pytest.mark.parametrize("form", ["text", "csv", "parquet"])
def test_in_other_formats(form: str, tmp_path: Path) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed here")
    left = []
    for options in ([], ["--cache", "cache"], ["--cache", "cache"]):
        output = ["--output", "rows", "--overwrite"] if form == "parquet" else []
        result = run_command(
            str(PICTURES / "animated.gif"), *("--frames", "all", "--format", form), *output, *options, cwd=tmp_path
        )
        left.append((tmp_path / "rows").read_bytes() if output else result.out.encode())
    assert left[0] and left[0] == left[1] == left[2]


def test_one_picture_and_standard_input(tmp_path: Path) -> None:
    """The same content by whatever way it comes; the score alone is printed, as ever."""
    outputs = {
        run_command(*arguments, "--cache", "cache", cwd=tmp_path, stdin=stdin).out
        for arguments, stdin in (
            ([str(PICTURE)], b""),
            (["-"], PICTURE.read_bytes()),
            (["/dev/stdin"], PICTURE.read_bytes()),
        )
    }
    assert outputs == {run_command(str(PICTURE)).out}


@pytest.mark.once
def test_two_commands_at_once(tmp_path: Path) -> None:
    """Both begin with a file that is not there, and neither costs the other a row."""
    line = [sys.executable, str(SCRIPT), str(PICTURES), "--frames", "all", "--format", "jsonl", "--cache", "cache"]
    fresh = run_command(str(PICTURES), "--frames", "all", "--format", "jsonl", cwd=tmp_path)
    processes = [
        subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, out, len(err.splitlines())) == (0, fresh.out, 1), err
    again = run_command(str(PICTURES), "--frames", "all", "--format", "jsonl", "--cache", "cache", cwd=tmp_path)
    assert again.out == fresh.out and "known by content" in again.err


@pytest.mark.once
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """The next command goes on with the file that the last one left."""
    chance = random.Random(1)
    line = [sys.executable, str(SCRIPT), str(PICTURES), "--format", "jsonl", "--cache", "cache", "--quiet"]
    for _ in range(examples(6)):
        with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            for _ in range(chance.randrange(12)):
                process.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            assert process.stderr.read() == b""
    fresh = run_command(str(PICTURES), "--format", "jsonl", cwd=tmp_path)
    result = run_command(str(PICTURES), "--format", "jsonl", "--cache", "cache", cwd=tmp_path)
    assert (result.status, result.out, result.errors) == (0, fresh.out, [])
    assert "known by content" in result.err


def test_what_is_no_cache_is_refused_in_one_line(tmp_path: Path) -> None:
    """Before anything is scored or written."""
    photo = tmp_path / "photo.jpg"
    shutil.copy(PICTURE, photo)
    result = run_command(str(PICTURE), "--cache", "photo.jpg", "--format", "jsonl", "--output", "rows", cwd=tmp_path)
    message = "is no cache of scores; it was left as it is, name another file in --cache"
    assert (result.status, result.out, result.err) == (2, "", f"classify_nsfw: error: photo.jpg: {message}\n")
    assert photo.read_bytes() == PICTURE.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max-cache", "1GB"), "--max-cache needs --cache FILE"),
        (("--cache", "x", "--max-cache", "5kB"), "--max-cache: a cache needs at least 1MiB, not '5kB'"),
        (("--cache", ""), "--cache: the name of a file is needed, not ''"),
        (("--cache", "x", "--output", "x", "--format", "csv"), "--cache and --output name the same file: x"),
        (("--cache", "none/x"), "none/x: the cache of scores cannot be opened: No such file or directory"),
    ],
)
def test_command_lines_at_fault(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = run_command(str(PICTURE), *options, cwd=tmp_path)
    assert (result.status, result.out, result.err) == (2, "", f"classify_nsfw: error: {message}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("most", [0, 20_000, 100_000])
def test_a_full_disk_costs_no_row(most: int, tmp_path: Path) -> None:
    """Wherever it becomes full: with the first byte, while the file is made, while it is filled. One line says so."""
    if shutil.which("prlimit") is None:
        pytest.skip("there is no prlimit here to keep files small with")
    model = write_model(tmp_path, small_net())
    arguments = [str(PICTURES), "--frames", "all", "--format", "jsonl", "--engine", "onnxruntime", *model]
    fresh = run_command(*arguments)
    under = ["prlimit", f"--fsize={most}"]
    result = run_command(*arguments, "--cache", str(tmp_path / "cache"), under=under)
    (line,) = set(result.errors) - set(fresh.errors)
    assert line.startswith(f"classify_nsfw: {tmp_path / 'cache'}: the cache of scores cannot be "), line
    assert line.endswith("; the run goes on without it")
    assert (result.status, result.out) == (fresh.status, fresh.out)


def test_a_quick_score_never_answers_for_an_exact_one(tmp_path: Path) -> None:
    """Nor an exact one for a quick one: the rows say which they are."""
    for options, exact in (((), True), (("--fast",), False), ((), True), (("--fast",), False)):
        result = run_command(
            str(PICTURES / "grey.jpg"), "--format", "jsonl", "--cache", "cache", *options, cwd=tmp_path
        )
        row = json.loads(result.out)
        assert row["exact"] is exact
