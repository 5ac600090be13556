"""What classify_nsfw.py does with its command line: one scan, and an exit status."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from open_nsfw.cli.classify_options import COMMAND, POLICY, parse, share
from open_nsfw.cores import available_cores
from open_nsfw.errors import OpenNsfwError, UsageError
from open_nsfw.pictures.containers import HEAD, container_of
from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.formats import Limits, read_head, sniff
from open_nsfw.scoring.fast import parse_thresholds

if TYPE_CHECKING:
    from open_nsfw.calibration.policy import Policy
    from open_nsfw.rows.finished import Finished
    from open_nsfw.rows.options import OutputOptions, Wanted
    from open_nsfw.rows.row import Row
    from open_nsfw.rows.writer import Writer
    from open_nsfw.scan.options import PipelineOptions
    from open_nsfw.scan.run import Reporter
    from open_nsfw.scan.sorting import Sorter, Sorting
    from open_nsfw.scoring.model_files import ModelFiles
    from open_nsfw.scoring.scorer import Models
    from open_nsfw.sources.item import SourceOptions

FAILED_INPUT, BAD_USAGE, ABOVE, INTERRUPTED = 1, 2, 3, 130  # exit statuses


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    if sys.stderr is None:  # closed, as by `2>&-`: what is printed there would go to stdout, among the rows
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse(arguments)
        _log_to_stderr()
        return _scan(options)
    except OpenNsfwError as error:
        if "--debug" in arguments:
            traceback.print_exc()
        print(f"{COMMAND}: error: {error}", file=sys.stderr)
        return BAD_USAGE
    except KeyboardInterrupt:  # before the scan listens for signals, or the second one
        return INTERRUPTED


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{COMMAND}: %(message)s"))
    logger = logging.getLogger("open_nsfw")
    logger.handlers = [handler]
    logger.propagate = False


def _scan(options: argparse.Namespace) -> int:
    """One scan; its exit status."""
    from open_nsfw.rows.writer import open_writer
    from open_nsfw.scan import run as scan
    from open_nsfw.sources.walk import Sources

    _check(options)
    single, policy, sorting = _is_single_picture(options), _policy(options), _sorting(options)
    files = cache(partial(_model_files, options))  # read and hashed once, when first asked for
    pipeline, settings = _pipeline_options(options, single, policy), _source_options(options)
    with open_writer(_output_options(options, single, policy, files)) as writer:
        reporter = _reporter(options, single, policy, partial(_count_ahead, options, settings, writer))
        sorter = _sorter(sorting, reporter)
        if writer.finished is not None:
            _take_up(writer.finished, reporter, sorter)
        sources = Sources(_arguments(options), settings, writer.skip())
        load = partial(_load, options, single, policy, files)
        ended_by = scan.run(sources, load, pipeline, partial(_record, writer, reporter, sorter))
    reporter.close(sources.passed_over)
    return _status(options, ended_by, reporter, sorter)


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options that make no sense together."""
    if options.thresholds is not None:
        options.thresholds = parse_thresholds(options.thresholds)
    if options.fast and options.precision != "float32":
        raise UsageError("--fast has a quick score of its own: leave --precision out")
    if options.precision != "float32" and options.engine != "openvino":
        raise UsageError(f"--precision {options.precision} goes with --engine openvino")
    for option, given, other, is_there in (
        ("--thresholds", options.thresholds is not None, "--fast", options.fast),
        ("--ranges", options.ranges, "--fast", options.fast),
        ("--retry-failed", options.retry_failed, "--resume", options.resume),
        ("--policy-for-any-model", options.policy_for_any_model, "--policy FILE", options.policy),
        ("--fail-above without a threshold", options.fail_above == POLICY, "--policy FILE", options.policy),
        ("--dry-run", options.dry_run, "--move-above or --copy-above", options.move_above or options.copy_above),
    ):
        if given and not is_there:
            raise UsageError(f"{option} goes with {other}")
    if not options.inputs and options.from_list is None:
        raise UsageError("no INPUT: name a picture, a folder, an archive, or `-` for stdin")
    if [*options.inputs, options.from_list].count("-") > 1:
        raise UsageError("stdin can be read only once, and `-` is named twice")


