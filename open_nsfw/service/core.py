"""The core of the service: encoded items in, rows and decisions out, through the jobs of `scan`.

It knows nothing of HTTP: routes, and doors of other kinds, give it items and take answers. It lives in the thread of one
event loop; the jobs are threads with decoding processes of their own, as in the command.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from open_nsfw.calibration.distribution import distribution_in
from open_nsfw.calibration.policy import Policy
from open_nsfw.cores import default_jobs
from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.rows.row import Row
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pool import Pool
from open_nsfw.scan.results import Handling
from open_nsfw.scan.score_cache import open_score_cache
from open_nsfw.scan.seen import PassedOver
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.load import load_models, with_thresholds
from open_nsfw.scoring.model_files import find_model_files, known_side
from open_nsfw.service.archives import members
from open_nsfw.service.decisions import Decision, ItemDecisions, Judge
from open_nsfw.service.metrics import Metrics
from open_nsfw.service.options import CoreOptions
from open_nsfw.service.refusals import busy
from open_nsfw.service.underway import Underway
from open_nsfw.sources.item import Item

MOST_ARCHIVES = 8  # unpacked at one time: some members of each are held, of up to --max-bytes
AHEAD = 1  # items of one request that wait beside those that the jobs may be at: none of the others' turns


class Answer(NamedTuple):
    """One row, and what is to be done about it."""

    upload: int
    """The number of the item that it is about, from 0, in the order of the request."""
    row: Row
    decision: Decision


class Core:
    """Scores items. Use as a context manager, inside the event loop: threads and processes end with it."""

    def __init__(self, options: CoreOptions, wait_seconds: float = 30.0) -> None:
        """`wait_seconds`: for the first item of a request to have its turn. Loads the model. Raises SetupError, and
        UsageError for a policy that cannot be used."""
        self._options, self._wait_seconds = options, wait_seconds
        files = find_model_files(options.load.model_def, options.load.pretrained_model)
        self.model = files.short_hash
        """A short hash of prototxt and weights, as rows have it."""
        self.judge = self._read_judge()
        """What requests that begin now are answered by."""
        self.metrics = Metrics(self.judge, self.model)
        load = replace(options.load, threads=1, thresholds=self.judge.thresholds)
        self._models = load_models(load, files)
        self.jobs = options.jobs or default_jobs()
        """Pictures decoded and scored at a time."""
        self._cache = None if options.cache is None else open_score_cache(options.cache)
        self._pipeline_options = PipelineOptions(
            self.jobs,
            options.extraction,
            options.max_seconds,
            quick=options.load.fast,
            quick_side=known_side(options.load.model_def),
            cache=self._cache,
        )
        self._pool = Pool(self._pipeline_options)
        self.metrics.gauge("open_nsfw_waiting_files", "Files that wait for their turn.", lambda: self.waiting)
        # Archives are unpacked in as many threads as there are jobs; that also bounds what their members hold.
        self._unpackers = ThreadPoolExecutor(self.jobs, "unpacker")
        self._is_closed = False
        self.last_score = float("-inf")
        """When a picture last got its score, by `time.monotonic()`."""

    async def __aenter__(self) -> Core:
        self._preparing = asyncio.Lock()
        self.probing = asyncio.Lock()
        """For whoever has a picture of our own scored: one is enough for all who ask at the same time."""
        self._archives = asyncio.Semaphore(MOST_ARCHIVES)
        self._pool.use(self._models)
        self._pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End what is under way, whose rows are Refusals (503) then. May be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._unpackers.shutdown(wait=False)
            await asyncio.get_running_loop().run_in_executor(None, self._pool.close)
            if self._cache is not None:
                self._cache.close()

    @property
    def waiting(self) -> int:
        """Items that no job has begun with."""
        return len(self._pool.tasks)

    def frame_choice(
        self, frames: str | None = None, every_seconds: float | None = None, scenes: bool | None = None
    ) -> FrameChoice:
        """Which frames one request wants, where it says so; otherwise those of the service's options. Raises UsageError."""
        default = self._options.extraction.frames
        scenes = default.scenes if scenes is None else scenes
        if every_seconds is None and scenes == default.scenes:
            every_seconds = default.every_seconds
        choice = FrameChoice.parse("first" if frames is None else frames, every_seconds, default.max_frames, scenes)
        return choice if frames is not None else replace(choice, mode=default.mode, count=default.count)

    async def answers(
        self, items: Iterable[Item], choice: FrameChoice | None = None, explain: bool = False, is_probe: bool = False
    ) -> AsyncGenerator[Answer, None]:
        """Each row of each item, in order, as it comes; an archive gives the rows of its members. Takes the items over and
        closes them, whatever happens. `explain`: with bias and cells of each score; only behind `prepare_explaining`.
        `is_probe`: the metrics do not have them, and no score that is kept is taken for one of now.

        Raises Refusal (503) if the first item has no turn in time or the core is closed meanwhile, and what the engine or
        the decoding process raises (SetupError). Whoever does not go on to the end calls `aclose`.
        """
        judge, passed_over = self.judge, PassedOver()
        wanted = Handling(explain=explain, anew=is_probe)
        begun = self._begun(deque(items), self._options_for(judge, choice), wanted)
        try:
            async for number, underway in begun:
                decisions, is_due, has_rows = ItemDecisions(judge), passed_over.is_due(underway.unless_seen), False
                async for row in underway.rows():
                    if is_due:
                        has_rows = True
                        yield self._answer(Answer(number, row, decisions.of(row)), not is_probe)
                if not is_probe:
                    self._note_times(underway)
                if is_due:
                    passed_over.note(not has_rows)
        finally:
            await begun.aclose()

    def _answer(self, answer: Answer, is_counted: bool) -> Answer:
        if answer.row.score is not None:
            self.last_score = time.monotonic()
        if is_counted:
            self.metrics.add_row(answer.row, answer.decision)
        return answer

    def _note_times(self, underway: Underway) -> None:
        self.metrics.add_seconds("queue", underway.queued_seconds)
        self.metrics.add_seconds("work", underway.work_seconds)

    async def _begun(
        self, items: deque[Item], options: PipelineOptions, handling: Handling
    ) -> AsyncGenerator[tuple[int, Underway], None]:
        """Each item, in order, in the hands of the jobs, with some of those behind it."""
        running: deque[tuple[int, Underway]] = deque()
        frames = options.extraction.frames
        wanted = replace(handling, frames=None if frames == self._options.extraction.frames else frames)
        patience: float | None = self._wait_seconds
        unpacked = self._unpacked(items)
        try:
            async for number, item in unpacked:
                running.append((number, Underway(self._pool, item, options, wanted, patience)))
                patience = None
                if len(running) > self.jobs + AHEAD:
                    yield running.popleft()
            while running:
                yield running.popleft()
        finally:
            await unpacked.aclose()
            for _, each in running:
                each.abandon()
            for item in items:
                item.close()

    async def _unpacked(self, items: deque[Item]) -> AsyncGenerator[tuple[int, Item], None]:
        """Each item with its number; in the place of an archive, its members."""
        loop = asyncio.get_running_loop()
        number = 0
        while items:
            item = items.popleft()
            found = members(item, self._options.sources)
            if found is None:
                yield number, item
            else:
                async with self._unpacking():
                    while (member := await loop.run_in_executor(self._unpackers, next, found, None)) is not None:
                        yield number, member
            number += 1

    @asynccontextmanager
    async def _unpacking(self) -> AsyncIterator[None]:
        """One of the archives that may be unpacked at one time. Raises Refusal (503) if none has ended in time."""
        try:
            await asyncio.wait_for(self._archives.acquire(), self._wait_seconds)
        except asyncio.TimeoutError:
            raise busy(f"no turn for an archive within {self._wait_seconds:g} s (--wait-seconds)") from None
        try:
            yield
        finally:
            self._archives.release()

    def _options_for(self, judge: Judge, choice: FrameChoice | None) -> PipelineOptions:
        extraction = self._pipeline_options.extraction
        if choice is not None:
            extraction = replace(extraction, frames=choice)
        verdict = None if judge.policy is None else judge.policy.verdict
        return replace(self._pipeline_options, extraction=extraction, above=judge.thresholds[-1], verdict=verdict)

    async def prepare_explaining(self) -> None:
        """Load what explains scores, if it is not there yet. Raises SetupError where this model's scores cannot be explained."""
        async with self._preparing:
            if self._models.explainer is None:
                loop = asyncio.get_running_loop()
                explainer = await loop.run_in_executor(None, _explainer, self._models.exact)
                self._models = replace(self._models, explainer=explainer)
                self._pool.scorer.result().use(self._models)

    def read_policy(self) -> bool:
        """Read the policy's file anew, for requests that begin from now on; False where there is none. Raises UsageError, and
        leaves the policy as it is, for a bad one."""
        if self._options.policy is None:
            return False
        judge = self._read_judge()
        self.metrics.use(judge)
        # Requests that have begun are still decided by the thresholds of before: both are heeded until the next time.
        both = sorted({*self.judge.thresholds, *judge.thresholds})
        self._models = with_thresholds(self._models, both)
        if self._pool.scorer.done():
            self._pool.scorer.result().use(self._models)
        self.judge = judge
        return True

    def _read_judge(self) -> Judge:
        """Raises UsageError."""
        if self._options.policy is None:
            return Judge()
        policy = Policy.read(self._options.policy)
        if not self._options.any_model:
            policy.check_model(self.model)
        if policy.scores:
            distribution_in(policy)  # the metrics go by its edges
        return Judge(policy)


def _explainer(exact: Classifier) -> Classifier:
    from open_nsfw.scoring.explanation import Explainer  # few services explain

    return Explainer(exact)
