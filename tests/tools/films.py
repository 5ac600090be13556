"""Small films for tests, made by PyAV (the extra `video`)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.pictures.picture import Failure, Picture
from open_nsfw.pictures.video import video_pictures

av: Any = pytest.importorskip("av", reason="PyAV is not installed in this interpreter")

RATE = 10  # frames a second
UNIT = Fraction(1, 1000)  # of the times of frames, in seconds
WIDTH, HEIGHT = 64, 48


def even(count: int) -> list[float]:
    """The times of so many frames, one every tenth of a second."""
    return [index / RATE for index in range(count)]


def film(
    container: str = "matroska",
    coding: str = "mpeg4",
    times: Sequence[float] = tuple(even(30)),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    **options: str,
) -> bytes:
    """A film with a frame at each of `times`, in seconds; grey, lighter from frame to frame."""
    return films(container, [coding], times, size, **options)


def films(
    container: str,
    codings: Sequence[str],
    times: Sequence[float],
    size: tuple[int, int] = (WIDTH, HEIGHT),
    **options: str,
) -> bytes:
    """A film with a video track in each of `codings`."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options) as writer:
        streams = [_stream(writer, coding, size) for coding in codings]
        for index, seconds in enumerate(times):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(grey(index, size), format="rgb24").reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = round(seconds / UNIT), UNIT
                writer.mux(stream.encode(frame))
        for stream in streams:
            writer.mux(stream.encode())
    return buffer.getvalue()


def _stream(writer: Any, coding: str, size: tuple[int, int]) -> Any:
    stream = writer.add_stream(coding, rate=25 if coding in ("dvvideo", "mpeg2video", "mpeg1video", "rv20") else RATE)
    stream.width, stream.height = size
    stream.pix_fmt = "yuvj420p" if coding == "mjpeg" else "yuv420p"
    if coding not in ("dvvideo", "mpeg2video", "mpeg1video", "rv20"):
        stream.codec_context.time_base = UNIT
    return stream


def grey(index: int, size: tuple[int, int]) -> Any:
    """uint8 (H, W, 3) of the frame with this number."""
    return np.full((size[1], size[0], 3), 40 + index * 5 % 160, np.uint8)


def sound(container: str = "mp4", coding: str = "aac") -> bytes:
    """A second of silence."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as writer:
        stream = writer.add_stream(coding, rate=48000)
        for index in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48000, index * 1024
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())
    return buffer.getvalue()


def shown(
    data: bytes, every: float = 1.0, most: int = 100_000, limits: Limits = Limits()
) -> tuple[list[Picture | Failure], str | None]:
    """What is taken out of a film, and the error at its end as rows have it."""
    options = Extraction(limits, FrameChoice(every_seconds=every, max_frames=most))
    found: list[Picture | Failure] = []
    try:
        for each in video_pictures(io.BytesIO(data), options):
            found.append(each)
    except Exception as error:  # noqa: BLE001  of any kind, and then it is seen in the comparison
        return found, f"{getattr(error, 'code', type(error).__name__)}: {error}"
    return found, None


def numbers(found: Iterable[Picture | Failure]) -> list[int | None]:
    """Which frames were taken."""
    return [each.frame for each in found]


def seconds(found: Iterable[Picture | Failure]) -> list[float | None]:
    """When they are shown."""
    return [each.seconds for each in found]
