"""Pillow-SIMD in Pillow's place: how fast it resizes, and how far its scores are from those of the recipe.

    python benchmarks/pillow_simd.py

Builds Pillow-SIMD in an environment of its own, which takes a C compiler with AVX2 and libjpeg's and zlib's headers. Times are
processor time of one thread, medians; scores are of the tests' JPEG and PNG pictures, through the recipe's resize and JPEG.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SIDE, BILINEAR = 256, Image.Resampling.BILINEAR
WANTED = "pillow-simd==12.1.1.post0"
LIMIT = 1e-5  # what an exact score may be off


def main() -> None:
    """The command line above."""
    sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]
    import corpus
    import machine
    import peers

    from open_nsfw import load_model

    pictures = peers.FOLDER / "pictures"
    sets = {"web": corpus.web_pictures(pictures, 60), "photo": corpus.photo_pictures(pictures, 6)}
    tests = [path for name in ("pictures", "pushed") for path in sorted((ROOT / "tests" / "data" / name).iterdir())]
    tests = [path for path in tests if path.suffix in (".jpg", ".png")]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, python in (("Pillow", sys.executable), ("Pillow-SIMD", simd_python(peers.FOLDER / "pillow-simd"))):
            file = Path(folder, f"{name}.npz")
            lists = [",".join(map(str, paths)) for paths in (*sets.values(), tests)]
            subprocess.run([python, "-W", "ignore", __file__, str(file), *lists], check=True)
            found[name] = dict(np.load(file))
    print(
        f"{machine.describe()}; load {os.getloadavg()[0]:.1f}\n\n| resize to 256 x 256, ms | web | photo |\n|---|---|---|"
    )
    for name, values in found.items():
        print(f"| {name} {values['version']} | {1000 * values['0']:.2f} | {1000 * values['1']:.2f} |")
    model = load_model(engine="onnxruntime", threads=1)
    one, other = ([float(score) for score in model.score_pixels(values["pixels"])] for values in found.values())
    off = [abs(a - b) for a, b in zip(one, other)]
    print(
        f"\n{sum(each <= LIMIT for each in off)} of {len(off)} scores within {LIMIT:g}, the worst off by {max(off):.2g}"
    )


def simd_python(folder: Path) -> str:
    """The interpreter of an environment with Pillow-SIMD, made if it is not there yet."""
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        venv.create(folder, with_pip=True)
        install = [str(interpreter), "-m", "pip", "install", "--quiet", "numpy", WANTED]
        subprocess.run(install, check=True, env={**os.environ, "CC": "cc -mavx2"})
    return str(interpreter)


def write(file: str, *lists: str) -> None:
    """In one of the two environments: seconds of the resize by set, and the recipe's pixels of the last list."""
    import PIL

    *timed, tests = [paths.split(",") for paths in lists]
    medians = {}
    for number, paths in enumerate(timed):
        seconds = []
        for path in paths:
            image = Image.open(path).convert("RGB")
            start = time.thread_time()
            resized(image)
            seconds.append(time.thread_time() - start)
        medians[str(number)] = np.float64(statistics.median(seconds))
    pixels = np.stack([pixels_of(path) for path in tests])
    np.savez(file, version=np.array(PIL.__version__), pixels=pixels, **medians)  # type: ignore[arg-type]


def pixels_of(path: str) -> np.ndarray:
    """uint8 (256, 256, 3); black where a picture is damaged, in both environments alike."""
    buffer = io.BytesIO()
    try:
        resized(Image.open(path).convert("RGB")).save(buffer, format="JPEG")
    except (OSError, SyntaxError, ValueError):
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    return np.asarray(Image.open(buffer))


def resized(image: Image.Image) -> Image.Image:
    """As the recipe has it: across first."""
    return image.resize((SIDE, image.height), resample=BILINEAR).resize((SIDE, SIDE), resample=BILINEAR)


if __name__ == "__main__":
    write(*sys.argv[1:]) if len(sys.argv) > 1 else main()
