"""What a file is, by its first bytes, and how much of it may be read. Standard library only: this is on the way of
every run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from open_nsfw.errors import InputError

# Pixels a side of every picture after the resize, whatever its shape was: resize_image() of Yahoo's classify_nsfw.py.
SIDE = 256
# Pixels a side of what JPEG compresses together: cut there, the middle comes out as it does from the whole, but for the
# colour of its outermost pixels.
MCU = 16

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

# Bytes of the headers that bitmaps have had: each says its size, since two letters alone are no magic. Windows has had
# headers of 12, 40, 52, 56, 108 and 124 bytes; OS/2 allows any number of its fields, which makes 16 to 64.
_BMP_HEADERS = (12, *range(16, 65, 2), 108, 124)
_BMP_HEADER_AT = 14  # bytes of a bitmap before that size, which has four itself
_AVIF_BRANDS = (b"avif", b"avis")
_FILM_BRANDS = (b"iso", b"mp4", b"M4", b"qt", b"avc1", b"3g", b"dash", b"cmf", b"F4", b"f4v")
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
    (b"qoif", "QOI"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
)


_OTHER_PICTURES = ("PostScript", "Photoshop", "an icon file", "SVG", "QOI", "JPEG 2000", "JPEG XL")
PIECE = 1024 * 1024  # bytes that are read at once of what has no known size


@dataclass(frozen=True)
class Limits:
    """What a single picture may cost before it is refused."""

    max_bytes: int = 512 * 1024 * 1024
    """Size of the encoded picture; also of a video that is no file of its own (in an archive, on standard input, in a pipe)
    and so has to be held as a whole."""
    max_pixels: int = 178_956_970
    """Width times height; the default is where Pillow itself takes a picture for a decompression bomb."""


def quick_pixels(side: int) -> int:
    """Pixels a side of what the quick decode makes for a network that reads `side` x `side`: the middle of the recipe's
    picture, cut where JPEG's blocks meet."""
    return SIDE - 2 * ((SIDE - side) // 2 // MCU * MCU)


def read_bytes(path: str | os.PathLike[str], limits: Limits = Limits()) -> bytes:
    """The bytes of the picture file `path`. Raises InputError if there is no such file, it cannot be read, or is too
    big."""
    try:
        if os.path.isdir(path):
            raise InputError("is-a-directory", "this is a folder, not a picture")
        with open(path, "rb") as file:
            return read_stream(file, limits, os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError("unreadable", f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def missing(path: str | os.PathLike[str]) -> InputError:
    """The error of a file that is not there."""
    if is_url(path):
        return InputError("not-found", "this is a URL, and nothing is downloaded: save it as a file and name that")
    return InputError("not-found", "there is no such file")


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a name that no file has is an address such as `https://example.org/picture.jpg`."""
    scheme, separator, _ = os.fsdecode(path).partition("://")
    return bool(separator) and scheme.isascii() and scheme.isalnum()


def read_stream(file: BinaryIO, limits: Limits = Limits(), expected: int | None = None) -> bytes:
    """All that is left in a binary file. Raises InputError if it cannot be read, is empty, or more than
    `limits.max_bytes`; TypeError if it gives text.

    `expected`: how many bytes that most likely are. They are asked for at once, the rest in pieces: to ask for as many as
    are allowed may take memory for all of them.
    """
    most = limits.max_bytes + 1
    try:
        data = file.read(min(PIECE if expected is None else expected + 1, most))
        if isinstance(data, str):
            raise TypeError("a binary file is needed, this one gives text; open it with mode 'rb'")
        if not isinstance(data, bytes):
            raise TypeError(f"a binary file is needed, whose read() gives bytes; this one gives {type(data).__name__}")
        if data and len(data) != expected and len(data) < most:  # it has grown, or is no file that has a size
            data = b"".join((data, *_pieces(file, most - len(data))))
    except OSError as error:
        raise InputError("unreadable", f"cannot be read: {error.strerror or error}") from error
    if len(data) > limits.max_bytes:
        raise too_many_bytes(limits)
    if not data:
        raise InputError("empty", "the file is empty")
    return data


def _pieces(file: BinaryIO, most: int) -> Iterator[bytes]:
    """At most `most` bytes."""
    while most > 0 and (piece := file.read(min(PIECE, most))):
        most -= len(piece)
        yield piece


def too_many_bytes(limits: Limits) -> InputError:
    """The refusal of a picture over the limit."""
    return InputError("too-many-bytes", f"more than the limit of {limits.max_bytes:,} bytes (--max-bytes)")


def read_head(path: str | os.PathLike[str], count: int = 4096) -> bytes:
    """The first `count` bytes of a file, which tell what it is; nothing if they cannot be read, or only once."""
    try:
        if not os.path.isfile(path):
            return b""
        with open(path, "rb") as file:
            return file.read(count)
    except OSError:
        return b""


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
    if data.startswith(b"BM") and _may_be_bitmap(data):
        return "BMP"
    if data.startswith((b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")):
        return "TIFF"
    if data[4:8] == b"ftyp":
        return _sniff_boxes(data)
    return None


def _may_be_bitmap(data: bytes) -> bool:
    """Whether the header has a size that there is; or the data ends before that is known, as a bitmap that was cut does."""
    size = data[_BMP_HEADER_AT : _BMP_HEADER_AT + 4]
    return len(size) < 4 or int.from_bytes(size, "little") in _BMP_HEADERS


def _sniff_boxes(data: bytes) -> str | None:
    """AVIF and HEIF share a container with films; its `ftyp` box lists brands, the main one first. What players take for a
    film is none of them, whatever brands follow."""
    if data[8:12].startswith(_FILM_BRANDS):
        return None
    size = int.from_bytes(data[:4], "big")
    brands = [data[8:12]] + [data[start : start + 4] for start in range(16, min(size, len(data), 256), 4)]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "AVIF"
    return "HEIF" if any(brand in _HEIF_BRANDS for brand in brands) else None


def guess(data: bytes) -> str:
    """What a file that is no picture most likely is, as the end of an error message; empty if that is anyone's guess."""
    start = data[:64].lstrip()
    if data[4:12] == b"ftypcrx ":
        return "; it looks like a raw picture of a camera"
    for magic, name in _OTHERS:
        if start.startswith(magic) or data.startswith(magic):
            return f"; it looks like {name}"
    is_text = not any(byte < 9 or 13 < byte < 32 for byte in data[:512])
    return "; it looks like text" if is_text else ""


def is_other_picture(data: bytes) -> bool:
    """Whether a file that is in no format that is read is most likely a picture all the same, by its first bytes."""
    words = guess(data)
    return words.endswith(_OTHER_PICTURES) or "picture" in words or b"<svg" in data[:4096]
