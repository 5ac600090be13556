"""What a fine-tuning found, as report.html: one file with everything inside, in the style of calibration's report.

The page loads nothing and runs no script. Pictures in it are blurred until they are clicked.
"""

from __future__ import annotations

import math

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.report import picture_card
from open_nsfw.calibration.report_parts import (
    Html,
    details,
    document,
    element,
    joined,
    listing,
    section,
    table,
    terms,
    tiles,
)
from open_nsfw.calibration.thumbnails import thumbnails
from open_nsfw.calibration.words import percent
from open_nsfw.text import printable
from open_nsfw.training import plots, report_steps
from open_nsfw.training.logistic import STRENGTHS
from open_nsfw.training.result import Flip, Tuning
from open_nsfw.training.words import left_out, title_of, value_of, verdict
from open_nsfw.version import __version__

MOST_PICTURES = 24  # in each wall of pictures

METHODS = (
    "Layers that do not learn stay as they are, byte for byte.",
    "A picture's features are the blob that the head reads. The head is a logistic regression on them whose penalty pulls "
    "towards the weights that it had. The strength of the penalty, the temperature and the prior are chosen on folds of the "
    "pictures that are learnt from; temperature and prior are part of the weights and the bias, so that every port has them.",
    "Pictures are one group if LABELS says so, if they are members of one archive, or if their standardized features "
    "have a cosine of 0.8 or more, as versions of one picture and neighbouring frames of a film have. A group is never on "
    "both sides.",
    "Before and after are scikit-learn's numbers on the same test pictures. Intervals are of a Bayesian bootstrap of groups "
    "in which both models are measured with the same weights, stretched for few groups; log loss and Brier score are at the "
    "share of nsfw that was asked for.",
    "Better means: the interval of the area's difference is above 0, or that of the log loss against the old model brought "
    "to these labels by a temperature and a prior alone is below 0; and neither is on the wrong side of 0.",
)


def page(result: Tuning) -> str:
    """report.html."""
    title = f"Fine-tuning on {printable(result.request.labels)}"
    flips, doubtful = result.flips()[:MOST_PICTURES], result.doubtful()[:MOST_PICTURES]
    wanted = [flip.example for flip in flips] + [example for example, _ in doubtful]
    pictures = thumbnails(wanted) if result.request.thumbnails else {}
    return document(
        title,
        (
            _head(result, title),
            _measures(result),
            _curves(result),
            _flips(result, flips, pictures),
            _doubtful(doubtful, pictures),
            report_steps.steps(result),
            report_steps.learning_curves(result),
            _labels(result),
            _trained(result),
            _counted(result),
            _provenance(result),
        ),
    )


def _head(result: Tuning, title: str) -> Html:
    measures = {each.name: each for each in result.comparison.measures}
    boxes = [
        (
            title_of(measures[name], result.request),
            f"{measures[name].before.value:.3f} \u2192 {measures[name].after.value:.3f}",
            "before \u2192 after",
        )
        for name in ("auc", "recall", "log_loss")
    ]
    boxes.append(("test pictures", f"{len(result.split.test):,}", f"of {len(result.data.nsfw):,} that count"))
    models = f"Model {result.source.short_hash} \u2192 {result.model.short_hash}."
    note = f"{models} Ranges are {percent(result.request.confidence)} intervals."
    content = element("h1", title) + element("p", verdict(result.comparison)) + element("p", note, class_="note")
    return element("header", content + tiles(boxes))


def _measures(result: Tuning) -> Html:
    rows = [
        (
            title_of(each, result.request),
            value_of(each, each.before),
            value_of(each, each.after),
            value_of(each, each.difference, True),
        )
        for each in result.comparison.measures
    ]
    line = result.comparison.recalibrated
    rows.append(
        (
            "log loss, against the old model with a temperature and a prior",
            value_of(line, line.before),
            value_of(line, line.after),
            value_of(line, line.difference, True),
        )
    )
    found = table("Before and after", ("on the test pictures", "before", "after", "difference"), rows)
    return section("Before and after", found, note="The test pictures were used for nothing else, and once.")


