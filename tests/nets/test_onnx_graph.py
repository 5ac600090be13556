"""The converter against real Caffe: stored answers everywhere, live ones where pycaffe is."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from open_nsfw import ModelError, load_engine
from open_nsfw.errors import UnsupportedLayerError
from open_nsfw.nets import onnx_graph
from open_nsfw.nets.caffemodel import caffemodel_bytes
from open_nsfw.nets.net import Net
from open_nsfw.nets.prototxt import SUPPORTED_TYPES, parse_prototxt, read_prototxt
from open_nsfw.nets.read import read_net
from open_nsfw.scoring import onnx_engine
from open_nsfw.scoring.model_files import find_model_files
from tests.tools.fixed_nets import fixed_nets, refused_nets
from tests.tools.fixed_nets_rare import rare_nets
from tests.tools.helpers import HAS_CAFFE, MODEL_DEF, NETS, ROOT, WEIGHTS, engines, needs_caffe, small_net, write_model

TOLERANCE = 1e-5
NAMES = sorted(path.stem for path in NETS.glob("*.prototxt"))


def files(name: str, folder: Path = NETS) -> tuple[Path, Path]:
    return folder / f"{name}.prototxt", folder / f"{name}.caffemodel"


def stored(name: str, folder: Path = NETS) -> tuple[np.ndarray, np.ndarray]:
    """(input, Caffe's output as (N, K))."""
    with np.load(folder / f"{name}.npz") as arrays:
        data, prob = arrays["data"], arrays["prob"]
    return data, prob.reshape(prob.shape[0], -1)


def run_onnx(model: Path | bytes, data: np.ndarray) -> np.ndarray:
    """A converted model's output as (N, K)."""
    import onnxruntime

    source = str(model) if isinstance(model, Path) else model
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    output: np.ndarray = session.run(None, {session.get_inputs()[0].name: data})[0]
    return output.reshape(output.shape[0], -1)


def agree(ours: np.ndarray, reference: np.ndarray) -> bool:
    """Alike to 1e-5, infinities and NaN in the same places."""
    return ours.shape == reference.shape and np.allclose(
        ours, reference, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    )


# --- stored answers ---------------------------------------------------------------------------------------------------


def test_the_stored_nets_are_all_there_and_use_every_layer() -> None:
    assert set(NAMES) == {*fixed_nets(), *rare_nets()}
    used = {layer.type for name in NAMES for layer in read_prototxt(files(name)[0]).layers}
    assert used | {"Input"} == SUPPORTED_TYPES


@pytest.mark.parametrize("name", NAMES)
def test_what_caffe_computed(name: str) -> None:
    data, reference = stored(name)
    assert np.isfinite(reference).any() and len(np.unique(reference)) > 1
    assert agree(load_engine(*files(name), engine="onnxruntime").forward(data), reference)


@pytest.mark.parametrize("name", NAMES)
def test_unfolded_too(name: str) -> None:
    data, reference = stored(name)
    assert agree(run_onnx(onnx_graph.convert(read_net(*files(name)), "prob", fold=False), data), reference)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("batch_norm")])
def test_another_number_of_inputs(name: str) -> None:
    """Batch norm without stored statistics mixes the inputs of a batch; all else computes each by itself."""
    data, reference = stored(name)
    engine = load_engine(*files(name), engine="onnxruntime")
    assert agree(engine.forward(data[:1]), reference[:1])
    assert agree(engine.forward(np.concatenate([data, data[:1]])), np.concatenate([reference, reference[:1]]))
    assert engine.forward(data[:0]).shape == (0, reference.shape[1])


@needs_caffe
@pytest.mark.parametrize("name", NAMES)
def test_pycaffe_still_gives_the_stored_answers(name: str) -> None:
    data, reference = stored(name)
    assert agree(load_engine(*files(name), engine="caffe").forward(data), reference)


# --- live answers -----------------------------------------------------------------------------------------------------


