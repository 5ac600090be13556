"""Labels of today, such as those of a review's audit: are a policy's error rates still those that it was chosen with?

How scores lie tells nothing of pictures that score as ever and are of the other class; labels do. At each threshold of the policy
the weighted false-positive rate and recall of today are compared with those that the policy keeps, by Fisher's exact test of the
effective counts: a rate's numerator and denominator over its design effect. With several rates, each p-value is multiplied by
their number (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from open_nsfw.calibration.groups import COLUMN, numbered, sample_of, warning
from open_nsfw.calibration.label_file import read_label_file
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.rates import Rate, class_rate
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.scored import from_entries
from open_nsfw.calibration.words import ABOUT, number, shown
from open_nsfw.errors import UsageError

SIGNIFICANCE = 0.01  # as of drift.py
RATES = {"false_positive_rate": False, "recall": True}  # whether more of it is better
MOST = 1e9  # pictures in a policy's rate


@dataclass(frozen=True)
class AuditedRate:
    """One rate, then and now."""

    about: str
    """`false_positive_rate` or `recall`."""
    threshold: float
    then: Rate
    now: Rate
    p_value: float
    """How often chance alone makes as great a difference, Bonferroni's factor included; at most 1."""

    @property
    def verdict(self) -> str:
        """`same`, `worse` or `better`."""
        if self.p_value >= SIGNIFICANCE:
            return "same"
        rose = (self.now.value or 0.0) > (self.then.value or 0.0)
        return "better" if rose == RATES[self.about] else "worse"


@dataclass(frozen=True)
class Audit:
    """What labels of today say about a policy."""

    sfw: int
    nsfw: int
    rates: tuple[AuditedRate, ...]
    warning: str | None = None
    """Where they come from few sources."""

    @property
    def holds(self) -> bool:
        """Whether no rate has become worse."""
        return all(each.verdict != "worse" for each in self.rates)


def read_audit(path: str, names: LabelNames, policy: Policy, any_model: bool = False) -> Sample:
    """What a file of labels says of its pictures: scores, labels, weights and groups. Raises UsageError if it has no scores, or
    those of another model than the policy's, unless `any_model`."""
    labels = read_label_file(path, names)
    if not labels.scored:
        raise UsageError(f"{path}: has no scores; `open-nsfw review export` writes labels with them")
    scored = from_entries(labels)
    if scored.model is not None and not any_model:
        policy.check_model(scored.model)
    examples = scored.found.examples()
    if not examples:
        raise UsageError(f"{path}: no picture in it has a score and a label")
    return sample_of(examples, numbered([each.group for each in examples]))


def audit(policy: Policy, sample: Sample) -> Audit:
    """Compare the rates of a sample of today with those of `policy`. Raises UsageError if the policy keeps none."""
    pairs = list(_pairs(policy, sample))
    if not pairs:
        raise UsageError(f"{policy.path}: keeps no error rates to compare with; calibrate again")
    rates = [AuditedRate(*each, min(_p_value(*each[2:]) * len(pairs), 1.0)) for each in pairs]
    return Audit(sample.negatives, sample.positives, tuple(rates), warning(sample, COLUMN))


def _pairs(policy: Policy, sample: Sample) -> Iterator[tuple[str, float, Rate, Rate]]:
    """(about, threshold, then, now) for each rate that both have pictures for."""
    tables = policy.rates.get("thresholds")
    for table in tables if isinstance(tables, list) else ():
        threshold = table.get("threshold") if isinstance(table, dict) else None
        if threshold not in policy.thresholds:
            continue  # changed by hand since
        for about in RATES:
            then = _rate_in(table.get(about))
            now = class_rate(sample, about == "recall", sample.scores >= threshold, policy.confidence)
            if then is not None and now.of:
                yield about, threshold, then, now


def _rate_in(kept: Any) -> Rate | None:
    """A rate as a policy keeps it; None for what is none."""
    if not isinstance(kept, dict):
        return None
    values: list[Any] = [kept.get(name) for name in ("value", "low", "high", "count", "of")]
    values.append(kept.get("design_effect", 1.0))
    if not all(type(each) in (int, float) and 0 <= each <= MOST for each in values):
        return None
    value, low, high, count, of, effect = values
    if not (value <= 1 and low <= high <= 1 and count <= of and of >= 1 and 0 < effect <= of):
        return None
    return Rate(float(value), float(low), float(high), int(count), int(of), float(effect))


def _p_value(then: Rate, now: Rate) -> float:
    from scipy.stats import fisher_exact

    table = [[round(each.hits), round(max(each.worth - each.hits, 0.0))] for each in (then, now)]
    p_value = float(fisher_exact(table).pvalue)
    return p_value if math.isfinite(p_value) else 1.0


# --- in words ---

_WORDS = {"same": "no difference that matters", "worse": "worse than it was", "better": "better than it was"}


def text(found: Audit) -> str:
    """The result for people."""
    lines = [f"{found.sfw + found.nsfw:,} labels of today: {found.sfw:,} sfw, {found.nsfw:,} nsfw"]
    if found.warning is not None:
        lines.append(found.warning)
    for each in found.rates:
        lines.append(
            f"{ABOUT[each.about]} at {number(each.threshold)}: {shown(each.now)} today, {shown(each.then)} then, "
            f"p {each.p_value:.2g}: {_WORDS[each.verdict]}"
        )
    lines.append(
        "By these labels, the policy's error rates still hold."
        if found.holds
        else "By these labels, the policy errs more than it did: calibrate again, with them."
    )
    return "\n".join(lines) + "\n"
