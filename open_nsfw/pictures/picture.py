"""`Picture`: one picture of a file, on its way from the decoding process to its score and its row.

Standard library only: the process of the command handles pictures before it loads NumPy, and never loads Pillow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Union

from open_nsfw.errors import InputError

# What a part of a picture was found as.
CELL, PANEL, CONTENT, OVERLAP = FOUND_AS = ("cell", "panel", "content", "overlap")
MOST_PARTS = 100  # of one picture: a contact sheet of ten by ten


class Part(NamedTuple):
    """Which part of a picture is meant: its place in pixels of the picture, `right` and `bottom` behind the last one."""

    number: int
    """From 0, in the order of the picture's parts."""
    found_as: str
    """One of `FOUND_AS`: a cell of a grid, a panel of a strip, the content of a border, an overlap where there is nothing
    of these."""
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Picture:
    """One picture of a file, ready for the network."""

    pixels: bytes
    """uint8, RGB, row by row, square: the recipe's 256 x 256, or as much of their middle as a quick score needs."""
    width: int
    """Of the picture as it was encoded, in pixels, like `height`; where parts are scored or it is turned upright, as it was
    looked at. Of a part: of the picture that it is a part of."""
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
    upright: bool | None = None
    """Whether it was turned, where that was asked for."""
    part: Part | None = None
    """Of which part of the picture the pixels are; None for the whole."""

    @property
    def side(self) -> int:
        """Pixels a side of `pixels`."""
        return math.isqrt(len(self.pixels) // 3)


@dataclass(frozen=True)
class Failure:
    """A picture of a file that cannot be scored, while others of the same file can."""

    error: InputError
    frame: int | None
    """Index in the file, from 0, like that of a `Picture`; None only for a part of a file's only picture."""
    seconds: float | None = None
    track: int | None = None
    part: Part | None = None
    """Which part of a picture it is, where the whole can be scored."""


# What a file gives, one after the other.
Found = Union[Picture, Failure]
