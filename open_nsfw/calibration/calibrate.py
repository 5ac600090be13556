"""Labelled pictures with scores -> thresholds, what they do, and a policy.

The stages, in order: `score_labels` reads the labels and scores their pictures, `calibrate` groups pictures that are not
independent, chooses thresholds and measures what they do; `write` in output.py writes report, numbers, plots and policy.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace

from open_nsfw.calibration import curves, groups, looks, rates, thresholds
from open_nsfw.calibration import scored as label_scores
from open_nsfw.calibration.choices import Choice, Wishes
from open_nsfw.calibration.distribution import distribution_of
from open_nsfw.calibration.groups import Grouping
from open_nsfw.calibration.json_values import json_value
from open_nsfw.calibration.label_source import read_labels
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.policy import BANDS, BANDS_OF_ONE_THRESHOLD, Policy
from open_nsfw.calibration.request import CalibrationRequest
from open_nsfw.calibration.result import Calibration, Measured, Provenance
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.scored import Scored, ScoringOptions
from open_nsfw.errors import UsageError
from open_nsfw.version import __version__

POLICY_DIGITS = 6  # of the rates in a policy, for people to read; numbers.json has all
IN_POLICY = ("threshold", "recall", "false_positive_rate", "precision")  # of a confusion table


def score_labels(request: CalibrationRequest) -> Scored:
    """The labelled pictures with the scores that LABELS has, or that they get now.

    Raises UsageError, OutputError and SetupError.
    """
    labels = read_labels(request.labels, request.names)
    if labels.scored:
        _refuse_scoring(request)
        scored = label_scores.from_entries(labels)
        if request.model_hash and scored.model not in (None, request.model_hash):
            raise UsageError(f"--model-hash {request.model_hash}: the rows of {request.labels} are of {scored.model}")
        return replace(scored, model=scored.model or request.model_hash)
    if request.model_hash:
        raise UsageError(
            "--model-hash is for LABELS with scores; these pictures are scored now, by a model that is known"
        )
    return label_scores.score(labels, request.scoring)


def _refuse_scoring(request: CalibrationRequest) -> None:
    """Raises UsageError if it is asked for something that only scoring heeds."""
    scoring, default = request.scoring, ScoringOptions(request.scoring.scores_file)
    for name in ("model_def", "pretrained_model", "engine", "gpu"):
        if getattr(scoring, name) != getattr(default, name):
            raise UsageError(
                f"--{name}: LABELS has scores, so nothing is scored; leave the column score out to have that"
            )


def calibrate(scored: Scored, request: CalibrationRequest) -> Calibration:
    """Group, choose, and measure. Raises UsageError if a class is empty, or where there can be no threshold."""
    wishes, examples = request.wishes, scored.found.examples()
    nsfw = sum(each.nsfw for each in examples)
    request.names.require_both(len(examples) - nsfw, nsfw, request.labels)
    grouping = _grouping(examples, scored, request)
    sample = groups.sample_of(examples, grouping.numbers)
    choices = thresholds.choose(sample, wishes)
    chosen = _policy_choice(choices, request.policy_from)
    names = _band_names(choices[chosen], request.band_names)
    provenance = _provenance(scored, sample, request)
    measured = _measured(sample, choices, request)
    warnings = (groups.warning(sample, grouping.by), grouping.warning)
    return Calibration(
        labels=request.labels,
        scored=scored,
        examples=examples,
        sample=sample,
        grouping=grouping,
        wishes=wishes,
        choices=choices,
        chosen=chosen,
        measured=measured,
        policy=_policy(sample, wishes, choices[chosen], names, measured, measured.bands[chosen], provenance),
        provenance=provenance,
        warnings=tuple(filter(None, warnings)),
    )


def _grouping(examples: list[Example], scored: Scored, request: CalibrationRequest) -> Grouping:
    how = request.group_by
    if how == groups.AUTO:
        has_column = any(example.group is not None for example in examples)
        how = groups.COLUMN if has_column else groups.CONTENT if scored.has_pictures else groups.NONE
    if how == groups.COLUMN:
        return groups.by_column(examples)
    if how == groups.FOLDER:
        return groups.by_folder(examples, scored.folders)
    if how == groups.CONTENT:
        scoring = request.scoring
        return groups.by_content(examples, looks.beside(scoring.scores_file), scoring.jobs, scoring.quiet)
    return Grouping(groups.NONE, None)


def _provenance(scored: Scored, sample: Sample, request: CalibrationRequest) -> Provenance:
    return Provenance(request.command, __version__, scored.engine, scored.model, request.seed, data_hash(sample))


def data_hash(sample: Sample) -> str:
    """SHA-256 of the scores and labels that count, in any order: of the sorted lines `SCORE,LABEL`, each with its line end,
    the score as Python's repr has it, the label 1 for nsfw and 0 for sfw; where there are weights, `SCORE,LABEL,WEIGHT`."""
    columns = [[repr(score) for score in sample.scores.tolist()], [str(int(nsfw)) for nsfw in sample.nsfw.tolist()]]
    if sample.weights is not None:
        columns.append([repr(weight) for weight in sample.weights.tolist()])
    lines = sorted(",".join(cells) + "\n" for cells in zip(*columns))
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()


