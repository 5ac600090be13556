"""`open-nsfw verify IMAGES...`: score pictures in two ways and say how far they are apart.

One way is the reference, pycaffe or ONNX Runtime in float32; the other is any engine, precision, or the fast mode. What
comes out on stdout, one line each, `scored twice` with --fast only:

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
that only one way can score), 2 usage, model and engine errors, or nothing to compare.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy as np

from open_nsfw.cli.classify_options import OneLineParser
from open_nsfw.cli.verbs import guarded, print_text
from open_nsfw.errors import EngineError, InputError, UsageError
from open_nsfw.files import check_writable, write_whole
from open_nsfw.installing import install_command
from open_nsfw.pictures.formats import read_bytes
from open_nsfw.progress import Progress
from open_nsfw.scan.run import count_ahead
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.engine import Engine
from open_nsfw.scoring.escalation import THRESHOLDS, logit, parse_thresholds
from open_nsfw.scoring.fast import FastClassifier
from open_nsfw.scoring.int8_engine import Int8Engine
from open_nsfw.scoring.load import make_engine
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.sources.item import Item
from open_nsfw.sources.walk import Sources
from open_nsfw.text import printable

PROGRAM = "open-nsfw verify"
EXACT = 1e-5  # what exact engines promise, and the default tolerance for them; the others have none but the sides
PLOT_ENDINGS = (".png", ".svg", ".pdf")
PRECISIONS = ("float32", "bfloat16", "int8")

EXAMPLE = f"""\
examples:
  {PROGRAM} photos/ --fast
  {PROGRAM} photos/ --engine openvino --precision bfloat16 --plot differences.png

exit status: 0 passed, 1 failed, 2 the command, the model or the engine is at fault"""

# Scores encoded bytes: the score, and whether it was scored twice.
Way = Callable[[bytes], "tuple[float, bool]"]


@dataclass(frozen=True)
class Pair:
    """One picture's two scores."""

    path: str
    reference: float
    compared: float
    twice: bool = False

    @property
    def score_difference(self) -> float:
        """Without sign."""
        return abs(self.compared - self.reference)

    @property
    def logit_difference(self) -> float:
        """Without sign."""
        return abs(logit(self.compared) - logit(self.reference))

    def changes_sides(self, threshold: float) -> bool:
        """Whether just one of the scores is at or above the threshold."""
        return (self.reference >= threshold) != (self.compared >= threshold)


@dataclass(frozen=True)
class Comparison:
    """All pictures, and what could not be compared."""

    pairs: tuple[Pair, ...]
    unreadable: int = 0
    one_sided: tuple[str, ...] = ()
    """Pictures that only one of the two ways could score."""

    def failure(self, tolerance: float, thresholds: Sequence[float]) -> str | None:
        """Why the comparison is not passed; None if it is. A picture may stand on another side of a threshold only
        where the scores agree within what exact engines promise."""
        worst = max(pair.score_difference for pair in self.pairs)
        moved = [
            pair for pair in self.pairs if pair.score_difference > EXACT and any(map(pair.changes_sides, thresholds))
        ]
        if worst > tolerance:
            return f"the worst score difference, {worst:.3g}, is over the tolerance of {tolerance:g}"
        if moved:
            return f"{_count(len(moved), 'picture changes', 'pictures change')} sides of a threshold"
        if self.one_sided:
            return f"{_count(len(self.one_sided), 'picture has', 'pictures have')} a score in one way only"
        return None


def compare(items: Iterable[Item], reference: Way, compared: Way, progress: Progress | None = None) -> Comparison:
    """Score each item's picture both ways. Failures are told on stderr."""
    progress = Progress(shown=False) if progress is None else progress
    pairs, unreadable, one_sided = [], 0, []
    for item in items:
        path = item.path if item.member is None else f"{item.path}!{item.member}"
        scores = _scores(item, (reference, compared))
        errors = [each for each in scores if isinstance(each, InputError)]
        if len(errors) == 1:
            one_sided.append(path)
        elif errors:
            unreadable += 1
        else:
            pairs.append(Pair(path, scores[0][0], *scores[1]))  # type: ignore[index,misc]
        if errors:
            progress.say(f"{PROGRAM}: {printable(path)}: {errors[0]}")
        progress.advance()
    return Comparison(tuple(pairs), unreadable, tuple(one_sided))


