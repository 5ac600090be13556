"""`Facts`: what the content of a file alone determines of its rows.

Names, times, verdicts and counts by a threshold are not among it: each run gives a row its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from open_nsfw.errors import InputError
from open_nsfw.rows.row import Row

# Errors that say something of the content itself. The others may be gone at the next run: a slow or full machine, a library
# or a decoder that is missing, a crash.
LASTING_ERRORS = frozenset(
    ("damaged-in-part", "no-pictures", "not-a-picture", "too-many-frames", "too-many-pixels", "truncated")
    + ("undecodable", "unsupported")
)
OF_THE_ITEM = frozenset(("path", "member", "bytes", "modified", "sha256"))  # columns that do not come from the content


@dataclass(frozen=True)
class Facts:
    """What is known of a file by its content."""

    rows: tuple[Row, ...]
    """Of its pictures, in order, with their scores or errors; without names, and without what a run adds to all rows."""
    error: InputError | None
    """What ended the file."""
    was_opened: bool
    """Whether the decoding process could say anything about the file as a whole."""
    format: str | None = None
    """What it said of the format, which rows of pictures that failed have from it."""

    @property
    def are_lasting(self) -> bool:
        """Whether another run would find the same."""
        return are_lasting(self.rows, self.error)


def are_lasting(rows: Iterable[Row], error: InputError | None) -> bool:
    """Whether all errors among these say something of the content."""
    codes = {row.error.partition(":")[0] for row in rows if row.error is not None}
    return LASTING_ERRORS.issuperset(codes if error is None else codes | {error.code})
