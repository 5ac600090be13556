"""Which parts of a picture are worth a score of their own, beside the whole: `--views tiles`.

    found_parts    an RGB picture -> its parts: cells of a grid, panels of a strip, the content of a border, or overlaps

Yahoo's recipe squeezes any picture into one square, so a small picture on a wide border, one of many on a contact sheet,
or a piece of a long strip has a few pixels there. Gutters are found by recursive X-Y cuts (Nagy and Seth, 1984): a box is
cut where rows of pixels of one colour go all the way through it, each piece where columns do, and so on.

Only Pillow is used: the decoding process, which does this, has a limit of memory that NumPy may not fit into.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from PIL import Image, ImageChops

from open_nsfw.pictures.picture import CELL, CONTENT, MOST_PARTS, OVERLAP, PANEL, Part

SMALLEST = 64  # pixels a side of a part: of less, the network would see little but the enlargement
# Gutters are looked for in a copy of the picture of at most so many pixels, whose rows are averages of some of its own.
LOOKED_AT = 2_000_000
THINNEST = 4  # pixels of a gutter, and two rows of the copy
# Rows are cut, columns in them, and so on in turns. Two of these may split: more would take a picture of a grid apart, where
# a night sky goes all the way through it.
TURNS, SPLITS = 4, 2
# Of a row in a gutter, all but so many pixels are nearly its mean: JPEG leaves traces beside edges.
STRAY_SHARE = 0.02
TOLERANCE = 16  # grey levels
LONG = 2.5  # times as long as wide is a strip; a phone's screen is less, with 2.2
BORDERED = (
    0.5  # of the picture at most is content, or the border is a thin one: what is inside is looked at in overlaps
)
# Windows over a picture in which nothing is found, as shares of its sides: where they begin and how long they are. Two by
# two of two thirds, three by three of a half: whatever is no longer than a quarter of a side is whole in one of these.
GRIDS = (((0.0, 1 / 3), 2 / 3), ((0.0, 1 / 4, 1 / 2), 1 / 2))


class Box(NamedTuple):
    """A rectangle of a picture in pixels; `right` and `bottom` are the first that are not in it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.bottom - self.top


