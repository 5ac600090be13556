"""What a calibration found, as report.html: one file with everything inside.

The page loads nothing and runs no script; its colours follow the reader's light or dark setting. Pictures in it are
blurred until they are clicked. It keeps to WCAG 2 AA, on a phone as well.
"""

from __future__ import annotations

from open_nsfw.calibration import plots
from open_nsfw.calibration.choices import Choice, Promise
from open_nsfw.calibration.findings import counted, tables, warnings
from open_nsfw.calibration.groups import NONE, WORDS
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.rates import Confusion
from open_nsfw.calibration.report_parts import (
    Html,
    blurred_picture,
    cell,
    details,
    document,
    element,
    joined,
    listing,
    section,
    table,
    terms,
    tiles,
    unbroken,
)
from open_nsfw.calibration.result import Calibration
from open_nsfw.calibration.thumbnails import thumbnails
from open_nsfw.calibration.words import ABOUT, area, bound_words, limit_words, number, percent
from open_nsfw.rows.row import Row, label
from open_nsfw.text import printable

NARROWEST = 0.08  # of the scale, for a band's name to fit

PLOT_TEXTS = {
    "roc": (
        "ROC curve",
        "Which share of the nsfw pictures is found for which share of sfw ones. The true curve may be anywhere in the band.",
    ),
    "precision-recall": (
        "Precision and recall",
        "How many of the pictures at or over a threshold are nsfw, at the sample's share of nsfw.",
    ),
    "histogram": ("Scores by class", "Where the two classes overlap, no threshold parts them."),
    "reliability": (
        "Reliability",
        "On the dashed line, the score would be the share of nsfw among the pictures that have it.",
    ),
}
WISHES = {
    "promises": "Limits on rates",
    "cost": "Least cost",
    "review-budget": "A budget of review",
    "bands": "Thresholds as given",
}
WEIGHTED = (
    "The pictures have weights: each stands for so many. Rates, curves and areas are of weights, so a rate is not the number of "
    "its pictures over that of all; the histogram and the confusion tables count pictures."
)
MEASURES = {
    "false_positive_rate": "sfw at or over the upper threshold",
    "miss_rate": "nsfw under the lower threshold",
    "cost": "cost for each picture",
    "error": "errors outside review",
}


def page(
    result: Calibration, drawn: plots.Drawing, wrong: dict[bool, list[Example]], with_pictures: bool = True
) -> str:
    """report.html."""
    title = f"Calibration of {printable(result.labels)}"
    sections = (
        _head(result, title),
        _warnings(result),
        _policy(result),
        _choices(result),
        _plots(result, drawn),
        _worst(wrong, with_pictures),
        _counted(result),
        _provenance(result),
    )
    return document(title, sections)


def _head(result: Calibration, title: str) -> Html:
    curves, policy, sample = result.measured.curves, result.policy, result.sample
    boxes = (
        ("area under the ROC curve", *area(curves.auc)),
        ("average precision", *area(curves.average_precision)),
        ("pictures that count", f"{len(sample.nsfw):,}", f"{sample.negatives:,} sfw, {sample.positives:,} nsfw"),
        ("thresholds of the policy", ", ".join(f"{each:.6g}" for each in policy.thresholds), policy.chosen_by),
    )
    model = f"model {policy.model}" if policy.model else "scores of an unknown model"
    note = f"{policy.made}, {model}. Ranges are {percent(policy.confidence)} intervals."
    content = element("h1", title) + element("p", note, class_="note") + tiles(boxes)
    return element("header", content)


def _warnings(result: Calibration) -> Html:
    found = warnings(result)
    return section("Before you rely on it", listing(found), class_="warning") if found else Html()


def _policy(result: Calibration) -> Html:
    policy, shares = result.policy, result.measured.bands[result.chosen]
    edges = (0.0, *policy.thresholds, 1.0)
    strip = joined(
        element(
            "div",
            element("b", name) + element("span", f"{low:.6g} to {high:.6g}"),
            style=f"flex-grow:{max(high - low, NARROWEST):.3f}",
            class_=f"band band{2 * number // len(policy.thresholds)}",
        )
        for number, (name, low, high) in enumerate(zip(policy.bands, edges, edges[1:]))
    )
    rows = [(name, *map(cell, (share.sfw, share.nsfw, share.all))) for name, share in zip(policy.bands, shares)]
    head = ("band", "of sfw", "of nsfw", f"of all, {percent(result.sample.share(result.wishes.prevalence))} being nsfw")
    note = Html("Chosen by ") + element("code", policy.chosen_by)
    return section(
        "The policy",
        element("div", strip, class_="strip"),
        _promises(result, result.choices[result.chosen]),
        table("How many pictures fall into each band", head, rows),
        note=note + ". A score on a threshold belongs to the band above it.",
    )


