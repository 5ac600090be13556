"""The surface of classify_nsfw.py: its options, and what they are handed to."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from open_nsfw import __version__
from open_nsfw.cores import available_cores
from open_nsfw.errors import OpenNsfwError, UsageError
from open_nsfw.extraction import Extraction, FrameChoice
from open_nsfw.formats import Limits, is_video, read_head, sniff

if TYPE_CHECKING:
    from open_nsfw.actions import Sorter
    from open_nsfw.classifier import Classifier
    from open_nsfw.outputs import OutputOptions, Row
    from open_nsfw.pipeline import PipelineOptions
    from open_nsfw.policy import Policy
    from open_nsfw.scan import Reporter
    from open_nsfw.sources import SourceOptions

COMMAND = "classify_nsfw"
FAILED_INPUT, BAD_USAGE, ABOVE = 1, 2, 3  # exit statuses

POLICY, POLICY_WORD = -1.0, "policy"  # stand for the policy's highest threshold
LEAST_MEMORY = 256 * 1024**2  # bytes; with less, Python and Pillow alone would not fit

DESCRIPTION = """\
Print the probability, 0 to 1, that a picture is pornographic, by Yahoo's open_nsfw network.
Below 0.2 a picture is likely safe, above 0.8 likely not; the middle is for a policy or a person."""

EXAMPLES = """\
examples:
  classify_nsfw.py picture.jpg
  classify_nsfw.py photos/ upload.zip clip.mp4 --format jsonl --output scores.jsonl
  find . -name '*.jpg' -print0 | classify_nsfw.py --from-list - --format csv

