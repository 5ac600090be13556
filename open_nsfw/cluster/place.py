"""A cluster as the place where a part of a net is trained: the driver's side.

It holds the files of the trainings as one machine's run does, in the same form, and has the tasks do an epoch at a time. A round
that ends because an executor is lost is done again from the state before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from open_nsfw.cluster.folder import as_pattern
from open_nsfw.cluster.lessons import LOGITS, SHA256, STATE, Lesson, Subject, scores, trains
from open_nsfw.cluster.model_archive import ship
from open_nsfw.cluster.options import ENGINE
from open_nsfw.cluster.results import PIXELS
from open_nsfw.cluster.session import told
from open_nsfw.errors import OutputError, SetupError
from open_nsfw.files import write_whole
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.training import checkpoint
from open_nsfw.training.inputs import Float32, Inputs
from open_nsfw.training.place import Place, Task
from open_nsfw.training.torch_net import TorchNet, Weights
from open_nsfw.training.trainer import Blobs, Course, Pictures, Trainer

ATTEMPTS = 4  # at a round


class ClusterPlace(Place):
    """Tasks of a barrier stage, each with some of the pictures."""

    keeps_pixels = False

    def __init__(self, spark: Any, table: str, name: str, workers: int | None = None) -> None:
        """`table`: where the rows of the labelled pictures are, pixels included. `name`: of the application. `workers`: tasks at
        once; None for one a core."""
        self._spark, self._table, self._name = spark, table, name
        self._count = workers or spark.sparkContext.defaultParallelism

    @contextmanager
    def course(self, task: Task) -> Iterator[Course]:
        """What the driver's trainers train with. Raises SetupError, ModelError."""
        archive, _ = ship(self._spark, task.source, LoadOptions(engine=ENGINE, threads=1), ())
        subject = Subject(archive, task.source.digest, task.what, task.settings, task.seed, task.views)
        workers = Workers(self._spark, self._pictures(), subject, self._name)
        try:
            net = WorkerNet(task.part, "cpu", task.jobs)
            net.workers = workers
            with net:
                inputs = cast(Inputs, WorkerInputs(task.views))
                yield Course(task.part, net, inputs, task.settings, task.seed, task.watch)
        finally:
            workers.close()

    def trainer(
        self, course: Course, learnt: Pictures, held_out: Pictures | None, number: int, path: Path, start: Blobs
    ) -> Trainer:
        """One whose rounds are done by the tasks."""
        return WorkerTrainer(course, learnt, held_out, number, path, start)

    def _pictures(self) -> Any:
        """SHA-256 and pixels of each picture, once, in as many parts as there are tasks."""
        functions = import_module("pyspark.sql.functions")
        found = self._spark.read.parquet(as_pattern(self._table))
        found = found.filter((functions.col("kind") != "frame") & functions.col(PIXELS).isNotNull())
        return found.select(SHA256, PIXELS).dropDuplicates([SHA256]).repartition(self._count, SHA256)


class Workers:
    """The tasks, as the driver calls them."""

    def __init__(self, spark: Any, pictures: Any, subject: Subject, name: str) -> None:
        self._spark, self.subject, self._name = spark, subject, name
        self._pictures = pictures.persist(import_module("pyspark").StorageLevel.DISK_ONLY)

    def train(self, lesson: Lesson) -> bytes:
        """The state after a round. Raises SetupError if that fails again and again."""
        which = "all pictures" if lesson.held_out is None else f"fold {lesson.number}"
        self._say(f"{self.subject.what}, {which}, epoch {lesson.epochs}")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with told():
                    (row,) = self._pictures.mapInArrow(trains(lesson), f"{STATE} binary", barrier=True).collect()
                return bytes(row[STATE])
            except OutputError:  # a task that is about to end still has the files
                if attempt == ATTEMPTS:
                    raise
            except SetupError as error:
                if attempt == ATTEMPTS or not str(error).startswith("Spark: "):
                    raise  # what this package says itself, it would say again
        raise AssertionError

    def logits(self, digests: Sequence[str], blobs: Blobs) -> Float32:
        """float32 (N, 2): of pictures, by these blobs."""
        self._say(f"scores by the new {self.subject.what}")
        job = scores(self.subject, frozenset(digests), blobs)
        with told():
            rows = self._pictures.mapInArrow(job, f"{SHA256} string, {LOGITS} array<float>").collect()
        found = {row[SHA256]: row[LOGITS] for row in rows}
        return np.array([found[sha256] for sha256 in digests], np.float32).reshape(len(digests), 2)

    def close(self) -> None:
        """Let go of the pictures."""
        self._pictures.unpersist()

    def _say(self, what: str) -> None:
        self._spark.sparkContext.setJobDescription(f"{self._name}: {what}")


class WorkerInputs:
    """In place of `Inputs`, where nothing is computed: a batch is the names of its pictures."""

    def __init__(self, views: int) -> None:
        self.views = views

    def prepare(self, wanted: Any, done: Any) -> None:
        """The tasks do that when they need it."""

    def middles(self, digests: Sequence[str]) -> Sequence[str]:
        """The pictures to be scored."""
        return digests


class WorkerNet(TorchNet):
    """A net whose logits are computed by the tasks."""

    workers: Workers

    def logits(self, inputs: Any, weights: Weights | None = None) -> Float32:
        """float32 (N, 2) for the pictures of these names."""
        return self.workers.logits(inputs, self.blobs(weights))


class WorkerTrainer(Trainer):
    """A training whose file is here and whose steps are made by the tasks."""

    def run(self, epochs: int) -> None:
        """Train until so many epochs are finished; the file has the state of each."""
        net = cast(WorkerNet, self._course.net)
        while self.epochs < epochs or len(self._logits) <= self.epochs:
            ends = min(self.epochs + 1, epochs) if self._logits else 0
            lesson = Lesson(
                net.workers.subject,
                self._learnt,
                self._held_out,
                self._number,
                self._start,
                self._path.read_bytes() if self._path.exists() else None,
                ends,
            )
            write_whole(self._path, net.workers.train(lesson))
            found = checkpoint.load(self._path)
            assert found is not None
            self._read(found)
