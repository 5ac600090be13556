"""Rates, curves and thresholds against scikit-learn, scipy and exhaustive search; then the command itself.

No picture is needed: scores and labels are simulated, ties among them. The last tests score harmless pictures that were
pushed over the range of scores.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.calibration.policy import Policy
from open_nsfw.installing import install_command
from tests.tools.helpers import DATA, ROOT

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")
pytest.importorskip("matplotlib", reason="matplotlib is not installed in this interpreter")

from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from open_nsfw.calibration import curves, least_error, thresholds
from open_nsfw.calibration import rates as measure
from open_nsfw.calibration.thresholds import Costs, Wishes

# matplotlib for Python 3.9 calls what pyparsing has renamed since.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:matplotlib.*", "ignore:.*deprecated - use:DeprecationWarning"
)

CLOSE = {"rel": 1e-12, "abs": 1e-12}


def simulate(sfw: int, nsfw: int, seed: int = 0, decimals: int = 2) -> measure.Sample:
    """Scores of two overlapping classes, rounded so that many are equal."""
    random = np.random.default_rng(seed)
    logits = np.concatenate((random.normal(-1.5, 1, sfw), random.normal(1.5, 1.3, nsfw)))
    order = random.permutation(sfw + nsfw)
    scores = np.round(1 / (1 + np.exp(-logits)), decimals)
    return measure.Sample(scores[order], (np.arange(sfw + nsfw) >= sfw)[order])


def write_csv(path: Path, sample: measure.Sample) -> Path:
    """`score,label` of a sample."""
    lines = [f"{score!r},{'nsfw' if nsfw else 'sfw'}" for score, nsfw in zip(sample.scores.tolist(), sample.nsfw)]
    path.write_text("\n".join(["score,label", *lines, ""]))
    return path


def calibrated(tmp_path: Path, sample: measure.Sample, *options: str) -> dict[str, Any]:
    """numbers.json of a run of the command on the scores of a sample."""
    labels = write_csv(tmp_path / "labels.csv", sample)
    assert open_nsfw(["calibrate", str(labels), "--resamples", "50", *options]) == 0
    numbers: dict[str, Any] = json.loads((tmp_path / "labels-calibration" / "numbers.json").read_text())
    return numbers


# --- rates ---


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 30), (299, 300), (5, 100_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_intervals_of_rates_are_exact(count: int, total: int, confidence: float) -> None:
    """As scipy has them."""
    found = measure.rate(count, total, confidence)
    expected = binomtest(count, total).proportion_ci(confidence, method="exact")
    assert (found.value, found.count, found.of) == (count / total, count, total)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)
    one_sided = binomtest(count, total, alternative="less").proportion_ci(confidence, method="exact")
    assert measure.upper_limit(count, total, confidence) == pytest.approx(one_sided.high, rel=1e-9)


def test_nothing_counted_is_no_rate() -> None:
    """Anything is possible."""
    assert measure.rate(0, 0, 0.95) == measure.Rate(None, 0.0, 1.0, 0, 0)


def test_rates_at_another_prevalence() -> None:
    """Precision and accuracy follow from recall and false-positive rate; scikit-learn gives them with weights."""
    sample = simulate(300, 200)
    found = measure.confusion(sample, 0.5, 0.95, prevalence=0.02)
    weights = np.where(sample.nsfw, 0.02 / 200, 0.98 / 300)
    flagged = sample.scores >= 0.5
    expected = sklearn_metrics.precision_score(sample.nsfw, flagged, sample_weight=weights)
    assert found.precision.value == pytest.approx(expected, **CLOSE)
    assert found.precision.low < expected < found.precision.high
    expected = sklearn_metrics.accuracy_score(sample.nsfw, flagged, sample_weight=weights)
    assert found.accuracy.value == pytest.approx(expected, **CLOSE)


# --- curves ---


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
    assert curves._delong_error(sample) == pytest.approx(expected, rel=1e-12)


def test_a_sample_without_error_has_an_interval_all_the_same() -> None:
    """Ten and ten pictures in perfect order prove no perfect model."""
    sample = measure.Sample(np.linspace(0, 1, 20), np.arange(20) >= 10)
    found = curves.curves(sample, curves.BootstrapOptions(200))
    assert (found.auc.value, found.auc.high) == (1.0, 1.0)
    assert 0.7 < found.auc.low < 0.9
    assert found.average_precision.low < 0.9
    assert found.roc_band.low[20] < 0.8


def test_a_sample_of_two_is_no_reason_to_fail() -> None:
    """One picture of each class, in either order, and all of one score."""
    for scores in ([0.1, 0.9], [0.9, 0.1], [0.5, 0.5]):
        sample = measure.Sample(np.array(scores), np.array([False, True]))
        found = curves.curves(sample, curves.BootstrapOptions(20))
        assert found.auc.low < 0.5 or found.auc.value == 1
        assert 0 <= found.auc.low <= found.auc.high <= 1
        for wishes in (Wishes(max_fpr=0.1), Wishes(min_recall=0.9), Wishes(cost=Costs()), Wishes(review_budget=0.1)):
            assert thresholds.choose(sample, wishes)[0].thresholds


# --- thresholds ---


def all_thresholds(sample: measure.Sample) -> list[float]:
    """One for every way to part the sample."""
    levels = np.unique(sample.scores)
    return [0.0, *((levels[1:] + levels[:-1]) / 2), float((levels[-1] + 1) / 2)]


def fpr_of(sample: measure.Sample, threshold: float) -> float:
    """On the sample."""
    return float((sample.scores[~sample.nsfw] >= threshold).mean())


def recall_of(sample: measure.Sample, threshold: float) -> float:
    """On the sample."""
    return float((sample.scores[sample.nsfw] >= threshold).mean())


@pytest.mark.parametrize("seed", range(5))
def test_promises_are_kept_with_confidence_and_no_further(seed: int) -> None:
    """The limit on the rate is within the promise, and no threshold on the near side of the next picture keeps it."""
    sample = simulate(400, 300, seed)
    for promise in (0.02, 0.05, 0.2):
        at = thresholds.choose(sample, Wishes(max_fpr=promise))[0].thresholds[0]
        limits = {
            each: measure.upper_limit(round(400 * fpr_of(sample, each)), 400, 0.95)
            for each in [at, *all_thresholds(sample)]
        }
        assert limits[at] <= promise
        assert all(recall_of(sample, each) <= recall_of(sample, at) for each in limits if limits[each] <= promise)
        at = thresholds.choose(sample, Wishes(min_recall=1 - promise))[0].thresholds[0]
        limits = {
            each: measure.upper_limit(round(300 * (1 - recall_of(sample, each))), 300, 0.95)
            for each in [at, *all_thresholds(sample)]
        }
        assert limits[at] <= promise
        assert all(fpr_of(sample, each) >= fpr_of(sample, at) for each in limits if limits[each] <= promise)


@pytest.mark.parametrize("seed", range(5))
def test_promises_as_measured_are_those_of_the_roc_curve(seed: int) -> None:
    """The best point of scikit-learn's curve that keeps them on the sample."""
    sample = simulate(90, 60, seed)
    fpr, recall, _ = sklearn_metrics.roc_curve(sample.nsfw, sample.scores, drop_intermediate=False)
    choice = thresholds.choose(sample, Wishes(max_fpr=0.1, as_measured=True))[0]
    assert recall_of(sample, choice.thresholds[0]) == recall[fpr <= 0.1].max()
    assert fpr_of(sample, choice.thresholds[0]) <= 0.1
    assert "is taken at the sample's word: the true one may be" in choice.warnings[0]
    choice = thresholds.choose(sample, Wishes(min_recall=0.9, as_measured=True))[0]
    assert fpr_of(sample, choice.thresholds[0]) == fpr[recall >= 0.9].min()


