"""Put harmless stand-ins for your pictures into a folder, under the names that the examples in docs/ and --help use.

    python -m tests.tools.make_examples [FOLDER]

photos/ has pictures whose pixels were changed until the network gave them scores over the whole range; upload.jpg is a cup
of coffee, sheet.png a contact sheet of such cups, one of them with a high score. clip.mp4 is made where PyAV is installed.
"""

from __future__ import annotations

import argparse
import shutil
import zipfile
from pathlib import Path

from PIL import Image

DATA = Path(__file__).resolve().parents[1] / "data"
SIDE = 256  # of the film and of a picture on the contact sheet, in pixels
GUTTER = 20
FRAMES_A_SECOND = 4
SECONDS_A_PICTURE = 2


def make(folder: Path) -> None:
    """Write everything that is not there yet."""
    pushed = sorted((DATA / "pushed").glob("*.jpg"))
    shutil.copytree(DATA / "pushed", folder / "photos", dirs_exist_ok=True)
    for source, name in (("baseline.jpg", "upload.jpg"), ("animated.gif", "loop.gif"), ("multi-page.tif", "scan.tiff")):
        shutil.copyfile(DATA / "pictures" / source, folder / name)
    contact_sheet().save(folder / "sheet.png")
    with zipfile.ZipFile(folder / "upload.zip", "w") as archive:
        for picture in pushed[:3]:
            archive.write(picture, picture.name)
    try:
        make_film(folder / "clip.mp4", pushed)
    except ModuleNotFoundError:
        print("clip.mp4 is left out: PyAV is not installed")


def contact_sheet() -> Image.Image:
    """Three by two cups of coffee, RGB, white between them. The network gives the fifth a score of 0.99."""
    sheet = Image.new("RGB", (3 * (SIDE + GUTTER) + GUTTER, 2 * (SIDE + GUTTER) + GUTTER), "white")
    names = (
        "pushed/0.100-coffee",
        "pictures/baseline",
        "pushed/0.300-coffee",
        "pictures/baseline",
        "pushed/0.990-coffee",
    )
    for number, name in enumerate((*names, "pushed/0.100-coffee")):
        with Image.open(DATA / f"{name}.jpg") as cup:
            place = [GUTTER + at * (SIDE + GUTTER) for at in (number % 3, number // 3)]
            sheet.paste(cup.resize((SIDE, SIDE)), (place[0], place[1]))
    return sheet


def make_film(path: Path, pictures: list[Path]) -> None:
    """A film that shows one picture after another."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_A_SECOND)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_image(Image.open(picture).convert("RGB").resize((SIDE, SIDE)))
            for _ in range(FRAMES_A_SECOND * SECONDS_A_PICTURE):
                frame.pts = None
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", nargs="?", type=Path, default=Path())
    make(options.parse_args().folder)
