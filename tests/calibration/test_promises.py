"""Promises about rates against exhaustive search, scikit-learn's curve and known populations."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")

from sklearn import metrics as sklearn_metrics

from open_nsfw.calibration import promises, rates, thresholds
from open_nsfw.calibration.choices import Wishes
from tests.tools.samples import all_thresholds, fpr_of, recall_of, simulate


@pytest.mark.parametrize("seed", range(5))
def test_promises_are_kept_with_confidence_and_no_further(seed: int) -> None:
    """The limit on the rate is within the promise, and no threshold on the near side of the next picture keeps it."""
    sample = simulate(400, 300, seed)
    for promise in (0.02, 0.05, 0.2):
        at = thresholds.choose(sample, Wishes(max_fpr=promise))[0].thresholds[0]
        limits = {
            each: rates.upper_limit(round(400 * fpr_of(sample, each)), 400, 0.95)
            for each in [at, *all_thresholds(sample)]
        }
        assert limits[at] <= promise
        (found,) = thresholds.choose(sample, Wishes(max_fpr=promise))[0].promises
        assert (found.about, found.limit, found.bound, found.kept) == ("false_positive_rate", promise, limits[at], True)
        assert all(recall_of(sample, each) <= recall_of(sample, at) for each in limits if limits[each] <= promise)
        at = thresholds.choose(sample, Wishes(min_recall=1 - promise))[0].thresholds[0]
        limits = {
            each: rates.upper_limit(round(300 * (1 - recall_of(sample, each))), 300, 0.95)
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
    assert "holds for this sample (--as-measured); the true one may be" in choice.warnings[0]
    assert [(each.kept, each.as_measured) for each in choice.promises] == [(True, True)]
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
    assert [(each.about, each.kept) for each in single.promises] == [("false_positive_rate", True), ("recall", True)]


@pytest.mark.parametrize(("promise", "least"), [(0.05, 59), (0.01, 299), (0.001, 2995), (0.1, 29)])
def test_how_many_pictures_a_promise_takes(promise: float, least: int) -> None:
    """The least sample without an error that supports it, as binomial tables have it."""
    assert promises.needed(promise, 0.95) == least
    assert promises.allowed_errors(least, promise, 0.95) == 0
    assert promises.allowed_errors(least - 1, promise, 0.95) == -1


@pytest.mark.parametrize("promise", [0.3, 0.05, 0.01, 0.0001])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_how_many_pictures_a_promise_takes_where_one_errs(promise: float, confidence: float) -> None:
    """One picture fewer would not do."""
    least = promises.needed_for_one(promise, confidence)
    assert promises.allowed_errors(least, promise, confidence) == 1
    assert promises.allowed_errors(least - 1, promise, confidence) == 0


def test_too_small_a_sample_is_said_to_be() -> None:
    """In a sentence that says how many it takes; the sample's own rate is kept nevertheless."""
    choice = thresholds.choose(simulate(50, 20), Wishes(max_fpr=0.01, min_recall=0.95))[0]
    assert choice.warnings == (
        "the sample is too small to support a false-positive rate of at most 1 %: even without an error among its 50 "
        "pictures of that class the true one may be 5.8 %; it takes at least 299 of them",
        "the sample is too small to support a recall of at least 95 %: even without an error among its 20 pictures of "
        "that class the true one may be 86.1 %; it takes at least 59 of them",
    )
    assert [each.kept for each in choice.promises] == [False, False]
    assert choice.numbers["false_positive_rate"].value == 0
    assert choice.numbers["recall"].value == 0.95
    assert thresholds.choose(simulate(60, 20), Wishes(max_fpr=0.05))[0].warnings == ()


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
