"""A small net that torch has tuned, with torch's scores: tests/data/tuned, which real Caffe is asked about.

    python -m tests.tools.make_tuned_golden tests/data/tuned

Torch and pycaffe are in no Python together. Needs torch.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from open_nsfw.nets.caffemodel import read_caffemodel
from open_nsfw.nets.read import read_net
from open_nsfw.pictures.pixels import resized_pixels
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.training.check import part_score
from open_nsfw.training.fine_tune import fine_tune
from open_nsfw.training.output import write
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.stages import STAGE3, find_part
from open_nsfw.training.torch_net import TorchNet
from tests.tools.tuning_net import make_tinted, write_net

PUSHED = Path(__file__).resolve().parents[1] / "data" / "pushed"
COUNT = 120


def main(folder: str) -> None:
    """Write the files."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        labelled, out = Path(work, "labelled"), Path(work, "out")
        make_tinted(labelled, COUNT)
        _, model_def, _, weights = write_net(Path(work, "net"))
        request = TuneRequest(
            str(labelled),
            str(out),
            STAGE3,
            model_def=model_def,
            pretrained_model=weights,
            keep_anyway=True,
            resamples=50,
        )
        result = fine_tune(request)
        assert not isinstance(result, int)
        write(result)
        shutil.copy(out / "deploy.prototxt", target)
        shutil.copy(out / "tuned.caffemodel", target)
        source = find_model_files(model_def, weights)
        part = find_part(read_net(model_def, weights), STAGE3)
        tuned = read_caffemodel(out / "tuned.caffemodel")
        with TorchNet(part) as net:
            net.set_blobs({name: tuned[name] for name in part.trained})
            score = part_score(source, part, net)
            scores = {path.name: score(resized_pixels(path)) for path in sorted(PUSHED.iterdir())[:12]}
    (target / "scores.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
