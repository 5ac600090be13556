"""The part of the report that tells which steps were tried, how layers below the head were trained, and how that went."""

from __future__ import annotations

from open_nsfw.calibration.report_parts import Html, element, section, table, terms
from open_nsfw.calibration.words import percent
from open_nsfw.training import plots
from open_nsfw.training.deep import LEAST_EPOCHS, MOST_EPOCHS, PATIENCE
from open_nsfw.training.descent import AVERAGED
from open_nsfw.training.epochs import EpochFound
from open_nsfw.training.result import Tuning
from open_nsfw.training.sampling import BATCH, steps_an_epoch
from open_nsfw.training.stages import HEAD
from open_nsfw.training.tune import DeepTuned, Step

NAMES = {
    HEAD: "the head",
    "stage3": "stage 3 and the head",
    "stage2": "stages 2 and 3 and the head",
    "all": "all layers",
}

METHODS = (
    "Layers below the head learn by Caffe's stochastic gradient descent, from the head as the first step left it, at a fifth "
    "of its rate. Batch norm keeps its statistics. Pictures are cropped at random out of 256 x 256 pixels after the JPEG round "
    "trip, half of them mirrored; each batch has as many nsfw pictures as sfw ones, and the prior goes back into the bias "
    "afterwards. The weights that are used are a running average.",
    f"All folds are trained side by side. After {PATIENCE} epochs without a lower log loss on held-out pictures, but not before "
    f"epoch {LEAST_EPOCHS}, or {MOST_EPOCHS} in all, the epoch with the lowest one is how long the last training goes, which "
    "learns from all of them.",
    "A step is kept if the log loss on held-out pictures falls by more than its standard error, or if it was asked for by name.",
)


def steps(result: Tuning) -> Html:
    """Which steps were tried, and what came of them."""
    rows = [_step(step, result) for step in result.tuned.steps]
    head = ("what learns", "log loss on held-out folds", "kept")
    return section("Steps", table("Steps", head, rows), note="With a temperature and a prior of each step's own.")


def _step(step: Step, result: Tuning) -> tuple[str, str, str]:
    loss = "not tried" if step.held_out is None else f"{step.held_out:.4f}"
    deep = result.tuned.deep
    last = HEAD if deep is None else deep.what
    return NAMES[step.what], loss, "yes" if step.what == last else step.why or "a later step is better"


def learning_curves(result: Tuning) -> Html:
    """Loss and more, epoch by epoch; nothing if the head alone has learnt."""
    deep = result.tuned.deep
    if deep is None:
        return Html()
    best = deep.found.epochs[deep.found.best]
    words = (
        f"Log loss on held-out pictures: {deep.found.epochs[0].held_out:.4f} with the head alone, {best.held_out:.4f} after "
        f"epoch {best.epoch}, which is how long the last training went."
    )
    limit = percent(result.request.max_fpr)
    head = ("epoch", "log loss, learnt from", "held out", "area under the ROC curve", f"recall at {limit}")
    drawn = element("figure", Html(plots.learning_curve(deep.found, words)), style="max-width:520px")
    return section(
        "Learning curves",
        element("p", words),
        drawn,
        table("Epochs", head, [_epoch(each) for each in deep.found.epochs]),
        note="Every picture is held out from one fold. The losses of the two sides are not of the same mixture: batches have as "
        "many nsfw pictures as sfw ones, in views at random, while the weights change.",
    )


def _epoch(found: EpochFound) -> tuple[str, ...]:
    area = f"{found.auc.value or 0:.3f} ({found.auc.low:.3f} to {found.auc.high:.3f})"
    learnt = "" if found.learnt is None else f"{found.learnt:.4f}"
    return str(found.epoch), learnt, f"{found.held_out:.4f}", area, f"{found.recall:.3f}"


def settings(deep: DeepTuned, pictures: int) -> Html:
    """With what the layers below the head were trained; `pictures` were learnt from."""
    solver = deep.settings
    return terms(
        [
            ("learning rate", f"{solver.base_lr:g}; five times that for the head, twice that for biases"),
            ("momentum, weight decay", f"{solver.momentum:g}, {solver.weight_decay:g}"),
            ("longest gradient", "any" if solver.clip_gradients is None else f"{solver.clip_gradients:g}"),
            ("batch", f"{BATCH} pictures"),
            ("steps", f"{deep.found.best * steps_an_epoch(pictures):,} in {deep.found.best} epochs"),
            ("running average", f"keeps {AVERAGED:g} a step"),
        ]
    )