def _scores(item: Item, ways: Sequence[Way]) -> list[tuple[float, bool] | InputError]:
    """Of each way, or why it has none."""
    try:
        data = _data(item)
    except InputError as error:
        return [error for _ in ways]
    return [_score(way, data) for way in ways]


def _data(item: Item) -> bytes:
    if item.error is not None:
        raise item.error
    return read_bytes(item.path) if item.data is None else item.data


def _score(way: Way, data: bytes) -> tuple[float, bool] | InputError:
    try:
        score, twice = way(data)
    except InputError as error:
        return error
    if score != score:
        return InputError("not-finite", "the network gives no number for it")
    return float(score), twice


# --------------------------------------------------------------------------------------------------------------- ways


def load_engine(files: ModelFiles, engine: str, precision: str, ranges: str | None = None) -> Engine:
    """An engine at a precision. Raises UsageError for a pair that there is not."""
    if engine == "openvino":
        from open_nsfw.scoring.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(files, precision, ranges=ranges)
    if precision == "float32":
        return make_engine(files, engine)
    if precision == "int8" and engine in ("auto", "onnxruntime"):
        return Int8Engine(files, ranges=ranges)
    raise UsageError(f"--precision {precision}: the engine {engine} has none; --engine openvino does")


def exact_way(engine: Engine) -> Way:
    """One forward pass for each picture."""
    classifier = Classifier(engine)
    return lambda data: (classifier.score(data), False)


def fast_way(files: ModelFiles, exact: Engine, ranges: str | None, thresholds: Sequence[float]) -> tuple[Way, str]:
    """The fast mode around an exact engine, and its description."""
    quick = Int8Engine(files, ranges=ranges)
    margins = quick.ranges.margins_for(thresholds)
    classifier = FastClassifier(Classifier(quick), Classifier(exact), margins, thresholds)
    named = f"margin {margins.full:g} logits, {margins.reduced:g} for JPEG decoded at reduced size"
    return classifier.score, f"{quick.name} and {exact.name}, {named}"


# ------------------------------------------------------------------------------------------------------------- report


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
    return f"worst {size(worst):.3g} ({printable(worst.path)}), 99th percentile {percentile:.3g}"


def _sides(pairs: Sequence[Pair], threshold: float) -> str:
    moved = [pair for pair in pairs if pair.changes_sides(threshold)]
    named = ", ".join(f"{printable(pair.path)} {pair.reference:.6g} -> {pair.compared:.6g}" for pair in moved)
    text = f"{_count(len(moved), 'picture changes', 'pictures change')} sides"
    return f"{text}: {named}" if moved else text


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


def check_plot(path: str) -> None:
    """Whether `plot` can write this file, before the pictures are compared for it. Raises EngineError without
    matplotlib, UsageError for a suffix that names no format, OutputError where the file cannot be written."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise EngineError(f"--plot needs matplotlib: {install_command('policy')}") from None
    if Path(path).suffix.lower() not in PLOT_ENDINGS:
        raise UsageError(f"--plot {path}: the name must end in {', '.join(PLOT_ENDINGS[:-1])} or {PLOT_ENDINGS[-1]}")
    check_writable(path)


def plot(comparison: Comparison, thresholds: Sequence[float], path: str) -> None:
    """The difference in logits over the reference's logit, a dot a picture, into a file that `check_plot` has let
    pass. Raises OutputError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    references = np.array([logit(pair.reference) for pair in comparison.pairs])
    compared = np.array([logit(pair.compared) for pair in comparison.pairs])
    twice = np.array([pair.twice for pair in comparison.pairs])
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for chosen, colour, label in ((~twice, "tab:blue", "scored once"), (twice, "tab:orange", "scored twice")):
        if chosen.any():
            axes.scatter(references[chosen], (compared - references)[chosen], s=9, color=colour, label=label)
    for threshold in thresholds:
        axes.axvline(logit(threshold), color="0.4", linewidth=0.8, linestyle="--")
        above: Any = ("data", "axes fraction")  # older type stubs of matplotlib know of one word only
        axes.annotate(f"{threshold:g}", (logit(threshold), 1.01), xycoords=above, ha="center")
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.set(xlabel="logit of the reference", ylabel="difference of the compared logit")
    axes.legend(loc="best")
    drawn = io.BytesIO()
    figure.savefig(drawn, format=Path(path).suffix[1:].lower())
    write_whole(path, drawn.getvalue())


