"""The one place that loads models: engines, classifiers, and what the fast mode needs beside them.

`load_engine` and `load_model` are the public functions; the command and the verbs call `load_models`. This is the door
behind which NumPy and ONNX Runtime are: they, and the modules that import them, are loaded when a model is asked for, and
what goes wrong with the libraries themselves becomes an EngineError here.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from open_nsfw.address_space import check_address_space, hint
from open_nsfw.errors import EngineError
from open_nsfw.installing import broken_library
from open_nsfw.pictures.formats import Limits
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.names import ENGINES, check_precision
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.scoring.scorer import Models

if TYPE_CHECKING:
    from open_nsfw.scoring.classifier import Classifier
    from open_nsfw.scoring.engine import Engine

logger = logging.getLogger("open_nsfw")


def load_models(options: LoadOptions, files: ModelFiles | None = None) -> Models:
    """The exact classifier and, with `options.fast`, the quick one with its margins.

    `files` are those of the options where they were found already, that is read and hashed. Raises ModelError for a
    model or ranges file that cannot be used, EngineError for an engine, library or GPU that is not there.
    """
    files = files or find_model_files(options.model_def, options.pretrained_model)
    with _usable_libraries():
        from open_nsfw.scoring.classifier import Classifier

        exact = Classifier(_engine(files, options), options.limits)
        if not options.fast:
            return Models(exact)
        from open_nsfw.scoring.int8_engine import Int8Engine

        engine = Int8Engine(files, options.threads, options.ranges)
        margins = engine.ranges.margins_for(options.thresholds)
        return Models(exact, Classifier(engine, options.limits), options.thresholds, margins)


def with_thresholds(models: Models, thresholds: Sequence[float]) -> Models:
    """The same models, for decisions at these thresholds: the fast mode scores exactly what comes near one of them."""
    if models.quick is None:
        return models
    from open_nsfw.scoring.int8_engine import Int8Engine

    assert isinstance(models.quick.engine, Int8Engine)
    margins = models.quick.engine.ranges.margins_for(tuple(thresholds))
    return replace(models, thresholds=tuple(thresholds), margins=margins)


@contextmanager
def _usable_libraries() -> Iterator[None]:
    """Raises EngineError, in one line, for a library that is missing or broken, and where memory is too small."""
    check_address_space()
    try:
        yield
    except ImportError as error:
        raise EngineError(broken_library(error) + hint()) from error
    except MemoryError as error:
        raise EngineError("there is not enough memory to load the model" + hint()) from error


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
    decides by itself. `precision`: `float32`; of OpenVINO also `bfloat16` and `int8`, of ONNX Runtime `int8`, which are
    not exact. Raises ModelError for a model that cannot be used, EngineError for an engine or GPU that is not there,
    UsageError for `threads` below 1.
    """
    options = LoadOptions(model_def, pretrained_model, engine, gpu, threads, precision)
    files = find_model_files(model_def, pretrained_model)
    with _usable_libraries():
        return _engine(files, options)


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
    return load_models(LoadOptions(model_def, pretrained_model, engine, gpu, threads, precision, limits)).exact


def _engine(files: ModelFiles, options: LoadOptions) -> Engine:
    """The engine that the options name."""
    name, precision = options.engine, options.precision
    _check(name, precision, options.gpu)
    if name == "openvino":
        from open_nsfw.scoring.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(files, precision, options.threads, options.ranges)
    if precision == "int8":
        from open_nsfw.scoring.int8_engine import Int8Engine

        return Int8Engine(files, options.threads, options.ranges)
    if name == "caffe" or (name == "auto" and pycaffe_is_there()):
        from open_nsfw.scoring.caffe_engine import CaffeEngine

        return CaffeEngine(files, options.gpu)
    from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(files, options.gpu, options.threads)


def _check(engine: str, precision: str, gpu: int | None) -> None:
    """Raises EngineError for an engine, precision and GPU that do not go together."""
    if engine not in ENGINES:
        raise EngineError(f'there is no engine "{engine}"; there are {", ".join(ENGINES)}')
    check_precision(precision)
    if engine == "openvino":
        if gpu is not None:
            raise EngineError(
                "--gpu: the engine openvino computes on the CPU; --engine onnxruntime or caffe can use a GPU"
            )
    elif precision == "bfloat16" or (precision == "int8" and engine == "caffe"):
        raise EngineError(f"--precision {precision}: the engine {engine} has none; --engine openvino does")
    elif precision == "int8" and gpu is not None:
        raise EngineError("--precision int8: the int8 net computes on the CPU; leave --gpu out")


def has_pycaffe() -> bool:
    """Whether there is a pycaffe to import, which may be broken."""
    spec = importlib.util.find_spec("caffe")
    return (
        spec is not None and spec.origin is not None
    )  # no origin: a mere folder of that name, such as Caffe's sources


def pycaffe_is_there() -> bool:
    """Whether `import caffe` gives pycaffe. One that is there but broken is reported in the log."""
    if not has_pycaffe():
        return False
    from open_nsfw.scoring.caffe_engine import import_caffe

    try:
        import_caffe()
    except EngineError as error:
        logger.warning("%s; ONNX Runtime is used", error)
        return False
    return True
