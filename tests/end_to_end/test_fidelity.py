"""Fidelity: every engine's scores against real Caffe's, stored (golden) and, where pycaffe is, computed now.

The worst differences end the output of the test run as a table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from open_nsfw import InputError, load_model
from tests.tools.helpers import DATA, MODEL_DEF, WEIGHTS, engines, needs_caffe, run_command
from tests.tools.pictures import fidelity_pictures, sha256

TOLERANCE = {"onnxruntime": 1e-5, "caffe": 1e-6}
GOLDEN: dict[str, Any] = {
    row["sha256"]: row for row in json.loads((DATA / "golden_scores.json").read_text(encoding="utf-8"))["pictures"]
}
PICTURES = fidelity_pictures()

Scores = dict[str, "float | None"]  # by the picture's name; None where it cannot be scored


@pytest.fixture(scope="module", params=engines())
def scored(request: pytest.FixtureRequest) -> tuple[str, Scores]:
    """(engine, its scores of all pictures)."""
    model = load_model(engine=request.param)
    return request.param, {name: score_or_none(model, path) for name, path in PICTURES.items()}


def score_or_none(model: Any, path: Path) -> float | None:
    try:
        return float(model.score(path))
    except InputError:
        return None


@pytest.fixture(scope="module")
def golden() -> Scores:
    """Real Caffe's stored scores of the pictures that are here."""
    hashes = {name: sha256(path) for name, path in PICTURES.items()}
    return {name: GOLDEN[digest]["score"] for name, digest in hashes.items() if digest in GOLDEN}


def differences(ours: Scores, reference: Scores) -> dict[str, float]:
    """Of every picture that both can score; that they agree on which can is asserted."""
    assert [name for name in reference if (ours[name] is None) != (reference[name] is None)] == []
    return {name: abs(ours[name] - value) for name, value in reference.items() if value is not None}  # type: ignore[operator]


def test_the_set_is_whole(golden: Scores) -> None:
    """Nothing went missing, and the pictures cover the whole range of scores."""
    unknown = [name for name in PICTURES if name not in golden and not name.startswith("skimage/")]
    assert unknown == [], "no golden score: run tests.tools.regenerate_golden"
    groups = {
        group: [name for name in golden if name.startswith(group)] for group in ("skimage/", "pictures/", "pushed/")
    }
    assert len(groups["skimage/"]) >= 20 and len(groups["pictures/"]) >= 60 and len(groups["pushed/"]) >= 18
    pushed = sorted(value for name, value in golden.items() if name.startswith("pushed/") and value is not None)
    assert pushed[0] < 0.06 and pushed[-1] > 0.98
    assert max(high - low for low, high in zip(pushed, pushed[1:])) < 0.11


def test_known_scores_by_name(golden: Scores) -> None:
    """A few written out by hand, as Yahoo's own script gave them."""
    for name, score in {"coffee.png": 0.0129502, "retina.jpg": 0.176106, "moon.png": 0.0495008}.items():
        assert golden[f"skimage/{name}"] == pytest.approx(score, abs=1e-6)


def test_against_the_golden_scores(scored: tuple[str, Scores], golden: Scores, fidelity_table: Any) -> None:
    engine, scores = scored
    found = differences({name: scores[name] for name in golden}, golden)
    fidelity_table(engine, "stored scores of Caffe 1.0", len(found), max(found.values()))
    assert {name: off for name, off in found.items() if not off <= TOLERANCE[engine]} == {}


@needs_caffe
def test_against_caffe_now(scored: tuple[str, Scores], live: Scores, fidelity_table: Any) -> None:
    engine, scores = scored
    found = differences(scores, live)
    fidelity_table(engine, "Caffe 1.0, computed now", len(found), max(found.values()))
    assert {name: off for name, off in found.items() if not off <= TOLERANCE[engine]} == {}


@pytest.fixture(scope="module")
def live() -> Scores:
    """The scores of the independent reference, which shares no code with the package."""
    from PIL import UnidentifiedImageError

    from tests.tools import caffe_reference

    net = caffe_reference.load_net(MODEL_DEF, WEIGHTS)
    scores: Scores = {}
    for name, path in PICTURES.items():
        try:
            scores[name] = caffe_reference.score(path, net)
        except UnidentifiedImageError:
            scores[name] = None
    return scores


def test_the_command_gives_the_same_scores(scored: tuple[str, Scores]) -> None:
    """Through decoding processes, threads and rows, to the last bit, each picture one row in order."""
    engine, scores = scored
    result = run_command("--engine", engine, *PICTURES.values(), "--format", "jsonl")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row["path"] for row in rows] == [str(path) for path in PICTURES.values()]
    found = {name: row["score"] for name, row in zip(PICTURES, rows)}
    # One thread for each picture here, several there: the last bits may differ.
    off = differences(found, scores)
    assert max(off.values()) <= (0 if engine == "caffe" else 1e-6)
    assert result.status == (1 if None in found.values() else 0)