def test_two_promises_make_two_thresholds_or_one() -> None:
    """With people between them where the classes overlap."""
    sample = simulate(400, 300)
    apart = thresholds.choose(sample, Wishes(max_fpr=0.05, min_recall=0.97))[0]
    assert len(apart.thresholds) == 2
    assert apart.option == "--max-fpr 0.05 --min-recall 0.97"
    single = thresholds.choose(sample, Wishes(max_fpr=0.3, min_recall=0.6))[0]
    assert len(single.thresholds) == 1
    assert single.numbers["false_positive_rate"].high <= 0.3
    assert single.numbers["recall"].low >= 0.6


@pytest.mark.parametrize(("promise", "least"), [(0.05, 59), (0.01, 299), (0.001, 2995), (0.1, 29)])
def test_how_many_pictures_a_promise_takes(promise: float, least: int) -> None:
    """The least sample without an error that supports it, as binomial tables have it."""
    assert thresholds.needed(promise, 0.95) == least
    assert thresholds.allowed_errors(least, promise, 0.95) == 0
    assert thresholds.allowed_errors(least - 1, promise, 0.95) == -1


def test_too_small_a_sample_is_said_to_be() -> None:
    """In a sentence that says how many it takes; the sample's own rate is kept nevertheless."""
    choice = thresholds.choose(simulate(50, 20), Wishes(max_fpr=0.01, min_recall=0.95))[0]
    assert choice.warnings == (
        "the sample is too small to support a false-positive rate of at most 1 %: even without an error among its 50 "
        "pictures of that class the true one may be 5.8 %; it takes at least 299 of them",
        "the sample is too small to support a recall of at least 95 %: even without an error among its 20 pictures of "
        "that class the true one may be 86.1 %; it takes at least 59 of them",
    )
    assert choice.numbers["false_positive_rate"].value == 0
    assert choice.numbers["recall"].value == 0.95
    assert thresholds.choose(simulate(60, 20), Wishes(max_fpr=0.05))[0].warnings == ()


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


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("prevalence", [None, 0.05])
def test_no_two_thresholds_leave_fewer_errors_within_the_budget(seed: int, prevalence: float | None) -> None:
    """Of all pairs that leave no more to people."""
    sample = simulate(45, 35, seed)
    share = 35 / 80 if prevalence is None else prevalence
    weights = np.where(sample.nsfw, share / 35, (1 - share) / 45)
    wishes = Wishes(review_budget=0.25, prevalence=prevalence, as_measured=True)
    choice = thresholds.choose(sample, wishes)[0]

    def outcome(low: float, high: float) -> tuple[float, float]:
        inside = (sample.scores >= low) & (sample.scores < high)
        wrong = (sample.nsfw & (sample.scores < low)) | (~sample.nsfw & (sample.scores >= high))
        return float(weights[inside].sum()), float(weights[wrong].sum())

    grid = all_thresholds(sample)
    pairs = [outcome(low, high) for index, low in enumerate(grid) for high in grid[index:]]
    review, error = outcome(choice.thresholds[0], choice.thresholds[-1])
    assert review <= 0.25 + 1e-9
    assert error == pytest.approx(min(error for review, error in pairs if review <= 0.25 + 1e-9), **CLOSE)
    assert choice.numbers["review"].value == pytest.approx(review, **CLOSE)
    assert choice.numbers["error"].value == pytest.approx(error, **CLOSE)


