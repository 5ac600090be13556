"""A small residual net with stages, and labelled pictures that it can learn to tell apart: for tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from open_nsfw.nets.build import prototxt
from open_nsfw.nets.caffemodel import caffemodel_bytes
from open_nsfw.nets.prototxt import read_prototxt
from open_nsfw.nets.residual import ResidualNet
from open_nsfw.nets.shapes import infer

SEED = 2016
FIRST_INPUT = 64.0  # about the standard deviation of what the first layer reads


def write_net(folder: Path, stages: int = 4, filters: int = 16, size: int = 64) -> list[str]:
    """Write net.prototxt and net.caffemodel of one block a stage; gives the options that name them. Random weights that keep
    the size of activations, and batch norm that changes nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    model_def, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model_def.write_text(prototxt(ResidualNet(blocks=(1,) * stages, filters=filters, size=size)))
    net = read_prototxt(model_def)
    random = np.random.default_rng(SEED)
    blobs: dict[str, tuple[NDArray[np.float32], ...]] = {}
    for layer, shapes in zip(net.layers, infer(net)):
        made = [_blob(layer.type, number, shape, random) for number, shape in enumerate(shapes.blobs)]
        blobs[layer.name] = tuple(each.astype(np.float32) for each in made)
    (first, *bias) = blobs["conv_1"]
    blobs["conv_1"] = (first / np.float32(FIRST_INPUT), *bias)
    weights.write_bytes(caffemodel_bytes(net, blobs))
    return ["--model_def", str(model_def), "--pretrained_model", str(weights)]


def make_tinted(folder: Path, count: int, side: int = 96) -> None:
    """Pictures of noise in `folder`/sfw and `folder`/nsfw: these lean towards red, but for some of them."""
    random = np.random.default_rng(SEED)
    for number in range(count):
        name = "nsfw" if number % 2 else "sfw"
        (folder / name).mkdir(parents=True, exist_ok=True)
        tint = random.normal(0, 12, 3) + np.array([14, 0, -14]) * (1 if name == "nsfw" else -1)
        pixels = 128 + tint + random.normal(0, 40, (side, side, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number:04}.png")


def _blob(kind: str, number: int, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    if kind in ("Convolution", "InnerProduct") and number == 0:
        return random.normal(0, np.sqrt(1.5 / np.prod(shape[1:])), shape)
    ones = (kind == "BatchNorm" and number > 0) or (kind == "Scale" and number == 0)
    return np.ones(shape) if ones else np.zeros(shape)
