"""What a user asks of thresholds, and what is chosen for it: the types below every way to choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from open_nsfw.calibration.rates import Rate


@dataclass(frozen=True)
class Costs:
    """What an error of either kind costs, in any unit."""

    false_positive: float = 1.0
    false_negative: float = 1.0


@dataclass(frozen=True)
class Wishes:
    """What the user said; None where nothing."""

    max_fpr: float | None = None
    min_recall: float | None = None
    cost: Costs | None = None
    review_budget: float | None = None
    bands: tuple[float, ...] | None = None
    prevalence: float | None = None
    """The share of nsfw pictures in the traffic, where it is not the sample's."""
    confidence: float = 0.95
    as_measured: bool = False
    """Promises are about the rates of this sample, not about what can be said of the true ones."""


@dataclass(frozen=True)
class Promise:
    """A limit that the user set on a rate of pictures to come, and whether the thresholds keep it."""

    about: str
    """`false_positive_rate` (at most `limit`), `recall` (at least) or `review`, the share left to people (at most)."""
    limit: float
    measured: Rate
    """On the sample, with its two-sided interval."""
    bound: float
    """The one-sided limit, at the confidence asked for, on the true rate."""
    kept: bool
    """Whether `bound` is within `limit`; with `as_measured`, whether the sample's own rate is."""
    as_measured: bool = False
    warning: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For numbers.json and policies."""
        warning = {} if self.warning is None else {"warning": self.warning}
        about = {"about": self.about, "limit": self.limit, "value": self.measured.value, "bound": self.bound}
        return {**about, "kept": self.kept, "as_measured": self.as_measured, **warning}


@dataclass(frozen=True)
class Choice:
    """Thresholds that fulfil one wish."""

    name: str
    """`promises`, `cost`, `review-budget` or `bands`."""
    option: str
    """As on the command line: `--max-fpr 0.01 --min-recall 0.95`."""
    thresholds: tuple[float, ...]
    """Rising, within 0..1."""
    warnings: tuple[str, ...] = ()
    numbers: dict[str, Rate] = field(default_factory=dict)
    """What the wish is about, measured: `false_positive_rate`, `recall`, `cost`, `review`, `error`."""
    promises: tuple[Promise, ...] = ()
    """The limits among the wish, and whether they are kept."""
