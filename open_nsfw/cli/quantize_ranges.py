"""`open-nsfw quantize-ranges FOLDER --output FILE`: measure what the fast mode must know about a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from open_nsfw.cli import parsing
from open_nsfw.cli.options import add_debug_option, add_model_options, add_overwrite_option
from open_nsfw.cli.outputs import check_output
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status
from open_nsfw.errors import UsageError
from open_nsfw.files import check_free, check_writable, write_whole
from open_nsfw.nets.ranges import NEAR_SCORE, PROGRAM, Ranges
from open_nsfw.progress import Progress
from open_nsfw.scoring.int8_engine import quantized
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.margins import LEAST_PICTURES, describe, differences, with_margins
from open_nsfw.scoring.measure_ranges import PASSES, load_pictures, measure
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.sources.walk import Sources
from open_nsfw.text import printable

MOST_CALIBRATION = 600  # pictures; more change nothing and take memory

EXAMPLE = f"""\
example:
  {PROGRAM} pictures/ --held-back others/ --output ranges.json

Take a few hundred varied pictures for each, like those that will be scored; folders are searched recursively.

exit status: 0 done, 2 the command line, the model, the pictures or the output is at fault"""


@dataclass(frozen=True)
class Request:
    """What is measured, and where it is written."""

    folder: str
    output: str
    held_back: str | None = None
    """A folder of other pictures; None for every second one of `folder`."""
    model_def: str | None = None
    pretrained_model: str | None = None
    overwrite: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw quantize-ranges` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    return Request(
        values.folder, values.output, values.held_back, values.model_def, values.pretrained_model, values.overwrite
    )


def parser() -> OneLineParser:
    """The verb's request."""
    result = OneLineParser(
        prog=PROGRAM,
        description="Prepare the fast mode for a network of your own: measure its ranges and margins on your pictures.",
        epilog=EXAMPLE,
    )
    result.add_argument("folder", type=parsing.file, metavar="FOLDER", help="pictures to measure the ranges on")
    result.add_argument(
        "--output", required=True, type=parsing.file, metavar="FILE", help="ranges file to write (JSON)"
    )
    result.add_argument(
        "--held-back",
        type=parsing.file,
        metavar="FOLDER",
        help="other pictures to measure the margins on (default: every second one in the first folder)",
    )
    add_overwrite_option(result)
    add_model_options(result)
    add_debug_option(result)
    return result


def _run(request: Request) -> int:
    check_output(request.output, [request.model_def, request.pretrained_model])
    check_free(request.output, request.overwrite)
    check_writable(request.output)
    files = find_model_files(request.model_def, request.pretrained_model)
    load_models(LoadOptions(engine="onnxruntime"), files)  # raises ModelError for a net that cannot score pictures
    paths = _paths(request.folder)
    _check_count(len(paths), request.folder, LEAST_PICTURES if request.held_back else 2 * LEAST_PICTURES)
    calibration = paths if request.held_back else paths[::2]
    held_back = _paths(request.held_back) if request.held_back else paths[1::2]
    _check_count(len(held_back), request.held_back or request.folder)
    if request.held_back:
        _check_apart(calibration, held_back)
    calibration = _spread(calibration, MOST_CALIBRATION)
    seen: set[bytes] = set()  # SHA-256 of contents
    with Progress(len(calibration)) as progress:
        pictures = load_pictures(calibration, progress, seen)
    _check_count(len(pictures), request.folder)
    _say(f"measuring ranges on {len(pictures)} pictures")
    with Progress(PASSES * len(pictures)) as progress:
        ranges = measure(files, pictures, progress)
    _say(f"measuring the margin on {len(held_back)} other pictures")
    with Progress(len(held_back)) as progress:
        found = differences(files, ranges, held_back, progress, seen)
    _check_count(len(found), request.held_back or request.folder)
    ranges = with_margins(ranges, found)
    quantized(files, ranges)  # raises ModelError where the fast mode would
    _warn(ranges)
    write_whole(request.output, ranges.to_json())
    print_text(describe(ranges) + "\n")
    return Status.DONE


def _paths(folder: str) -> list[str]:
    """The picture files in a folder, sorted."""
    if not os.path.isdir(folder):
        raise UsageError(f"{folder}: a folder of pictures is needed")
    return [item.path for item in Sources([folder]) if item.member is None and item.error is None]


def _spread(paths: list[str], most: int) -> list[str]:
    """At most so many, evenly spread."""
    return [paths[index * len(paths) // most] for index in range(most)] if len(paths) > most else paths


def _warn(ranges: Ranges) -> None:
    near = ranges.full.near + (ranges.reduced.near if ranges.reduced is not None else 0)
    if near < LEAST_PICTURES:
        _say(
            f"only {near} of the held-back pictures have scores of {NEAR_SCORE} to {1 - NEAR_SCORE}; the margin is what the "
            "others call for, and may be too small: add pictures that score near your thresholds"
        )


def _check_count(count: int, folder: str, least: int = LEAST_PICTURES) -> None:
    if count < least:
        raise UsageError(f"{folder}: too few pictures to measure on ({count}); at least {least} are needed")


def _check_apart(calibration: Sequence[str], held_back: Sequence[str]) -> None:
    """A margin measured on the pictures that the ranges fit would be too small."""
    both = set(map(os.path.realpath, calibration)).intersection(map(os.path.realpath, held_back))
    if both:
        raise UsageError(f"{printable(min(both))} is in both folders; --held-back needs other pictures")


def _say(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr)
