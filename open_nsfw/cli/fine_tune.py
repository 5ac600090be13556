"""`open-nsfw fine-tune LABELS --output DIR`: a caffemodel that fits labelled pictures better, and a report about it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.libraries import check_installed
from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    add_confidence_option,
    add_debug_option,
    add_gpu_option,
    add_jobs_option,
    add_label_name_options,
    add_model_options,
    add_prevalence_option,
    add_resamples_option,
    add_thumbnails_option,
)
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import SIGNALS, Status, ended_by
from open_nsfw.errors import UsageError
from open_nsfw.nets.training import DEPLOY
from open_nsfw.text import printable
from open_nsfw.training import words
from open_nsfw.training.fine_tune import fine_tune
from open_nsfw.training.output import NUMBERS, POLICY, RANGES, REPORT, WEIGHTS, write
from open_nsfw.training.request import TRAIN, TuneRequest
from open_nsfw.training.result import Tuning
from open_nsfw.training.split import WAYS

PROGRAM = "open-nsfw fine-tune"

DESCRIPTION = """\
Fit the network to your own labelled pictures. LABELS is a folder with the folders sfw/ and nsfw/, or CSV or JSON lines
with the columns path and label. DIR gets a caffemodel for every port of open_nsfw, a policy, what `caffe train` needs,
and a report that says, on pictures that were kept apart, whether the new model is better."""

EXAMPLES = f"""\
examples:
  open-nsfw fine-tune labelled/ --output tuned/
  open-nsfw fine-tune labels.csv --output stricter/ --max-fpr 0.005 --prevalence 0.02
  classify_nsfw photos/ --model_def tuned/{DEPLOY} --pretrained_model tuned/{WEIGHTS.format("")}

exit status: 0 the new model is better, 1 it is not, and its files are named ...-not-better, 2 the command, the
labels, the model or the output is at fault, {SIGNALS}"""


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw fine-tune` with these arguments; gives the exit status."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> TuneRequest:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    return request_of(values, shlex.join([*PROGRAM.split(), *argv]), values.gpu)


def request_of(values: argparse.Namespace, command: str, gpu: int | None) -> TuneRequest:
    """The request that the values of the options make; `command` is the command line, for the report.
    Raises UsageError."""
    if values.resume and values.overwrite:
        raise UsageError("--resume and --overwrite cannot be combined")
    return TuneRequest(
        labels=values.labels,
        folder=values.output,
        train=values.train,
        names=LabelNames(values.positive, values.negative),
        model_def=values.model_def,
        pretrained_model=values.pretrained_model,
        jobs=values.jobs,
        group_by=values.group_by,
        max_fpr=values.max_fpr,
        prevalence=values.prevalence,
        confidence=values.confidence,
        resamples=values.resamples,
        seed=values.seed,
        time_limit=None if values.time_limit is None else 60 * values.time_limit,
        gpu=gpu,
        tensorboard=values.tensorboard,
        resume=values.resume,
        overwrite=values.overwrite,
        keep_anyway=values.keep_anyway,
        thumbnails=not values.no_thumbnails,
        quiet=values.quiet,
        command=command,
    )


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(prog=PROGRAM, description=DESCRIPTION, epilog=EXAMPLES)
    result.add_argument("labels", type=parsing.file, metavar="LABELS", help="a folder, CSV or JSON lines")
    result.add_argument(
        "--output", required=True, type=parsing.file, metavar="DIR", help="a new folder, where everything is written"
    )
    add_debug_option(result)
    training = result.add_argument_group("training")
    add_training_options(training)
    add_gpu_option(training)
    add_run_options(result.add_argument_group("the run"))
    return result


def add_training_options(group: Any) -> None:
    """What is learnt from what, and measured."""
    add = group.add_argument
    add(
        "--train",
        choices=TRAIN,
        default=TRAIN[0],
        help="part that is trained: head, the last, fully connected layer; stage3 or stage2 and what is above; all; auto, the "
        "default, each of these as far as there are labels enough and it helps on held-out pictures",
    )
    add_label_name_options(group)
    add_model_options(group)
    add(
        "--group-by",
        choices=WAYS,
        default="auto",
        help="what tells, beside archives and likeness, that pictures belong together: the column group of LABELS, the folders "
        "below sfw/ and nsfw/, or nothing; auto is column where there is one",
    )
    add(
        "--max-fpr",
        type=parsing.share,
        default=0.01,
        metavar="SHARE",
        help="false-positive rate at which the recall is measured and the policy chosen (default 0.01)",
    )
    add_prevalence_option(group)
    add_confidence_option(group)
    add_resamples_option(group)
    add("--seed", type=parsing.seed, default=0, metavar="N", help="seed of all that is drawn (default 0)")


def add_run_options(group: Any) -> None:
    """How the run goes, and what it leaves."""
    add = group.add_argument
    add("--resume", action="store_true", help="continue in a DIR that has a run: keep the features of its pictures")
    add("--overwrite", action="store_true", help="start again in a DIR that has a run, and replace its files")
    add("--keep-anyway", action="store_true", help="exit with 0 and use plain names even if the model is not better")
    add(
        "--time-limit",
        type=parsing.positive,
        metavar="MINUTES",
        help="minutes from the start after which no epoch begins; what is best by then is written",
    )
    add("--tensorboard", type=parsing.file, metavar="DIR", help="write what TensorBoard shows into this folder")
    add_jobs_option(group)
    add_thumbnails_option(group)
    add("--quiet", action="store_true", help="print no progress bar and no summary")


def _run(request: TuneRequest) -> int:
    check_installed()
    return conclude(PROGRAM, request, fine_tune(request))


def conclude(program: str, request: TuneRequest, result: Tuning | int) -> int:
    """Write and tell what a fine-tuning came to; the exit status. `program` begins every line on stderr."""
    if isinstance(result, int):
        print(f"{program}: stopped; --resume goes on where it was", file=sys.stderr)
        return ended_by(result)
    write(result)
    for line in words.left_out(result):
        print(f"{program}: {line}", file=sys.stderr)
    if not request.quiet:
        names = (WEIGHTS, DEPLOY, POLICY, *(() if isinstance(result.ranges, str) else (RANGES,)), REPORT, NUMBERS)
        files = [name.format(result.suffix) for name in names]
        print_text(
            words.summary(result) + f"written to {printable(os.path.join(request.folder, ''))}: {' '.join(files)}\n"
        )
    return Status.DONE if result.kept else Status.FAILED
