"""One encoded file -> the pictures in it: one, or the frames of an animation, the pages of a TIFF, the frames of a
video."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress

from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.pictures.apng import frame_count
from open_nsfw.pictures.containers import container_of
from open_nsfw.pictures.damage import reasons_known, with_reason
from open_nsfw.pictures.decode import check_pixels, decoder_error, open_as, open_image, to_rgb
from open_nsfw.pictures.extraction import Extraction, too_many_frames
from open_nsfw.pictures.formats import sniff
from open_nsfw.pictures.picture import Failure, Found
from open_nsfw.pictures.reduced import quick_picture
from open_nsfw.pictures.tiff_pages import TiffPages
from open_nsfw.pictures.views import views

MOST_PAGES = 1_000_000  # of a TIFF file that are counted
INDEPENDENT = ("MPO", "HEIF")  # formats whose pictures have nothing to do with each other
TIMED_ON_LOADING = ("WEBP", "AVIF")  # whose frames have their durations only when they are decoded


def pictures(data: bytes, options: Extraction, quick_side: int | None = None) -> Iterator[Found]:
    """The pictures in an encoded file, in order, made ready one at a time. A single JPEG is decoded quickly, for a net of
    `quick_side` x `quick_side` pixels, if that is given and its parts are not wanted.

    Raises InputError when there is none, and also after some, when the rest is broken or over a limit.
    """
    with reasons_known(data):
        yield from _pictures(data, options, quick_side)


def _pictures(data: bytes, options: Extraction, quick_side: int | None) -> Iterator[Found]:
    if container_of(data) is not None:
        from open_nsfw.pictures.video import video_pictures

        yield from video_pictures(io.BytesIO(data), options)
        return
    if options.frames.mode != "first" and sniff(data) == "TIFF":
        pages = TiffPages(data, MOST_PAGES)
        if len(pages.offsets) > 1:
            yield from _tiff_pages(pages, data, options)
            return
    image = open_image(data, options.limits)
    total = 1
    if options.frames.mode != "first":
        image, total = _counted(image, data, options)
    if total == 1:
        if quick_side is None or options.views is not None:
            yield from views(image, options)
        else:
            yield quick_picture(image, len(data), quick_side, options.upright)
    elif image.format in INDEPENDENT:
        yield from _members(image, data, options, total)
    else:
        yield from _animation(image, options, total)


def _counted(image: Image.Image, data: bytes, options: Extraction) -> tuple[Image.Image, int]:
    """The opened picture, or the same opened anew, and how many frames it has."""
    if image.format == "PNG":
        return image, frame_count(data)
    try:
        return image, getattr(image, "n_frames", 1)
    except Exception:  # noqa: BLE001  of any kind: then as many as can be reached, and the one that cannot
        total = 1
        with suppress(Exception):
            while True:
                image.seek(total)
                total += 1
        return open_image(data, options.limits), total + 1


def _taken(options: Extraction, total: int) -> tuple[list[int], bool]:
    """The frames to score, of `total`, and whether these are all that were asked for."""
    wanted = options.frames.indices(total)
    return wanted[: options.frames.max_frames], len(wanted) <= options.frames.max_frames


def _tiff_pages(pages: TiffPages, data: bytes, options: Extraction) -> Iterator[Found]:
    """The pages of a TIFF, each opened by itself: one that cannot be read costs no other its score."""
    taken, are_all = _taken(options, len(pages.offsets))
    for index in taken:
        try:
            yield from views(open_as("TIFF", pages.file(index), options.limits), options, index)
        except InputError as error:
            yield Failure(with_reason(error, data, pages.end(index)), index)
    if not are_all:
        raise too_many_frames(options.frames)


def _members(image: Image.Image, data: bytes, options: Extraction, total: int) -> Iterator[Found]:
    """Pictures that only share a file: one that cannot be read costs no other its score."""
    taken, are_all = _taken(options, total)
    for index in taken:
        try:
            _seek(image, index)
            check_pixels(image.width, image.height, options.limits)
            yield from views(image, options, index)
        except InputError as error:
            yield Failure(with_reason(error, data), index)
    if not are_all:
        raise too_many_frames(options.frames)


def _animation(image: Image.Image, options: Extraction, total: int) -> Iterator[Found]:
    """Frames by index. Each is drawn on the one before it, and the times come from the durations on the way, so every frame
    is visited, but only some are scored."""
    taken, are_all = _taken(options, total)
    chosen, milliseconds = set(taken), 0.0
    has_times = True
    for index in range(taken[-1] + 1):
        _seek(image, index)
        if image.format in TIMED_ON_LOADING:
            to_rgb(image)
        has_times = has_times and (index > 0 or "duration" in image.info or _is_default(image, index))
        if index in chosen:
            shown = has_times and not _is_default(image, index)
            yield from _frame(image, options, index, milliseconds / 1000 if shown else None)
        if not _is_default(image, index):
            duration = image.info.get("duration")
            has_times, milliseconds = has_times and duration is not None, milliseconds + (duration or 0)
    if not are_all:
        raise too_many_frames(options.frames)


def _is_default(image: Image.Image, index: int) -> bool:
    """Whether this is what a program shows that does not know animated PNG, and not of the animation."""
    return index == 0 and image.format == "PNG" and bool(image.info.get("default_image"))


def _frame(image: Image.Image, options: Extraction, index: int, seconds: float | None) -> Iterator[Found]:
    """A frame as a picture. The animation can go on from it as if it had not been looked at."""
    # Pillow 13 keeps what was shown before a frame, to which an animated PNG may return, until the next frame is sought, but
    # draws the frame on that very picture when it is loaded.
    before = getattr(image, "_prev_im", None) if image.format == "PNG" else None
    before = None if before is None else before.copy()
    yield from views(image, options, index, seconds)
    if before is not None:
        image._prev_im = before  # type: ignore[attr-defined]


def _seek(image: Image.Image, index: int) -> None:
    try:
        image.seek(index)
    except EOFError:
        raise InputError("truncated", f"a damaged {image.format} file: it ends before frame {index}") from None
    except Exception as error:
        raise decoder_error(image.format or "picture", error, f"frame {index}: ") from error
