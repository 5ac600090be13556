"""One decoded picture -> what is scored of it: the whole, and its parts if these are asked for (`--views`), upright if that
is (`--upright`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures.decode import OUT_OF_MEMORY, round_trip, to_rgb
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.parts import found_parts
from open_nsfw.pictures.picture import Failure, Found, Part, Picture
from open_nsfw.pictures.upright import UPRIGHT, orientation_of, turned


def views(
    image: Image.Image,
    options: Extraction,
    frame: int | None = None,
    seconds: float | None = None,
    track: int | None = None,
    orientation: int | None = None,
) -> Iterator[Found]:
    """An opened Pillow image by Yahoo's recipe: the whole, then each of its parts if these are wanted, cut out of the
    decoded pixels as if it were a picture of its own.

    `orientation`, 1 to 8 as EXIF has it, is what a film says of its frame; None: the picture's own metadata tell. Raises
    InputError if its pixels cannot be decoded.
    """
    whole, pixels = whole_picture(image, options, orientation)
    whole = replace(whole, frame=frame, seconds=seconds, track=track)
    yield replace(whole, whole=pixels.tobytes()) if options.whole and frame is None else whole
    if options.views is not None:
        yield from (_part(pixels, whole, part) for part in found_parts(pixels))


def whole_picture(
    image: Image.Image, options: Extraction, orientation: int | None = None
) -> tuple[Picture, Image.Image]:
    """An opened Pillow image by Yahoo's recipe, and its decoded pixels, RGB, as they were looked at. Raises InputError if
    they cannot be decoded."""
    width, height = image.size
    pixels = to_rgb(image)
    upright = None
    if options.upright:
        found = orientation_of(image) if orientation is None else orientation
        upright, pixels = found != UPRIGHT, turned(pixels, found)
    if options.upright or options.whole or options.views is not None:
        width, height = pixels.size  # Pillow turns a TIFF by itself, and boxes are places in what is looked at
    picture = Picture(round_trip(pixels).tobytes(), width, height, image.format or "unknown", upright=upright)
    return picture, pixels


def _part(pixels: Image.Image, whole: Picture, part: Part) -> Found:
    try:
        box = (part.left, part.top, part.right, part.bottom)
        return replace(whole, pixels=round_trip(pixels.crop(box)).tobytes(), part=part)
    except MemoryError:  # it costs no other part its score, nor the whole
        return Failure(InputError("out-of-memory", OUT_OF_MEMORY), whole.frame, whole.seconds, whole.track, part)