def _record(writer: Writer, reporter: Reporter, sorter: Sorter | None, rows: list[Row]) -> None:
    """All that is done about the rows of one item; once they are written, the rest can be made up for."""
    if sorter is not None:
        rows = sorter.revised(rows)
    writer.write(rows)
    reporter.add(rows)
    if sorter is not None:
        sorter.add(rows)


def _status(options: argparse.Namespace, ended_by: int | None, reporter: Reporter, sorter: Sorter | None) -> int:
    """The exit status of a scan that came to its end, or that the signal `ended_by` cut short."""
    from open_nsfw.scan.run import SIGNAL_STATUS

    if ended_by is not None:
        return SIGNAL_STATUS + ended_by
    if options.fail_above is not None and reporter.tally.highest >= options.fail_above:
        return ABOVE
    return FAILED_INPUT if reporter.tally.failed or (sorter is not None and sorter.failed) else 0


def _model_files(options: argparse.Namespace) -> ModelFiles:
    from open_nsfw.scoring.model_files import find_model_files

    return find_model_files(options.model_def, options.pretrained_model)


def _policy(options: argparse.Namespace) -> Policy | None:
    """The policy asked for; --fail-above takes its threshold from there."""
    if options.policy is None:
        return None
    from open_nsfw.calibration.policy import Policy

    policy = Policy.read(options.policy)
    if options.fail_above == POLICY:
        options.fail_above = policy.thresholds[-1]
    return policy


def _pipeline_options(options: argparse.Namespace, single: bool, policy: Policy | None) -> PipelineOptions:
    from open_nsfw.scan.options import PipelineOptions
    from open_nsfw.scoring.model_files import known_side

    choice = FrameChoice.parse(options.frames, options.every, options.max_frames)
    extraction = Extraction(_limits(options), choice, options.hash, options.max_memory)
    jobs = 1 if single else options.jobs or available_cores()
    common = PipelineOptions(
        jobs, extraction, options.max_seconds, options.fast, quick_side=known_side(options.model_def)
    )
    if policy is None:
        return common if options.thresholds is None else replace(common, above=options.thresholds[-1])
    return replace(common, above=policy.thresholds[-1], verdict=policy.verdict)


def _source_options(options: argparse.Namespace) -> SourceOptions:
    from open_nsfw.sources.item import SourceOptions

    limits = _limits(options)
    target = (options.move_above or options.copy_above or (None, None))[1]
    return SourceOptions(options.hidden, limits, options.max_archive_bytes, options.max_archive_ratio, target)


def _limits(options: argparse.Namespace) -> Limits:
    return Limits(options.max_bytes, options.max_pixels)


def _output_options(
    options: argparse.Namespace, single: bool, policy: Policy | None, files: Callable[[], ModelFiles]
) -> OutputOptions:
    from open_nsfw.rows.options import OutputOptions

    common = OutputOptions(
        options.format, options.output, single, options.resume, options.overwrite, options.retry_failed
    )
    if not options.resume:
        return common
    return replace(common, wanted=_wanted(options, policy, files))


def _wanted(options: argparse.Namespace, policy: Policy | None, files: Callable[[], ModelFiles]) -> Wanted:
    """What the rows of earlier runs are held to."""
    from open_nsfw.rows.options import Wanted

    pipeline = _pipeline_options(options, False, policy)
    frames = pipeline.extraction.frames
    return Wanted(
        model=files().short_hash,  # scores of two models in one file would be worth nothing
        keeps_inexact=_keeps_inexact(options, policy, files),
        hash=options.hash,
        frame_choice=frames.name_for,
        max_frames=frames.max_frames,
        verdict=pipeline.verdict or (lambda score: None),
        above=pipeline.above,
    )


def _keeps_inexact(
    options: argparse.Namespace, policy: Policy | None, files: Callable[[], ModelFiles]
) -> Callable[[float, str], bool]:
    """Whether a score of an earlier run that is not exact will do for this one: in the fast mode one that is far from
    all thresholds of now, and otherwise one that this run would compute in the same way."""
    if not options.fast:
        return lambda score, engine: options.precision != "float32" and engine == f"openvino-{options.precision}"
    from open_nsfw.scoring.fast import escalates
    from open_nsfw.scoring.model_files import read_ranges

    thresholds = _thresholds(options, policy)
    margins = read_ranges(files(), options.ranges)[0].margins_for(thresholds)
    largest = max(margins.full, margins.reduced)  # which of them the row was under, it does not say
    return lambda score, engine: not escalates(score, thresholds, largest)


