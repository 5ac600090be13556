"""What is wanted of the sources, and what of them was left out: shared by the walk and the readers of archives."""

from __future__ import annotations

from typing import Callable

from open_nsfw.sources.item import SourceOptions

Skip = Callable[[str, "str | None"], bool]
"""Called with a path and the name of a member, or None; whether that picture need not come again."""


class Selection:
    """Decides about each picture that was found, and counts those that do not become Items.

    Each picture is asked about once, in the order of the sources, when it is certain that it would have a row: so
    `skip` may count how often it is asked about the same names.
    """

    def __init__(self, options: SourceOptions, skip: Skip | None = None) -> None:
        self.options = options
        self._skip = skip
        self.skipped = 0
        """Pictures that need not come again."""
        self.passed_over = 0
        """Files in folders and members of archives that were no pictures and get no row."""

    def wants(self, path: str, member: str | None = None) -> bool:
        """Whether a picture is to become an Item."""
        if self._skip is None or not self._skip(path, member):
            return True
        self.skipped += 1
        return False

    def pass_over(self) -> None:
        """Count a file or member that is no picture."""
        self.passed_over += 1
