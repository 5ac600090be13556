"""Train a written net for two steps in real Caffe, on pictures of coloured noise.

    python -m tests.tools.train_two_steps FOLDER lmdb|image-list [--load]

FOLDER holds train_val.prototxt and solver.prototxt as `open-nsfw build-net --train` writes them; the data is made there
under the names that they expect. Batch norm needs statistics to start from, so these are measured on the first batch, layer
by layer, as the forward passes of an earlier training would have done. Prints one JSON object: the losses, and for each
layer with weights how far its blobs moved. With --load both phases are loaded, and nothing is trained.

Needs pycaffe (Python 3.9). Caffe ends the process for a net that it dislikes, so tests start this as a command.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PICTURES, SIDE, STEPS = 8, 256, 2
LEARNING_RATE = 1e-6


def make_pictures() -> list[np.ndarray]:
    """uint8 (256, 256, 3), each of another colour with noise."""
    random = np.random.RandomState(0)
    colours = random.randint(0, 200, (PICTURES, 1, 1, 3))
    return [(colour + random.randint(0, 56, (SIDE, SIDE, 3))).astype(np.uint8) for colour in colours]


def write_lists(pictures: list[np.ndarray], classes: int) -> None:
    """train.txt and test.txt, and the pictures beside them."""
    lines = []
    for index, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(f"{index}.png")
        lines.append(f"{index}.png {index % classes}\n")
    for name in ("train.txt", "test.txt"):
        Path(name).write_text("".join(lines))


def write_databases(pictures: list[np.ndarray], classes: int) -> None:
    """train_lmdb and test_lmdb."""
    import lmdb
    from caffe.proto import caffe_pb2

    for name in ("train_lmdb", "test_lmdb"):
        with lmdb.open(name, map_size=1 << 28) as database, database.begin(write=True) as transaction:
            for index, pixels in enumerate(pictures):
                planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()
                datum = caffe_pb2.Datum(channels=3, height=SIDE, width=SIDE, data=planes, label=index % classes)
                transaction.put(b"%08d" % index, datum.SerializeToString())


def blobs_of(net: Any) -> dict[str, list[np.ndarray]]:
    """A copy of all weights."""
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def measure_statistics(net: Any) -> None:
    """Give every batch norm the mean and variance that its input has on one batch, from the first layer to the last."""
    names, start = list(net._layer_names), None
    for index, (name, layer) in enumerate(zip(names, net.layers)):
        if layer.type != "BatchNorm":
            continue
        net.forward(start=start, end=names[index - 1])
        values = net.blobs[net.bottom_names[name][0]].data
        axes = (0, *range(2, values.ndim))
        mean, variance, factor = net.params[name]
        mean.data[...], factor.data[...] = values.mean(axes), 1
        variance.data[...] = values.var(axes) + values.var()  # of two pictures a channel may have none
        start = name


def main(folder: str, data: str, load: str = "") -> None:
    """The command line above."""
    os.environ["GLOG_minloglevel"] = "2"
    os.chdir(folder)
    classes = 2
    {"lmdb": write_databases, "image-list": write_lists}[data](make_pictures(), classes)
    import caffe

    caffe.set_mode_cpu()
    if load:
        for phase in ("TRAIN", "TEST"):
            caffe.Net("train_val.prototxt", getattr(caffe, phase))
        print("TRAIN TEST")
        return
    # One batch is tested, and the steps are small: two pictures are no batch to learn deep nets from.
    settings = re.sub("test_iter: [0-9]+", "test_iter: 1", Path("solver.prototxt").read_text())
    settings = re.sub("base_lr: [0-9.]+", f"base_lr: {LEARNING_RATE}", settings)
    Path("two_steps.prototxt").write_text(settings)
    solver = caffe.get_solver("two_steps.prototxt")
    measure_statistics(solver.net)
    before = blobs_of(solver.net)
    losses = []
    for _ in range(STEPS):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    after = blobs_of(solver.net)
    moved = {name: [float(np.abs(new - old).max()) for new, old in zip(after[name], before[name])] for name in before}
    print(json.dumps({"losses": losses, "accuracy": float(solver.test_nets[0].blobs["accuracy"].data), "moved": moved}))


if __name__ == "__main__":
    main(*sys.argv[1:])