def _reporter(
    options: argparse.Namespace, single: bool, policy: Policy | None, count: Callable[[], int | None]
) -> Reporter:
    from open_nsfw.scan.run import Bands, Reporter

    if policy is not None:
        bands = Bands(policy.thresholds, policy.bands)
    else:
        bands = Bands() if options.thresholds is None else Bands.between(options.thresholds)
    return Reporter(options.quiet, single, count, bands, options.fast)


def _take_up(finished: Finished, reporter: Reporter, sorter: Sorter | None) -> None:
    """What the rows of earlier runs ask for: summary and exit status are of the whole file, and a kill may have come
    between a row and what is done about it."""
    reporter.tally.add_earlier(finished.scores)
    if sorter is not None:
        sorter.catch_up(finished.rows())


def _sorting(options: argparse.Namespace) -> Sorting | None:
    request = options.move_above or options.copy_above
    if request is None:
        return None
    from open_nsfw.scan.sorting import Sorting

    option = "--move-above" if options.move_above else "--copy-above"
    try:
        threshold = share(request[0])
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{option}: {error}") from None
    if not request[1]:
        raise UsageError(f"{option}: the name of a folder is needed, not ''")
    return Sorting(threshold, request[1], bool(options.move_above), options.dry_run)


def _sorter(sorting: Sorting | None, reporter: Reporter) -> Sorter | None:
    if sorting is None:
        return None
    from open_nsfw.scan.sorting import Sorter

    return Sorter(sorting, reporter.tell)


def _load(options: argparse.Namespace, single: bool, policy: Policy | None, find: Callable[[], ModelFiles]) -> Models:
    from open_nsfw.scoring.load import load_models
    from open_nsfw.scoring.options import LoadOptions

    models = load_models(
        LoadOptions(
            engine=options.engine,
            gpu=options.gpu,
            threads=None if single else 1,  # many pictures: one a core, side by side; one picture: all cores on it
            precision=options.precision,
            fast=options.fast,
            ranges=options.ranges,
            thresholds=_thresholds(options, policy),
        ),
        find(),
    )
    if policy is not None and not options.policy_for_any_model:
        policy.check_model(models.exact.engine.model_hash)
    return models


def _thresholds(options: argparse.Namespace, policy: Policy | None) -> tuple[float, ...]:
    """The scores that something hangs on: those asked for and the policy's, or the bands', and what files are sorted
    by."""
    from open_nsfw.scoring.fast import THRESHOLDS

    asked = (*(options.thresholds or ()), *(policy.thresholds if policy is not None else ()))
    chosen = asked or THRESHOLDS
    sorting = options.move_above or options.copy_above
    acted_on = [float(sorting[0])] if sorting else []
    if options.fail_above is not None:
        acted_on.append(options.fail_above)
    return (*chosen, *acted_on)


def _arguments(options: argparse.Namespace) -> Iterator[str]:
    from open_nsfw.sources.lists import read_list

    yield from options.inputs
    if options.from_list is not None:
        yield from read_list(options.from_list)


def _count_ahead(options: argparse.Namespace, settings: SourceOptions, writer: Writer) -> int | None:
    """How many items will come, for the bar; None where standard input has a say in it."""
    from open_nsfw.scan.run import count_ahead

    if options.from_list is not None and not os.path.isfile(options.from_list):
        return None
    return count_ahead(list(_arguments(options)), settings, writer.skip())


def _is_single_picture(options: argparse.Namespace) -> bool:
    """Whether one plain picture is asked for, as Yahoo's command asks."""
    if len(options.inputs) != 1 or options.from_list is not None or options.frames != "first":
        return False
    path = options.inputs[0]
    head = read_head(path)
    if path == "-" or sniff(head) is not None:
        return True
    return (
        not os.path.isdir(path) and container_of(head) is None and not _is_archive(path) and not set("*?[") & set(path)
    )


def _is_archive(path: str) -> bool:
    from open_nsfw.sources.archives import archive_kind

    return archive_kind(path, read_head(path, HEAD), path) is not None
