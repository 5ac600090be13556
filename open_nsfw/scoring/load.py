"""The one place that chooses and loads an engine or a classifier."""

from __future__ import annotations

import importlib.util
import logging
import os

from open_nsfw.errors import EngineError
from open_nsfw.pictures.formats import Limits
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.engine import Engine
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine

logger = logging.getLogger("open_nsfw")

ENGINES = ("auto", "caffe", "onnxruntime", "openvino")


def load_engine(
    model_def: str | os.PathLike[str] | None = None,
    pretrained_model: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    gpu: int | None = None,
    threads: int | None = None,
    precision: str = "float32",
) -> Engine:
    """Load a net into an engine.

    `engine`: `caffe`, `onnxruntime`, `openvino`, or `auto` (pycaffe where it can be imported, ONNX Runtime otherwise).
    `gpu`: the device's number, None for the CPU. `threads`: how many one forward pass uses, None for one a core; Caffe
    has its own mind about it. `precision`: `float32`, and of OpenVINO also `bfloat16` and `int8`, which are not exact.
    Raises ModelError for a model that cannot be used, EngineError for an engine or GPU that is not there.
    """
    return make_engine(find_model_files(model_def, pretrained_model), engine, gpu, threads, precision)


def make_engine(
    files: ModelFiles,
    engine: str = "auto",
    gpu: int | None = None,
    threads: int | None = None,
    precision: str = "float32",
) -> Engine:
    """`load_engine` for files that were found already, which means read and hashed."""
    if engine not in ENGINES:
        raise EngineError(f'there is no engine "{engine}"; there are {", ".join(ENGINES)}')
    if precision != "float32" and engine != "openvino":
        raise EngineError(f"--precision {precision} goes with --engine openvino")
    if gpu is not None and engine == "openvino":
        raise EngineError("--gpu: the engine openvino computes on the CPU; --engine onnxruntime or caffe can use a GPU")
    if engine == "openvino":
        from open_nsfw.scoring.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(files, precision, threads)
    if engine == "caffe" or (engine == "auto" and pycaffe_is_there()):
        from open_nsfw.scoring.caffe_engine import CaffeEngine

        return CaffeEngine(files, gpu)
    return OnnxRuntimeEngine(files, gpu, threads)


def pycaffe_is_there() -> bool:
    """Whether `import caffe` gives pycaffe. One that is there but broken is reported in the log, once."""
    spec = importlib.util.find_spec("caffe")
    if spec is None or spec.origin is None:  # no origin: a mere folder of that name, such as Caffe's sources
        return False
    try:
        from open_nsfw.scoring.caffe_engine import import_caffe

        import_caffe()
    except EngineError as error:
        logger.warning("%s; ONNX Runtime is used", error)
        return False
    return True


def load_model(
    model_def: str | os.PathLike[str] | None = None,
    pretrained_model: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    gpu: int | None = None,
    threads: int | None = None,
    limits: Limits = Limits(),
    precision: str = "float32",
) -> Classifier:
    """Load Yahoo's network, or another in Caffe's format, for scoring pictures.

    The arguments are those of `load_engine`; without any, the packaged model on pycaffe or ONNX Runtime. `limits` is
    what one picture may cost. Raises ModelError and EngineError.
    """
    return Classifier(load_engine(model_def, pretrained_model, engine, gpu, threads, precision), limits)
