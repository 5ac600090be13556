"""Frames by change of scene: at least one of each, however short, and not one for each move of the camera."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.scenes import SceneSampler
from open_nsfw.pictures.video import video_pictures
from tests.tools.films import RATE, av, film
from tests.tools.helpers import run_command

SIZE = (160, 120)


def _way(length: int) -> list[int]:
    """Where the camera is: forth and back."""
    return [24 - abs(24 - index % 48) for index in range(length)]


def scene(seed: int, length: int) -> list[np.ndarray]:
    """Frames of one scene: the camera moves over a picture of soft spots."""
    random = np.random.default_rng(seed)
    spots = np.kron(random.integers(0, 256, (12, 14, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    return [spots[step : step + SIZE[1], step : step + SIZE[0]] for step in _way(length)]


def film_of(frames: Sequence[np.ndarray], rate: int = RATE) -> bytes:
    """A film of these frames, uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as writer:
        stream = writer.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *SIZE, "yuv420p", 8_000_000
        for each in frames:
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(each), format="rgb24")))
        writer.mux(stream.encode(None))
    return buffer.getvalue()


def chosen(data: bytes, every: float = 10.0, scenes: bool = True) -> list[Picture]:
    """The frames that are taken."""
    options = Extraction(frames=FrameChoice(every_seconds=every, scenes=scenes))
    return [each for each in video_pictures(io.BytesIO(data), options) if isinstance(each, Picture)]


LENGTHS = (25, 3, 40, 1, 17, 30)  # frames of each scene: 2.5 s, 0.3 s, 4 s, 0.1 s, ...
STARTS = [sum(LENGTHS[:index]) for index in range(len(LENGTHS))]
CUT = [each for seed, length in enumerate(LENGTHS) for each in scene(seed, length)]


def test_the_first_frame_of_each_scene_and_the_last_of_all() -> None:
    """Also of scenes that are shorter than any clock would find; the moving camera gives none."""
    found = chosen(film_of(CUT))
    assert [each.frame for each in found] == [*STARTS, len(CUT) - 1]
    assert [each.seconds for each in found] == [pytest.approx(number / RATE, abs=0.001) for number in (*STARTS, 115)]
    by_clock = {each.frame for each in chosen(film_of(CUT), every=1.0, scenes=False)}
    assert not by_clock & {25, 26, 27, 68}, "the clock finds the short scenes, too: they are too long"


def test_comparing_leaves_the_frames_as_they_are() -> None:
    """Pixel by pixel those of the same frames without scenes."""
    every_frame = {each.frame: each.pixels for each in chosen(film_of(CUT), every=0.01, scenes=False)}
    for each in chosen(film_of(CUT)):
        assert each.pixels == every_frame[each.frame]


def test_long_scenes_have_a_frame_every_so_often() -> None:
    """Counted from the scene's first frame."""
    frames = [*scene(1, 25), *scene(2, 70)]
    assert [each.frame for each in chosen(film_of(frames), every=2.0)] == [0, 20, 25, 45, 65, 85, 94]


def test_nothing_changes_is_one_scene() -> None:
    """The first and the last frame."""
    assert [each.frame for each in chosen(film("matroska", times=[index / RATE for index in range(30)]))] == [0, 29]


def test_a_film_whose_size_changes() -> None:
    """Another size is another scene; so is what cannot be compared."""
    sampler = SceneSampler(av, Fraction(10), Fraction(1, 20))
    due = []
    for index, size in enumerate([(64, 48)] * 3 + [(96, 48)] * 3 + [(64, 48)] * 2):
        frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 90, np.uint8), format="rgb24")
        due.append(sampler.is_due(Fraction(index, 10), frame))
    assert due == [True, False, False, True, False, False, True, False]


def test_the_command_and_what_rows_say(tmp_path: Path) -> None:
    """`frame_choice` has it; --resume takes another choice for another."""
    (tmp_path / "x.mkv").write_bytes(film_of(CUT))
    options = ["--engine", "onnxruntime", "--format", "csv", "--output", str(tmp_path / "rows.csv")]
    assert run_command(tmp_path / "x.mkv", "--scenes", *options).status == 0
    text = (tmp_path / "rows.csv").read_text()  # whose header has ",frame,", too
    assert text.count('"scenes, every 10 s"') == text.count(",frame,") == len(LENGTHS) + 2
    assert "7 of them by earlier runs" in run_command(tmp_path / "x.mkv", "--scenes", *options, "--resume").err
    assert "earlier" not in run_command(tmp_path / "x.mkv", "--scenes", "--every", "3", *options, "--resume").err
    assert (tmp_path / "rows.csv").read_text().count('"scenes, every 3 s"') > 0


def test_what_flickers_has_a_scene_in_each_frame() -> None:
    """Nothing may hide between two frames that are scored."""
    frames = [scene(seed % 2 + 1, 1)[0] for seed in range(12)]
    assert [each.frame for each in chosen(film_of(frames))] == list(range(12))
