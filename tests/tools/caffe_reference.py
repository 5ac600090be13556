"""The independent judge: Yahoo's open_nsfw recipe through real Caffe, step by step as the original script does it.

Nothing here comes from `open_nsfw`: what the package computes is compared with what this module computes. It runs
wherever pycaffe does, in practice Python 3.9 with `kendryte-caffe`, `numpy<2` and scikit-image.

    python tests/tools/caffe_reference.py MODEL_DEF WEIGHTS IMAGE...
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any, Union

os.environ.setdefault("GLOG_minloglevel", "2")  # Caffe logs every layer on load, unless told before the import
# One thread and several differ in the last bits (2e-8); two and more agree, and are what a person gets.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import caffe
import numpy as np
import skimage
import skimage.io
from PIL import Image

Picture = Union[str, "os.PathLike[str]"]

SIDE = 256  # the picture is squeezed to this square before the JPEG round trip
MEAN_BGR = (104.0, 117.0, 123.0)  # the network's training mean, in the channel order Caffe sees
NSFW = 1  # column of `prob`; column 0 is "safe for work"


def load_net(model_def: Picture, weights: Picture) -> Any:
    """A `caffe.Net` on the CPU in the test phase."""
    caffe.set_mode_cpu()
    return caffe.Net(os.fspath(model_def), os.fspath(weights), caffe.TEST)


def jpeg_bytes(path: Picture) -> bytes:
    """The picture as RGB, resized to 256 x 256 and saved as JPEG at Pillow's default quality."""
    with Image.open(path) as image:
        squeezed = image.convert("RGB").resize((SIDE, SIDE), resample=Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    squeezed.save(buffer, format="JPEG")
    return buffer.getvalue()


def centre_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle (height, width, 3) of an (H, W, 3) array."""
    top = max((image.shape[0] - height) // 2, 0)
    left = max((image.shape[1] - width) // 2, 0)
    return image[top : top + height, left : left + width, :]


def make_transformer(net: Any) -> Any:
    """Caffe's own preprocessor with the settings of the original: RGB 0..1 in, BGR 0..255 minus the mean out."""
    name = net.inputs[0]
    transformer = caffe.io.Transformer({name: net.blobs[name].data.shape})
    transformer.set_transpose(name, (2, 0, 1))
    transformer.set_mean(name, np.array(MEAN_BGR))
    transformer.set_raw_scale(name, 255)
    transformer.set_channel_swap(name, (2, 1, 0))
    return transformer


def input_blob(path: Picture, net: Any) -> np.ndarray:
    """float32 (1, 3, 224, 224): what the original feeds to the network for this picture."""
    name = net.inputs[0]
    decoded = skimage.img_as_float(skimage.io.imread(io.BytesIO(jpeg_bytes(path)))).astype(np.float32)
    height, width = net.blobs[name].data.shape[2:]
    return make_transformer(net).preprocess(name, centre_crop(decoded, height, width))[np.newaxis]


def score(path: Picture, net: Any) -> float:
    """Yahoo's score of one picture: float32 `prob[1]` as a Python float, so `repr` loses nothing."""
    outputs = net.forward_all(blobs=["prob"], **{net.inputs[0]: input_blob(path, net)})
    return float(outputs["prob"][0][NSFW])


def scores(paths: Sequence[Picture], model_def: Picture, weights: Picture) -> list[float]:
    """The scores of many pictures, in their order, each scored alone as the original does."""
    net = load_net(model_def, weights)
    return [score(path, net) for path in paths]


if __name__ == "__main__":
    for name, value in zip(sys.argv[3:], scores(sys.argv[3:], sys.argv[1], sys.argv[2])):
        print(f"{value!r}\t{name}")
