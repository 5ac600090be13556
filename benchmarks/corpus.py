"""Harmless pictures for the benchmarks, made from the photographs that scikit-image ships."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

# Free by the word of their authors (tests/tools/source_pictures.csv), and none with people.
PHOTOS = ("clock_motion.png", "coffee.png", "chelsea.png", "rocket.jpg", "hubble_deep_field.jpg", "retina.jpg")
WEB_SIDES = (640, 1280)  # pixels, the longer side of a picture on a web page
PHOTO_SIZE = (4000, 3000)  # 12 megapixels, as phones take them
SEED = 2016


def web_pictures(folder: Path, count: int) -> list[Path]:
    """`count` JPEG files of 640 to 1280 pixels, quality 85."""
    random = np.random.default_rng(SEED)
    sources = _photographs()
    paths = []
    for index in range(count):
        image = _variation(sources[index % len(sources)], random)
        side = int(random.integers(WEB_SIDES[0], WEB_SIDES[1] + 1))
        size = (side, side * 3 // 4) if index % 3 else (side * 3 // 4, side)
        paths.append(_save(image.resize(size, Image.Resampling.BICUBIC), folder / f"web-{index:05d}.jpg", 85))
    return paths


def one_in(many: int, paths: list[Path], chosen: Callable[[list[Path]], set[Path]], count: int) -> list[Path]:
    """`count` of the paths, one in `many` of them among those that `chosen` gives, evenly spread.

    Raises SystemExit where there are too few of either kind.
    """
    special = chosen(paths)
    rare, usual = [path for path in paths if path in special], [path for path in paths if path not in special]
    wanted = count // many
    if len(rare) < wanted or len(usual) < count - wanted:
        raise SystemExit(f"of {len(paths)} pictures {len(rare)} are of the rarer kind: no {count} with one in {many}")
    usual, rare = usual[: count - wanted], rare[:wanted]
    for index, path in enumerate(rare):
        usual.insert(index * many + many // 2, path)
    return usual


def thumbnails(folder: Path, count: int) -> list[Path]:
    """`count` JPEG files of 160 x 120 pixels: for runs over very many files."""
    random = np.random.default_rng(SEED + 2)
    sources = _photographs()
    images = (_variation(sources[index % len(sources)], random).resize((160, 120)) for index in range(count))
    return [_save(image, folder / f"thumbnail-{index:05d}.jpg", 80) for index, image in enumerate(images)]


def photo_pictures(folder: Path, count: int) -> list[Path]:
    """`count` JPEG files of 12 megapixels, quality 92, with the fine grain of a camera's sensor."""
    random = np.random.default_rng(SEED + 1)
    sources = _photographs()
    paths = []
    for index in range(count):
        image = _variation(sources[index % len(sources)], random).resize(PHOTO_SIZE, Image.Resampling.BICUBIC)
        grain = random.normal(0, 4, (PHOTO_SIZE[1] // 4, PHOTO_SIZE[0] // 4, 1)).repeat(4, 0).repeat(4, 1)
        noisy = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
        paths.append(_save(Image.fromarray(noisy), folder / f"photo-{index:05d}.jpg", 92))
    return paths


def _photographs() -> list[Image.Image]:
    import skimage

    data = Path(skimage.__file__).parent / "data"
    return [Image.open(data / name).convert("RGB") for name in PHOTOS if (data / name).exists()]


def _variation(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A random crop of at least 60 % a side, mirrored half of the time."""
    width, height = (int(side * random.uniform(0.6, 1.0)) for side in image.size)
    left, top = int(random.integers(0, image.width - width + 1)), int(random.integers(0, image.height - height + 1))
    cut = image.crop((left, top, left + width, top + height))
    return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else cut


def _save(image: Image.Image, path: Path, quality: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        partial = path.with_suffix(".part")
        image.save(partial, format="JPEG", quality=quality)
        os.replace(partial, path)
    return path
