"""`open-nsfw calibrate LABELS`: thresholds from labelled pictures, a report about them, and a policy.

The stages, in order: `read` labels -> `score` pictures -> `measure` curves and rates -> `choose` thresholds -> `write`
numbers, plots, report and policy.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from open_nsfw.cli.calibrate_options import PROGRAM, parser
from open_nsfw.cli.verbs import guarded, print_text
from open_nsfw.errors import OutputError, SetupError, UsageError
from open_nsfw.installing import install_command

if TYPE_CHECKING:
    from open_nsfw.calibration.choices import Choice, Wishes
    from open_nsfw.calibration.labelled_set import Example
    from open_nsfw.calibration.labels import LabelNames
    from open_nsfw.calibration.policy import Policy
    from open_nsfw.calibration.sample import Sample
    from open_nsfw.calibration.scored import Scored

SIGNAL_STATUS = 128  # a shell's exit status for a command ended by signal N is 128 + N
AUTHORS_BANDS = (0.2, 0.8)  # what the network's authors suggest for a start
POLICY_DIGITS = 6  # of the rates in a policy, for people to read; numbers.json has all


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw calibrate` with these arguments; gives the exit status."""
    return guarded(PROGRAM, lambda: _run(parser().parse_args(argv)), "--debug" in argv)


def check_installed() -> None:
    """Raises SetupError unless the libraries behind numbers and plots are there."""
    try:
        import matplotlib
        import sklearn  # noqa: F401

        matplotlib.use("Agg")
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: {install_command('policy')}") from error


def _run(options: argparse.Namespace) -> int:
    from open_nsfw.calibration.choices import Wishes

    wished = (options.max_fpr, options.min_recall, options.cost, options.review_budget, options.bands)
    bands = AUTHORS_BANDS if all(each is None for each in wished) else options.bands
    wishes = Wishes(
        *(options.max_fpr, options.min_recall, options.cost, options.review_budget, bands),
        *(options.prevalence, options.confidence, options.as_measured),
    )
    check_installed()
    scored = _scored(options)
    if scored.ended_by is not None:
        print(f"{PROGRAM}: stopped; run it again to go on where it was", file=sys.stderr)
        return SIGNAL_STATUS + scored.ended_by
    result = calibrate(options.labels, scored, wishes, options)
    folder = options.output or _beside(options.labels) + "-calibration"
    _write(result, folder, options)
    if not options.quiet:
        from open_nsfw.calibration.findings import summary

        print_text(summary(result, folder))
    return 0


def _names(options: argparse.Namespace) -> LabelNames:
    from open_nsfw.calibration.labels import LabelNames

    return LabelNames(options.positive, options.negative)


def _beside(labels: str) -> str:
    """What the names of files beside LABELS begin with: `photos` for `photos/`, `labels` for `labels.csv`."""
    path = os.path.normpath(labels)
    if os.path.isdir(path):
        return path if os.path.basename(path) not in ("", "..", ".") else os.path.abspath(path)
    return os.path.splitext(path)[0]


def _scored(options: argparse.Namespace) -> Scored:
    from open_nsfw.calibration import scored as label_scores
    from open_nsfw.calibration.label_source import read_labels

    labels = read_labels(options.labels, _names(options))
    if labels.scored:
        scored = label_scores.from_entries(labels)
        if options.model_hash and scored.model not in (None, options.model_hash):
            raise UsageError(f"--model-hash {options.model_hash}: the rows of {options.labels} are of {scored.model}")
        return label_scores.Scored(scored.found, scored.model or options.model_hash)
    if options.model_hash:
        raise UsageError(
            "--model-hash is for LABELS with scores; these pictures are scored now, by a model that is known"
        )
    return label_scores.score(
        labels,
        label_scores.ScoringOptions(
            options.scores or _beside(options.labels) + ".scores.jsonl",
            *(options.model_def, options.pretrained_model, options.engine, options.gpu, options.jobs),
            *(options.overwrite, options.quiet),
        ),
    )


