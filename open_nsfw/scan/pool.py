"""Jobs that wait for tasks: each is a thread with a decoding process of its own, which computes the forward pass itself
where the engine allows that.

With one job a core, every core is either decoding or computing, and neither waits for the other. An engine that takes one
caller, or batches, gets a thread of its own that all jobs feed; they do not wait for its scores.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.rows.row import Row
from open_nsfw.scan.job import Job, Task, TaskQueue
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.results import ItemResult
from open_nsfw.scoring.scorer import Models, Scorer

if TYPE_CHECKING:
    from open_nsfw.scan.recall import Recall


class Pool:
    """The jobs. Use as a context manager: their threads and processes end with it."""

    def __init__(self, options: PipelineOptions) -> None:
        self.scorer: Future[Scorer] = Future()
        """What computes the scores, when it is there; cancelled if it never comes."""
        self.tasks = TaskQueue()
        """What the jobs take. Each task's result comes when it is decoded and its scores are known or under way."""
        self._watchdog = Watchdog()
        extraction = options.extraction.shared_by(options.jobs)
        self._workers = [DecodeWorker(extraction, options.max_seconds, self._watchdog) for _ in range(options.jobs)]
        recall = self._made_recall(options)
        self._jobs = [
            threading.Thread(target=Job(worker, self.tasks, self.scorer, options, recall).run, daemon=True)
            for worker in self._workers
        ]

    def _made_recall(self, options: PipelineOptions) -> Recall | None:
        if options.cache is None:
            return None
        from open_nsfw.scan.recall import Recall  # loads SQLite, which few runs need

        return Recall(options.cache, self.scorer, options)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def use(self, models: Models) -> None:
        """Hand over what computes the scores. Files are decoded before it is there."""
        self.scorer.set_result(Scorer(models))

    def start(self) -> None:
        """Begin to take tasks."""
        for job in self._jobs:
            job.start()

    def submit(self, task: Task) -> None:
        """Have a task done when its turn comes."""
        self.tasks.put(task)

    def rows(self, result: ItemResult, options: PipelineOptions) -> list[Row]:
        """The rows of an item, for whose scores this waits. An exception of the engine comes out here."""
        return result.rows(self.scorer.result(), options)

    def close(self) -> None:
        """End what is under way, cancel what waits, and join the threads."""
        self.tasks.stop()
        self.tasks.close()
        self.scorer.cancel()  # if no model came, jobs that wait for it must not
        for worker in self._workers:
            worker.kill()  # ends what a job may still wait for
        for job in self._jobs:
            if job.ident is not None:
                job.join()
        for worker in self._workers:
            worker.close()
        if not self.scorer.cancelled():
            self.scorer.result().close()
        self._watchdog.close()
