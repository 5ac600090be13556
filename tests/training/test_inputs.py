"""Activations below what is trained: kept, or computed again."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.nets.net import Net
from open_nsfw.nets.read import read_net
from open_nsfw.pictures.pixels import to_blob
from open_nsfw.scoring.blobs import BlobEngine
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.training.feature_file import FeatureFile
from open_nsfw.training.features import PIXELS_KIND
from open_nsfw.training.inputs import LEAST_VIEWS, VIEWS, Inputs, start_shape, views_that_fit
from open_nsfw.training.stages import ALL, STAGE3, Part, find_part
from open_nsfw.training.views import ENDLESS, view
from tests.tools.tuning_net import write_net

NAMES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(5)]
WANTED = [(name, number) for name in NAMES for number in range(3)]


def model(folder: Path, what: str) -> tuple[ModelFiles, Net, Part]:
    """The small net."""
    _, model_def, _, weights = write_net(folder)
    net = read_net(model_def, weights)
    return find_model_files(model_def, weights), net, find_part(net, what)


@pytest.fixture
def pixels(tmp_path: Path) -> Any:
    """Pictures of noise."""
    random = np.random.default_rng(0)
    with FeatureFile(str(tmp_path / "pixels.u8"), PIXELS_KIND) as file:
        for name in NAMES:
            file.add(name, random.integers(0, 256, PIXELS_KIND.values, dtype=np.uint8))
        yield file


@pytest.mark.parametrize(("what", "views"), [(STAGE3, VIEWS), (STAGE3, ENDLESS), (ALL, ENDLESS)])
def test_values(what: str, views: int, pixels: FeatureFile, tmp_path: Path) -> None:
    """Those that ONNX Runtime has for the whole net, kept or not, in a batch of any size."""
    files, net, part = model(tmp_path, what)
    engine = BlobEngine(files, [] if part.is_whole else [part.start], threads=1)
    path = tmp_path / "activations.f32"
    with Inputs(files, net, part, pixels, 7, 2, str(path), views) as inputs:
        inputs.prepare(WANTED, lambda: None)
        assert inputs.missing(WANTED) == []
        found = inputs.batch(WANTED)
        np.testing.assert_array_equal(inputs.middles(NAMES), found[::3])
    assert path.exists() == (views != ENDLESS)
    for values, (name, number) in zip(found, WANTED):
        picture = pixels.read([name])[0].reshape(256, 256, 3)
        blob = to_blob(view(picture, number, name, 7, 64, 64)[np.newaxis])
        expected = blob if part.is_whole else engine.compute(blob)[part.start]
        np.testing.assert_array_equal(values, expected[0])


def test_what_is_kept_is_not_computed_again(pixels: FeatureFile, tmp_path: Path) -> None:
    """By the next run, which may want more."""
    files, net, part = model(tmp_path, STAGE3)
    for wanted, computed in ((WANTED[:4], 4), (WANTED, len(WANTED) - 4), (WANTED, 0)):
        done: list[None] = []
        with Inputs(files, net, part, pixels, 7, 2, str(tmp_path / "a"), VIEWS) as inputs:
            inputs.prepare(wanted, lambda done=done: done.append(None))  # type: ignore[misc]
        assert len(done) == computed


def test_what_fits_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what is free, or nothing is kept."""
    _, net, part = model(tmp_path, STAGE3)
    one = 4 * int(np.prod(start_shape(net, part)))

    def fits(bytes_free: float) -> int:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, bytes_free))  # type: ignore[attr-defined]
        return views_that_fit(net, part, 100, 20, str(tmp_path))

    assert fits(1e15) == VIEWS
    assert fits(2 * one * (20 + 100 * LEAST_VIEWS)) == LEAST_VIEWS
    assert fits(2 * one * (20 + 100 * LEAST_VIEWS) - 2) == ENDLESS
    assert fits(0) == ENDLESS
