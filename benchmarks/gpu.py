"""What a GPU computes: pictures a second by batch and precision, how far its scores are from Caffe's, and decoding on it.

    pip uninstall --yes onnxruntime && pip install --force-reinstall 'onnxruntime-gpu>=1.17'
    python benchmarks/gpu.py [--web 2000] [--photo 100]

One command on a machine with an NVIDIA GPU fills the tables of docs/speed.md; without one every figure is "not measured",
with the reason. Measured are the providers of ONNX Runtime that are there: CUDA, which `--gpu` uses, and TensorRT, which
nothing uses yet. float32 has TF32 off. float16 and int8 are quick scores: their distance from Caffe's is printed, and nothing
is decided by them. Decoding on the GPU is that of NVIDIA's nvImageCodec (`pip install nvidia-nvimgcodec-cu12`).

`--provider CPUExecutionProvider` runs the same on the CPU, to try this script where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import contenders
import corpus
import machine
import peers
from throughput import listed

from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring.int8_engine import quantized_model
from open_nsfw.scoring.model_files import find_model_files, read_ranges
from open_nsfw.scoring.onnx_engine import converted_model

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS = 2.0  # of each measurement
PROVIDERS = {"CUDAExecutionProvider": {"use_tf32": "0"}, "TensorrtExecutionProvider": {}, "CPUExecutionProvider": {}}
GPUS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
PRECISIONS = ("float32", "float16", "int8")
NSFW = 1
NONE = "not measured: ONNX Runtime finds no GPU here"
Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--web", type=int, default=2000, help="web-sized pictures, end to end")
    parser.add_argument("--photo", type=int, default=100, help="12-megapixel pictures, end to end")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--provider", nargs="+", choices=PROVIDERS, default=GPUS)
    options = parser.parse_args()
    import onnxruntime

    there = [name for name in options.provider if name in onnxruntime.get_available_providers()]
    print(f"{machine.describe()}; ONNX Runtime {onnxruntime.__version__}: {', '.join(there) or 'no GPU'}\n")
    forward_table(there, options.batches)
    end_to_end_table(there, {"web": options.web, "photo": options.photo})
    decode_table(options.web)


def forward_table(there: Sequence[str], batches: Sequence[int]) -> None:
    """The network alone, and how far its scores are from Caffe's."""
    print(f"| forward pass, pictures/s, by batch | {' | '.join(map(str, batches))} | furthest from Caffe's scores |")
    print("|---" * (len(batches) + 2) + "|")
    blob, scores = golden()
    for provider in there or [""]:
        for precision in PRECISIONS:
            name = f"{provider.removesuffix('ExecutionProvider')} {precision}".strip()
            try:
                if not provider:
                    raise NotMeasured(NONE)
                forward = session(provider, model(precision))
                speeds = [f"{speed(forward, batch):.0f}" for batch in batches]
                worst = f"{distance(forward, blob, scores, max(batches)):.2g}"
            except Exception as error:  # noqa: BLE001  one that a provider cannot compute costs the others nothing
                speeds, worst = ["-"] * len(batches), " ".join(str(error).split())[:120]
            print(f"| {name} | {' | '.join(speeds)} | {worst} |", flush=True)
    print()


class NotMeasured(Exception):
    """The reason why there is no figure."""


def model(precision: str) -> bytes:
    """The converted model in a precision."""
    files = find_model_files()
    if precision == "int8":
        return contents(quantized_model(files, *read_ranges(files)))
    whole = contents(converted_model(files))
    if precision == "float32":
        return whole
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half: bytes = convert_float_to_float16(onnx.load_from_string(whole), keep_io_types=True).SerializeToString()
    return half


def contents(kept: Path | bytes) -> bytes:
    """Of a model in the cache."""
    return kept.read_bytes() if isinstance(kept, Path) else kept