def found_parts(image: Image.Image) -> list[Part]:
    """The parts of an RGB picture, at most `MOST_PARTS`, from the top to the bottom; none of one that is so small that
    parts would show nothing more."""
    whole = Box(0, 0, image.width, image.height)
    pieces = _pieces(image)
    if len(pieces) > MOST_PARTS or not pieces:  # a text, a table of numbers: no grid of pictures
        pieces = [whole]
    is_strip = _length(whole) >= LONG
    boxes = [panel for piece in pieces for panel in _panels(piece, MOST_PARTS // len(pieces))]
    if len(boxes) > 1:
        return _numbered((PANEL if is_strip or len(pieces) == 1 else CELL, box) for box in boxes)
    content = pieces[0]
    if content.width * content.height <= BORDERED * whole.width * whole.height:
        return _numbered([(CONTENT, content)])
    return _numbered((OVERLAP, box) for box in _overlaps(content))


def _numbered(found: Iterable[tuple[str, Box]]) -> list[Part]:
    return [Part(number, found_as, *box) for number, (found_as, box) in enumerate(found)]


def _length(box: Box) -> float:
    """How many times as long as wide it is."""
    return max(box.width, box.height) / min(box.width, box.height)


def _panels(piece: Box, most: int) -> list[Box]:
    """A long piece as squares that overlap by half, at most so many, or else longer ones; any other piece as it is."""
    shorter, longer = sorted((piece.width, piece.height))
    if longer < LONG * shorter or shorter < SMALLEST or most < 2:
        return [piece]
    count = min(math.ceil(2 * longer / shorter) - 1, most)
    length = max(shorter, math.ceil(2 * longer / (count + 1)))
    starts = [round(index * (longer - length) / (count - 1)) for index in range(count)]
    if piece.height == longer:
        return [Box(piece.left, piece.top + at, piece.right, piece.top + at + length) for at in starts]
    return [Box(piece.left + at, piece.top, piece.left + at + length, piece.bottom) for at in starts]


def _overlaps(box: Box) -> Iterator[Box]:
    for starts, share in GRIDS:
        width, height = round(share * box.width), round(share * box.height)
        if min(width, height) < SMALLEST:
            return
        for top in (box.top + round(start * box.height) for start in starts):
            for left in (box.left + round(start * box.width) for start in starts):
                right, bottom = min(left + width, box.right), min(top + height, box.bottom)
                yield Box(left, top, right, bottom)


# --- gutters ---


def _pieces(image: Image.Image) -> list[Box]:
    """What lies between gutters and inside borders, each piece at least `SMALLEST` pixels a side, in reading order."""
    step = max(1, math.ceil(math.sqrt(image.width * image.height / LOOKED_AT)))
    # Grey: where JPEG halves the colours' resolution, those of a picture run into its border.
    copy = (image.reduce(step) if step > 1 else image).convert("L")
    colour = _gutter_colour(copy, step)
    if colour is None:
        return [Box(0, 0, image.width, image.height)]
    pieces = _Cutter(copy, step, colour).cut(Box(0, 0, copy.width, copy.height))
    return [
        Box(box.left * step, box.top * step, min(box.right * step, image.width), min(box.bottom * step, image.height))
        for box in pieces
    ]


def _gutter_colour(copy: Image.Image, step: int) -> int | None:
    """The grey level of borders and gutters: that of most of the picture's edges, or else of most bands that go all the way
    through it; None where there is nothing of the kind. Dark edges of a picture in a white grid are no gutters."""
    lines = [_levels(copy, by_rows) for by_rows in (True, False)]
    edges = [level for levels in lines for level in (levels[0], levels[-1]) if level is not None]
    bands = [level for levels in lines for level in _bands(levels, step)]
    levels = edges or bands
    return max(levels, key=lambda level: sum(_alike(level, each) for each in levels), default=None)


def _bands(levels: list[int | None], step: int) -> Iterator[int]:
    """The grey levels of runs of uniform lines that are wide enough for a gutter."""
    for _, lines in groupby(levels, key=lambda level: None if level is None else level // (TOLERANCE + 1)):
        run = list(lines)
        if run[0] is not None and len(run) >= _thinnest(step):
            yield run[len(run) // 2] or 0


def _thinnest(step: int) -> int:
    """Rows or columns of the copy in the thinnest gutter."""
    return max(2, math.ceil(THINNEST / step))


def _alike(level: int | None, other: int) -> bool:
    return level is not None and abs(level - other) <= TOLERANCE


class _Cutter:
    """Cuts a grey copy of a picture, `step` times as small, at gutters of one grey level."""

    def __init__(self, copy: Image.Image, step: int, colour: int) -> None:
        self._copy, self._step, self._colour = copy, step, colour

    def cut(self, box: Box, turns: int = TURNS, splits: int = SPLITS) -> list[Box]:
        """The pieces of a box, cut by rows where an even number of turns is left, else by columns."""
        by_rows = turns % 2 == 0
        runs = self._runs(_levels(self._copy.crop(box), by_rows))
        if not splits:
            runs = [(runs[0][0], runs[-1][1])] if runs else []  # only borders are taken off
        runs = [(start, end) for start, end in runs if end - start >= SMALLEST / self._step]
        if by_rows:
            bands = [Box(box.left, box.top + start, box.right, box.top + end) for start, end in runs]
        else:
            bands = [Box(box.left + start, box.top, box.left + end, box.bottom) for start, end in runs]
        if turns == 1 or (bands == [box] and turns < TURNS):  # the turn before was the other way
            return bands
        splits_left = splits - (len(bands) > 1 and splits > 0)
        return [piece for band in bands for piece in self.cut(band, turns - 1, splits_left)]

    def _runs(self, levels: list[int | None]) -> list[tuple[int, int]]:
        """The lines between gutters and inside borders, which may be as thin as they like: (first, behind the last)."""
        runs: list[tuple[int, int]] = []
        start = 0
        for is_gutter, lines in groupby(levels, key=lambda level: _alike(level, self._colour)):
            end = start + len(list(lines))
            if is_gutter and (end - start >= _thinnest(self._step) or start == 0 or end == len(levels)):
                pass
            elif runs and runs[-1][1] == start:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((start, end))
            start = end
        return runs


def _levels(box: Image.Image, by_rows: bool) -> list[int | None]:
    """The grey level of each row (or column) of a grey picture; None of one that has not one colour."""
    line = (1, box.height) if by_rows else (box.width, 1)
    means = box.resize(line, Image.Resampling.BOX)
    stray = ImageChops.difference(box, means.resize(box.size, Image.Resampling.NEAREST)).point(_STRAY)
    shares = stray.resize(line, Image.Resampling.BOX).tobytes()
    return [mean if share <= 255 * STRAY_SHARE else None for mean, share in zip(means.tobytes(), shares)]


_STRAY = [255 if difference > TOLERANCE else 0 for difference in range(256)]
