"""Make a folder of harmless pictures with a made-up definition, to try `open-nsfw fine-tune` on.

    python tests/tools/make_shapes_folder.py FOLDER [--count 400] [--side 320] [--small]

Each picture is a random texture (waves of random direction, width and colours) with some shapes of random colours on it.
What is called nsfw here is a picture with discs, sfw one with rectangles: something that Yahoo's network was never told of.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SEED = 20161002
WAVES = 5


@dataclass(frozen=True)
class Kind:
    """How many shapes a picture has, and how large they are."""

    count: tuple[int, int] = (3, 7)
    """At least and at most."""
    size: tuple[float, float] = (0.1, 0.4)
    """Of the picture's side."""


LARGE = Kind()
SMALL = Kind((1, 2), (0.06, 0.12))  # which the last layer of the network alone learns only in part


def picture(discs: bool, side: int, random: np.random.Generator, kind: Kind = LARGE) -> Image.Image:
    """One picture, side x side."""
    image = Image.fromarray(texture(side, random))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.integers(*kind.count, endpoint=True))):
        width, height = random.uniform(*kind.size, 2) * side
        height = width if discs else height
        left, top = random.uniform(0, side - width), random.uniform(0, side - height)
        colour = tuple(map(int, random.integers(0, 256, 3)))
        (draw.ellipse if discs else draw.rectangle)((left, top, left + width, top + height), fill=colour)
    return image


def texture(side: int, random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 (side, side, 3)"""
    y, x = np.mgrid[0:side, 0:side] / side
    values = np.zeros((side, side, 3))
    for _ in range(WAVES):
        angle, frequency, phase = random.uniform(0, np.pi), 2 ** random.uniform(0, 6), random.uniform(0, 2 * np.pi)
        wave = np.sin(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        values += wave[..., np.newaxis] * random.normal(0, 40, 3)
    values += random.uniform(40, 216, 3) + random.normal(0, random.uniform(0, 25), values.shape)
    return values.clip(0, 255).astype(np.uint8)


def make(folder: Path, count: int, side: int = 320, seed: int = SEED, kind: Kind = LARGE) -> None:
    """Write half of the pictures into `folder`/sfw, half into `folder`/nsfw."""
    random = np.random.default_rng(seed)
    for number in range(count):
        name = "nsfw" if number % 2 else "sfw"
        (folder / name).mkdir(parents=True, exist_ok=True)
        picture(name == "nsfw", side, random, kind).save(folder / name / f"{number:04}.jpg", quality=90)


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--small", action="store_true", help="one or two small shapes, which are harder to tell apart")
    options = parser.parse_args()
    make(options.folder, options.count, options.side, kind=SMALL if options.small else LARGE)


if __name__ == "__main__":
    main()
