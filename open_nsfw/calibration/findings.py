"""What a calibration found, picked out and put into words: for the report, for numbers.json, and for the terminal."""

from __future__ import annotations

from open_nsfw.calibration import plots
from open_nsfw.calibration.groups import WORDS
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.rates import Confusion
from open_nsfw.calibration.result import Calibration
from open_nsfw.calibration.words import area, promise_line, shown
from open_nsfw.text import printable


def drawing(result: Calibration) -> plots.Drawing:
    """What the plots are drawn from."""
    measured = result.measured
    marks = {table.threshold: _point(table) for table in measured.tables}
    return plots.Drawing(measured.curves, measured.histogram, measured.reliability, marks)


def _point(table: Confusion) -> tuple[float, float, float]:
    return table.recall.value or 0.0, table.false_positive_rate.value or 0.0, table.precision.value or 0.0


def worst(result: Calibration, count: int) -> dict[bool, list[Example]]:
    """By class (True: nsfw), the `count` pictures whose score is furthest on the other class's side."""
    found = {}
    for nsfw in (False, True):
        members = [example for example in result.examples if example.nsfw == nsfw]
        members.sort(key=lambda example: example.score, reverse=not nsfw)
        found[nsfw] = members[:count]
    return found


def counted(result: Calibration) -> list[str]:
    """What counts and what does not, a phrase each."""
    found, sample = result.scored.found, result.sample
    phrases = [f"{len(sample.nsfw):,} pictures count: {sample.negatives:,} sfw, {sample.positives:,} nsfw"]
    if sample.groups is not None:
        phrases.append(f"from {sample.group_count:,} groups ({WORDS[result.grouping.by]})")
    if sample.weights is not None:
        phrases.append(f"weighted, standing for {sample.weights.sum():,.0f}")
    for members, word in (
        (found.missing, "missing"),
        (found.unreadable, "unreadable"),
        (found.duplicates, "counted already (same content)"),
    ):
        if members:
            phrases.append(f"{len(members):,} {word}")
    if found.conflicts:
        phrases.append(f"{sum(map(len, found.conflicts)):,} left out for having both labels")
    if result.scored.passed_over:
        phrases.append(f"{result.scored.passed_over:,} other files passed over")
    return phrases


def warnings(result: Calibration) -> list[str]:
    """Of the sample and of all choices, each once."""
    found = [*result.warnings]
    found += [f"{choice.option}: {warning}" for choice in result.choices for warning in choice.warnings]
    return list(dict.fromkeys(found))


def broken_promises(result: Calibration) -> list[str]:
    """A line for each limit that the thresholds do not keep."""
    return [f"{choice.option}: {promise.warning}" for choice, promise in result.broken_promises]


def summary(result: Calibration, folder: str) -> str:
    """For the terminal."""
    lines = [
        f"{printable(result.labels)}: " + "; ".join(counted(result)),
        "area under the ROC curve: {} ({})".format(*area(result.measured.curves.auc)),
        *(f"warning: {warning}" for warning in result.warnings),
        "",
    ]
    for choice in result.choices:
        lines.append(f"{choice.option}")
        lines += [f"  {line}" for table in tables(result, choice.thresholds) for line in _table_lines(table)]
        lines += [f"  {promise_line(promise, result.wishes.confidence)}" for promise in choice.promises]
        lines += [f"  warning: {warning}" for warning in choice.warnings]
    lines += [
        "",
        f"policy: {_policy_line(result)}",
        f"written to {printable(folder)}/: report.html policy.json numbers.json plots/",
    ]
    return "\n".join(lines) + "\n"


def tables(result: Calibration, thresholds: tuple[float, ...]) -> list[Confusion]:
    """The confusion tables at these thresholds."""
    return [table for table in result.measured.tables if table.threshold in thresholds]


def _table_lines(table: Confusion) -> list[str]:
    return [
        f"at {table.threshold:.12g} and over: {shown(table.recall)} of nsfw",
        f"{'':{len(f'at {table.threshold:.12g} and over:')}} {shown(table.false_positive_rate)} of sfw",
    ]


def _policy_line(result: Calibration) -> str:
    policy = result.policy
    text = policy.bands[0]
    for threshold, band in zip(policy.thresholds, policy.bands[1:]):
        text += f" < {threshold:.12g} <= {band}"
    return f"{text} (by {policy.chosen_by})"
