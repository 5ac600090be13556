"""Curves, areas and bands against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from sklearn import metrics as sklearn_metrics

from open_nsfw.calibration import curves
from open_nsfw.calibration.sample import Sample
from tests.tools.samples import in_groups, simulate


def test_areas_and_curves_are_scikit_learns() -> None:
    """And the values of the bands lie on the curves."""
    sample = simulate(150, 120)
    found = curves.curves(sample, curves.BootstrapOptions(50))
    assert found.auc.value == sklearn_metrics.roc_auc_score(sample.nsfw, sample.scores)
    assert found.average_precision.value == sklearn_metrics.average_precision_score(sample.nsfw, sample.scores)
    assert found.brier == sklearn_metrics.brier_score_loss(sample.nsfw, sample.scores)
    fpr, tpr, _ = sklearn_metrics.roc_curve(sample.nsfw, sample.scores, drop_intermediate=False)
    assert found.roc_band.value.tolist() == [tpr[fpr <= at].max() for at in curves.GRID]
    precision, recall, _ = sklearn_metrics.precision_recall_curve(sample.nsfw, sample.scores)
    at_least = [precision[np.flatnonzero(recall >= at)[-1]] for at in curves.GRID]
    assert found.pr_band.value.tolist() == at_least
    for band in (found.roc_band, found.pr_band):
        assert np.all((0 <= band.low) & (band.low <= band.value) & (band.value <= band.high) & (band.high <= 1))


def test_a_resample_is_scikit_learns_curve_with_weights() -> None:
    """The bootstrap's own arithmetic, for one draw of weights."""
    sample = simulate(40, 30)
    random = np.random.default_rng(1)
    positives, negatives = curves._steps(sample)
    weights = random.standard_gamma(positives), random.standard_gamma(negatives)
    levels = np.unique(sample.scores)[::-1]
    scores, labels = np.concatenate((levels, levels)), np.repeat([True, False], len(levels))
    each = np.concatenate((weights[0] / weights[0].sum(), weights[1] / weights[1].sum() / 0.75))
    kept = each > 0
    found = curves._average_precision(curves._cumulative(weights[0]), curves._cumulative(weights[1]), 0.75)
    expected = sklearn_metrics.average_precision_score(labels[kept], scores[kept], sample_weight=each[kept])
    assert found == pytest.approx(expected, rel=1e-9)


def test_many_scores_are_drawn_in_steps_that_change_nothing_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bands of the coarse and of the fine bootstrap agree."""
    sample = simulate(4000, 2000, decimals=12)
    fine = curves.curves(sample, curves.BootstrapOptions(200))
    monkeypatch.setattr(curves, "MOST_STEPS", 1000)
    positives, negatives = curves._steps(sample)
    assert (len(positives), positives.sum(), negatives.sum()) == (1000, 2000, 4000)
    coarse = curves.curves(sample, curves.BootstrapOptions(200))
    inner = slice(2, -2)
    for name in ("low", "high"):
        difference = getattr(fine.roc_band, name)[inner] - getattr(coarse.roc_band, name)[inner]
        assert np.abs(difference).max() < 0.02
    assert fine.auc == coarse.auc


def test_delongs_error_is_that_of_the_definition() -> None:
    """Every picture against every one of the other class."""
    sample = simulate(30, 20)
    above = np.subtract.outer(sample.scores[sample.nsfw], sample.scores[~sample.nsfw])
    wins = (above > 0) + 0.5 * (above == 0)
    expected = np.sqrt(wins.mean(1).var(ddof=1) / 20 + wins.mean(0).var(ddof=1) / 30)
    assert curves._area_error(sample) == pytest.approx(expected, rel=1e-12)


def test_a_sample_without_error_has_an_interval_all_the_same() -> None:
    """Ten and ten pictures in perfect order prove no perfect model."""
    sample = Sample(np.linspace(0, 1, 20), np.arange(20) >= 10)
    found = curves.curves(sample, curves.BootstrapOptions(200))
    assert (found.auc.value, found.auc.high) == (1.0, 1.0)
    assert 0.7 < found.auc.low < 0.9
    assert found.average_precision.low < 0.9
    assert found.roc_band.low[20] < 0.8


def test_the_error_of_groups_is_obuchowskis() -> None:
    """Her sums over clusters, written out; groups of one picture each give DeLong's."""
    sample = in_groups(14, 4, 0.5)
    assert sample.groups is not None
    mixed = Sample(sample.scores, sample.nsfw, sample.groups // 2)  # some groups have pictures of both classes
    alone = Sample(sample.scores, sample.nsfw, np.arange(len(sample.nsfw)))
    for each in (sample, mixed, alone):
        assert curves._area_error(each) == pytest.approx(_obuchowski(each), rel=1e-9)
    assert curves._area_error(alone) == pytest.approx(curves._area_error(Sample(sample.scores, sample.nsfw)), rel=1e-9)


def _obuchowski(sample: Sample) -> float:
    groups = sample.groups
    assert groups is not None
    positives, negatives = sample.scores[sample.nsfw], sample.scores[~sample.nsfw]
    area = sklearn_metrics.roc_auc_score(sample.nsfw, sample.scores)
    wins = (np.subtract.outer(positives, negatives) > 0) + 0.5 * (np.subtract.outer(positives, negatives) == 0)
    off = {}
    for number in np.unique(groups):
        rows, columns = groups[sample.nsfw] == number, groups[~sample.nsfw] == number
        off[number] = ((wins.mean(1)[rows] - area).sum(), (wins.mean(0)[columns] - area).sum())
    with_positives, with_negatives = len(set(groups[sample.nsfw])), len(set(groups[~sample.nsfw]))
    s10 = with_positives / ((with_positives - 1) * len(positives)) * sum(a**2 for a, _ in off.values())
    s01 = with_negatives / ((with_negatives - 1) * len(negatives)) * sum(b**2 for _, b in off.values())
    s11 = len(off) / (len(off) - 1) * sum(a * b for a, b in off.values())
    variance = s10 / len(positives) + s01 / len(negatives) + 2 * s11 / (len(positives) * len(negatives))
    return float(np.sqrt(variance))


def test_groups_widen_everything() -> None:
    """Ten versions of each picture leave the curves where they are, and the intervals about as wide as without them."""
    sample = simulate(60, 40)
    times = Sample(np.repeat(sample.scores, 10), np.repeat(sample.nsfw, 10), np.repeat(np.arange(100), 10))
    ungrouped = Sample(times.scores, times.nsfw)
    once, ten, naive = (curves.curves(each, curves.BootstrapOptions(300)) for each in (sample, times, ungrouped))
    for name in ("auc", "average_precision"):
        one, many, narrow = (getattr(each, name) for each in (once, ten, naive))
        assert many.value == pytest.approx(one.value, abs=1e-12)
        assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.2)
        assert narrow.high - narrow.low < 0.5 * (one.high - one.low)
    width = (once.roc_band.high - once.roc_band.low).mean()
    assert (ten.roc_band.high - ten.roc_band.low).mean() == pytest.approx(width, rel=0.1)
