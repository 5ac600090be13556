"""Prototxts from strangers: refused in one line, without minutes or gigabytes spent on them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from open_nsfw.errors import ModelError, UnsupportedLayerError
from open_nsfw.nets.prototxt import SUPPORTED_TYPES, read_prototxt

SECONDS = (
    10.0  # each of the texts below took 30 seconds to six minutes where the time grows with the square of the length
)
TRAIN_AND_TEST = """\
name: "both phases"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } data_param { batch_size: 8 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } data_param { batch_size: 8 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def refusal(folder: Path, text: str) -> str:
    """What is wrong with the text, without the path, found within `SECONDS`."""
    path = folder / "net.prototxt"
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        read_prototxt(path)
    assert time.monotonic() - started < SECONDS
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)[len(f"{path}: ") :]


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("end", ["", "\n", '\ninput: "data"'])
def test_a_long_string_of_quotes_without_an_end(quote: str, end: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, f"name: {quote}" + f"\\{quote}" * 100_000 + end)
    assert message.startswith("not a readable prototxt: 1:7 : ")
    assert len(message) < 400


def test_a_shape_of_very_many_dimensions(tmp_path: Path) -> None:
    dims = f"dim: {2**62} " * 80_000
    expected = 'input "data" has 80000 axes; a blob of Caffe has at most 32'
    assert refusal(tmp_path, f'input: "data" input_shape {{ {dims} }}') == expected
    inside = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}'
    assert refusal(tmp_path, inside) == expected


def test_a_size_whose_product_overflows(tmp_path: Path) -> None:
    text = f'input: "data" input_shape {{ {f"dim: {2**40} " * 2} }}'
    shape = [2**40, 2**40]
    expected = f'input "data" of shape {shape} has more values than a blob of Caffe can have'
    assert refusal(tmp_path, text) == expected


def test_a_layer_of_the_test_phase_is_named_though_others_were_left_out(tmp_path: Path) -> None:
    """The form for training: what stops the net is its Data layer, not the field that only such layers have."""
    path = tmp_path / "net.prototxt"
    path.write_text(TRAIN_AND_TEST)
    with pytest.raises(UnsupportedLayerError) as caught:
        read_prototxt(path)
    assert str(caught.value) == (
        f'{path}: layer "data" has the type Data, which is not supported; supported are {", ".join(sorted(SUPPORTED_TYPES))}'
    )
