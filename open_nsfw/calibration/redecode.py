"""Pictures that have a score, decoded once more: for the report's thumbnails, and to compare how they look.

They are decoded where the pipeline decodes, in processes of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Optional

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.sources.item import Item
from open_nsfw.sources.walk import Sources

Key = tuple[str, Optional[str]]
"""(path, member of the archive `path`)"""

SECONDS = 60.0  # to decode one, as in a scan
ITEMS_A_JOB = 4  # taken from the sources at a time, so that no job waits for another's


def decoded_again(wanted: Iterable[Key], jobs: int = 1) -> Iterator[tuple[Key, Picture]]:
    """These pictures, of a video or animation the first frame, in the order of their paths; those that cannot be had any
    more are left out."""
    keys = set(wanted)
    paths = sorted({path for path, _ in keys if os.path.exists(path)})
    items = iter(Sources(paths, skip=lambda path, member: (path, member) not in keys))
    watchdog = Watchdog()
    workers = [DecodeWorker(Extraction(frames=FrameChoice(max_frames=1)), SECONDS, watchdog) for _ in range(jobs)]
    free: SimpleQueue[DecodeWorker] = SimpleQueue()
    for worker in workers:
        free.put(worker)
    try:
        with ThreadPoolExecutor(jobs, "decoding-again") as threads:
            while batch := list(islice(items, ITEMS_A_JOB * jobs)):
                for item, picture in zip(batch, threads.map(lambda item: _first_picture(item, free), batch)):
                    if picture is not None:
                        yield (item.path, item.member), picture
    finally:
        for worker in workers:
            worker.close()
        watchdog.close()


def _first_picture(item: Item, free: SimpleQueue[DecodeWorker]) -> Picture | None:
    worker, picture = free.get(), None
    try:
        if item.error is None:
            for found in worker.decode(item.encoded):
                if isinstance(found, Picture) and picture is None:
                    picture = found
    except InputError:
        pass  # it has changed since it was scored, or it is a video with more frames
    finally:
        item.close()
        free.put(worker)
    return picture