@needs_caffe
@pytest.mark.parametrize(("seed", "count", "options"), [(2016, 60, []), (2017, 30, ["--aliases"])])
def test_random_nets(seed: int, count: int, options: list[str], tmp_path: Path) -> None:
    """Nets composed at random, random weights, both engines against what `tests.tools.random_nets` had from Caffe."""
    line = [sys.executable, "-m", "tests.tools.random_nets", str(tmp_path), "--seed", str(seed), "--count", str(count)]
    done = subprocess.run([*line, *options], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    names = sorted(path.stem for path in tmp_path.glob("*.npz"))
    assert len(names) > 0.8 * count, done.stderr
    wrong = []
    for name in names:
        data, reference = stored(name, tmp_path)
        for engine in ("onnxruntime", "caffe"):
            ours = load_engine(*files(name, tmp_path), engine=engine).forward(data)
            if not agree(ours, reference):
                wrong.append((name, engine, float(np.nanmax(np.abs(ours - reference)))))
    assert wrong == []


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["Relu_0", "Conv_0", "constant_0", "constant_1", "output_prob", "output_", "output", "input_data", "TopK_0_values"],
)
def test_an_input_named_like_a_part_of_the_graph(name: str, tmp_path: Path) -> None:
    """The names that the converter gives itself are none that a net's author can have given."""
    convolution = "convolution_param { num_output: 1 kernel_size: 4 }"
    text = f"""\
layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ dim: 1 dim: 3 dim: 4 dim: 4 }} }} }}
layer {{ name: "constant_0" type: "ReLU" bottom: "{name}" top: "Relu_1" }}
layer {{ name: "Conv_1" type: "Convolution" bottom: "Relu_1" top: "constant_2" {convolution} }}
layer {{ name: "output_prob" type: "ArgMax" bottom: "Relu_1" top: "output_prob_" }}
layer {{ name: "Identity_0" type: "Concat" bottom: "constant_2" bottom: "output_prob_" top: "prob" }}
"""
    weights = {"Conv_1": (np.full((1, 3, 4, 4), 0.5), np.array([0.25]))}
    model_def, caffemodel = write_named(tmp_path, text, weights)
    data = np.random.default_rng(0).normal(0, 1, (1, 3, 4, 4)).astype(np.float32)
    expected = [[0.25 + 0.5 * np.maximum(data, 0).sum(), data.argmax()]]
    for engine in engines():
        np.testing.assert_allclose(load_engine(model_def, caffemodel, engine=engine).forward(data), expected, rtol=1e-5)


def write_named(folder: Path, text: str, weights: dict[str, tuple[np.ndarray, ...]]) -> tuple[Path, Path]:
    """A prototxt and a caffemodel with these weights by layer, written to the folder."""
    model_def, caffemodel = folder / "net.prototxt", folder / "net.caffemodel"
    model_def.write_text(text)
    blobs = {name: tuple(each.astype(np.float32) for each in some) for name, some in weights.items()}
    caffemodel.write_bytes(caffemodel_bytes(parse_prototxt(text), blobs))
    return model_def, caffemodel


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", refused_nets())
def test_nets_that_caffe_refuses(name: str, tmp_path: Path) -> None:
    _, model_def, _, weights = write_model(tmp_path, refused_nets()[name])
    with pytest.raises(ModelError) as caught:
        load_engine(model_def, weights, engine="onnxruntime")
    assert str(caught.value).startswith(f'{model_def}: layer "')
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["Embed", "LSTM", "Permute", "Swish", "softmax"])
def test_a_layer_that_is_not_supported(kind: str, tmp_path: Path) -> None:
    _, model_def, _, weights = write_model(tmp_path, small_net(kind=kind))
    with pytest.raises(UnsupportedLayerError) as caught:
        load_engine(model_def, weights, engine="onnxruntime")
    assert str(caught.value) == (
        f'{model_def}: layer "last" has the type {kind}, which is not supported; supported are '
        f"{', '.join(sorted(SUPPORTED_TYPES))}"
    )


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("pool: AVE", "pool: STOCHASTIC", 'layer "p" (Pooling): stochastic pooling is not supported'),
        (
            "kernel_size: 1",
            "kernel_size: 1 axis: 2",
            'layer "c" (Convolution): '
            "only two-dimensional convolution of N x C x H x W blobs along axis 1 is supported",
        ),
        ('top: "p"', 'top: "p" top: "mask"', 'layer "p" (Pooling): it has 2 tops, 1 are supported'),
    ],
)
def test_an_option_that_is_not_supported(before: str, after: str, message: str, tmp_path: Path) -> None:
    _, model_def, _, weights = write_model(tmp_path, small_net().replace(before, after, 1))
    with pytest.raises(UnsupportedLayerError) as caught:
        load_engine(model_def, weights, engine="onnxruntime")
    assert str(caught.value) == f"{model_def}: {message}"


