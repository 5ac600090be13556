"""Labelled pictures as the user names them: LABELS is a folder, or a file of paths or of scores."""

from __future__ import annotations

from dataclasses import dataclass, field

from open_nsfw.errors import UsageError

POSITIVE_WORDS, NEGATIVE_WORDS = ("1", "true"), ("0", "false")  # understood beside the two names


@dataclass(frozen=True)
class LabelNames:
    """What the two classes are called: folders, or values of the column `label`."""

    positive: str = "nsfw"
    negative: str = "sfw"

    def __post_init__(self) -> None:
        if self.positive == self.negative:
            raise UsageError(f"--positive and --negative are both '{self.positive}'; two labels are needed")

    def is_nsfw(self, label: object) -> bool | None:
        """Whether this value of the column means nsfw; None if it means nothing."""
        text = str(label).strip() if isinstance(label, (str, int)) else ""
        if text in (self.positive, self.negative):
            return text == self.positive
        if text.lower() in POSITIVE_WORDS + NEGATIVE_WORDS:
            return text.lower() in POSITIVE_WORDS
        return None

    def require_both(self, sfw: int, nsfw: int, where: str) -> None:
        """Raises UsageError if one of the classes has no picture."""
        for count, name in ((sfw, self.negative), (nsfw, self.positive)):
            if not count:
                raise UsageError(f"{where}: no picture labelled '{name}' has a score; both labels are needed")


@dataclass(frozen=True)
class Entry:
    """A labelled picture as a file of labels has it."""

    nsfw: bool
    path: str | None = None
    """For a file of paths: as the program opens it."""
    member: str | None = None
    score: float | None = None
    error: str | None = None
    """Why there is no score."""
    sha256: str | None = None
    model: str | None = None
    engine: str | None = None
    group: str | None = None
    """What it has in common with pictures that are not independent of it: the film, the session, the original."""
    weight: float | None = None
    """How many pictures it stands for, where pictures were not all as likely to be labelled."""
    line: int = 0


@dataclass(frozen=True)
class Labels:
    """What LABELS holds: `folders` to score, or `entries` with paths to score or with scores."""

    folders: dict[str, bool] = field(default_factory=dict)
    """Folder -> whether its pictures are nsfw."""
    entries: list[Entry] = field(default_factory=list)
    scored: bool = False
    """The entries have scores; no picture is needed."""
