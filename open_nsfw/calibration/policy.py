"""A policy: thresholds with the names of the bands between them, and what they were measured to do. Kept as a small
JSON file.

    {
      "open_nsfw_policy": 1,
      "thresholds": [0.31, 0.87],
      "bands": ["allow", "review", "block"],
      "chosen_by": "--max-fpr 0.01 --min-recall 0.95",
      "model": "49ef2f6ee51c",
      ...
    }

The first three are the policy and may be changed by hand; a score at or over a threshold belongs to the band above it.
The rest says where it comes from. Standard library only, and little of it: `classify_nsfw.py --policy` reads this on
every run.
"""

from __future__ import annotations

import json
import math
import os
from bisect import bisect_right
from dataclasses import dataclass, field, fields
from typing import Any, Union

from open_nsfw.errors import UsageError
from open_nsfw.files import write_whole

VERSION = 1
VERSION_KEY = "open_nsfw_policy"
BANDS = ("allow", "review", "block")
BANDS_OF_ONE_THRESHOLD = ("allow", "block")
# What stands between a picture's bytes and the network decides the score as much as the weights do.
PREPROCESSING = "yahoo: 256x256 bilinear, JPEG round trip, middle 224x224, BGR minus (104, 117, 123)"
LARGEST_FILE = 1 << 20  # bytes; a policy has two thousand
LONGEST_NAME = 60  # letters of a band
LONGEST_INTEGER = 15  # digits with a sign; a policy counts pictures

Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Policy:
    """Thresholds and what is known of them. Raises UsageError if they make no policy."""

    thresholds: tuple[float, ...]
    """Rising, within 0..1."""
    bands: tuple[str, ...] = BANDS
    """From the lowest scores to the highest; one more than thresholds."""
    chosen_by: str = ""
    """The options of `open-nsfw calibrate` that chose the thresholds."""
    model: str | None = None
    """The hash, as rows carry it, of the model that gave the scores; None if nobody knows."""
    preprocessing: str = PREPROCESSING
    made: str = ""
    """The date, YYYY-MM-DD."""
    confidence: float = 0.95
    """Of all intervals in `rates`."""
    prevalence: float | None = None
    """The share of nsfw in the traffic that rates over both classes are for; None: the sample's own."""
    promises: list[Any] = field(default_factory=list)
    """For each limit that the thresholds were chosen for: what it is about, the limit, the rate measured and the one-sided
    bound on the true one, whether it is `kept`, and if it is not, a `warning`."""
    sample: dict[str, Any] = field(default_factory=dict)
    """`pictures`, `sfw`, `nsfw`: how many the thresholds were chosen on; `groups`: from how many sources they come; and
    `sha256` of scores and labels."""
    rates: dict[str, Any] = field(default_factory=dict)
    """Measured on the sample: `thresholds`, a confusion table for each, and `bands`, the share of pictures in each."""
    scores: dict[str, Any] = field(default_factory=dict)
    """How the sample's scores lie, for `open-nsfw policy check`: `edges` between bins; `sfw`, `nsfw`: pictures in each
    bin, and `sfw_worth`, `nsfw_worth`: how many independent pictures those of a class are worth."""
    checksum: str | None = field(default=None, compare=False)
    """Of all the rest, as `open-nsfw calibrate` wrote it; policy_file.py tells by it whether somebody changed the file."""
    path: str = field(default="the policy", compare=False)
    """Where it was read, for messages."""

    def __post_init__(self) -> None:
        thresholds = self.thresholds
        if not thresholds or not all(isinstance(each, float) and 0 <= each <= 1 for each in thresholds):
            raise UsageError(f"{self.path}: thresholds are numbers from 0 to 1, at least one, not {_shown(thresholds)}")
        if any(low >= high for low, high in zip(thresholds, thresholds[1:])):
            raise UsageError(f"{self.path}: thresholds must rise, not {_shown(thresholds)}")
        if not all(
            isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST_NAME for name in self.bands
        ):
            raise UsageError(
                f"{self.path}: names of bands are printable words of at most {LONGEST_NAME} letters, "
                f"not {_shown(self.bands)}"
            )
        for name in ("chosen_by", "model", "preprocessing", "made", "checksum"):
            if not (getattr(self, name) or "").isprintable():  # it may be shown on a terminal
                raise UsageError(
                    f'{self.path}: "{name}" has letters that cannot be printed: {_shown(getattr(self, name))}'
                )
        if len(self.bands) != len(thresholds) + 1 or len(set(self.bands)) < len(self.bands):
            raise UsageError(
                f"{self.path}: {len(thresholds)} thresholds part {len(thresholds) + 1} bands of different names, "
                f"not {_shown(self.bands)}"
            )

    def verdict(self, score: float) -> str:
        """The name of the band that `score` falls into. Raises ValueError for NaN, the score of a picture that has
        none."""
        if math.isnan(score):
            raise ValueError("NaN has no verdict")
        return self.bands[bisect_right(self.thresholds, score)]

    def check_model(self, short_hash: str) -> None:
        """Raises UsageError if the policy was made for another model or preprocessing, or if nobody knows for which."""
        way_out = "calibrate for this model, or take the policy nevertheless with --policy-for-any-model"
        if self.model is None:
            raise UsageError(f"{self.path}: does not say which model it was made for; {way_out}")
        if self.model != short_hash:
            raise UsageError(f"{self.path}: was made for the model {self.model}, this is {short_hash}; {way_out}")
        if self.preprocessing != PREPROCESSING:
            raise UsageError(f"{self.path}: was made for another preprocessing ({self.preprocessing}); {way_out}")

    def to_json(self) -> str:
        """The file's text."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "path"}
        lines = [f"  {json.dumps(name)}: {_compact(value)}" for name, value in {VERSION_KEY: VERSION, **values}.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises OutputError."""
        write_whole(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Policy:
        """Raises UsageError if there is no policy at `path`, with what is wrong about it."""
        try:
            with open(path, "rb") as file:
                content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise UsageError(f"{path}: the policy cannot be read: {error.strerror or error}") from error
        return cls.from_json(content, str(path))

    @classmethod
    def from_json(cls, content: str | bytes, path: str = "the policy") -> Policy:
        """A policy from a file's content. Raises UsageError."""
        try:
            values = _load(content) if len(content) <= LARGEST_FILE else None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: is no policy: {error}") from error
        if not isinstance(values, dict) or VERSION_KEY not in values:
            raise UsageError(f'{path}: is no policy: it has no "{VERSION_KEY}"')
        version = values.pop(VERSION_KEY)
        if version != VERSION:
            raise UsageError(f"{path}: is a policy of version {version!r}, this program knows version {VERSION}")
        names = {each.name for each in fields(cls)} - {"path"}
        if "thresholds" not in values or not set(values) <= names:
            wrong = sorted(set(values) - names)
            raise UsageError(
                f"{path}: " + (f'"{wrong[0]}" means nothing in a policy' if wrong else "has no thresholds")
            )
        return cls(**_checked(values, path), path=path)


def _load(content: str | bytes) -> Any:
    """The JSON in `content`, in which every number is finite. Raises ValueError or RecursionError."""
    return json.loads(content, parse_constant=_no_number, parse_float=_finite, parse_int=_integer)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise ValueError(f"it has a number of {len(text):,} digits")
    return int(text)


def _checked(values: dict[str, Any], path: str) -> dict[str, Any]:
    """The values with the types of the fields."""
    kinds = {each.name: str(each.type) for each in fields(Policy)}
    result = {}
    for name, value in values.items():
        kind = kinds[name]
        if kind.startswith("tuple") and isinstance(value, list):
            value = tuple(_as_float(each) if name == "thresholds" else each for each in value)
        elif kind in ("float", "float | None"):
            value = _as_float(value)
        if not isinstance(value, _TYPES[kind]):
            raise UsageError(f'{path}: "{name}" cannot be {_shown(value)}')
        result[name] = value
    return result


_NONE = type(None)
_TYPES: dict[str, tuple[type, ...]] = {
    "tuple[float, ...]": (tuple,),
    "tuple[str, ...]": (tuple,),
    "str": (str,),
    "float": (float,),
    "str | None": (str, _NONE),
    "float | None": (float, _NONE),
    "dict[str, Any]": (dict,),
    "list[Any]": (list,),
}


def _as_float(value: Any) -> Any:
    """1 written for 1.0; anything else as it is."""
    return float(value) if type(value) is int and abs(value) <= 1 else value


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _compact(value: Any, indent: str = "  ") -> str:
    """JSON that a person can read: what fits on a line stands on one."""
    flat = json.dumps(value)
    if len(flat) + len(indent) <= 118 or not isinstance(value, (dict, list, tuple)):
        return flat
    deeper = indent + "  "
    if isinstance(value, dict):
        parts = [f"{deeper}{json.dumps(name)}: {_compact(each, deeper)}" for name, each in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}" + "}"
    return "[\n" + ",\n".join(deeper + _compact(each, deeper) for each in value) + f"\n{indent}]"
