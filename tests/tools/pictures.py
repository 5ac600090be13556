"""The pictures of the fidelity set: every kind of file that people have, nothing but harmless content.

Three groups, named as the golden file names them:
  skimage/NAME    the pictures inside the installed scikit-image package (which ones depends on its version), without
                  those of `PEOPLE`
  pictures/NAME   one coffee cup in every mode and container, written by this module into tests/data/pictures/
  pushed/NAME     pictures over the whole range of scores, written by make_pushed_pictures.py

The files of the last two groups are in git, because encoders differ from one Pillow to the next and the golden scores
belong to bytes, not to intentions. To write the second group again (then run regenerate_golden.py):

    python -m tests.tools.pictures tests/data/pictures
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Callable

import numpy as np
from PIL import Image, ImageCms

DATA = Path(__file__).resolve().parents[1] / "data"
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp", ".bmp", ".avif", ".mpo"}
PHOTO = "coffee.png"  # in every scikit-image; CC0 by its photographer
# Pictures of scikit-image that are left out, because they show people whom others may know.
PEOPLE = {
    "astronaut.png": "a portrait",
    "camera.png": "a man with a camera",
    "no_time_for_that_tiny.gif": "a person, in a scene whose origin is not named",
}
LARGE = (136, 102)
SMALL = (80, 60)  # for what compresses badly
TINY = (48, 36)  # for what does not compress at all

EXIF_ORIENTATION = 274  # the tag's number
ICC_DATE = slice(24, 36)  # a profile's header says when it was made: no two runs alike
ROTATED_90 = 6  # "turn clockwise to view"; the recipe pays no attention to it


def sha256(path: Path) -> str:
    """The hex SHA-256 of a file: the golden file's key."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def skimage_folder() -> Path:
    """Where the installed scikit-image keeps its pictures (nothing of it is imported)."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("scikit-image is not installed: pip install scikit-image")
    return Path(spec.origin).parent / "data"


def list_pictures(folder: Path) -> list[Path]:
    """The pictures directly inside a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)


def fidelity_pictures(data: Path = DATA) -> dict[str, Path]:
    """Every picture of the three groups: golden name -> path."""
    folders = {"skimage": skimage_folder(), "pictures": data / "pictures", "pushed": data / "pushed"}
    return {
        f"{group}/{path.name}": path
        for group, folder in folders.items()
        for path in list_pictures(folder)
        if not (group == "skimage" and path.name in PEOPLE)
    }


def photo(size: tuple[int, int] = LARGE) -> Image.Image:
    """The coffee cup, RGB, cropped to 4:3 and reduced to `size` (width, height)."""
    with Image.open(skimage_folder() / PHOTO) as image:
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, box=(0, 0, 533, 400))


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    """The image as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def ramp(size: tuple[int, int]) -> Image.Image:
    """mode L: opaque at the right edge, clear at the left."""
    width, height = size
    return Image.fromarray(np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1)))


def with_alpha(size: tuple[int, int] = LARGE) -> Image.Image:
    """RGBA with an alpha ramp; the recipe drops alpha and shows the colours underneath."""
    image = photo(size)
    image.putalpha(ramp(size))
    return image


def grey_16bit(size: tuple[int, int] = SMALL) -> np.ndarray:
    """uint16 (H, W) over the full range, low bytes not zero."""
    grey = np.asarray(photo(size).convert("L")).astype(np.uint32)
    return (grey * 257 * 251 // 256).astype(np.uint16)


def colour_16bit(channels: int, size: tuple[int, int] = SMALL) -> np.ndarray:
    """uint16 (H, W, channels), 2 = grey and alpha, 3 = RGB, 4 = RGBA."""
    image = with_alpha(size).convert("LA") if channels == 2 else with_alpha(size)
    return (np.asarray(image)[:, :, :channels].astype(np.uint32) * 257 * 251 // 256).astype(np.uint16)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG file with length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_16bit(samples: np.ndarray) -> bytes:
    """A 16-bit PNG from uint16 (H, W, channels); Pillow itself writes only the grey one."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)


def tiff_from_samples(samples: np.ndarray) -> bytes:
    """An uncompressed TIFF of the samples as they are, big-endian where the dtype is."""
    import tifffile

    buffer = io.BytesIO()
    order = ">" if samples.dtype.byteorder == ">" else "<"
    tifffile.imwrite(buffer, samples, byteorder=order, metadata=None, software=False)
    return buffer.getvalue()


