"""OpenVINO as an engine."""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw import load_engine
from open_nsfw.errors import EngineError
from open_nsfw.installing import install_command
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring import openvino_engine
from open_nsfw.scoring.engine import Engine
from open_nsfw.scoring.int8_engine import logits, worst_difference
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine
from open_nsfw.scoring.openvino_engine import OpenVinoEngine, import_openvino
from tests.tools.helpers import DATA, MODEL_DEF, WEIGHTS, caffemodel

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed in this interpreter"
)
# Measured: float32 4e-6 in the score; bfloat16 0.14, int8 0.34 in the logit.
LARGEST_LOGITS = {"bfloat16": 0.4, "int8": 0.6}


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """The packaged model."""
    return find_model_files(MODEL_DEF, WEIGHTS)


@pytest.fixture(scope="module")
def blob() -> np.ndarray:
    """Pictures over the whole range of scores."""
    return to_blob(np.stack([crop(resized_pixels(path), 224, 224) for path in sorted((DATA / "pushed").glob("*.jpg"))]))


@pytest.fixture(scope="module")
def expected(files: ModelFiles, blob: np.ndarray) -> np.ndarray:
    """ONNX Runtime's answers."""
    return OnnxRuntimeEngine(files).forward(blob)


@needs_openvino
@pytest.mark.parametrize("threads", [1, 2])
def test_float32_is_exact(files: ModelFiles, blob: np.ndarray, expected: np.ndarray, threads: int) -> None:
    """Within what every exact engine promises."""
    engine = OpenVinoEngine(files, threads=threads)
    assert (engine.name, engine.input_shape, engine.output_name) == ("openvino", (3, 224, 224), "prob")
    assert np.abs(engine.forward(blob) - expected).max() <= 1e-5
    assert engine.forward(blob[:0]).shape == (0, 2)


@needs_openvino
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("threads", [1, 2])
def test_faster_precisions_are_near(
    files: ModelFiles, blob: np.ndarray, expected: np.ndarray, precision: str, threads: int
) -> None:
    """And are not float32 under another name, where the processor has the precision at all."""
    engine = OpenVinoEngine(files, precision, threads)
    difference = np.abs(logits(engine.forward(blob)) - logits(expected))
    assert engine.name == f"openvino-{precision}"
    assert difference.max() < LARGEST_LOGITS[precision]
    if precision == "int8":
        assert difference.max() > 1e-3


@needs_openvino
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_several_threads_at_once(files: ModelFiles, blob: np.ndarray, precision: str) -> None:
    """Each gets its own answer."""
    engine = OpenVinoEngine(files, precision, threads=1)
    alone = [engine.forward(each[np.newaxis]) for each in blob]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda each: engine.forward(each[np.newaxis]), blob))
    assert np.abs(np.concatenate(alone) - np.concatenate(together)).max() < 1e-6


