"""Features and labels -> a head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from open_nsfw.calibration.labelled_set import Example, LabelledSet
from open_nsfw.calibration.scored import Scored
from open_nsfw.errors import ModelError, UsageError
from open_nsfw.training.features import Dataset
from open_nsfw.training.head import Head
from open_nsfw.training.split import split
from open_nsfw.training.tune import MOST_ROUNDING, Tuned, check_labels, rounding, source_logits, tune_head

pytest.importorskip("sklearn", reason="scikit-learn is not installed in this interpreter")


def data_set(count: int = 200, seed: int = 0) -> tuple[Head, Dataset]:
    """A head that knows half of what makes the label, and pictures."""
    random = np.random.default_rng(seed)
    features = random.exponential(size=(count, 32)).astype(np.float32)
    truth = random.normal(size=32)
    nsfw = (features - 1) @ truth + 0.3 * random.logistic(size=count) > 0
    head = Head("fc", "pool", np.stack([-np.where(np.arange(32) < 16, truth, 0) / 2, np.zeros(32)]), np.zeros(2))
    scores = 1 / (1 + np.exp(-source_logits(head, features)))
    examples = [Example(score, bool(each), f"{n}.jpg") for n, (score, each) in enumerate(zip(scores.tolist(), nsfw))]
    return head, Dataset(examples, features, nsfw, Scored(LabelledSet(), "0" * 12))


def tuned(prevalence: float | None = None, seed: int = 0) -> Tuned:
    """The head, learnt from these."""
    head, data = data_set()
    parts = split(data.examples, data.features, data.nsfw, [], "none", seed)
    return tune_head(head, data, parts, prevalence, seed)


def test_it_learns() -> None:
    """Held-out loss is much less than the best that the old ranking allows, and more pictures help."""
    found = tuned()
    assert min(found.losses) < 0.7 * found.losses[0]
    assert found.curve[-1][1] < found.curve[0][1]
    assert [count for count, _ in found.curve] == [16, 32, 64, 128]


def test_same_seed_same_weights() -> None:
    """To the last bit."""
    first, second = tuned(), tuned()
    assert first.head.weights.tobytes() == second.head.weights.tobytes()
    assert first.head.bias.tobytes() == second.head.bias.tobytes()


def test_prevalence_goes_into_the_bias_alone() -> None:
    """By the difference of the log odds."""
    plain, rare = tuned(), tuned(0.01)
    _, data = data_set()
    parts = split(data.examples, data.features, data.nsfw, [], "none", 0)
    share = data.nsfw[parts.rest].mean()
    np.testing.assert_allclose(rare.head.weights, plain.head.weights, atol=1e-6)
    expected = np.log(0.01 / 0.99) - np.log(share / (1 - share))
    assert rare.head.offset - plain.head.offset == pytest.approx(expected, abs=1e-5)


def test_weights_go_into_temperature_and_prior() -> None:
    """Of a sample with nine of ten sfw pictures left out: scores are right at the share that all of them have. On any scale."""
    head, data = data_set()
    found = []
    for scale in (1.0, 1e3):
        examples = [replace(each, weight=scale * (1.0 if each.nsfw else 10.0)) for each in data.examples]
        weighted = replace(data, examples=examples)
        parts = split(examples, data.features, data.nsfw, [], "none", 0)
        found.append(tune_head(head, weighted, parts, None, 0))
    weights, nsfw = weighted.weights[parts.rest], data.nsfw[parts.rest]
    share = np.average(nsfw, weights=weights)
    assert share < 0.2
    assert np.average(found[1].held_out, weights=weights) == pytest.approx(share, abs=0.02)
    assert np.average(tuned().held_out, weights=weights) > 1.2 * share
    np.testing.assert_allclose(found[0].head.weights, found[1].head.weights, atol=1e-5)
    rare = tune_head(head, weighted, parts, 0.01, 0)
    expected = np.log(0.01 / 0.99) - np.log(share / (1 - share))
    assert rare.head.offset - found[1].head.offset == pytest.approx(expected, abs=1e-5)


def test_the_head_is_what_the_file_will_have() -> None:
    """float32, and the test scores are of those values."""
    head = tuned().head
    assert (head.weights == head.weights.astype(np.float32)).all()


def test_labels_that_came_from_the_model() -> None:
    """Every threshold between the two gives the labels, so they teach nothing."""
    scores = np.array([0.1, 0.2, 0.7, 0.9])
    with pytest.raises(UsageError) as caught:
        check_labels(scores, scores > 0.5, "labels.csv")
    assert str(caught.value) == (
        "labels.csv: every nsfw picture scores 0.7 or more and every sfw one 0.2 or less by this very model: such labels teach "
        "it nothing. If they come from its scores, have people label the pictures; if people gave them, label pictures that it "
        "gets wrong"
    )
    check_labels(scores, np.array([False, True, False, True]), "labels.csv")


def test_weights_that_float32_cannot_hold_are_not_chosen() -> None:
    """Of features that hardly vary beside their size, a stronger penalty is taken, or the run ends."""
    head, data = data_set()
    parts = split(data.examples, data.features, data.nsfw, [], "none", 0)
    plain = tune_head(head, data, parts, None, 0)
    large = replace(data, features=data.features + np.float32(26))
    found = tune_head(head, large, parts, None, 0)
    assert rounding(found.head, large.features) <= MOST_ROUNDING < rounding(plain.head, large.features)
    with pytest.raises(ModelError) as caught:
        tune_head(head, replace(data, features=data.features + np.float32(1e6)), parts, None, 0)
    what = "the features of this net hardly vary beside their size: weights of float32 cannot hold what they teach"
    assert str(caught.value) == what
