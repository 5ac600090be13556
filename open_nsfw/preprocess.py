"""Encoded bytes -> RGB picture -> 256 x 256 JPEG -> uint8 pixels -> float32 blob: Yahoo's recipe, to the last bit.

    decode         bytes          -> Pillow image, RGB
    resize_to_jpeg Pillow image   -> bytes of a 256 x 256 JPEG
    crop           those bytes    -> uint8 (224, 224, 3), RGB, 0..255
    to_blob        uint8 pixels   -> float32 (N, 3, 224, 224), BGR, minus the mean

The JPEG round trip looks like waste and is not: the network's authors scored their pictures through it, and leaving it out
moves scores by more than 0.01.
"""

from __future__ import annotations

import importlib
import io
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from open_nsfw.errors import InputError

Pixels = NDArray[np.uint8]
Float32 = NDArray[np.float32]

# resize_image() and the Transformer settings of Yahoo's classify_nsfw.py.
RESIZED = (256, 256)  # width, height in pixels
CROPPED = 224  # pixels a side, from the middle
MEAN_BGR = (104, 117, 123)  # of the 0..255 values, the ImageNet means that Caffe's models use

# The formats that are opened, by what the file holds, never by its name: format -> the Pillow plug-in that reads it.
# Nothing else in Pillow is reached by a stranger's file (its EPS reader, for one, starts Ghostscript).
FORMATS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "GIF": "GifImagePlugin",
    "WEBP": "WebPImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "AVIF": "AvifImagePlugin",
    "HEIF": "",  # extra `heif`
}
ALLOWED = "JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, or HEIF with its extra"

_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")

# What a file that is not on the list most likely is, for the error message.
_OTHERS = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "HTML"),
    (b"<html", "HTML"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"OggS", "Ogg media"),
    (b"qoif", "QOI"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
)


@dataclass(frozen=True)
class Limits:
    """What a single picture may cost before it is refused."""

    max_bytes: int = 512 * 1024 * 1024
    """Size of the encoded picture."""
    max_pixels: int = 178_956_970
    """Width times height; the default is where Pillow itself takes a picture for a decompression bomb."""


def read_bytes(path: str | os.PathLike[str], limits: Limits = Limits()) -> bytes:
    """The bytes of the picture file `path`. Raises InputError if there is no such file, it cannot be read, or is too big."""
    try:
        if os.path.isdir(path):
            raise InputError("is-a-directory", "this is a folder, not a picture")
        with open(path, "rb") as file:
            return read_stream(file, limits)
    except FileNotFoundError:
        raise InputError("not-found", "there is no such file") from None
    except OSError as error:
        raise InputError("unreadable", f"cannot be read: {error.strerror or error}") from error


def read_stream(file: BinaryIO, limits: Limits = Limits()) -> bytes:
    """All that is left in a binary file. Raises InputError if it is empty or more than `limits.max_bytes`."""
    data = file.read(limits.max_bytes + 1)
    if not isinstance(data, bytes):
        raise TypeError("a binary file is needed, this one gives text; open it with mode 'rb'")
    if len(data) > limits.max_bytes:
        raise InputError("too-many-bytes", f"more than the limit of {limits.max_bytes:,} bytes (--max-bytes)")
    if not data:
        raise InputError("empty", "the file is empty")
    return data


def sniff(data: bytes) -> str | None:
    """The format of an encoded picture by its first bytes, a key of `FORMATS`; None if it is none of them."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith((b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")):
        return "TIFF"
    if data[4:8] == b"ftyp":
        return _sniff_boxes(data)
    return None


def _sniff_boxes(data: bytes) -> str | None:
    """AVIF and HEIF share a container; its `ftyp` box lists brands, the main one first."""
    size = int.from_bytes(data[:4], "big")
    brands = [data[8:12]] + [data[start : start + 4] for start in range(16, min(size, len(data), 256), 4)]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "AVIF"
    return "HEIF" if any(brand in _HEIF_BRANDS for brand in brands) else None


def open_image(data: bytes, limits: Limits = Limits()) -> Image.Image:
    """Open an encoded picture without decoding its pixels yet.

    Raises InputError: `not-a-picture` (outside the allow-list), `missing-decoder` (its plug-in is not installed),
    `undecodable` (broken header) or `too-many-pixels`.
    """
    if not data:
        raise InputError("empty", "the file is empty")
    kind = sniff(data)
    if kind is None:
        raise InputError("not-a-picture", f"not a picture in a format that is read ({ALLOWED}){_guess(data)}")
    _load_plugin(kind)
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except Image.DecompressionBombError as error:
        raise InputError("too-many-pixels", f"a decompression bomb: {error}") from error
    except UnidentifiedImageError:
        raise InputError("undecodable", f"a damaged {kind} file: its header cannot be read") from None
    except Exception as error:  # noqa: BLE001  plug-ins raise anything on a hostile file
        raise InputError("undecodable", f"a damaged {kind} file: {_reason(error)}") from error
    width, height = image.size
    if width * height > limits.max_pixels:
        raise InputError(
            "too-many-pixels", f"{width} x {height} pixels, more than the limit of {limits.max_pixels:,} (--max-pixels)"
        )
    return image


def decode(data: bytes, limits: Limits = Limits()) -> Image.Image:
    """Decode an encoded picture (its first frame) to an RGB Pillow image. Raises InputError as `open_image` does, and
    `truncated` or `undecodable` where the pixels break off or make no sense."""
    return to_rgb(open_image(data, limits))


def to_rgb(image: Image.Image) -> Image.Image:
    """Decode the pixels and convert to RGB as Yahoo's script does: alpha is dropped, EXIF rotation ignored."""
    kind = image.format or "picture"
    try:
        return image.convert("RGB")
    except MemoryError:
        raise InputError("out-of-memory", f"{image.width} x {image.height} pixels do not fit into memory") from None
    except OSError as error:
        code = "truncated" if "truncated" in str(error) else "undecodable"
        raise InputError(code, f"a damaged {kind} file: {_reason(error)}") from error
    except Exception as error:  # noqa: BLE001  plug-ins raise anything on a hostile file
        raise InputError("undecodable", f"a damaged {kind} file: {_reason(error)}") from error


