"""Where the processor time of an exact score goes, step by step, and what other ways of a step would give.

    python benchmarks/exact_cost.py [--web 200] [--photo 20]

Each step is timed by itself, in processor time of its thread (`time.thread_time`), as the median over the pictures: what else
the machine does hardly matters. The last lines are the whole command's processor time for one more picture, all processes
together, and what of it is none of the steps: waking up threads, the pipeline, the rows, the system.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: one thread for everybody
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import contenders
import corpus
import machine
import peers
from PIL import Image
from throughput import listed

from open_nsfw.pictures.decode import open_image, small_jpeg, to_rgb
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.messages import FoundPicture
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.pixels import as_array, crop, to_blob
from open_nsfw.pictures.wire import receive_answer, send
from open_nsfw.scoring.load import load_engine

BILINEAR = Image.Resampling.BILINEAR
MESSAGES = 300  # through a pipe
COLUMNS, WEIGHT_BITS = 16, 22  # of `matrix_resize`
PIXELS = bytes(3 * SIDE * SIDE)
Times = dict[str, list[float]]


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--web", type=int, default=200)
    parser.add_argument("--photo", type=int, default=20)
    options = parser.parse_args()
    print(f"{machine.describe()}; load {os.getloadavg()[0]:.1f}\n")
    pictures = peers.FOLDER / "pictures"
    sets = {
        "web": corpus.web_pictures(pictures, options.web),
        "photo": corpus.photo_pictures(pictures, options.photo),
    }
    found = {name: steps(paths) for name, paths in sets.items()}
    sums = {name: sum(statistics.median(values) for values in times.values()) for name, times in found.items()}
    whole = {name: one_more_picture(paths) for name, paths in sets.items()}
    print(f"| processor time of one picture, ms | {' | '.join(sets)} |\n|---|---|---|")
    for step in found["web"]:
        show(step, [statistics.median(times[step]) for times in found.values()])
    show("through a pipe, both ends", [through_pipe()] * len(sets))
    show("the whole command, one more picture", list(whole.values()))
    show("of that none of the above", [whole[name] - sums[name] - through_pipe() for name in sets])
    print(f"\n| other ways, ms | {' | '.join(sets)} |\n|---|---|---|")
    show("shared memory in place of the pipe's pixels, both ends", [through_memory()] * len(sets))
    for name, values in other_resizes({name: paths[:20] for name, paths in sets.items()}).items():
        show(name, values)


def show(name: str, values: list[float]) -> None:
    """A row of a table, of seconds as ms."""
    print(f"| {name} | {' | '.join(f'{1000 * value:.2f}' for value in values)} |", flush=True)


def steps(paths: list[Path]) -> Times:
    """Seconds of each step of each picture."""
    times: Times = {}
    engine = load_engine(engine="onnxruntime", threads=1)
    engine.forward(np.zeros((1, *engine.input_shape), np.float32))

    def timed(step: str, function: Callable[[], Any]) -> Any:
        start = time.thread_time()
        result = function()
        times.setdefault(step, []).append(time.thread_time() - start)
        return result

    for path in paths:
        data = timed("read the file", path.read_bytes)
        image = timed("decode it", lambda data=data: to_rgb(open_image(data)))
        across = timed("resize across", lambda image=image: image.resize((SIDE, image.height), resample=BILINEAR))
        small = timed("resize down", lambda across=across: across.resize((SIDE, SIDE), resample=BILINEAR))
        encoded = timed("JPEG, 256 x 256", lambda small=small: small_jpeg(small))
        again = timed(
            "and back", lambda encoded=encoded: Image.open(io.BytesIO(encoded), formats=["JPEG"]).convert("RGB")
        )
        pixels = timed("pixels as bytes", again.tobytes)
        picture = Picture(pixels, image.width, image.height, "JPEG")
        blob = timed(
            "crop, minus the mean", lambda picture=picture: to_blob(crop(as_array(picture), 224, 224)[np.newaxis])
        )
        timed("forward pass, one thread", lambda blob=blob: engine.forward(blob))
    return times


def one_more_picture(paths: list[Path]) -> float:
    """Processor seconds of the whole command for one more picture, all its processes together."""
    with tempfile.TemporaryDirectory() as folder:
        few = machine.run(contenders.command(listed(folder, paths[:1] * 4), "--output", f"{folder}/few.jsonl")).cpu
        many = machine.run(contenders.command(listed(folder, paths * 2), "--output", f"{folder}/many.jsonl")).cpu
    return (many - few) / (2 * len(paths) - 4)


def both_ends(child: Callable[[int], None], parent: Callable[[int], None]) -> float:
    """Processor seconds of two processes with a pipe between them, for each message."""
    there, here = os.pipe()
    before = os.times()
    pid = os.fork()
    if pid == 0:
        os.close(there)
        child(here)
        os._exit(0)
    os.close(here)
    parent(there)
    os.waitpid(pid, 0)
    after = os.times()
    return sum(b - a for a, b in zip(before[:4], after[:4])) / MESSAGES


def through_pipe() -> float:
    """A picture as the decoding process hands it over."""

    def child(descriptor: int) -> None:
        with os.fdopen(descriptor, "wb") as stream:
            for _ in range(MESSAGES):
                send(stream, FoundPicture(1, Picture(PIXELS, 640, 480, "JPEG")))

    def parent(descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            for _ in range(MESSAGES):
                receive_answer(stream)

    return both_ends(child, parent)


def through_memory() -> float:
    """The same header through the pipe, and the pixels copied into memory that both processes have and out of it again: a
    process that a picture has broken must not be able to change pixels that were checked."""
    memory = shared_memory.SharedMemory(create=True, size=len(PIXELS))

    def child(descriptor: int) -> None:
        with os.fdopen(descriptor, "wb") as stream:
            for _ in range(MESSAGES):
                memory.buf[:] = PIXELS
                send(stream, FoundPicture(1, Picture(b"", 640, 480, "JPEG")))

    def parent(descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            for _ in range(MESSAGES):
                receive_answer(stream)
                bytes(memory.buf)

    try:
        return both_ends(child, parent)
    finally:
        memory.close()
        memory.unlink()


def matrix_resize(image: Image.Image) -> Image.Image:
    """The recipe's resize, across by NumPy: Pillow's own weights, whole numbers of 22 bits, whose sums float64 holds exactly."""
    weights = pillows_weights(image.width)
    planes = np.ascontiguousarray(np.asarray(image).transpose(0, 2, 1))  # (H, 3, W)
    across = np.empty((image.height, 3, SIDE), np.uint8)
    for at in range(0, SIDE, COLUMNS):  # few columns at a time: only a band of the weights is not 0
        (rows,) = np.nonzero(weights[:, at : at + COLUMNS].any(axis=1))
        band = slice(rows[0], rows[-1] + 1)
        sums = planes[:, :, band].astype(np.float64) @ weights[band, at : at + COLUMNS]
        across[:, :, at : at + COLUMNS] = np.clip(np.floor(sums / 2**WEIGHT_BITS + 0.5), 0, 255)
    return Image.fromarray(np.ascontiguousarray(across.transpose(0, 2, 1))).resize((SIDE, SIDE), resample=BILINEAR)


def pillows_weights(size: int) -> np.ndarray:
    """float64 (size, 256), whole numbers: what each pixel of a line adds to each of the 256, as src/libImaging/Resample.c of
    Pillow has it."""
    scale = size / SIDE
    reach, weights = max(scale, 1.0), np.zeros((size, SIDE))
    for out in range(SIDE):
        center = (out + 0.5) * scale
        where = np.arange(max(int(center - reach + 0.5), 0), min(int(center + reach + 0.5), size))
        triangle = np.maximum(1 - np.abs((where - center + 0.5) / reach), 0)
        weights[where, out] = np.floor(triangle / triangle.sum() * 2**WEIGHT_BITS + 0.5)
    return weights


def other_resizes(sets: dict[str, list[Path]]) -> dict[str, list[float]]:
    """Median seconds of ways to resize, by set, with the largest difference of a pixel from the recipe's in the name."""
    ways: dict[str, Callable[[Image.Image], Image.Image]] = {
        "resize in two passes of one direction, as the recipe has it": lambda image: image.resize(
            (SIDE, image.height), resample=BILINEAR
        ).resize((SIDE, SIDE), resample=BILINEAR),
        "resize in one call": lambda image: image.resize((SIDE, SIDE), resample=BILINEAR),
        "resize down first": lambda image: image.resize((image.width, SIDE), resample=BILINEAR).resize(
            (SIDE, SIDE), resample=BILINEAR
        ),
        "Pillow's sums in whole numbers as a matrix product of NumPy": matrix_resize,
        "resize with reducing_gap=3": lambda image: image.resize((SIDE, SIDE), resample=BILINEAR, reducing_gap=3.0),
    }
    seconds = {name: [] for name in ways}  # type: dict[str, list[float]]
    worst = dict.fromkeys(ways, 0)
    for paths in sets.values():
        took: Times = {name: [] for name in ways}
        for path in paths:
            image = to_rgb(open_image(path.read_bytes()))
            exact: Any = None
            for name, way in ways.items():
                start = time.thread_time()
                pixels = np.asarray(way(image), dtype=int)
                took[name].append(time.thread_time() - start)
                exact = pixels if exact is None else exact
                worst[name] = max(worst[name], int(np.abs(pixels - exact).max()))
        for name, values in took.items():
            seconds[name].append(statistics.median(values))
    return {f"{name} (pixels differ by up to {worst[name]})": values for name, values in seconds.items()}


if __name__ == "__main__":
    main()
