"""Scores that carry blobs."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring.blobs import BlobClassifier, BlobEngine, BlobScore, blob_model
from open_nsfw.scoring.load import load_model
from open_nsfw.scoring.model_files import find_model_files
from tests.tools.helpers import MODEL_DEF, PICTURE, WEIGHTS, needs_caffe

BLOBS = ["pool1", "conv_stage3_block2_branch2c", "eltwise_stage3_block2", "pool", "fc_nsfw"]


def test_the_score_is_the_exact_one() -> None:
    """To 1e-5, and it carries what was asked for."""
    (score,) = BlobClassifier(find_model_files(), ["pool"]).score_pixels([resized_pixels(PICTURE)])
    assert score == pytest.approx(load_model(engine="onnxruntime").score(PICTURE), abs=1e-5)
    assert isinstance(score, BlobScore)
    assert {name: blob.shape for name, blob in score.blobs.items()} == {"pool": (1024, 1, 1)}


def test_unknown_blob() -> None:
    """One line with what there is."""
    with pytest.raises(
        ModelError,
        match=r'deploy\.prototxt: the net makes no blob "pooling"; its last ones are .*, pool, fc_nsfw, prob$',
    ):
        BlobEngine(find_model_files(), ["pooling"])


def test_a_model_that_was_converted_before(tmp_path: Path) -> None:
    """Gives the same, bit for bit."""
    files, names = find_model_files(), ["pool", "fc_nsfw"]
    (tmp_path / "blobs.onnx").write_bytes(blob_model(files, names))
    engines = [BlobEngine(files, names, 1), BlobEngine(files, names, 1, tmp_path / "blobs.onnx")]
    blob = to_blob(crop(resized_pixels(PICTURE), 224, 224)[np.newaxis])
    found = [engine.compute(blob) for engine in engines]
    assert found[0].keys() == found[1].keys() == {"pool", "fc_nsfw", "prob"}
    assert all((found[0][name] == found[1][name]).all() for name in found[0])
    assert engines[0].shapes == engines[1].shapes == {"pool": (1024, 1, 1), "fc_nsfw": (2,)}


@needs_caffe
def test_blobs_are_those_of_caffe() -> None:
    """Of layers in place, too, what the blob holds when all layers have run."""
    caffe = importlib.import_module("caffe")
    net = caffe.Net(str(MODEL_DEF), str(WEIGHTS), caffe.TEST)
    blob = to_blob(crop(resized_pixels(PICTURE), 224, 224)[np.newaxis])
    net.blobs["data"].data[...] = blob
    net.forward()
    for name, value in BlobEngine(find_model_files(), BLOBS).compute(blob).items():
        np.testing.assert_allclose(value.ravel(), net.blobs[name].data.ravel(), rtol=1e-3, atol=1e-4)