def test_a_budget_that_the_sample_cannot_support() -> None:
    """Says so, and how many pictures it takes."""
    choice = thresholds.choose(simulate(20, 20), Wishes(review_budget=0.05))[0]
    assert choice.warnings[0].startswith("the sample is too small to support a review share of at most 5 %: ")
    assert choice.warnings[0].endswith("it takes more than 59 pictures, this sample is worth 40")
    assert thresholds.choose(simulate(400, 400), Wishes(review_budget=0.05))[0].warnings == ()


def test_costs_count_within_the_budget() -> None:
    """Dear misses pull the band down."""
    sample = simulate(400, 300)
    cheap = thresholds.choose(sample, Wishes(review_budget=0.1, cost=Costs(1, 1)))[-1]
    dear = thresholds.choose(sample, Wishes(review_budget=0.1, cost=Costs(1, 50)))[-1]
    assert dear.thresholds[0] < cheap.thresholds[0]


def test_a_cost_known_too_roughly_is_said_to_be() -> None:
    """With the size of a sample that would do."""
    choice = thresholds.choose(simulate(100, 60), Wishes(cost=Costs(1, 20)))[0]
    assert "knowing it to within a fifth would take about" in choice.warnings[0]
    assert thresholds.choose(simulate(20_000, 20_000), Wishes(cost=Costs(1, 1)))[0].warnings == ()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.3, 0.7, 0.5),
        (0.19, 0.21, 0.2),
        (0.2, 0.21, 0.21),
        (0.2, 0.2049, 0.202),
        (0.0, 1e-9, 1e-9),
        (0.99, 1.0, 1.0),
        (0.4538271, 0.4538272, 0.4538272),
    ],
)
def test_thresholds_have_as_few_digits_as_they_may(low: float, high: float, expected: float) -> None:
    """Over the lower score, and at most the higher one, which has to count as nsfw."""
    assert thresholds.between(low, high) == pytest.approx(expected, rel=1e-12)