def session(provider: str, content: bytes) -> Forward:
    """A function that computes one batch on a provider, which must take it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(
        content, options, providers=[(provider, PROVIDERS[provider])], enable_fallback=0
    )
    if made.get_providers()[0] != provider:
        raise NotMeasured(f"not measured: {provider} does not start")
    name = made.get_inputs()[0].name
    return lambda blob: made.run(None, {name: blob})[0]


def speed(forward: Forward, batch: int) -> float:
    """Pictures a second, copies to the GPU and back included."""
    blob = np.random.default_rng(0).uniform(-120, 130, (batch, 3, 224, 224)).astype(np.float32)
    forward(blob)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        forward(blob)
        count += batch
    return count / (time.perf_counter() - start)


def golden() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Input and Caffe's score of each picture of the tests that has one."""
    stored = json.loads((ROOT / "tests" / "data" / "golden_scores.json").read_text(encoding="utf-8"))["pictures"]
    known = {ROOT / "tests" / "data" / row["name"]: row["score"] for row in stored if row["score"] is not None}
    paths = [path for path in known if path.is_file()]
    blobs = [to_blob(crop(resized_pixels(path), 224, 224)[np.newaxis]) for path in paths]
    return np.concatenate(blobs), np.array([known[path] for path in paths])


def distance(forward: Forward, blob: NDArray[np.float32], scores: NDArray[np.float64], batch: int) -> float:
    """The largest difference of a score."""
    pieces = [forward(blob[at : at + batch]) for at in range(0, len(blob), batch)]
    return float(np.abs(np.concatenate(pieces).reshape(len(blob), -1)[:, NSFW] - scores).max())


def end_to_end_table(there: Sequence[str], counts: dict[str, int]) -> None:
    """The whole command, decoding on the CPU."""
    print("| classify_nsfw, pictures/s | " + " | ".join(counts) + " |\n|---" + "|---" * len(counts) + "|")
    if not set(GPUS[:1]) & set(there):
        print(f"| --gpu | {' | '.join([NONE] * len(counts))} |\n")
        return
    made = {"web": corpus.web_pictures, "photo": corpus.photo_pictures}
    for ways in ((), ("--gpu",)):
        cells = []
        for name, count in counts.items():
            paths = made[name](peers.FOLDER / "pictures", count)
            file = listed(str(peers.FOLDER), paths)
            cells.append(f"{count / machine.run(contenders.command(file, *ways)).wall:.1f}")
        print(f"| {' '.join(ways) or 'on the CPU'} | {' | '.join(cells)} |", flush=True)
    print()


def decode_table(count: int) -> None:
    """JPEG decoding alone, on the CPU and on the GPU."""
    paths = corpus.web_pictures(peers.FOLDER / "pictures", min(count, 500))
    print("| decoding alone, one thread, pictures/s | web |\n|---|---|")
    for name, decode in (("Pillow, on the CPU", with_pillow), ("nvImageCodec, on the GPU", with_nvimgcodec)):
        try:
            start = time.perf_counter()
            decode(paths)
            print(f"| {name} | {len(paths) / (time.perf_counter() - start):.0f} |", flush=True)
        except Exception as error:  # noqa: BLE001  not installed, or no GPU
            print(f"| {name} | not measured: {' '.join(str(error).split())[:120]} |")


def with_pillow(paths: Sequence[Path]) -> None:
    """As the recipe does, without its resize."""
    from PIL import Image

    for path in paths:
        Image.open(path).convert("RGB").load()


def with_nvimgcodec(paths: Sequence[Path]) -> None:
    """Into the GPU's memory, in one batch."""
    from nvidia import nvimgcodec

    decoder: Any = nvimgcodec.Decoder()
    for image in decoder.read([str(path) for path in paths]):
        if image is None:
            raise NotMeasured("a picture could not be decoded")


if __name__ == "__main__":
    os.environ.setdefault("OPEN_NSFW_CACHE", str(peers.FOLDER / "cache"))
    main()
