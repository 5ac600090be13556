"""What is wanted of the sources, and what of them was left out: shared by the walk and the readers of archives."""

from __future__ import annotations

import os
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

    def leaves_out(self, folder: os.stat_result) -> bool:
        """Whether a folder is the one to be left out, by whatever name; it may have been made since the run began."""
        if self.options.left_out is None:
            return False
        try:
            return os.path.samestat(os.stat(self.options.left_out), folder)
        except OSError:
            return False

    def leaves_out_match(self, path: str, base: str) -> bool:
        """Whether a path that a pattern found, looking into the folder `base`, is in the folder to be left out."""
        if self.options.left_out is None:
            return False
        left_out = os.path.realpath(self.options.left_out)
        return _is_below(path, left_out) and not _is_below(base or os.curdir, left_out)

    def pass_over(self) -> None:
        """Count a file or member that is no picture."""
        self.passed_over += 1


def _is_below(path: str, folder: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), folder]) == folder
