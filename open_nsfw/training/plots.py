"""The report's plots: both models in one, the source model in grey."""

from __future__ import annotations

from typing import Any

import numpy as np

from open_nsfw.calibration.curves import GRID, Curves
from open_nsfw.calibration.plots import BAND_OPACITY, Palette, legend, page_svg, thinned
from open_nsfw.calibration.rates import ReliabilityBin, reliability
from open_nsfw.calibration.sample import Sample
from open_nsfw.training.deep import Deep
from open_nsfw.training.result import Tuning

BEFORE, AFTER = "before", "after"


def roc(result: Tuning, in_words: str) -> str:
    """ROC curves with their bands, as an `<svg>` element, like all of these."""

    def draw(axes: Any, palette: Palette) -> None:
        axes.plot([0, 1], [0, 1], color=palette.muted, linestyle="--", linewidth=1, label="no better than chance")
        axes.axvline(result.request.max_fpr, color=palette.mark, linestyle=":", linewidth=1.2, label="the limit")
        for name, curves, colour in _both(result, palette):
            band = curves.roc_band
            axes.fill_between(GRID, band.low, band.high, color=colour, alpha=BAND_OPACITY, linewidth=0)
            label = f"{name}, area {curves.auc.value:.3f}"
            points = thinned(curves.roc["false_positive_rate"], curves.roc["recall"])
            axes.plot(*points, color=colour, linewidth=1.8, label=label)
        _unit(axes, "false-positive rate", "recall")
        legend(axes, "lower right")

    return page_svg("roc", draw, in_words)


def precision_recall(result: Tuning, in_words: str) -> str:
    """Precision-recall curves with their bands."""

    def draw(axes: Any, palette: Palette) -> None:
        for name, curves, colour in _both(result, palette):
            band = curves.pr_band
            axes.fill_between(GRID, band.low, band.high, color=colour, alpha=BAND_OPACITY, linewidth=0)
            label = f"{name}, average precision {curves.average_precision.value:.3f}"
            points = thinned(curves.pr["recall"], curves.pr["precision"])
            axes.plot(*points, color=colour, linewidth=1.8, drawstyle="steps-post", label=label)
        _unit(axes, "recall", "precision")
        legend(axes, "lower left")

    return page_svg("precision-recall", draw, in_words)


def reliabilities(result: Tuning, in_words: str) -> str:
    """The share of nsfw in each tenth of the score, with intervals."""
    comparison, confidence = result.comparison, result.request.confidence

    def draw(axes: Any, palette: Palette) -> None:
        axes.plot(
            [0, 1], [0, 1], color=palette.muted, linestyle="--", linewidth=1, label="a score that is a probability"
        )
        for name, sample, colour in (
            (BEFORE, comparison.before, palette.mark),
            (AFTER, comparison.after, palette.curve),
        ):
            _reliability(axes, reliability(sample, confidence), name, colour)
        _unit(axes, "mean score of the pictures in a tenth of the scale", "share of nsfw among them")
        legend(axes, "upper left")

    return page_svg("reliability", draw, in_words)


def label_curve(result: Tuning, in_words: str) -> str:
    """The held-out log loss over the number of pictures that were learnt from."""

    def draw(axes: Any, palette: Palette) -> None:
        counts, losses = zip(*result.tuned.curve)
        axes.plot(counts, losses, color=palette.curve, marker="o", markersize=4, linewidth=1.6)
        axes.set_xlabel("pictures learnt from")
        axes.set_ylabel("log loss on pictures held out")
        axes.set_xlim(0, None)
        axes.set_ylim(0, None)

    return page_svg("labels", draw, in_words)


def learning_curve(deep: Deep, in_words: str) -> str:
    """The log loss of both sides over the epochs."""

    def draw(axes: Any, palette: Palette) -> None:
        numbers = [each.epoch for each in deep.epochs]
        held_out = [each.held_out for each in deep.epochs]
        axes.plot(numbers, held_out, color=palette.curve, marker="o", markersize=4, linewidth=1.6, label="held out")
        learnt = [each.learnt for each in deep.epochs if each.learnt is not None]
        axes.plot(numbers[1:], learnt, color=palette.mark, marker="o", markersize=4, linewidth=1.6, label="learnt from")
        axes.axvline(deep.best, color=palette.muted, linestyle=":", linewidth=1.2, label="the epoch that is used")
        axes.set_xlabel("epochs")
        axes.set_ylabel("log loss")
        axes.set_ylim(0, None)
        legend(axes, "best")

    return page_svg("learning", draw, in_words)


def _both(result: Tuning, palette: Palette) -> tuple[tuple[str, Curves, str], ...]:
    comparison = result.comparison
    return (BEFORE, comparison.before_curves, palette.mark), (AFTER, comparison.after_curves, palette.curve)


def _reliability(axes: Any, bins: list[ReliabilityBin], name: str, colour: str) -> None:
    shares = np.array([each.nsfw.value for each in bins], dtype=np.float64)
    errors = [shares - [each.nsfw.low for each in bins], [each.nsfw.high for each in bins] - shares]
    means = [each.mean_score for each in bins]
    axes.errorbar(
        means, shares, np.abs(errors), color=colour, marker="o", markersize=4, linewidth=1.4, capsize=2, label=name
    )


def _unit(axes: Any, x: str, y: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def mean_scores(sample: Sample) -> tuple[float, float]:
    """(of the sfw pictures, of the nsfw ones)"""
    return float(sample.scores[~sample.nsfw].mean()), float(sample.scores[sample.nsfw].mean())
