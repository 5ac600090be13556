"""One item in the hands of the jobs, as the event loop waits for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace

from open_nsfw.rows.row import Row
from open_nsfw.scan.job import Task
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pool import Pool
from open_nsfw.scan.results import Handling, ItemResult
from open_nsfw.service.refusals import Refusal, busy, stopping
from open_nsfw.sources.item import Item


class Underway:
    """A task from its start to its rows."""

    def __init__(
        self, pool: Pool, item: Item, options: PipelineOptions, wanted: Handling, patience: float | None
    ) -> None:
        """Hands the item to the jobs. `wanted`: what its request wants of it. `patience`: seconds until a job must have begun
        with it; None: for ever."""
        self._pool, self._options = pool, options
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._so_far: ItemResult | None = None
        self._late: Refusal | None = None
        self.unless_seen = item.unless_seen
        """Of the item: it counts only if so many before it were passed over."""
        self._task = Task(item, replace(wanted, watch=self._note, abandoned=threading.Event()))
        self._task.result.add_done_callback(lambda _: self._wake())
        self._put = time.monotonic()
        self._timer = None if patience is None else self._loop.call_later(patience, self._give_up, patience)
        pool.submit(self._task)

    @property
    def queued_seconds(self) -> float:
        """From its start to its turn."""
        return (self._task.handling.begun or time.monotonic()) - self._put

    @property
    def work_seconds(self) -> float:
        """From its turn until now."""
        return time.monotonic() - (self._task.handling.begun or time.monotonic())

    def abandon(self) -> None:
        """Nobody wants the rows any more."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._task.result.done():
            self._pool.tasks.abandon(self._task)

    async def rows(self) -> AsyncIterator[Row]:
        """The rows of the item, those of frames as soon as they have their scores. Raises Refusal, and what the engine or
        the decoding process raises."""
        given = 0
        try:
            while not self._task.result.done():
                await self._changed.wait()
                self._changed.clear()
                for row in self._frame_rows(given):
                    given += 1
                    yield row
            for row in (await self._all_rows())[given:]:
                yield row
        finally:
            self.abandon()

    def _frame_rows(self, start: int) -> list[Row]:
        if self._so_far is None or self._task.result.done():
            return []
        return self._so_far.frame_rows(start, self._pool.scorer.result(), self._options)

    async def _all_rows(self) -> list[Row]:
        try:
            result = self._task.result.result()
        except CancelledError:
            raise self._late or stopping() from None
        if result.is_settled:
            return self._pool.rows(result, self._options)
        # An engine that takes batches has some of its scores still under way.
        return await self._loop.run_in_executor(None, self._pool.rows, result, self._options)

    def _give_up(self, patience: float) -> None:
        if self._pool.tasks.withdraw(self._task):
            self._late = busy(f"no turn within {patience:g} s (--wait-seconds)")

    def _note(self, result: ItemResult) -> None:
        """In the job's thread: some frames have their scores."""
        self._so_far = result
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self._changed.set)
