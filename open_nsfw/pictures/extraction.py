"""What is to be taken out of a file and what that may cost: the options of decoding, and the messages that carry them
to the worker process. Standard library only: this is on the way of every run."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import BinaryIO, Union

from open_nsfw.cgroup import memory_limit
from open_nsfw.errors import InputError, UsageError
from open_nsfw.pictures.formats import FORMATS, Limits
from open_nsfw.text import MOST_DIGITS, brief, whole

# What may be decoded: the path of a file, an encoded file, or an open one that has a descriptor, from its beginning.
Encoded = Union[str, bytes, BinaryIO]

SINGLE_FORMATS = ("JPEG", "BMP")  # hold one picture, whatever is asked for
PICTURE_FORMATS = (*FORMATS, "MPO")  # as rows name them, a JPEG of several pictures among them; all others are videos'
VIEWS = ("tiles",)  # what may be looked at beside the whole of a picture
LEAST_MEMORY = 256 * 1024**2  # bytes of address space; with less, Python and Pillow alone would not fit
LONGEST_SCENE = 10.0  # seconds of one scene without a frame that is scored
NO_PICTURES = "no-pictures"  # the code of the error of a file that plays and has nothing to see


FRAME_MODES = ("first", "all", "every", "max")


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of an animation or pages of a TIFF are scored, and how often one of a video."""

    mode: str = "first"
    """`first`, `all`, `every` (each `count`-th, the first included), or `max` (at most `count`, evenly spread)."""
    count: int = 1
    every_seconds: float = 1.0
    """Seconds of a video between two frames; its first and last frames are always scored."""
    max_frames: int = 100_000
    """Frames scored of one file before the rest is refused."""
    scenes: bool = False
    """Whether the first frame of each scene of a video is scored; `every_seconds` are then counted from there."""

    @classmethod
    def parse(
        cls, text: str, every_seconds: float | None = None, max_frames: int = 100_000, scenes: bool = False
    ) -> FrameChoice:
        """From `first`, `all`, `every=N` or `max=N`. `every_seconds`: None for 1, and with `scenes` for 10. Raises UsageError
        for anything else, and for seconds that are no finite number above 0."""
        mode, _, digits = text.partition("=")
        if every_seconds is None:
            every_seconds = LONGEST_SCENE if scenes else cls.every_seconds
        if not 0 < every_seconds < math.inf:
            raise UsageError(f"every {every_seconds} seconds: a number above 0 is needed")
        if text in ("first", "all"):
            return cls(text, 1, every_seconds, max_frames, scenes)
        if mode in ("every", "max") and (count := whole(digits)):
            return cls(mode, count, every_seconds, max_frames, scenes)
        raise UsageError(
            f'--frames "{brief(text)}": first, all, every=N or max=N is needed, N a whole number above 0 of at most '
            f"{MOST_DIGITS} digits"
        )

    def name_for(self, file_format: str) -> str | None:
        """How rows name this choice, about a file of this format; None where it holds one picture only."""
        if file_format in SINGLE_FORMATS:
            return None
        if file_format not in PICTURE_FORMATS:
            return f"{'scenes, ' if self.scenes else ''}every {float(self.every_seconds):g} s"
        return self.mode if self.mode in ("first", "all") else f"{self.mode}={self.count}"

    def indices(self, total: int) -> list[int]:
        """The frames to score, of `total`."""
        if self.mode == "first":
            return [0]
        if self.mode == "all":
            return list(range(total))
        if self.mode == "every":
            return list(range(0, total, self.count))
        if self.count == 1 or total == 1:
            return [0]
        count = min(self.count, total)
        return [round(index * (total - 1) / (count - 1)) for index in range(count)]


@dataclass(frozen=True)
class Extraction:
    """How pictures are taken out of a file."""

    limits: Limits = Limits()
    frames: FrameChoice = FrameChoice()
    hash: bool = False
    """Whether the SHA-256 of the encoded file is wanted."""
    whole: bool = False
    """Whether pictures are wanted in full size beside the recipe's pixels; of files with several frames they are not had."""
    views: str | None = None
    """`tiles` if parts of each picture are wanted beside the whole."""
    upright: bool = False
    """Whether pictures are turned as EXIF, and frames as the film, says that they are to be seen."""
    max_memory: int = 3 * 1024**3
    """Bytes of address space that decoding may take, where the platform can limit it (POSIX); 0 for no limit."""

    def shared_by(self, jobs: int) -> Extraction:
        """These options for each of so many decoders at once: where a container limits the memory of all together, each may
        take its share, so that a large picture costs its own row and not the whole run."""
        limit = memory_limit()
        if limit is None:
            return self
        share = max(LEAST_MEMORY, limit // jobs)
        return replace(self, max_memory=min(self.max_memory or share, share))

    def to_json(self) -> str:
        """These options as text for the worker's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Extraction:
        """The options from `to_json`'s text."""
        fields = json.loads(text)
        return cls(**{**fields, "limits": Limits(**fields["limits"]), "frames": FrameChoice(**fields["frames"])})


def checked_views(views: str | None) -> str | None:
    """One of `VIEWS`, or None. Raises UsageError for anything else."""
    if views is None or views in VIEWS:
        return views
    raise UsageError(f'views "{views}": there are {", ".join(VIEWS)}')


def too_many_frames(choice: FrameChoice) -> InputError:
    """What follows the last frame that the limit allows."""
    return InputError("too-many-frames", f"more than the limit of {choice.max_frames:,} frames (--max-frames)")
