"""`open-nsfw spark score INPUT... --output DIR` and its sisters: the work of one machine's verbs, on a Spark cluster."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from open_nsfw.calibration.libraries import check_installed
from open_nsfw.calibration.policy import Policy
from open_nsfw.cli import parsing
from open_nsfw.cli.classify_options import add_fast_options
from open_nsfw.cli.fine_tune import add_run_options, add_training_options, conclude, request_of
from open_nsfw.cli.options import (
    add_any_model_option,
    add_blobs_option,
    add_debug_option,
    add_frame_options,
    add_hidden_option,
    add_limit_options,
    add_model_options,
    add_overwrite_option,
)
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import SIGNALS, Status
from open_nsfw.cluster.fine_tune import ClusterTuning, tune_on_cluster
from open_nsfw.cluster.options import ScoreOptions
from open_nsfw.cluster.output import Going
from open_nsfw.cluster.run import JobRequest, Outcome, run
from open_nsfw.cluster.session import SessionOptions
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.scoring.fast import parse_thresholds
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import SourceOptions

PROGRAM = "open-nsfw spark"

_SCORE_EXAMPLES = f"""\
examples:
  {PROGRAM} score photos/ upload.zip --output scores --master 'local[2]'
  {PROGRAM} score photos/ upload.zip --output scores --master 'local[2]' --resume

exit status: 0 every picture has a score, 1 some have an error in their row instead, 2 the command line, the model,
Spark or the output is at fault, {SIGNALS}"""

_FEATURES_EXAMPLE = f"""\
example:
  {PROGRAM} features photos/ --blobs pool,prob --output blobs --master 'local[2]'

exit status: 0 every picture has its blobs, 1 some have an error in their row instead, 2 the command line, the model,
Spark or the output is at fault, {SIGNALS}"""

_FINE_TUNE_EXAMPLE = f"""\
example:
  {PROGRAM} fine-tune labelled/ --output tuned/ --train head --master 'local[2]'

exit status: 0 the new model is better, 1 it is not, and its files are named ...-not-better, 2 the command, the
labels, the model, Spark or the output is at fault, {SIGNALS}"""

_EXAMPLES = f"""\
example:
  {PROGRAM} score photos/ --output scores

exit status: 0 the work is done, 1 its result is not good, 2 the command line, the model, Spark or the output is at
fault, {SIGNALS}"""


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw spark` with these arguments; gives the exit status."""
    program = f"{PROGRAM} {argv[0]}" if argv and argv[0] in ACTIONS else PROGRAM
    return guarded(program, argv, lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    values = parser().parse_args(argv)
    values.command_line = shlex.join([*PROGRAM.split(), *argv])
    status: int = ACTIONS[values.action](values)
    return status


def parser() -> OneLineParser:
    """The options of `open-nsfw spark`."""
    result = OneLineParser(prog=PROGRAM, description="Work on a Spark cluster.", epilog=_EXAMPLES)
    actions = result.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=OneLineParser)
    _add_score(actions)
    _add_features(actions)
    _add_fine_tune(actions)
    return result


def _add_score(actions: Any) -> None:
    score = actions.add_parser(
        "score",
        help="score pictures, as classify_nsfw does",
        description="Score pictures on a Spark cluster. DIR gets the rows of `classify_nsfw --format parquet`, as Parquet files.",
        epilog=_SCORE_EXAMPLES,
    )
    _add_inputs(score)
    add_model_options(score.add_argument_group("model"))
    add_fast_options(score.add_argument_group("fast mode"))
    sources = score.add_argument_group("what is scored")
    _add_column_option(sources)
    add_hidden_option(sources)
    add_frame_options(sources)
    rows = score.add_argument_group("what comes out")
    _add_going_options(rows)
    rows.add_argument("--hash", action="store_true", help="add the SHA-256 of each file to its row")
    rows.add_argument(
        "--policy",
        type=parsing.file,
        metavar="FILE",
        help="add the verdict of this policy, from `open-nsfw calibrate`, to every row",
    )
    add_any_model_option(rows)
    _add_session_options(score.add_argument_group("Spark"))
    add_limit_options(score.add_argument_group("limits, against hostile files"), SourceOptions(), Extraction(), 60.0)


