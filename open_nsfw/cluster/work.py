"""What an executor does: the entries of a partition through the one pipeline, and their rows as Arrow batches.

A Python worker of Spark keeps the models from task to task. The processes that decode belong to one task and end with it,
however it ends.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from itertools import chain
from typing import Any

from open_nsfw.cluster import entries
from open_nsfw.cluster.model_archive import unpacked_models
from open_nsfw.cluster.options import Work
from open_nsfw.cluster.results import Results
from open_nsfw.cores import available_cores
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item

GPU = "gpu"  # the name of the resource in Spark's configuration: spark.task.resource.gpu.amount

_loaded: dict[tuple[Any, ...], Models] = {}  # of this Python worker


def mapper(work: Work) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """The function that `DataFrame.mapInArrow` wants."""

    def open_nsfw_task(batches: Iterator[Any]) -> Iterator[Any]:
        return scored(work, batches)

    return open_nsfw_task


def measurer(folder: str) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """The function for `mapInArrow` that gives entries of paths the size and the time of change that the files have now."""

    def open_nsfw_look(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            yield _measured(batch, folder)

    return open_nsfw_look


def _measured(batch: Any, folder: str) -> Any:
    arrow = import_module("pyarrow")
    at = batch.schema.get_field_index(entries.ENTRY)
    found = [_look(entry, folder) for entry in batch.column(at).to_pylist()]
    kind = batch.schema.field(at).type
    columns = [arrow.array(found, kind) if index == at else batch.column(index) for index in range(batch.num_columns)]
    return arrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _look(entry: dict[str, Any], folder: str) -> dict[str, Any]:
    if entry["kind"] != entries.NAMED:
        return entry
    try:
        status = os.stat(entries.location(entry["path"], folder))
    except (OSError, ValueError):
        return entry
    return {**entry, "size": status.st_size, "modified": status.st_mtime}


def scored(work: Work, batches: Iterator[Any]) -> Iterator[Any]:
    """The rows of a partition, in its order, as pyarrow.RecordBatch with the columns that pass through before them."""
    first = next(batches, None)
    if first is None:
        return  # an empty partition needs no model
    feed = Feed(work, chain([first], batches))
    shared = work.pipeline.extraction.shared_by(work.slots or available_cores())
    options = replace(work.pipeline, jobs=task_processors(), extraction=shared)
    results = Results(work, first.schema)
    with Pipeline(options) as pipeline:
        pipeline.start(feed)
        pipeline.use(models(work))
        for rows in pipeline.rows():
            yield from results.add(feed.origins.popleft(), rows)
    yield from results.rest()


class Feed:
    """The Items of a partition, read ahead by the pipeline's own thread; `origins` has the row of each."""

    def __init__(self, work: Work, batches: Iterator[Any]) -> None:
        self.origins: deque[tuple[Any, int]] = deque()
        """(the batch without its entries, the number of the row in it) of each Item that was given, in order."""
        self._work, self._batches = work, batches

    def __iter__(self) -> Iterator[Item]:
        for batch in self._batches:
            column = batch.column(batch.schema.get_field_index(entries.ENTRY))
            others = _copied(batch.drop_columns([entries.ENTRY]))
            for index in range(len(batch)):
                for item in entries.items(column[index].as_py(), self._work):
                    self.origins.append((others, index))  # first: its rows may be there at once
                    yield item


def _copied(batch: Any) -> Any:
    """The batch in memory of its own: what came from Spark is one piece, with the pictures in it."""
    arrow = import_module("pyarrow")
    return batch.take(arrow.array(range(len(batch)), arrow.int32())) if batch.num_columns else batch


def models(work: Work) -> Models:
    """Those of the work, loaded once in this process."""
    gpu = task_gpu()
    key = work.archive, gpu, work.load.thresholds, work.with_pixels
    if key not in _loaded:
        _loaded.clear()  # a notebook that tries several must not hold them all
        _loaded[key] = unpacked_models(work, gpu)
    return _loaded[key]


def task_gpu() -> int | None:
    """The number of the device that Spark gave this task, where spark.task.resource.gpu.amount asks for one."""
    context = import_module("pyspark").TaskContext.get()
    resources = {} if context is None else context.resources()
    return int(resources[GPU].addresses[0]) if GPU in resources else None


def task_processors() -> int:
    """spark.task.cpus, 1 unless somebody set it."""
    context = import_module("pyspark").TaskContext.get()
    return 1 if context is None else max(1, context.cpus())
