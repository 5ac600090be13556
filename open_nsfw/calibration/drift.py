"""Drift: do today's scores still lie as those of the sample that a policy was chosen on?

A policy's false-positive rate and recall hold as long as safe pictures score as safe pictures did, and nsfw ones as
nsfw ones did. Their shares may change: a labelled sample often has far more nsfw pictures than the traffic. So two
comparisons are made:

- plain: today's scores with all of the sample's, as they are;
- fair: today's scores with the mixture of the sample's two classes that fits them best. Only what no share of nsfw
explains
  is held against the policy.

Each has the population stability index (Siddiqi, Credit Risk Scorecards, 2006: below 0.1 stable, from 0.25 on another
population) and a two-sample test: scipy's chi-squared test of homogeneity for the plain comparison, the least
chi-squared distance over all mixtures for the fair one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError

BINS = 10
EDGE_DIGITS = 6  # significant
STABLE, ANOTHER = 0.1, 0.25  # of the index
SIGNIFICANCE = 0.01  # a test run every day should not cry wolf every three weeks
FEWEST = 100  # scores of today; fewer tell nothing about ten bins
LEAST_EXPECTED = 5.0  # pictures in a bin before the chi-squared approximation holds (Cochran 1954)
HALF = 0.5  # picture in an empty bin, whose logarithm would be endless


def score_bins(sample: Any) -> dict[str, Any]:
    """What a policy keeps of a sample's scores: `edges` between at most `BINS` bins that hold about as much of both
    classes together, each class counting the same, and how many pictures of each class lie in each."""
    import numpy as np

    steps = np.linspace(0, 1, 1001)
    pooled = np.concatenate([np.quantile(sample.scores[chosen], steps) for chosen in (~sample.nsfw, sample.nsfw)])
    inner = np.quantile(pooled, np.linspace(0, 1, BINS + 1)[1:-1])
    edges = sorted({float(f"{edge:.{EDGE_DIGITS}g}") for edge in inner if edge > 0})
    sfw, nsfw = (counts(sample.scores[chosen], edges) for chosen in (~sample.nsfw, sample.nsfw))
    return {"edges": edges, "sfw": sfw, "nsfw": nsfw}


def counts(scores: Any, edges: Sequence[float]) -> list[int]:
    """How many scores lie in each bin; a score on an edge belongs to the bin above."""
    import numpy as np

    bins = np.searchsorted(edges, scores, side="right")
    return [int(count) for count in np.bincount(bins, minlength=len(edges) + 1)]


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
        """`stable`, `moved` or `another`."""
        if self.psi < STABLE or self.p_value >= SIGNIFICANCE:
            return "stable"
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

    @property
    def enough(self) -> bool:
        """Whether there are scores enough to tell."""
        return self.scores >= FEWEST

    @property
    def holds(self) -> bool:
        """Whether the policy still has ground under it."""
        return self.enough and self.fair.verdict == "stable"


def compare(policy: Policy, scores: Sequence[float], without: int = 0) -> Drift:
    """Compare `scores`, at least one, with the sample of `policy`. Raises UsageError if the policy keeps no
    distribution."""
    import numpy as np

    edges, sfw, nsfw = _kept(policy)
    today = np.array(counts(scores, edges), dtype=np.float64)
    mixture, share, statistic, p_value = _fit(sfw, nsfw, today)
    inside = np.bincount([policy.bands.index(policy.verdict(score)) for score in scores], minlength=len(policy.bands))
    return Drift(
        scores=len(scores),
        without=without,
        plain=Comparison(psi(sfw + nsfw, today), *homogeneity(sfw + nsfw, today)),
        fair=Comparison(psi(mixture * today.sum(), today), statistic, p_value),
        nsfw_share=share,
        sample_share=float(nsfw.sum() / (sfw.sum() + nsfw.sum())),
        bands={name: float(count / len(scores)) for name, count in zip(policy.bands, inside)},
    )


def _kept(policy: Policy) -> tuple[Any, Any, Any]:
    import numpy as np

    edges = policy.scores.get("edges")
    found = [policy.scores.get(name) for name in ("sfw", "nsfw")]
    rows = [edges, *found]
    if not all(
        isinstance(row, list) and all(type(value) in (int, float) and value >= 0 for value in row) for row in rows
    ):
        raise _no_distribution(policy)
    edges, sfw, nsfw = (np.array(row, dtype=np.float64) for row in rows)
    if not len(sfw) == len(nsfw) == len(edges) + 1 or not sfw.sum() or not nsfw.sum() or np.any(np.diff(edges) <= 0):
        raise _no_distribution(policy)
    return edges, sfw, nsfw


def _no_distribution(policy: Policy) -> UsageError:
    return UsageError(f"{policy.path}: keeps no distribution of scores to compare with; calibrate again")


def psi(expected: Any, actual: Any) -> float:
    """The population stability index of two rows of counts: the sum of (a - e) ln(a / e) over their shares."""
    import numpy as np

    e, a = (np.maximum(row, HALF) / np.maximum(row, HALF).sum() for row in (expected, actual))
    return float(np.sum((a - e) * np.log(a / e)))


def homogeneity(first: Any, second: Any) -> tuple[float, float]:
    """(statistic, p-value) of the chi-squared test that two rows of counts come from one distribution."""
    import numpy as np
    from scipy.stats import chi2_contingency

    total = first + second
    least = total * min(first.sum(), second.sum()) / total.sum()
    groups = _groups(least)
    table = np.array([np.bincount(groups, row) for row in (first, second)])
    if table.shape[1] < 2:
        return 0.0, 1.0
    result = chi2_contingency(table)
    return float(result.statistic), float(result.pvalue)


def _groups(expected: Any) -> Any:
    """The number of the group that each bin belongs to: neighbours go together until `LEAST_EXPECTED` are expected."""
    import numpy as np

    groups, number, gathered = [], 0, 0.0
    for value in expected:
        if gathered >= LEAST_EXPECTED:
            number, gathered = number + 1, 0.0
        groups.append(number)
        gathered += value
    if gathered < LEAST_EXPECTED and number:  # the last has too little for itself
        groups = [min(group, number - 1) for group in groups]
    return np.array(groups)


def _fit(sfw: Any, nsfw: Any, today: Any) -> tuple[Any, float, float, float]:
    """(the mixture as shares of the bins, its share of nsfw, statistic, p-value) of the mixture next to `today`.

    The distance is that of today's shares from the mixture's, by the covariance which both have from being counted on
    so many pictures; one share is fitted, so it has two degrees of freedom less than there are bins.
    """
    from scipy.optimize import minimize_scalar
    from scipy.stats import chi2

    def distance(share: float, groups: Any = None) -> float:
        rows = [_grouped(row, groups) for row in (sfw, nsfw, today)]
        return _distance(rows[0], rows[1], rows[2], share)

    first = _best(minimize_scalar, distance)
    groups = _groups(_worth(sfw, nsfw, today, first))
    share = _best(minimize_scalar, lambda at: distance(at, groups))
    statistic, freedom = distance(share, groups), int(groups.max()) - 1
    p_value = float(chi2.sf(statistic, freedom)) if freedom > 0 else 1.0
    return _mixture(sfw, nsfw, share), share, statistic, p_value


def _best(minimize: Any, function: Any) -> float:
    """Where between 0 and 1 the function is least, both ends included, which the search itself only nears."""
    found = float(minimize(function, bounds=(0, 1), method="bounded", options={"xatol": 1e-6}).x)
    return min((0.0, found, 1.0), key=function)


def _grouped(row: Any, groups: Any) -> Any:
    import numpy as np

    return row if groups is None else np.bincount(groups, row)


def _shares(row: Any) -> Any:
    return (row + HALF / len(row)) / (row.sum() + HALF)


def _mixture(sfw: Any, nsfw: Any, share: float) -> Any:
    return (1 - share) * _shares(sfw) + share * _shares(nsfw)


def _worth(sfw: Any, nsfw: Any, today: Any, share: float) -> Any:
    """As how many pictures each bin of the mixture is known, in today's traffic or in the sample, whichever is less."""
    import numpy as np

    mixture = _mixture(sfw, nsfw, share)
    variance = (1 - share) ** 2 * _shares(sfw) / sfw.sum() + share**2 * _shares(nsfw) / nsfw.sum()
    return np.minimum(mixture * today.sum(), mixture**2 / variance)


