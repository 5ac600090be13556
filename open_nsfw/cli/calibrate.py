"""`open-nsfw calibrate LABELS`: thresholds from labelled pictures, a report about them, and a policy."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from open_nsfw.calibration.calibrate import calibrate, score_labels
from open_nsfw.calibration.choices import Wishes
from open_nsfw.calibration.findings import broken_promises, summary
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.libraries import check_installed
from open_nsfw.calibration.output import check_output, write
from open_nsfw.calibration.request import CalibrationRequest, OutputRequest
from open_nsfw.calibration.scored import ScoringOptions
from open_nsfw.cli.calibrate_options import PROGRAM, parser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status, ended_by
from open_nsfw.scoring.fast import THRESHOLDS


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    calibration: CalibrationRequest
    output: OutputRequest
    quiet: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw calibrate` with these arguments; gives the exit status."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    names = None if values.band_names is None else tuple(name.strip() for name in values.band_names.split(","))
    request = CalibrationRequest(
        labels=values.labels,
        wishes=_wishes(values),
        scoring=_scoring(values),
        names=LabelNames(values.positive, values.negative),
        model_hash=values.model_hash,
        policy_from=values.policy_from,
        band_names=names,
        resamples=values.resamples,
        seed=values.seed,
        group_by=values.group_by,
        command=shlex.join([*PROGRAM.split(), *argv]),
    )
    folder = values.output or _beside(values.labels) + "-calibration"
    output = OutputRequest(folder, values.plots, values.worst, values.overwrite, not values.no_thumbnails)
    return Request(request, output, values.quiet)


def _wishes(values: argparse.Namespace) -> Wishes:
    wished = (values.max_fpr, values.min_recall, values.cost, values.review_budget, values.bands)
    return Wishes(
        max_fpr=values.max_fpr,
        min_recall=values.min_recall,
        cost=values.cost,
        review_budget=values.review_budget,
        bands=THRESHOLDS if all(each is None for each in wished) else values.bands,
        prevalence=values.prevalence,
        confidence=values.confidence,
        as_measured=values.as_measured,
    )


def _scoring(values: argparse.Namespace) -> ScoringOptions:
    return ScoringOptions(
        scores_file=values.scores or _beside(values.labels) + ".scores.jsonl",
        model_def=values.model_def,
        pretrained_model=values.pretrained_model,
        engine=values.engine,
        gpu=values.gpu,
        jobs=values.jobs,
        overwrite=values.overwrite,
        quiet=values.quiet,
    )


def _beside(labels: str) -> str:
    """What the names of files beside LABELS begin with: `photos` for `photos/`, `labels` for `labels.csv`."""
    path = os.path.normpath(labels)
    if os.path.isdir(path):
        return path if os.path.basename(path) not in ("", "..", ".") else os.path.abspath(path)
    return os.path.splitext(path)[0]


def _run(request: Request) -> int:
    check_installed()
    check_output(request.output)
    scored = score_labels(request.calibration)
    if scored.ended_by is not None:
        print(f"{PROGRAM}: stopped; run it again to go on where it was", file=sys.stderr)
        return ended_by(scored.ended_by)
    result = calibrate(scored, request.calibration)
    write(result, request.output)
    for line in broken_promises(result):  # also with --quiet: a policy that does not do what was asked for
        print(f"{PROGRAM}: warning: {line}", file=sys.stderr)
    if not request.quiet:
        print_text(summary(result, request.output.folder))
    return Status.FAILED if result.broken_promises else Status.DONE
