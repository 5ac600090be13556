"""`open-nsfw verify IMAGES...`: score pictures in two ways and say how far they are apart.

One way is the reference, pycaffe or ONNX Runtime in float32; the other is any engine, precision, or the fast mode. Both
go through the pipeline of the command. What comes out on stdout, one line each, `scored twice` with --fast only:

    reference        onnxruntime, model 0123456789ab
    compared         onnxruntime-int8 and onnxruntime, margin 1.13 logits, 2.09 for JPEG decoded at reduced size
    pictures         18 compared, 0 unreadable
    score difference worst 0.0214 (PATH), 99th percentile 0.0213
    logit difference worst 0.312 (PATH), 99th percentile 0.31
    scored twice     11
    threshold 0.2    0 pictures change sides
    threshold 0.8    1 picture changes sides: PATH 0.79 -> 0.81
    verdict          passed | passed; N pictures could not be compared | failed: REASON

Exit status: 0 passed, 1 failed (a difference beyond the tolerance, a picture on another side of a threshold, or one
that only one way can score), 2 usage, model and engine errors, or nothing to compare, 130 or 143 ended by SIGINT or
SIGTERM.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from open_nsfw.cli import parsing
from open_nsfw.cli.options import (
    SUGGESTED,
    add_debug_option,
    add_engine_option,
    add_model_options,
    add_overwrite_option,
    add_ranges_option,
)
from open_nsfw.cli.outputs import check_not_an_input, files_of
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import SIGNALS, Status, ended_by
from open_nsfw.cores import default_jobs
from open_nsfw.errors import UsageError
from open_nsfw.files import check_free
from open_nsfw.progress import Progress
from open_nsfw.scan.compare import EXACT, Comparison, Pair, RepeatableSources, compare
from open_nsfw.scan.compare_plot import check_plot, plot
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.run import count_ahead
from open_nsfw.scoring.fast import parse_thresholds
from open_nsfw.scoring.load import load_models
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.scoring.names import PRECISIONS, REFERENCES
from open_nsfw.scoring.options import LoadOptions
from open_nsfw.scoring.scorer import Models

PROGRAM = "open-nsfw verify"

EXAMPLE = f"""\
examples:
  {PROGRAM} photos/ --fast
  {PROGRAM} photos/ --engine openvino --plot differences.png

