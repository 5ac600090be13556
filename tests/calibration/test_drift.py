"""Whether a policy still holds: the two comparisons, the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

from scipy.stats import chi2_contingency

from open_nsfw.calibration import drift
from open_nsfw.calibration.distribution import distribution_of
from open_nsfw.calibration.sample import Sample
from tests.tools.helpers import examples


def scores(sfw: int, nsfw: int, random: np.random.Generator, shift: float = 0.0) -> Any:
    """Scores of so many pictures of either class, sfw first; `shift` moves the sfw ones up."""
    logits = np.concatenate((random.normal(-2 + shift, 1, sfw), random.normal(1.5, 1.3, nsfw)))
    return 1 / (1 + np.exp(-logits))


def policy_of(sfw: int, nsfw: int, random: np.random.Generator) -> Policy:
    """A policy that was chosen on such a sample."""
    sample = Sample(scores(sfw, nsfw, random), np.arange(sfw + nsfw) >= sfw)
    return Policy((0.2, 0.8), model="m", made="2026-01-02", scores=distribution_of(sample).as_json())


def compared(sfw: int, nsfw: int, shift: float = 0.0, seed: int = 0) -> drift.Drift:
    """Such traffic against a sample of 400 sfw and 400 nsfw."""
    random = np.random.default_rng(seed)
    return drift.compare(policy_of(400, 400, random), scores(sfw, nsfw, random, shift).tolist())


def test_the_index_is_that_of_the_formula() -> None:
    """Sum of (a - e) ln(a / e); the same rows have none, in any number."""
    expected, actual = np.array([10.0, 20, 70]), np.array([30.0, 30, 40])
    e, a = expected / 100, actual / 100
    assert drift.psi(expected, actual) == pytest.approx(float(np.sum((a - e) * np.log(a / e))), rel=1e-12)
    assert drift.psi(expected, 3 * expected) == pytest.approx(0, abs=1e-15)
    assert 0 < drift.psi(np.array([0.0, 100]), np.array([50.0, 50])) < 10


def test_the_plain_test_is_scipys() -> None:
    """On bins that hold enough for it."""
    first, second = np.array([30.0, 40, 50]), np.array([50.0, 40, 20])
    expected = chi2_contingency(np.array([first, second]))
    assert drift.homogeneity(first, second) == (expected.statistic, expected.pvalue)
    sparse = np.array([30.0, 40, 49, 1]), np.array([50.0, 40, 19, 1])
    merged = chi2_contingency(np.array([first, second]))
    assert drift.homogeneity(*sparse) == (merged.statistic, merged.pvalue)
    assert drift.homogeneity(np.array([9.0, 0]), np.array([5.0, 0])) == (0.0, 1.0)


def test_the_same_traffic_holds() -> None:
    """Nothing happened."""
    found = compared(500, 500)
    assert (found.plain.verdict, found.fair.verdict, found.holds) == ("stable", "stable", True)
    assert drift.conclusion(found) == "The policy still holds."
    assert sum(found.bands.values()) == pytest.approx(1)


def test_another_share_of_nsfw_is_no_drift_of_the_rates() -> None:
    """A labelled sample is half nsfw, traffic hardly ever."""
    found = compared(2900, 100)
    assert (found.plain.verdict, found.fair.verdict, found.holds) == ("another", "stable", True)
    assert found.nsfw_share == pytest.approx(100 / 3000, abs=0.015)
    assert found.sample_share == 0.5
    assert drift.conclusion(found).startswith("The policy still holds: the share of nsfw pictures is another")


def test_pictures_that_score_otherwise_end_a_policy() -> None:
    """Safe pictures that score higher than they did are no matter of shares."""
    found = compared(2900, 100, shift=1.5)
    assert (found.fair.verdict, found.holds) == ("another", False)
    assert drift.conclusion(found).startswith("The policy no longer holds: ")
    slight = compared(4000, 400, shift=0.35)
    assert (slight.fair.verdict, slight.holds) == ("moved", False)
    assert drift.conclusion(slight).startswith("The policy may no longer hold: ")


def beta_scores(sfw: int, nsfw: int, random: np.random.Generator) -> Any:
    """Scores of classes that hardly overlap, as those of a good network: most bins hold one of them alone. sfw first."""
    return np.concatenate((random.beta(0.4, 6, sfw), random.beta(6, 0.8, nsfw)))


@pytest.mark.parametrize("sample", [(115, 35), (500, 500), (2000, 300)])
@pytest.mark.parametrize("shift", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_safe_pictures_that_score_higher_never_hold(sample: tuple[int, int], shift: float, share: float) -> None:
    """Also where the bins that they come into held hardly any before; without the shift, the policy holds."""
    random = np.random.default_rng(1)
    kept = distribution_of(Sample(beta_scores(*sample, random), np.arange(sum(sample)) >= sample[0])).as_json()
    policy, nsfw = Policy((0.2, 0.8), scores=kept), round(3000 * share)
    today = beta_scores(3000 - nsfw, nsfw, random)
    assert drift.compare(policy, today.tolist()).holds
    today[: 3000 - nsfw] += shift
    found = drift.compare(policy, np.clip(today, 0, 1).tolist())
    assert not found.holds and found.fair.p_value < 1e-6


@pytest.mark.parametrize("score", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_scores_that_are_all_one_never_hold(score: float) -> None:
    """As those of a camera that shows a wall, or of a service that answers a constant."""
    random = np.random.default_rng(0)
    kept = distribution_of(Sample(beta_scores(500, 500, random), np.arange(1000) >= 500)).as_json()
    found = drift.compare(Policy((0.2, 0.8), scores=kept), [score] * 1000)
    assert not found.holds and found.fair.p_value < 1e-6


def test_a_difference_that_may_be_chance_is_no_proof_that_it_holds() -> None:
    """Of a sample that is worth little, any scores may be."""
    random = np.random.default_rng(0)
    policy = policy_of(400, 400, random)
    grouped = replace(policy, scores={**policy.scores, "sfw_worth": 16.0, "nsfw_worth": 16.0})
    found = drift.compare(grouped, scores(400, 400, random, shift=1.2).tolist())
    assert (found.fair.verdict, found.holds) == ("unclear", False)
    assert drift.conclusion(found) == (
        "Too few pictures to tell whether the policy holds: the scores lie otherwise, and chance alone may do that with a "
        "sample that is worth so little; label more pictures and calibrate again."
    )


def test_too_few_scores_tell_nothing() -> None:
    """Not that all is well either."""
    found = compared(50, 49)
    assert (found.enough, found.holds) == (False, False)
    assert drift.conclusion(found) == "Too few scores to tell: 99, and it takes 100 at least."
    assert compared(50, 50).enough
    assert drift.conclusion(compared(1, 1)) == "Too few scores to tell: 2, and it takes 100 at least."


@pytest.mark.once
def test_p_values_are_those_of_chance_where_nothing_changed() -> None:
    """5 of 100 under 0.05, whatever the share of nsfw is today and however many there are; 3 standard errors allowed."""
    for sfw, nsfw in ((600, 600), (1140, 60), (30_000, 1000)):
        values = np.array([compared(sfw, nsfw, seed=seed).fair.p_value for seed in range(200)])
        for level in (0.01, 0.05, 0.2):
            assert np.mean(values < level) < level + 3 * np.sqrt(level * (1 - level) / 200)
        assert np.mean(values < 0.5) > 0.3
    values = np.array([compared(600, 600, seed=seed).plain.p_value for seed in range(200)])
    assert np.mean(values < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean(values < 0.5) > 0.3


def test_a_policy_without_a_distribution_cannot_be_checked() -> None:
    """Somebody wrote it by hand."""
    for kept in (
        {},
        {"edges": [0.5], "sfw": [1, 2], "nsfw": [1]},
        {"edges": [0.5], "sfw": [0, 0], "nsfw": [1, 1]},
        {"edges": ["a"], "sfw": [1, 1], "nsfw": [1, 1]},
        {"edges": [0.5, 0.4], "sfw": [1, 1, 1], "nsfw": [1, 1, 1]},
        {"edges": [0.5], "sfw": [1, -1], "nsfw": [1, 1]},
        {"edges": [0.5], "sfw": [1e300, 1], "nsfw": [1, 1e300]},
        {"edges": [0.5], "sfw": [float("inf"), 1], "nsfw": [1, 1]},
        {"edges": [0.5], "sfw": [float("nan"), 1], "nsfw": [1, 1]},
        {"edges": [0.5], "sfw": [10**400, 1], "nsfw": [1, 1]},
        {"edges": [0.5], "sfw": [1e-300, 0], "nsfw": [0, 1]},
        {"edges": [float("inf")], "sfw": [1, 1], "nsfw": [1, 1]},
        {"edges": [0.5], "sfw": [True, 1], "nsfw": [1, 1]},
        {"edges": [0.5], "sfw": [1, 1], "nsfw": [1, 1], "sfw_worth": 3},
        {"edges": [0.5], "sfw": [1, 1], "nsfw": [1, 1], "nsfw_worth": 1e-9},
        {"edges": [n / 3000 for n in range(2000)], "sfw": [1] * 2001, "nsfw": [1] * 2001},
    ):
        with pytest.raises(UsageError) as caught:
            drift.compare(Policy((0.2, 0.8), scores=kept), [0.5])
        assert str(caught.value) == "the policy: keeps no distribution of scores to compare with; calibrate again"


@given(
    st.lists(st.floats(0, 1), max_size=12, unique=True),
    st.lists(st.integers(0, 10**12) | st.integers(0, 3), min_size=26, max_size=26),
    st.lists(st.floats(0, 1), min_size=1, max_size=300),
)
@settings(max_examples=examples(150), deadline=None)
def test_whatever_a_policy_keeps_gives_finite_numbers_or_one_line(
    edges: list[float], counts: list[int], today: list[float]
) -> None:
    """Bins of ten to the twelfth beside empty ones, and matrices that cannot be inverted."""
    bins = len(edges) + 1
    kept = {"edges": sorted(edges), "sfw": counts[:bins], "nsfw": counts[13 : 13 + bins]}
    try:
        found = drift.compare(Policy((0.2, 0.8), scores=kept), today)
    except UsageError as error:
        assert "\n" not in str(error)
        return
    for each in (found.plain, found.fair):
        assert np.isfinite([each.psi, each.statistic, each.p_value]).all()
    assert 0 <= found.nsfw_share <= 1


def test_a_policy_of_a_handful_of_pictures_tells_nothing() -> None:
    """Whatever today's scores are: it must not be said to hold."""
    kept = {"edges": [0.5], "sfw": [2, 0], "nsfw": [0, 2]}
    found = drift.compare(Policy((0.2, 0.8), scores=kept), [0.9] * 500)
    assert (found.testable, found.enough, found.holds) == (False, False, False)
    assert drift.conclusion(found) == (
        "The policy was chosen on too few pictures to tell: label more of them and calibrate again."
    )


def test_a_sample_in_groups_is_worth_less_in_the_test() -> None:
    """The index stays, chance explains more."""
    random = np.random.default_rng(0)
    policy = policy_of(400, 400, random)
    traffic = scores(400, 400, random, shift=0.5).tolist()
    grouped = replace(policy, scores={**policy.scores, "sfw_worth": 40.0, "nsfw_worth": 40.0})
    alone, few = drift.compare(policy, traffic), drift.compare(grouped, traffic)
    assert few.plain.psi == alone.plain.psi
    assert few.plain.p_value > 10 * alone.plain.p_value
    assert few.fair.p_value > 10 * alone.fair.p_value
