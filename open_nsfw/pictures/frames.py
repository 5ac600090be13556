"""One encoded file -> the pictures in it: one, or the frames of an animation, the pages of a TIFF, the frames of a
video."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures.decode import open_image, round_trip, to_rgb
from open_nsfw.pictures.extraction import Extraction, too_many_frames
from open_nsfw.pictures.formats import is_video, sniff

HEAD = 512  # bytes that tell what a file is


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


def pictures(data: bytes, options: Extraction, quick_side: int | None = None) -> Iterator[Picture]:
    """The pictures in an encoded file, in order, made ready one at a time. A single JPEG is decoded quickly, for a net of
    `quick_side` x `quick_side` pixels, if that is given.

    Raises InputError when there is none, and also after some, when the rest is broken or over a limit.
    """
    if sniff(data) is None and is_video(data[:HEAD]):
        from open_nsfw.pictures.video import video_pictures

        yield from video_pictures(io.BytesIO(data), options)
        return
    image = open_image(data, options.limits)
    total = getattr(image, "n_frames", 1) if options.frames.mode != "first" else 1
    if total == 1:
        yield picture(image) if quick_side is None else quick_picture(image, len(data), quick_side)
        return
    yield from _animation(image, options, total)


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


def _animation(image: Image.Image, options: Extraction, total: int) -> Iterator[Picture]:
    """Frames by index. The times come from the durations on the way, so every frame is visited, but only some are
    scored."""
    wanted = options.frames.indices(total)
    chosen, last = set(wanted[: options.frames.max_frames]), wanted[: options.frames.max_frames][-1]
    milliseconds: float | None = 0.0 if "duration" in image.info else None
    for index in range(last + 1):
        _seek(image, index)
        if index in chosen:
            yield picture(image, index, None if milliseconds is None else milliseconds / 1000)
        duration = image.info.get("duration")
        milliseconds = None if duration is None or milliseconds is None else milliseconds + duration
    if len(wanted) > len(chosen):
        raise too_many_frames(options.frames)


def _seek(image: Image.Image, index: int) -> None:
    try:
        image.seek(index)
    except EOFError:
        raise InputError("truncated", f"a damaged {image.format} file: it ends before frame {index}") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError("undecodable", f"a damaged {image.format} file: frame {index}: {reason}") from error
