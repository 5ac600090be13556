"""The options of `classify_nsfw`, and how its command line becomes a request."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    SUGGESTED,
    add_any_model_option,
    add_cache_options,
    add_debug_option,
    add_engine_option,
    add_frame_options,
    add_gpu_option,
    add_hidden_option,
    add_jobs_option,
    add_limit_options,
    add_model_options,
    add_overwrite_option,
    add_policy_option,
    add_ranges_option,
    cache_options,
)
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.request import HIGHEST_OF_POLICY, ScanRequest, VerdictRequest
from open_nsfw.cli.status import SIGNALS
from open_nsfw.cli.watch_options import add_watch_options, check_watch, watch_options
from open_nsfw.errors import UsageError
from open_nsfw.pictures.extraction import VIEWS, Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits
from open_nsfw.rows.options import FORMATS, RESUMABLE, OutputOptions
from open_nsfw.scoring.fast import THRESHOLDS, parse_thresholds
from open_nsfw.scoring.names import PRECISIONS
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.item import STDIN, SourceOptions
from open_nsfw.text import printable
from open_nsfw.version import __version__

if TYPE_CHECKING:
    from open_nsfw.scan.sorting import Sorting

COMMAND = "classify_nsfw"

DESCRIPTION = f"""\
Print the probability, from 0 to 1, that a picture is pornographic, by Yahoo's open_nsfw network. Below {THRESHOLDS[0]} a picture
is likely safe, above {THRESHOLDS[-1]} it is likely not; in between, let a policy or a person decide."""

EXAMPLES = f"""\
examples:
  {COMMAND} upload.jpg
  {COMMAND} photos/ upload.zip clip.mp4 --format jsonl --output scores.jsonl
  find . -name '*.jpg' -print0 | {COMMAND} --from-list - --format csv

exit status: 0 every input has a score, 1 an input has no score, or a file could not be moved or copied, 2 the command
line, the model or the output is at fault, 3 a score is at or above --fail-above, {SIGNALS}.
With --resume, 1 and 3 refer to all rows in FILE."""


def parser() -> OneLineParser:
    """The command's options."""
    result = OneLineParser(prog=COMMAND, description=DESCRIPTION, epilog=EXAMPLES)
    result.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="a picture, video, folder, archive or glob; `-` is a picture on standard input",
    )
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_debug_option(result)
    _add_model_options(result.add_argument_group("model and engine"))
    add_fast_options(result.add_argument_group("fast mode"))
    _add_source_options(result.add_argument_group("what is scored"))
    _add_output_options(result.add_argument_group("what comes out"))
    verdicts = result.add_argument_group("what is done about a score")
    _add_verdict_options(verdicts)
    _add_frame_verdict_options(verdicts)
    add_limit_options(result.add_argument_group("limits, against hostile files"), SourceOptions(), Extraction(), 60.0)
    return result


def _add_model_options(group: Any) -> None:
    add_model_options(group)
    add_engine_option(group)
    add_gpu_option(group)
    group.add_argument(
        "--precision",
        default="float32",
        choices=PRECISIONS,
        help="with --engine openvino: bfloat16 and int8 are faster, but not exact (default float32)",
    )
    add_jobs_option(group)


def add_fast_options(group: Any) -> None:
    """--fast, --thresholds and --ranges"""
    group.add_argument(
        "--fast",
        action="store_true",
        help="score faster with the same decisions: only what comes near a threshold is scored exactly",
    )
    group.add_argument(
        "--thresholds",
        metavar="T,T",
        help=f"with --fast: the scores at which decisions change (default: the policy's, or {SUGGESTED})",
    )
    add_ranges_option(group, "--fast")


