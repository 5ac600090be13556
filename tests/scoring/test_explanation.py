"""Why this score: bias and cells add up to the logit, on every engine and on random nets."""

from __future__ import annotations

import importlib.util
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from open_nsfw import Classifier, EngineError, Explainer, InputError, ModelError, load_model
from open_nsfw.pictures.pixels import resized_pixels
from open_nsfw.scoring.fast import logit
from tests.tools.helpers import DATA, OTHER_PICTURE, PICTURE, caffemodel, engines, small_net, write_model
from tests.tools.residual_nets import random_residual_net

ENGINES = [*engines(), *(["openvino"] if importlib.util.find_spec("openvino") else [])]
PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


@pytest.fixture(scope="module", params=ENGINES)
def model(request: pytest.FixtureRequest) -> Classifier:
    """The packaged model on one of the engines."""
    return load_model(engine=request.param)


def off(explanation: object) -> float:
    """By how much bias and cells miss the logit."""
    return abs(explanation.bias + explanation.cells.sum(dtype=np.float64) - explanation.logit)  # type: ignore[attr-defined]


def test_bias_and_cells_are_the_logit(model: Classifier) -> None:
    """Within 1e-5, over the whole range of scores; and the score is the very one that is not explained."""
    explainer = Explainer(model)
    for path in (*PUSHED[::4], OTHER_PICTURE):
        found = explainer.explain(path)
        assert found.cells.dtype == np.float32 and found.cells.shape == (7, 7)
        assert off(found) <= 1e-5
        assert found.score == model.score(path)
        assert found.logit == pytest.approx(logit(found.score), abs=1e-3)
        assert found.method == "exact"
    assert found.bias == pytest.approx(2.03818, abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(4))
def test_random_residual_nets(engine: str, seed: int, tmp_path: Path) -> None:
    """Of any depth, width, branch and input size."""
    files = random_residual_net(tmp_path, seed)
    explainer = Explainer(load_model(files.model_def, files.pretrained_model, engine=engine))
    found = [explainer.explain(path) for path in PUSHED[:3]]
    assert max(map(off, found)) <= 1e-5
    assert len({each.score for each in found}) == 3
    assert all(min(each.cells.shape) >= 2 and np.ptp(each.cells) > 0 for each in found)


def test_what_is_seen_is_what_counts() -> None:
    """The border changes nothing; a change inside one corner changes most in that corner."""
    explainer = Explainer(load_model(engine="onnxruntime"))
    pixels = resized_pixels(PICTURE).copy()
    (before,) = explainer.score_pixels([pixels])
    pixels[:16], pixels[:, :16] = 255, 0
    (border,) = explainer.score_pixels([pixels])
    np.testing.assert_array_equal(before.explanation.cells, border.explanation.cells)  # type: ignore[attr-defined]
    pixels[-60:, -60:] = np.random.default_rng(1).integers(0, 256, (60, 60, 3))
    (corner,) = explainer.score_pixels([pixels])
    change = np.abs(corner.explanation.cells - before.explanation.cells)  # type: ignore[attr-defined]
    assert change[5:, 5:].sum() > change[:3, :3].sum() * 3


def test_other_heads_are_refused_and_occlusion_takes_them(tmp_path: Path) -> None:
    """One line that names the reason and the way out."""
    files = random_residual_net(tmp_path, 1, classes=3)
    model = load_model(files.model_def, files.pretrained_model, engine="onnxruntime")
    with pytest.raises(ModelError) as caught:
        Explainer(model)
    line = "the softmax is over 3 values; an exact explanation needs 2 classes; open-nsfw explain --occlusion takes any net"
    assert str(caught.value) == f"{files.model_def}: {line}"
    found = Explainer(model, occlusion=True).explain(PICTURE)
    assert found.bias is None and found.method == "occlusion"
    assert found.cells.shape == (7, 7) and found.cells.dtype == np.float32
    assert found.score == model.score(PICTURE)


