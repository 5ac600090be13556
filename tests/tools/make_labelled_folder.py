"""Make a folder of harmless pictures, labelled sfw and nsfw, to try `open-nsfw calibrate` on.

    python tests/tools/make_labelled_folder.py FOLDER [--count 600]

Nothing explicit is in it. The pictures are those of tests/data/pushed, whose pixels were moved until the network gave
them a certain score, each in many versions: a little lighter or darker, compressed again, which moves the score up and
down. A version is put into nsfw/ or sfw/ by chance, the more likely into nsfw/ the higher the score of the picture it
comes from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

PUSHED = Path(__file__).resolve().parents[1] / "data" / "pushed"
SEED = 20161001
SHARE_NSFW = 0.3
STEEPNESS = 12.0  # of the chance to be labelled nsfw, over the score of the original


def version(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """The picture with its light and its contrast changed a little."""
    picture = ImageEnhance.Brightness(picture).enhance(random.uniform(0.98, 1.02))
    return ImageEnhance.Contrast(picture).enhance(random.uniform(0.98, 1.02))


def is_labelled_nsfw(score: float, random: np.random.Generator) -> bool:
    """Chance, by the score that the original was pushed to."""
    return bool(random.random() < 1 / (1 + np.exp(-STEEPNESS * (score - 0.5))))


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=600)
    options = parser.parse_args()
    random = np.random.default_rng(SEED)
    originals = sorted(PUSHED.glob("*.jpg"))
    scores = [float(path.name.partition("-")[0]) for path in originals]
    low, high = ([index for index, score in enumerate(scores) if (score >= 0.5) == side] for side in (False, True))
    for name in ("sfw", "nsfw"):
        (options.folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        index = int(random.choice(high if random.random() < SHARE_NSFW else low))
        label = "nsfw" if is_labelled_nsfw(scores[index], random) else "sfw"
        with Image.open(originals[index]) as picture:
            changed = version(picture.convert("RGB"), random)
        changed.save(options.folder / label / f"{number:04}.jpg", quality=int(random.integers(90, 98)))


if __name__ == "__main__":
    main()
