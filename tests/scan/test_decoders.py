"""Work on items in several threads, each with a decoding process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.picture import Picture
from open_nsfw.scan.decoders import AHEAD, Decoders
from open_nsfw.sources.item import Item
from tests.tools.helpers import DATA, wait_until

PATHS = sorted((DATA / "pushed").glob("*.jpg"))
ITEMS = [Item(str(path)) for path in PATHS]


def first(worker: DecodeWorker, item: Item) -> tuple[str, bytes]:
    """The picture of an item."""
    (picture,) = (found for found in worker.decode(item.encoded) if isinstance(found, Picture))
    return item.path, picture.pixels


def test_results_come_in_order_whatever_takes_long() -> None:
    """And are those of one process."""

    def slow_at_first(worker: DecodeWorker, item: Item) -> tuple[str, bytes]:
        if item is ITEMS[0]:
            time.sleep(0.5)
        return first(worker, item)

    with Decoders(Extraction(), jobs=3) as decoders:
        found = list(decoders.map(slow_at_first, ITEMS))
    assert [path for path, _ in found] == [str(path) for path in PATHS]
    with Decoders(Extraction()) as decoders:
        assert list(decoders.map(first, ITEMS)) == found


def test_an_error_comes_out_and_everything_ends(tmp_path: Path) -> None:
    """Whatever the work raises; threads and processes are gone, and files are closed."""
    before = threading.active_count()
    file = (tmp_path / "x").open("w+b")
    items = [*ITEMS[:4], Item("x", file=file)]

    def failing(worker: DecodeWorker, item: Item) -> None:
        first(worker, item) if item.file is None else None
        if item.file is not None:
            raise InputError("empty", "nothing in it")

    with pytest.raises(InputError, match="nothing in it"), Decoders(Extraction(), jobs=2) as decoders:
        list(decoders.map(failing, items))
    assert file.closed
    wait_until(lambda: threading.active_count() <= before)


def test_stop_begins_with_nothing_further() -> None:
    """What is under way is still given."""
    with Decoders(Extraction(), jobs=2) as decoders:
        found = []
        for each in decoders.map(first, ITEMS):
            found.append(each)
            decoders.stop()
    assert 1 <= len(found) <= 2 * AHEAD + 1 < len(ITEMS)