def test_thresholds_part_any_two_scores() -> None:
    """Also neighbours among all floats."""
    random = np.random.default_rng(0)
    for _ in range(2000):
        low = float(random.random() ** 8)
        for high in (float(np.nextafter(low, 1)), low + float(random.random()) * 1e-6):
            assert low < thresholds.between(low, high) <= high


def test_scores_of_one_leave_no_threshold_over_them() -> None:
    """A promise that would need one is refused; the other ways find their best below."""
    sample = measure.Sample(np.array([0.2] * 30 + [1.0] * 40), np.array([False] * 30 + [True] * 30 + [False] * 10))
    with pytest.raises(thresholds.UsageError) as caught:
        thresholds.choose(sample, Wishes(max_fpr=0.05))
    assert str(caught.value) == (
        "the promise cannot be kept: it asks for a threshold over 1, where the highest scores are"
    )
    assert thresholds.choose(sample, Wishes(cost=Costs(100, 1)))[0].thresholds[0] <= 1
    assert thresholds.choose(sample, Wishes(review_budget=0.1, as_measured=True))[0].thresholds[-1] <= 1


def test_promises_hold_in_the_population() -> None:
    """As often as they say: 95 of 100 samples, here 300 of them, less three standard errors."""
    kept_fpr = kept_recall = 0
    from scipy.special import logit
    from scipy.stats import norm

    for seed in range(300):
        sample = simulate(80, 80, seed, decimals=15)
        at = thresholds.choose(sample, Wishes(max_fpr=0.05))[0].thresholds[0]
        kept_fpr += norm.sf(logit(at), -1.5, 1) <= 0.05
        at = thresholds.choose(sample, Wishes(min_recall=0.9))[0].thresholds[0]
        kept_recall += norm.sf(logit(at), 1.5, 1.3) >= 0.9
    assert min(kept_fpr, kept_recall) >= 300 * 0.95 - 3 * np.sqrt(300 * 0.95 * 0.05)


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


# --- the command, on scores ---


