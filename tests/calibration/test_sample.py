"""How many independent pictures a sample in groups is worth."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from scipy.stats import f_oneway, norm, rankdata
from scipy.stats import t as student

from open_nsfw.calibration.rates import class_rate, mixed_rate, rate
from open_nsfw.calibration.sample import Sample, intraclass_correlation
from tests.tools.samples import in_groups, simulate


def test_pictures_that_stand_for_themselves_have_no_design_effect() -> None:
    """Whether that is said or not."""
    sample = simulate(30, 20)
    alone = Sample(sample.scores, sample.nsfw, np.arange(50))
    for each in (sample, alone):
        assert (each.class_effect(True), each.class_effect(False), each.mixed_effect(each.nsfw)) == (1, 1, 1)
        assert (each.class_worth(True), each.class_worth(False), each.group_count) == (20, 30, 50)


def test_the_correlation_is_that_of_the_analysis_of_variance() -> None:
    """For groups of one size it follows from scipy's F."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 5)
    values = random.normal(size=12)[groups] + random.normal(size=60)
    f = f_oneway(*(values[groups == each] for each in range(12))).statistic
    assert intraclass_correlation(values, groups) == pytest.approx((f - 1) / (f + 4), rel=1e-9)


def test_extremes_of_the_correlation() -> None:
    """All alike; no more alike than chance; one group; all pictures of one score."""
    groups = np.repeat(np.arange(6), 4)
    assert intraclass_correlation(groups.astype(float), groups) == 1
    assert intraclass_correlation(np.tile(np.arange(4.0), 6), groups) == 0
    assert intraclass_correlation(np.arange(4.0), np.zeros(4, dtype=np.int64)) == 1
    assert intraclass_correlation(np.ones(24), groups) == 1


def test_copies_are_worth_one_picture_each() -> None:
    """Ten of each."""
    sample = simulate(30, 20, decimals=9)
    copies = Sample(np.repeat(sample.scores, 10), np.repeat(sample.nsfw, 10), np.repeat(np.arange(50), 10))
    assert copies.class_worth(True) == pytest.approx(20)
    assert copies.class_worth(False) == pytest.approx(30)
    assert copies.mixed_effect(np.ones(500, dtype=bool)) == 10
    flagged = copies.scores >= 0.5
    one, many = (class_rate(each, False, each.scores >= 0.5, 0.95) for each in (sample, copies))
    assert (many.count, many.of, many.design_effect) == (10 * (one.count or 0), 300, pytest.approx(10))
    assert (many.value, many.low, many.high) == (
        one.value,
        pytest.approx(one.low, rel=1e-9),
        pytest.approx(one.high, rel=1e-9),
    )
    assert many.as_json()["design_effect"] == many.design_effect
    precision = mixed_rate(copies, flagged, copies.nsfw, 0.95)
    expected = rate(int((sample.nsfw & (sample.scores >= 0.5)).sum()), int((sample.scores >= 0.5).sum()), 0.95)
    assert (precision.low, precision.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_effect_is_kishs_and_korns() -> None:
    """1 + (m - 1) ICC of the ranks, m the mean size of the group that a picture is in; more for few groups."""
    sample = in_groups(20, 6, 0.5)
    assert sample.groups is not None
    groups = sample.groups[sample.nsfw]
    size = np.mean([(groups == each).sum() for each in groups])
    correlation = intraclass_correlation(rankdata(sample.scores[sample.nsfw]), groups)
    few = (student.ppf(0.975, len(set(groups)) - 1) / student.ppf(0.975, len(groups) - 1)) ** 2
    assert sample.class_effect(True) == pytest.approx((1 + (size - 1) * correlation) * few, rel=1e-9)
    assert sample.class_effect(True) < size


@pytest.mark.parametrize(("groups", "size", "likeness"), [(12, 40, 0.1), (20, 30, 0.95), (40, 8, 0.5), (60, 4, 0.2)])
def test_intervals_of_groups_cover_the_truth(groups: int, size: int, likeness: float) -> None:
    """In 95 of 100 samples or more, here 400 of them less three standard errors; without groups they are far too short."""
    covered = ignored = 0
    for seed in range(400):
        sample = in_groups(groups, size, likeness, seed)
        flagged = sample.scores >= 0.5
        truth = norm.sf(1.5)
        found = class_rate(sample, False, flagged, 0.95)
        covered += found.low <= truth <= found.high
        naive = class_rate(Sample(sample.scores, sample.nsfw), False, flagged, 0.95)
        ignored += naive.low <= truth <= naive.high
    assert covered >= 400 * 0.95 - 3 * np.sqrt(400 * 0.95 * 0.05)
    assert ignored < covered