def _curves(result: Tuning) -> Html:
    before, after = result.comparison.before_curves, result.comparison.after_curves
    old, new = plots.mean_scores(result.comparison.before), plots.mean_scores(result.comparison.after)
    figures = (
        (
            "ROC curves",
            plots.roc(result, f"ROC curves: areas {before.auc.value:.3f} before and {after.auc.value:.3f} after."),
            "The true curves may be anywhere in their bands.",
        ),
        (
            "Precision and recall",
            plots.precision_recall(
                result,
                f"Precision-recall curves: average precision {before.average_precision.value:.3f} before and "
                f"{after.average_precision.value:.3f} after.",
            ),
            "At the share of nsfw of the test pictures.",
        ),
        (
            "Reliability",
            plots.reliabilities(
                result,
                f"Reliability: mean score of sfw and nsfw pictures {old[0]:.2f} and {old[1]:.2f} before, {new[0]:.2f} and "
                f"{new[1]:.2f} after.",
            ),
            "On the dashed line, a score is the share of nsfw among the pictures that have it.",
        ),
    )
    parts = (
        element("figure", element("h3", title) + Html(drawn) + element("figcaption", caption))
        for title, drawn, caption in figures
    )
    return section("Curves", element("div", joined(parts), class_="plots"))


Thumbnails = dict[tuple[str, "str | None"], bytes]


def _flips(result: Tuning, shown: list[Flip], pictures: Thumbnails) -> Html:
    before, after = result.thresholds()
    flips = result.flips()
    rows = [
        (name, f"{sum(each.right and each.example.nsfw == nsfw for each in flips):,}", f"{_wrong(flips, nsfw):,}")
        for nsfw, name in ((False, "sfw"), (True, "nsfw"))
    ]
    found = table("Decisions that changed", ("label", "right now", "wrong now"), rows)
    limit = percent(result.request.max_fpr)
    note = (
        f"Test pictures on which the models decide differently, each at its own threshold ({_threshold(before)} before, "
        f"{_threshold(after)} after): the lowest with a false-positive rate of at most {limit} on the pictures that were learnt "
        "from."
    )
    parts = []
    for right, title in ((True, "right now"), (False, "wrong now")):
        chosen = [flip for flip in shown if flip.right == right]
        if chosen:
            cards = joined(
                _card(flip.example, f"{flip.before:.3f} \u2192 {flip.after:.3f}", pictures) for flip in chosen
            )
            parts += [element("h3", title), element("div", cards, class_="wall")]
    return section("Decisions that changed", found, *parts, note=note)


def _threshold(value: float) -> str:
    """No score reaches one that is infinite: where the limit allows none of the sfw pictures that score highest."""
    return f"{value:.4g}" if math.isfinite(value) else "above every score"


def _wrong(flips: list[Flip], nsfw: bool) -> int:
    return sum(not each.right and each.example.nsfw == nsfw for each in flips)


def _card(example: Example, words: str, pictures: Thumbnails) -> Html:
    return picture_card(example, pictures, f"{'nsfw' if example.nsfw else 'sfw'}: {words}")


def _doubtful(shown: list[tuple[Example, float]], pictures: Thumbnails) -> Html:
    if not shown:
        return Html()
    cards = joined(_card(example, f"{score:.3f}", pictures) for example, score in shown)
    note = (
        "Pictures whose label a fit that had not seen them contradicts, with its score, the strongest doubt first. Some of "
        "these labels may be wrong: look at them again."
    )
    return section("Labels to look at again", element("div", cards, class_="wall"), note=note)


