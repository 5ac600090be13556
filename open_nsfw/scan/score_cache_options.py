"""The options of a cache of scores. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheOptions:
    """A cache of scores."""

    path: str
    max_bytes: int = 1 << 30  # three to four million pictures
    """How large its file may become."""
