"""The options of a review: how its store is made ready, and how pictures are given out. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpeningOptions:
    """How a store is made ready."""

    together: bool = False
    """Whether look-alikes are shown once."""
    find: tuple[str, ...] = ()
    """Folders in which files that moved are looked for."""
    any_model: bool = False
    """Take the policy though it was made for another model."""
    jobs: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class DeskOptions:
    """How pictures are given out."""

    blind: bool = False
    """Whether scores are hidden until there is a decision."""
    pictures: int = 200
    """After so many decisions a session ends."""
    minutes: float = 45.0
    """And after so much time."""
    lease_seconds: float = 300.0
    """That a picture is kept for the one who has it; every request of the page begins them anew."""
