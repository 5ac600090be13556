"""Blur a picture, cell by cell, until the network's own score of it is below a threshold.

What is scored each time is the whole picture in full size, as anybody would score the file: nothing is reckoned. The file
that is written is PNG, which loses nothing, and is decoded and scored once more from its bytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from open_nsfw.errors import EngineError
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.pixels import resized_pixels
from open_nsfw.scoring.explanation import ExplainedScore, Explainer, Explanation

# A blurred cell keeps two colours a side: what is left of 32 x 32 of the pixels that the network reads, or of hundreds of
# the picture's own. What is finer cannot be brought back.
COLOURS_A_CELL = 2
COMPRESSION = 4  # of PNG: a third of the time of the usual 6, and a twelfth more bytes


@dataclass(frozen=True)
class Blurred:
    """What became of a picture that was to be blurred."""

    below: float
    """The threshold."""
    score: float
    """Of the picture with all of `cells` blurred."""
    cells: tuple[tuple[int, int], ...]
    """(row, column) of the blurred cells, in the order in which they were blurred; none where the score was low already."""
    file: bytes | None
    """The blurred picture in full size, PNG; None where nothing was to be done, or all cells did not suffice."""

    @property
    def is_below(self) -> bool:
        """Whether the score is below the threshold."""
        return self.score < self.below

    def as_json(self) -> dict[str, Any]:
        """All but the file."""
        return {
            "below": self.below,
            "score": self.score,
            "is_below": self.is_below,
            "cells": list(map(list, self.cells)),
        }


def blur_below(picture: Picture, explanation: Explanation, explainer: Explainer, threshold: float) -> Blurred:
    """Blur the cell that adds most to the score, score again, and so on, until the score is below `threshold`.

    `picture` must have its `whole`. Each step takes the highest of the cells that are not blurred yet, by the explanation of
    the step before. Raises SetupError.
    """
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.whole)
    coarse = _coarse(image, explanation, explainer)
    done: list[tuple[int, int]] = []
    while explanation.score >= threshold and len(done) < explanation.cells.size:
        cells = explanation.cells.copy()
        for cell in done:
            cells[cell] = -np.inf
        row, column = (int(index) for index in np.unravel_index(int(cells.argmax()), cells.shape))
        done.append((row, column))
        box = _box(image.size, explanation, explainer, row, column)
        image.paste(coarse.crop(box), box)
        explanation = _explained(image, explainer)
    written = _png(image) if done and explanation.score < threshold else None
    if written is not None and explainer.score(written) != explanation.score:
        raise EngineError("the blurred file does not score as the picture that it holds; please report this")
    return Blurred(threshold, explanation.score, tuple(done), written)


def _explained(image: Image.Image, explainer: Explainer) -> Explanation:
    (score,) = explainer.score_pixels([resized_pixels(image)])
    if not isinstance(score, ExplainedScore):
        raise EngineError(f"a blurred picture has no score: {score.error}")
    return score.explanation


def _coarse(image: Image.Image, explanation: Explanation, explainer: Explainer) -> Image.Image:
    """The whole picture with as few colours as blurred cells have, and no steps between them."""
    rows, columns = explanation.cells.shape
    height, width = explainer.engine.input_shape[1:]
    size = (max(1, COLOURS_A_CELL * columns * SIDE // width), max(1, COLOURS_A_CELL * rows * SIDE // height))
    return image.resize(size, Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR)


def _box(
    size: tuple[int, int], explanation: Explanation, explainer: Explainer, row: int, column: int
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a cell in a picture of this width and height, rounded outwards."""
    rows, columns = explanation.cells.shape
    height, width = explainer.engine.input_shape[1:]
    left, right = ((SIDE - width) // 2 + width * (column + step) / columns for step in (0, 1))
    top, bottom = ((SIDE - height) // 2 + height * (row + step) / rows for step in (0, 1))
    across, down = size[0] / SIDE, size[1] / SIDE
    return int(left * across), int(top * down), -int(-right * across // 1), -int(-bottom * down // 1)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=COMPRESSION)
    return file.getvalue()
