"""What a calibration found, as report.html: one file with everything inside.

The page loads nothing and runs no script; its colours follow the reader's light or dark setting. Pictures in it are
blurred until they are clicked.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import Any

from open_nsfw.calibration import plots
from open_nsfw.calibration.findings import counted, tables, warnings
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.rates import Confusion, Rate
from open_nsfw.calibration.report_style import STYLE
from open_nsfw.calibration.result import Calibration
from open_nsfw.calibration.words import percent, shown
from open_nsfw.rows.row import Row, label
from open_nsfw.text import printable

NARROWEST = 0.08  # of the scale, for a band's name to fit
SECURITY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MOST_NAMES = 200  # of files in one list of the report; numbers.json has all

PLOT_TEXTS = {
    "roc": (
        "ROC curve",
        "What share of nsfw is caught for what share of sfw. The band is where the curve may really be.",
    ),
    "precision-recall": (
        "Precision and recall",
        "How many of those over a threshold are nsfw, at the sample's share of nsfw.",
    ),
    "histogram": ("Scores by class", "Where the two classes overlap, no threshold parts them."),
    "reliability": (
        "Reliability",
        "On the dashed line, a score would be the share of nsfw among pictures that have it.",
    ),
}
WISHES = {
    "promises": "Promises about rates",
    "cost": "Least cost",
    "review-budget": "A budget of review",
    "bands": "Bands as given",
}
MEASURES = {
    "false_positive_rate": "sfw over the threshold",
    "recall": "nsfw over the threshold",
    "miss_rate": "nsfw under the lower threshold",
    "cost": "cost for each picture",
    "review": "pictures left to people",
    "error": "errors outside review",
}


def page(
    result: Calibration, drawn: plots.Drawing, wrong: dict[bool, list[Example]], with_pictures: bool = True
) -> str:
    """report.html."""
    sections = (
        _head(result),
        _warnings(result),
        _policy(result),
        _choices(result),
        _plots(drawn),
        _worst(wrong, with_pictures),
        _rules(result),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{SECURITY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Calibration of {_text(printable(result.labels))}</title>\n<style>{STYLE}</style>\n"
        "</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def _text(value: Any) -> str:
    return escape(str(value).encode("utf-8", "replace").decode())


def _section(title: str, body: str, note: str = "") -> str:
    note = f'<p class="note">{note}</p>\n' if note else ""
    return f"<section>\n<h2>{title}</h2>\n{note}{body}\n</section>"


def _head(result: Calibration) -> str:
    curves, policy = result.measured.curves, result.policy
    tiles = (
        ("area under the ROC curve", f"{curves.auc.value:.3f}", f"{curves.auc.low:.3f} to {curves.auc.high:.3f}"),
        (
            "average precision",
            f"{curves.average_precision.value:.3f}",
            f"{curves.average_precision.low:.3f} to {curves.average_precision.high:.3f}",
        ),
        (
            "pictures that count",
            f"{len(result.examples):,}",
            f"{result.sample.negatives:,} sfw, {result.sample.positives:,} nsfw",
        ),
        ("thresholds of the policy", ", ".join(f"{each:.6g}" for each in policy.thresholds), _text(policy.chosen_by)),
    )
    boxes = "".join(
        f'<div class="tile"><h3>{name}</h3><b>{value}</b><span>{note}</span></div>' for name, value, note in tiles
    )
    model = f"model {_text(policy.model)}" if policy.model else "scores of an unknown model"
    return (
        f"<header>\n<h1>Calibration of {_text(printable(result.labels))}</h1>\n"
        f'<p class="note">{policy.made}, {model}. Ranges are {percent(policy.confidence)} intervals.</p>\n'
        f'<div class="tiles">{boxes}</div>\n</header>'
    )


def _warnings(result: Calibration) -> str:
    found = warnings(result)
    if not found:
        return ""
    return '<section class="warning">\n<h2>Before you rely on it</h2>\n' + _list(map(_text, found)) + "\n</section>"


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """The first cell of each row is its heading."""
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    for row in rows:
        first, *rest = row
        lines.append(f"<tr><th>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>")
    return '<div class="scroll"><table>' + "".join(lines) + "</table></div>"


def _cell(rate: Rate, money: bool = False) -> str:
    value, _, interval = shown(rate, money).partition(" (")
    count = f'<span class="count">{rate.count:,} of {rate.of:,}</span>' if rate.count is not None else ""
    return f"<b>{value}</b> <small>{interval[:-1]}</small>{count}"


def _policy(result: Calibration) -> str:
    policy = result.policy
    shares = result.measured.bands[result.chosen]
    edges = (0.0, *policy.thresholds, 1.0)
    strip = "".join(
        f'<div style="flex-grow:{max(high - low, NARROWEST):.3f}" '
        f'class="band band{2 * number // len(policy.thresholds)}">'
        f"<b>{_text(name)}</b><span>{low:.6g} to {high:.6g}</span></div>"
        for number, (name, low, high) in enumerate(zip(policy.bands, edges, edges[1:]))
    )
    rows = ((_text(name), *map(_cell, (share.sfw, share.nsfw, share.all))) for name, share in zip(policy.bands, shares))
    share = result.sample.share(result.wishes.prevalence)
    table = _table(("band", "of sfw pictures", "of nsfw pictures", f"of all, {percent(share)} being nsfw"), rows)
    note = f"Chosen by <code>{_text(policy.chosen_by)}</code>. A score on a threshold belongs to the band above it."
    return _section("The policy", f'<div class="strip">{strip}</div>\n{table}', note)


def _choices(result: Calibration) -> str:
    parts = []
    for choice in result.choices:
        title = f"<h3>{WISHES[choice.name]}: <code>{_text(choice.option)}</code></h3>"
        items = [f"{MEASURES[name]}: {_cell(rate, name == 'cost')}" for name, rate in choice.numbers.items()]
        parts.append(
            title + (_list(items) if items else "") + "".join(map(_confusion, tables(result, choice.thresholds)))
        )
    note = "Each threshold with its confusion table on the sample. A score at or over the threshold counts as nsfw."
    return _section("Thresholds", "\n".join(parts), note)


def _confusion(table: Confusion) -> str:
    counts = _table(
        (f"at {table.threshold:.12g}", "under it", "at or over it"),
        (
            ("sfw", f"{table.true_negatives:,}", f'<span class="wrong">{table.false_positives:,}</span>'),
            ("nsfw", f'<span class="wrong">{table.false_negatives:,}</span>', f"{table.true_positives:,}"),
        ),
    )
    rates = _table(
        ("rate", "measured"),
        (
            ("recall", _cell(table.recall)),
            ("false-positive rate", _cell(table.false_positive_rate)),
            ("precision", _cell(table.precision)),
            ("accuracy", _cell(table.accuracy)),
        ),
    )
    return f'<div class="pair">{counts}{rates}</div>'


def _plots(drawn: plots.Drawing) -> str:
    figures = []
    for name in plots.names():
        title, text = PLOT_TEXTS[name]
        figures.append(f"<figure><h3>{title}</h3>{plots.for_page(name, drawn)}<figcaption>{text}</figcaption></figure>")
    return _section("Curves", f'<div class="plots">{"".join(figures)}</div>')


def _worst(wrong: dict[bool, list[Example]], with_pictures: bool) -> str:
    if not any(wrong.values()):
        return ""
    pictures: dict[tuple[str, str | None], bytes] = {}
    if with_pictures:
        from open_nsfw.calibration.thumbnails import thumbnails

        pictures = thumbnails(wrong[False] + wrong[True])
    parts = [
        f"<h3>{title}</h3>"
        + '<div class="wall">'
        + "".join(_example(each, pictures) for each in wrong[nsfw])
        + "</div>"
        for nsfw, title in ((False, "labelled sfw, highest scores"), (True, "labelled nsfw, lowest scores"))
        if wrong[nsfw]
    ]
    note = "A wrong label shows here first. " + (
        "Click a picture to see it, click again to hide it." if pictures else ""
    )
    return _section("What the model gets most wrong", "\n".join(parts), note)


def _example(example: Example, pictures: dict[tuple[str, str | None], bytes]) -> str:
    name = "" if example.path is None else _text(label(Row(example.path, example.member)))
    picture = pictures.get((example.path or "", example.member))
    if picture is None:
        image = '<span class="none">no picture</span>'
    else:
        source = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
        image = f'<label><input type="checkbox" aria-label="show {name}"><img alt="" src="{source}"></label>'
    return f'<div class="card">{image}<b>{example.score:.4g}</b><span title="{name}">{name}</span></div>'


# --- what was counted ---

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
    "A promise about a rate is kept if the one-sided limit on the true rate is within it; without enough pictures for "
    "that, the sample's own rate is taken, and a warning says so.",
    "Errors that a choice makes least are counted on the sample; their interval reaches as high as it does for "
    "thresholds chosen without the pictures they are measured on.",
)


def _rules(result: Calibration) -> str:
    found = result.scored.found
    lists = (
        ("missing", found.missing),
        ("unreadable", [f"{name}: {why}" for name, why in found.unreadable]),
        (
            "counted already, being the same content",
            [f"{name} is {first}" for name, first in found.duplicates],
        ),
        ("both labels, left out", [" = ".join(names) for names in found.conflicts]),
    )
    body = f"<p>{_text('; '.join(counted(result)))}.</p>{_list(map(_text, RULES))}"
    body += "".join(_details(title, names) for title, names in lists if names)
    body += f"<details><summary>How the numbers are made</summary>{_list(map(_text, METHODS))}</details>"
    return _section("What was counted", body)


def _details(title: str, names: list[str]) -> str:
    items = [_text(name) for name in names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        items.append(f"and {len(names) - MOST_NAMES:,} more; numbers.json has all of them")
    return f"<details><summary>{len(names):,} {title}</summary>{_list(items)}</details>"
