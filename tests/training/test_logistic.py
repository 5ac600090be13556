"""The regression that is pulled towards the weights that are there."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.training.head import Head
from open_nsfw.training.logistic import fit_line, fit_path, held_out_logits, log_loss, objective
from tests.tools.helpers import needs_caffe

sklearn = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed in this interpreter")


def sample(count: int = 300, values: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, source logits that know a little, labels)"""
    random = np.random.default_rng(seed)
    features = random.exponential(size=(count, values)).astype(np.float32)
    truth = (features - 1) @ random.normal(size=values)
    nsfw = truth + random.logistic(size=count) > 0
    return features, 0.3 * truth + random.normal(size=count), nsfw


def test_as_scikit_learn_where_the_source_knows_nothing() -> None:
    """A source that gives all pictures the same logit leaves plain ridge regression."""
    features, _, nsfw = sample()
    (fit,) = fit_path(features, np.zeros(len(nsfw)), nsfw, [0.01])
    inputs = fit.standard(features)
    model = sklearn.LogisticRegression(C=1 / (0.01 * len(nsfw)), tol=1e-10, max_iter=10_000).fit(inputs, nsfw)
    np.testing.assert_allclose(fit.change, model.coef_[0], atol=1e-5)
    np.testing.assert_allclose(fit.logits(features, np.zeros(len(nsfw))), model.decision_function(inputs), atol=1e-5)


def test_a_strong_penalty_leaves_the_ranking() -> None:
    """What is left are a slope and an offset: scikit-learn's, without a penalty."""
    features, source, nsfw = sample()
    (fit,) = fit_path(features, source, nsfw, [1e9])
    model = sklearn.LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000).fit(source[:, np.newaxis], nsfw)
    np.testing.assert_allclose(fit.logits(features, source), model.decision_function(source[:, np.newaxis]), atol=1e-4)


def test_the_way_does_not_matter() -> None:
    """A fit is the same with other strengths before it."""
    features, source, nsfw = sample()
    direct, by_way = fit_path(features, source, nsfw, [0.01])[-1], fit_path(features, source, nsfw, [10, 1, 0.01])[-1]
    np.testing.assert_allclose(direct.change, by_way.change, atol=1e-6)


def test_the_source_is_never_turned_round() -> None:
    """Of one that ranks the wrong way, nothing is taken."""
    features, source, nsfw = sample()
    (fit,) = fit_path(features, -source, nsfw, [1e9])
    assert fit.slope == 0


def test_as_a_head() -> None:
    """The head gives the logits of the fit, from the features alone."""
    features, _, nsfw = sample()
    random = np.random.default_rng(1)
    head = Head("fc", "pool", random.normal(size=(2, 20)), random.normal(size=2))
    source = features @ head.direction + head.offset
    fit = fit_path(features, source, nsfw, [0.1])[0].scaled(0.7, 0.2)
    new = fit.head(head)
    np.testing.assert_allclose(features @ new.direction + new.offset, fit.logits(features, source), atol=1e-9)


def test_a_feature_that_never_varies() -> None:
    """Counts for nothing, and costs nothing."""
    features, source, nsfw = sample()
    features[:, 3] = 7
    (fit,) = fit_path(features, source, nsfw, [0.01])
    head = Head("fc", "pool", np.zeros((2, 20)), np.zeros(2))
    assert fit.change[3] == 0
    assert np.isfinite(fit.head(head).weights).all()


def test_line_of_labels_that_are_parted() -> None:
    """The slope stays finite and the probabilities are those that so few pictures support."""
    source = np.array([-2.0, -1.0, 1.0, 2.0])
    slope, offset = fit_line(source, source > 0, np.ones(4))
    scores = 1 / (1 + np.exp(-(slope * source + offset)))
    assert 0.5 < scores[2] < 0.95


def test_weights_are_those_of_scikit_learn() -> None:
    """Of a fit, and of a loss; on any scale."""
    from sklearn.metrics import log_loss as reference

    features, source, nsfw = sample()
    weights = np.where(nsfw, 1.0, 9.0) * np.random.default_rng(2).exponential(size=len(nsfw))
    model = sklearn.LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000).fit(source[:, np.newaxis], nsfw, weights)
    expected = model.decision_function(source[:, np.newaxis])
    for scale in (1.0, 1e6):
        (fit,) = fit_path(features[:, :0], source, nsfw, [1.0], weights=scale * weights)
        np.testing.assert_allclose(fit.logits(features[:, :0], source), expected, atol=1e-4)
        found = log_loss(source, nsfw, scale * weights)
        assert found == pytest.approx(reference(nsfw, 1 / (1 + np.exp(-source)), sample_weight=weights), abs=1e-9)


def test_held_out() -> None:
    """Each picture's logit is of a fit that never saw it: with its label turned round, the logit is the same."""
    features, source, nsfw = sample(60)
    folds = [(np.arange(30, 60), np.arange(30)), (np.arange(30), np.arange(30, 60))]
    before = held_out_logits(features, source, nsfw, folds, [0.1])
    turned = nsfw.copy()
    turned[4] = not turned[4]
    assert held_out_logits(features, source, turned, folds, [0.1])[0, 4] == pytest.approx(before[0, 4], abs=1e-9)


def test_log_loss_is_that_of_scikit_learn() -> None:
    """From logits."""
    from sklearn.metrics import log_loss as reference

    _, source, nsfw = sample()
    assert log_loss(source, nsfw) == pytest.approx(reference(nsfw, 1 / (1 + np.exp(-source))), abs=1e-9)


@needs_caffe
def test_the_gradient_is_that_of_caffe(tmp_path: Path) -> None:
    """Of one batch, for weights and bias of a fully connected layer with SoftmaxWithLoss: the loss falls along `change` as
    along the difference of both rows, of which Caffe has a gradient each."""
    caffe = importlib.import_module("caffe")
    (tmp_path / "net.prototxt").write_text(
        """force_backward: true
        layer { name: "data" type: "Input" top: "pool" input_param { shape { dim: 8 dim: 5 } } }
        layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 8 } } }
        layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 2 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }"""
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    features, _, nsfw = sample(8, 5)
    head = np.random.default_rng(1).normal(size=(2, 5)).astype(np.float32)
    net.params["fc"][0].data[...], net.params["fc"][1].data[...] = head, [0.25, -0.5]
    net.blobs["pool"].data[...], net.blobs["label"].data[...] = features, nsfw
    net.forward()
    net.backward()
    signal = features.astype(np.float64) @ (head[1] - head[0]).astype(np.float64)
    values = np.concatenate([np.zeros(5), [1.0, -0.75]])
    loss, gradient = objective(values, features.astype(np.float64), signal, nsfw.astype(np.float64), 0.0, np.ones(8))
    assert loss == pytest.approx(float(net.blobs["loss"].data), abs=1e-6)
    np.testing.assert_allclose(gradient[:5], net.params["fc"][0].diff[1], atol=1e-6)
    np.testing.assert_allclose(gradient[:5], -net.params["fc"][0].diff[0], atol=1e-6)
    assert gradient[-1] == pytest.approx(float(net.params["fc"][1].diff[1]), abs=1e-6)
