"""Pictures that have a score, decoded once more: for the report's thumbnails, and to compare how they look.

They are decoded where the pipeline decodes, in processes of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Optional

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.picture import Picture
from open_nsfw.scan.decoders import Decoders
from open_nsfw.sources.item import Item
from open_nsfw.sources.walk import Sources

Key = tuple[str, Optional[str]]
"""(path, member of the archive `path`)"""


def decoded_again(wanted: Iterable[Key], jobs: int = 1) -> Iterator[tuple[Key, Picture]]:
    """These pictures, of a video or animation the first frame, in the order of their paths; those that cannot be had any
    more are left out."""
    keys = set(wanted)
    paths = sorted({path for path, _ in keys if os.path.exists(path)})
    items = Sources(paths, skip=lambda path, member: (path, member) not in keys)
    with Decoders(Extraction(frames=FrameChoice(max_frames=1)), jobs) as decoders:
        for key, picture in decoders.map(_first_picture, items):
            if picture is not None:
                yield key, picture


def _first_picture(worker: DecodeWorker, item: Item) -> tuple[Key, Picture | None]:
    picture = None
    try:
        if item.error is None:
            for found in worker.decode(item.encoded):
                if isinstance(found, Picture) and picture is None:
                    picture = found
    except InputError:
        pass  # it has changed since it was scored, or it is a video with more frames
    return (item.path, item.member), picture