def _promises(result: Calibration, choice: Choice) -> Html:
    """What was asked for, and whether it is kept."""
    return (
        element("ul", joined(_promise(result, each) for each in choice.promises), class_="promises")
        if choice.promises
        else Html()
    )


def _promise(result: Calibration, promise: Promise) -> Html:
    value, bound = percent(promise.measured.value or 0.0), bound_words(promise, result.wishes.confidence)
    verdict = element("b", unbroken(limit_words(promise)), class_="kept" if promise.kept else "broken")
    return element("li", verdict + unbroken(f" {ABOUT[promise.about]} {value}, {bound}"))


# --- thresholds ---


def _choices(result: Calibration) -> Html:
    parts = []
    for choice in result.choices:
        parts.append(element("h3", Html(f"{WISHES[choice.name]}: ") + element("code", choice.option)))
        parts.append(_promises(result, choice))
        about = {promise.about for promise in choice.promises}
        items = [
            Html(f"{MEASURES[name]}: ") + cell(rate, name == "cost")
            for name, rate in choice.numbers.items()
            if name not in about
        ]
        parts.append(listing(items) if items else Html())
        parts += [_confusion(each) for each in tables(result, choice.thresholds)]
    note = "Each threshold with its confusion table on the sample. A score at or over the threshold counts as nsfw."
    return section("Thresholds", *parts, note=note)


def _confusion(found: Confusion) -> Html:
    at = f"at {number(found.threshold)}"
    counts = table(
        f"Counts {at}",
        (at, "under it", "at or over it"),
        (
            ("sfw", f"{found.true_negatives:,}", element("span", f"{found.false_positives:,}", class_="wrong")),
            ("nsfw", element("span", f"{found.false_negatives:,}", class_="wrong"), f"{found.true_positives:,}"),
        ),
    )
    rates = table(
        f"Rates {at}",
        ("rate", "measured"),
        (
            ("recall", cell(found.recall)),
            ("false-positive rate", cell(found.false_positive_rate)),
            ("precision", cell(found.precision)),
            ("accuracy", cell(found.accuracy)),
        ),
    )
    return element("div", counts + rates, class_="pair")


# --- plots and pictures ---


def _plots(result: Calibration, drawn: plots.Drawing) -> Html:
    figures = []
    for name in plots.names():
        title, caption = PLOT_TEXTS[name]
        drawing = Html(plots.for_page(name, drawn, _in_words(name, result)))
        figures.append(element("figure", element("h3", title) + drawing + element("figcaption", caption)))
    return section("Curves", element("div", joined(figures), class_="plots"))


def _in_words(name: str, result: Calibration) -> str:
    """What a plot shows, for those who do not see it."""
    curves, sample = result.measured.curves, result.sample
    values = {
        "roc": curves.auc,
        "precision-recall": curves.average_precision,
    }
    title = PLOT_TEXTS[name][0]
    if name in values:
        value, interval = area(values[name])
        return f"{title}: the area under it is {value}, {interval}. The tables above have its values at the thresholds."
    if name == "histogram":
        over = [percent(float((sample.scores[sample.nsfw == nsfw] >= 0.5).mean())) for nsfw in (False, True)]
        return f"{title}: {over[0]} of the sfw and {over[1]} of the nsfw pictures score 0.5 or more."
    steps = ", ".join(
        f"{each.mean_score:.2f}: {percent(each.nsfw.value or 0.0)}" for each in result.measured.reliability
    )
    return f"{title}: mean score and share of nsfw in each tenth of the scale: {steps}."


