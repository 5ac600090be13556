"""How long each layer of a net takes on this machine, in ONNX Runtime."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from open_nsfw.nets.caffemodel import with_weights
from open_nsfw.nets.net import Blob, Net
from open_nsfw.nets.onnx_graph import convert, convert_by_layer
from open_nsfw.scoring.engine import output_name
from open_nsfw.scoring.onnx_runtime import import_onnxruntime

WARM_UP, RUNS = 3, 15  # forward passes before the clock runs, and those whose median counts
SEED = 2016


@dataclass(frozen=True)
class LayerTimes:
    """Milliseconds of one picture's forward pass on one thread, the median of `RUNS`."""

    layers: Mapping[str, float]
    """By layer, each computed by itself. Layers that only view or copy nothing take none and are left out."""
    whole: float
    """Of the net as it is scored: batch norm folded, layers fused by ONNX Runtime."""


def measure(net: Net, weights: Mapping[str, tuple[Blob, ...]]) -> LayerTimes:
    """Time a net for one picture. Raises EngineError where ONNX Runtime is missing, ModelError for a net that it cannot
    compute."""
    net = with_weights(net, dict(weights))
    output = output_name(net.blob_names, net.output_names)
    blob = np.random.default_rng(SEED).normal(0, 50, (1, *net.input_shape[1:])).astype(np.float32)
    model, layer_of_node = convert_by_layer(net, output)
    return LayerTimes(_by_layer(model, layer_of_node, net.input_name, blob), _whole(net, output, blob))


def _by_layer(
    model: bytes, layer_of_node: Mapping[str, str], name: str, blob: np.ndarray[Any, np.dtype[np.float32]]
) -> dict[str, float]:
    onnxruntime = import_onnxruntime()
    with tempfile.TemporaryDirectory() as folder:
        options = _one_thread(onnxruntime)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        for _ in range(WARM_UP + RUNS):
            session.run(None, {name: blob})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[str, list[float]] = {}
    for event in events:
        node = event["name"].removesuffix("_kernel_time")
        if event.get("cat") == "Node" and node != event["name"] and node in layer_of_node:
            times.setdefault(node, []).append(event["dur"] / 1000)  # microseconds
    layers: dict[str, float] = {}
    for node, runs in times.items():
        layer = layer_of_node[node]
        layers[layer] = layers.get(layer, 0.0) + float(np.median(runs[WARM_UP:]))
    return layers


def _whole(net: Net, output: str, blob: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    onnxruntime = import_onnxruntime()
    session = onnxruntime.InferenceSession(
        convert(net, output), _one_thread(onnxruntime), providers=["CPUExecutionProvider"]
    )
    durations = []
    for _ in range(WARM_UP + RUNS):
        started = time.perf_counter()
        session.run(None, {net.input_name: blob})
        durations.append(1000 * (time.perf_counter() - started))
    return float(np.median(durations[WARM_UP:]))


def _one_thread(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return options