def _add_features(actions: Any) -> None:
    features = actions.add_parser(
        "features",
        help="compute blobs of a network, as open-nsfw features does",
        description="Compute blobs of the network on a Spark cluster. DIR gets the rows of `open-nsfw features`, as Parquet\n"
        "files.",
        epilog=_FEATURES_EXAMPLE,
    )
    _add_inputs(features)
    add_blobs_option(features)
    add_model_options(features.add_argument_group("model"))
    sources = features.add_argument_group("what is read")
    _add_column_option(sources)
    add_hidden_option(sources)
    add_frame_options(sources)
    _add_going_options(features.add_argument_group("what comes out"))
    _add_session_options(features.add_argument_group("Spark"))
    add_limit_options(features.add_argument_group("limits, against hostile files"), SourceOptions(), Extraction(), 60.0)


def _add_fine_tune(actions: Any) -> None:
    tune = actions.add_parser(
        "fine-tune",
        help="fit a network to labelled pictures, as open-nsfw fine-tune does",
        description="Fit the network to your own labelled pictures on a Spark cluster. LABELS and DIR are those of\n"
        "`open-nsfw fine-tune`, and the result is the same.",
        epilog=_FINE_TUNE_EXAMPLE,
    )
    tune.add_argument("labels", type=parsing.file, metavar="LABELS", help="a folder, CSV or JSON lines")
    tune.add_argument(
        "--output", required=True, type=parsing.file, metavar="DIR", help="a new folder, where everything is written"
    )
    add_debug_option(tune)
    add_training_options(tune.add_argument_group("training"))
    add_run_options(tune.add_argument_group("the run"))
    spark = tune.add_argument_group("Spark")
    _add_session_options(spark)
    spark.add_argument(
        "--table",
        type=parsing.file,
        metavar="DIR",
        help="where executors write what they compute of the pictures, a folder that all machines reach (default: in --output)",
    )
    spark.add_argument(
        "--workers",
        type=parsing.count,
        metavar="N",
        help="how many tasks train layers below the head together (default: one per core)",
    )


def _add_inputs(parser: Any) -> None:
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="files, folders, archives or videos, also hdfs: and the like; with --column, tables",
    )
    parser.add_argument("--output", required=True, type=parsing.file, metavar="DIR", help="the folder of the result")
    add_debug_option(parser)


def _add_column_option(group: Any) -> None:
    group.add_argument(
        "--column",
        metavar="NAME",
        help="the inputs are tables (Parquet, CSV, JSON lines, or the name of one in the catalog), with pictures or paths in "
        "this column",
    )


def _add_going_options(group: Any) -> None:
    add = group.add_argument
    add("--prefix", default="", metavar="TEXT", help="begin the names of the result's columns with TEXT")
    add("--resume", action="store_true", help="go on with a DIR that has rows: compute what is missing or has changed")
    add("--retry-failed", action="store_true", help="with --resume: score again what failed")
    add_overwrite_option(group)
    add("--quiet", action="store_true", help="print no progress bar and no summary")


def _add_session_options(group: Any) -> None:
    add = group.add_argument
    add(
        "--master",
        metavar="URL",
        help="the cluster: local[2], spark://HOST:7077, yarn, k8s://... (default: as Spark is configured, else local[*])",
    )
    add(
        "--conf",
        action="append",
        default=[],
        type=_property,
        metavar="NAME=VALUE",
        help="a property of Spark; repeatable",
    )
    add("--packages", metavar="NAMES", help="Maven coordinates of packages, as for spark-submit")


def _property(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"a property is needed, as spark.executor.memory=4g, not '{text}'")
    return name, value


def _score(values: argparse.Namespace) -> int:
    outcome = run(_job(values, _score_options(values)))
    if not values.quiet:
        print_text(summary(outcome, values.output))
    return _status(outcome, values)


