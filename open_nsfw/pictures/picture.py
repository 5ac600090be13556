"""`Picture`: one picture of a file, on its way from the decoding process to its score and its row.

Standard library only: the process of the command handles pictures before it loads NumPy, and never loads Pillow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Union

from open_nsfw.errors import InputError


@dataclass(frozen=True)
class Picture:
    """One picture of a file, ready for the network."""

    pixels: bytes
    """uint8, RGB, row by row, square: the recipe's 256 x 256, or as much of their middle as a quick score needs."""
    width: int
    """Of the picture as it was encoded, in pixels, like `height`."""
    height: int
    format: str
    frame: int | None = None
    """Index in the file, from 0; None for a file with a single picture, or of which only the first is scored."""
    seconds: float | None = None
    """When the frame is shown, for videos and animations that say so."""
    exact: bool = True
    """Whether the pixels are the recipe's, rather than the quick decode's."""
    reduced: bool = False
    """Decoded at reduced size."""
    track: int | None = None
    """Which video track it is of, from 0, in a file that has several."""
    whole: bytes = b""
    """The picture itself, uint8, RGB, `height` rows of `width` pixels, where that was asked for."""

    @property
    def side(self) -> int:
        """Pixels a side of `pixels`."""
        return math.isqrt(len(self.pixels) // 3)


@dataclass(frozen=True)
class Failure:
    """A picture of a file that cannot be scored, while others of the same file can."""

    error: InputError
    frame: int
    """Index in the file, from 0, like that of a `Picture`."""
    seconds: float | None = None
    track: int | None = None


# What a file gives, one after the other.
Found = Union[Picture, Failure]
