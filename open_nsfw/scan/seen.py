"""What came of items, without files that were taken for their content alone and have only sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import NO_PICTURES
from open_nsfw.sources.item import Item

Found = TypeVar("Found")


class PassedOver:
    """How many items in a row had only sound and were passed over. Behind those of a folder or an archive stands an item that
    says that there was nothing to see: it counts if all of them were passed over."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def is_due(self, unless_seen: int) -> bool:
        """Whether the next item counts; `unless_seen` is its own, 0 of any that is a file."""
        return self._in_a_row >= unless_seen

    def note(self, is_passed_over: bool) -> None:
        """What became of an item that was due."""
        self._in_a_row = self._in_a_row + 1 if is_passed_over else 0


def with_something_to_see(results: Iterable[tuple[Item, Found, InputError | None]]) -> Iterator[Found]:
    """What came of each item, in their order, given with the item and its first error."""
    passed_over = PassedOver()
    for item, found, error in results:
        if not passed_over.is_due(item.unless_seen):
            continue
        only_sound = item.by_content and error is not None and error.code == NO_PICTURES
        passed_over.note(only_sound)
        if not only_sound:
            yield found
