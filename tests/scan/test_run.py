"""Whole runs of the command: order, frames, videos, interruptions, resuming, what is done about a score, the bar."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.tools.helpers import DATA, PICTURE, ROOT, SUMMARY, interrupted, terminal_output, wait_until

PUSHED = DATA / "pushed"
PICTURES = DATA / "pictures"
SECONDS = 120


def command(*arguments: object) -> list[str]:
    """The command with ONNX Runtime."""
    return [sys.executable, str(ROOT / "classify_nsfw.py"), "--engine", "onnxruntime", *map(str, arguments)]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """A run of the command to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=SECONDS, check=False, **options)


def rows(*arguments: object) -> list[dict[str, Any]]:
    """The rows of a run as objects."""
    done = run("--format", "jsonl", *arguments)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(name="many")
def _many(tmp_path: Path) -> Path:
    """A folder of 120 pictures."""
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(120):
        shutil.copy(PICTURE, folder / f"{index:03d}.jpg")
    return folder


# ------------------------------------------------------------------------------------------------------------- frames


def test_frames_of_an_animation_and_its_summary() -> None:
    """All frames in order with their times, then the summary with the highest score."""
    *frames, summary = rows(PICTURES / "animated.gif", "--frames", "all")
    assert [(row["kind"], row["frame"], row["seconds"]) for row in frames] == [
        ("frame", 0, 0.0),
        ("frame", 1, 0.1),
        ("frame", 2, 0.2),
    ]
    scores = [row["score"] for row in frames]
    assert summary["kind"] == "summary"
    assert summary["score"] == summary["max"] == max(scores)
    assert summary["mean"] == pytest.approx(sum(scores) / 3)
    assert (summary["frames"], summary["above"]) == (3, 0)


@pytest.mark.parametrize("name", ["animated.gif", "animated.webp", "animated.png", "multi-page.tif"])
@pytest.mark.parametrize(
    ("choice", "indices"),
    [("all", [0, 1, 2]), ("every=2", [0, 2]), ("max=2", [0, 2]), ("max=9", [0, 1, 2]), ("max=1", [0])],
)
def test_which_frames(name: str, choice: str, indices: list[int]) -> None:
    """Each choice on each kind of file with several pictures."""
    assert [row["frame"] for row in rows(PICTURES / name, "--frames", choice)[:-1]] == indices


def test_the_first_frame_is_a_plain_picture() -> None:
    """As Yahoo's script has it, and the default."""
    (row,) = rows(PICTURES / "animated.gif")
    assert (row["kind"], row["frame"]) == ("picture", None)


def test_more_frames_than_the_limit() -> None:
    """The frames within the limit count; the rest is an error of the next frame."""
    found = rows(PICTURES / "animated.gif", "--frames", "all", "--max-frames", "2")
    assert [row["error"] for row in found] == [
        None,
        None,
        "too-many-frames: more than the limit of 2 frames (--max-frames)",
        None,
    ]
    assert found[-1]["frames"] == 2


@pytest.mark.parametrize("choice", ["some", "every=0", "max=-1", "max=", "every"])
def test_a_choice_that_is_none(choice: str) -> None:
    """One line and exit status 2."""
    done = run(PICTURE, "--frames", choice)
    needed = "first, all, every=N or max=N is needed, N a whole number above 0 of at most 18 digits"
    assert (done.returncode, done.stderr) == (2, f'classify_nsfw: error: --frames "{choice}": {needed}\n')


# ------------------------------------------------------------------------------------------------------------- videos


def make_video(path: Path, times: list[float]) -> None:
    """A small film with a frame at each of `times`, in seconds."""
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'av>=14.1'")
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, seconds in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index * 5 % 256, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_a_video_by_seconds_with_its_last_frame(tmp_path: Path) -> None:
    """One frame a second, and the last one, which no whole second falls on."""
    make_video(tmp_path / "film.mkv", [index / 10 for index in range(27)])
    *frames, summary = rows(tmp_path / "film.mkv")
    assert [(row["frame"], row["seconds"]) for row in frames] == [(0, 0.0), (10, 1.0), (20, 2.0), (26, 2.6)]
    assert summary["frames"] == 4
    assert frames[0]["format"] == "MATROSKA"
    assert [row["frame"] for row in rows(tmp_path / "film.mkv", "--every", "2")] == [0, 20, 26, None]


def test_a_variable_frame_rate(tmp_path: Path) -> None:
    """Times are the frames' own: a gap of three seconds is not filled, and not counted in frames."""
    make_video(tmp_path / "film.mkv", [0, 0.2, 0.4, 3.4, 3.6, 3.8, 4.2])
    assert [row["seconds"] for row in rows(tmp_path / "film.mkv")[:-1]] == [0.0, 3.4, 4.2]


