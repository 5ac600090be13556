"""What real Caffe answers to nets that may be refused: NAME.json for each NAME.prototxt in a folder.

    python -m tests.tools.caffe_judge FOLDER

NAME.caffemodel holds the weights. The answer is {"values": the blob "prob" as a flat list} for the input of `input_blob`, or
{"refused": Caffe's reason}. Caffe ends the process when it dislikes a net, so each is asked in a forked child. Tests call
this as a command, not in their own process.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def input_blob(shape: Sequence[int]) -> np.ndarray:
    """float32: 1, -2, 3, -4, ... in this shape."""
    count = np.arange(1, math.prod(shape) + 1)
    values: np.ndarray = np.where(count % 2, count, -count).astype(np.float32).reshape(shape)
    return values


def answer(path: Path) -> list[float]:
    """The blob "prob"; ends the process where Caffe refuses the net."""
    import caffe

    caffe.set_mode_cpu()
    net = caffe.Net(str(path), caffe.TEST, weights=str(path.with_suffix(".caffemodel")))
    net.blobs["data"].data[...] = input_blob(net.blobs["data"].data.shape)
    net.forward()
    return [float(value) for value in net.blobs["prob"].data.reshape(-1)]


def judge(path: Path) -> None:
    """Ask Caffe about one net, in a child process."""
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            os.dup2(log.fileno(), 2)
            path.with_suffix(".json").write_text(json.dumps({"values": answer(path)}))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            log.seek(0)
            reason = log.read().decode(errors="replace").strip()
            path.with_suffix(".json").write_text(json.dumps({"refused": reason or f"status {status}"}))


def main(folder: str) -> None:
    """Judge every prototxt of the folder."""
    import caffe  # once, before the forks

    del caffe
    for path in sorted(Path(folder).glob("*.prototxt")):
        judge(path)


if __name__ == "__main__":
    os.environ.setdefault("GLOG_minloglevel", "2")
    main(sys.argv[1])