def test_every_number_agrees_with_scikit_learn(tmp_path: Path) -> None:
    """All of numbers.json, on a sample with many ties."""
    sample = simulate(260, 140)
    nsfw, scores = sample.nsfw, sample.scores
    numbers = calibrated(tmp_path, sample, "--max-fpr", "0.05", "--bands", "0.2,0.8", "--policy-from", "bands")
    assert {name: numbers["sample"][name] for name in ("pictures", "sfw", "nsfw", "model")} == {
        **{"pictures": 400, "sfw": 260, "nsfw": 140, "model": None}
    }
    found = numbers["curves"]
    assert found["auc"]["value"] == sklearn_metrics.roc_auc_score(nsfw, scores)
    assert found["average_precision"]["value"] == sklearn_metrics.average_precision_score(nsfw, scores)
    assert found["brier"] == sklearn_metrics.brier_score_loss(nsfw, scores)
    fpr, recall, at = sklearn_metrics.roc_curve(nsfw, scores)
    assert found["roc"]["false_positive_rate"] == fpr.tolist()
    assert found["roc"]["recall"] == recall.tolist()
    assert found["roc"]["threshold"] == [None, *at[1:].tolist()]
    precision, recall, at = sklearn_metrics.precision_recall_curve(nsfw, scores)
    assert (found["pr"]["precision"], found["pr"]["recall"]) == (precision.tolist(), recall.tolist())
    assert found["pr"]["threshold"] == at.tolist()
    assert sorted(table["threshold"] for table in numbers["confusion"])[::2] == [0.2, 0.8]
    for table in numbers["confusion"]:
        flagged = scores >= table["threshold"]
        matrix = sklearn_metrics.confusion_matrix(nsfw, flagged).ravel().tolist()
        names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
        assert [table[name] for name in names] == matrix
        assert table["recall"]["value"] == sklearn_metrics.recall_score(nsfw, flagged)
        assert table["false_positive_rate"]["value"] == 1 - sklearn_metrics.recall_score(~nsfw, ~flagged) or (
            table["false_positive_rate"]["value"] == pytest.approx(sklearn_metrics.recall_score(~nsfw, flagged))
        )
        assert table["precision"]["value"] == sklearn_metrics.precision_score(nsfw, flagged)
        assert table["accuracy"]["value"] == sklearn_metrics.accuracy_score(nsfw, flagged)
    shares, means = calibration_curve(nsfw, scores, n_bins=10)
    assert [each["mean_score"] for each in numbers["reliability"]] == means.tolist()
    assert [each["nsfw"]["value"] for each in numbers["reliability"]] == pytest.approx(shares.tolist(), **CLOSE)
    assert sum(each["nsfw"]["of"] for each in numbers["reliability"]) == 400
    assert (sum(numbers["histogram"]["sfw"]), sum(numbers["histogram"]["nsfw"])) == (260, 140)