def _add_source_options(group: Any) -> None:
    group.add_argument(
        "--from-list",
        type=parsing.file,
        metavar="FILE",
        help="also score the paths in FILE, one per line or NUL-separated; `-` is standard input",
    )
    add_watch_options(group)
    add_hidden_option(group)
    add_frame_options(group)
    group.add_argument(
        "--views",
        choices=VIEWS,
        help="tiles: score parts of each picture as well: cells of a grid, panels of a strip, what a border surrounds",
    )
    group.add_argument(
        "--upright",
        action="store_true",
        help="turn pictures and videos as their metadata say first; the score of what is turned is not Yahoo's",
    )


def _add_output_options(group: Any) -> None:
    group.add_argument(
        "--format",
        choices=FORMATS,
        help="format of the rows (default: the one that FILE of --output is named after, as scores.csv, else text)",
    )
    group.add_argument(
        "--output", type=parsing.file, metavar="FILE", help="write the rows to FILE instead of standard output"
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="continue an interrupted run: keep the rows in FILE and score the rest; the summary covers all of FILE",
    )
    group.add_argument("--retry-failed", action="store_true", help="with --resume: score again what failed")
    add_overwrite_option(group)
    add_cache_options(group)
    group.add_argument("--hash", action="store_true", help="add the SHA-256 of each file to its row")
    group.add_argument(
        "--explain",
        action="store_true",
        help="add what each of 7 x 7 parts of the picture adds to its score; `open-nsfw explain` draws that",
    )
    group.add_argument(
        "--quiet",
        action="store_true",
        help="print no failures, progress bar or summary, only an error that ends the run",
    )


def _add_frame_verdict_options(group: Any) -> None:
    group.add_argument(
        "--segments",
        type=parsing.score,
        metavar="T",
        help="write rows for the stretches of a video that score T or more, in place of rows for its frames",
    )
    group.add_argument(
        "--stop-above",
        type=parsing.score,
        metavar="T",
        help="end a video at its first frame that scores T or more; nothing behind it is decoded",
    )


def _add_verdict_options(group: Any) -> None:
    add_policy_option(group)
    add_any_model_option(group)
    group.add_argument(
        "--fail-above",
        nargs="?",
        type=_score_or_policy,
        const=HIGHEST_OF_POLICY,
        metavar="T",
        help="exit with status 3 if any score is T or more (without T: the highest threshold of the policy)",
    )
    sorting = group.add_mutually_exclusive_group()
    sorting.add_argument(
        "--move-above",
        nargs=2,
        metavar=("T", "DIR"),
        help="move files that score T or more into DIR, keeping their folders",
    )
    sorting.add_argument(
        "--copy-above",
        nargs=2,
        metavar=("T", "DIR"),
        help="copy files that score T or more into DIR, keeping their folders",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="with --move-above or --copy-above: only print what would be done"
    )


def _score_or_policy(text: str) -> float | str:
    return text if text == HIGHEST_OF_POLICY else parsing.score(text)


# --- a command line becomes a request ---


def parse(arguments: Sequence[str]) -> ScanRequest:
    """The request that a command line makes: options may stand anywhere among the inputs; what follows `--` is an input,
    whatever it looks like. Raises UsageError."""
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    values = parser().parse_intermixed_args(_with_values(arguments[:end]))
    values.inputs += arguments[end + 1 :]
    _check(values)
    limits = Limits(values.max_bytes, values.max_pixels)
    target = (values.move_above or values.copy_above or (None, None))[1]
    frames = FrameChoice.parse(values.frames, values.every, values.max_frames, values.scenes)
    return ScanRequest(
        inputs=tuple(values.inputs),
        from_list=values.from_list,
        sources=SourceOptions(values.hidden, limits, values.max_archive_bytes, values.max_archive_ratio, target),
        extraction=Extraction(
            limits,
            frames,
            hash=values.hash,
            views=values.views,
            upright=values.upright,
            max_memory=values.max_memory,
        ),
        max_seconds=values.max_seconds,
        load=LoadOptions(
            values.model_def,
            values.pretrained_model,
            values.engine,
            values.gpu,
            precision=values.precision,
            fast=values.fast,
            ranges=values.ranges,
        ),
        jobs=values.jobs,
        explain=values.explain,
        verdict=_verdict(values),
        output=OutputOptions(
            values.format or _format_by_name(values.output),
            values.output,
            resume=values.resume,
            overwrite=values.overwrite,
            retry_failed=values.retry_failed,
            quiet=values.quiet,
        ),
        cache=cache_options(values),
        watch=watch_options(values),
        quiet=values.quiet,
    )


