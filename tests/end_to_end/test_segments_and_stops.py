"""`--segments` and `--stop-above`: rows of stretches in place of frames, and the end of a file at its first high frame."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from open_nsfw.rows.reader import read_rows
from tests.tools.films import av
from tests.tools.helpers import PICTURE, Result, caffemodel, run_command, small_net, write_model
from tests.tools.rows import every_form

# Scores rise with brightness: grey of 40 has 0.01, of 128 0.7, of 220 0.998.
BRIGHTNESS = caffemodel({"c": [np.stack([np.full((3, 1, 1), sign * 0.01) for sign in (-1, 1)]), np.zeros(2)]})
DARK, MIDDLE, BRIGHT = 40, 128, 220
LEVELS = [DARK] * 3 + [BRIGHT] * 4 + [DARK] + [BRIGHT] * 2 + [DARK] * 5 + [MIDDLE] * 3 + [DARK] * 2


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    options = write_model(tmp_path_factory.mktemp("model"), small_net(), BRIGHTNESS)
    return ["--engine", "onnxruntime", *options]


@pytest.fixture(name="clip")
def _clip(tmp_path: Path) -> Path:
    """A film of one frame a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as writer:
        stream = writer.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in LEVELS:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), format="rgb24")
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    (tmp_path / "clip.mkv").write_bytes(buffer.getvalue())
    return tmp_path / "clip.mkv"


def rows(done: Result) -> list[dict[str, Any]]:
    """Of a run with `--format jsonl`."""
    return [json.loads(line) for line in done.out.splitlines()]


