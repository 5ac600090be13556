"""`open-nsfw explain`: heat maps and numbers of whole folders."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from open_nsfw import Explainer, load_model
from open_nsfw.__main__ import main as open_nsfw
from tests.tools.helpers import DATA, PICTURE, SMALL_WEIGHTS, caffemodel, small_net, write_model

HIGH = DATA / "pushed" / "0.990-coffee.jpg"


def explain(*arguments: object) -> int:
    """The exit status of `open-nsfw explain`, on ONNX Runtime."""
    return open_nsfw(["explain", *map(str, arguments), "--engine", "onnxruntime"])


def numbers(path: Path) -> dict[str, Any]:
    """A JSON file."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_pictures_archives_and_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A PNG and a JSON for each; a bad one has its line and costs nobody else anything."""
    folder, output = tmp_path / "photos", tmp_path / "why"
    folder.mkdir()
    shutil.copy(PICTURE, folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"no picture")
    with zipfile.ZipFile(folder / "c.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("inside/../a.png"), HIGH.read_bytes())
    assert explain(folder, "--output", output) == 1
    captured = capsys.readouterr()
    assert sorted(path.name for path in output.iterdir()) == ["a-2.json", "a-2.png", "a.json", "a.png"]
    assert captured.err.startswith(f"open-nsfw explain: {folder / 'b.jpg'}: not a picture in a format")
    assert captured.err.count("\n") == 1
    explanation = Explainer(load_model(engine="onnxruntime")).explain(PICTURE)
    found = numbers(output / "a.json")
    assert (
        captured.out.splitlines()[0] == f"NSFW score: {explanation.score:.12g} {folder / 'a.jpg'}: {output / 'a.png'}"
    )
    assert (found["score"], found["logit"], found["bias"]) == (explanation.score, explanation.logit, explanation.bias)
    np.testing.assert_array_equal(np.array(found["cells"], np.float32), explanation.cells)
    assert [len(row) for row in found["cells"]] == [7] * 7
    assert abs(found["bias"] + sum(map(sum, found["cells"])) - found["logit"]) <= 1e-5
    assert (found["path"], found["member"], found["method"]) == (str(folder / "a.jpg"), None, "exact")
    assert found["seen"] == [1 / 16, 1 / 16, 15 / 16, 15 / 16]
    assert numbers(output / "a-2.json")["member"] == "inside/../a.png"
    with Image.open(output / "a.png") as image:
        assert image.format == "PNG" and image.width == 768


def test_of_several_frames_the_highest(tmp_path: Path) -> None:
    """It is named in the numbers."""
    frames = [Image.open(path).convert("RGB").resize((256, 256)) for path in (PICTURE, HIGH, PICTURE)]
    frames[0].save(tmp_path / "x.webp", save_all=True, append_images=frames[1:], duration=500, lossless=True)
    assert explain(tmp_path / "x.webp", "--frames", "all", "--output", tmp_path / "why", "--quiet") == 0
    found = numbers(tmp_path / "why" / "x.json")
    assert (found["frame"], found["seconds"]) == (1, 0.5)
    assert found["score"] == pytest.approx(0.99, abs=0.005)


def test_the_highest_frame_of_a_film(tmp_path: Path) -> None:
    """At its time."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    data = io.BytesIO()
    with av.open(data, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width = stream.height = 256
        stream.pix_fmt, stream.bit_rate = "yuv420p", 8_000_000
        for path in [PICTURE] * 8 + [HIGH] * 4 + [PICTURE] * 4:
            container.mux(stream.encode(av.VideoFrame.from_image(Image.open(path).convert("RGB"))))
        container.mux(stream.encode(None))
    (tmp_path / "clip.mkv").write_bytes(data.getvalue())
    assert explain(tmp_path / "clip.mkv", "--output", tmp_path / "why", "--quiet") == 0
    found = numbers(tmp_path / "why" / "clip.json")
    assert (found["frame"], found["seconds"], found["track"]) == (8, 2.0, None)
    assert found["format"] == "MATROSKA" and found["score"] > 0.8


def test_other_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused in one line, before anything is written; any net is explained by occlusion."""
    options = write_model(tmp_path, small_net(kind="Sigmoid"), caffemodel(SMALL_WEIGHTS))
    assert explain(PICTURE, "--output", tmp_path / "why", *options) == 2
    assert not (tmp_path / "why").exists()
    line = capsys.readouterr().err
    assert line == (
        f"open-nsfw explain: error: {tmp_path / 'net.prototxt'}: no Softmax layer with an input of its own makes "
        '"prob"; open-nsfw explain --occlusion takes any net\n'
    )
    assert explain(PICTURE, "--output", tmp_path / "why", "--occlusion", "--quiet", *options) == 0
    found = numbers(tmp_path / "why" / "0.500-rocket.json")
    assert found["method"] == "occlusion" and found["bias"] is None
    assert np.array(found["cells"]).shape == (7, 7)


def test_names_may_be_anything(tmp_path: Path) -> None:
    """Those of an archive's members lead nowhere else and are cut to what a file may be called."""
    names = [
        "../../up.jpg",
        "C:\\x\\..jpg",
        "x" * 300 + ".jpg",
        "\x1b[31m.jpg",
        "/etc/passwd.jpg",
        "a/..",
        "\u00e9.jpg",
    ]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), PICTURE.read_bytes())
    assert explain(tmp_path / "x.zip", "--output", tmp_path / "deep" / "why", "--quiet") == 0
    expected = ["up", "jpg", "picture", "x" * 200, "_[31m", "passwd", "\u00e9"]
    written = sorted(path.stem for path in (tmp_path / "deep" / "why").glob("*.png"))
    assert written == sorted(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "x.zip"]