# --- folding ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packaged() -> Net:
    return read_net(MODEL_DEF, WEIGHTS)


def operators(model: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def test_batch_norm_and_scale_disappear(packaged: Net) -> None:
    folded = operators(onnx_graph.convert(packaged, "prob"))
    kinds = Counter(layer.type for layer in packaged.layers)
    assert (kinds["BatchNorm"], kinds["Scale"], kinds["Convolution"]) == (53, 53, 53)
    assert not {"BatchNormalization", "Mul", "Div", "Sub"} & set(folded)
    assert folded["Conv"] == 53
    assert folded["Add"] == kinds["Eltwise"] == 16
    assert folded["Relu"] == kinds["ReLU"]
    unfolded = operators(onnx_graph.convert(packaged, "prob", fold=False))
    assert (unfolded["Sub"], unfolded["Div"], unfolded["Mul"]) == (53, 53, 53)


def test_folding_computes_the_same(packaged: Net) -> None:
    data = np.random.default_rng(0).uniform(-120, 150, (2, 3, 224, 224)).astype(np.float32)
    folded, plain = (run_onnx(onnx_graph.convert(packaged, "prob", fold=fold), data) for fold in (True, False))
    assert np.abs(folded - plain).max() <= 2e-6


@pytest.mark.parametrize("name", ["to_be_folded", "residual"])
def test_what_can_be_folded_is(name: str) -> None:
    layers = onnx_graph.fold_batch_norm(read_net(*files(name))).layers
    left = [layer.name for layer in layers if layer.type == "BatchNorm"]
    assert left == []


def test_what_must_not_be_folded_is_not() -> None:
    net = read_net(*files("not_to_be_folded"))
    assert [layer.type for layer in onnx_graph.fold_batch_norm(net).layers].count("BatchNorm") >= 1


@pytest.mark.parametrize("index", [0, 20, -1])
def test_a_wrong_conversion_is_not_trusted(index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check after the conversion notices one layer of the packaged net that is off by a twentieth."""
    right = onnx_graph.fold_batch_norm

    def wrong(net: Net) -> Net:
        layers = list(right(net).layers)
        at = [place for place, layer in enumerate(layers) if layer.blobs][index]
        layers[at] = replace(layers[at], blobs=(layers[at].blobs[0] * np.float32(1.05), *layers[at].blobs[1:]))
        return replace(net, layers=tuple(layers))

    monkeypatch.setattr(onnx_graph, "fold_batch_norm", wrong)
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        load_engine(engine="onnxruntime")
    assert "the converted net does not compute what the layers do (off by " in str(caught.value)
    assert list(tmp_path.glob("*.onnx")) == []


def test_the_model_that_is_kept_computes_what_the_layers_do(packaged: Net, tmp_path: Path, monkeypatch: Any) -> None:
    """After ONNX Runtime's optimizer, too."""
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path))
    data = np.random.default_rng(1).uniform(-120, 150, (2, 3, 224, 224)).astype(np.float32)
    plain = run_onnx(onnx_graph.convert(packaged, "prob", fold=False), data)
    for kept in (onnx_engine.laid_out_model, onnx_engine.converted_model):
        path = kept(find_model_files())
        assert isinstance(path, Path)
        assert np.abs(run_onnx(path, data) - plain).max() <= 2e-6
    assert (
        len([*tmp_path.glob("*.onnx"), *tmp_path.glob("*.weights")]) == 3
    )  # the first is two files, and is made of the second


def test_caffe_is_the_judge() -> None:
    """Says plainly, in the test run's summary, when no live comparison took place."""
    if not HAS_CAFFE:
        pytest.skip("no pycaffe in this interpreter: nets were compared with Caffe's stored answers only")
