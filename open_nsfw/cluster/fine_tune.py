"""Fine-tuning on a cluster: features by the executors, the fit of the head on the driver, layers below it by tasks that train
together. Everything else is one machine's run, which finds its features computed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from open_nsfw.cluster import labelled
from open_nsfw.cluster.place import ClusterPlace
from open_nsfw.cluster.session import SessionOptions, session
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.training import output
from open_nsfw.training.features import EXTRACTED, FOLDER
from open_nsfw.training.fine_tune import check_request, fine_tune, read_pictures
from open_nsfw.training.head import find_head
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.result import NOT_BETTER, Tuning


@dataclass(frozen=True)
class ClusterTuning:
    """A fine-tuning on a cluster."""

    tune: TuneRequest
    session: SessionOptions = SessionOptions()
    table: str | None = None
    """Where executors write what they compute of the labelled pictures: a folder that all machines reach, in any file system
    that Spark knows; None: in the folder of the result."""
    workers: int | None = None
    """Tasks that train together; None: one a core."""


def tune_on_cluster(request: ClusterTuning) -> Tuning | int:
    """What `training.fine_tune.fine_tune` gives, computed on a cluster. Raises UsageError, ModelError, OutputError, and
    SetupError."""
    tune, started = request.tune, time.monotonic()
    labels = read_pictures(tune)
    source = find_model_files(tune.model_def, tune.pretrained_model)
    head = find_head(source)
    check_request(source, tune)
    output.prepare(tune)
    if tune.overwrite:  # that was checked: what is made anew is not in its own way
        for suffix in ("", NOT_BETTER):
            with suppress(FileNotFoundError):
                Path(tune.folder, output.POLICY.format(suffix)).unlink()
    table = request.table or str(Path(tune.folder, FOLDER, EXTRACTED).resolve())
    with session(request.session) as spark:
        labelled.compute(spark, labels, source, head, tune, table, request.session.name)
        if tune.overwrite:
            output.remove_trainings(Path(tune.folder, FOLDER))
        place = ClusterPlace(spark, table, request.session.name, request.workers)
        return fine_tune(replace(tune, resume=True, overwrite=False), place, started)
