"""OpenVINO as an engine."""

from __future__ import annotations

import importlib.util
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from open_nsfw.errors import EngineError
from open_nsfw.installing import install_command
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring import openvino_engine
from open_nsfw.scoring.int8_engine import logits
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine
from open_nsfw.scoring.openvino_engine import OpenVinoEngine, import_openvino
from tests.tools.helpers import DATA, MODEL_DEF, WEIGHTS

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


@needs_openvino
def test_telemetry_of_the_user_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who imported it before keeps it."""
    marker = type(sys)("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", marker)
    import_openvino()
    assert sys.modules["openvino_telemetry"] is marker