exit status: 0 passed, 1 failed, 2 the command line, the model or the engine is at fault,
{SIGNALS}"""


def report(comparison: Comparison, thresholds: Sequence[float], fast: bool) -> list[tuple[str, str]]:
    """(name, text) of the lines on the pictures."""
    pairs = comparison.pairs
    rows = [
        ("pictures", f"{len(pairs):,} compared, {comparison.unreadable + len(comparison.one_sided):,} unreadable"),
        ("score difference", _spread(pairs, lambda pair: pair.score_difference)),
        ("logit difference", _spread(pairs, lambda pair: pair.logit_difference)),
    ]
    if fast:
        rows.append(("scored twice", f"{sum(pair.twice for pair in pairs):,}"))
    return rows + [(f"threshold {threshold:g}", _sides(pairs, threshold)) for threshold in thresholds]


def _spread(pairs: Sequence[Pair], size: Callable[[Pair], float]) -> str:
    worst = max(pairs, key=size)
    percentile = float(np.quantile([size(pair) for pair in pairs], 0.99))
    return f"worst {size(worst):.3g} ({worst.name}), 99th percentile {percentile:.3g}"


def _sides(pairs: Sequence[Pair], threshold: float) -> str:
    moved = [pair for pair in pairs if pair.changes_sides(threshold)]
    named = ", ".join(f"{pair.name} {pair.reference:.6g} -> {pair.compared:.6g}" for pair in moved)
    text = f"{_count(len(moved), 'picture changes', 'pictures change')} sides"
    return f"{text}: {named}" if moved else text


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def failure(comparison: Comparison, tolerance: float, thresholds: Sequence[float]) -> str | None:
    """Why the comparison is not passed; None if it is. A picture may stand on another side of a threshold only where the
    scores agree within what exact engines promise."""
    worst = max(pair.score_difference for pair in comparison.pairs)
    if worst > tolerance:
        return f"the worst score difference, {worst:.3g}, is over the tolerance of {tolerance:g}"
    if moved := comparison.moved(thresholds):
        return f"{_count(len(moved), 'picture changes', 'pictures change')} sides of a threshold"
    if comparison.one_sided:
        return f"{_count(len(comparison.one_sided), 'picture has', 'pictures have')} a score in one way only"
    return None


@dataclass(frozen=True)
class Request:
    """What is compared with what, on which pictures, and what passes."""

    inputs: tuple[str, ...]
    reference: LoadOptions
    compared: LoadOptions
    tolerance: float
    """The largest score difference that passes."""
    plot: str | None = None
    """The file that the differences are drawn into."""
    overwrite: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw verify` with these arguments; gives the exit status, 0, 1 or 2."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM, description="Score pictures in two ways and print how far the scores are apart.", epilog=EXAMPLE
    )
    add = result.add_argument
    add("inputs", nargs="+", metavar="IMAGES", help="pictures, folders or archives, as `classify_nsfw` takes them")
    add_engine_option(result)
    add("--precision", default="float32", choices=PRECISIONS, help="compare this precision (default float32)")
    add("--fast", action="store_true", help="compare the fast mode: quick scores, and exact ones near a threshold")
    add(
        "--against",
        choices=REFERENCES,
        help="the reference (default: caffe where pycaffe can be imported, else onnxruntime)",
    )
    add_ranges_option(result, "--fast or --precision int8")
    add(
        "--thresholds",
        default=SUGGESTED,
        metavar="T,...",
        help=f"scores at which decisions change (default {SUGGESTED})",
    )
    add(
        "--tolerance",
        type=parsing.score,
        metavar="T",
        help="largest score difference that passes (default: 1e-5 for float32, otherwise any that moves no picture "
        "across a threshold)",
    )
    add("--plot", type=parsing.file, metavar="FILE", help="draw the differences into FILE (needs matplotlib)")
    add_overwrite_option(result)
    add_model_options(result)
    add_debug_option(result)
    return result


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = parser().parse_args(argv)
    if values.fast and values.precision != "float32":
        raise UsageError("--fast and --precision cannot be combined: the fast mode has its own precisions")
    if values.ranges is not None and not (values.fast or values.precision == "int8"):
        raise UsageError("--ranges needs --fast or --precision int8")
    if values.ranges is not None and not os.path.exists(values.ranges):
        raise UsageError(f"--ranges {values.ranges}: there is no such file")
    is_exact = values.precision == "float32" and not values.fast
    # The pipeline scores one picture on each core, hence one thread.
    reference = LoadOptions(values.model_def, values.pretrained_model, values.against or "auto", threads=1)
    compared = LoadOptions(
        values.model_def,
        values.pretrained_model,
        values.engine,
        threads=1,
        precision=values.precision,
        fast=values.fast,
        ranges=values.ranges,
        thresholds=parse_thresholds(values.thresholds),
    )
    tolerance = (EXACT if is_exact else 1.0) if values.tolerance is None else values.tolerance
    return Request(tuple(values.inputs), reference, compared, tolerance, values.plot, values.overwrite)


def _run(request: Request) -> int:
    thresholds = request.compared.thresholds
    if request.plot is not None:
        check_plot(request.plot)
        check_not_an_input(request.plot, [*request.inputs, *files_of(request.compared)], "--plot")
        check_free(request.plot, request.overwrite)
    files = find_model_files(request.compared.model_def, request.compared.pretrained_model)
    reference, compared = load_models(request.reference, files), load_models(request.compared, files)
    comparison = _compare(request.inputs, reference, compared)
    if comparison.ended_by is not None:
        return ended_by(comparison.ended_by)
    if not comparison.pairs:
        raise UsageError("no picture could be compared")
    problem = failure(comparison, request.tolerance, thresholds)
    engine = reference.exact.engine
    lines = [
        ("reference", f"{engine.name}, model {engine.model_hash}"),
        ("compared", _described(compared)),
        *report(comparison, thresholds, request.compared.fast),
        ("verdict", f"failed: {problem}" if problem else "passed" + _left_out(comparison.unreadable)),
    ]
    if request.plot is not None:
        plot(comparison, thresholds, request.plot)
    print_text("".join(f"{name:<16} {text}\n" for name, text in lines))
    return Status.FAILED if problem else Status.DONE


def _compare(inputs: Sequence[str], reference: Models, compared: Models) -> Comparison:
    """Both ways, with a bar that counts the pictures of both."""
    with Progress(partial(_count_twice, inputs)) as progress, RepeatableSources(inputs) as sources:
        return compare(
            sources,
            reference,
            compared,
            PipelineOptions(default_jobs()),
            lambda line: progress.say(f"{PROGRAM}: {line}"),
            progress.advance,
        )


def _count_twice(inputs: Sequence[str]) -> int | None:
    count = count_ahead(list(inputs))
    return None if count is None else 2 * count


def _left_out(unreadable: int) -> str:
    return f"; {_count(unreadable, 'picture', 'pictures')} could not be compared" if unreadable else ""


def _described(models: Models) -> str:
    """What computes the compared scores."""
    if models.quick is None or models.margins is None:
        return models.exact.engine.name
    margins = f"margin {models.margins.full:g} logits, {models.margins.reduced:g} for JPEG decoded at reduced size"
    return f"{models.quick.engine.name} and {models.exact.engine.name}, {margins}"
