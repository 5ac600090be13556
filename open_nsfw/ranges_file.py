"""The ranges file: what the fast mode must know about a model, measured once on pictures.

JSON, `nsfw_model/quantization.json` for the packaged model; `open-nsfw quantize-ranges` writes it for any other. It has
no weights: the int8 network is built from it and the caffemodel on the user's machine.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from open_nsfw.errors import ModelError
from open_nsfw.model_files import ModelFiles, packaged_file

FILE_NAME = "quantization.json"
FORMAT = 1
REMEDY = "make ranges for this model: open-nsfw quantize-ranges FOLDER --output FILE"


@dataclass(frozen=True)
class Evidence:
    """Differences between quick and exact logits, over pictures that the ranges were not made from."""

    pictures: int
    median: float
    p99: float
    p99_9: float
    worst: float
    worst_picture: str = ""
    near: int = 0
    """Pictures among them whose exact score lies between 0.02 and 0.98, where decisions fall."""


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
    margin: float
    """Logits: a picture whose quick logit is this near to a threshold's is scored again."""
    evidence: Evidence
    tensors: dict[str, TensorRange] = field(repr=False, default_factory=dict)
    factors: dict[str, tuple[float, ...]] = field(repr=False, default_factory=dict)
    """What each channel of a tensor, and of all that are tied to it by sums, is multiplied with before rounding."""

    def to_json(self) -> str:
        """The file's text: one line a tensor."""
        head = {
            "format": FORMAT,
            "model": self.model,
            "converter": self.converter,
            "margin": self.margin,
            "evidence": asdict(self.evidence),
        }
        lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        for name, table in (
            ("tensors", {each: asdict(value) for each, value in self.tensors.items()}),
            ("factors", self.factors),
        ):
            rows = [f"  {json.dumps(each)}: {_compact(value)}" for each, value in table.items()]
            lines.append(f" {json.dumps(name)}: {{\n" + ",\n".join(rows) + "\n }")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def read_ranges(files: ModelFiles, path: str | Path | None = None) -> tuple[Ranges, bytes]:
    """The ranges for a model and the file's bytes; None stands for the packaged file.

    Raises ModelError if the file is missing, damaged, or was made for another model.
    """
    source = Path(path) if path is not None else packaged_file(FILE_NAME)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ModelError(f"{source}: cannot be read: {error.strerror or error}; {REMEDY}") from error
    try:
        ranges = _parse(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{source}: not a ranges file ({_reason(error)}); {REMEDY}") from error
    if ranges.model != files.digest:
        raise ModelError(
            f"{source}: these ranges are of the model {ranges.model[:12]}, not of {files.short_hash} "
            f"({files.pretrained_model}); {REMEDY}"
        )
    return ranges, content


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())


def _parse(content: Any) -> Ranges:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}; this release reads {FORMAT}")
    tensors = {
        name: TensorRange(float(each["low"]), float(each["high"]), tuple(map(float, each["mean"])))
        for name, each in content["tensors"].items()
    }
    factors = {name: tuple(map(float, each)) for name, each in content["factors"].items()}
    margin = float(content["margin"])
    bounds = [bound for each in tensors.values() for bound in (each.low, each.high)]
    if not all(map(math.isfinite, [margin, *bounds])) or margin < 0:
        raise ValueError("a margin or range is not a number")
    if any(factor <= 0 or not math.isfinite(factor) for each in factors.values() for factor in each):
        raise ValueError("a factor is not a number above 0")
    evidence = Evidence(**content["evidence"])
    return Ranges(content["model"], int(content["converter"]), margin, evidence, tensors, factors)
