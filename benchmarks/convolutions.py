"""The forward pass on one thread, by libraries with and without Winograd's convolutions, which need a third of the products
for a 3 x 3 kernel, against ONNX Runtime, which has none.

    pip install opencv-python-headless ncnn
    python benchmarks/convolutions.py

Prints the processor time of a pass (median), and the largest difference from ONNX Runtime's answer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import machine

from open_nsfw.scoring.load import load_engine
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.scoring.onnx_engine import converted_model

Array = NDArray[Any]
Forward = Callable[[Array], Array]


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    blob = np.random.default_rng(0).uniform(-120, 130, (1, 3, 224, 224)).astype(np.float32)
    print(f"{machine.describe()}; load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        ways = libraries(Path(folder))
        answers = {name: np.array(forward(blob)).reshape(-1) for name, forward in ways.items()}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, forward in ways.items():
                start = time.thread_time()
                forward(blob)
                times[name].append(time.thread_time() - start)
    print("| forward pass, one thread | ms | off by |\n|---|---|---|")
    reference = next(iter(answers.values()))
    for name, values in times.items():
        off = float(np.abs(answers[name] - reference).max())
        print(f"| {name} | {1000 * statistics.median(values):.1f} | {off:.1g} |")


def libraries(folder: Path) -> dict[str, Forward]:
    """Everybody's function for one blob."""
    engine = load_engine(engine="onnxruntime", threads=1)
    ways: dict[str, Forward] = {"ONNX Runtime": engine.forward}
    kept = converted_model(find_model_files())
    model = onnx.load_from_string(kept.read_bytes() if isinstance(kept, Path) else kept)
    onnx.save(model, str(folder / "net.onnx"))
    write_ncnn(model.graph, folder)
    for winograd in (True, False):
        words = "with Winograd" if winograd else "without"
        ways[f"ncnn, {words}"] = ncnn_forward(folder, winograd)
        ways[f"OpenCV, {words}"] = opencv_forward(folder, winograd)
    return ways


def opencv_forward(folder: Path, winograd: bool) -> Forward:
    """OpenCV's own engine for networks, the one that has Winograd."""
    import cv2

    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(str(folder / "net.onnx"), engine=cv2.dnn.ENGINE_CLASSIC)
    net.enableWinograd(winograd)

    def forward(blob: Array) -> Array:
        net.setInput(blob)
        answer: Array = net.forward().copy()
        return answer

    return forward


def ncnn_forward(folder: Path, winograd: bool) -> Forward:
    """ncnn in float32."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads, net.opt.use_winograd_convolution = 1, winograd
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(str(folder / "net.param"))
    net.load_model(str(folder / "net.bin"))

    def forward(blob: Array) -> Array:
        extractor = net.create_extractor()
        extractor.input("input", ncnn.Mat(blob[0]))
        return np.array(extractor.extract("output")[1])

    return forward


def write_ncnn(graph: Any, folder: Path) -> None:
    """The converted net in ncnn's two files. It takes the layers that Yahoo's net has."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    renamed = {graph.input[0].name: "input"}
    layers: list[tuple[str, list[str], str, str]] = [("Input", [], "input", "")]
    with open(folder / "net.bin", "wb") as file:
        for node in graph.node:
            inputs = [renamed.get(name, name) for name in node.input if name not in weights]
            if node.op_type in ("Reshape", "Identity"):
                renamed[node.output[0]] = inputs[0]
                continue
            arrays = [np.float32(weights[name]) for name in node.input if name in weights]
            kind, options = ncnn_layer(node, arrays)
            file.write(b"".join([bytes(4), *(array.tobytes() for array in arrays)]) if arrays else b"")
            renamed[node.output[0]] = "output" if node.op_type == "Softmax" else node.output[0]
            layers.append((kind, inputs, renamed[node.output[0]], options))
    (folder / "net.param").write_text(ncnn_text(layers))


def ncnn_layer(node: Any, arrays: list[Array]) -> tuple[str, str]:
    """Type and options of a layer, by the numbers that ncnn gives to options."""
    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Conv":
        kernel, stride, pad = arrays[0].shape[2], values["strides"][0], values["pads"][0]
        has_bias = int(len(arrays) == 2)
        outputs, size = arrays[0].shape[0], arrays[0].size
        return "Convolution", f"0={outputs} 1={kernel} 3={stride} 4={pad} 5={has_bias} 6={size}"
    if node.op_type == "Gemm":
        return "InnerProduct", f"0={arrays[0].shape[0]} 1=1 2={arrays[0].size}"
    if node.op_type == "MaxPool":
        return "Pooling", f"0=0 1={values['kernel_shape'][0]} 2={values['strides'][0]} 3=0 5=0"
    known = {"Relu": ("ReLU", ""), "Add": ("Eltwise", "0=1"), "AveragePool": ("Pooling", "0=1 4=1")}
    return {**known, "Softmax": ("Softmax", "")}[node.op_type]


def ncnn_text(layers: list[tuple[str, list[str], str, str]]) -> str:
    """The text file: what several layers read is split for each of them."""
    readers = Counter(name for _, inputs, _, _ in layers for name in inputs)
    taken: Counter[str] = Counter()
    lines, blobs = [], 0
    for number, (kind, inputs, output, options) in enumerate(layers):
        names = []
        for name in inputs:
            names.append(f"{name}_{taken[name]}" if readers[name] > 1 else name)
            taken[name] += 1
        lines.append(f"{kind} layer{number} {len(names)} 1 {' '.join([*names, output])} {options}")
        blobs += 1
        if readers[output] > 1:
            parts = [f"{output}_{index}" for index in range(readers[output])]
            lines.append(f"Split split{number} 1 {len(parts)} {output} {' '.join(parts)}")
            blobs += len(parts)
    return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines]) + "\n"


if __name__ == "__main__":
    main()