def test_a_folder_with_something_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is left as it is unless --overwrite is given."""
    (tmp_path / "0.500-rocket.png").write_text("mine")
    assert explain(PICTURE, "--output", tmp_path) == 2
    line = f"open-nsfw explain: error: {tmp_path}: is not empty; --overwrite replaces files of the same names\n"
    assert capsys.readouterr().err == line
    assert (tmp_path / "0.500-rocket.png").read_text() == "mine"
    assert explain(PICTURE, "--output", tmp_path, "--overwrite", "--quiet") == 0
    assert (tmp_path / "0.500-rocket.png").read_bytes().startswith(b"\x89PNG")


def test_what_has_only_sound_is_passed_over(tmp_path: Path) -> None:
    """In a folder; named on the command line it has its line."""
    films = pytest.importorskip("tests.tools.films", reason="PyAV is not installed")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "song").write_bytes(films.sound())
    shutil.copy(PICTURE, folder / "x.jpg")
    assert explain(folder, "--output", tmp_path / "why", "--quiet") == 0
    assert sorted(path.name for path in (tmp_path / "why").iterdir()) == ["x.json", "x.png"]
    assert explain(folder / "song", "--output", tmp_path / "other", "--quiet") == 1


def test_names_that_end_as_blurred_pictures_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody's heat map or blurred picture takes the place of another's."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(HIGH, folder / "a.jpg")
    shutil.copy(PICTURE, folder / "a.blurred.jpg")
    for options, expected in (([], 2), (["--blur-below", "0.2"], 4)):
        output = tmp_path / f"why{len(options)}"
        assert explain(folder, "--output", output, *options) == 0
        named = [line.rpartition(": ")[2] for line in capsys.readouterr().out.splitlines()]
        assert len(named) == len(set(named)) == expected
        assert sorted(named) == sorted(str(path) for path in output.glob("*.png"))


def test_no_picture_is_replaced_by_its_own_heat_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even with --overwrite; nor is a heat map of this run taken for a picture."""
    folder, below = tmp_path / "photos", tmp_path / "photos" / "maps"
    folder.mkdir()
    with Image.open(PICTURE) as image:
        image.save(folder / "x.png")
    before = (folder / "x.png").read_bytes()
    for output in (folder, below):
        assert explain(folder, "--output", output, "--overwrite") == 2
        what = f"lies in the input {folder}; name an --output outside of it"
        assert capsys.readouterr().err == f"open-nsfw explain: error: {output}: {what}\n"
    assert explain(folder / "x.png", "--output", folder, "--overwrite") == 2
    what = f"has the input {folder / 'x.png'}, which could be replaced; name another --output"
    assert capsys.readouterr().err == f"open-nsfw explain: error: {folder}: {what}\n"
    assert (folder / "x.png").read_bytes() == before and [*folder.iterdir()] == [folder / "x.png"]
