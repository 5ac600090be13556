"""Parameters that layers share: what they hold is in test_as_caffe.py; that they are not trained, here."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.errors import ModelError
from open_nsfw.nets.read import read_net
from open_nsfw.nets.sharing import check_not_shared
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.training.head import find_head
from open_nsfw.training.stages import ALL, find_part
from tests.tools.helpers import caffemodel, ones

TEXT = """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 2] } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 2 } param { name: "w" } }
layer { name: "fc" type: "InnerProduct" bottom: "a" top: "fc" inner_product_param { num_output: 2 } param { name: "w" } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
MESSAGE = 'layer "{}" (InnerProduct): it shares the parameter "w" with layer "{}"; shared parameters cannot be trained'


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A net whose head has the weights of the layer below it."""
    model_def, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model_def.write_text(TEXT)
    weights.write_bytes(caffemodel({"a": [ones(2, 2), ones(2)], "fc": [ones(2, 2), ones(2)]}))
    return model_def, weights


def test_a_head_that_shares_its_weights(files: tuple[Path, Path]) -> None:
    with pytest.raises(ModelError) as caught:
        find_head(find_model_files(*files))
    assert str(caught.value) == MESSAGE.format("fc", "a")


def test_a_part_whose_layers_share_weights(files: tuple[Path, Path]) -> None:
    with pytest.raises(ModelError) as caught:
        find_part(read_net(*files), ALL)
    assert str(caught.value) == MESSAGE.format("a", "fc")


def test_names_that_no_other_layer_has(files: tuple[Path, Path]) -> None:
    """A parameter may have a name and be nobody else's."""
    files[0].write_text(TEXT.replace('"w"', '"v"', 1))
    check_not_shared(read_net(*files), {"a", "fc"})
