"""Small pictures for the report."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.errors import InputError

THUMBNAIL_QUALITY = 70  # of JPEG; about 8 kB each
THUMBNAIL_SECONDS = 60.0  # to decode one, as in a scan


def thumbnails(examples: list[Example]) -> dict[tuple[str, str | None], bytes]:
    """Small JPEGs of these pictures, of a video's first frame, by (path, member); those that cannot be had are left
    out.

    They are decoded where the pipeline decodes, in a process of their own.
    """
    from open_nsfw.pictures.extraction import Extraction, FrameChoice
    from open_nsfw.pictures.isolation import DecodeWorker, Watchdog
    from open_nsfw.sources.walk import Sources

    wanted = {(example.path, example.member) for example in examples if example.path is not None}
    paths = sorted({path for path, _ in wanted if path is not None and os.path.exists(path)})
    found: dict[tuple[str, str | None], bytes] = {}
    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(frames=FrameChoice(max_frames=1)), THUMBNAIL_SECONDS, watchdog)
    try:
        for item in Sources(paths, skip=lambda path, member: (path, member) not in wanted):
            for message, pixels in _pictures(worker, item):
                found[item.path, item.member] = _small(message["width"], message["height"], pixels)
            item.close()
    finally:
        worker.close()
        watchdog.close()
    return found


def _pictures(worker: Any, item: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
    if item.error is not None:
        return
    try:
        for message, pixels in worker.messages(item.location, item.data):
            if message["kind"] == "picture":
                yield message, pixels
    except InputError:
        return  # it has changed since it was scored, or it is a video with more frames


def _small(width: int, height: int, pixels: bytes) -> bytes:
    """A JPEG of uint8 (256, 256, 3), which is what the network looks at, in the picture's own proportions."""
    from PIL import Image

    from open_nsfw.pictures.formats import SIDE

    longest = max(width, height)
    size = max(1, round(SIDE * width / longest)), max(1, round(SIDE * height / longest))
    file = io.BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), pixels).resize(size).save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()