def _distance(sfw: Any, nsfw: Any, today: Any, share: float) -> float:
    """Squared Mahalanobis distance of today's shares from the mixture's; the last bin follows from the others.

    The covariance is that of the counting, were both drawn from what they say together: by the sample alone, a bin in
    which it happens to have too few would seem to be known too well.
    """
    import numpy as np

    mixture, seen = _mixture(sfw, nsfw, share), today / today.sum()
    if len(mixture) < 2:
        return 0.0
    worth = 1 / ((1 - share) ** 2 / sfw.sum() + share**2 / nsfw.sum())
    together = (worth * mixture + today) / (worth + today.sum())
    parts = [(together, 1 / today.sum())]
    for row, weight in ((sfw, (1 - share) ** 2), (nsfw, share**2)):
        shares = _shares(row) * together / mixture
        parts.append((shares / shares.sum(), weight / row.sum()))
    covariance = sum(weight * (np.diag(p) - np.outer(p, p)) for p, weight in parts)[:-1, :-1]
    off = (seen - mixture)[:-1]
    return float(off @ np.linalg.solve(covariance, off))


# --- the result in words ---


def text(policy: Policy, drift: Drift) -> str:
    """The result for people."""
    sample = sum(policy.scores["sfw"]) + sum(policy.scores["nsfw"])
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


_WORDS = {"stable": "no difference that matters", "moved": "they have moved", "another": "another population"}


def conclusion(drift: Drift) -> str:
    """One sentence: does the policy hold?"""
    if not drift.enough:
        return f"Too few scores to tell: {drift.scores:,}, and it takes {FEWEST} at least."
    if drift.fair.verdict == "another":
        return "The policy has no ground under it any more: label a new sample and calibrate again."
    if drift.fair.verdict == "moved":
        return "The ground under the policy has moved: its rates may be off; label a new sample soon."
    if drift.plain.verdict == "stable":
        return "The policy still has ground under it."
    return (
        "The policy still has ground under it: the share of nsfw pictures is another one, which leaves its "
        "false-positive rate and recall as they were, but not its precision nor the share of pictures in each band."
    )
