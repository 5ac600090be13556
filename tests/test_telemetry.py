"""ONNX Runtime is kept from reporting to its makers, whatever is imported first."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from open_nsfw import telemetry
from open_nsfw.scoring import onnx_runtime
from tests.tools.helpers import ROOT

REPORTS = "onnxruntime.db"  # what releases that report keep open while they do

ORDERS = {
    "the package first": "import open_nsfw, onnxruntime",
    "a module of the package first": "import open_nsfw.scoring.onnx_runtime, onnxruntime",
    "the public function first": "from open_nsfw import load_model; load_model; import onnxruntime",
    "told before": "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'; import onnxruntime, open_nsfw",
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("order", ORDERS)
def test_it_is_off(order: str, tmp_path: Path) -> None:
    """The file of reports is never opened, and nothing is said."""
    code = (
        f"{ORDERS[order]}\n"
        "import os, sys, logging; logging.basicConfig()\n"
        "from open_nsfw import telemetry\n"
        "from open_nsfw.scoring.onnx_runtime import import_onnxruntime\n"
        "import_onnxruntime()\n"
        "open_files = [os.path.realpath(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')]\n"
        f"print(telemetry.too_late, sum({REPORTS!r} in name for name in open_files))\n"
    )
    variables = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    variables.pop(telemetry.VARIABLE, None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("False 0\n", "")


@pytest.mark.parametrize(("value", "too_late"), [(None, True), ("0", True), ("1", False)])
def test_where_it_is_too_late(value: str | None, too_late: bool, tmp_path: Path) -> None:
    """Imported first, and not told by the variable. A module of that name stands in for it: the real one would report."""
    (tmp_path / "onnxruntime.py").write_text("")
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    variables.pop(telemetry.VARIABLE, None)
    if value is not None:
        variables[telemetry.VARIABLE] = value
    code = "import onnxruntime, os; from open_nsfw import telemetry; print(telemetry.too_late, os.environ[telemetry.VARIABLE])"
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == f"{too_late} 1\n"


@pytest.mark.parametrize(("content", "warns"), [(b"..ORT_DISABLE_TELEMETRY\0..", True), (b"an older release", False)])
def test_the_warning(
    content: bytes,
    warns: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, and only of a build that has something to switch off."""
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "onnxruntime_pybind11_state.so").write_bytes(content)
    module = types.ModuleType("onnxruntime")
    module.__file__ = str(tmp_path / "__init__.py")
    vars(module).update(InferenceSession=object, __version__="1.99.0")
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    monkeypatch.setattr(telemetry, "too_late", True)
    monkeypatch.setattr(onnx_runtime, "_told_too_late", False)
    for _ in range(2):
        assert onnx_runtime.import_onnxruntime() is module
    assert caplog.messages == warns * [
        "onnxruntime was imported before open_nsfw, so its reports to Microsoft cannot be switched off any more; "
        "import open_nsfw first, or set ORT_DISABLE_TELEMETRY=1"
    ]
