"""Features and labels -> a head that fits them better, and the scores that everything is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from open_nsfw.calibration.sample import Flags, Floats
from open_nsfw.errors import ModelError, UsageError
from open_nsfw.nets.net import Blob
from open_nsfw.nets.training import SolverSettings
from open_nsfw.training.deep import Deep
from open_nsfw.training.feature_file import Float32
from open_nsfw.training.features import Dataset
from open_nsfw.training.head import Head
from open_nsfw.training.logistic import STRENGTHS, fit_line, fit_path, held_out_logits, log_loss, one_thread
from open_nsfw.training.split import Split
from open_nsfw.training.stages import HEAD

# Of what rounding may move a logit; Yahoo's own head has 4e-6. Scores move by a quarter at most, and what was measured was
# never more than a third, so engines stay within the 1e-5 that the written files are held to.
MOST_ROUNDING = 2e-5
SHARES = (0.125, 0.25, 0.5, 1.0)  # of the pictures that are learnt from, for the curve over the number of labels


@dataclass(frozen=True)
class Step:
    """A step: training of the head, or of what lies below it, too."""

    what: str
    """`head`, or one of `DEEP`."""
    held_out: float | None
    """The log loss on held-out folds, with a temperature and a prior; None if it was not tried."""
    used: bool
    """Whether its weights are what is better, or what was asked for by name."""
    why: str = ""
    """Why it was not tried, or not used."""


@dataclass(frozen=True, eq=False)
class DeepTuned:
    """How layers below the head were trained."""

    what: str
    """One of `DEEP`."""
    found: Deep
    settings: SolverSettings


@dataclass(frozen=True, eq=False)
class Tuned:
    """What was learnt, and how it does on pictures that it was not learnt from."""

    head: Head
    """As the file has it: rounded to float32."""
    strength: float
    """Of the penalty, chosen on held-out folds."""
    losses: tuple[float, ...]
    """The held-out log loss at each of `STRENGTHS`."""
    temperature: float
    """What the logits of the fit were divided by, chosen on held-out folds; infinite where they tell nothing of the labels."""
    test_scores: Floats
    """float64 (tested,): by the new head."""
    recalibrated: Floats
    """float64 (tested,): by the source model, its logits brought to the labels by a line that was fitted on the rest."""
    held_out: Floats
    """float64 (rest,): each picture's score by a fit that it was held out from."""
    calibrated: Floats
    """float64 (rest,): the logits of `held_out`, at the share of nsfw that the pictures learnt from stand for."""
    curve: tuple[tuple[int, float], ...]
    """(pictures learnt from, held-out log loss) for each of `SHARES`, of the head."""
    blobs: Mapping[str, tuple[Blob, ...]]
    """Of every layer that was trained, as the file gets them: name -> blobs."""
    steps: tuple[Step, ...]
    """Those that were tried, in order."""
    deep: DeepTuned | None = None
    """How layers below the head were trained; None if they were not."""

    def after(self, step: Step) -> Tuned:
        """The same, one step later."""
        return replace(self, steps=(*self.steps, step))


def check_labels(scores: Floats, nsfw: Flags, labels: str) -> None:
    """Raises UsageError for labels that the source model's own scores give without an exception."""
    lowest, highest = float(scores[nsfw].min()), float(scores[~nsfw].max())
    if lowest > highest:
        raise UsageError(
            f"{labels}: every nsfw picture scores {lowest:.4g} or more and every sfw one {highest:.4g} or less by this very "
            "model: such labels teach it nothing. If they come from its scores, have people label the pictures; if people gave "
            "them, label pictures that it gets wrong"
        )


