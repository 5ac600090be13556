"""Files of one content are scored once: in a run by whichever comes first, and over many runs by the cache of scores."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Optional

from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.scan.content import Content, content_of
from open_nsfw.scan.facts import Facts
from open_nsfw.scan.facts_json import from_bytes, to_bytes
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.results import ItemResult
from open_nsfw.scan.score_cache import ScoreCache
from open_nsfw.scan.score_context import ScoreContext
from open_nsfw.scoring.scorer import Models, Scorer
from open_nsfw.sources.item import Item

Key = tuple[bytes, Optional[FrameChoice], int]
"""A content's SHA-256; which frames are wanted of it, if not those of the run's options; and how often the models were
exchanged before, as a service does when its thresholds change."""
Shared = Future[Optional[ItemResult]]
"""The result of the first file of a content; None where the others cannot have it too."""


@dataclass(frozen=True)
class LookUp:
    """One item, and what is known of its content."""

    item: Item
    result: ItemResult
    """Filled already, if `is_known`."""
    key: Key | None = None
    is_known: bool = False
    content: Content | None = None
    shared: Shared | None = None
    """With `is_first`, what others wait for. Otherwise what this item waits for."""
    is_first: bool = False

    @property
    def is_work(self) -> bool:
        """Whether it is to be decoded and scored now."""
        return not self.is_known and (self.shared is None or self.is_first)


class Recall:
    """What a run knows of contents: those in the cache, and those under way."""

    def __init__(self, cache: ScoreCache, scorer: Future[Scorer], options: PipelineOptions) -> None:
        self._cache, self._scorer, self._options = cache, scorer, options
        self._lock = threading.Lock()
        self._under_way: dict[Key, Shared] = {}
        """From the first file of a content up to when the cache has it."""
        self._models: Models | None = None
        self._context: ScoreContext | None = None
        """Of these models."""
        self._exchanges = 0

    def look_up(self, item: Item, result: ItemResult) -> LookUp:
        """What is known of an item's content. What is first of its content must be published."""
        content = content_of(item, self._options.extraction.limits)
        if content is None:
            return LookUp(item, result)
        with self._lock:
            key = content.sha256, result.handling.frames, self._exchanges_so_far()
            shared = self._under_way.get(key)
            if shared is not None:
                return LookUp(content.item, result, key, content=content, shared=shared)
            shared = self._under_way[key] = Future()
        try:
            facts = self._facts(key)
        except BaseException:
            self._forget(key, shared)
            raise
        if facts is None:
            return LookUp(content.item, result, key, content=content, shared=shared, is_first=True)
        result.recall(facts, self._info(content, facts))
        self._cache.note_found()
        shared.set_result(result)
        self._remove(key)
        return LookUp(item, result, is_known=True)

    def publish(self, found: LookUp) -> None:
        """Let others have the result of a file that was the first of its content, if it holds for them too; and put it into
        the cache when its scores are there."""
        key = found.key
        if key is None or not found.is_first or found.content is None or found.shared is None or found.shared.done():
            return
        with self._lock:
            is_of_these_models = key[-1] == self._exchanges_so_far()
        if not found.result.is_lasting or not found.content.is_unchanged or not is_of_these_models:
            self._forget(key, found.shared)
            return
        found.shared.set_result(found.result)
        found.result.when_settled(lambda: self._keep(key, found.result))

    def take_over(self, found: LookUp) -> bool:
        """Wait for the result of the first file of this content, and take it; False where that cannot be."""
        first = None if found.shared is None or found.content is None else found.shared.result()
        if first is None or found.content is None:
            return False
        found.result.take_over(first, self._info(found.content))
        self._cache.note_found()
        return True

    def _keep(self, key: Key, result: ItemResult) -> None:
        """Put what was found into the cache."""
        try:
            facts = result.facts()
            if facts.are_lasting:
                self._cache.put(key[0], self._digest(key), to_bytes(facts))
        except Exception:  # noqa: BLE001  the engine's comes out where the rows are wanted; a number that is none is not kept
            pass
        finally:
            self._remove(key)

    def _facts(self, key: Key) -> Facts | None:
        # As long as there is no model, what no run has ever scored is decoded without waiting for it.
        if not self._scorer.done() and not self._cache.knows(key[0]):
            return None
        try:
            data = self._cache.get(key[0], self._digest(key))
            return None if data is None else from_bytes(data)
        except ValueError:  # other models since, or an entry of another state of this version
            return None

    def _digest(self, key: Key) -> bytes:
        self._scorer.result()
        with self._lock:
            if self._exchanges_so_far() != key[-1] or self._context is None:
                raise ValueError("the models were exchanged meanwhile")
            return self._context.digest(key[1])

    def _exchanges_so_far(self) -> int:
        """How often there were other models; looks whether there are now."""
        if self._scorer.done() and not self._scorer.cancelled():
            models = self._scorer.result().models
            if models is not self._models:
                self._exchanges += self._models is not None
                self._models, self._context = models, ScoreContext(models, self._options)
        return self._exchanges

    def _info(self, content: Content, facts: Facts | None = None) -> FileInfo | None:
        """What a decoding process would have said of the file."""
        if facts is not None and not facts.was_opened:
            return None
        digest = content.sha256.hex() if self._options.extraction.hash else None
        return FileInfo(0, content.size, digest, None if facts is None else facts.format)

    def _forget(self, key: Key, shared: Shared) -> None:
        self._remove(key)
        shared.set_result(None)

    def _remove(self, key: Key) -> None:
        with self._lock:
            self._under_way.pop(key, None)
