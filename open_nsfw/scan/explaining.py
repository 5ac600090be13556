"""Items -> what explains their scores: of each the picture, of several frames the one with the highest score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.isolation import DecodeWorker
from open_nsfw.pictures.picture import Failure, Picture
from open_nsfw.pictures.pixels import as_array
from open_nsfw.scan.blurring import Blurred, blur_below
from open_nsfw.scan.decoders import Decoders
from open_nsfw.scan.seen import with_something_to_see
from open_nsfw.scoring.engine import Engine
from open_nsfw.scoring.explanation import ExplainedScore, Explainer, Explanation
from open_nsfw.sources.item import Item


@dataclass(frozen=True)
class Explained:
    """What came of one item."""

    path: str
    member: str | None
    picture: Picture | None = None
    """Its picture, of several the one that scores highest; None where none has a score."""
    explanation: Explanation | None = None
    """Of that picture."""
    drawn: bytes | None = None
    """What was drawn of the two."""
    blurred: Blurred | None = None
    """What was blurred of the picture, where that was asked for and the file has one picture."""
    error: InputError | None = None
    """Why there is no score, or what became of its other frames."""


@dataclass(frozen=True)
class ExplainOptions:
    """What is made of each picture and its explanation."""

    draw: Callable[[Picture, Explanation], bytes] | None = None
    """Gives `Explained.drawn`. Called in several threads."""
    blur_below: float | None = None
    """Blur pictures until their score is below this; needs decoders that give pictures in full size."""


def explain_items(
    items: Iterable[Item], explainer: Explainer, decoders: Decoders, options: ExplainOptions = ExplainOptions()
) -> Iterator[Explained]:
    """What explains the score of each item, in their order; what was taken for its content alone and has only sound is
    passed over. Raises SetupError."""
    return with_something_to_see(
        (item, found, found.error) for item, found in decoders.map(partial(_explained, explainer, options), items)
    )


def _explained(
    explainer: Explainer, options: ExplainOptions, worker: DecodeWorker, item: Item
) -> tuple[Item, Explained]:
    """One item, in the thread of a decoding process."""
    highest: Picture | None = None
    explanation: Explanation | None = None
    error = item.error
    try:
        for found in worker.decode(item.encoded) if error is None else ():
            if isinstance(found, Failure):
                error = error or found.error
            elif isinstance(found, Picture):
                (score,) = explainer.score_pixels([as_array(found)])
                if not isinstance(score, ExplainedScore):
                    error = error or score.error
                elif explanation is None or score > explanation.score:
                    highest, explanation = found, score.explanation
    except InputError as ended:
        error = error or ended
    if highest is None or explanation is None:
        return item, Explained(item.path, item.member, error=error)
    drawn = None if options.draw is None else options.draw(highest, explanation)
    blurred = None
    if options.blur_below is not None and highest.whole:
        blurred = blur_below(highest, explanation, explainer, options.blur_below)
        highest = replace(highest, whole=b"")  # it is large, and no longer of use
    return item, Explained(item.path, item.member, highest, explanation, drawn, blurred, error)


def as_json(found: Explained, engine: Engine) -> dict[str, Any]:
    """An explanation as its JSON file has it; `seen` are the left, top, right and bottom edges of what the cells cover, as
    shares of the picture's width and height."""
    picture, explanation = found.picture, found.explanation
    assert picture is not None and explanation is not None
    rows, columns = engine.input_shape[1:]
    left, top = (SIDE - columns) // 2, (SIDE - rows) // 2
    return {
        "path": found.path,
        "member": found.member,
        "frame": picture.frame,
        "seconds": picture.seconds,
        "track": picture.track,
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "score": explanation.score,
        "logit": explanation.logit,
        "bias": explanation.bias,
        "cells": explanation.cell_rows(),
        "method": explanation.method,
        "seen": [left / SIDE, top / SIDE, (left + columns) / SIDE, (top + rows) / SIDE],
        "engine": engine.name,
        "model": engine.model_hash,
        "blur": None if found.blurred is None else found.blurred.as_json(),
    }