def tune_head(head: Head, data: Dataset, parts: Split, prevalence: float | None, seed: int) -> Tuned:
    """Learn from the rest, choose on its folds; the test fold gives scores and nothing else. One thread computes, so that
    the result does not hang on how many cores there are."""
    from scipy.special import expit

    with one_thread():
        source = source_logits(head, data.features)
        features, nsfw, old = data.features[parts.rest], data.nsfw[parts.rest], source[parts.rest]
        weights = data.weights[parts.rest]
        logits = held_out_logits(features, old, nsfw, parts.folds)
        losses = tuple(log_loss(each, nsfw) for each in logits)
        shift = prior_to_add(nsfw, weights, prevalence)
        lines = [fit_line(each, nsfw, weights) for each in logits]
        fits = fit_path(features, old, nsfw, STRENGTHS)
        heads = [fit.scaled(a, b + shift).head(head) for fit, (a, b) in zip(fits, lines)]
        best = _best(losses, [rounding(each, data.features) for each in heads])
        (slope, offset), tuned = lines[best], rounded(heads[best])
        calibrated = slope * logits[best] + offset
        old_slope, old_offset = fit_line(old, nsfw, weights)
        return Tuned(
            head=tuned,
            strength=STRENGTHS[best],
            losses=losses,
            temperature=1 / slope if slope > 0 else float("inf"),
            test_scores=expit(source_logits(tuned, data.features[parts.test])),
            recalibrated=expit(old_slope * source[parts.test] + old_offset + shift),
            held_out=expit(calibrated + shift),
            calibrated=calibrated,
            blobs={tuned.layer: tuned.blobs()},
            steps=(Step(HEAD, log_loss(calibrated, nsfw, weights), True),),
            curve=_curve(data, parts, old, STRENGTHS[: best + 1], seed),
        )


def _best(losses: tuple[float, ...], roundings: list[float]) -> int:
    """The index of the lowest loss among the heads that float32 can hold. Raises ModelError if it can hold none."""
    allowed = [index for index, each in enumerate(roundings) if each <= MOST_ROUNDING]
    if not allowed:
        raise ModelError(
            "the features of this net hardly vary beside their size: weights of float32 cannot hold what they teach"
        )
    return min(allowed, key=lambda index: losses[index])


def rounding(head: Head, features: Float32) -> float:
    """How far the rounding of float32 may move a logit: half a unit in the last place of every product at once."""
    return float((np.abs(features) @ np.abs(head.direction)).max()) * 2.0**-24


def source_logits(head: Head, features: Float32) -> Floats:
    """float64 (N,): the difference of the head's two logits."""
    logits: Floats = features @ head.direction + head.offset
    return logits


def rounded(head: Head) -> Head:
    """The head with the values that float32 keeps of it."""
    weights, bias = (each.astype(np.float64) for each in head.blobs())
    return Head(head.layer, head.features, weights, bias)


def prior_to_add(nsfw: Flags, weights: Floats, prevalence: float | None) -> float:
    """What is added to a logit that is right at the share of nsfw that the pictures stand for, to be right at `prevalence`."""
    if prevalence is None:
        return 0.0
    share = float(np.average(nsfw, weights=weights))
    return float(np.log(prevalence / (1 - prevalence)) - np.log(share / (1 - share)))


def _curve(
    data: Dataset, parts: Split, old: Floats, strengths: tuple[float, ...], seed: int
) -> tuple[tuple[int, float], ...]:
    """The held-out loss with parts of the pictures that are learnt from: a random choice of groups, each within the
    next larger one."""
    features, nsfw, numbers = data.features[parts.rest], data.nsfw[parts.rest], parts.groups[parts.rest]
    order = np.random.default_rng(seed).permutation(int(parts.groups.max()) + 1)
    points = []
    for share in SHARES:
        folds, counts = [], []
        for learnt, held_out in parts.folds:
            chosen = learnt[np.argsort(order[numbers[learnt]], kind="stable")][: max(round(share * len(learnt)), 2)]
            if len(np.unique(nsfw[chosen])) < 2:
                break
            folds.append((chosen, held_out))
            counts.append(len(chosen))
        if len(folds) == len(parts.folds):
            logits = held_out_logits(features, old, nsfw, folds, strengths)[-1]
            points.append((round(float(np.mean(counts))), log_loss(logits, nsfw)))
    return tuple(points)