def _format_by_name(path: str | None) -> str:
    """The format whose name ends the file's."""
    ending = "" if path is None else os.path.splitext(path)[1][1:].lower()
    return ending if ending in RESUMABLE else FORMATS[0]


def _with_values(arguments: list[str]) -> list[str]:
    """`--gpu picture.jpg` means GPU 0 and a picture; argparse alone would take the picture for the number. Likewise
    `--fail-above picture.jpg`, which leaves the threshold to the policy."""
    result = list(arguments)
    for index, following in enumerate([*arguments[1:], ""]):
        if arguments[index : index + 1] == ["--gpu"] and not re.fullmatch("-?[0-9]+", following):
            result[index] = "--gpu=0"
        if arguments[index : index + 1] == ["--fail-above"] and not re.fullmatch("[-+.,0-9e]+%?", following):
            result[index] = f"--fail-above={HIGHEST_OF_POLICY}"
    return result


def _check(values: argparse.Namespace) -> None:
    """Raises UsageError for options that make no sense together."""
    if values.fast and values.precision != "float32":
        raise UsageError("--fast and --precision cannot be combined: the fast mode has its own precisions")
    if values.explain and (values.fast or values.precision != "float32"):
        other = "--fast" if values.fast else "--precision"
        raise UsageError(f"--explain and {other} cannot be combined: what is explained is the exact score")
    if values.precision != "float32" and values.engine != "openvino":
        raise UsageError(f"--precision {values.precision} needs --engine openvino")
    from_policy = values.fail_above == HIGHEST_OF_POLICY
    for option, given, other, is_there in (
        ("--thresholds", values.thresholds is not None, "--fast", values.fast),
        ("--ranges", values.ranges, "--fast", values.fast),
        ("--retry-failed", values.retry_failed, "--resume", values.resume),
        ("--policy-for-any-model", values.policy_for_any_model, "--policy FILE", values.policy),
        ("--fail-above without a threshold", from_policy, "--policy FILE", values.policy),
        ("--dry-run", values.dry_run, "--move-above or --copy-above", values.move_above or values.copy_above),
    ):
        if given and not is_there:
            raise UsageError(f"{option} needs {other}")
    if values.cache is not None and values.cache == values.output:
        raise UsageError(f"--cache and --output name the same file: {printable(values.cache)}")
    check_watch(values)
    if not values.inputs and values.from_list is None and values.watch is None:
        raise UsageError("no INPUT: name a picture, a folder, an archive, or `-` for stdin")
    if [*values.inputs, values.from_list].count(STDIN) > 1:
        raise UsageError("stdin can be read only once, and `-` is named twice")


def _verdict(values: argparse.Namespace) -> VerdictRequest:
    return VerdictRequest(
        thresholds=None if values.thresholds is None else parse_thresholds(values.thresholds),
        policy=values.policy,
        any_model=values.policy_for_any_model,
        fail_above=values.fail_above,
        segments=values.segments,
        stop_above=values.stop_above,
        sorting=_sorting(values),
    )


def _sorting(values: argparse.Namespace) -> Sorting | None:
    given = values.move_above or values.copy_above
    if given is None:
        return None
    from open_nsfw.scan.sorting import Sorting  # imports what copies files, which few runs need

    option = "--move-above" if values.move_above else "--copy-above"
    try:
        threshold = parsing.score(given[0])
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{option}: {error}") from None
    if not given[1]:
        raise UsageError(f"{option}: the name of a folder is needed, not ''")
    return Sorting(threshold, given[1], bool(values.move_above), values.dry_run)
