"""Harmless pictures for the benchmarks, made from the photographs that scikit-image ships, always the same ones (`SEED`)."""

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
    if there := _all_there(folder, "web", count):
        return there
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
    """`count` JPEG files of 12 megapixels, quality 92, with a grain of 4 x 4 pixels, as a phone's smoothing leaves it."""
    return _large_pictures(folder, "photo", count, 4, 4.0, SEED + 1)


def phone_pictures(folder: Path, count: int) -> list[Path]:
    """`count` JPEG files of 12 megapixels, quality 92, with a grain in every pixel, as phones save them in little light: twice
    the bytes of `photo_pictures`."""
    return _large_pictures(folder, "phone", count, 1, 6.0, SEED + 3)


def _large_pictures(folder: Path, name: str, count: int, grain_side: int, grain: float, seed: int) -> list[Path]:
    """`grain`: the standard deviation of what is added to all three colours of a square of `grain_side` pixels."""
    if there := _all_there(folder, name, count):
        return there
    random, sources, paths = np.random.default_rng(seed), _photographs(), []
    width, height = PHOTO_SIZE
    for index in range(count):
        image = _variation(sources[index % len(sources)], random).resize(PHOTO_SIZE, Image.Resampling.BICUBIC)
        coarse = random.normal(0, grain, (height // grain_side, width // grain_side, 1))
        noisy = np.asarray(image) + coarse.repeat(grain_side, 0).repeat(grain_side, 1)
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        paths.append(_save(Image.fromarray(pixels), folder / f"{name}-{index:05d}.jpg", 92))
    return paths


MADE = {"web": web_pictures, "photo": photo_pictures, "phone": phone_pictures}
"""The sets of throughput.py."""


def described(paths: list[Path]) -> str:
    """How large the files and pictures are: `400 JPEG files of 0.05 to 0.3 MB (median 0.1), 480 x 640 to 1280 x 960`."""
    sizes = sorted(path.stat().st_size / 1e6 for path in paths)
    sides = sorted((Image.open(path).size for path in paths), key=max)
    low, middle, high = sizes[0], sizes[len(sizes) // 2], sizes[-1]
    (a, b), (c, d) = sides[0], sides[-1]
    pixels = f"{a} x {b}" if (a, b) == (c, d) else f"{a} x {b} to {c} x {d}"
    return f"{len(paths)} JPEG files of {low:.2f} to {high:.2f} MB (median {middle:.2f}), {pixels} pixels"


def _all_there(folder: Path, name: str, count: int) -> list[Path]:
    """The files of an earlier run, which made the same; none if one is missing."""
    paths = [folder / f"{name}-{index:05d}.jpg" for index in range(count)]
    return paths if all(map(Path.exists, paths)) else []


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