def spans(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What segments say of where they are."""
    return [
        (row["frame"], row["last_frame"], row["seconds"], row["until"], row["frames"])
        for row in found
        if row["kind"] == "segment"
    ]


def test_segments_in_place_of_frames(clip: Path, model: list[str]) -> None:
    """One dark frame does not split; the summary is that of all frames, and says which threshold it was."""
    plain = rows(run_command(clip, *model, "--format", "jsonl"))
    done = run_command(clip, *model, "--format", "jsonl", "--segments", "0.9", "--fail-above", "0.99")
    found = rows(done)
    assert [row["kind"] for row in found] == ["segment", "summary"]
    assert spans(found) == [(3, 9, 3.0, 9.0, 7)]
    scores = [row["score"] for row in plain[3:10]]
    assert found[0]["score"] == found[0]["max"] == max(scores)
    assert found[0]["mean"] == pytest.approx(sum(scores) / 7)
    assert found[0]["segments"] == found[1]["segments"] == 0.9
    summary = {**plain[-1], "segments": 0.9, "above": 6}
    assert found[1] == summary
    assert done.status == 3
    assert "1 scored (0 below 0.2, 0 in the middle, 1 at 0.8 or above), 1 at or above --fail-above 0.99" in done.err
    both = rows(run_command(clip, *model, "--format", "jsonl", "--segments", "0.5"))
    assert spans(both) == [(3, 9, 3.0, 9.0, 7), (15, 17, 15.0, 17.0, 3)]
    none = rows(run_command(clip, *model, "--format", "jsonl", "--segments", "0.9999"))
    assert [(row["kind"], row["above"]) for row in none] == [("summary", 0)]


@every_form
def test_segments_in_every_format_and_pictures_as_ever(clip: Path, model: list[str], tmp_path: Path, form: str) -> None:
    """A picture has its own row, whatever is asked of films."""
    file = tmp_path / "rows"
    arguments = [clip, PICTURE, *model, "--segments", "0.5", "--stop-above", "0.9"]
    assert run_command(*arguments, "--format", form, "--output", str(file)).status == 0
    found = list(read_rows(str(file), form))
    assert [row.kind for row in found] == ["segment", "summary", "picture"]
    assert (found[0].seconds, found[0].until, found[0].last_frame, found[0].segments) == (3.0, 3.0, 3, 0.5)
    assert (found[1].stop_above, found[1].frame, found[1].seconds) == (0.9, 3, 3.0)
    assert found[2].segments is None and found[2].stop_above is None
    assert (
        "3 of them by earlier runs"
        not in run_command(*arguments, "--format", form, "--output", str(file), "--resume").err
    )
    assert (
        "2 of them by earlier runs" in run_command(*arguments, "--format", form, "--output", str(file), "--resume").err
    )


def test_a_file_ends_at_its_first_high_frame(clip: Path, model: list[str]) -> None:
    """The summary says where, and nothing behind it is decoded: damage there is not even noticed."""
    data = bytearray(clip.read_bytes())
    data[-(len(data) // 3) :] = bytes(len(data) // 3)
    clip.write_bytes(data)
    damaged = run_command(clip, *model, "--format", "jsonl")
    assert damaged.status == 1 and any((row["error"] or "").startswith("damaged-in-part") for row in rows(damaged))
    done = run_command(clip, *model, "--format", "jsonl", "--stop-above", "0.9")
    assert done.status == 0
    *frames, summary = rows(done)
    assert [row["seconds"] for row in frames] == [0.0, 1.0, 2.0, 3.0]
    assert [row["score"] >= 0.9 for row in frames] == [False, False, False, True]
    assert (summary["stop_above"], summary["frame"], summary["seconds"], summary["frames"]) == (0.9, 3, 3.0, 4)
    assert summary["score"] == summary["max"] == frames[-1]["score"] and summary["above"] == 1
    text = run_command(clip, *model, "--stop-above", "0.9").out
    assert text.endswith("1 at or over the threshold, stopped at #3 @3s by --stop-above 0.9)\n")


def test_a_file_that_stays_low_does_not_end(clip: Path, model: list[str]) -> None:
    """Its rows are those of any run."""
    plain = rows(run_command(clip, *model, "--format", "jsonl", "--fail-above", "0.9999"))
    assert rows(run_command(clip, *model, "--format", "jsonl", "--stop-above", "0.9999")) == plain


def test_animations_end_too(model: list[str], tmp_path: Path) -> None:
    """At the frame; further files have all their rows."""
    frames = [Image.new("RGB", (32, 32), (level,) * 3) for level in (DARK, BRIGHT, DARK, BRIGHT)]
    frames[0].save(tmp_path / "x.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    arguments = [tmp_path / "x.webp", PICTURE, *model, "--frames", "all", "--format", "jsonl"]
    found = rows(run_command(*arguments, "--stop-above", "0.9"))
    assert [(row["kind"], row["frame"]) for row in found] == [
        ("frame", 0),
        ("frame", 1),
        ("summary", 1),
        ("picture", None),
    ]


RUNS = {
    "frames": [],
    "segments 0.9": ["--segments", "0.9"],
    "segments 0.5": ["--segments", "0.5"],
    "stop 0.9": ["--stop-above", "0.9"],
    "stop 0.5": ["--stop-above", "0.5"],
    "stop 0.9999": ["--stop-above", "0.9999"],
    "both": ["--segments", "0.5", "--stop-above", "0.9"],
    "cut": ["--segments", "0.5", "--max-frames", "6"],
}


def test_resume_gives_what_one_run_of_now_would(clip: Path, model: list[str], tmp_path: Path) -> None:
    """From each kind of file to each other; only what is the same, or would not end, is kept."""
    file = tmp_path / "rows.jsonl"
    options = [clip, *model, "--format", "jsonl", "--fail-above", "0.9", "--output", str(file)]
    fresh = {}
    for name, more in RUNS.items():
        run_command(*options, *more, "--overwrite")
        fresh[name] = file.read_bytes()
    for first in ("frames", "segments 0.9", "stop 0.9", "both", "cut"):
        for then, more in RUNS.items():
            file.write_bytes(fresh[first])
            done = run_command(*options, *more, "--resume")
            assert file.read_bytes() == fresh[then], f"{first} -> {then}"
            is_kept = then == first or (first, then) == ("frames", "stop 0.9999")
            assert ("by earlier runs" in done.err) == is_kept, f"{first} -> {then}"


def test_sorting_goes_by_the_summary(clip: Path, model: list[str], tmp_path: Path) -> None:
    """A film is moved once, also in a run that is caught up with."""
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(clip, folder)
    arguments = [
        "films",
        *model,
        "--segments",
        "0.5",
        "--stop-above",
        "0.9",
        "--format",
        "jsonl",
        "--output",
        "rows.jsonl",
    ]
    assert run_command(*arguments, cwd=tmp_path).status == 0
    done = run_command(*arguments, "--resume", "--move-above", "0.9", "high", cwd=tmp_path)
    assert "1 file moved by --move-above 0.9" in done.err
    assert (tmp_path / "high" / "films" / "clip.mkv").exists() and not (folder / "clip.mkv").exists()


def test_with_the_cache_of_scores(clip: Path, model: list[str], tmp_path: Path) -> None:
    """What ended early is not taken for the whole, and the same is not scored twice."""
    options = [clip, *model, "--format", "jsonl", "--cache", str(tmp_path / "scores.sqlite")]
    stopped = run_command(*options, "--stop-above", "0.9")
    whole = run_command(*options)
    assert len(rows(stopped)) == 5 and len(rows(whole)) == len(LEVELS) + 1
    again = run_command(*options, "--stop-above", "0.9")
    assert again.out == stopped.out and "1 known by content" in again.err
    segments = run_command(*options, "--segments", "0.9")
    assert spans(rows(segments)) == [(3, 9, 3.0, 9.0, 7)] and "1 known by content" in segments.err
