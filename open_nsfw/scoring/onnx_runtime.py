"""The library ONNX Runtime: found, checked, kept silent, and asked for sessions. What it refuses becomes one line."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from open_nsfw import telemetry
from open_nsfw.address_space import hint
from open_nsfw.cores import available_cores
from open_nsfw.errors import EngineError
from open_nsfw.installing import pip_command, requirement
from open_nsfw.text import brief

logger = logging.getLogger("open_nsfw")

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
Provider = Union[str, tuple[str, dict[str, int]]]

NO_LOG = 4  # ONNX Runtime's severity "fatal": what is less comes as an exception

_told_too_late = False


def import_onnxruntime() -> Any:
    """The module `onnxruntime`.

    Raises EngineError if it is not installed, broken, or older than this package needs. The log has a warning, once,
    where it was imported too early to be kept from reporting to its makers.
    """
    try:
        module = importlib.import_module("onnxruntime")
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
            raise EngineError(f"ONNX Runtime is not installed: {_install()}") from None
        raise EngineError(f"ONNX Runtime cannot be imported ({reason(error)}){_mend()}") from error
    if not hasattr(module, "InferenceSession"):  # a folder without content is a package, too
        raise EngineError(f"ONNX Runtime is not whole (it has no InferenceSession){_mend()}")
    if _release(module) < _release_of(requirement("onnxruntime").partition(">=")[2]):
        raise EngineError(f"ONNX Runtime {module.__version__} is too old: {_install()}")
    _warn_of_telemetry(module)
    return module


def _install() -> str:
    return f"{pip_command()} install '{requirement('onnxruntime')}'"


def _mend() -> str:
    """What to do about a library that is there and does not work."""
    return hint() or f": {pip_command()} install --force-reinstall '{requirement('onnxruntime')}'"


def _release(module: Any) -> tuple[int, ...]:
    return _release_of(str(getattr(module, "__version__", "")))


def _release_of(version: str) -> tuple[int, ...]:
    """(1, 17) of "1.17.3"; (0,) of what is no release."""
    return tuple(map(int, re.findall(r"\d+", version)[:2])) or (0,)


def _warn_of_telemetry(module: Any) -> None:
    global _told_too_late
    if not telemetry.too_late or _told_too_late or not _has_telemetry(module):
        return
    _told_too_late = True
    logger.warning(
        "onnxruntime was imported before open_nsfw, so its reports to Microsoft cannot be switched off any more; "
        "import open_nsfw first, or set %s=1",
        telemetry.VARIABLE,
    )


def _has_telemetry(module: Any) -> bool:
    """Whether this build of ONNX Runtime knows the variable, and so has something to switch off."""
    libraries = Path(module.__file__).parent.glob("capi/onnxruntime_pybind11_state*")
    return any(telemetry.VARIABLE.encode("ascii") in path.read_bytes() for path in libraries)


def open_session(
    model: Path | bytes,
    threads: int | None = None,
    providers: tuple[Provider, ...] = (CPU,),
    configure: Callable[[Any], None] = lambda options: None,
) -> Any:
    """A session on a model, by path or as bytes.

    `threads`: of one forward pass, None for one a core. `configure` may change the SessionOptions. Raises EngineError in
    one line, and ONNX Runtime itself prints nothing.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = NO_LOG
    options.intra_op_num_threads = threads or available_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores have pictures to decode
    configure(options)
    source = str(model) if isinstance(model, Path) else model
    try:
        # Its own fall back to the CPU prints on stdout, among the rows, and is not what was asked for.
        return onnxruntime.InferenceSession(source, options, providers=list(providers), enable_fallback=0)
    except Exception as error:
        raise EngineError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load the converted net: {reason(error)}{hint()}"
        ) from error


def run_session(session: Any, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """All outputs of a session, for float32 (N, ...): each (N, ...). A model that takes one input at a time is run for each.
    Raises EngineError in one line."""
    count = len(next(iter(inputs.values())))
    if count == 1 or session.get_inputs()[0].shape[0] != 1:
        return _run(session, inputs)
    runs = [_run(session, {name: values[at : at + 1] for name, values in inputs.items()}) for at in range(count)]
    return [np.concatenate([output[:1] for output in outputs]) for outputs in zip(*runs)]


def _run(session: Any, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    try:
        outputs: list[NDArray[np.float32]] = session.run(None, inputs)
    except Exception as error:
        version = import_onnxruntime().__version__
        raise EngineError(f"ONNX Runtime {version} cannot compute the net: {reason(error)}{hint()}") from error
    return outputs


def reason(error: BaseException) -> str:
    """What ONNX Runtime says of its failure, on one line and not too long."""
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", brief(str(error))) or type(error).__name__
