"""The head of a net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.training.head import Head, find_head
from tests.tools.helpers import SMALL_WEIGHTS, caffemodel, ones, small_net, write_model

WHAT = 'fine-tuning needs an InnerProduct layer of 2 outputs with a bias, whose outputs a Softmax layer makes "prob" of'


def files(folder: Path, prototxt: str, weights: bytes) -> ModelFiles:
    """Both files of a net."""
    _, model_def, _, pretrained = write_model(folder, prototxt, weights)
    return find_model_files(model_def, pretrained)


def fc_net(outputs: int = 2, settings: str = "") -> str:
    """Input -> convolution "c" -> fully connected "fc" -> prob."""
    return f"""\
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: 8 dim: 8 }} }} }}
layer {{ name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {{ num_output: 4 kernel_size: 8 }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "c" top: "fc" inner_product_param {{ num_output: {outputs} {settings} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}
"""


def test_of_the_packaged_net() -> None:
    """Its layer, blob and shape."""
    head = find_head(find_model_files())
    assert (head.layer, head.features, head.weights.shape, head.bias.shape) == ("fc_nsfw", "pool", (2, 1024), (2,))


@pytest.mark.parametrize(
    ("outputs", "settings", "blobs", "problem"),
    [
        (3, "", [ones(3, 4), ones(3)], 'the layer "fc" has 3 outputs'),
        (2, "bias_term: false", [ones(2, 4)], 'the layer "fc" has no bias'),
        (2, "transpose: true", [ones(4, 2), ones(2)], 'the layer "fc" is transposed or has another axis than 1'),
    ],
)
def test_another_shape(outputs: int, settings: str, blobs: list[object], problem: str, tmp_path: Path) -> None:
    """One line that says what is needed."""
    weights = caffemodel({"c": [ones(4, 3, 8, 8), ones(4)], "fc": blobs})
    with pytest.raises(ModelError) as caught:
        find_head(files(tmp_path, fc_net(outputs, settings), weights))
    assert str(caught.value) == f"{tmp_path / 'net.prototxt'}: {problem}; {WHAT}"


@pytest.mark.parametrize("kind", ["Softmax", "Sigmoid"])
def test_no_fully_connected_layer(kind: str, tmp_path: Path) -> None:
    """One line that says what is needed."""
    with pytest.raises(ModelError) as caught:
        find_head(files(tmp_path, small_net(kind=kind), caffemodel(SMALL_WEIGHTS)))
    problem = "its score does not come from a fully connected layer"
    assert str(caught.value) == f"{tmp_path / 'net.prototxt'}: {problem}; {WHAT}"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    """One line that names the layer."""
    weights = caffemodel({"c": [np.full((4, 3, 8, 8), value), ones(4)], "fc": [ones(2, 4), ones(2)]})
    with pytest.raises(ModelError) as caught:
        find_head(files(tmp_path, fc_net(), weights))
    problem = 'layer "c" (Convolution) has weights that are not finite numbers'
    assert str(caught.value) == f"{tmp_path / 'net.caffemodel'}: {problem}"


def test_a_change_is_shared_by_both_logits() -> None:
    """The difference is the one asked for, the sum of both logits what it was."""
    random = np.random.default_rng(0)
    head = Head("fc", "pool", random.normal(size=(2, 5)), random.normal(size=2))
    direction = random.normal(size=5)
    new = head.with_difference(direction, 0.25)
    np.testing.assert_allclose(new.direction, direction, atol=1e-12)
    assert new.offset == pytest.approx(0.25, abs=1e-12)
    np.testing.assert_allclose(new.weights.sum(0), head.weights.sum(0), atol=1e-12)
    assert new.bias.sum() == pytest.approx(head.bias.sum(), abs=1e-12)
