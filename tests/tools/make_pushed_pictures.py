"""Harmless photos moved over the whole range of scores.

Free pictures all score low, so the middle and the top of the range would go untested. Here a photo of a cat, a cup or a
rocket, free by the word of its author (tests/data/SOURCES.csv), is changed, a few grey levels a pixel, by Adam on the
network's logit until real Caffe gives the score asked for.
The JPEG steps (the saved file's and the recipe's) are in the loop, with a straight-through gradient. What comes out
still looks like the photo with some noise on it.

    python -m tests.tools.make_pushed_pictures MODEL_DEF WEIGHTS tests/data/pushed

Needs pycaffe (Python 3.9). Write the golden scores again afterwards: regenerate_golden.py.
"""

from __future__ import annotations

import io
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.tools import caffe_reference
from tests.tools.pictures import skimage_folder

# score -> the photo that is moved there; no two neighbours from the same photo
TARGETS: dict[float, str] = {
    0.05: "chelsea.png",
    0.1: "coffee.png",
    0.19: "rocket.jpg",
    0.199: "hubble_deep_field.jpg",
    0.201: "chelsea.png",
    0.21: "gravel.png",
    0.3: "coffee.png",
    0.4: "clock_motion.png",
    0.5: "rocket.jpg",
    0.6: "hubble_deep_field.jpg",
    0.7: "chelsea.png",
    0.79: "coffee.png",
    0.799: "gravel.png",
    0.801: "rocket.jpg",
    0.81: "clock_motion.png",
    0.9: "hubble_deep_field.jpg",
    0.95: "chelsea.png",
    0.99: "coffee.png",
}
LOGIT = "fc_nsfw"  # the blob before the softmax: score = sigmoid(fc_nsfw[1] - fc_nsfw[0])
QUALITY = 95  # of the saved JPEG
MOST_STEPS = 80
CLOSE_ENOUGH = 0.002  # logits; 0.0003 in the score at 0.2
LARGEST_STEP = 1.5  # grey levels
STEP_PER_LOGIT = 0.6  # the step shrinks as the logit comes near
ADAM = (0.7, 0.9, 1e-12)  # decay of mean and of square (short memory: few steps), and what keeps the division finite


def load_net(model_def: str, weights: str) -> Any:
    """The network in Caffe with gradients down to the pixels."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as prototxt:
        prototxt.write("force_backward: true\n" + Path(model_def).read_text())
        prototxt.flush()
        return caffe_reference.load_net(prototxt.name, weights)


def start_pixels(name: str) -> np.ndarray:
    """float32 (256, 256, 3), RGB 0..255: the photo as the recipe squeezes it."""
    side = caffe_reference.SIDE
    with Image.open(skimage_folder() / name) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32)


def as_file(pixels: np.ndarray) -> bytes:
    """The JPEG that would be saved."""
    buffer = io.BytesIO()
    rounded = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    Image.fromarray(rounded).save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()


def logit_and_gradient(jpeg: bytes, net: Any) -> tuple[float, np.ndarray]:
    """The logit of a file and its gradient for the file's pixels, float32 (256, 256, 3) RGB."""
    data = net.blobs[net.inputs[0]]
    data.data[...] = caffe_reference.input_blob(io.BytesIO(jpeg), net)  # type: ignore[arg-type]
    net.forward()
    safe, nsfw = (float(value) for value in net.blobs[LOGIT].data[0])
    net.blobs[LOGIT].diff[...] = [[-1.0, 1.0]]
    net.backward(start=LOGIT)
    side, offset = caffe_reference.SIDE, (caffe_reference.SIDE - data.data.shape[2]) // 2
    gradient = np.zeros((side, side, 3), dtype=np.float32)
    gradient[offset:-offset, offset:-offset] = data.diff[0, ::-1].transpose(1, 2, 0)
    return nsfw - safe, gradient


def push(name: str, target: float, net: Any) -> bytes:
    """A JPEG made from the photo whose score is as near to `target` as the steps allow."""
    goal = math.log(target / (1 - target))
    pixels = start_pixels(name)
    mean, square = np.zeros_like(pixels), np.zeros_like(pixels)
    keep_mean, keep_square, tiny = ADAM
    nearest, best = math.inf, b""
    for step in range(1, MOST_STEPS + 1):
        jpeg = as_file(pixels)
        logit, gradient = logit_and_gradient(jpeg, net)
        distance = goal - logit
        if abs(distance) < nearest:
            nearest, best = abs(distance), jpeg
        if nearest < CLOSE_ENOUGH:
            break
        gradient *= distance
        mean = keep_mean * mean + (1 - keep_mean) * gradient
        square = keep_square * square + (1 - keep_square) * gradient**2
        direction = mean / (1 - keep_mean**step) / (np.sqrt(square / (1 - keep_square**step)) + tiny)
        pixels = np.clip(pixels + min(LARGEST_STEP, STEP_PER_LOGIT * abs(distance)) * direction, 0, 255)
    return best


def make_pushed_pictures(model_def: str, weights: str, folder: Path) -> list[Path]:
    """Write one JPEG for each target into `folder` and return the paths."""
    net = load_net(model_def, weights)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for target, name in TARGETS.items():
        path = folder / f"{target:.3f}-{Path(name).stem}.jpg"
        path.write_bytes(push(name, target, net))
        print(f"{path.name}\t{path.stat().st_size} bytes\t{caffe_reference.score(path, net)!r}", flush=True)
        written.append(path)
    return written


if __name__ == "__main__":
    files = make_pushed_pictures(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    print(f"{len(files)} pictures, {sum(path.stat().st_size for path in files)} bytes")
