"""Frames of a video, by PyAV (the extra `video`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.installing import install_command
from open_nsfw.pictures.decode import check_pixels, recipe_picture
from open_nsfw.pictures.extraction import Extraction, too_many_frames
from open_nsfw.pictures.picture import Found, Picture


def video_pictures(source: str | BinaryIO, options: Extraction) -> Iterator[Found]:
    """A video's frames, one every `options.frames.every_seconds`, the first and the last ones always.

    Time is the frame's own (its presentation time), so a variable frame rate is no matter. Raises InputError if there
    is no picture at all, and after the last good frame where the file breaks off.
    """
    av = _import_av()
    try:
        container = _open(av, source)
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError("undecodable", f"a damaged or unknown video: {_reason(error)}") from error
    with container:
        if not container.streams.video:
            raise InputError("no-pictures", "a media file without a video stream")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # the other cores have files of their own
        check_pixels(stream.codec_context.width, stream.codec_context.height, options.limits)
        yield from _sampled(av, container, stream, options)


def _open(av: Any, source: str | BinaryIO) -> Any:
    try:
        return av.open(source, mode="r", metadata_errors="ignore")  # a title in another encoding is no reason to stop
    except TypeError:  # PyAV 19 ignores such errors by itself, and has no option for it
        return av.open(source, mode="r")


def _sampled(av: Any, container: Any, stream: Any, options: Extraction) -> Iterator[Picture]:
    due, count, scored = 0.0, 0, 0
    last: tuple[Any, int, float] | None = None
    start: float | None = None
    problem: InputError | None = None
    frames = container.decode(stream)
    while problem is None:
        try:
            frame = next(frames, None)
        except (av.error.FFmpegError, ValueError) as error:  # a broken tail: what came before counts
            problem = InputError("truncated", f"a damaged video: after frame {count - 1}: {_reason(error)}")
            break
        if frame is None:
            break
        start = _time(frame, count, stream) if start is None else start
        seconds = _time(frame, count, stream) - start
        last = (frame, count, seconds)
        if seconds >= due:
            if scored == options.frames.max_frames:
                raise too_many_frames(options.frames)
            yield _frame_picture(last, container, options)
            last, scored = None, scored + 1
            due = (seconds // options.frames.every_seconds + 1) * options.frames.every_seconds
        count += 1
    if last is not None:
        yield _frame_picture(last, container, options)
    if problem is not None:
        raise problem
    if count == 0:
        raise InputError("truncated", "a damaged video: not one frame of it can be decoded")


def _time(frame: Any, count: int, stream: Any) -> float:
    """When the frame is shown, in seconds; by the nominal rate where the file does not say."""
    if frame.time is not None:
        return float(frame.time)
    return count / float(stream.average_rate or 25)


def _frame_picture(shown: tuple[Any, int, float], container: Any, options: Extraction) -> Picture:
    frame, index, seconds = shown
    check_pixels(frame.width, frame.height, options.limits)
    image = frame.to_image()
    image.format = container.format.name.split(",")[0].upper()
    return recipe_picture(image, index, round(seconds, 6))


def _import_av() -> Any:
    try:
        import av
        import av.error
    except ImportError:
        raise InputError("missing-library", f"videos need PyAV: {install_command('video')}") from None
    av.logging.set_level(av.logging.PANIC)
    return av


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__