def test_the_policy_has_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rates of its bands add up; the summary on stdout names it."""
    sample = simulate(260, 140)
    calibrated(tmp_path, sample, "--bands", "0.2,0.8", "--model-hash", "abc")
    policy = Policy.read(tmp_path / "labels-calibration" / "policy.json")
    assert (policy.thresholds, policy.bands) == ((0.2, 0.8), ("allow", "review", "block"))
    assert (policy.model, policy.chosen_by, policy.prevalence) == ("abc", "--bands 0.2,0.8", None)
    assert policy.sample == {"pictures": 400, "sfw": 260, "nsfw": 140}
    assert sum(policy.rates["bands"][band]["all"]["count"] for band in policy.bands) == 400
    in_review = int(((sample.scores >= 0.2) & (sample.scores < 0.8)).sum())
    assert policy.rates["bands"]["review"]["all"]["count"] == in_review
    assert sum(policy.scores["sfw"]) == 260
    assert policy.verdict(0.2) == "review"
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{tmp_path}/labels.csv: 400 pictures count: 260 sfw, 140 nsfw"
    assert "policy: allow < 0.2 <= review < 0.8 <= block (by --bands 0.2,0.8)" in out
    assert out[-1] == f"written to {tmp_path}/labels-calibration/: report.html policy.json numbers.json plots/"


def test_without_a_wish_the_authors_bands_are_measured(tmp_path: Path) -> None:
    """0.2 and 0.8."""
    numbers = calibrated(tmp_path, simulate(60, 60))
    assert [choice["option"] for choice in numbers["choices"]] == ["--bands 0.2,0.8"]


def test_numbers_do_not_change_from_run_to_run(tmp_path: Path) -> None:
    """The bootstrap has its seed."""
    labels = write_csv(tmp_path / "labels.csv", simulate(60, 60))
    contents = []
    for name in ("a", "b"):
        options = ["--output", str(tmp_path / name), "--resamples", "50", "--quiet"]
        assert open_nsfw(["calibrate", str(labels), *options]) == 0
        paths = sorted(each for each in (tmp_path / name).rglob("*") if each.is_file())
        contents.append({each.name: each.read_bytes() for each in paths})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {
        *("report.html", "policy.json", "numbers.json"),
        *("roc.svg", "precision-recall.svg", "histogram.svg", "reliability.svg"),
    }


def test_curves_of_many_points_are_thinned(tmp_path: Path) -> None:
    """Their ends stay."""
    numbers = calibrated(tmp_path, simulate(3000, 3000, decimals=12))
    found = numbers["curves"]
    assert {key: len(values) for key, values in found["pr"].items()} == {
        "precision": 1000,
        "recall": 1000,
        "threshold": 999,
    }
    assert len({len(values) for values in found["roc"].values()}) == 1
    assert len(found["roc"]["recall"]) <= 1000
    for name in ("roc", "pr"):
        assert {found[name]["recall"][0], found[name]["recall"][-1]} == {0.0, 1.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-fpr", "2"], "--max-fpr: a number between 0 and 1 is needed, not '2'"),
        (["--min-recall", "1"], "--min-recall: a number between 0 and 1 is needed, not '1'"),
        (["--cost", "fp=1"], "--cost: fp=X,fn=Y with numbers above 0 is needed, not 'fp=1'"),
        (["--cost", "fp=1,fn=x"], "--cost: fp=X,fn=Y with numbers above 0 is needed, not 'fp=1,fn=x'"),
        (["--cost", "fp=1,fn=nan"], "--cost: fp=X,fn=Y with numbers above 0 is needed, not 'fp=1,fn=nan'"),
        (
            ["--bands", "0.8,0.2"],
            "--bands: rising numbers from 0 to 1 with commas between are needed, not '0.8,0.2'",
        ),
        (["--bands", "nan"], "--bands: rising numbers from 0 to 1 with commas between are needed, not 'nan'"),
        (["--worst", "-1"], "--worst: a whole number above 0 is needed, not '-1'"),
        (["--bands", "0.5", "--cost", "fp=1,fn=1"], "which thresholds are the policy's? --policy-from cost or bands"),
        (["--policy-from", "cost"], "--policy-from cost: was not asked for; there is bands"),
        (["--bands", "0.2,0.5,0.8"], "3 thresholds part 4 bands: name them with --band-names"),
        (["--band-names", "a,b"], 'the policy: 2 thresholds part 3 bands of different names, not ["a", "b"]'),
        (["--positive", "sfw"], "--positive and --negative are both 'sfw'; two labels are needed"),
        (["--resamples"], "--resamples: a value is missing; write --resamples N"),
        (["--what"], "there is no option --what; see open-nsfw calibrate --help"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, exit status 2."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    assert open_nsfw(["calibrate", str(labels), "--resamples", "20", *options]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"open-nsfw calibrate: error: {message}\n")
    assert not (tmp_path / "labels-calibration").exists()


def test_costs_within_a_budget_need_no_more_words(tmp_path: Path) -> None:
    """The policy is the budget's then."""
    calibrated(tmp_path, simulate(200, 200), "--review-budget", "0.1", "--cost", "fp=1,fn=5")
    assert Policy.read(tmp_path / "labels-calibration" / "policy.json").chosen_by == "--review-budget 0.1"