exit status: 0 all scored, 1 some inputs have no score, 2 the command, the model or the output is at fault,
3 a score is at or above --fail-above, 130 or 143 ended by SIGINT or SIGTERM"""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = argparse.ArgumentParser(
        prog=COMMAND, description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="a picture, folder, archive, video or glob; `-` reads a picture on stdin",
    )
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    result.add_argument("--debug", action="store_true", help="show the traceback of an error")
    _add_model_options(result.add_argument_group("model and engine"))
    _add_source_options(result.add_argument_group("what is scored"))
    _add_output_options(result.add_argument_group("what comes out"))
    _add_verdict_options(result.add_argument_group("what is done about a score"))
    _add_limit_options(result.add_argument_group("limits, against hostile files"))
    return result


def _add_model_options(group: Any) -> None:
    group.add_argument("--model_def", "--model-def", metavar="FILE", help="deploy prototxt (default: the packaged one)")
    group.add_argument("--pretrained_model", "--pretrained-model", metavar="FILE", help="caffemodel (default: Yahoo's)")
    group.add_argument(
        "--engine",
        default="auto",
        choices=["auto", "caffe", "onnxruntime"],
        help="what computes: pycaffe, ONNX Runtime, or (auto, the default) pycaffe where it can be imported",
    )
    group.add_argument(
        "--gpu", nargs="?", type=_gpu_number, const=0, metavar="ID", help="compute on this GPU (0 if no ID is given)"
    )
    group.add_argument(
        "--jobs", type=_count, metavar="N", help="pictures decoded and scored at a time (default: one a core)"
    )


def _add_source_options(group: Any) -> None:
    group.add_argument(
        "--from-list", metavar="FILE", help="score the paths in FILE too, one a line or NUL-separated; `-` is stdin"
    )
    group.add_argument("--hidden", action="store_true", help="in folders, take hidden files as well")
    group.add_argument(
        "--frames",
        default="first",
        metavar="WHICH",
        help="of animations and multi-page TIFFs: first (default), all, every=N, or max=N spread evenly",
    )
    group.add_argument(
        "--every",
        type=_positive,
        default=1.0,
        metavar="SECONDS",
        help="of videos: one frame in so many seconds (default 1)",
    )


def _add_output_options(group: Any) -> None:
    group.add_argument(
        "--format", default="text", choices=["text", "jsonl", "csv", "parquet"], help="of the rows (default text)"
    )
    group.add_argument("--output", metavar="FILE", help="write the rows to FILE instead of stdout")
    group.add_argument("--resume", action="store_true", help="go on where an earlier run stopped in writing FILE")
    group.add_argument("--retry-failed", action="store_true", help="with --resume: score again what has an error")
    group.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    group.add_argument("--hash", action="store_true", help="put the SHA-256 of each file into its row")
    group.add_argument(
        "--quiet", action="store_true", help="nothing on stderr but what ends the run: no failures, bar, summary"
    )


def _add_verdict_options(group: Any) -> None:
    group.add_argument(
        "--policy", metavar="FILE", help="put the verdict of this policy (open-nsfw calibrate) on every row"
    )
    group.add_argument(
        "--policy-for-any-model", action="store_true", help="take the policy though it was made for another model"
    )
    group.add_argument(
        "--fail-above",
        nargs="?",
        type=_threshold,
        const=POLICY,
        metavar="T",
        help="exit with 3 if any score is T or more; without T, the highest threshold of the policy",
    )
    sorting = group.add_mutually_exclusive_group()
    sorting.add_argument(
        "--move-above", nargs=2, metavar=("T", "DIR"), help="move files that score T or more into DIR, folders kept"
    )
    sorting.add_argument(
        "--copy-above", nargs=2, metavar=("T", "DIR"), help="copy files that score T or more into DIR, folders kept"
    )
    group.add_argument("--dry-run", action="store_true", help="with these: only say what would be moved or copied")


def _add_limit_options(group: Any) -> None:
    limits, extraction = Limits(), Extraction()
    group.add_argument(
        "--max-bytes",
        type=_count,
        default=limits.max_bytes,
        metavar="N",
        help="of one encoded picture (default 512 MiB)",
    )
    group.add_argument(
        "--max-pixels",
        type=_count,
        default=limits.max_pixels,
        metavar="N",
        help="width times height (default 178956970)",
    )
    group.add_argument(
        "--max-archive-bytes",
        type=_count,
        default=64 * 1024**3,
        metavar="N",
        help="unpacked, of one archive (default 64 GiB)",
    )
    group.add_argument(
        "--max-archive-ratio",
        type=_positive,
        default=200.0,
        metavar="R",
        help="unpacked to packed size in an archive (default 200)",
    )
    group.add_argument(
        "--max-frames",
        type=_count,
        default=FrameChoice().max_frames,
        metavar="N",
        help="scored of one file (default 100000)",
    )
    group.add_argument(
        "--max-seconds", type=_positive, default=60.0, metavar="S", help="to decode one picture (default 60)"
    )
    group.add_argument(
        "--max-memory",
        type=_memory,
        default=extraction.max_memory,
        metavar="N",
        help="bytes a decoder may use (default 3 GiB)",
    )


def _gpu_number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"the number of a GPU is needed, 0 or above, not '{text}'")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is needed, not '{text}'")
    return int(text)


def _memory(text: str) -> int:
    if (value := _count(text)) < LEAST_MEMORY:
        raise argparse.ArgumentTypeError(f"a decoder needs at least {LEAST_MEMORY} bytes, not '{text}'")
    return value


def _threshold(text: str) -> float:
    return POLICY if text == POLICY_WORD else _share(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"a score from 0 to 1 is needed, not '{text}'")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a number above 0 is needed, not '{text}'")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    _log_to_stderr()
    try:
        return _scan(options)
    except OpenNsfwError as error:
        if options.debug:
            traceback.print_exc()
        print(f"{COMMAND}: error: {error}", file=sys.stderr)
        return BAD_USAGE


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options, which may stand anywhere among the inputs; what follows `--` is an input, whatever it looks like."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser().parse_intermixed_args(_with_values(arguments[:end]))
    options.inputs += arguments[end + 1 :]
    return options


def _with_values(arguments: list[str]) -> list[str]:
    """`--gpu picture.jpg` means GPU 0 and a picture; argparse alone would take the picture for the number. Likewise
    `--fail-above picture.jpg`, which leaves the threshold to the policy."""
    result = list(arguments)
    for index, following in enumerate([*arguments[1:], ""]):
        if arguments[index : index + 1] == ["--gpu"] and not re.fullmatch("-?[0-9]+", following):
            result[index] = "--gpu=0"
        if arguments[index : index + 1] == ["--fail-above"] and not re.fullmatch("[-+.0-9e]+", following):
            result[index] = f"--fail-above={POLICY_WORD}"
    return result


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{COMMAND}: %(message)s"))
    logger = logging.getLogger("open_nsfw")
    logger.handlers = [handler]
    logger.propagate = False


def _scan(options: argparse.Namespace) -> int:
    from open_nsfw import scan
    from open_nsfw.outputs import open_writer
    from open_nsfw.sources import SourceOptions, Sources, read_list

    if not options.inputs and options.from_list is None:
        raise UsageError("no INPUT: name a picture, a folder, an archive, or `-` for stdin")
    single = _is_single_picture(options)
    policy = _policy(options)
    pipeline = _pipeline_options(options, single, policy)
    limits = pipeline.extraction.limits
    settings = SourceOptions(options.hidden, limits, options.max_archive_bytes, options.max_archive_ratio)
    with open_writer(_output_options(options, single)) as writer:
        bands = scan.Bands() if policy is None else scan.Bands(policy.thresholds, policy.bands)
        count = partial(_count_ahead, options, settings, writer.is_done)
        reporter = scan.Reporter(options.quiet, single, count, bands)
        sorter = _sorter(options, reporter)
        skip = writer.is_done if options.resume else None
        sources = Sources(_arguments(options, read_list), settings, skip)
        if options.resume:
            _take_up(options, reporter, sorter)

        def write(rows: list[Row]) -> None:
            writer.write(rows)
            reporter.add(rows)
            if sorter is not None:
                sorter.add(rows)

        ended_by = scan.run(sources, lambda: _load(options, single, policy), pipeline, write)
    reporter.close(sources.passed_over)
    if ended_by is not None:
        return scan.SIGNAL_STATUS + ended_by
    if options.fail_above is not None and reporter.tally.highest >= options.fail_above:
        return ABOVE
    return FAILED_INPUT if reporter.tally.failed or (sorter is not None and sorter.failed) else 0


def _policy(options: argparse.Namespace) -> Policy | None:
    """The policy asked for; --fail-above takes its threshold from there."""
    if options.policy is None:
        if options.policy_for_any_model or options.fail_above == POLICY:
            option = "--policy-for-any-model" if options.policy_for_any_model else "--fail-above without a threshold"
            raise UsageError(f"{option} goes with --policy FILE")
        return None
    from open_nsfw.policy import Policy

    policy = Policy.read(options.policy)
    if options.fail_above == POLICY:
        options.fail_above = policy.thresholds[-1]
    return policy


def _pipeline_options(options: argparse.Namespace, single: bool, policy: Policy | None) -> PipelineOptions:
    from open_nsfw.pipeline import PipelineOptions

    limits = Limits(options.max_bytes, options.max_pixels)
    choice = FrameChoice.parse(options.frames, options.every, options.max_frames)
    extraction = Extraction(limits, choice, options.hash, options.max_memory)
    jobs = 1 if single else options.jobs or available_cores()
    if policy is None:
        return PipelineOptions(jobs, extraction, options.max_seconds)
    return PipelineOptions(jobs, extraction, options.max_seconds, policy.thresholds[-1], policy.verdict)


def _output_options(options: argparse.Namespace, single: bool) -> OutputOptions:
    from open_nsfw.outputs import OutputOptions

    if options.retry_failed and not options.resume:
        raise UsageError("--retry-failed goes with --resume")
    model = None
    if options.resume:  # scores of two models in one file would be worth nothing
        from open_nsfw.model_files import find_model_files

        model = find_model_files(options.model_def, options.pretrained_model).short_hash
    return OutputOptions(
        options.format, options.output, single, options.resume, options.overwrite, options.retry_failed, model
    )


def _take_up(options: argparse.Namespace, reporter: Reporter, sorter: Sorter | None) -> None:
    """What the rows of an earlier run ask for: a kill may have come between a row and what is done about it."""
    from open_nsfw.outputs import JOURNAL
    from open_nsfw.resume import read_rows

    if sorter is None and options.fail_above is None:
        return
    is_journal = options.format == "parquet"  # whose rows wait as JSON lines until the end
    path, form = (options.output + JOURNAL, "jsonl") if is_journal else (options.output, options.format)
    for row in read_rows(path, form):
        if row.score is not None and row.kind != "frame":
            reporter.tally.highest = max(reporter.tally.highest, row.score)
            if sorter is not None and os.path.exists(row.path):
                sorter.add([row])


def _sorter(options: argparse.Namespace, reporter: Reporter) -> Sorter | None:
    request = options.move_above or options.copy_above
    if request is None:
        if options.dry_run:
            raise UsageError("--dry-run goes with --move-above or --copy-above")
        return None
    from open_nsfw.actions import Sorter, Sorting

    try:
        threshold = _share(request[0])
    except argparse.ArgumentTypeError as error:
        option = "--move-above" if options.move_above else "--copy-above"
        raise UsageError(f"{option}: {error}") from None
    return Sorter(Sorting(threshold, request[1], bool(options.move_above), options.dry_run), reporter.tell)


def _load(options: argparse.Namespace, single: bool, policy: Policy | None) -> Classifier:
    from open_nsfw.classifier import load_model

    threads = None if single else 1  # many pictures: one a core, side by side; one picture: all cores on it
    classifier = load_model(options.model_def, options.pretrained_model, options.engine, options.gpu, threads)
    if policy is not None and not options.policy_for_any_model:
        policy.check_model(classifier.engine.model_hash)
    return classifier


def _arguments(options: argparse.Namespace, read_list: Any) -> Iterator[str]:
    yield from options.inputs
    if options.from_list is not None:
        yield from read_list(options.from_list)


def _count_ahead(options: argparse.Namespace, settings: SourceOptions, skip: Any) -> int | None:
    """How many items will come, for the bar; None where standard input has a say in it."""
    from open_nsfw.scan import count_ahead
    from open_nsfw.sources import read_list

    if "-" in options.inputs or (options.from_list is not None and not os.path.isfile(options.from_list)):
        return None
    return count_ahead(list(_arguments(options, read_list)), settings, skip)


def _is_single_picture(options: argparse.Namespace) -> bool:
    """Whether one plain picture is asked for, as Yahoo's command asks."""
    if len(options.inputs) != 1 or options.from_list is not None or options.frames != "first":
        return False
    path = options.inputs[0]
    head = read_head(path)
    if path == "-" or sniff(head) is not None:
        return True
    return not os.path.isdir(path) and not is_video(head) and not _is_archive(path) and not set("*?[") & set(path)


def _is_archive(path: str) -> bool:
    from open_nsfw.archives import archive_kind
    from open_nsfw.sources import HEAD

    return archive_kind(path, read_head(path, HEAD), path) is not None
