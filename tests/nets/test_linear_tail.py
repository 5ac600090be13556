"""The end of a net as one weighted sum of its last feature map."""

from __future__ import annotations

import numpy as np
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.nets.caffemodel import with_weights
from open_nsfw.nets.initialize import initial_weights
from open_nsfw.nets.linear_tail import linear_tail, softmax_input
from open_nsfw.nets.net import Net
from open_nsfw.nets.onnx_graph import convert_blobs
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.scoring.onnx_runtime import open_session, run_session

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 7 } } }\n'
WEIGHTS = 'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 0.5 }'
FC = f"inner_product_param {{ num_output: 2 {WEIGHTS} }}"
SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" }'


def layer(kind: str, bottom: str, top: str, options: str = "") -> str:
    """One line of a prototxt."""
    return f'layer {{ name: "{top}_{kind}" type: "{kind}" bottom: "{bottom}" top: "{top}" {options} }}\n'


def made(text: str) -> Net:
    """The net of these layers behind the input, with random weights."""
    net = parse_prototxt(INPUT + text)
    return with_weights(net, initial_weights(net, 7))


AVERAGE = "pooling_param { pool: AVE kernel_size: 7 stride: 2 pad: 2 }"
OVERHANGING = "pooling_param { pool: AVE kernel_h: 4 kernel_w: 5 stride_h: 4 stride_w: 3 pad_h: 1 pad_w: 2 }"
CONV = f"convolution_param {{ num_output: 4 kernel_size: 3 {WEIGHTS} }}"
TO_TWO = f"convolution_param {{ num_output: 2 kernel_size: 1 {WEIGHTS} }}"
GLOBAL = "pooling_param { pool: AVE global_pooling: true }"
TAILS = {
    "as Yahoo's": layer("Pooling", "c", "p", GLOBAL) + layer("InnerProduct", "p", "f", FC),
    "no pooling": layer("InnerProduct", "c", "f", FC),
    "transposed, and what keeps values": layer("Pooling", "c", "p", GLOBAL)
    + layer("Dropout", "p", "p")
    + layer("Flatten", "p", "q")
    + layer("InnerProduct", "q", "f", FC.replace("num_output", "transpose: true num_output")),
    "two fully connected layers": layer("Pooling", "c", "p", GLOBAL)
    + layer("InnerProduct", "p", "g", FC.replace("num_output: 2", "num_output: 5"))
    + layer("InnerProduct", "g", "f", FC),
    "as SqueezeNet's": layer("Convolution", "c", "d", TO_TWO)
    + layer("ReLU", "d", "d")
    + layer("Pooling", "d", "f", GLOBAL),
}
MAPS = {"as SqueezeNet's": "d"}


@pytest.mark.parametrize("name", TAILS)
def test_bias_and_map_make_the_logit(name: str) -> None:
    """For random weights and inputs."""
    net = made(layer("Convolution", "data", "c", CONV) + layer("ReLU", "c", "c") + TAILS[name] + SOFTMAX)
    tail = linear_tail(net, "prob")
    assert (tail.map, tail.logits) == (MAPS.get(name, "c"), "f")
    blob = np.random.default_rng(3).normal(0, 1, (3, 3, 9, 7)).astype(np.float32)
    session = open_session(convert_blobs(net, [tail.map, "f"]))
    maps, logits = run_session(session, {"data": blob})
    sums = tail.bias + (maps * tail.weights).sum(axis=(1, 2, 3))
    flat = logits.reshape(3, 2)
    np.testing.assert_allclose(sums, flat[:, 1] - flat[:, 0], rtol=0, atol=1e-5)
    assert np.ptp(sums) > 0.01


@pytest.mark.parametrize("window", [AVERAGE, OVERHANGING, "pooling_param { pool: AVE kernel_size: 3 stride: 2 }"])
def test_windows_that_overlap_and_hang_over(window: str) -> None:
    """A map of one cell is no map: the average is gone through, by Caffe's divisors."""
    text = (
        layer("Pooling", "data", "a", window) + layer("Pooling", "a", "p", GLOBAL) + layer("InnerProduct", "p", "f", FC)
    )
    net = made(text + SOFTMAX)
    tail = linear_tail(net, "prob")
    assert tail.map == "a"
    inner = made(layer("Pooling", "data", "a", window) + layer("InnerProduct", "a", "f", FC) + SOFTMAX)
    assert linear_tail(inner, "prob").map == "a"


REFUSED = {
    "ReLU behind": (
        layer("Pooling", "c", "p", GLOBAL) + layer("InnerProduct", "p", "f", FC) + layer("ReLU", "f", "f") + SOFTMAX,
        'layer "f_ReLU" (ReLU): is behind the last feature map, and what it computes is no weighted sum',
    ),
    "maximum": (
        layer("Pooling", "c", "p", GLOBAL.replace("AVE", "MAX")) + layer("InnerProduct", "p", "f", FC) + SOFTMAX,
        'layer "p_Pooling" (Pooling): is behind the last feature map, and what it computes is no weighted sum',
    ),
    "three classes": (
        layer("InnerProduct", "c", "f", FC.replace("num_output: 2", "num_output: 3")) + SOFTMAX,
        "the softmax is over 3 values; an exact explanation needs 2 classes",
    ),
    "no softmax": (
        layer("InnerProduct", "c", "f", FC) + layer("Sigmoid", "f", "prob"),
        'no Softmax layer with an input of its own makes "prob"',
    ),
    "softmax in place": (
        layer("InnerProduct", "c", "prob", FC) + layer("Softmax", "prob", "prob"),
        'no Softmax layer with an input of its own makes "prob"',
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    """One line that names the layer."""
    text, line = REFUSED[name]
    with pytest.raises(ModelError) as caught:
        linear_tail(made(layer("Convolution", "data", "c", CONV) + text), "prob")
    assert str(caught.value) == line


def test_softmax_over_places_has_no_logits_of_classes() -> None:
    """Only a softmax along the classes, over one place, makes a score."""
    text = layer("Convolution", "data", "f", TO_TWO)
    assert softmax_input(made(text + layer("Softmax", "f", "prob")), "prob") is None
    flat = layer("InnerProduct", "data", "f", FC)
    assert softmax_input(made(flat + layer("Softmax", "f", "prob", "softmax_param { axis: -1 }")), "prob") == "f"
