"""The ranges file: what the fast mode must know about a model, measured once on pictures.

JSON, `nsfw_model/quantization.json` for the packaged model; `open-nsfw quantize-ranges` writes it for any other. It has
no weights: the int8 network is built from it and the caffemodel on the user's machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from open_nsfw.errors import ModelError
from open_nsfw.text import brief

FORMAT = 1
# The scores between which the margin holds, and the same as a logit; decisions fall there. Farther out logits differ by
# more, for pictures that no usual threshold is near to.
NEAR_SCORE = 0.02
NEAR = math.log((1 - NEAR_SCORE) / NEAR_SCORE)
# Of a margin over the worst seen. New kinds of pictures twice went beyond what 440 and 836 others had shown at worst, by
# 1.3 and 1.4 times in an earlier state of the ranges.
HEADROOM = 1.25
PROGRAM = "open-nsfw quantize-ranges"  # makes the file
REMEDY = f"make ranges for this model: {PROGRAM} FOLDER --output FILE"
LARGEST = 1e9  # of what is in the file
LARGEST_FACTOR = 1e3
DIGITS = 3  # of every number: a thousandth of a range is a quarter of a level


@dataclass(frozen=True)
class Margins:
    """How near to a threshold's logit a quick logit may come before the picture is scored exactly, in logits."""

    full: float = 0.0
    """For pictures that were decoded in full."""
    reduced: float = 0.0
    """For those decoded at reduced size, whose quick scores are farther off."""

    def of(self, reduced: bool) -> float:
        """The margin for a picture."""
        return self.reduced if reduced else self.full


@dataclass(frozen=True)
class Margin:
    """How near to a threshold a quick logit asks for the exact score, and the evidence: differences between quick and
    exact logits, over pictures that the ranges were not made from."""

    logits: float
    """The margin, for thresholds of 0.02 to 0.98."""
    pictures: int
    median: float
    p99: float
    p99_9: float
    worst: float
    worst_picture: str
    near: int
    """Pictures among them whose exact score lies between 0.02 and 0.98, where decisions fall."""
    reach: float
    """The farthest, in logits, that a quick score was from a threshold of 0.02 to 0.98 that the exact score is on the
    other side of: with any smaller margin a picture among these could have been decided wrongly. With few pictures
    near, their worst difference anywhere."""


@dataclass(frozen=True)
class TensorRange:
    """The values of one tensor of the network over the calibration pictures, channels balanced."""

    low: float
    high: float
    mean: tuple[float, ...] = ()
    """Of each channel."""


@dataclass(frozen=True)
class Ranges:
    """The contents of a ranges file."""

    model: str
    """`ModelFiles.digest` of the model."""
    converter: int
    """The converter's version, whose names for tensors these are."""
    full: Margin
    """For pictures that were decoded in full."""
    reduced: Margin | None
    """For JPEG decoded at reduced size; None where too few were there to measure it on: all are scored exactly then."""
    tensors: dict[str, TensorRange] = field(repr=False, default_factory=dict)
    factors: dict[str, tuple[float, ...]] = field(repr=False, default_factory=dict)
    """What each channel of a tensor, and of all that are tied to it by sums, is multiplied with before rounding."""
    source: str = field(compare=False, default="")
    """The file they were read from, for messages."""

    def margins_for(self, thresholds: Sequence[float]) -> Margins:
        """The margins for these thresholds (scores 0..1): larger ones, from the worst differences of all, as soon as one
        lies where the usual margins were not measured."""
        usual = all(NEAR_SCORE <= threshold <= 1 - NEAR_SCORE for threshold in thresholds)
        return Margins(*(_logits(margin, usual) for margin in (self.full, self.reduced)))

    def to_json(self) -> str:
        """The file's text: one line a tensor."""
        head = {
            "format": FORMAT,
            "model": self.model,
            "converter": self.converter,
            "full": asdict(self.full),
            "reduced": None if self.reduced is None else asdict(self.reduced),
        }
        lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        for name, table in (
            ("tensors", {each: asdict(value) for each, value in self.tensors.items()}),
            ("factors", self.factors),
        ):
            rows = [f"  {json.dumps(each)}: {_compact(value)}" for each, value in table.items()]
            lines.append(f" {json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n }")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def _logits(margin: Margin | None, usual: bool) -> float:
    if margin is None:
        return math.inf
    return margin.logits if usual else max(margin.logits, margin.worst * HEADROOM)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def parse(content: bytes, source: str) -> Ranges:
    """The ranges in a file's bytes; `source` is its name, for messages.

    Raises ModelError if it is damaged or no ranges file.
    """
    try:
        return replace(_parse(json.loads(content)), source=source)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{source}: not a ranges file ({_reason(error)}); {REMEDY}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return brief(f"no {error}" if isinstance(error, KeyError) else str(error))


def _parse(content: Any) -> Ranges:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}; this release reads {FORMAT}")
    model, converter = content["model"], content["converter"]
    if not isinstance(model, str) or not isinstance(converter, int):
        raise TypeError("model or converter is not what it should be")
    tensors = {
        name: TensorRange(_number(each["low"]), _number(each["high"]), tuple(map(_number, each["mean"])))
        for name, each in content["tensors"].items()
    }
    factors = {
        name: tuple(_number(each, 1 / LARGEST_FACTOR) for each in row) for name, row in content["factors"].items()
    }
    full, reduced = (None if content[name] is None else _margin(content[name]) for name in ("full", "reduced"))
    if full is None:
        raise ValueError("no margin")
    return Ranges(model, converter, full, reduced, tensors, factors)


def _number(value: Any, least: float = -LARGEST) -> float:
    """A number that the file may have; any net's values are far from the ends."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{json.dumps(value)[:40]} is not a number")
    if isinstance(value, int) and abs(value) > LARGEST:  # maybe more than a float can be
        raise ValueError("a number is too large")
    if not least <= value <= LARGEST:  # also of a NaN
        raise ValueError(f"{value:.6g} is no possible value")
    return float(value)


def _margin(content: Any) -> Margin:
    margin = Margin(**content)
    for each in fields(Margin):
        if each.name != "worst_picture":
            _number(getattr(margin, each.name), 0.0)
    return margin


def rounded(value: float) -> float:
    """A number with as many digits as the file has of it."""
    return float(f"{value:.{DIGITS}g}")