def test_a_class_without_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is named."""
    (tmp_path / "labels.csv").write_text("score,label\n0.5,nsfw\n")
    assert open_nsfw(["calibrate", str(tmp_path / "labels.csv")]) == 2
    assert capsys.readouterr().err == (
        f"open-nsfw calibrate: error: {tmp_path}/labels.csv: no picture labelled 'sfw' has a score; both labels are needed\n"
    )


def test_scores_of_several_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cannot make one policy; nor can rows of another model than the one that is named."""
    labels = tmp_path / "labels.csv"
    labels.write_text("score,label,model\n0.5,nsfw,a\n0.1,sfw,b\n")
    assert open_nsfw(["calibrate", str(labels)]) == 2
    labels.write_text("score,label,model\n0.5,nsfw,a\n0.1,sfw,a\n")
    assert open_nsfw(["calibrate", str(labels), "--model-hash", "c"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "open-nsfw calibrate: error: the scores are of several models (a, b); calibrate for one",
        f"open-nsfw calibrate: error: --model-hash c: the rows of {labels} are of a",
    ]


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Because a file has its name."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    (tmp_path / "out").write_text("")
    assert open_nsfw(["calibrate", str(labels), "--resamples", "20", "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"open-nsfw calibrate: error: {tmp_path}/out/plots: cannot be made: ")


@pytest.mark.parametrize("library", ["sklearn", "matplotlib"])
def test_a_missing_library_is_answered_with_the_command(library: str, tmp_path: Path) -> None:
    """One line, and nothing was scored for nothing."""
    labels = write_csv(tmp_path / "labels.csv", simulate(20, 20))
    code = (
        f"import sys; sys.modules[{library!r}] = None; "
        "from open_nsfw.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", code, "calibrate", str(labels)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"open-nsfw calibrate: error: {library} is not installed: {install_command('policy')}\n")


def test_every_option_has_its_sentence() -> None:
    """In the help."""
    from open_nsfw.cli.calibrate_options import parser

    assert [action.option_strings for action in parser()._actions if not action.help] == []


# --- the command, on pictures ---

GOLDEN = {each["name"]: each["score"] for each in json.loads((DATA / "golden_scores.json").read_text())["pictures"]}
PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A folder with the pushed pictures: those from 0.5 on are labelled nsfw."""
    folder = tmp_path / "labelled"
    for path in PUSHED:
        target = folder / ("nsfw" if float(path.name[:5]) >= 0.5 else "sfw")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


def calibrate_folder(folder: Path, *options: str) -> dict[str, Any]:
    """numbers.json of a run on pictures."""
    assert open_nsfw(["calibrate", str(folder), "--resamples", "20", "--worst", "0", *options]) == 0
    output = folder.with_name(f"{folder.stem}-calibration")
    numbers: dict[str, Any] = json.loads((output / "numbers.json").read_text())
    return numbers


def test_pictures_get_the_scores_of_the_command(labelled: Path) -> None:
    """Through the same pipeline, kept as its rows are."""
    numbers = calibrate_folder(labelled)
    assert (numbers["sample"]["sfw"], numbers["sample"]["nsfw"]) == (8, 10)
    assert numbers["curves"]["auc"]["value"] == 1
    rows = [json.loads(line) for line in (labelled.parent / "labelled.scores.jsonl").read_text().splitlines()]
    assert len(rows) == 18
    for row in rows:
        assert row["score"] == pytest.approx(GOLDEN["pushed/" + os.path.basename(row["path"])], abs=1e-4)
    policy = Policy.read(labelled.parent / "labelled-calibration" / "policy.json")
    assert policy.model == numbers["sample"]["model"] == rows[0]["model"]


def test_a_second_run_scores_only_what_is_new(labelled: Path) -> None:
    """And forgets what has gone."""
    calibrate_folder(labelled)
    scores = labelled.parent / "labelled.scores.jsonl"
    before = scores.read_bytes()
    calibrate_folder(labelled, "--max-fpr", "0.5")
    assert scores.read_bytes() == before
    shutil.copy(DATA / "pictures" / "rgb.png", labelled / "sfw")
    (labelled / "sfw" / "0.050-chelsea.jpg").unlink()
    numbers = calibrate_folder(labelled)
    assert scores.read_bytes().startswith(before)
    assert len(scores.read_bytes().splitlines()) == 19
    assert numbers["sample"]["sfw"] == 8
    calibrate_folder(labelled, "--overwrite")
    assert len(scores.read_bytes().splitlines()) == 18


def test_what_does_not_count_is_named(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, unreadable, the same content again, the same under both labels."""
    sfw, nsfw = labelled / "sfw", labelled / "nsfw"
    shutil.copy(sfw / "0.050-chelsea.jpg", sfw / "again.jpg")
    shutil.copy(sfw / "0.100-coffee.jpg", nsfw / "both.jpg")
    (sfw / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    (sfw / "gone.jpg").symlink_to("nowhere.jpg")
    (nsfw / "notes.txt").write_text("notes")
    sample = calibrate_folder(labelled)["sample"]
    assert (sample["sfw"], sample["nsfw"], sample["passed_over"]) == (7, 10, 1)
    assert sample["missing"] == [f"{sfw}/gone.jpg"]
    assert [name for name, _ in sample["unreadable"]] == [f"{sfw}/broken.jpg"]
    assert sample["duplicates"] == [[f"{sfw}/again.jpg", f"{sfw}/0.050-chelsea.jpg"]]
    assert sample["conflicts"] == [[f"{nsfw}/both.jpg (nsfw)", f"{sfw}/0.100-coffee.jpg (sfw)"]]
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{labelled}: 17 pictures count: 7 sfw, 10 nsfw; 1 missing; 1 unreadable; 1 counted already (same content); "
        "2 left out for having both labels; 1 other files passed over"
    )
    shutil.copy(PUSHED[0], sfw / "broken.jpg")  # mended, it is tried again
    assert calibrate_folder(labelled)["sample"]["unreadable"] == []


def test_a_file_of_paths(labelled: Path) -> None:
    """Each line counts by the same rules; a path listed twice is scored once."""
    lines = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in sorted(labelled.glob("*/*.jpg"))]
    (labelled / "labels.csv").write_text("\n".join(["path,label", *lines, lines[0], "none.jpg,sfw", "none.jpg,sfw"]))
    numbers = calibrate_folder(labelled / "labels.csv")
    sample = numbers["sample"]
    assert (sample["sfw"], sample["nsfw"]) == (8, 10)
    assert sample["missing"] == [f"{labelled}/none.jpg"]
    assert len(sample["duplicates"]) == 1
    assert len((labelled / "labels.scores.jsonl").read_text().splitlines()) == 19


def test_a_file_of_paths_with_an_archive(labelled: Path) -> None:
    """Its members have its label."""
    shutil.make_archive(str(labelled / "more"), "zip", labelled, "sfw")
    lines = ["more.zip,sfw", *(f"nsfw/{path.name},nsfw" for path in (labelled / "nsfw").iterdir())]
    (labelled / "labels.csv").write_text("\n".join(["path,label", *lines]))
    numbers = calibrate_folder(labelled / "labels.csv")
    assert (numbers["sample"]["sfw"], numbers["sample"]["nsfw"]) == (8, 10)


def test_a_signal_ends_it_and_the_next_run_goes_on(labelled: Path) -> None:
    """With the scores that are there."""
    for number in range(40):
        for path in list((labelled / "sfw").glob("0*.jpg")):
            os.link(path, labelled / "sfw" / f"{number}-{path.name}")
    line = [sys.executable, "-m", "open_nsfw", "calibrate", str(labelled), "--resamples", "20", "--worst", "0"]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    scores = labelled.parent / "labelled.scores.jsonl"
    deadline = time.monotonic() + 60
    while not (scores.exists() and scores.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "open-nsfw calibrate: stopped; run it again to go on where it was\n"
    before = scores.read_bytes()
    assert 0 < len(before.splitlines()) < 300
    assert not (labelled.parent / "labelled-calibration").exists()
    calibrate_folder(labelled)
    assert scores.read_bytes().startswith(before)
