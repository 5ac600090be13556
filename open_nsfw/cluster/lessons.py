"""What the tasks of a barrier stage do to train a part of a net: read their pictures, go on from a state, train, and give the
state back. Each keeps what it has computed of its pictures, for the next round, in the folder that Spark removes with the
application.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from open_nsfw.cluster.group import alike, process_group, summed
from open_nsfw.cluster.model_archive import unpacked_files
from open_nsfw.cluster.results import PIXELS
from open_nsfw.cluster.shards import ShardInputs, ShardNet
from open_nsfw.cluster.work import task_gpu, task_processors
from open_nsfw.errors import SetupError
from open_nsfw.nets.read import read_net
from open_nsfw.nets.training import SolverSettings
from open_nsfw.training import checkpoint
from open_nsfw.training.feature_file import FeatureFile
from open_nsfw.training.features import PIXELS_KIND
from open_nsfw.training.stages import find_part
from open_nsfw.training.torch_net import TorchNet, load_torch
from open_nsfw.training.trainer import EVALUATED, Blobs, Course, Pictures, Trainer
from open_nsfw.training.views import ENDLESS, MIDDLE

SHA256, STATE, LOGITS = "sha256", "state", "logits"  # columns


@dataclass(frozen=True)
class Subject:
    """What is trained, and with what."""

    archive: str
    """The name under which Spark has unpacked the model's files."""
    digest: str
    """Of these files (`ModelFiles.digest`)."""
    what: str
    """The part, one of `stages.DEEP`."""
    settings: SolverSettings
    seed: int
    views: int
    """Of each picture, `ENDLESS` where none is kept."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """One round of a training."""

    subject: Subject
    learnt: Pictures
    held_out: Pictures | None
    number: int
    """Tells this training's draws from another's."""
    start: Blobs
    state: bytes | None
    """The content of the training's file; None: it begins."""
    epochs: int
    """The round ends when so many are finished."""


def trains(lesson: Lesson) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """The function for `mapInArrow(..., barrier=True)`: the first task gives the new state."""

    def open_nsfw_train(batches: Iterator[Any]) -> Iterator[Any]:
        with process_group() as rank, _school(lesson.subject, batches, rank, ShardNet) as school:
            state = _round(lesson, school)
        if rank == 0:
            yield _batch({STATE: [state]})

    return open_nsfw_train


def _round(lesson: Lesson, school: _School) -> bytes:
    """Train; the new content of the training's file, which is the same in every task."""
    path, inputs = school.folder / "state.npz", school.inputs
    path.unlink(missing_ok=True)
    if lesson.state is not None:
        path.write_bytes(lesson.state)
    held = [] if lesson.held_out is None else [(sha256, MIDDLE) for sha256 in lesson.held_out.digests]
    kept = range(0 if inputs.views == ENDLESS else inputs.views)
    wanted = held + [(sha256, number) for sha256 in lesson.learnt.digests for number in kept]
    _check_whole({*lesson.learnt.digests, *(sha256 for sha256, _ in held)}, inputs.owned)
    inputs.prepare([pair for pair in wanted if pair[0] in inputs.owned], lambda: None)
    trainer = Trainer(school.course, lesson.learnt, lesson.held_out, lesson.number, path, lesson.start)
    trainer.run(lesson.epochs)
    _check_alike(path)
    return path.read_bytes()


def _check_whole(needed: set[str], owned: frozenset[str]) -> None:
    """Raises SetupError if a picture is in no task, whose gradient would be missing without a word."""
    torch = load_torch()
    missing = len(needed) - int(summed(torch, torch.tensor([len(needed & owned)]))[0])
    if missing:
        raise SetupError(
            f"{missing:,} of the pictures to learn from or to measure on are in no task; the table of the extracted pictures is "
            "not that of these labels: begin anew with --overwrite"
        )


def _check_alike(path: Path) -> None:
    """Raises SetupError if the tasks have come to different weights: then nothing that follows is worth anything."""
    digest = hashlib.sha256()
    for name, values in sorted((checkpoint.load(path) or {}).items()):
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    if not alike(load_torch(), digest.hexdigest()):
        raise SetupError("the tasks of the training have come to different weights; please report this")


def scores(subject: Subject, digests: frozenset[str], blobs: Blobs) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """The function for `mapInArrow` that gives the two logits of pictures by these blobs."""

    def open_nsfw_logits(batches: Iterator[Any]) -> Iterator[Any]:
        rank = import_module("pyspark").TaskContext.get().partitionId()
        with _school(subject, batches, rank, TorchNet) as school:
            net, inputs = school.course.net, school.inputs
            net.set_blobs(blobs)
            own = sorted(digests & inputs.owned)
            inputs.prepare([(sha256, MIDDLE) for sha256 in own], lambda: None)
            for start in range(0, len(own), EVALUATED):
                some = own[start : start + EVALUATED]
                yield _batch({SHA256: some, LOGITS: net.logits(inputs.middles(some).values).tolist()})

    return open_nsfw_logits


@dataclass(frozen=True, eq=False)
class _School:
    """What a task trains with."""

    course: Course
    inputs: ShardInputs
    folder: Path
    """Which this task has for itself, as long as the application lasts."""


@contextmanager
def _school(subject: Subject, batches: Iterator[Any], rank: int, net_of: type[TorchNet]) -> Iterator[_School]:
    """With the pictures of the task whose number is `rank`."""
    folder = Path(import_module("pyspark").SparkFiles.getRootDirectory(), f"training-{subject.digest[:12]}-{rank}")
    folder.mkdir(exist_ok=True)
    source = unpacked_files(subject.archive, subject.digest)
    net = read_net(source.model_def, source.pretrained_model)
    part, gpu, jobs = find_part(net, subject.what), task_gpu(), task_processors()
    device = "cpu" if gpu is None else f"cuda:{gpu}"
    path = str(folder / f"{subject.what}.f32")
    with FeatureFile(str(folder / "pixels.u8"), PIXELS_KIND) as pixels:
        owned = frozenset(_keep(batches, pixels))
        with (
            ShardInputs(source, net, part, pixels, subject.seed, jobs, path, subject.views) as inputs,
            net_of(part, device, jobs) as shared,
        ):
            assert isinstance(inputs, ShardInputs)
            inputs.owned = owned
            yield _School(Course(part, shared, inputs, subject.settings, subject.seed, lambda: None), inputs, folder)


def _keep(batches: Iterator[Any], pixels: FeatureFile) -> Iterator[str]:
    """Put the pixels of all pictures into the file; their SHA-256."""
    for batch in batches:
        for sha256, content in zip(batch.column(SHA256), batch.column(PIXELS)):
            name = sha256.as_py()
            if name not in pixels:
                pixels.add(name, np.frombuffer(content.as_py(), np.uint8))
            yield name


def _batch(columns: dict[str, Any]) -> Any:
    arrow = import_module("pyarrow")
    kinds = {STATE: arrow.binary(), SHA256: arrow.string(), LOGITS: arrow.list_(arrow.float32())}
    arrays = [arrow.array(values, kinds[name]) for name, values in columns.items()]
    return arrow.RecordBatch.from_arrays(arrays, names=list(columns))
