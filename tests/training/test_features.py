"""What of the rows goes into the file of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from open_nsfw.rows.finished import key_of
from open_nsfw.rows.row import Row
from open_nsfw.training.feature_file import FeatureFile, FeatureKind
from open_nsfw.training.features import PixelScore, _Keeper

FILM, BROKEN = "ab" * 32, "cd" * 32


def score(value: float) -> PixelScore:
    """A score whose features are its own value, and its pixels a hundred times that."""
    result = PixelScore(value)
    result.blobs = {"pool": np.full((3, 1, 1), value, np.float32)}
    result.pixels = np.full((2, 2, 3), 100 * value, np.uint8)
    return result


def test_of_a_film_the_frame_with_its_score(tmp_path: Path) -> None:
    """Frames have none of their own, and what has no score has none."""
    frames = [Row("f.mp4", kind="frame", frame=n, score=score(n / 10), sha256=FILM) for n in range(3)]
    summary = Row("f.mp4", kind="summary", score=max(score(0.1), score(0.9), score(0.2)), sha256=FILM)
    kinds = FeatureKind("0" * 64, "pool", 3), FeatureKind("", "pixels", 12, "u1")
    files = (FeatureFile(str(tmp_path / kind.blob), kind) for kind in kinds)
    with next(files) as file, next(files) as pixels:
        keeper = _Keeper(file, pixels, "pool", {key_of("f.mp4", None): FILM, key_of("x.jpg", None): BROKEN})
        keeper.keep([*frames, summary])
        keeper.keep([Row("x.jpg", error="truncated: it ends too early", sha256=BROKEN)])
        np.testing.assert_array_equal(file.read([FILM]), np.full((1, 3), 0.9, np.float32))
        np.testing.assert_array_equal(pixels.read([FILM]), np.full((1, 12), 90, np.uint8))
        assert len(file) == len(pixels) == 1
        assert [keeper.has(path, None) for path in ("f.mp4", "x.jpg", "y.jpg")] == [True, False, False]
