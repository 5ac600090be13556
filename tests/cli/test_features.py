"""`open-nsfw features`: blobs of many pictures as a table."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.pictures.pixels import resized_pixels
from open_nsfw.scoring.blobs import BlobClassifier, BlobScore
from open_nsfw.scoring.load import load_model
from open_nsfw.scoring.model_files import find_model_files
from tests.tools.helpers import DATA, PICTURE, SMALL_WEIGHTS, caffemodel, small_net, write_model

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed in this interpreter")


def test_blobs_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for every picture and frame; the blobs are those of the classifier, prob is the exact score."""
    folder, output = tmp_path / "x", tmp_path / "x.parquet"
    folder.mkdir()
    shutil.copy(PICTURE, folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"no picture")
    arguments = ["features", str(folder), str(DATA / "pictures" / "animated.gif"), "--blobs", "pool,prob"]
    assert open_nsfw([*arguments, "--output", str(output)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "2 pictures with pool, prob, 1 failed\n"
    assert captured.err.startswith(f"{folder / 'b.jpg'}: ") and captured.err.count("\n") == 1
    table = parquet.read_table(output)
    rows = table.to_pylist()
    assert [Path(row["path"]).name for row in rows] == ["a.jpg", "b.jpg", "animated.gif"]
    assert "score" not in table.column_names
    assert json.loads(table.schema.field("pool").metadata[b"shape"]) == [1024, 1, 1]
    assert rows[1]["pool"] is rows[1]["prob"] is None
    assert rows[1]["error"].startswith("not-a-picture: ")
    (score,) = BlobClassifier(find_model_files(), ["pool"]).score_pixels([resized_pixels(PICTURE)])
    assert isinstance(score, BlobScore)
    np.testing.assert_array_equal(rows[0]["pool"], score.blobs["pool"].ravel())
    assert rows[0]["prob"][1] == pytest.approx(load_model(engine="onnxruntime").score(PICTURE), abs=1e-5)


def test_a_net_without_scores(tmp_path: Path) -> None:
    """Any net that the converter reads has blobs."""
    prototxt = small_net(outputs=5, top="end", kind="Sigmoid")
    weights = caffemodel({"c": [np.ones((5, 3, 1, 1)), np.zeros(5)]})
    options = write_model(tmp_path, prototxt, weights)
    output = tmp_path / "x.parquet"
    assert open_nsfw(["features", str(PICTURE), "--blobs", "p,end", "--output", str(output), "--quiet", *options]) == 0
    (row,) = parquet.read_table(output).to_pylist()
    assert len(row["p"]) == len(row["end"]) == 5


def failed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The line of a call that ends with status 2."""
    assert open_nsfw(["features", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err.removeprefix("open-nsfw features: error: ").rstrip("\n")


def test_bad_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, and no file."""
    output = tmp_path / "x.parquet"
    line = failed(capsys, PICTURE, "--blobs", "pool,,prob", "--output", output)
    assert line == "--blobs: names of blobs with commas between are needed, each once, not 'pool,,prob'"
    line = failed(capsys, PICTURE, "--blobs", "nothing", "--output", output)
    assert line.endswith(
        'deploy.prototxt: the net makes no blob "nothing"; its last ones are eltwise_stage3_block2, pool, fc_nsfw, prob'
    )
    options = write_model(tmp_path, small_net(top="path", kind="Sigmoid"), caffemodel(SMALL_WEIGHTS))
    line = failed(capsys, PICTURE, "--blobs", "path", "--output", output, *options)
    assert line == "--blobs path: a column of the table has this name"
    line = failed(capsys, PICTURE, "--output", tmp_path / "no" / "x.parquet")
    assert line == f"{tmp_path}/no/x.parquet: cannot be written: No such file or directory"
    assert not output.exists()
    output.write_text("mine")
    line = failed(capsys, PICTURE, "--output", output)
    assert line == f"{output}: exists already; --overwrite replaces it"
    assert output.read_text() == "mine"
    os.mkfifo(tmp_path / "pipe")
    line = failed(capsys, PICTURE, "--output", tmp_path / "pipe")
    assert line == f"{tmp_path}/pipe: cannot be written: it is no plain file"


def test_a_link_as_output_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.parquet").symlink_to("table.parquet")
    options = write_model(tmp_path, small_net(), caffemodel(SMALL_WEIGHTS))
    output = str(tmp_path / "link.parquet")
    assert open_nsfw(["features", str(PICTURE), *map(str, options), "--blobs", "prob", "--output", output]) == 0
    assert (tmp_path / "link.parquet").is_symlink()
    assert parquet.read_table(tmp_path / "table.parquet").num_rows == 1


def test_a_net_of_another_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what is needed."""
    options = write_model(tmp_path, small_net(channels=4), caffemodel({"c": [np.ones((2, 4, 1, 1)), np.zeros(2)]}))
    line = failed(capsys, PICTURE, "--blobs", "p", "--output", tmp_path / "x.parquet", *options)
    what = (
        "a net that reads pictures of 3 channels and at most 256 x 256 pixels is needed, this one reads (4, 224, 224)"
    )
    assert line == f"{tmp_path / 'net.prototxt'}: {what}"