@needs_openvino
def test_no_network(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its telemetry is never imported, and nothing connects."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    OpenVinoEngine(files).forward(np.zeros((1, 3, 224, 224), np.float32))
    assert "openvino_telemetry" not in sys.modules


@needs_openvino
def test_wrong_results_are_noticed(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that computes a precision wrongly is not used."""
    monkeypatch.setattr(openvino_engine, "LARGEST_DIFFERENCES", {"bfloat16": 0.0, "float32": 0.0, "int8": 0.0})
    with pytest.raises(EngineError, match=r"computes openvino-int8 wrongly here, off by [\d.]+ logits; use another "):
        OpenVinoEngine(files, "int8")


def test_without_openvino(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pip command that mends it."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError) as error:
        OpenVinoEngine(files)
    assert str(error.value).startswith("the engine openvino needs OpenVINO, which cannot be imported (")
    assert str(error.value).endswith(f"): {install_command('openvino')}")
    assert "openvino_telemetry" not in sys.modules


def test_an_unknown_precision(files: ModelFiles) -> None:
    """Named with those that there are."""
    with pytest.raises(EngineError) as error:
        OpenVinoEngine(files, "float16")
    assert str(error.value) == 'there is no precision "float16"; there are float32, bfloat16, int8'


def load(folder: Path, text: str, weights: dict[str, list[np.ndarray]], engine: str) -> Engine:
    """A net with these weights by layer, loaded."""
    (folder / "net.prototxt").write_text(text)
    (folder / "net.caffemodel").write_bytes(caffemodel(weights))
    return load_engine(folder / "net.prototxt", folder / "net.caffemodel", engine=engine)


FLAT = 'input: "data" input_shape { dim: 1 dim: 12 } layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" %s }\n'
DENSE = FLAT % "inner_product_param { num_output: 2 bias_term: false }"
SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'
SIGMOID = SOFTMAX.replace("Softmax", "Sigmoid")


@needs_openvino
@pytest.mark.parametrize("spread", [0.002, 1.0])
@pytest.mark.parametrize("last", [SOFTMAX, SIGMOID, ""])
def test_nets_of_other_inputs_and_outputs(last: str, spread: float, tmp_path: Path) -> None:
    """An input that is no picture; two values that are probabilities each by itself, saturated or not; plain values."""
    weights = {"fc": [np.random.default_rng(2).normal(0, spread, (2, 12))]}
    ours, expected = (load(tmp_path, DENSE + last, weights, name) for name in ("openvino", "onnxruntime"))
    data = np.random.default_rng(3).uniform(-100, 100, (5, 12)).astype(np.float32)
    np.testing.assert_allclose(ours.forward(data), expected.forward(data), rtol=1e-4, atol=1e-5)


@needs_openvino
@pytest.mark.parametrize("last", [SOFTMAX, 'layer { name: "prob" type: "ReLU" bottom: "fc" top: "prob" }'])
@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_numbers_where_there_are_none(weight: float, last: str, tmp_path: Path) -> None:
    """OpenVINO's maximum of NaN and 0 is 0: of weights that are no numbers it made the score of a safe picture."""
    weights = {"fc": [np.full((2, 12), weight)]}
    assert np.isnan(load(tmp_path, DENSE + last, weights, "onnxruntime").forward(np.zeros((1, 12), np.float32))).all()
    try:
        engine = load(tmp_path, DENSE + last, weights, "openvino")
    except EngineError as error:
        where = re.escape(str(tmp_path / "net.caffemodel"))
        assert re.fullmatch(
            f"{where}: the network's answer has values that are not finite, which OpenVINO .* takes for numbers; "
            "look at the weights, or use --engine onnxruntime",
            str(error),
        )
    else:
        assert np.isnan(engine.forward(np.ones((1, 12), np.float32))).all()


@needs_openvino
@pytest.mark.parametrize("operation", ["SUM", "ASUM", "SUMSQ", "MEAN"])
def test_reductions(operation: str, tmp_path: Path) -> None:
    """Over the axes that the layer names, and no others."""
    text = 'input: "data" input_shape { dim: [1, 2, 3] } layer { name: "p" type: "Power" bottom: "data" top: "p" }\n'
    param = f"reduction_param {{ axis: 2 operation: {operation} }}"
    text += f'layer {{ name: "r" type: "Reduction" bottom: "p" top: "prob" {param} }}'
    data = np.random.default_rng(3).uniform(-3, 3, (5, 2, 3)).astype(np.float32)
    sums = {"SUM": data, "ASUM": abs(data), "SUMSQ": data**2, "MEAN": data / 3}[operation].sum(axis=2)
    for engine in ("openvino", "onnxruntime"):
        np.testing.assert_allclose(load(tmp_path, text, {"x": []}, engine).forward(data), sums, rtol=1e-4, atol=1e-5)


@needs_openvino
def test_inputs_that_a_net_for_one_would_mix(tmp_path: Path) -> None:
    """Each is computed by itself."""
    along = 'layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" softmax_param { axis: 0 } }'
    text = FLAT % "inner_product_param { num_output: 2 }"
    text += 'layer { name: "f" type: "Reshape" bottom: "fc" top: "f" reshape_param { shape { dim: 2 } } }' + along
    text += 'layer { name: "r" type: "Reshape" bottom: "prob" top: "r" reshape_param { shape { dim: 1 dim: 2 } } }'
    text = (
        text.replace('top: "prob"', 'top: "p"')
        .replace('bottom: "prob"', 'bottom: "p"')
        .replace('top: "r"', 'top: "prob"')
    )
    weights = {"fc": [np.random.default_rng(2).normal(0, 0.1, (2, 12)), np.zeros(2)]}
    data = np.random.default_rng(3).uniform(-3, 3, (5, 12)).astype(np.float32)
    powers = np.exp(data @ weights["fc"][0].T)
    engine = load(tmp_path, text, weights, "openvino")
    np.testing.assert_allclose(engine.forward(data), powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(engine.with_blobs(["fc"]).blobs(data)["fc"], np.log(powers), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("right", "off", "expected"),
    [
        ([[0.5, 0.5]], [[0.4, 0.6]], np.log(1.5)),
        ([[1 - 1e-9, 1e-9]], [[1 - 2e-9, 2e-9]], np.log(2)),
        ([[1.0, 0.5]], [[1.0, 0.6]], np.log(1.5)),
        ([[1.0, 1.0]], [[1.0, 1 - 2**-23]], 0.0),
        ([[1.0, 1.0]], [[1.0, 0.5]], np.log(999)),
        ([[2.0, -4.0]], [[2.0, -3.0]], 0.25),
        ([[0.25]], [[0.75]], 0.5),
    ],
)
def test_how_far_an_output_is_off(right: list[list[float]], off: list[list[float]], expected: float) -> None:
    found = worst_difference(np.array(off, np.float32), np.array(right, np.float32))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@needs_openvino
def test_telemetry_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who imported it before keeps it."""
    marker = type(sys)("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", marker)
    import_openvino()
    assert sys.modules["openvino_telemetry"] is marker