# ------------------------------------------------------------------------------------------------------------ command


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw verify` with these arguments; gives the exit status, 0, 1 or 2."""
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # remarks on odd palettes and metadata
    return guarded(PROGRAM, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Score pictures in two ways and say how far they are apart.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add: Any = parser.add_argument
    add("inputs", nargs="+", metavar="IMAGES", help="pictures, folders or archives, as classify_nsfw takes them")
    add("--engine", default="auto", choices=["auto", "caffe", "onnxruntime", "openvino"], help="to compare")
    add("--precision", default="float32", choices=PRECISIONS, help="to compare (default float32)")
    add("--fast", action="store_true", help="compare the fast mode: quick scores, and exact ones near a threshold")
    add("--against", choices=["caffe", "onnxruntime"], help="the reference (default: caffe where it can be imported)")
    add("--ranges", metavar="FILE", help="ranges file for int8 (default: the packaged one)")
    add("--thresholds", default=",".join(map(str, THRESHOLDS)), metavar="T,...", help="default 0.2,0.8")
    add(
        "--tolerance",
        type=float,
        metavar="T",
        help="largest score difference that passes (default: 1e-5 for float32, otherwise any that moves no picture "
        "over a threshold)",
    )
    add("--plot", metavar="FILE", help="draw the differences (needs the extra `policy`)")
    add("--model_def", "--model-def", metavar="FILE", help="deploy prototxt (default: the packaged one)")
    add("--pretrained_model", "--pretrained-model", metavar="FILE", help="caffemodel (default: the packaged one)")
    return parser


def _run(options: argparse.Namespace) -> int:
    thresholds = parse_thresholds(options.thresholds)
    tolerance = _tolerance(options)
    if options.plot is not None:
        check_plot(options.plot)
    files = find_model_files(options.model_def, options.pretrained_model)
    reference = load_engine(files, options.against or "auto", "float32")
    compared, described = _compared(options, files, thresholds)
    with Progress(partial(count_ahead, options.inputs)) as progress:
        comparison = compare(Sources(options.inputs), exact_way(reference), compared, progress)
    if not comparison.pairs:
        raise UsageError("no picture could be compared")
    failure = comparison.failure(tolerance, thresholds)
    lines = [
        ("reference", f"{reference.name}, model {reference.model_hash}"),
        ("compared", described),
        *report(comparison, thresholds, options.fast),
        ("verdict", f"failed: {failure}" if failure else "passed" + _but(comparison.unreadable)),
    ]
    if options.plot is not None:
        plot(comparison, thresholds, options.plot)
    print_text("".join(f"{name:<16} {text}\n" for name, text in lines))
    return 1 if failure else 0


def _but(unreadable: int) -> str:
    return f"; {_count(unreadable, 'picture', 'pictures')} could not be compared" if unreadable else ""


def _tolerance(options: argparse.Namespace) -> float:
    if options.tolerance is None:
        return EXACT if options.precision == "float32" and not options.fast else 1.0
    if not 0 <= options.tolerance <= 1:
        raise UsageError(f"--tolerance {options.tolerance:g}: a score difference from 0 to 1 is needed")
    return float(options.tolerance)


def _compared(options: argparse.Namespace, files: ModelFiles, thresholds: Sequence[float]) -> tuple[Way, str]:
    if options.fast and options.precision != "float32":
        raise UsageError("--fast and --precision exclude each other: the fast mode has its own precisions")
    if options.ranges is not None and not (options.fast or options.precision == "int8"):
        raise UsageError("--ranges goes with --fast or --precision int8")
    if options.ranges is not None and not os.path.exists(options.ranges):
        raise UsageError(f"--ranges {options.ranges}: there is no such file")
    engine = load_engine(files, options.engine, options.precision, options.ranges)
    if options.fast:
        return fast_way(files, engine, options.ranges, thresholds)
    return exact_way(engine), engine.name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
