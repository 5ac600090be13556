"""Steps of real Caffe that tests hold torch against: tests/data/gradients.

    python -m tests.tools.make_gradient_golden tests/data/gradients

Writes for each kind of residual net a small one of random weights with the blobs of all layers after two steps on a batch
of noise, for the first of them also those after steps whose gradients were clipped; and for the packaged net, whose stage 3
learns, what random directions see of the change. Needs pycaffe (Python 3.9).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.nets.build import prototxt
from open_nsfw.nets.caffemodel import caffemodel_bytes
from open_nsfw.nets.net import Net
from open_nsfw.nets.prototxt import read_prototxt
from open_nsfw.nets.read import read_net
from open_nsfw.nets.residual import ResidualNet
from open_nsfw.nets.shapes import infer
from open_nsfw.nets.train_deploy import train_val
from open_nsfw.nets.training import SolverSettings, TrainingOptions
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.training.stages import ALL, STAGE3, find_part

KINDS = ("normal", "bottleneck", "inception-trick", "inception-trick-bottleneck")
SETTINGS = SolverSettings(base_lr=0.01, weight_decay=0.01, steps=2, step_size=None)
CLIPPED = replace(SETTINGS, clip_gradients=0.5)  # the two gradients are several times as long
PICTURES, DIRECTIONS, SEED = 11, 4, 14


def small_net(folder: Path, kind: str) -> tuple[Path, Path]:
    """A net of one main branch that any weights fit, with random ones, statistics of batch norm and all."""
    model_def, weights = folder / f"{kind}.prototxt", folder / f"{kind}.caffemodel"
    model_def.write_text(prototxt(ResidualNet(blocks=(1, 1), filters=8, kind=kind, size=33)))
    net = read_prototxt(model_def)
    random = np.random.RandomState(SEED)
    blobs: dict[str, tuple[NDArray[np.float32], ...]] = {}
    for layer, shapes in zip(net.layers, infer(net)):
        if layer.type == "BatchNorm":
            mean, variance, _ = shapes.blobs
            made = [random.normal(size=mean), random.uniform(0.5, 2, variance), np.full(1, 2.0)]
        elif layer.type == "Scale":
            made = [
                random.uniform(0.5, 1.5, shape) for shape in shapes.blobs
            ]  # so that every ReLU lets something through
        else:
            made = [random.normal(size=shape) * np.sqrt(1 / np.prod(shape[1:])) for shape in shapes.blobs]
        blobs[layer.name] = tuple(each.astype(np.float32) for each in made)
    weights.write_bytes(caffemodel_bytes(net, blobs))
    return model_def, weights


def batch(net: Net) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Noise and labels."""
    random = np.random.RandomState(SEED + 1)
    pictures = random.normal(size=(PICTURES, *net.input_shape[1:])) * (50 if net.input_shape[-1] > 64 else 1)
    return pictures.astype(np.float32), random.randint(0, 2, PICTURES).astype(bool)


def directions(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """float64 (DIRECTIONS, values): along which a change is looked at."""
    return np.random.RandomState(SEED).normal(size=(DIRECTIONS, int(np.prod(shape))))


def caffe_steps(
    net: Net, weights: Path, what: str, steps: int, settings: SolverSettings = SETTINGS
) -> dict[str, list[NDArray[np.float32]]]:
    """The blobs of all layers that learn after so many steps."""
    import caffe

    caffe.set_mode_cpu()
    pictures, labels = batch(net)
    trained = find_part(net, what).trained
    text = train_val(net, set(trained), TrainingOptions())
    shape = " ".join(f"dim: {side}" for side in pictures.shape)
    inputs = (
        f'layer {{ name: "data" type: "Input" top: "data" top: "label" input_param {{ shape {{ {shape} }} '
        f"shape {{ dim: {PICTURES} }} }} }}\n"
    )
    body = text[text.index("layer {", text.index("phase: TEST")) :]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "net.prototxt").write_text('name: "n"\n' + inputs + body)
        clipping = "" if settings.clip_gradients is None else f"clip_gradients: {settings.clip_gradients}"
        Path(folder, "solver.prototxt").write_text(
            f'net: "{folder}/net.prototxt" type: "SGD" base_lr: {settings.base_lr} lr_policy: "fixed" momentum: '
            f"{settings.momentum} weight_decay: {settings.weight_decay} max_iter: 9 snapshot_after_train: false {clipping}"
        )
        solver = caffe.get_solver(f"{folder}/solver.prototxt")
    solver.net.copy_from(str(weights))
    solver.net.blobs["data"].data[...] = pictures
    solver.net.blobs["label"].data[...] = labels
    solver.step(steps)
    return {name: [blob.data.copy() for blob in solver.net.params[name]] for name in trained}


def main(folder: str) -> None:
    """Write all files."""
    os.environ["GLOG_minloglevel"] = "2"
    target = Path(folder)
    for kind in KINDS:
        model_def, weights = small_net(target, kind)
        for name, settings in {kind: SETTINGS, **({"clipped": CLIPPED} if kind == KINDS[0] else {})}.items():
            found = caffe_steps(read_net(model_def, weights), weights, ALL, settings.steps, settings)
            arrays = {f"{layer}/{number}": blob for layer, blobs in found.items() for number, blob in enumerate(blobs)}
            np.savez_compressed(target / f"{name}.npz", **arrays)
    files = find_model_files()
    net = read_net(files.model_def, files.pretrained_model)
    after = caffe_steps(net, files.pretrained_model, STAGE3, 1)
    before: dict[str, Any] = {layer.name: layer.blobs for layer in net.layers}
    seen = {}
    for name, blobs in after.items():
        for number, blob in enumerate(blobs):
            change = (blob.astype(np.float64) - before[name][number].reshape(blob.shape)).reshape(-1)
            seen[f"{name}/{number}"] = [float(value) for value in directions(blob.shape) @ change]
    (target / "packaged-stage3.json").write_text(json.dumps(seen, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