def _policy_choice(choices: list[Choice], wanted: str | None) -> int:
    """The index of the choice that is the policy's."""
    by_name = {choice.name: index for index, choice in enumerate(choices)}
    if wanted is not None and wanted not in by_name:
        raise UsageError(f"--policy-from {wanted}: was not asked for; there is {', '.join(by_name)}")
    if wanted is None and len(choices) == 2 and set(by_name) == {"cost", "review-budget"}:
        wanted = "review-budget"  # the costs were for it
    if wanted is None and len(choices) > 1:
        raise UsageError(f"which thresholds are the policy's? --policy-from {' or '.join(by_name)}")
    return by_name[wanted] if wanted else 0


def _band_names(choice: Choice, names: tuple[str, ...] | None) -> tuple[str, ...]:
    if names is not None:
        return names
    known = {1: BANDS_OF_ONE_THRESHOLD, 2: BANDS}
    if len(choice.thresholds) not in known:
        raise UsageError(
            f"{len(choice.thresholds)} thresholds part {len(choice.thresholds) + 1} bands: name them with --band-names"
        )
    return known[len(choice.thresholds)]


def _measured(sample: Sample, choices: list[Choice], request: CalibrationRequest) -> Measured:
    confidence, prevalence = request.wishes.confidence, request.wishes.prevalence
    levels = sorted({each for choice in choices for each in choice.thresholds})
    return Measured(
        curves=curves.curves(sample, curves.BootstrapOptions(request.resamples, request.seed, confidence)),
        tables=[rates.confusion(sample, each, confidence, prevalence) for each in levels],
        bands=[rates.band_rates(sample, choice.thresholds, confidence, prevalence) for choice in choices],
        histogram=rates.histogram(sample),
        reliability=rates.reliability(sample, confidence),
    )


def _policy(
    sample: Sample,
    wishes: Wishes,
    choice: Choice,
    names: tuple[str, ...],
    measured: Measured,
    bands: list[rates.BandShares],
    provenance: Provenance,
) -> Policy:
    tables = [table.as_json() for table in measured.tables if table.threshold in choice.thresholds]
    return Policy(
        thresholds=choice.thresholds,
        bands=names,
        chosen_by=choice.option + (" --as-measured" if wishes.as_measured else ""),
        model=provenance.model,
        made=datetime.date.today().isoformat(),
        confidence=wishes.confidence,
        prevalence=wishes.prevalence,
        promises=json_value(choice.promises, POLICY_DIGITS),
        sample=_about(sample, provenance),
        rates=json_value(
            {
                "thresholds": [{name: table[name] for name in IN_POLICY} for table in tables],
                "bands": dict(zip(names, bands)),
            },
            POLICY_DIGITS,
        ),
        scores=distribution_of(sample).as_json(),
    )


def _about(sample: Sample, provenance: Provenance) -> dict[str, object]:
    counts = {"pictures": len(sample.nsfw), "sfw": sample.negatives, "nsfw": sample.positives}
    return {**counts, "groups": sample.group_count, "sha256": provenance.data_sha256}
