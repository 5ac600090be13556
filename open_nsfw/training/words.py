"""What a fine-tuning found, in words: for the terminal and for the report."""

from __future__ import annotations

from open_nsfw.calibration.rates import Rate
from open_nsfw.calibration.words import percent
from open_nsfw.text import printable
from open_nsfw.training.measure import Comparison, Measure
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.result import Tuning


def title_of(measure: Measure, request: TuneRequest) -> str:
    """What a number is called."""
    names = {
        "auc": "area under the ROC curve",
        "recall": f"recall at a false-positive rate of {percent(request.max_fpr)}",
        "log_loss": "log loss (less is better)",
        "brier": "Brier score (less is better)",
    }
    return names[measure.name]


def value_of(measure: Measure, rate: Rate, signed: bool = False) -> str:
    """A number with its interval: `0.954 (0.933 to 0.969)`, `+0.02 (-0.01 to +0.05)`."""
    value, low, high = (_shown(each, signed) for each in (rate.value or 0.0, rate.low, rate.high))
    return f"{value} ({low} to {high})"


def _shown(value: float, signed: bool) -> str:
    """No sign before a number that is shown as 0."""
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return "0" if text in ("+0.000", "-0.000") else text


def verdict(comparison: Comparison) -> str:
    """Whether the new model is better, and by what."""
    area, loss = comparison.measures[0].difference, comparison.recalibrated.difference
    if comparison.better:
        parts = []
        if area.low > 0:
            parts.append("it ranks the test pictures better")
        if loss.high < 0:
            parts.append("its probabilities are better than the old model's can be made by a temperature and a prior")
        return f"The new model is better: {', and '.join(parts)}."
    if area.high < 0 or loss.low > 0:
        return "The new model is not better: on the test pictures it is worse than the old one in one way at least."
    return (
        "The new model is not better: on the test pictures, what it gains over the old one, brought to these labels by a "
        "temperature and a prior alone, may be chance."
    )


def summary(result: Tuning) -> str:
    """What the command prints at its end."""
    request, data = result.request, result.data
    tested, groups = len(result.split.test), len(set(result.split.groups.tolist()))
    lines = [
        f"{printable(request.labels)}: {len(data.nsfw):,} pictures count: {int((~data.nsfw).sum()):,} sfw, "
        f"{int(data.nsfw.sum()):,} nsfw; from {groups:,} groups; {tested:,} of them tested on, once",
        "",
    ]
    rows = [
        (
            title_of(each, request),
            value_of(each, each.before),
            value_of(each, each.after),
            value_of(each, each.difference, True),
        )
        for each in result.comparison.measures
    ]
    head = ("", "before", "after", "difference")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *rows]]
    lines += ["", *steps_taken(result), verdict(result.comparison)]
    lines += [
        f"{each.engine} on {each.pictures:,} test pictures: within {each.largest:.1g}" for each in result.agreements
    ]
    return "\n".join(lines) + "\n"


def steps_taken(result: Tuning) -> list[str]:
    """A line for each step beyond the head."""
    lines = []
    for step in result.tuned.steps[1:]:
        loss = "" if step.held_out is None else f"log loss {step.held_out:.4f} on held-out pictures; "
        lines.append(f"{step.what}: {loss}{step.why or 'it helps'}{'' if step.used else ': not used'}")
    return lines


def left_out(result: Tuning) -> list[str]:
    """A line for each picture that does not count and why, but for copies."""
    found = result.data.scored.found
    lines = [f"{name}: there is no such file" for name in found.missing]
    lines += [f"{name}: {why}" for name, why in found.unreadable]
    lines += [f"{' = '.join(names)}: the same picture under both labels; left out" for names in found.conflicts]
    return lines
