"""One encoded file -> the pictures in it: one, or the frames of an animation, the pages of a TIFF, the frames of a
video."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import container_of
from open_nsfw.pictures.decode import open_image, recipe_picture
from open_nsfw.pictures.extraction import Extraction, too_many_frames
from open_nsfw.pictures.picture import Found
from open_nsfw.pictures.reduced import quick_picture


def pictures(data: bytes, options: Extraction, quick_side: int | None = None) -> Iterator[Found]:
    """The pictures in an encoded file, in order, made ready one at a time. A single JPEG is decoded quickly, for a net of
    `quick_side` x `quick_side` pixels, if that is given.

    Raises InputError when there is none, and also after some, when the rest is broken or over a limit.
    """
    if container_of(data) is not None:
        from open_nsfw.pictures.video import video_pictures

        yield from video_pictures(io.BytesIO(data), options)
        return
    image = open_image(data, options.limits)
    total = getattr(image, "n_frames", 1) if options.frames.mode != "first" else 1
    if total == 1:
        yield recipe_picture(image) if quick_side is None else quick_picture(image, len(data), quick_side)
        return
    yield from _animation(image, options, total)


def _animation(image: Image.Image, options: Extraction, total: int) -> Iterator[Found]:
    """Frames by index. The times come from the durations on the way, so every frame is visited, but only some are
    scored."""
    wanted = options.frames.indices(total)
    chosen, last = set(wanted[: options.frames.max_frames]), wanted[: options.frames.max_frames][-1]
    milliseconds: float | None = 0.0 if "duration" in image.info else None
    for index in range(last + 1):
        _seek(image, index)
        if index in chosen:
            yield recipe_picture(image, index, None if milliseconds is None else milliseconds / 1000)
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