def test_a_broken_tail_costs_the_tail_only(tmp_path: Path) -> None:
    """A film cut in the middle: what is there is scored."""
    make_video(tmp_path / "whole.mkv", [index / 10 for index in range(40)])
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    found = rows(tmp_path / "cut.mkv")
    assert found[0]["frame"] == 0
    assert found[-1]["kind"] == "summary"
    assert 2 <= found[-1]["frames"] < 5


def test_a_file_that_only_looks_like_a_video(tmp_path: Path) -> None:
    """Its magic bytes and nothing behind them."""
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'av>=14.1'")
    (tmp_path / "film.mkv").write_bytes(b"\x1aE\xdf\xa3" + b"nothing" * 100)
    (row,) = rows(tmp_path / "film.mkv")
    assert row["error"] == "undecodable: a damaged or unknown video: Invalid data found when processing input"


# ------------------------------------------------------------------------------------------ interruptions and resuming


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_in_order_and_resume_goes_on(
    number: signal.Signals, status: int, many: Path, tmp_path: Path
) -> None:
    """Whole rows, a prefix of the input; then the rest, no row twice, none missing."""
    output = tmp_path / "rows.jsonl"
    arguments = ("--format", "jsonl", "--output", output, "--jobs", "2", many)
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
    wait_until(lambda: output.exists() and output.read_text().count("\n") >= 10)
    process.send_signal(number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == status, err
    assert SUMMARY.fullmatch(err.splitlines()[-1])
    before = [json.loads(line) for line in output.read_text().splitlines()]
    names = sorted(str(path) for path in many.iterdir())
    assert [row["path"] for row in before] == names[: len(before)]
    assert 10 <= len(before) < len(names)
    assert run(*arguments, "--resume").returncode == 0
    after = [json.loads(line) for line in output.read_text().splitlines()]
    assert after[: len(before)] == before
    assert [row["path"] for row in after] == names


def test_an_ignored_signal_stays_ignored(many: Path, tmp_path: Path) -> None:
    """As of `classify_nsfw ... &` in a script, which Ctrl-C is not meant for."""
    output = tmp_path / "rows.jsonl"
    line = shlex.join(command("--quiet", "--format", "jsonl", "--output", output, many))
    process = subprocess.Popen(["sh", "-c", f"trap '' INT; exec {line}"])
    wait_until(lambda: output.exists() and output.read_text().count("\n") >= 10)
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 0
    assert output.read_text().count("\n") == len(list(many.iterdir()))


EARLY = (0, 5, 10, 20, 40, 70, 100, 150, 250, 400, 600)  # milliseconds; a run takes 400


@pytest.mark.parametrize("milliseconds", EARLY)
def test_a_signal_before_the_scan_listens_ends_the_command_without_a_word(milliseconds: int) -> None:
    """By the signal itself, for which shells say 130, or by 130, or it was over."""
    status, err = interrupted("classify_nsfw", milliseconds, PICTURE)
    assert status in (-signal.SIGINT, 130, 0)
    assert err == ""


@pytest.mark.parametrize("arguments", [("-",), ("--from-list", "-")], ids=["picture", "list"])
def test_a_signal_ends_a_run_that_waits_for_stdin(arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(command("--quiet", *arguments), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stderr is not None
    time.sleep(2)  # nothing tells that it waits
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 130
    assert process.stderr.read() == ""
    process.stdin.close()
    process.stderr.close()


def test_a_closed_stderr_costs_nothing() -> None:
    """And what would stand there does not get among the rows."""
    line = shlex.join(command(PICTURE, "nowhere.jpg", "--format", "jsonl"))
    done = subprocess.run(["sh", "-c", f"{line} 2>&-"], stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert [json.loads(row)["score"] is None for row in done.stdout.splitlines()] == [False, True]


def test_a_kill_leaves_whole_rows_and_resume_drops_a_torn_one(many: Path, tmp_path: Path) -> None:
    """SIGKILL can tear at most the last line; here it is torn on purpose as well. A changed file is scored again."""
    output = tmp_path / "rows.jsonl"
    arguments = ("--format", "jsonl", "--output", output, "--jobs", "2", many)
    process = subprocess.Popen(command(*arguments), stderr=subprocess.DEVNULL)
    wait_until(lambda: output.exists() and output.read_text().count("\n") >= 10)
    process.kill()
    process.wait()
    with output.open("a") as file:
        file.write('{"path": "torn')
    shutil.copy(PUSHED / "0.990-coffee.jpg", many / "003.jpg")
    assert run(*arguments, "--resume").returncode == 0
    after = {row["path"]: row["score"] for row in map(json.loads, output.read_text().splitlines())}
    assert output.read_text().count("\n") == len(after) == 120
    assert after[str(many / "003.jpg")] == pytest.approx(0.98999, abs=1e-4)


def test_a_list_that_grows_gives_its_rows_at_once(tmp_path: Path) -> None:
    """A row comes when its picture is scored, not when the next path comes: somebody may be waiting at the pipe."""
    arguments = command("--from-list", "-", "--format", "jsonl", "--jobs", "2")
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None and process.stdout is not None
    try:
        for _ in range(2):
            process.stdin.write(os.fsencode(PICTURE) + b"\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], SECONDS)
            assert ready, "no row came"
            assert json.loads(process.stdout.readline())["path"] == str(PICTURE)
    finally:
        process.stdin.close()
        assert process.wait(SECONDS) == 0
        process.stdout.close()


def test_a_reader_that_goes_away_ends_the_run(many: Path) -> None:
    """One line, no traceback, and not after scoring everything that nobody reads."""
    process = subprocess.Popen(
        command(many, "--format", "jsonl"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(SECONDS) == 2
    expected = "classify_nsfw: error: stdout: the program that was reading it has gone; stopped there\n"
    assert err == expected


# --------------------------------------------------------------------------------------------------- rows and verdicts


def test_rows_come_in_the_order_of_the_input() -> None:
    """Large and small pictures on several jobs, a missing one among them."""
    inputs = [PICTURES / "tall-2x3000.png", PICTURE, "missing.jpg", PICTURES / "one-pixel.gif", PICTURE]
    assert [row["path"] for row in rows("--jobs", "3", *inputs)] == [str(path) for path in inputs]


def test_a_row_has_what_the_file_says(tmp_path: Path) -> None:
    """Size, kind, hash and time of a plain picture."""
    (row,) = rows(PICTURES / "rgb.png", "--hash")
    import hashlib

    data = (PICTURES / "rgb.png").read_bytes()
    assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert (row["bytes"], row["format"]) == (len(data), "PNG")
    assert row["modified"] == pytest.approx((PICTURES / "rgb.png").stat().st_mtime)


def test_fail_above() -> None:
    """3 when any score reaches the threshold, also beside a failure; 1 and 0 as ever otherwise."""
    high, low = PUSHED / "0.900-hubble_deep_field.jpg", PUSHED / "0.050-chelsea.jpg"
    assert run(low, high, "--fail-above", "0.8").returncode == 3
    assert run(low, "missing.jpg", high, "--fail-above", "0.8").returncode == 3
    assert run(low, "missing.jpg", "--fail-above", "0.8").returncode == 1
    assert run(low, "--fail-above", "0.8").returncode == 0
    score = rows(high)[0]["score"]
    assert run(high, "--fail-above", repr(score)).returncode == 3


@pytest.fixture(name="inbox")
def _inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a low and two high pictures, one of them deeper down; the working folder is beside it."""
    (tmp_path / "inbox" / "deep").mkdir(parents=True)
    shutil.copy(PUSHED / "0.050-chelsea.jpg", tmp_path / "inbox" / "low.jpg")
    shutil.copy(PUSHED / "0.900-hubble_deep_field.jpg", tmp_path / "inbox" / "high.jpg")
    shutil.copy(PUSHED / "0.990-coffee.jpg", tmp_path / "inbox" / "deep" / "high.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ----------------------------------------------------------------------------------------------------- what people see


def test_the_bar_on_a_terminal_and_silence_elsewhere(many: Path) -> None:
    """On a pseudo-terminal there is a bar with pictures, failures and rate; with --quiet nothing at all."""
    count = len(list(many.iterdir())) + 1
    bar = terminal_output(command(many, "missing.jpg", "--output", os.devnull))
    assert re.search(rf"\| {count}/{count} \[[\d:]+<[\d:]+, +[\d.]+ pictures/s, 1 failed\]", bar)
    assert terminal_output(command(many, "--quiet", "--output", os.devnull)) == ""
    done = run(many, "--output", os.devnull)
    assert SUMMARY.fullmatch(done.stderr.strip())


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_resume_catches_up_on_what_was_to_be_done_about_a_row(inbox: Path, form: str) -> None:
    """A run that wrote its rows and was killed before it moved the files: the next one moves them, and fails as it should."""
    output = inbox / "rows"
    assert run("inbox", "--format", form, "--output", output).returncode == 0
    again = run(
        "inbox", "--format", form, "--output", output, "--resume", "--move-above", "0.8", "out", "--fail-above", "0.95"
    )
    assert again.returncode == 3, again.stderr
    assert files(inbox / "out") == ["inbox/deep/high.jpg", "inbox/high.jpg"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_resume_sums_up_the_whole_file(inbox: Path, form: str) -> None:
    """What an earlier run left counts: a failure is one until it is mended, a high score is one."""
    (inbox / "inbox" / "torn.jpg").write_bytes((inbox / "inbox" / "high.jpg").read_bytes()[:400])
    arguments = ("inbox", "--format", form, "--output", inbox / "rows")
    assert run(*arguments).returncode == 1
    shutil.copy(PICTURE, inbox / "inbox" / "new.jpg")

    again = run(*arguments, "--resume")
    assert again.returncode == 1
    assert again.stderr.startswith(
        "classify_nsfw: 4 scored (1 below 0.2, 1 in the middle, 2 at 0.8 or above), 1 failed; 4 of them by earlier runs; "
    )
    assert run(*arguments, "--resume", "--fail-above", "0.98").returncode == 3
    assert run(*arguments, "--resume", "--fail-above", "0.999").returncode == 1
    assert run(*arguments, "--resume", "--retry-failed").returncode == 1

    shutil.copy(PICTURE, inbox / "inbox" / "torn.jpg")
    mended = run(*arguments, "--resume")
    assert mended.returncode == 0
    assert "classify_nsfw: 5 scored (1 below 0.2, 2 in the middle, 2 at 0.8 or above), 0 failed; 4 of" in mended.stderr


def test_resume_counts_the_frames_of_an_earlier_run(tmp_path: Path) -> None:
    """And not their summary; a frame too many is a failure then, too."""
    arguments = (PICTURES / "animated.gif", "--frames", "all", "--max-frames", "2")
    arguments += ("--format", "jsonl", "--output", str(tmp_path / "rows"))
    first, again = run(*arguments), run(*arguments, "--resume")
    assert (first.returncode, again.returncode) == (1, 1)
    expected = (
        first.stderr.splitlines()[-1].partition(" failed")[0] + " failed; 3 of them by earlier runs; 0.0 pictures/s\n"
    )
    assert again.stderr == expected


@pytest.mark.parametrize(
    "wrong",
    [
        ("--fast", "--thresholds", "2"),
        ("--fast", "--ranges", "none.json"),
        ("--model_def", "none.prototxt"),
        ("--pretrained_model", str(PICTURE)),
    ],
)
@pytest.mark.parametrize("form", ["jsonl", "csv", "text", "parquet"])
def test_what_cannot_begin_replaces_nothing(tmp_path: Path, form: str, wrong: tuple[str, ...]) -> None:
    """--overwrite waits for the first rows; nor is an empty file left where there was none."""
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed in this interpreter")
    output = tmp_path / "rows"
    options = ("--format", form, "--output", output)
    assert run(PICTURE, *options, *wrong).returncode == 2
    assert files(tmp_path) == []
    assert run(PICTURE, *options).returncode == 0
    before = output.read_bytes()
    assert run(PICTURE, *options, "--overwrite", *wrong).returncode == 2
    assert files(tmp_path) == ["rows"] and output.read_bytes() == before
    assert run(PICTURE, *options, "--overwrite").returncode == 0
    assert output.read_bytes() == before


def test_overwriting_with_nothing(tmp_path: Path) -> None:
    """A run without a picture to score leaves what it found: a header."""
    (tmp_path / "empty.txt").touch()
    output = tmp_path / "rows.csv"
    options = ("--format", "csv", "--output", output)
    run(PICTURE, *options)
    run("--from-list", tmp_path / "empty.txt", *options, "--overwrite")
    assert len(output.read_text().splitlines()) == 1


def test_a_pipe_by_name(tmp_path: Path) -> None:
    """As a shell's `<(command)` has one: it is read once, from its beginning, alone or among others, also while a bar
    counts what is to come."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for others in ((), (PICTURE,)):
        with subprocess.Popen(["cp", PICTURE, pipe]):
            done = run(pipe, *others, "--format", "jsonl")
        assert done.returncode == 0, done.stderr
        scores = [json.loads(line)["score"] for line in done.stdout.splitlines()]
        assert len(scores) == 1 + len(others) and len(set(scores)) == 1
    with subprocess.Popen(["cp", PICTURE, pipe]):
        assert "2 scored" in terminal_output(command(pipe, PICTURE))
