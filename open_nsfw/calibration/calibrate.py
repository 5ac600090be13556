"""Thresholds from labelled pictures, a report about them, and a policy.

The stages, in order: `score_labels` reads the labels and scores their pictures, `calibrate` measures curves and rates and
chooses thresholds, `write` writes numbers, plots, report and policy.
"""

from __future__ import annotations

import datetime
import json
import os
from typing import Any

import numpy as np

from open_nsfw.calibration import curves, findings, plots, report, thresholds
from open_nsfw.calibration import rates as measure
from open_nsfw.calibration import scored as label_scores
from open_nsfw.calibration.choices import Choice, Wishes
from open_nsfw.calibration.drift import score_bins
from open_nsfw.calibration.label_source import read_labels
from open_nsfw.calibration.policy import BANDS, BANDS_OF_ONE_THRESHOLD, Policy
from open_nsfw.calibration.request import CalibrationRequest, OutputRequest
from open_nsfw.calibration.result import Calibration
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.scored import Scored
from open_nsfw.errors import OutputError, SetupError, UsageError
from open_nsfw.files import write_whole
from open_nsfw.installing import install_command

POLICY_DIGITS = 6  # of the rates in a policy, for people to read; numbers.json has all


def check_installed() -> None:
    """Raises SetupError unless the libraries behind numbers and plots are there."""
    try:
        import matplotlib
        import sklearn  # noqa: F401

        matplotlib.use("Agg")
    except ImportError as error:
        raise SetupError(f"{error.name} is not installed: {install_command('policy')}") from error


def score_labels(request: CalibrationRequest) -> Scored:
    """The labelled pictures with the scores that LABELS has, or that they get now.

    Raises UsageError, OutputError and SetupError.
    """
    labels = read_labels(request.labels, request.names)
    if labels.scored:
        scored = label_scores.from_entries(labels)
        if request.model_hash and scored.model not in (None, request.model_hash):
            raise UsageError(f"--model-hash {request.model_hash}: the rows of {request.labels} are of {scored.model}")
        return Scored(scored.found, scored.model or request.model_hash)
    if request.model_hash:
        raise UsageError(
            "--model-hash is for LABELS with scores; these pictures are scored now, by a model that is known"
        )
    return label_scores.score(labels, request.scoring)


def make_folder(folder: str) -> None:
    """Raises OutputError if there can be no such folder."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from error


def calibrate(scored: Scored, request: CalibrationRequest) -> Calibration:
    """Measure, and choose thresholds. Raises UsageError if a class is empty or a promise cannot be kept."""
    wishes, examples = request.wishes, scored.found.examples()
    nsfw = np.array([each.nsfw for each in examples], dtype=bool)
    request.names.require_both(int((~nsfw).sum()), int(nsfw.sum()), request.labels)
    sample = Sample(np.array([each.score for each in examples], dtype=np.float64), nsfw)
    choices = thresholds.choose(sample, wishes)
    chosen = _policy_choice(choices, request.policy_from)
    bootstrap = curves.BootstrapOptions(request.resamples, request.seed, wishes.confidence)
    numbers = _numbers(scored, sample, wishes, choices, curves.curves(sample, bootstrap))
    policy = _policy(sample, wishes, chosen, scored.model, _band_names(chosen, request.band_names))
    return Calibration(request.labels, scored, examples, sample, wishes, choices, policy, numbers)


def _policy_choice(choices: list[Choice], wanted: str | None) -> Choice:
    by_name = {choice.name: choice for choice in choices}
    if wanted is not None and wanted not in by_name:
        raise UsageError(f"--policy-from {wanted}: was not asked for; there is {', '.join(by_name)}")
    if wanted is None and len(choices) == 2 and set(by_name) == {"cost", "review-budget"}:
        wanted = "review-budget"  # the costs were for it
    if wanted is None and len(choices) > 1:
        raise UsageError(f"which thresholds are the policy's? --policy-from {' or '.join(by_name)}")
    return by_name[wanted] if wanted else choices[0]


def _band_names(choice: Choice, names: tuple[str, ...] | None) -> tuple[str, ...]:
    if names is not None:
        return names
    known = {1: BANDS_OF_ONE_THRESHOLD, 2: BANDS}
    if len(choice.thresholds) not in known:
        raise UsageError(
            f"{len(choice.thresholds)} thresholds part {len(choice.thresholds) + 1} bands: name them with --band-names"
        )
    return known[len(choice.thresholds)]


def _numbers(
    scored: Scored, sample: Sample, wishes: Wishes, choices: list[Choice], found_curves: curves.Curves
) -> dict[str, Any]:
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


def write(result: Calibration, request: OutputRequest) -> None:
    """Write numbers, plots, report and policy into the folder. Raises OutputError."""
    folder = request.folder
    make_folder(os.path.join(folder, "plots"))
    drawing = findings.drawing(result)
    for name in plots.names():
        content = plots.for_file(name, drawing, request.plots)
        write_whole(os.path.join(folder, "plots", f"{name}.{request.plots}"), content)
    write_whole(
        os.path.join(folder, "numbers.json"),
        json.dumps(findings.thin(plain(result.numbers)), indent=1, allow_nan=False) + "\n",
    )
    worst = findings.worst(result, request.worst)
    write_whole(os.path.join(folder, "report.html"), report.page(result, drawing, worst, request.thumbnails))
    result.policy.write(os.path.join(folder, "policy.json"))
