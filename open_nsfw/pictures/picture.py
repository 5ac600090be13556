"""`Picture`: one picture of a file, ready for the network; `Failure`: one that cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures.decode import round_trip, to_rgb


@dataclass(frozen=True)
class Picture:
    """One picture of a file, ready for the network."""

    pixels: bytes
    """uint8, RGB, row by row, square: the recipe's 256 x 256, or as much of their middle as a quick score needs."""
    width: int
    """Of the picture as it was encoded, in pixels, like `height`."""
    height: int
    format: str
    frame: int | None = None
    """Index in the file, from 0; None for a file with a single picture, or of which only the first is scored."""
    seconds: float | None = None
    """When the frame is shown, for videos and animations that say so."""
    exact: bool = True
    """Whether the pixels are the recipe's, rather than the quick decode's."""
    reduced: bool = False
    """Decoded at reduced size."""
    track: int | None = None
    """Which video track it is of, from 0, in a file that has several."""


@dataclass(frozen=True)
class Failure:
    """A picture of a file that cannot be scored, while others of the same file can."""

    error: InputError
    frame: int
    """Index in the file, from 0, like that of a `Picture`."""
    seconds: float | None = None
    track: int | None = None


def picture(image: Image.Image, frame: int | None = None, seconds: float | None = None) -> Picture:
    """Yahoo's recipe on one opened Pillow image. Raises InputError if its pixels cannot be decoded."""
    width, height, name = image.width, image.height, image.format or "unknown"
    return Picture(round_trip(to_rgb(image)).tobytes(), width, height, name, frame, seconds)


def quick_picture(image: Image.Image, encoded: int, side: int) -> Picture:
    """The same by the quick decode, of a file of `encoded` bytes, for a net of `side` x `side` pixels."""
    from open_nsfw.pictures.reduced import quick_picture as decode_quickly

    width, height, name = image.width, image.height, image.format or "unknown"
    decoded = decode_quickly(image, encoded, side)
    return Picture(decoded.image.tobytes(), width, height, name, exact=decoded.exact, reduced=decoded.reduced)