def resize_to_jpeg(image: Image.Image) -> bytes:
    """Resize an RGB picture to 256 x 256 (antialiased bilinear, aspect ratio ignored) and encode it as a JPEG file at Pillow's
    default quality, without the metadata that the picture came with."""
    resized = image.resize(RESIZED, resample=Image.BILINEAR)
    resized.info.clear()
    buffer = io.BytesIO()
    resized.save(buffer, format="JPEG")
    return buffer.getvalue()


def crop(jpeg: bytes, height: int = CROPPED, width: int = CROPPED) -> Pixels:
    """Decode the 256 x 256 JPEG and cut its middle out: uint8 (height, width, 3), RGB, 0..255.

    A side of more than 256 is left at 256.
    """
    pixels = np.asarray(Image.open(io.BytesIO(jpeg), formats=["JPEG"]))
    top, left = max((pixels.shape[0] - height) // 2, 0), max((pixels.shape[1] - width) // 2, 0)
    return pixels[top : top + height, left : left + width]


def to_blob(pixels: Pixels) -> Float32:
    """uint8 (N, H, W, 3) RGB -> float32 (N, 3, H, W) BGR minus `MEAN_BGR`, about -123..151: what the network reads."""
    bgr = pixels[..., ::-1].astype(np.float32)
    bgr -= np.array(MEAN_BGR, dtype=np.float32)
    return np.ascontiguousarray(bgr.transpose(0, 3, 1, 2))


def image_from_array(array: Any) -> Image.Image:
    """A uint8 RGB array (H, W, 3) as a Pillow image. Raises TypeError or ValueError for another dtype or shape."""
    if array.dtype != np.uint8:
        raise TypeError(f"an array of dtype uint8 (0..255) is needed, this one is {array.dtype}")
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ValueError(f"an RGB array of shape (H, W, 3) is needed, this one is {array.shape}")
    return Image.fromarray(np.ascontiguousarray(array))


Source = Union[str, "os.PathLike[str]", bytes, BinaryIO, Image.Image, Pixels]


def load_image(source: Source, limits: Limits = Limits()) -> Image.Image:
    """An RGB Pillow image from a path, encoded bytes, a binary file, a Pillow image or a uint8 RGB array (H, W, 3).

    Raises InputError if the picture cannot be had, TypeError or ValueError if `source` is none of these.
    """
    if isinstance(source, Image.Image):
        return to_rgb(source)
    if isinstance(source, np.ndarray):
        return image_from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode(bytes(source), limits)
    if isinstance(source, (str, os.PathLike)):
        return decode(read_bytes(source, limits), limits)
    if hasattr(source, "read"):
        return decode(read_stream(source, limits), limits)
    raise TypeError(f"a path, bytes, a binary file, a Pillow image or a uint8 array is needed, not {type(source).__name__}")


def _load_plugin(kind: str) -> None:
    """Import the one Pillow plug-in that reads this format, if it is not there yet."""
    if kind in Image.OPEN:
        return
    try:
        if kind == "HEIF":
            importlib.import_module("pillow_heif").register_heif_opener()
        else:
            importlib.import_module(f"PIL.{FORMATS[kind]}")
    except ImportError:
        remedy = "pip install 'open-nsfw[heif]'" if kind == "HEIF" else "pip install --upgrade pillow"
        raise InputError("missing-decoder", f"{kind} pictures need a decoder that is not installed: {remedy}") from None


def _guess(data: bytes) -> str:
    start = data[:64].lstrip()
    for magic, name in _OTHERS:
        if start.startswith(magic) or data.startswith(magic):
            return f"; it looks like {name}"
    if data[4:8] == b"ftyp":
        return "; it looks like an MP4 or QuickTime video"
    is_text = not any(byte < 9 or 13 < byte < 32 for byte in data[:512])
    return "; it looks like text" if is_text else ""


def _reason(error: Exception) -> str:
    """One line of what a decoder had to say."""
    return " ".join(str(error).split()) or type(error).__name__