def without_adobe_marker(jpeg: bytes) -> bytes:
    """The JPEG with its APP14 segment cut out: four channels of which nobody says that they are inverted."""
    start = jpeg.index(b"\xff\xee\x00\x0eAdobe")
    return jpeg[:start] + jpeg[start + 16 :]


def as_ycck(jpeg: bytes) -> bytes:
    """The CMYK JPEG with its Adobe marker changed to say YCCK (the colours come out strange, and still harmless)."""
    start = jpeg.index(b"\xff\xee\x00\x0eAdobe")
    return jpeg[: start + 15] + b"\x02" + jpeg[start + 16 :]


def frames(count: int = 3, size: tuple[int, int] = TINY) -> list[Image.Image]:
    """An animation whose first frame is the photo and whose others are it turned about."""
    return [photo(size).rotate(180 * index // count) for index in range(count)]


def animation(form: str, **options: object) -> bytes:
    """Three frames in one file."""
    first, *others = frames()
    return encode(first, form, save_all=True, append_images=others, **options)


def palette(colours: int, size: tuple[int, int] = LARGE) -> Image.Image:
    """mode P with so many colours."""
    return photo(size).quantize(colours, dither=Image.Dither.NONE)


def thin(size: tuple[int, int]) -> Image.Image:
    """A very long strip of the photo."""
    return photo().resize(size, Image.Resampling.BILINEAR)


def exif_rotated() -> bytes:
    """A JPEG that asks to be turned by 90 degrees."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = ROTATED_90
    return encode(photo(), "JPEG", exif=exif)


def with_profile() -> bytes:
    """A JPEG with an embedded colour profile (the recipe ignores it)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[ICC_DATE] = bytes(12)
    return encode(photo(), "JPEG", icc_profile=bytes(profile))


JPEGS: dict[str, Callable[[], bytes]] = {
    "baseline.jpg": lambda: encode(photo(), "JPEG", quality=85),
    "progressive.jpg": lambda: encode(photo(), "JPEG", progressive=True),
    "subsampling-444.jpg": lambda: encode(photo(), "JPEG", subsampling=0),
    "grey.jpg": lambda: encode(photo().convert("L"), "JPEG"),
    "cmyk-adobe.jpg": lambda: encode(photo().convert("CMYK"), "JPEG"),
    "cmyk-plain.jpg": lambda: without_adobe_marker(encode(photo().convert("CMYK"), "JPEG")),
    "ycck.jpg": lambda: as_ycck(encode(photo().convert("CMYK"), "JPEG")),
    "exif-rotated.jpg": exif_rotated,
    "icc-profile.jpg": with_profile,
    # Pillow 13 resizes tall pictures down the columns first, older ones along the rows first: other pixels
    "tall-180x400.jpg": lambda: encode(photo((180, 400)), "JPEG", quality=40),
    "tall-300x620.jpg": lambda: encode(photo((300, 620)), "JPEG", quality=40),
    "tall-20x300.png": lambda: encode(photo((20, 300)), "PNG"),
    "stereo.mpo": lambda: animation("MPO"),
}
PNGS: dict[str, Callable[[], bytes]] = {
    "rgb.png": lambda: encode(photo(SMALL), "PNG"),
    "rgb-transparent-colour.png": lambda: encode(photo(SMALL), "PNG", transparency=(0, 0, 0)),
    "rgba.png": lambda: encode(with_alpha(SMALL), "PNG"),
    "grey.png": lambda: encode(photo().convert("L"), "PNG"),
    "grey-transparent-level.png": lambda: encode(photo().convert("L"), "PNG", transparency=40),
    "grey-alpha.png": lambda: encode(with_alpha().convert("LA"), "PNG"),
    "palette-256.png": lambda: encode(palette(256), "PNG"),
    "palette-4.png": lambda: encode(palette(4), "PNG"),
    "palette-transparent-index.png": lambda: encode(palette(64), "PNG", transparency=3),
    "palette-alpha.png": lambda: encode(palette(64), "PNG", transparency=bytes(range(0, 256, 4))),
    "one-bit.png": lambda: encode(photo().convert("1"), "PNG"),
    "grey-16bit.png": lambda: png_16bit(grey_16bit()[:, :, np.newaxis]),
    "grey-alpha-16bit.png": lambda: png_16bit(colour_16bit(2)),
    "rgb-16bit.png": lambda: png_16bit(colour_16bit(3)),
    "rgba-16bit.png": lambda: png_16bit(colour_16bit(4, TINY)),
    "animated.png": lambda: animation("PNG"),
    "one-pixel.png": lambda: encode(photo((1, 1)), "PNG"),
    "wide-3000x2.png": lambda: encode(thin((3000, 2)), "PNG"),
    "tall-2x3000.png": lambda: encode(thin((2, 3000)), "PNG"),
}
TIFFS: dict[str, Callable[[], bytes]] = {
    "lzw.tif": lambda: encode(photo(SMALL), "TIFF", compression="tiff_lzw"),
    "deflate.tif": lambda: encode(photo(SMALL), "TIFF", compression="tiff_adobe_deflate"),
    "jpeg-inside.tif": lambda: encode(photo(), "TIFF", compression="jpeg"),
    "fax-group4.tif": lambda: encode(photo().convert("1"), "TIFF", compression="group4"),
    "cmyk.tif": lambda: encode(photo(TINY).convert("CMYK"), "TIFF"),
    "rgba.tif": lambda: encode(with_alpha(TINY), "TIFF"),
    "palette.tif": lambda: encode(palette(128, SMALL), "TIFF"),
    "multi-page.tif": lambda: animation("TIFF", compression="tiff_lzw"),
    "grey-16bit.tif": lambda: tiff_from_samples(grey_16bit()),
    "grey-16bit-big-endian.tif": lambda: tiff_from_samples(grey_16bit().astype(">u2")),
    "grey-16bit-low.tif": lambda: tiff_from_samples(grey_16bit() >> 8),
    "grey-16bit-signed.tif": lambda: tiff_from_samples((grey_16bit() >> 8).astype(np.int16) * 2 - 100),
    "grey-32bit.tif": lambda: tiff_from_samples((grey_16bit(TINY) >> 8).astype(np.int32)),
    "grey-32bit-large.tif": lambda: tiff_from_samples(grey_16bit(TINY).astype(np.int32) * 3 - 5000),
    "float-0-to-255.tif": lambda: tiff_from_samples((grey_16bit(TINY) / 257).astype(np.float32)),
    "float-0-to-1.tif": lambda: tiff_from_samples((grey_16bit(TINY) / 65535).astype(np.float32)),
    "float-out-of-range.tif": lambda: tiff_from_samples((grey_16bit(TINY) / 100 - 150).astype(np.float32)),
    "rgb-16bit.tif": lambda: tiff_from_samples(colour_16bit(3, TINY)),
}
OTHERS: dict[str, Callable[[], bytes]] = {
    "still.gif": lambda: encode(palette(128, SMALL), "GIF"),
    "transparent.gif": lambda: encode(palette(64, SMALL), "GIF", transparency=3),
    "animated.gif": lambda: animation("GIF", duration=100, loop=0),
    "lossy.webp": lambda: encode(photo(), "WEBP", quality=75),
    "lossless.webp": lambda: encode(photo(SMALL), "WEBP", lossless=True),
    "alpha.webp": lambda: encode(with_alpha(), "WEBP", quality=75),
    "animated.webp": lambda: animation("WEBP", quality=75),
    "rgb.bmp": lambda: encode(photo(TINY), "BMP"),
    "palette.bmp": lambda: encode(palette(256, SMALL), "BMP"),
    "one-bit.bmp": lambda: encode(photo().convert("1"), "BMP"),
    "still.avif": lambda: encode(photo(), "AVIF", quality=75),
    "alpha.avif": lambda: encode(with_alpha(), "AVIF", quality=75),
    "one-pixel.jpg": lambda: encode(photo((1, 1)), "JPEG"),
    "one-pixel.gif": lambda: encode(photo((1, 1)), "GIF"),
}
PICTURES: dict[str, Callable[[], bytes]] = {**JPEGS, **PNGS, **TIFFS, **OTHERS}


def make_pictures(folder: Path) -> list[Path]:
    """Write every picture of the second group into `folder`; same Pillow, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in PICTURES.items():
        (folder / name).write_bytes(build())
    return [folder / name for name in PICTURES]


if __name__ == "__main__":
    written = make_pictures(Path(sys.argv[1]))
    print(f"{len(written)} pictures, {sum(path.stat().st_size for path in written)} bytes")
