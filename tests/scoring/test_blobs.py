"""Scores that carry blobs."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring.blobs import BlobClassifier, BlobEngine, BlobScore
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
    with pytest.raises(ModelError, match=r'deploy\.prototxt: the net makes no blob "pooling"; it makes prob$'):
        BlobEngine(find_model_files(), ["pooling"])


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
