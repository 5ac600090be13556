"""OpenVINO as an engine: float32 as exact as ONNX Runtime's, bfloat16 and int8 faster and less exact.

It reads the same ONNX models that ONNX Runtime gets, the int8 one included; nothing of OpenVINO's own converters is
used. Needs the extra `openvino`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from open_nsfw.cores import available_cores
from open_nsfw.errors import EngineError
from open_nsfw.installing import install_command
from open_nsfw.scoring.engine import BlobSource, Engine, Float32
from open_nsfw.scoring.int8_engine import float_model, probes, quantized_model, worst_difference
from open_nsfw.scoring.model_files import ModelFiles, read_ranges
from open_nsfw.scoring.names import PRECISIONS, check_precision
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine
from open_nsfw.text import brief

# precision -> what OpenVINO is told to compute the float parts of the network in
HINTS = dict(zip(PRECISIONS, ("f32", "bf16", "f32")))
# Logits by which a precision may differ from float32 on spots of colour; what is computed wrongly is off by tens.
LARGEST_DIFFERENCES = {"float32": 1e-3, "bfloat16": 1.0, "int8": 3.0}
TELEMETRY = "openvino_telemetry"  # reports to Google Analytics; OpenVINO does without where it is not installed


class OpenVinoEngine(Engine):
    """OpenVINO on the CPU."""

    concurrent = True

    def __init__(
        self,
        files: ModelFiles,
        precision: str = "float32",
        threads: int | None = None,
        ranges: str | os.PathLike[str] | None = None,
    ) -> None:
        """`precision`: float32, bfloat16 or int8; `ranges`: for int8, the ranges file, None for the packaged one.

        Raises EngineError without OpenVINO or for another precision, ModelError for a model that cannot be used.
        """
        check_precision(precision)
        openvino = import_openvino()
        self.exact = precision == "float32"
        self.name = "openvino" if self.exact else f"openvino-{precision}"
        self.files, self.model_def, self.model_hash = files, str(files.model_def), files.short_hash
        model = float_model(files)
        if precision == "int8":
            found, content = read_ranges(files, ranges)
            self.made_from = hashlib.sha256(content).hexdigest()
            quantized = quantized_model(files, found, content)
            model = quantized.read_bytes() if isinstance(quantized, Path) else quantized
        self._openvino, self._precision, self._threads = openvino, HINTS[precision], threads or available_cores()
        self._requests = _Requests(openvino, model, self._precision, self._threads)
        compiled = self._requests.own().get_compiled_model()
        self.input_shape = tuple(each.get_length() for each in list(compiled.inputs[0].get_partial_shape())[1:])
        names = compiled.outputs[0].get_names()  # the graph's, and the node's before it
        self.output_name = next(name[len("output_") :] for name in sorted(names) if name.startswith("output_"))
        self._check(files, LARGEST_DIFFERENCES[precision])

    def _compute(self, blob: Float32) -> Float32:
        return self._requests.run(blob)[0]

    def with_blobs(self, names: Sequence[str]) -> BlobSource:
        if self._precision == HINTS["int8"] and not self.exact:
            return super().with_blobs(names)
        model = float_model(self.files, names)
        order = [self.output_name, *names]
        return _OpenVinoBlobs(_Requests(self._openvino, model, self._precision, self._threads), order)

    def _check(self, files: ModelFiles, largest: float) -> None:
        """Compare with ONNX Runtime on a few inputs. Raises EngineError if they differ by more than the precision can
        make them, or this gives a number where there is none."""
        blob = probes(self.input_shape)
        outputs = self.forward(blob), OnnxRuntimeEngine(files).forward(blob)
        known = np.isfinite(outputs[1])
        if (np.isfinite(outputs[0]) & ~known).any():
            raise EngineError(
                f"{files.pretrained_model}: the network's answer has values that are not finite, which OpenVINO "
                f"{self._openvino.__version__} takes for numbers; look at the weights, or use --engine onnxruntime"
            )
        if not known.all():
            return  # such weights have no scores to be right or wrong about, which each picture's row says
        worst = worst_difference(*outputs)
        if not worst <= largest:
            raise EngineError(
                f"OpenVINO {self._openvino.__version__} computes {self.name} wrongly here, off by {worst:.2g} logits; "
                "use another release of OpenVINO or --engine onnxruntime"
            )


class _Requests:
    """What computes a model, for several threads."""

    def __init__(self, openvino: Any, model: bytes, precision: str, threads: int) -> None:
        self._openvino, self._model, self._precision, self._threads = openvino, model, precision, threads
        self._local = threading.local()

    def own(self) -> Any:
        """This thread's own compiled model: one that serves several at once (NUM_STREAMS) was seen to compute int8
        wrongly."""
        if not hasattr(self._local, "own"):
            compiled = _compile(self._openvino, self._model, self._precision, self._threads)
            self._local.own = compiled.create_infer_request()
        return self._local.own

    def run(self, blob: Float32) -> list[Float32]:
        """All outputs for float32 (N, ...), each (N, ...). A model that takes one input at a time is run for each."""
        if len(blob) == 1 or self.own().get_compiled_model().inputs[0].get_partial_shape()[0].is_dynamic:
            return self._run(blob)
        runs = [self._run(blob[at : at + 1]) for at in range(len(blob))]
        return [np.concatenate([output[:1] for output in outputs]) for outputs in zip(*runs)]

    def _run(self, blob: Float32) -> list[Float32]:
        found = self.own().infer([blob], share_inputs=True)
        return [found[index].copy() for index in range(len(found))]


class _OpenVinoBlobs(BlobSource):
    """A model of several outputs, whose names are given in their order."""

    def __init__(self, requests: _Requests, names: Sequence[str]) -> None:
        self._requests, self._names = requests, list(names)
        requests.own()  # what is wrong with the model is told now

    def blobs(self, blob: Float32) -> dict[str, Float32]:
        return dict(zip(self._names, self._requests.run(blob)))


def import_openvino() -> Any:
    """The `openvino` module, kept from finding its telemetry: no run of this software talks to a network.

    Raises EngineError with the pip command where it is not installed.
    """
    before = sys.modules.get(TELEMETRY)
    if before is None:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # makes `import openvino_telemetry` fail
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise EngineError(
            f"the engine openvino needs OpenVINO, which cannot be imported ({error}): {install_command('openvino')}"
        ) from None
    finally:
        if before is None:
            del sys.modules[TELEMETRY]


def _compile(openvino: Any, model: bytes, precision: str, threads: int) -> Any:
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # the cores have pictures to decode
    }
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(model=model, weights=b""), "CPU", options)
    except Exception as error:
        raise EngineError(
            f"OpenVINO {openvino.__version__} cannot load the converted net: {brief(str(error))}"
        ) from error
