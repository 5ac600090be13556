"""A model that torch has tuned, stored with torch's scores: what other engines make of its files. Real Caffe is in no Python
that torch is in; tests/tools/make_tuned_golden.py makes the files again."""

from __future__ import annotations

import json

import pytest

from open_nsfw.scoring.load import load_model
from tests.tools.helpers import DATA, needs_caffe

FOLDER = DATA / "tuned"


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("caffe", marks=needs_caffe)])
def test_scores_are_those_of_torch(engine: str) -> None:
    """To 1e-5; and they are not all alike."""
    model = load_model(FOLDER / "deploy.prototxt", FOLDER / "tuned.caffemodel", engine=engine)
    expected = json.loads((FOLDER / "scores.json").read_text())
    assert max(expected.values()) - min(expected.values()) > 0.001
    for name, score in expected.items():
        assert float(model.score(DATA / "pushed" / name)) == pytest.approx(score, abs=1e-5)
