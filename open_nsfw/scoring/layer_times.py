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
from open_nsfw.nets.onnx_nodes import input_tensor
from open_nsfw.nets.shapes import check_weights
from open_nsfw.scoring.engine import Float32, output_name
from open_nsfw.scoring.onnx_runtime import import_onnxruntime, open_session, run_session

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
    net = with_weights(net, weights)
    check_weights(net)
    output = output_name(net.blob_names, net.output_names)
    blob = np.random.default_rng(SEED).normal(0, 50, (1, *net.input_shape[1:])).astype(np.float32)
    model, layer_of_node = convert_by_layer(net, output)
    return LayerTimes(_by_layer(model, layer_of_node, input_tensor(net.input_name), blob), _whole(net, output, blob))


def _by_layer(model: bytes, layer_of_node: Mapping[str, str], name: str, blob: Float32) -> dict[str, float]:
    level = import_onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
    with tempfile.TemporaryDirectory() as folder:

        def profile(options: Any) -> None:
            options.graph_optimization_level = level
            options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "profile"))

        session = open_session(model, threads=1, configure=profile)
        for _ in range(WARM_UP + RUNS):
            run_session(session, {name: blob})
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


def _whole(net: Net, output: str, blob: Float32) -> float:
    session = open_session(convert(net, output), threads=1)
    durations = []
    for _ in range(WARM_UP + RUNS):
        started = time.perf_counter()
        run_session(session, {input_tensor(net.input_name): blob})
        durations.append(1000 * (time.perf_counter() - started))
    return float(np.median(durations[WARM_UP:]))
