"""The threshold of the least cost against exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from open_nsfw.calibration import least_error, thresholds
from open_nsfw.calibration.choices import Costs, Wishes
from open_nsfw.calibration.sample import Sample
from tests.tools.samples import all_thresholds, fpr_of, in_groups, recall_of, simulate

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("prevalence", [None, 0.05])
def test_no_threshold_is_cheaper(seed: int, prevalence: float | None) -> None:
    """Of all that part the sample in another way."""
    sample = simulate(80, 50, seed)
    share = 50 / 130 if prevalence is None else prevalence
    for costs in (Costs(1, 1), Costs(1, 20), Costs(5, 1)):
        wishes = Wishes(cost=costs, prevalence=prevalence)
        choice = thresholds.choose(sample, wishes)[0]

        def cost(at: float, costs: Costs = costs) -> float:
            blocked, missed = fpr_of(sample, at), 1 - recall_of(sample, at)
            return costs.false_positive * (1 - share) * blocked + costs.false_negative * share * missed

        assert cost(choice.thresholds[0]) == pytest.approx(min(map(cost, all_thresholds(sample))), **CLOSE)
        assert choice.numbers["cost"].value == pytest.approx(cost(choice.thresholds[0]), **CLOSE)


def test_a_cost_known_too_roughly_is_said_to_be() -> None:
    """With the size of a sample that would do."""
    choice = thresholds.choose(simulate(100, 60), Wishes(cost=Costs(1, 20)))[0]
    assert "knowing it to within a fifth would take about" in choice.warnings[0]
    assert thresholds.choose(simulate(20_000, 20_000), Wishes(cost=Costs(1, 1)))[0].warnings == ()


def test_the_optimism_of_a_choice_is_in_its_interval() -> None:
    """Errors that were made least on the sample are more elsewhere: in most samples the interval reaches higher."""
    wishes, higher = Wishes(cost=Costs(1, 20)), 0
    for seed in range(10):
        sample = simulate(100, 60, seed)
        choice = thresholds.choose(sample, wishes)[0]
        as_it_stands = least_error.expected_cost(sample, choice.thresholds[0], Costs(1, 20), wishes)
        assert choice.numbers["cost"].value == as_it_stands.value
        assert choice.numbers["cost"].high >= as_it_stands.high
        higher += choice.numbers["cost"].high > as_it_stands.high
    assert higher > 5


@pytest.mark.parametrize(("groups", "most"), [(40, 2000), (40, 10)])
def test_no_group_is_parted(groups: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pictures are alike: thresholds chosen on some of them would know the others."""
    monkeypatch.setattr(least_error, "MOST_STRATIFIED", most)
    sample = in_groups(groups, 5, 0.9)
    assert sample.groups is not None
    folds = least_error._folds(sample)
    assert len(folds) == 10
    assert sorted(np.concatenate([part for _, part in folds])) == list(range(len(sample.nsfw)))
    for rest, part in folds:
        assert not set(sample.groups[rest]) & set(sample.groups[part])
        assert 0 < sample.nsfw[rest].sum() < len(rest)


def test_a_class_of_one_group_cannot_be_divided() -> None:
    """Nor can a sample of one group; the cost is measured all the same."""
    sample = simulate(40, 30)
    for numbers in (np.where(sample.nsfw, 0, np.arange(70)), np.zeros(70, dtype=np.int64)):
        one = Sample(sample.scores, sample.nsfw, numbers)
        assert least_error._folds(one) == []
        assert thresholds.choose(one, Wishes(cost=Costs()))[0].numbers["cost"].value is not None
