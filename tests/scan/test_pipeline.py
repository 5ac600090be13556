"""The pipeline by itself, with a classifier that takes no time: order, nothing lost, nothing kept."""

from __future__ import annotations

import gc
import io
import math
import random
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from open_nsfw.errors import InputError
from open_nsfw.nets.ranges import Margins
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.scan.job import LARGEST_BATCH
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scoring.classifier import Score
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item
from tests.tools.helpers import DATA
from tests.tools.processes import wait_until

SMALL = [(DATA / "pictures" / name).read_bytes() for name in ("one-pixel.jpg", "one-pixel.png", "one-pixel.gif")]
BROKEN = SMALL[0][:200]


class Brightness:
    """A classifier whose score is the mean of the pixels; remembers how many pictures it got at once."""

    def __init__(self, side: int = 224) -> None:
        self.engine = SimpleNamespace(
            name="brightness",
            model_hash="0",
            made_from="",
            concurrent=True,
            exact=True,
            input_shape=(3, side, side),
        )
        self.batches: list[int] = []

    def score_pixels(self, pixels: Any) -> list[Score]:
        """Between 0 and 1."""
        self.batches.append(len(pixels))
        return [Score(float(np.mean(each)) / 255) for each in pixels]


def items(count: int) -> Iterator[Item]:
    """Small pictures in memory, mostly JPEG, one in eleven of them broken, one in thirteen with an error from its source."""
    for index in range(count):
        if index % 13 == 7:
            yield Item(str(index), error=InputError("unreadable", "cannot be read"))
        else:
            yield Item(str(index), data=BROKEN if index % 11 == 5 else SMALL[index % 17 if index % 17 < 3 else 0])


def plain_picture(grey: int) -> bytes:
    """A PNG of one colour, whose brightness is `grey` / 255."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (grey, grey, grey)).save(file, "PNG")
    return file.getvalue()


def models(quick: bool, thresholds: tuple[float, ...] = ()) -> Models:
    """The same classifier twice: the second one is quick."""
    return Models(Brightness(), Brightness() if quick else None, thresholds)  # type: ignore[arg-type]


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_item_once_and_in_order(jobs: int, quick: bool) -> None:
    """Whoever decodes it, in whatever batch."""
    used = models(quick, (0.5, 1.0))
    with Pipeline(PipelineOptions(jobs, quick=quick)) as pipeline:
        pipeline.start(items(600))
        pipeline.use(used)
        rows = [row for each in pipeline.rows() for row in each]
    assert [row.path for row in rows] == [str(index) for index in range(600)]
    bad = sorted({*range(5, 600, 11), *range(7, 600, 13)})
    assert [index for index, row in enumerate(rows) if row.error is not None] == bad
    sizes = (used.quick or used.exact).batches  # type: ignore[attr-defined]
    assert sum(sizes) == 600 - len(bad)
    assert max(sizes) == (LARGEST_BATCH if quick else 1)


class Recording(Brightness):
    """An engine that takes one caller and batches of eight. Its first call lasts until two batches wait behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.engine.concurrent, self.engine.batch_size = False, 8
        self.waiting: Any = None

    def score_pixels(self, pixels: Any) -> list[Score]:
        """Between 0 and 1."""
        if not self.batches:
            wait_until(lambda: self.waiting is not None and self.waiting.full(), "two batches wait")
        return super().score_pixels(pixels)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_waits_for_an_engine_goes_to_it_as_one_batch(jobs: int, quick: bool) -> None:
    """As many as the engine takes, and more than there are jobs: these do not wait for the scores. Each row has the score
    of its own picture, and they come in order. In the fast mode the exact scores come in batches, too."""
    used = Models(Recording(), Brightness() if quick else None, (0.5,), Margins(99, 99))  # type: ignore[arg-type]
    colours = [Item(str(index), data=plain_picture(index * 2)) for index in range(100)]
    with Pipeline(PipelineOptions(jobs, quick=quick, quick_side=224)) as pipeline:
        pipeline.use(used)
        used.exact.waiting = pipeline._pool.scorer.result()._batches._waiting  # type: ignore[attr-defined,union-attr]
        pipeline.start(colours)
        rows = [row for each in pipeline.rows() for row in each]
    assert [row.path for row in rows] == [str(index) for index in range(100)]
    assert [row.score for row in rows] == [pytest.approx(index * 2 / 255, abs=0.01) for index in range(100)]
    sizes = used.exact.batches  # type: ignore[attr-defined]
    assert max(sizes) == 8 and len([size for size in sizes if size == 8]) >= 2
    assert sum(sizes) == 100 and all(row.exact for row in rows)


def test_an_engine_with_batches_that_fails_ends_the_run() -> None:
    """Its error comes out of `rows`; no job waits for ever for room in the queue."""

    def fail(pixels: Any) -> list[Score]:
        raise RuntimeError("no more memory")

    used = Models(Recording())  # type: ignore[arg-type]
    used.exact.score_pixels = fail  # type: ignore[method-assign]
    with Pipeline(PipelineOptions(2)) as pipeline:
        pipeline.start(items(400))
        pipeline.use(used)
        with pytest.raises(RuntimeError, match="no more memory"):
            list(pipeline.rows())


