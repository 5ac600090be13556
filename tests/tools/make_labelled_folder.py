"""Make a folder of harmless pictures, labelled sfw and nsfw, to try `open-nsfw calibrate` on.

    python tests/tools/make_labelled_folder.py FOLDER [--versions 1]

Nothing explicit is in it. The pictures are those of tests/data/pushed and held_back, the pixels of many of which were moved
until the network gave them a certain score; here each is a little lighter or darker, and compressed again. A picture is put
into nsfw/ or sfw/ by chance, the more likely into nsfw/ the higher its score. More versions of the same pictures tell
`calibrate` little more: it sees that they look alike.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

import open_nsfw

DATA = Path(__file__).resolve().parents[1] / "data"
SEED = 20161001
STEEPNESS = 12.0  # of the chance to be labelled nsfw, over the score of the original


def version(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """The picture with its light and its contrast changed a little."""
    picture = ImageEnhance.Brightness(picture).enhance(random.uniform(0.98, 1.02))
    return ImageEnhance.Contrast(picture).enhance(random.uniform(0.98, 1.02))


def is_labelled_nsfw(score: float, random: np.random.Generator) -> bool:
    """Chance, by the score of the original."""
    return bool(random.random() < 1 / (1 + np.exp(-STEEPNESS * (score - 0.5))))


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--versions", type=int, default=1, help="of each picture")
    options = parser.parse_args()
    random = np.random.default_rng(SEED)
    originals = sorted(path for name in ("pushed", "held_back") for path in (DATA / name).glob("*.jpg"))
    scores = list(open_nsfw.load_model().scores(originals))
    for name in ("sfw", "nsfw"):
        (options.folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(len(originals) * options.versions):
        original, score = originals[number % len(originals)], scores[number % len(originals)]
        label = "nsfw" if is_labelled_nsfw(score, random) else "sfw"
        with Image.open(original) as picture:
            changed = version(picture.convert("RGB"), random)
        changed.save(options.folder / label / f"{number:04}.jpg", quality=int(random.integers(90, 98)))


if __name__ == "__main__":
    main()
