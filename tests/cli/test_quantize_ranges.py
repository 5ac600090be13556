"""`open-nsfw quantize-ranges`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from open_nsfw.cli import quantize_ranges
from open_nsfw.scoring import margins
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.int8_engine import Int8Engine
from open_nsfw.scoring.model_files import ModelFiles, find_model_files, read_ranges
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine
from tests.tools.helpers import DATA, MODEL_DEF, WEIGHTS, caffemodel, small_net, write_model

PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """The packaged model."""
    return find_model_files(MODEL_DEF, WEIGHTS)


@pytest.fixture(scope="module")
def exact(files: ModelFiles) -> OnnxRuntimeEngine:
    """In float32."""
    return OnnxRuntimeEngine(files, threads=1)


def test_ranges_of_a_folder(files: ModelFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verb, on the packaged model: half of the folder for the ranges, half for the margin, and the file is used."""
    folder, output = tmp_path / "pictures", tmp_path / "ranges.json"
    folder.mkdir()
    for index, path in enumerate(sorted((DATA / "held_back").glob("*.jpg"))[:60]):
        (folder / f"{index:03}.jpg").write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    assert quantize_ranges.main([str(folder), "--output", str(output)]) == 0
    out, err = capsys.readouterr()
    known, _ = read_ranges(files, output)
    assert out == margins.describe(known) + "\n"
    assert out.startswith(
        f"decoded in full: margin {known.full.logits:g} logits; over {known.full.pictures} held-back pictures ("
    )
    assert 20 <= known.full.pictures <= 30  # half of them, without large JPEG
    assert out.splitlines()[1] == (
        "JPEG decoded at reduced size: no margin, for want of 20 such pictures; all are scored exactly"
    )
    assert f"{folder / 'broken.jpg'} is left out: a damaged JPEG file" in err
    assert known.full.reach < known.full.logits
    assert known.reduced is None
    assert Int8Engine(files, 1, output).ranges == known


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["HERE"], "--output is missing; write open-nsfw quantize-ranges FOLDER --output FILE"),
        (["HERE/none", "--output", "x"], "HERE/none: a folder of pictures is needed"),
        (["HERE", "--output", "x"], "HERE: too few pictures to measure on (1); at least 40 are needed"),
        (
            ["HERE", "--held-back", "HERE", "--output", "x"],
            "HERE: too few pictures to measure on (1); at least 20 are needed",
        ),
        (["HERE", "--output", "HERE/no/x"], "HERE/no/x: cannot be written: No such file or directory"),
    ],
)
def test_ranges_that_cannot_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit status 2 and one line."""
    (tmp_path / "one.jpg").write_bytes(PUSHED[0].read_bytes())
    status = quantize_ranges.main([each.replace("HERE", str(tmp_path)) for each in arguments])
    assert status == 2
    expected = f"open-nsfw quantize-ranges: error: {message}".replace("HERE", str(tmp_path))
    assert capsys.readouterr().err.splitlines()[-1] == expected


@pytest.mark.once
def test_safe_pictures_alone_are_told(
    exact: OnnxRuntimeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usual folder has none near a threshold. The margin is not 0 for that."""
    classifier = Classifier(exact)
    safe = [path for path in sorted((DATA / "held_back").iterdir()) if classifier.score(path.read_bytes()) < 0.015]
    for path in safe:
        with Image.open(path) as image:
            image.resize((300, 300)).save(tmp_path / f"{path.stem}.png")
    output = tmp_path / "ranges.json"
    assert quantize_ranges.main([str(tmp_path), "--output", str(output)]) == 0
    assert "open-nsfw quantize-ranges: only 0 of the held-back pictures have scores of 0.02 to 0.98; " in (
        capsys.readouterr().err
    )
    full = read_ranges(find_model_files(), output)[0].full
    assert full.near == 0 and full.reach == full.worst < full.logits


def test_the_same_content_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies say no more than one picture, and must not be on both sides."""
    for index in range(40):
        (tmp_path / f"{index:02}.jpg").write_bytes(PUSHED[0].read_bytes())
    assert quantize_ranges.main([str(tmp_path), "--output", str(tmp_path / "ranges.json")]) == 2
    *left_out, last = capsys.readouterr().err.splitlines()
    assert left_out[0] == (
        f"open-nsfw quantize-ranges: {tmp_path / '02.jpg'} is left out: another picture has the same content"
    )
    assert (
        last
        == f"open-nsfw quantize-ranges: error: {tmp_path}: too few pictures to measure on (1); at least 20 are needed"
    )


@pytest.mark.parametrize(
    ("net", "weights", "message"),
    [
        (small_net(channels=1), np.zeros((2, 1, 1, 1)), "a net that reads pictures of 3 channels is needed"),
        (small_net(height=300, width=300), np.zeros((2, 3, 1, 1)), "the net reads (300, 300) pixels"),
        (small_net(), np.full((2, 3, 1, 1), np.nan), "has values that are not finite"),
    ],
)
def test_nets_that_have_no_ranges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], net: str, weights: np.ndarray, message: str
) -> None:
    """One line and exit status 2."""
    model = write_model(tmp_path, net, caffemodel({"c": [weights.astype(np.float32), np.zeros(2)]}))
    assert quantize_ranges.main([str(DATA / "held_back"), "--output", str(tmp_path / "x"), *map(str, model)]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x").exists()


def test_held_back_pictures_are_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a link leads to the same folder."""
    (tmp_path / "pictures").mkdir()
    for index in range(20):
        (tmp_path / "pictures" / f"{index:02}.jpg").write_bytes(PUSHED[0].read_bytes())
    (tmp_path / "others").symlink_to("pictures")
    output = tmp_path / "x"
    arguments = [str(tmp_path / "pictures"), "--held-back", str(tmp_path / "others"), "--output", str(output)]
    assert quantize_ranges.main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"open-nsfw quantize-ranges: error: {tmp_path / 'pictures' / '00.jpg'} is in both folders; "
        "--held-back needs other pictures"
    )
    assert not output.exists()