def _worst(wrong: dict[bool, list[Example]], with_pictures: bool) -> Html:
    if not any(wrong.values()):
        return Html()
    pictures = thumbnails(wrong[False] + wrong[True]) if with_pictures else {}
    parts = []
    for nsfw, title in ((False, "labelled sfw, highest scores"), (True, "labelled nsfw, lowest scores")):
        if wrong[nsfw]:
            cards = joined(picture_card(each, pictures) for each in wrong[nsfw])
            parts += [element("h3", title), element("div", cards, class_="wall")]
    note = "A wrong label shows here first."
    if pictures:
        note += " Click a picture to see it, click again to hide it."
    return section("What the model gets most wrong", *parts, note=note)


def picture_card(example: Example, pictures: dict[tuple[str, str | None], bytes], words: str = "") -> Html:
    """A picture, blurred until it is clicked, with its score, or what else is said of it in `words`, and its name."""
    name = "" if example.path is None else label(Row(example.path, example.member))
    picture = pictures.get((example.path or "", example.member))
    if picture is None:
        image = element("span", "no picture", class_="none")
    else:
        image = blurred_picture(picture, f"show {name}, score {example.score:.4g}")
    named = element("span", name, title=name) if name else Html()
    return element("div", image + element("b", words or f"{example.score:.4g}") + named, class_="card")


# --- what was counted, and how ---

RULES = (
    "nsfw is the positive class: a score at or over a threshold counts as nsfw, and equal scores are never parted.",
    "A picture that is not there or cannot be read has no score and does not count.",
    "The same content under the same label counts once; under both labels it does not count.",
    "A video or animation counts once, with its highest score; each picture in an archive counts.",
)
METHODS = (
    "Curves, areas and confusion tables are scikit-learn's. A rate's interval is Clopper and Pearson's. The area under "
    "the ROC curve has the wider, at each end, of DeLong's interval on the logit scale and Newcombe's fifth.",
    "Bands are pointwise, of a Bayesian bootstrap within each class, half a picture added at both ends of the scores.",
    "A limit on a rate is kept if the one-sided limit on the true rate is within it; without enough pictures for that, "
    "the sample's own rate is taken, the limit counts as not kept, and a warning says how many pictures it takes.",
    "Errors that a choice makes least are counted on the sample; their interval reaches as high as it does for "
    "thresholds chosen without the pictures they are measured on.",
    "Pictures of one group are not independent of each other. A rate's counts are divided by the design effect "
    "1 + (m - 1) ICC (Kish 1965; for few groups Korn and Graubard 1998), the area has Obuchowski's variance for clustered "
    "data (1997), and the bootstrap is one of groups. Rates over both classes count the pictures of a group as one.",
)


def _counted(result: Calibration) -> Html:
    found = result.scored.found
    lists = (
        ("missing", found.missing),
        ("unreadable", [f"{name}: {why}" for name, why in found.unreadable]),
        ("counted already, being the same content", [f"{name} is {first}" for name, first in found.duplicates]),
        ("both labels, left out", [" = ".join(names) for names in found.conflicts]),
    )
    return section(
        "What was counted",
        element("p", "; ".join(counted(result)) + "."),
        element("p", _groups(result)),
        *([] if result.sample.weights is None else [element("p", WEIGHTED)]),
        listing(RULES),
        *(details(f"{len(names):,} {title}", names) for title, names in lists if names),
        element("details", element("summary", "How the numbers are made") + listing(METHODS)),
    )


def _groups(result: Calibration) -> str:
    sample = result.sample
    if sample.groups is None:
        if result.grouping.by == NONE:
            return "Each picture is taken to be independent of the others: no groups were looked for."
        return f"Each picture is taken to be independent of the others: no groups were found ({WORDS[result.grouping.by]})."
    worth = [max(1, round(sample.class_worth(nsfw))) for nsfw in (False, True)]
    return (
        f"The pictures come in {sample.group_count:,} groups ({WORDS[result.grouping.by]}): the sfw ones are worth "
        f"{worth[0]:,} independent pictures, the nsfw ones {worth[1]:,}."
    )


def _provenance(result: Calibration) -> Html:
    made = result.provenance
    pairs: list[tuple[str, str | Html]] = [
        ("command", element("code", printable(made.command) if made.command else "(called as a library)")),
        ("version", f"open_nsfw {made.version}"),
        ("engine", made.engine or "unknown"),
        ("model", made.model or "unknown"),
        ("seed", str(made.seed)),
        ("SHA-256 of scores and labels", element("code", made.data_sha256)),
    ]
    return section("How to get these numbers again", terms(pairs))