@pytest.mark.parametrize("quick", [True, False])
def test_nothing_is_kept_of_finished_items(quick: bool) -> None:
    """Memory would grow with the number of pictures otherwise."""

    def futures() -> int:
        gc.collect()
        # Not `isinstance`, which asks objects for their class: those of other libraries may warn then.
        return sum(issubclass(type(each), Future) for each in gc.get_objects())

    before = futures()
    with Pipeline(PipelineOptions(2, quick=quick)) as pipeline:
        pipeline.start(items(1500))
        pipeline.use(models(quick))
        assert sum(1 for _ in pipeline.rows()) == 1500
        assert futures() - before < 20
        assert len(pipeline._pool.tasks) == 0


@pytest.mark.parametrize("quick", [True, False])
def test_stopped_anywhere(quick: bool) -> None:
    """What was under way comes out, in order; then it ends."""
    random.seed(2016)
    for _ in range(10):
        stop_after, rows = random.randrange(60), []
        with Pipeline(PipelineOptions(2, quick=quick)) as pipeline:
            pipeline.start(items(400))
            pipeline.use(models(quick))
            for index, each in enumerate(pipeline.rows()):
                rows += each
                if index == stop_after:
                    pipeline.stop()
        paths = [int(row.path) for row in rows]
        assert paths == sorted(set(paths))
        assert stop_after < len(paths) < 400


def test_left_before_there_is_a_model() -> None:
    """Where loading it fails, the threads and processes end all the same."""
    with pytest.raises(RuntimeError, match="no model"), Pipeline(PipelineOptions(2, quick=True)) as pipeline:
        pipeline.start(items(400))
        raise RuntimeError("no model")
    assert not any(job.is_alive() for job in pipeline._pool._jobs)
    with Pipeline(PipelineOptions(2)) as pipeline:
        pass  # and where it was never started


def test_an_engine_that_fails_ends_the_run() -> None:
    """Its error comes out of `rows`, and nobody waits for the rest."""

    def fail(pixels: Any) -> list[Score]:
        raise RuntimeError("no more memory")

    used = models(True)
    used.quick.score_pixels = fail  # type: ignore[union-attr,method-assign]
    with Pipeline(PipelineOptions(2, quick=True)) as pipeline:
        pipeline.start(items(400))
        pipeline.use(used)
        with pytest.raises(RuntimeError, match="no more memory"):
            list(pipeline.rows())


def test_a_film_keeps_no_row_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a batch get their rows together; what may take long is not one of them."""
    seen, decoded = Event(), DecodeWorker.decode

    def decode(self: DecodeWorker, source: Any, side: Any = None, frames: Any = None) -> Any:
        assert source != SMALL[2] or seen.wait(60), "its rows wait for the film's"
        yield from decoded(self, source, side)

    monkeypatch.setattr(DecodeWorker, "decode", decode)
    with Pipeline(PipelineOptions(1, quick=True)) as pipeline:
        pipeline.start(Item(str(index), data=SMALL[0 if index < 2 else 2]) for index in range(3))
        pipeline.use(models(True))
        rows = pipeline.rows()
        assert [next(rows)[0].error, next(rows)[0].error] == [None, None]
        seen.set()
        assert [row[0].error for row in rows] == [None]


def test_a_file_is_let_go_with_its_row() -> None:
    """Items may hold whole files; only the last one may still be in the hands of the reader."""
    alive: list[weakref.ref[Item]] = []
    done = Event()

    def source() -> Iterator[Item]:
        for index in range(12):
            item = Item(str(index), data=SMALL[0])
            alive.append(weakref.ref(item))
            yield item
        done.wait(60)

    with Pipeline(PipelineOptions(3, quick=True)) as pipeline:
        pipeline.start(source())
        pipeline.use(models(True))
        rows = pipeline.rows()
        for _ in range(12):
            next(rows)
        for job in pipeline._pool._jobs:
            job.join(0.2)  # time to come back for more
        assert sum(item() is not None for item in alive) <= 1
        done.set()


def test_a_quick_score_that_is_no_number_asks_for_the_exact_one() -> None:
    """Also where the pixels are only good for a quick one; an exact one that is no number is the file's error."""

    def no_number(pixels: Any) -> list[Score]:
        return [Score(math.nan, InputError("not-finite", "no probability"))] * len(pixels)

    pair = [Item("jpeg", data=SMALL[0]), Item("png", data=SMALL[1])]
    for engine, errors in (("quick", [None, None]), ("exact", ["not-finite: no probability"] * 2)):
        used = models(True, (0.5,))
        used.quick.score_pixels = no_number  # type: ignore[union-attr,method-assign]
        if engine == "exact":
            used.exact.score_pixels = no_number  # type: ignore[method-assign]
        with Pipeline(PipelineOptions(1, quick=True)) as pipeline:
            pipeline.start(pair)
            pipeline.use(used)
            rows = [row for each in pipeline.rows() for row in each]
        assert [row.error for row in rows] == errors
        assert [row.exact for row in rows] == ([True, True] if engine == "quick" else [None, None])


def test_a_worker_that_was_ended_stays_so() -> None:
    """A job that has more to decode when the run is left must not begin with it."""
    watchdog = Watchdog()
    worker = DecodeWorker(Extraction(), 60, watchdog)
    try:
        assert len(list(worker.decode(SMALL[0]))) == 2
        worker.kill()
        with pytest.raises(CancelledError):
            list(worker.decode(SMALL[0]))
        assert worker._process is None
    finally:
        worker.close()
        watchdog.close()
