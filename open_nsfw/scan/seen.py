"""What came of items, without files that were taken for their content alone and have only sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from open_nsfw.errors import InputError
from open_nsfw.pictures.extraction import NO_PICTURES
from open_nsfw.sources.item import Item

Found = TypeVar("Found")


def with_something_to_see(results: Iterable[tuple[Item, Found, InputError | None]]) -> Iterator[Found]:
    """What came of each item, in their order, given with the item and its first error. Passed over is sound; if that is all that
    a folder or an archive has, the item behind it says so."""
    passed_over = 0  # items in a row
    for item, found, error in results:
        if passed_over < item.unless_seen:
            continue
        only_sound = item.by_content and error is not None and error.code == NO_PICTURES
        passed_over = passed_over + 1 if only_sound else 0
        if not only_sound:
            yield found