def _labels(result: Tuning) -> Html:
    curve = result.tuned.curve
    if len(curve) < 2:
        return Html()
    rows = [(f"{count:,}", f"{loss:.3f}") for count, loss in curve]
    gain = curve[-2][1] - curve[-1][1]
    words = (
        f"Of the head alone: from {curve[-2][0]:,} to {curve[-1][0]:,} pictures the log loss on held-out ones "
        f"{'fell' if gain > 0 else 'rose'} by {abs(gain):.3f}. "
        + (
            "More labels are likely to help further."
            if gain > 0.02 * curve[-2][1]
            else "More labels of this kind help little."
        )
    )
    drawn = Html(plots.label_curve(result, words))
    return section(
        "Would more labels help?",
        element("p", words),
        element("figure", drawn, style="max-width:520px"),
        table("Log loss by number of pictures", ("pictures learnt from", "log loss on held-out ones"), rows),
    )


def _trained(result: Tuning) -> Html:
    tuned = result.tuned
    deep = Html() if tuned.deep is None else report_steps.settings(tuned.deep, len(result.split.rest))
    layers = (result.head.layer, f"{len(tuned.blobs):,}, from {next(iter(tuned.blobs))} to {result.head.layer}")
    rows = [
        (f"{strength:g}" + (" (chosen)" if strength == tuned.strength else ""), f"{loss:.4f}")
        for strength, loss in zip(STRENGTHS, tuned.losses)
    ]
    agreement = [
        f"{each.engine} computes from the written files what training computed, on {each.pictures:,} test pictures to "
        f"{each.largest:.1g}"
        for each in result.agreements
    ]
    prior = result.request.prevalence
    return section(
        "What was trained",
        terms(
            [
                ("layers that learnt", layers[tuned.deep is not None]),
                ("features", f"{result.head.features}, {result.head.weights.shape[1]:,} values a picture"),
                ("strength of the penalty", f"{tuned.strength:g}"),
                ("temperature", f"{tuned.temperature:.3f}"),
                ("share of nsfw", "that of the labels" if prior is None else percent(prior)),
            ]
        ),
        deep,
        table(
            "Held-out log loss of the head, by strength",
            ("strength of the penalty", "log loss on held-out folds"),
            rows,
        ),
        listing([*agreement, _fast_mode(result)]),
        element("details", element("summary", "How it is done") + listing([*METHODS, *report_steps.METHODS])),
    )


def _fast_mode(result: Tuning) -> str:
    if isinstance(result.ranges, str):
        return f"There are no ranges for the fast mode: {result.ranges}."
    full = result.ranges.full
    return (
        f"With --fast, a picture is scored again exactly if its quick logit is within {full.logits:g} of a threshold: over "
        f"{full.pictures:,} pictures quick and exact logits differ by {full.worst:g} at most."
    )


def _counted(result: Tuning) -> Html:
    data, parts = result.data, result.split
    lines = left_out(result)
    duplicates = [f"{name} is {first}" for name, first in data.scored.found.duplicates]
    words = (
        f"{len(data.nsfw):,} pictures count: {int((~data.nsfw).sum()):,} sfw, {int(data.nsfw.sum()):,} nsfw, from "
        f"{len(set(parts.groups.tolist())):,} groups. {len(parts.rest):,} were learnt from, {len(parts.test):,} tested on."
    )
    lists = (("left out", lines), ("counted already, being the same content", duplicates))
    return section(
        "What was counted",
        element("p", words),
        *(details(f"{len(names):,} {title}", names) for title, names in lists if names),
    )


def _provenance(result: Tuning) -> Html:
    command = printable(result.request.command) or "(called as a library)"
    return section(
        "How to get this model again",
        terms(
            [
                ("command", element("code", command)),
                ("version", f"open_nsfw {__version__}"),
                ("source model", result.source.short_hash),
                ("new model", result.model.short_hash),
                ("seed", str(result.request.seed)),
                ("SHA-256 of pictures and labels", element("code", result.data_hash())),
            ]
        ),
    )
