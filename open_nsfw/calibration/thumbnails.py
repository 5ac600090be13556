"""Small pictures for the report."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.errors import InputError

if TYPE_CHECKING:
    from open_nsfw.pictures.isolation import DecodeWorker
    from open_nsfw.pictures.picture import Picture
    from open_nsfw.sources.item import Item

THUMBNAIL_QUALITY = 70  # of JPEG; about 8 kB each
THUMBNAIL_SECONDS = 60.0  # to decode one, as in a scan


def thumbnails(examples: list[Example]) -> dict[tuple[str, str | None], bytes]:
    """Small JPEGs of these pictures, of a video's first frame, by (path, member); those that cannot be had are left
    out.

    They are decoded where the pipeline decodes, in a process of their own.
    """
    from open_nsfw.pictures.extraction import Extraction, FrameChoice
    from open_nsfw.pictures.isolation import DecodeWorker
    from open_nsfw.pictures.watchdog import Watchdog
    from open_nsfw.sources.walk import Sources

    wanted = {(example.path, example.member) for example in examples if example.path is not None}
    paths = sorted({path for path, _ in wanted if path is not None and os.path.exists(path)})
    found: dict[tuple[str, str | None], bytes] = {}
    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(frames=FrameChoice(max_frames=1)), THUMBNAIL_SECONDS, watchdog)
    try:
        for item in Sources(paths, skip=lambda path, member: (path, member) not in wanted):
            for picture in _pictures(worker, item):
                found[item.path, item.member] = _small(picture)
            item.close()
    finally:
        worker.close()
        watchdog.close()
    return found


def _pictures(worker: DecodeWorker, item: Item) -> Iterator[Picture]:
    from open_nsfw.pictures.picture import Picture

    if item.error is not None:
        return
    try:
        for found in worker.decode(item.encoded):
            if isinstance(found, Picture):
                yield found
    except InputError:
        return  # it has changed since it was scored, or it is a video with more frames


def _small(picture: Picture) -> bytes:
    """A JPEG of what the network looks at, in the picture's own proportions."""
    from PIL import Image

    longest, side = max(picture.width, picture.height), picture.side
    size = max(1, round(side * picture.width / longest)), max(1, round(side * picture.height / longest))
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), picture.pixels).resize(size).save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()
