"""Write tests/data/golden_scores.json again: what real Caffe says of every picture of the fidelity set.

    python -m tests.tools.regenerate_golden MODEL_DEF WEIGHTS [--also FOLDER]... [--output FILE]

Run with Python 3.9 and pycaffe. `--also` names the data folder of another scikit-image, whose extra pictures join the
set: versions ship different ones, so the scores are keyed by the file's SHA-256. A picture that Pillow cannot open has
the score null and the name of Pillow's exception. The same machine writes the same bytes each time; another processor
may move the last digits (about 1e-8).
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy
import PIL
import skimage
from PIL import UnidentifiedImageError, features

from tests.tools import caffe_reference
from tests.tools.pictures import DATA, PEOPLE, fidelity_pictures, list_pictures, sha256

GOLDEN = DATA / "golden_scores.json"


def golden_row(name: str, path: Path, net: Any) -> dict[str, Any]:
    """name, sha256, and the score from real Caffe as the float32 it is, written out in full."""
    row: dict[str, Any] = {"name": name, "sha256": sha256(path)}
    try:
        row["score"] = caffe_reference.score(path, net)
    except UnidentifiedImageError as error:
        row.update(score=None, error=type(error).__name__)
    return row


def all_pictures(also: list[Path]) -> dict[str, Path]:
    """The fidelity set, and what other scikit-images have beyond it."""
    pictures = fidelity_pictures()
    for folder in also:
        for path in list_pictures(folder):
            if path.name in PEOPLE:
                continue
            known = pictures.setdefault(f"skimage/{path.name}", path)
            if sha256(known) != sha256(path):
                raise SystemExit(f"{path} and {known} have one name and different bytes: name one of them otherwise")
    return dict(sorted(pictures.items()))


def header(model_def: Path, weights: Path) -> dict[str, Any]:
    """What the scores were made with."""
    return {
        "caffe": caffe_reference.caffe.__version__,
        "pillow": PIL.__version__,
        "libjpeg_turbo": features.version_feature("libjpeg_turbo"),
        "scikit_image": skimage.__version__,
        "numpy": numpy.__version__,
        "blas_threads": int(os.environ["OPENBLAS_NUM_THREADS"]),
        "model_def_sha256": sha256(model_def),
        "weights_sha256": sha256(weights),
    }


def golden(model_def: Path, weights: Path, also: list[Path]) -> dict[str, Any]:
    """The whole golden file as one object."""
    net = caffe_reference.load_net(model_def, weights)
    rows = [golden_row(name, path, net) for name, path in all_pictures(also).items()]
    return {"made_with": header(model_def, weights), "pictures": rows}


def as_text(content: dict[str, Any]) -> str:
    """JSON with a line for each picture, so that a diff shows which score moved."""
    rows = ",\n".join("    " + json.dumps(row) for row in content["pictures"])
    return '{\n  "made_with": ' + json.dumps(content["made_with"]) + ',\n  "pictures": [\n' + rows + "\n  ]\n}\n"


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description="Write the golden scores again from real Caffe.")
    parser.add_argument("model_def", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=GOLDEN)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # Pillow on palettes with alpha: the recipe drops alpha
    content = golden(options.model_def, options.weights, options.also)
    options.output.write_text(as_text(content), encoding="utf-8")
    print(f"{len(content['pictures'])} pictures -> {options.output}")


if __name__ == "__main__":
    main()
