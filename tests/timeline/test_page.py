"""`open-nsfw timeline`: films, their peaks, and the page, also in a browser."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.scan.segments import Moment
from open_nsfw.timeline.films import Film, Peak, Track
from open_nsfw.timeline.page import clock, page
from tests.calibration.test_report_accessible import checked
from tests.tools.browser import in_a_browser
from tests.tools.films import av, sound
from tests.tools.helpers import PICTURE, caffemodel, small_net, write_model

# Scores rise with brightness: grey of 0 has 0.001, of 255 0.9999.
BRIGHTNESS = caffemodel({"c": [np.stack([np.full((3, 1, 1), sign * 0.01) for sign in (-1, 1)]), np.zeros(2)]})


@pytest.fixture(name="model", scope="module")
def _model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    options = write_model(tmp_path_factory.mktemp("model"), small_net(), BRIGHTNESS)
    return ["--engine", "onnxruntime", *options]


def film_of(greys: list[int], rate: int = 2) -> bytes:
    """A film with frames of these levels of grey."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as writer:
        stream = writer.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        for grey in greys:
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 96, 3), grey, np.uint8), format="rgb24")))
        writer.mux(stream.encode(None))
    return buffer.getvalue()


DARK, BRIGHT = 40, 220
GREYS = [DARK] * 20 + [BRIGHT] * 10 + [DARK] * 30 + [150] * 4 + [DARK] * 6


def text_of(html: str) -> str:
    """What is read on the page."""
    return " ".join(re.sub("<[^>]*>", " ", re.sub("<style>.*?</style>", "", html, flags=re.DOTALL)).split())


def test_a_folder_of_films(tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The film that scores highest first, its stretches in a table, its peaks as pictures; stills and failures are told."""
    folder, output = tmp_path / "films", tmp_path / "timeline.html"
    folder.mkdir()
    (folder / "a dark.mkv").write_bytes(film_of([DARK] * 12))
    (folder / "b <bright>.mkv").write_bytes(film_of(GREYS))
    (folder / "c.mp4").write_bytes(b"no film")
    shutil.copy(PICTURE, folder / "d.jpg")
    assert open_nsfw(["timeline", str(folder), "--output", str(output), *model]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"2 videos in {output}\n"
    assert captured.err.startswith(f"open-nsfw timeline: {folder / 'c.mp4'}: ") and captured.err.count("\n") == 1
    html = output.read_text()
    words = text_of(html)
    assert html.index("b &lt;bright&gt;.mkv") < html.index("a dark.mkv") and "<bright>" not in html
    assert "1 picture is left out: no time passes in them." in words
    assert "At or above 0.8 from to highest mean frames 0:10 0:14 0.99" in words
    assert "No frame is at or above 0.8." in words  # of the dark one
    assert f"{folder / 'c.mp4'}: not a picture in a format" in words
    assert html.count("<polyline") == 2
    assert 3 <= html.count("<img") <= 7  # at least two peaks of one; of the dark one the highest frame alone
    assert "http" not in html.replace("http-equiv", "")


def test_what_has_only_sound_is_passed_over(
    tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a film; a folder of nothing else has no picture, and says so."""
    folder, output = tmp_path / "films", tmp_path / "x.html"
    folder.mkdir()
    (folder / "song").write_bytes(sound())
    assert open_nsfw(["timeline", str(folder), "--output", str(output), *model]) == 1
    assert capsys.readouterr().err == f"open-nsfw timeline: {folder}: there is no picture in it\n"
    (folder / "x.mkv").write_bytes(film_of([DARK] * 4))
    assert open_nsfw(["timeline", str(folder), "--output", str(output), "--overwrite", *model]) == 0
    assert capsys.readouterr() == (f"1 video in {output}\n", "")


def test_peaks_are_apart_and_the_highest_first(tmp_path: Path, model: list[str]) -> None:
    """One picture a bright stretch, with its own pixels."""
    (tmp_path / "x.mkv").write_bytes(film_of(GREYS))
    output = tmp_path / "x.html"
    assert (
        open_nsfw(["timeline", str(tmp_path / "x.mkv"), "--every", "0.5", "--output", str(output), "--quiet", *model])
        == 0
    )
    html = output.read_text()
    shown = re.findall(r"data:image/jpeg;base64,([^\"]+)", html)
    greys = []
    for each in shown:
        with Image.open(io.BytesIO(base64.b64decode(each))) as image:
            assert image.size == (256, 128)  # the film's proportions
            greys.append(int(np.asarray(image.convert("L")).mean()))
    assert greys[0] == pytest.approx(BRIGHT, abs=8) and greys[-1] == pytest.approx(150, abs=8)
    plain = tmp_path / "plain.html"
    arguments = ["timeline", str(tmp_path / "x.mkv"), "--no-thumbnails", "--output", str(plain), "--quiet"]
    assert open_nsfw([*arguments, *model]) == 0
    assert "<img" not in plain.read_text()


def test_animations_without_times_go_by_frames() -> None:
    """And long films have a line of bounded length that keeps their peaks."""
    flat = [Moment(index, None, 0.1) for index in range(50)]
    timeless = Track("loop.gif", (*flat, Moment(50, None, 0.95)), ())
    assert "Highest 0.9500 at frame 50; 51 frames were scored." in text_of(page([Film("loop.gif", (timeless,))], "x"))
    scores = np.full(50_000, 0.2)
    scores[12_345] = 0.99
    long = Track("x.mp4", tuple(Moment(index, float(index), float(score)) for index, score in enumerate(scores)), ())
    html = page([Film("x.mp4", (long,))], "x")
    (points,) = re.findall('points="([^"]+)"', html)
    assert len(points.split()) <= 2000 and f"{1000 * 12_345 / 49_999:.1f},1.00" in points


def test_no_film_at_all(tmp_path: Path, model: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Is a failure, and says so on the page, too."""
    output = tmp_path / "x.html"
    assert open_nsfw(["timeline", str(PICTURE), "--output", str(output), *model]) == 1
    told = "open-nsfw timeline: only pictures, in which no time passes; animations need --frames all\n"
    assert capsys.readouterr() == (f"0 videos in {output}\n", told)
    assert "No video with a scored frame was found." in output.read_text()
    assert open_nsfw(["timeline", str(PICTURE), "--output", str(output), *model]) == 2
    assert capsys.readouterr().err == f"open-nsfw timeline: error: {output}: exists already; --overwrite replaces it\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (59.96, "1:00"), (247, "4:07"), (247.5, "4:07.5"), (3723, "1:02:03"), (7.04, "0:07")],
)
def test_times(seconds: float, shown: str) -> None:
    """As players show them."""
    assert clock(seconds) == shown


@pytest.mark.once
@in_a_browser
def test_in_a_browser(tmp_path: Path) -> None:
    """Nothing that axe finds, nothing wider than the page: light and dark, wide and on a phone."""
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 60)).save(jpeg, "JPEG")
    every = [Moment(index, index / 2, 0.9 if 40 < index < 60 else 0.3) for index in range(120)]
    peaks = tuple(Peak(every[index], jpeg.getvalue()) for index in (45, 10))
    films = [Film("a very long name of a film " * 4 + ".mp4", (Track("x" * 90, tuple(every), peaks),), ("damaged",))]
    (tmp_path / "page.html").write_text(page(films, "Scores over time"))
    for each in checked(tmp_path / "page.html"):
        assert (each["violations"], each["tooWide"]) == ([], []), each
