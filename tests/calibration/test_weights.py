"""Weights: pictures that were not all as likely to be labelled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.calibration import rates
from open_nsfw.calibration.choices import Costs, Wishes
from open_nsfw.calibration.curves import BootstrapOptions, curves
from open_nsfw.calibration.distribution import distribution_of
from open_nsfw.calibration.label_file import read_label_file
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.thresholds import choose
from open_nsfw.errors import UsageError

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

OPTIONS = BootstrapOptions(50, 0, 0.95)
SHARE, MEAN, SPREAD = 0.1, 3.0, 1.5  # of the population that the simulation draws from


def drawn(count: int, seed: int) -> tuple[Sample, Sample]:
    """(pictures with whole weights from 1 to 4, the same pictures so many times each)."""
    random = np.random.default_rng(seed)
    nsfw = random.random(count) < 0.4
    scores = np.round(expit(np.where(nsfw, 1.5, -1.5) + random.normal(size=count)), 2)  # with ties
    weights = random.integers(1, 5, count)
    return Sample(scores, nsfw, weights=weights.astype(float)), Sample(scores.repeat(weights), nsfw.repeat(weights))


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_counts_like_so_many_pictures(seed: int) -> None:
    """In every number that is measured; only how well it is known differs."""
    weighted, repeated = drawn(150, seed)
    for threshold in (0.2, 0.5, 0.83):
        one, other = (rates.confusion(each, threshold, 0.95) for each in (weighted, repeated))
        for name in ("recall", "false_positive_rate", "precision", "accuracy"):
            rate, same = getattr(one, name), getattr(other, name)
            assert rate.value == pytest.approx(same.value)
            assert (
                rate.low <= same.low and rate.high >= same.high and rate.low < rate.high
            )  # 150 pictures tell less than 375
    one_curve, other_curve = (curves(each, OPTIONS) for each in (weighted, repeated))
    assert one_curve.auc.value == pytest.approx(other_curve.auc.value)
    assert one_curve.average_precision.value == pytest.approx(other_curve.average_precision.value)
    assert one_curve.brier == pytest.approx(other_curve.brier)
    assert one_curve.roc_band.value == pytest.approx(other_curve.roc_band.value)
    assert one_curve.pr_band.value == pytest.approx(other_curve.pr_band.value)
    assert one_curve.auc.high - one_curve.auc.low > other_curve.auc.high - other_curve.auc.low
    for first, second in zip(rates.reliability(weighted, 0.95), rates.reliability(repeated, 0.95)):
        assert (first.mean_score, first.nsfw.value) == pytest.approx((second.mean_score, second.nsfw.value))


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(max_fpr=0.1, as_measured=True),
        Wishes(min_recall=0.9, as_measured=True),
        Wishes(cost=Costs(1, 5)),
        Wishes(cost=Costs(3, 1), prevalence=0.02),
        Wishes(review_budget=0.2, as_measured=True),
    ],
    ids=str,
)
def test_thresholds_are_those_of_so_many_pictures(wishes: Wishes) -> None:
    """As measured, where how well a rate is known does not matter."""
    weighted, repeated = drawn(150, 4)
    (one,), (other,) = (choose(each, wishes) for each in (weighted, repeated))
    assert one.thresholds == other.thresholds


def test_equal_weights_change_nothing() -> None:
    """Whatever they are."""
    weighted, _ = drawn(200, 5)
    plain = Sample(weighted.scores, weighted.nsfw)
    same = Sample(weighted.scores, weighted.nsfw, weights=np.full(200, 7.0))
    for threshold in (0.3, 0.6):
        one, other = (rates.confusion(each, threshold, 0.95) for each in (plain, same))
        assert one.recall.low == pytest.approx(other.recall.low, rel=1e-3)
        assert one.false_positive_rate.high == pytest.approx(other.false_positive_rate.high, rel=1e-3)
    assert curves(plain, OPTIONS).auc.low == pytest.approx(curves(same, OPTIONS).auc.low)
    assert distribution_of(same).sfw == pytest.approx(distribution_of(plain).sfw, abs=3)


def labelled_by_uncertainty(seed: int) -> Sample:
    """What people label of 5,000 pictures: all from 0.2 to 0.8, 5 % of the rest."""
    random = np.random.default_rng(seed)
    nsfw = random.random(5000) < SHARE
    scores = expit(np.where(nsfw, MEAN, -MEAN) + SPREAD * random.normal(size=5000))
    probability = np.where((scores >= 0.2) & (scores < 0.8), 1.0, 0.05)
    asked = random.random(5000) < probability
    return Sample(scores[asked], nsfw[asked], weights=1 / probability[asked])


def test_weighted_rates_cover_the_truth_and_unweighted_ones_do_not() -> None:
    """At 95 %; a hundred repetitions. benchmarks/weighted_coverage.py has more, and other rates."""
    truth = (float(norm.sf(logit(0.5), -MEAN, SPREAD)), float(norm.sf(logit(0.5), MEAN, SPREAD)))
    covered = {"weighted": 0, "unweighted": 0}
    for seed in range(100):
        sample = labelled_by_uncertainty(seed)
        for way, each in (("weighted", sample), ("unweighted", Sample(sample.scores, sample.nsfw))):
            table = rates.confusion(each, 0.5, 0.95)
            found = (table.false_positive_rate, table.recall)
            covered[way] += sum(rate.low <= true <= rate.high for rate, true in zip(found, truth))
    assert covered["weighted"] >= 186  # of 200; 95 % are 190, and two standard errors less are 184
    assert covered["unweighted"] <= 20


def test_a_promise_is_about_weights() -> None:
    """Without them, the pictures in the middle make the false-positive rate look ten times as high."""
    sample = labelled_by_uncertainty(1)
    (weighted,) = choose(sample, Wishes(max_fpr=0.05))
    (unweighted,) = choose(Sample(sample.scores, sample.nsfw), Wishes(max_fpr=0.05))
    assert weighted.promises[0].kept and unweighted.promises[0].kept
    assert norm.sf(logit(weighted.thresholds[0]), -MEAN, SPREAD) <= 0.05
    assert weighted.thresholds[0] < unweighted.thresholds[0] - 0.1  # which would block less than it may


@pytest.mark.parametrize(
    "cell, message",
    [
        ("0", "line 3: the weight '0' is no number from 1e-12 to 1e+12"),
        ("-1", "line 3: the weight '-1' is no number from 1e-12 to 1e+12"),
        ("nan", "line 3: the weight 'nan' is no number from 1e-12 to 1e+12"),
        ("1e-160", "line 3: the weight '1e-160' is no number from 1e-12 to 1e+12"),
        ("1e300", "line 3: the weight '1e300' is no number from 1e-12 to 1e+12"),
        ("two", "line 3: the weight 'two' is no number from 1e-12 to 1e+12"),
        ("", "line 3: the weight is empty; give all lines one, or none"),
    ],
)
def test_wrong_weights_are_refused(tmp_path: Path, cell: str, message: str) -> None:
    """With the line."""
    path = tmp_path / "labels.csv"
    path.write_text(f"score,label,weight\n0.5,nsfw,2\n0.1,sfw,{cell}\n")
    with pytest.raises(UsageError) as error:
        read_label_file(str(path), LabelNames())
    assert str(error.value) == f"{path} {message}"


def test_the_command_uses_the_column_weight(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says so, and the policy has the weighted rates."""
    sample = labelled_by_uncertainty(2)
    assert sample.weights is not None
    rows = zip(sample.scores.tolist(), sample.nsfw.tolist(), sample.weights.tolist())
    lines = [f"{score!r},{int(nsfw)},{weight!r}" for score, nsfw, weight in rows]
    (tmp_path / "labels.csv").write_text("\n".join(["score,label,weight", *lines]) + "\n")
    assert open_nsfw(["calibrate", str(tmp_path / "labels.csv"), "--bands", "0.5", "--resamples", "30"]) == 0
    assert f"weighted, standing for {sample.weights.sum():,.0f}" in capsys.readouterr().out
    policy = json.loads((tmp_path / "labels-calibration" / "policy.json").read_text())
    rate = policy["rates"]["thresholds"][0]["false_positive_rate"]
    assert rate["low"] <= norm.sf(0, -MEAN, SPREAD) <= rate["high"]
    assert "The pictures have weights" in (tmp_path / "labels-calibration" / "report.html").read_text()
    score_file = tmp_path / "today.jsonl"
    score_file.write_text("".join(json.dumps({"score": score}) + "\n" for score in sample.scores.tolist()))
    assert open_nsfw(["policy", "check", str(tmp_path / "labels-calibration" / "policy.json"), str(score_file)]) in (
        0,
        1,
    )
