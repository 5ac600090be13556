"""Drift: do today's scores still lie as those of the sample that a policy was chosen on?

A policy's false-positive rate and recall hold as long as safe pictures score as safe pictures did, and nsfw ones as
nsfw ones did. Their shares may change: a labelled sample often has far more nsfw pictures than the traffic. So two
comparisons are made:

- plain: today's scores with all of the sample's, as they are;
- fair: today's scores with the mixture of the sample's two classes that fits them best. Only what no share of nsfw
  explains is held against the policy.

Each has the population stability index (Siddiqi, Credit Risk Scorecards, 2006: below 0.1 stable, from 0.25 on another
population) and a two-sample test: scipy's chi-squared test of homogeneity for the plain comparison, that of the mixture with
the highest p-value for the fair one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.distribution import distribution_in
from open_nsfw.calibration.mixture import HALF, Classes, fit, gathered
from open_nsfw.calibration.policy import Policy
from open_nsfw.calibration.sample import Floats
from open_nsfw.errors import UsageError

STABLE, ANOTHER = 0.1, 0.25  # of the index
SIGNIFICANCE = 0.01  # a test that is run every day should not raise a false alarm every three weeks
FEWEST = 100  # scores of today; fewer tell nothing about ten bins


@dataclass(frozen=True)
class Comparison:
    """Today's scores against a distribution."""

    psi: float
    """Population stability index."""
    statistic: float
    p_value: float
    """Of the two-sample test: how often chance alone makes as great a difference."""

    @property
    def verdict(self) -> str:
        """`stable`, `moved`, `another`, or `unclear`: another population or chance, with too few pictures to tell."""
        if self.psi < STABLE or (self.psi < ANOTHER and self.p_value >= SIGNIFICANCE):
            return "stable"
        if self.p_value >= SIGNIFICANCE:
            return "unclear"
        return "another" if self.psi >= ANOTHER else "moved"


@dataclass(frozen=True)
class Drift:
    """What became of the scores."""

    scores: int
    without: int
    """Rows that have no score."""
    plain: Comparison
    fair: Comparison
    nsfw_share: float
    """Of today's pictures, by the best fit; 0..1."""
    sample_share: float
    bands: dict[str, float]
    """Today's share of pictures in each band of the policy."""
    testable: bool = True
    """Whether the policy was chosen on enough pictures to compare any with."""

    @property
    def enough(self) -> bool:
        """Whether there are scores enough to tell."""
        return self.scores >= FEWEST and self.testable

    @property
    def holds(self) -> bool:
        """Whether the policy still holds."""
        return self.enough and self.fair.verdict == "stable"


def compare(policy: Policy, scores: Sequence[float], without: int = 0) -> Drift:
    """Compare `scores`, at least one, each from 0 to 1, with the sample of `policy`. Raises UsageError if the policy keeps no
    distribution that they can be compared with."""
    kept = distribution_in(policy)
    today = kept.counts(scores)
    # In groups, the pictures of a class are worth fewer independent ones, and so are those of each bin.
    classes = Classes(kept.sfw * (kept.sfw_worth / kept.sfw.sum()), kept.nsfw * (kept.nsfw_worth / kept.nsfw.sum()))
    sample, found = classes.sfw + classes.nsfw, fit(classes, today)
    inside = np.bincount([policy.bands.index(policy.verdict(score)) for score in scores], minlength=len(policy.bands))
    drift = Drift(
        scores=len(scores),
        without=without,
        plain=Comparison(psi(kept.sfw + kept.nsfw, today), *homogeneity(sample, today)),
        fair=Comparison(psi(found.shares * today.sum(), today), found.statistic, found.p_value),
        nsfw_share=found.nsfw_share,
        sample_share=float(kept.nsfw.sum() / (kept.sfw.sum() + kept.nsfw.sum())),
        bands={name: float(count / len(scores)) for name, count in zip(policy.bands, inside)},
        testable=found.freedom > 0,
    )
    numbers = [value for each in (drift.plain, drift.fair) for value in (each.psi, each.statistic, each.p_value)]
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"{policy.path}: keeps a distribution of scores that cannot be compared; calibrate again")
    return drift


def psi(expected: Floats, actual: Floats) -> float:
    """The population stability index of two rows of counts: the sum of (a - e) ln(a / e) over their shares."""
    e, a = (np.maximum(row, HALF) / np.maximum(row, HALF).sum() for row in (expected, actual))
    return float(np.sum((a - e) * np.log(a / e)))


def homogeneity(first: Floats, second: Floats) -> tuple[float, float]:
    """(statistic, p-value) of the chi-squared test that two rows of counts come from one distribution."""
    from scipy.stats import chi2_contingency

    total = first + second
    least = total * min(first.sum(), second.sum()) / total.sum()
    groups = gathered(least)
    table = np.array([np.bincount(groups, row) for row in (first, second)])
    if table.shape[1] < 2:
        return 0.0, 1.0
    result = chi2_contingency(table)
    return float(result.statistic), float(result.pvalue)


# --- the result in words ---


def text(policy: Policy, drift: Drift) -> str:
    """The result for people."""
    kept = distribution_in(policy)
    sample = int(kept.sfw.sum() + kept.nsfw.sum())
    lines = [
        f"{drift.scores:,} scores of today against {sample:,} of the sample of {policy.made or 'an unknown day'}",
        _line("as they are", drift.plain),
        _line("another share of nsfw allowed for", drift.fair),
        f"share of nsfw that fits best: {drift.nsfw_share:.1%} today, {drift.sample_share:.1%} in the sample",
        "today's pictures: " + ", ".join(f"{share:.1%} {name}" for name, share in drift.bands.items()),
        conclusion(drift),
    ]
    return "\n".join(lines) + "\n"


def _line(what: str, found: Comparison) -> str:
    return f"{what}: population stability index {found.psi:.3f}, p {found.p_value:.2g}: {_WORDS[found.verdict]}"


_WORDS = {
    "stable": "no difference that matters",
    "unclear": "another population, or chance",
    "moved": "they have moved",
    "another": "another population",
}


def conclusion(drift: Drift) -> str:
    """One sentence: does the policy hold?"""
    if drift.scores < FEWEST:
        return f"Too few scores to tell: {drift.scores:,}, and it takes {FEWEST} at least."
    if not drift.testable:
        return "The policy was chosen on too few pictures to tell: label more of them and calibrate again."
    if drift.fair.verdict == "another":
        return "The policy no longer holds: label a new sample and calibrate again."
    if drift.fair.verdict == "unclear":
        return (
            "Too few pictures to tell whether the policy holds: the scores lie otherwise, and chance alone may do that with a "
            "sample that is worth so little; label more pictures and calibrate again."
        )
    if drift.fair.verdict == "moved":
        return "The policy may no longer hold: the scores have moved, so its rates may be off; label a new sample soon."
    if drift.plain.verdict in ("stable", "unclear"):
        return "The policy still holds."
    return (
        "The policy still holds: the share of nsfw pictures is another one, which leaves its "
        "false-positive rate and recall as they were, but not its precision nor the share of pictures in each band."
    )
