"""Residual nets of random parts with random weights, batch norm statistics included. No Caffe is needed to make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from open_nsfw.nets.build import prototxt
from open_nsfw.nets.caffemodel import caffemodel_bytes
from open_nsfw.nets.initialize import initial_weights
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.nets.residual import BRANCHES, ResidualNet
from open_nsfw.nets.training import weight_text
from open_nsfw.scoring.model_files import ModelFiles, find_model_files

INPUT_SPREAD = 100  # of what goes in, about


def random_residual_net(folder: Path, seed: int, classes: int = 2, fc_layers: bool = False) -> ModelFiles:
    """Write `net.prototxt` and `net.caffemodel` into `folder`; the same for the same seed."""
    random = np.random.default_rng(seed)
    net = ResidualNet(
        blocks=tuple(int(count) for count in random.integers(1, 3, random.integers(1, 4))),
        filters=4 * int(random.integers(1, 9)),
        classes=classes,
        kind=str(random.choice(BRANCHES)),
        size=int(random.integers(64, 225)),
        fc_layers=fc_layers,
    )
    model_def, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model_def.write_text(prototxt(net))
    parsed = parse_prototxt(weight_text(net))
    blobs = initial_weights(parsed, seed)
    norms = [layer for layer in parsed.layers if layer.type == "BatchNorm"]
    for layer in norms:  # sums of what was seen, and how much was
        mean, variance, _ = blobs[layer.name]
        factor = np.float32(random.uniform(0.5, 3))
        means = factor * random.normal(0, 0.3, mean.shape).astype(np.float32)
        variances = factor * random.uniform(0.5, 2, variance.shape).astype(np.float32)
        if layer is norms[0]:  # it reads what mean-subtracted pixels give
            means, variances = means * INPUT_SPREAD, variances * INPUT_SPREAD**2
        blobs[layer.name] = means, variances, np.full((1,), factor, np.float32)
    weights.write_bytes(caffemodel_bytes(parsed, blobs))
    return find_model_files(model_def, weights)
