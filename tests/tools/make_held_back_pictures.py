"""Choose a few of the held-back pictures for the tests: tests/data/held_back/.

    python benchmarks/harmless_pictures.py FOLDER       # makes them all, in some fifteen minutes
    python -m tests.tools.make_held_back_pictures FOLDER

Takes, of what was made from each source picture, the smallest file of each kind: distorted, pushed and printed, decoded in full
and decoded at reduced size by the fast mode; none of more than 44 kB. The int8 ranges were made from none of these.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image

from open_nsfw.pictures.reduced import REDUCED_SIDE
from tests.tools.helpers import DATA

LARGEST = 44_000  # bytes
TARGET = DATA / "held_back"


def main(folder: str) -> None:
    """The command line above."""
    TARGET.mkdir(exist_ok=True)
    smallest: dict[tuple[str, bool], Path] = {}
    for path in sorted(Path(folder, "held_back").glob("*.jpg"), key=lambda path: (path.stat().st_size, path.name)):
        name, _ = path.stem.rsplit("-", 1)  # the source, and what was done to it
        with Image.open(path) as image:
            reduced = min(image.size) >= 2 * REDUCED_SIDE
        if path.stat().st_size <= LARGEST:
            smallest.setdefault((name, reduced), path)
    for path in smallest.values():
        shutil.copyfile(path, TARGET / path.name)
    print(f"{len(smallest)} pictures, {sum(reduced for _, reduced in smallest)} decoded at reduced size")


if __name__ == "__main__":
    main(sys.argv[1])
