"""Before and after."""

from __future__ import annotations

import numpy as np
import pytest

from open_nsfw.calibration.curves import BootstrapOptions
from open_nsfw.calibration.sample import Sample
from open_nsfw.training.measure import Comparison, compare, threshold_at

metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed in this interpreter")


def scores(nsfw: np.ndarray, apart: float, seed: int) -> np.ndarray:
    """Scores whose classes are so far apart."""
    random = np.random.default_rng(seed)
    return 1 / (1 + np.exp(-(apart * (2 * nsfw - 1) + random.normal(size=len(nsfw)))))


def compared(
    before: np.ndarray,
    after: np.ndarray,
    nsfw: np.ndarray,
    prevalence: float | None = None,
    weights: np.ndarray | None = None,
    max_fpr: float = 0.1,
) -> Comparison:
    """With 200 resamples."""
    found = {"before": before, "recalibrated": before, "after": after}
    tested = Sample(before, nsfw, np.arange(len(nsfw)), weights)
    return compare(found, tested, max_fpr, prevalence, BootstrapOptions(200))


NSFW = np.arange(200) % 4 == 0


def test_numbers_are_those_of_scikit_learn() -> None:
    """Called directly."""
    before, after = scores(NSFW, 0.5, 0), scores(NSFW, 2, 1)
    found = compared(before, after, NSFW)
    for name, values in (("before", before), ("after", after)):
        measured = {each.name: getattr(each, name).value for each in found.measures}
        assert measured["auc"] == pytest.approx(metrics.roc_auc_score(NSFW, values), abs=1e-12)
        assert measured["log_loss"] == pytest.approx(metrics.log_loss(NSFW, values), abs=1e-12)
        assert measured["brier"] == pytest.approx(metrics.brier_score_loss(NSFW, values), abs=1e-12)
        fpr, recall, _ = metrics.roc_curve(NSFW, values)
        assert measured["recall"] == pytest.approx(recall[fpr <= 0.1].max(), abs=1e-12)
    for each in found.measures:
        assert each.difference.value == pytest.approx((each.after.value or 0) - (each.before.value or 0), abs=1e-12)
        for rate in (each.before, each.after, each.difference):
            assert rate.low <= (rate.value or 0) <= rate.high


def test_better_and_worse() -> None:
    """A model that ranks better is better, one that ranks worse is not, and the same one is not."""
    bad, good = scores(NSFW, 0.5, 0), scores(NSFW, 2, 1)
    assert [compared(*pair, NSFW).better for pair in ((bad, good), (good, bad), (good, good))] == [True, False, False]


@pytest.mark.parametrize(("groups", "better"), [(4, False), (8, False), (40, True)])
def test_few_groups_tell_little(groups: int, better: bool) -> None:
    """All of both classes in order, as it may be by chance where 80 pictures come from four or eight sources; one source in four
    was out of order before."""
    number = np.arange(80) % groups
    nsfw, odd = number % 2 == 0, number % 4 == 0
    after = np.where(nsfw, 0.6, 0.4) + 0.01 * np.random.default_rng(0).random(80)
    before = np.where(odd, 0.3, after)
    found = {"before": before, "recalibrated": after, "after": after}
    tested = Sample(before, nsfw, number)
    comparison = compare(found, tested, 0.1, None, BootstrapOptions(200))
    assert comparison.measure("auc").after.value == 1
    assert comparison.better == better


def test_the_same_model_has_differences_of_0() -> None:
    """Paired: both are measured with the same weights."""
    found = compared(scores(NSFW, 1, 0), scores(NSFW, 1, 0), NSFW)
    for each in found.measures:
        assert (each.difference.value, each.difference.low, each.difference.high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_perfect_scores_have_intervals() -> None:
    """50 of 50 is not known to be all."""
    found = compared(scores(NSFW, 1, 0), NSFW * 0.98 + 0.01, NSFW)
    for name in ("auc", "recall"):
        rate = found.measure(name).after
        assert rate.value == 1 and rate.low < 0.99


def test_prevalence() -> None:
    """Log loss and Brier score are those of traffic with another share of nsfw; ranking does not change."""
    before, after = scores(NSFW, 0.5, 0), scores(NSFW, 2, 1)
    plain, rare = compared(before, after, NSFW), compared(before, after, NSFW, 0.01)
    weights = np.where(NSFW, 0.01 / 0.25, 0.99 / 0.75)
    expected = metrics.log_loss(NSFW, after, sample_weight=weights)
    assert rare.measure("log_loss").after.value == pytest.approx(expected, abs=1e-12)
    assert rare.measure("auc").after.value == pytest.approx(plain.measure("auc").after.value or 0, abs=1e-12)


def test_weights() -> None:
    """Each picture counts as many times as it stands for, in every number, also at another share of nsfw."""
    before, after = scores(NSFW, 0.5, 0), scores(NSFW, 2, 1)
    weights = np.where(NSFW, 1.0, 9.0) * np.random.default_rng(2).integers(1, 9, len(NSFW))
    found = compared(before, after, NSFW, weights=weights)
    for name, values in (("before", before), ("after", after)):
        measured = {each.name: getattr(each, name).value for each in found.measures}
        assert measured["auc"] == pytest.approx(metrics.roc_auc_score(NSFW, values, sample_weight=weights), abs=1e-12)
        expected = metrics.log_loss(NSFW, values, sample_weight=weights)
        assert measured["log_loss"] == pytest.approx(expected, abs=1e-12)
        expected = metrics.brier_score_loss(NSFW, values, sample_weight=weights)
        assert measured["brier"] == pytest.approx(expected, abs=1e-12)
        fpr, recall, _ = metrics.roc_curve(NSFW, values, sample_weight=weights)
        assert measured["recall"] == pytest.approx(recall[fpr <= 0.1].max(), abs=1e-12)
    rare = compared(before, after, NSFW, 0.01, weights)
    share = weights[NSFW].sum() / weights.sum()
    expected = metrics.log_loss(NSFW, after, sample_weight=weights * np.where(NSFW, 0.01 / share, 0.99 / (1 - share)))
    assert rare.measure("log_loss").after.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("prevalence", [0.01, 0.02, 0.05, 0.1, 0.3])
def test_recall_is_the_same_at_any_share_of_nsfw(prevalence: float) -> None:
    """To the last picture, where the limit is a rate that the sample can have: 3 of 60."""
    nsfw = np.arange(100) % 5 < 2
    for seed in range(5):
        values = scores(nsfw, 1, seed)
        plain, other = (
            compared(values, values, nsfw, max_fpr=0.05),
            compared(values, values, nsfw, prevalence, None, 0.05),
        )
        assert other.measure("recall").after.value == plain.measure("recall").after.value


def test_threshold_at() -> None:
    """The lowest that keeps the limit; above every score where the highest one is of a sfw picture."""
    values, nsfw = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
    assert [threshold_at(values, nsfw, limit) for limit in (0.0, 0.5, 1.0)] == [0.4, 0.2, 0.1]
    assert threshold_at(values, ~nsfw, 0.0) == float("inf")
