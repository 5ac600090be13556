"""Blur until the true score is below a threshold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from open_nsfw import Classifier, load_model
from open_nsfw.__main__ import main as open_nsfw
from tests.tools.helpers import DATA, PICTURE

HIGH = DATA / "pushed" / "0.950-chelsea.jpg"


@pytest.fixture(name="model", scope="module")
def _model() -> Classifier:
    return load_model(engine="onnxruntime")


def explain(folder: Path, picture: Path, threshold: float, status: int = 0) -> dict[str, Any]:
    """The numbers of a picture that is to be blurred."""
    arguments = ["explain", str(picture), "--output", str(folder), "--blur-below", str(threshold), "--overwrite"]
    assert open_nsfw([*arguments, "--engine", "onnxruntime"]) == status
    found: dict[str, Any] = json.loads((folder / f"{picture.stem}.json").read_text())
    return found


def large(path: Path, size: tuple[int, int]) -> Path:
    """The pushed picture in another size and shape, without loss."""
    with Image.open(HIGH) as image:
        image.resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.parametrize("size", [(256, 256), (1001, 640)])
def test_the_file_scores_what_it_is_said_to(model: Classifier, tmp_path: Path, size: tuple[int, int]) -> None:
    """In full size, blurred in the named cells and untouched elsewhere; its own score is below the threshold."""
    picture = large(tmp_path / "x.png", size)
    assert model.score(picture) > 0.5
    found = explain(tmp_path / "out", picture, 0.3)
    blur = found["blur"]
    written = tmp_path / "out" / "x.blurred.png"
    assert blur["below"] == 0.3 and blur["is_below"] and blur["score"] < 0.3
    assert model.score(written) == blur["score"]
    with Image.open(picture) as before, Image.open(written) as after:
        assert after.size == size and after.format == "PNG" and after.mode == "RGB"
        changed = (np.asarray(before) != np.asarray(after)).any(axis=2)
        grey = np.asarray(after.convert("L")).astype(float)
    for row in range(7):
        for column in range(7):
            top, bottom = (round((16 + 32 * (row + step)) * size[1] / 256) for step in (0, 1))
            left, right = (round((16 + 32 * (column + step)) * size[0] / 256) for step in (0, 1))
            inside = slice(top + 2, bottom - 2), slice(left + 2, right - 2)
            if [row, column] in blur["cells"]:
                assert changed[inside].mean() > 0.5
                assert np.abs(np.diff(grey[inside], axis=0)).max() < 12, "an edge is left"
            else:
                assert not changed[inside].any()
    margin = slice(0, round(16 * size[1] / 256) - 1)
    assert not changed[margin].any()


def test_highest_cells_first_and_no_more_than_needed(tmp_path: Path) -> None:
    """The first is the highest of the picture; a lower threshold goes on where a higher one ended."""
    first = explain(tmp_path, HIGH, 0.9)
    cells = np.array(first["cells"])
    assert first["blur"]["cells"][0] == list(divmod(int(cells.argmax()), 7))
    second = explain(tmp_path, HIGH, first["blur"]["score"])
    count = len(first["blur"]["cells"])
    assert second["blur"]["cells"][:count] == first["blur"]["cells"] and len(second["blur"]["cells"]) > count


def test_what_is_low_already_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, no failure; one of an earlier run is taken away, as it would belong to another threshold."""
    (tmp_path / "0.500-rocket.blurred.png").write_bytes(b"old")
    found = explain(tmp_path, PICTURE, 0.6)
    assert found["blur"] == {"below": 0.6, "score": found["score"], "is_below": True, "cells": []}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.500-rocket.json", "0.500-rocket.png"]
    assert capsys.readouterr().out.count("\n") == 1


def test_it_says_plainly_when_it_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All cells blurred are not enough: a line, exit status 1, and no picture."""
    found = explain(tmp_path, PICTURE, 1e-6, status=1)
    blur = found["blur"]
    assert not blur["is_below"] and len(blur["cells"]) == 49
    assert capsys.readouterr().err == (
        f"open-nsfw explain: {PICTURE}: cannot be brought below 1e-06: with all 49 cells blurred it scores "
        f"{blur['score']:.6g}; no blurred picture is written\n"
    )
    assert not (tmp_path / "0.500-rocket.blurred.png").exists()


def test_frames_are_not_blurred(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that says so."""
    with Image.open(PICTURE) as one, Image.open(HIGH) as other:
        one.save(tmp_path / "x.webp", save_all=True, append_images=[other], lossless=True)
    arguments = ["explain", str(tmp_path / "x.webp"), "--frames", "all", "--blur-below", "0.2", "--quiet"]
    assert open_nsfw([*arguments, "--output", str(tmp_path / "quiet"), "--engine", "onnxruntime"]) == 1
    assert open_nsfw([*arguments[:-1], "--output", str(tmp_path / "out"), "--engine", "onnxruntime"]) == 1
    line = f"open-nsfw explain: {tmp_path / 'x.webp'} #1 @0s: frames of videos and animations are not blurred\n"
    assert capsys.readouterr().err == line


def test_a_picture_that_breaks_its_decoder_costs_no_other_anything(tmp_path: Path) -> None:
    """Full size comes out of the decoding process, too."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(HIGH.read_bytes()[:9000])
    shutil.copy(HIGH, folder / "b.jpg")
    arguments = ["explain", str(folder), "--blur-below", "0.5", "--quiet", "--output", str(tmp_path / "out")]
    assert open_nsfw([*arguments, "--engine", "onnxruntime"]) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.blurred.png", "b.json", "b.png"]
