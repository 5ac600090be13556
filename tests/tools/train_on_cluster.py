"""Train stage 3 of a small net for some epochs, here or on a cluster: for tests that compare the two, or kill something.

    python -m tests.tools.train_on_cluster FOLDER [--master URL] [--epochs 3]

FOLDER gets the net and the pictures if it has none yet, and state-here.npz or state-cluster.npz.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from open_nsfw.cluster.place import ClusterPlace
from open_nsfw.cluster.session import SessionOptions, session
from open_nsfw.nets.read import read_net
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.training.feature_file import FeatureFile
from open_nsfw.training.features import PIXELS, PIXELS_KIND
from open_nsfw.training.place import Place, Task
from open_nsfw.training.stages import STAGE3, find_part
from open_nsfw.training.steps import SETTINGS
from open_nsfw.training.trainer import Pictures
from tests.tools.make_shapes_folder import picture
from tests.tools.tuning_net import write_net

COUNT, VIEWS, SIDE, HELD_OUT = 80, 3, 256, 16
TABLE = "table.parquet"


def make(folder: Path) -> None:
    """The net, and the pictures as both places want them: in a file, and as a table with a row that is to be passed over."""
    import pyarrow
    from pyarrow import parquet

    write_net(folder)
    random = np.random.default_rng(1)
    contents = [np.asarray(picture(number % 2 == 0, SIDE, random)).tobytes() for number in range(COUNT)]
    names = [hashlib.sha256(content).hexdigest() for content in contents]
    with FeatureFile(str(folder / PIXELS), PIXELS_KIND) as file:
        for name, content in zip(names, contents):
            file.add(name, np.frombuffer(content, np.uint8))
    kinds = ["picture"] * COUNT + ["frame", "picture"]
    columns = {"sha256": [*names, names[0], names[1]], "kind": kinds, "pixels": [*contents, b"", contents[1]]}
    parquet.write_table(pyarrow.table(columns), folder / TABLE, row_group_size=8)
    (folder / "names").write_text("\n".join(names))


def train(folder: Path, place: Place, state: Path, epochs: int) -> None:
    """Train to `state`, and write the logits of all pictures by the new weights beside it."""
    files = find_model_files(folder / "net.prototxt", folder / "net.caffemodel")
    net = read_net(files.model_def, files.pretrained_model)
    part, names = find_part(net, STAGE3), (folder / "names").read_text().split()
    nsfw = np.arange(COUNT) % 2 == 0
    task = Task(files, net, part, STAGE3, SETTINGS, 0, VIEWS, "cpu", 1, folder, folder, lambda: None)
    start = {layer.name: layer.blobs for layer in part.layers if layer.name in part.trained}
    learnt, held_out = Pictures(names[HELD_OUT:], nsfw[HELD_OUT:]), Pictures(names[:HELD_OUT], nsfw[:HELD_OUT])
    with place.course(task) as course:
        if place.keeps_pixels:
            course.inputs.prepare([(name, number) for name in names for number in range(VIEWS)], lambda: None)
        trainer = place.trainer(course, learnt, held_out, 0, state, start)
        for epoch in range(epochs + 1):
            trainer.run(epoch)
        course.net.set_blobs(trainer.blobs())
        np.save(state.with_suffix(".npy"), course.net.logits(course.inputs.middles(names)))


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--master")
    parser.add_argument("--epochs", type=int, default=3)
    options: Any = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if not (options.folder / "names").exists():
        make(options.folder)
    if options.master is None:
        train(options.folder, Place(), options.folder / "state-here.npz", options.epochs)
        return
    with session(SessionOptions("tests", options.master, quiet=True)) as spark:
        place = ClusterPlace(spark, str(options.folder / TABLE), "tests", workers=2)
        train(options.folder, place, options.folder / "state-cluster.npz", options.epochs)


if __name__ == "__main__":
    main()