def _features(values: argparse.Namespace) -> int:
    options = ScoreOptions(
        load=LoadOptions(values.model_def, values.pretrained_model),
        extraction=replace(_extraction(values), hash=True),
        sources=_sources(values),
        max_seconds=values.max_seconds,
        prefix=values.prefix,
        blobs=values.blobs,
    )
    outcome = run(_job(values, options))
    if not values.quiet:
        made = f"{outcome.scored:,} pictures with {', '.join(values.blobs)}"
        print_text(f"{made}, {_failed(outcome)}; {_where(outcome, values.output)}\n")
    return _status(outcome, values)


def _status(outcome: Outcome, values: argparse.Namespace) -> int:
    """Files that have only sound have no rows, so a job over nothing else must not look like one that is done."""
    if not outcome.scored and not outcome.failed and values.column is None:
        print(f"{PROGRAM} {values.action}: no-pictures: there is no picture in the inputs", file=sys.stderr)
        return Status.FAILED
    return Status.FAILED if outcome.failed else Status.DONE


def _fine_tune(values: argparse.Namespace) -> int:
    check_installed()
    program = f"{PROGRAM} {values.action}"
    request = request_of(values, values.command_line, None)
    result = tune_on_cluster(ClusterTuning(request, _session(values), values.table, values.workers))
    return conclude(program, request, result)


def _job(values: argparse.Namespace, options: ScoreOptions) -> JobRequest:
    if values.retry_failed and not values.resume:
        raise UsageError("--retry-failed needs --resume")
    if values.resume and values.overwrite:
        raise UsageError("--resume and --overwrite cannot be combined")
    return JobRequest(
        inputs=tuple(values.inputs),
        output=values.output,
        column=values.column,
        options=options,
        going=Going(values.resume, values.retry_failed, values.overwrite),
        session=_session(values),
    )


def _session(values: argparse.Namespace) -> SessionOptions:
    name = f"{PROGRAM} {values.action}"
    return SessionOptions(name, values.master, tuple(values.conf), values.packages, values.quiet)


def _score_options(values: argparse.Namespace) -> ScoreOptions:
    for option, given, other, is_there in (
        ("--thresholds", values.thresholds is not None, "--fast", values.fast),
        ("--ranges", values.ranges, "--fast", values.fast),
        ("--policy-for-any-model", values.policy_for_any_model, "--policy FILE", values.policy),
    ):
        if given and not is_there:
            raise UsageError(f"{option} needs {other}")
    return ScoreOptions(
        load=LoadOptions(values.model_def, values.pretrained_model, fast=values.fast, ranges=values.ranges),
        thresholds=None if values.thresholds is None else parse_thresholds(values.thresholds),
        policy=None if values.policy is None else Policy.read(values.policy),
        any_model=values.policy_for_any_model,
        extraction=replace(_extraction(values), hash=values.hash),
        sources=_sources(values),
        max_seconds=values.max_seconds,
        prefix=values.prefix,
    )


def _extraction(values: argparse.Namespace) -> Extraction:
    frames = FrameChoice.parse(values.frames, values.every, values.max_frames, values.scenes)
    return Extraction(Limits(values.max_bytes, values.max_pixels), frames, max_memory=values.max_memory)


def _sources(values: argparse.Namespace) -> SourceOptions:
    limits = Limits(values.max_bytes, values.max_pixels)
    return SourceOptions(values.hidden, limits, values.max_archive_bytes, values.max_archive_ratio)


def summary(outcome: Outcome, folder: str) -> str:
    """What came of scoring, in one line."""
    bands = ", ".join(f"{count:,} {name}" for name, count in outcome.bands)
    return f"{outcome.scored:,} scored ({bands}), {_failed(outcome)}; {_where(outcome, folder)}\n"


def _failed(outcome: Outcome) -> str:
    codes = ", ".join(f"{count:,} {code}" for code, count in outcome.errors)
    return f"{outcome.failed:,} failed" + (f" ({codes})" if codes else "")


def _where(outcome: Outcome, folder: str) -> str:
    rest = f"; {outcome.passed_over:,} other files passed over" if outcome.passed_over else ""
    return f"{outcome.files:,} file{'' if outcome.files == 1 else 's'} in {os.path.join(folder, '')}{rest}"


ACTIONS = {"features": _features, "fine-tune": _fine_tune, "score": _score}
