"""The command on one picture, with a look at the clock at each station: for cold_start.py, which reads stderr.

python benchmarks/start_phases.py [options of classify_nsfw] PICTURE

Prints a JSON object on stderr: the name of each station and the seconds on the system's monotonic clock when it was
reached. Those of the decoding process are as the command's thread sees them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
reached = {"Python, and the list of installed packages": time.monotonic()}


def note(station: str) -> None:
    """Look at the clock."""
    reached.setdefault(station, time.monotonic())


def noting(function: Callable[..., Any], station: str) -> Callable[..., Any]:
    """The function; when it has ended, the station is reached."""

    def called(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        note(station)
        return result

    return called


def main(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    sys.path[0] = str(ROOT)
    from open_nsfw.cli import classify
    from open_nsfw.cli.process import begin

    begin()
    note("modules that read the command line")
    classify.parse = noting(classify.parse, "command line read")
    classify.check_address_space = noting(classify.check_address_space, "limits looked at")

    from open_nsfw.cli import scan
    from open_nsfw.pictures import isolation
    from open_nsfw.scan import pipeline

    note_modules = noting(lambda: None, "modules that scan")
    isolation._exchange = noting(isolation._exchange, "picture decoded (in its process, beside the following)")
    pipeline.Pipeline.start = noting(pipeline.Pipeline.start, "decoding process started")  # type: ignore[method-assign]
    scan.Scan._load = stations_of_loading(scan.Scan._load)  # type: ignore[method-assign]
    note_modules()
    status = classify.main(arguments)
    note("scored, printed, processes and threads ended")
    print(json.dumps(reached), file=sys.stderr)
    return status


def stations_of_loading(load: Callable[..., Any]) -> Callable[..., Any]:
    """`Scan._load`, its libraries imported one after the other before."""

    def loading(self: Any) -> Any:
        import os

        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as Scan._load does
        import numpy  # noqa: F401

        note("NumPy imported")
        import onnxruntime  # noqa: F401

        note("ONNX Runtime imported")
        self._model_files  # noqa: B018  found and hashed
        note("model files found, their hashes looked up")
        from open_nsfw.scoring import onnx_engine

        onnx_engine.laid_out_model = noting(onnx_engine.laid_out_model, "model found in the cache")
        models = load(self)
        note("session opened")
        return models

    return loading


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