def make_folder(folder: str) -> None:
    """Raises OutputError if there can be no such folder."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from error


@dataclass(frozen=True)
class Calibration:
    """All that is known at the end: what the report tells and the policy keeps."""

    labels: str
    """LABELS, as it was named."""
    scored: Scored
    examples: list[Example]
    sample: Sample
    wishes: Wishes
    choices: list[Choice]
    policy: Policy
    numbers: dict[str, Any]
    """What numbers.json holds; `Rate`s and arrays are still themselves."""


def calibrate(labels: str, scored: Scored, wishes: Wishes, options: argparse.Namespace) -> Calibration:
    """Measure, and choose thresholds. Raises UsageError if a class is empty or a promise cannot be kept."""
    import numpy as np

    from open_nsfw.calibration import curves, thresholds
    from open_nsfw.calibration.sample import Sample

    examples = scored.found.examples()
    nsfw = np.array([each.nsfw for each in examples], dtype=bool)
    _names(options).require_both(int((~nsfw).sum()), int(nsfw.sum()), labels)
    sample = Sample(np.array([each.score for each in examples], dtype=np.float64), nsfw)
    choices = thresholds.choose(sample, wishes)
    chosen = _policy_choice(choices, options.policy_from)
    bootstrap = curves.BootstrapOptions(options.resamples, options.seed, wishes.confidence)
    numbers = _numbers(scored, sample, wishes, choices, curves.curves(sample, bootstrap))
    policy = _policy(sample, wishes, chosen, scored.model, _band_names(chosen, options.band_names))
    return Calibration(labels, scored, examples, sample, wishes, choices, policy, numbers)


def _policy_choice(choices: list[Choice], wanted: str | None) -> Choice:
    by_name = {choice.name: choice for choice in choices}
    if wanted is not None and wanted not in by_name:
        raise UsageError(f"--policy-from {wanted}: was not asked for; there is {', '.join(by_name)}")
    if wanted is None and len(choices) == 2 and set(by_name) == {"cost", "review-budget"}:
        wanted = "review-budget"  # the costs were for it
    if wanted is None and len(choices) > 1:
        raise UsageError(f"which thresholds are the policy's? --policy-from {' or '.join(by_name)}")
    return by_name[wanted] if wanted else choices[0]


def _band_names(choice: Choice, text: str | None) -> tuple[str, ...]:
    from open_nsfw.calibration.policy import BANDS, BANDS_OF_ONE_THRESHOLD

    if text is not None:
        return tuple(name.strip() for name in text.split(","))
    known = {1: BANDS_OF_ONE_THRESHOLD, 2: BANDS}
    if len(choice.thresholds) not in known:
        raise UsageError(
            f"{len(choice.thresholds)} thresholds part {len(choice.thresholds) + 1} bands: name them with --band-names"
        )
    return known[len(choice.thresholds)]


def _numbers(
    scored: Scored, sample: Sample, wishes: Wishes, choices: list[Choice], found_curves: Any
) -> dict[str, Any]:
    from open_nsfw.calibration import rates as measure

    thresholds = sorted({each for choice in choices for each in choice.thresholds})
    tables = [measure.confusion(sample, each, wishes.confidence, wishes.prevalence) for each in thresholds]
    found = scored.found
    return {
        "sample": {
            **{"pictures": len(sample.nsfw), "sfw": sample.negatives, "nsfw": sample.positives, "model": scored.model},
            **{"missing": found.missing, "unreadable": found.unreadable, "duplicates": found.duplicates},
            **{"conflicts": found.conflicts, "passed_over": scored.passed_over},
        },
        "confidence": wishes.confidence,
        "prevalence": sample.share(wishes.prevalence),
        "curves": found_curves,
        "choices": [
            {
                **vars(choice),
                "bands": measure.band_rates(sample, choice.thresholds, wishes.confidence, wishes.prevalence),
            }
            for choice in choices
        ],
        "confusion": tables,
        "histogram": measure.histogram(sample),
        "reliability": measure.reliability(sample, wishes.confidence),
    }


def _policy(sample: Sample, wishes: Wishes, choice: Choice, model: str | None, names: tuple[str, ...]) -> Policy:
    from open_nsfw.calibration import rates as measure
    from open_nsfw.calibration.drift import score_bins
    from open_nsfw.calibration.policy import Policy

    tables = [measure.confusion(sample, each, wishes.confidence, wishes.prevalence) for each in choice.thresholds]
    shares = measure.band_rates(sample, choice.thresholds, wishes.confidence, wishes.prevalence)
    kept = ("threshold", "recall", "false_positive_rate", "precision")
    return Policy(
        thresholds=choice.thresholds,
        bands=names,
        chosen_by=choice.option + (" --as-measured" if wishes.as_measured else ""),
        model=model,
        made=datetime.date.today().isoformat(),
        confidence=wishes.confidence,
        prevalence=wishes.prevalence,
        sample={"pictures": len(sample.nsfw), "sfw": sample.negatives, "nsfw": sample.positives},
        rates={
            "thresholds": [plain({name: table.as_json()[name] for name in kept}, POLICY_DIGITS) for table in tables],
            "bands": plain(dict(zip(names, shares)), POLICY_DIGITS),
        },
        scores=score_bins(sample),
    )


def plain(value: Any, digits: int | None = None) -> Any:
    """`value` as JSON has it: dataclasses and arrays spelled out, numbers that are not finite as null."""
    import numpy as np

    if hasattr(value, "as_json"):
        return plain(value.as_json(), digits)
    if hasattr(value, "__dataclass_fields__"):
        return plain(vars(value), digits)
    if isinstance(value, dict):
        return {name: plain(each, digits) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(each, digits) for each in value]
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return None if not np.isfinite(number) else number if digits is None else round(number, digits)
    return int(value) if isinstance(value, np.integer) else value


def _write(result: Calibration, folder: str, options: argparse.Namespace) -> None:
    from open_nsfw.calibration import findings, plots, report
    from open_nsfw.files import write_whole

    make_folder(os.path.join(folder, "plots"))
    drawing = findings.drawing(result)
    for name in plots.names():
        write_whole(
            os.path.join(folder, "plots", f"{name}.{options.plots}"), plots.for_file(name, drawing, options.plots)
        )
    write_whole(
        os.path.join(folder, "numbers.json"),
        json.dumps(findings.thin(plain(result.numbers)), indent=1, allow_nan=False) + "\n",
    )
    worst = findings.worst(result, options.worst)
    write_whole(os.path.join(folder, "report.html"), report.page(result, drawing, worst, not options.no_thumbnails))
    result.policy.write(os.path.join(folder, "policy.json"))
