"""Rows -> what is to be reviewed, with the frames that are shown of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.review.inputs import Rows
from open_nsfw.rows.row import Row
from tests.tools.rows import write


def test_segments_stand_for_frames(tmp_path: Path) -> None:
    """A film whose rows are of segments is shown by their first frames, not by its own first."""
    film = {"path": "clip.mp4", "format": "MP4", "engine": "onnxruntime", "model": "1f2e3d4c"}
    rows = [
        Row(**film, kind="segment", frame=40, seconds=4.0, until=6.0, last_frame=60, score=0.9, segments=0.8),
        Row(**film, kind="segment", frame=90, seconds=9.0, until=9.0, last_frame=90, score=0.8, segments=0.8),
        Row(**film, kind="summary", score=0.9, frames=100, max=0.9, mean=0.2, segments=0.8),
        Row(path="a.jpg", score=0.1),
    ]
    write(tmp_path / "rows.jsonl", rows, "jsonl")
    first, second = Rows(str(tmp_path / "rows.jsonl"), ())
    assert [(each.frame, each.score) for each in first.frames] == [(40, 0.9), (90, 0.8)]
    assert second.row.path == "a.jpg" and second.frames == []


@pytest.mark.parametrize("none", ["zz", "ab", "F" * 64, "0" * 63 + "\n"])
def test_a_hash_that_is_none(tmp_path: Path, none: str) -> None:
    """One line: pictures are chosen by their hashes."""
    write(
        tmp_path / "rows.jsonl",
        [Row(path="a.jpg", score=0.5, sha256="0" * 64), Row(path="b.jpg", score=0.5, sha256=none)],
        "jsonl",
    )
    with pytest.raises(UsageError, match="rows.jsonl: the row of b.jpg has a wrong sha256; rows that `classify_nsfw"):
        list(Rows(str(tmp_path / "rows.jsonl"), ()))