@pytest.mark.parametrize("engine", ENGINES)
def test_occlusion_is_what_covering_takes(engine: str) -> None:
    """Each number against a picture with that square covered by hand."""
    model = load_model(engine=engine)
    found = Explainer(model, occlusion=True).explain(PICTURE)
    blob = model.engine.blob_from_pixels(resized_pixels(PICTURE)[np.newaxis, 16:240, 16:240])
    for row, column in ((0, 0), (3, 2), (6, 6)):
        covered = blob.copy()
        covered[..., 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 0
        score = float(model.engine.forward(covered)[0, 1])
        assert found.cells[row, column] == pytest.approx(found.logit - logit(score), abs=1e-4)


def test_occlusion_of_a_net_without_softmax(tmp_path: Path) -> None:
    """Its logits are those of its probabilities."""
    options = write_model(tmp_path, small_net(kind="Sigmoid"))
    model = load_model(options[1], options[3], engine="onnxruntime")
    found = Explainer(model, occlusion=True).explain(PICTURE)
    assert math.isfinite(found.logit) and np.isfinite(found.cells).all()


def test_engines_that_are_not_exact_are_refused() -> None:
    """Their sums would be those of another score."""
    with pytest.raises(
        EngineError, match="^an explanation is of the exact score, which onnxruntime-int8 does not compute$"
    ):
        Explainer(load_model(engine="onnxruntime", precision="int8"))


def test_a_picture_that_cannot_be_read() -> None:
    """As `score` has it."""
    with pytest.raises(InputError, match="there is no such file"):
        Explainer(load_model(engine="onnxruntime")).explain("missing.jpg")


def test_several_threads(model: Classifier) -> None:
    """The same numbers as one after the other."""
    explainer = Explainer(model)
    expected = [explainer.explain(path).cells for path in PUSHED[:4]]
    with ThreadPoolExecutor(4) as threads:
        for cells, found in zip(expected * 2, threads.map(explainer.explain, PUSHED[:4] * 2)):
            np.testing.assert_array_equal(found.cells, cells)


@pytest.mark.parametrize("occlusion", [False, True])
@pytest.mark.parametrize("weight", [np.nan, np.inf, 1e36])
def test_weights_that_are_no_numbers(tmp_path: Path, weight: float, occlusion: bool) -> None:
    """Have the picture's error, and no warning of NumPy's."""
    weights = np.stack([np.full((3, 1, 1), -weight), np.full((3, 1, 1), weight)])
    options = write_model(tmp_path, small_net(), caffemodel({"c": [weights, np.zeros(2)]}))
    explainer = Explainer(load_model(options[1], options[3], engine="onnxruntime"), occlusion=occlusion)
    with pytest.raises(InputError) as caught:
        explainer.explain(PICTURE)
    assert caught.value.code == "not-finite"


def test_a_net_of_one_value_has_no_score(tmp_path: Path) -> None:
    """As where it is only scored."""
    options = write_model(tmp_path, small_net(outputs=1), caffemodel({"c": [np.ones((1, 3, 1, 1)), np.zeros(1)]}))
    model = load_model(options[1], options[3], engine="onnxruntime")
    with pytest.raises(ModelError, match=r'the blob "prob" has 1 value\(s\); the score is its second one$'):
        Explainer(model, occlusion=True)


def test_a_head_behind_a_rectifier_is_refused(tmp_path: Path) -> None:
    """pynetbuilder's `--fc_layers` ends so: its cells would add up to something else than the logit."""
    files = random_residual_net(tmp_path, 5, fc_layers=True)
    model = load_model(files.model_def, files.pretrained_model, engine="onnxruntime")
    with pytest.raises(
        ModelError, match=r"\(ReLU\): is behind the last feature map, and what it computes is no weighted sum"
    ):
        Explainer(model)
    assert np.isfinite(Explainer(model, occlusion=True).explain(PICTURE).cells).all()
