"""Files of one content are scored once: in a run by whichever comes first, and over many runs by the cache of scores."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Optional

from open_nsfw.pictures.messages import FileInfo
from open_nsfw.scan.content import Content, content_of
from open_nsfw.scan.facts import Facts
from open_nsfw.scan.facts_json import from_bytes, to_bytes
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.results import ItemResult
from open_nsfw.scan.score_cache import ScoreCache
from open_nsfw.scan.score_context import context
from open_nsfw.scoring.scorer import Models, Scorer
from open_nsfw.sources.item import Item

Shared = Future[Optional[ItemResult]]
"""The result of the first file of a content; None where the others cannot have it too."""


@dataclass(frozen=True)
class LookUp:
    """One item, and what is known of its content."""

    item: Item
    result: ItemResult
    """Filled already, if `is_known`."""
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
        self._under_way: dict[bytes, Shared] = {}
        """By SHA-256: from the first file of a content up to when the cache has it."""
        self._context: tuple[Models, bytes] | None = None

    def look_up(self, item: Item, result: ItemResult) -> LookUp:
        """What is known of an item's content. What is first of its content must be published."""
        content = content_of(item, self._options.extraction.limits)
        if content is None:
            return LookUp(item, result)
        with self._lock:
            shared = self._under_way.get(content.sha256)
            if shared is not None:
                return LookUp(content.item, result, content=content, shared=shared)
            shared = self._under_way[content.sha256] = Future()
        try:
            facts = self._facts(content)
        except BaseException:
            self._forget(content, shared)
            raise
        if facts is None:
            return LookUp(content.item, result, content=content, shared=shared, is_first=True)
        result.recall(facts, self._info(content, facts))
        self._cache.note_found()
        shared.set_result(result)
        self._remove(content)
        return LookUp(item, result, is_known=True)

    def publish(self, found: LookUp) -> None:
        """Let others have the result of a file that was the first of its content, if it holds for them too."""
        if not found.is_first or found.content is None or found.shared is None or found.shared.done():
            return
        if found.result.is_lasting and found.content.is_unchanged:
            found.result.content = found.content
            found.shared.set_result(found.result)
        else:
            self._forget(found.content, found.shared)

    def take_over(self, found: LookUp) -> bool:
        """Wait for the result of the first file of this content, and take it; False where that cannot be."""
        first = None if found.shared is None or found.content is None else found.shared.result()
        if first is None or found.content is None:
            return False
        found.result.take_over(first, self._info(found.content))
        self._cache.note_found()
        return True

    def keep(self, result: ItemResult) -> None:
        """Put what was found into the cache. Its scores are there."""
        content = result.content
        if content is None:
            return
        facts = result.facts()
        try:
            if facts.are_lasting:
                self._cache.put(content.sha256, self._key(), to_bytes(facts))
        except ValueError:
            pass  # a number that is none: such a row is written, and not kept
        self._remove(content)

    def _facts(self, content: Content) -> Facts | None:
        # As long as there is no model, what no run has ever scored is decoded without waiting for it.
        if not self._scorer.done() and not self._cache.knows(content.sha256):
            return None
        data = self._cache.get(content.sha256, self._key())
        try:
            return None if data is None else from_bytes(data)
        except ValueError:  # of another state of this version, which only a developer has
            return None

    def _key(self) -> bytes:
        """That of the models as they are now: thresholds may change while a service runs."""
        models = self._scorer.result().models
        if self._context is None or self._context[0] is not models:
            self._context = models, context(models, self._options)
        return self._context[1]

    def _info(self, content: Content, facts: Facts | None = None) -> FileInfo | None:
        """What a decoding process would have said of the file."""
        if facts is not None and not facts.was_opened:
            return None
        return FileInfo(0, content.size, content.sha256.hex() if self._options.extraction.hash else None)

    def _forget(self, content: Content, shared: Shared) -> None:
        self._remove(content)
        shared.set_result(None)

    def _remove(self, content: Content) -> None:
        with self._lock:
            self._under_way.pop(content.sha256, None)
