"""ONNX Runtime missing, broken, old, or unwilling: one line each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from open_nsfw.errors import EngineError
from open_nsfw.installing import REQUIREMENTS, pip_command
from open_nsfw.scoring import onnx_runtime
from open_nsfw.scoring.onnx_runtime import import_onnxruntime, open_session, reason, run_session
from tests.tools.helpers import PICTURE, plant_module, run_command, small_net, write_model

(BOUND,) = (each for each in REQUIREMENTS if each.startswith("onnxruntime"))
ENGINE = ["--engine", "onnxruntime"]
LONGEST = 300  # letters of what it says

PLANTED = {
    "broken": (
        "raise ImportError('libfoo.so.1: cannot open shared object file:\\n  No such file or directory')",
        "ONNX Runtime cannot be imported (libfoo.so.1: cannot open shared object file: No such file or directory): "
        f"{pip_command()} install --force-reinstall '{BOUND}'",
    ),
    "no number in it": (
        "raise RuntimeError('module compiled against API version 0x10 but this is 0xe')",
        "ONNX Runtime cannot be imported (module compiled against API version 0x10 but this is 0xe): "
        f"{pip_command()} install --force-reinstall '{BOUND}'",
    ),
    "half of it": (
        "import onnxruntime.capi",
        "ONNX Runtime cannot be imported (No module named 'onnxruntime.capi'): "
        f"{pip_command()} install --force-reinstall '{BOUND}'",
    ),
    "empty": (
        "",
        f"ONNX Runtime is not whole (it has no InferenceSession): {pip_command()} install --force-reinstall '{BOUND}'",
    ),
    "old": (
        "__version__ = '1.9.0'\nInferenceSession = None",
        f"ONNX Runtime 1.9.0 is too old: {pip_command()} install '{BOUND}'",
    ),
    "missing": (
        "raise ModuleNotFoundError(\"No module named 'onnxruntime'\", name='onnxruntime')",
        f"ONNX Runtime is not installed: {pip_command()} install '{BOUND}'",
    ),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_one_that_cannot_be_used(kind: str, tmp_path: Path) -> None:
    """One line, the command that mends it, and exit status 2."""
    source, message = PLANTED[kind]
    env = plant_module(tmp_path / "planted", "onnxruntime", source)
    result = run_command(*ENGINE, PICTURE, env=env)
    assert (result.status, result.out, result.err) == (2, "", f"classify_nsfw: error: {message}\n")


@pytest.mark.parametrize("library", ["numpy", "onnx"])
def test_another_library_that_is_broken(library: str, tmp_path: Path) -> None:
    """The first line of what it says, and the command that installs everything."""
    model = write_model(tmp_path, small_net())
    env = plant_module(
        tmp_path / "planted", library, "raise ImportError('\\n\\nIMPORTANT: read\\nmore', name=__name__)"
    )
    result = run_command(*ENGINE, *model, PICTURE, env={**env, "OPEN_NSFW_CACHE": str(tmp_path / "cache")})
    every = " ".join(f"'{each}'" for each in REQUIREMENTS)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        f"classify_nsfw: error: {library} cannot be imported (IMPORTANT: read): "
        f"{pip_command()} install --force-reinstall {every}\n"
    )


def test_releases() -> None:
    """By number, not by letters."""
    assert onnx_runtime._release_of("1.9.0") < onnx_runtime._release_of("1.17") < onnx_runtime._release_of("1.100.2")
    assert onnx_runtime._release_of("") == (0,)


def test_what_it_says_is_one_line_and_cut() -> None:
    """Its errors may quote names of any length."""
    assert reason(RuntimeError("[ONNXRuntimeError] : 1 : FAIL : no\n  node  x")) == "no node x"
    assert reason(MemoryError()) == "MemoryError"
    assert reason(RuntimeError(f"Node {'n' * 100_000} fails")) == f"Node {'n' * 77}... fails"
    long = reason(RuntimeError("it fails. " * 1000))
    assert len(long) == LONGEST and long.endswith("it fail...")


def refused(capfd: pytest.CaptureFixture[str], model: Path | bytes) -> str:
    """The error's text; nothing else may be printed, by C++ neither."""
    with pytest.raises(EngineError) as error:
        open_session(model)
    assert capfd.readouterr() == ("", "")
    return str(error.value)


def test_a_model_that_it_refuses(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whatever is wrong with it: one line that is not too long, and nothing on stdout or stderr."""
    begins = f"ONNX Runtime {import_onnxruntime().__version__} cannot load the converted net: "
    assert refused(capfd, b"no model").startswith(begins)
    assert refused(capfd, tmp_path / "none.onnx").startswith(begins)
    name = "n" * 5000
    for node in (
        helper.make_node("Conv", ["data", "nowhere"], [name], name=name),
        helper.make_node("NoSuchOperator", ["data"], [name], name=name),
    ):
        text = refused(capfd, model_of(node))
        assert text.startswith(begins) and len(text) <= len(begins) + LONGEST and "\n" not in text


def model_of(node: onnx.NodeProto) -> bytes:
    """A model of one node that reads float32 (N, 3) and an int64 `shape` of 7 numbers."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [7], [1, 2, 3, 4, 5, 6, 7])
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3])
    output = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "graph", [data], [output], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    serialized: bytes = model.SerializeToString()
    return serialized


def test_what_fails_while_it_computes(capfd: pytest.CaptureFixture[str]) -> None:
    """Likewise."""
    name = "n" * 5000
    session = open_session(model_of(helper.make_node("Reshape", ["data", "shape"], [name], name=name)))
    with pytest.raises(EngineError) as error:
        run_session(session, {"data": np.zeros((5, 3), np.float32)})
    assert capfd.readouterr() == ("", "")
    begins = f"ONNX Runtime {import_onnxruntime().__version__} cannot compute the net: "
    assert str(error.value).startswith(begins) and len(str(error.value)) <= len(begins) + LONGEST
