"""`open-nsfw quantize-ranges FOLDER --output FILE`: measure what the fast mode must know about a model.

One part of the pictures gives the ranges of the network's tensors; the other, which those never saw, gives the
differences between quick and exact logits, and so the margin within which a picture is scored again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.cli.classify_options import OneLineParser
from open_nsfw.cli.verbs import guarded, print_text
from open_nsfw.errors import InputError, ModelError, UsageError
from open_nsfw.files import check_writable, write_whole
from open_nsfw.nets.quantize import ChannelGroup, FloatGraph, scale_and_zero
from open_nsfw.nets.ranges import NEAR_SCORE, PROGRAM, Margin, Ranges, TensorRange, rounded
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.pixels import Pixels, crop, to_blob
from open_nsfw.pictures.reduced import quick_round_trip
from open_nsfw.progress import Progress
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.engine import Float32
from open_nsfw.scoring.int8_engine import float_model, int8_session, quantized
from open_nsfw.scoring.margins import LEAST_PICTURES, describe, differences, leave_out, new_bytes, with_margins
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.onnx_engine import CONVERTER_VERSION, OnnxRuntimeEngine
from open_nsfw.sources.walk import Sources
from open_nsfw.text import printable

MOST_CALIBRATION = 600  # more change nothing and take memory
PASSES = 2  # over the calibration pictures
SAMPLES = 1_200_000  # values of a tensor that its range is chosen by, over all pictures
SAMPLING_SEED = 2016
SHRINKS = np.linspace(0.3, 1.0, 36)  # of the values' full span; the one with the least squared error is the range
# A channel's factor is its reach to this power, inverted, times the weights' reach to the other: half of the way that
# would make all channels alike, either way.
RANGE_POWER, WEIGHT_POWER = -0.5, 0.5
REACH_QUANTILE = 0.9  # over the pictures, of a channel's largest value: one picture's outlier decides nothing
LARGEST_FACTOR = 8.0

EXAMPLE = f"""\
example:
  {PROGRAM} pictures/ --held-back others/ --output ranges.json

A few hundred varied pictures each, like those that will be scored; the folders are searched recursively."""

NO_MARGIN = Margin(0.0, 0, 0.0, 0.0, 0.0, 0.0, "", 0, 0.0)  # before it is measured

Float64 = NDArray[np.float64]


# ------------------------------------------------------------------------------------------------------------- ranges


def measure(files: ModelFiles, pictures: Sequence[Pixels], progress: Progress | None = None) -> Ranges:
    """Ranges, channel means and factors over uint8 (256, 256, 3) pictures; the margins are still open.

    Raises ModelError for a model that cannot be converted or has nothing to quantize.
    """
    graph = FloatGraph(float_model(files))
    if not graph.points:
        raise ModelError(f"{files.model_def}: the net has no convolution, and so nothing to quantize")
    progress = progress or Progress(shown=False)
    factors = _factors(graph, _finite(files, _activations(graph, pictures, progress)))
    balanced = graph.balanced(factors)
    samples, means = _samples(balanced, _finite(files, _activations(balanced, pictures, progress)), len(pictures))
    multiplied = {node.input[0] for node in balanced.nodes_of("Conv")}  # where the means are of use
    tensors = {}
    for name, values in samples.items():
        low, high = best_range(values)
        mean = tuple(map(rounded, means[name])) if name in multiplied else ()
        tensors[name] = TensorRange(rounded(low), rounded(high), mean)
    return Ranges(files.digest, CONVERTER_VERSION, NO_MARGIN, None, tensors, factors)


def _activations(graph: FloatGraph, pictures: Sequence[Pixels], progress: Progress) -> Iterator[dict[str, Float32]]:
    """The points' values for each picture: name -> float32 (C, ...)."""
    session = int8_session(graph.with_outputs(computed_points(graph)), None)
    height, width = session.get_inputs()[0].shape[2:]
    for pixels in pictures:
        values = point_values(graph, session, to_blob(crop(pixels, height, width)[np.newaxis]))
        yield {name: value[0] for name, value in values.items()}
        progress.advance()


def _finite(files: ModelFiles, activations: Iterable[dict[str, Float32]]) -> Iterator[dict[str, Float32]]:
    """The same. Raises ModelError where a value is none."""
    for values in activations:
        for name, value in values.items():
            if not np.isfinite(value).all():
                raise ModelError(f"{files.pretrained_model}: the net's tensor {name} has values that are not finite")
        yield values


def computed_points(graph: FloatGraph) -> list[str]:
    """The points but for the network's input: as an output, too, ONNX Runtime 1.19 gives memory that it has freed."""
    return [name for name in graph.points if name != graph.input]


def point_values(graph: FloatGraph, session: Any, blob: Float32) -> dict[str, Float32]:
    """All points for float32 (N, C, H, W), on a session that gives `computed_points`."""
    computed = session.run(None, {graph.input: blob})
    values = {graph.input: blob, **dict(zip(computed_points(graph), computed))}
    return {name: values[name] for name in graph.points}


def _factors(graph: FloatGraph, activations: Iterable[dict[str, Float32]]) -> dict[str, tuple[float, ...]]:
    """Each group's factors, as the ranges file has them."""
    groups = graph.groups()
    largest: dict[str, list[Float32]] = {point: [] for group in groups for point in group.points}
    for values in activations:
        for point, rows in largest.items():
            rows.append(np.abs(values[point]).reshape(len(values[point]), -1).max(axis=1))
    reach = {point: np.quantile(np.array(rows, np.float64), REACH_QUANTILE, axis=0) for point, rows in largest.items()}
    return {group.name: _group_factors(graph, group, reach) for group in groups}


def _group_factors(graph: FloatGraph, group: ChannelGroup, reach: dict[str, Float64]) -> tuple[float, ...]:
    values = _floored(np.max([reach[point] for point in group.points], axis=0))
    weights = _floored(np.max([_column_reach(graph.values[node.input[1]]) for node in group.consumers], axis=0))
    factors = values**RANGE_POWER * weights**WEIGHT_POWER
    factors /= np.exp(np.log(factors).mean())
    return tuple(map(rounded, np.clip(factors, 1 / LARGEST_FACTOR, LARGEST_FACTOR)))


def _floored(reach: Float64) -> Float64:
    """Channels that hardly do anything get no huge factors."""
    return np.maximum(reach, max(float(reach.max()), 1e-12) * 1e-3)


def _column_reach(weights: Float32) -> Float64:
    """How much of the range of a layer's rows each input channel takes up, root mean square over the rows: (C,)."""
    largest = np.abs(weights.astype(np.float64)).reshape(*weights.shape[:2], -1).max(axis=2)
    share = largest / np.maximum(largest.max(axis=1, keepdims=True), 1e-12)
    reach: Float64 = np.sqrt((share**2).mean(axis=0))
    return reach


def _samples(
    graph: FloatGraph, activations: Iterable[dict[str, Float32]], pictures: int
) -> tuple[dict[str, Float32], dict[str, Float64]]:
    """(some of each point's values, the mean of each of its channels), over so many pictures."""
    random = np.random.default_rng(SAMPLING_SEED)
    each = max(SAMPLES // pictures, 1)
    samples: dict[str, list[Float32]] = {point: [] for point in graph.points}
    sums: dict[str, Float64] = {}
    for values in activations:
        for point, value in values.items():
            flat = value.reshape(-1)
            step = max(flat.size // each, 1)
            samples[point].append(flat[random.integers(step) :: step])
            means = value.reshape(len(value), -1).mean(axis=1, dtype=np.float64)
            sums[point] = sums[point] + means if point in sums else means
    return (
        {point: np.concatenate(rows) for point, rows in samples.items()},
        {point: total / pictures for point, total in sums.items()},
    )


def best_range(values: Float32) -> tuple[float, float]:
    """The (low, high) whose 256 levels give `values` back with the least squared error, too large ones cut."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    candidates = [(low * shrink, high * shrink) for shrink in SHRINKS]
    return min(candidates, key=lambda bounds: _squared_error(values, *bounds))


def _squared_error(values: Float32, low: float, high: float) -> float:
    scale, zero = scale_and_zero(low, high)
    restored = (np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale
    return float(((restored - values) ** 2).mean())


# ------------------------------------------------------------------------------------------------------------ command


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw quantize-ranges` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Measure what the fast mode must know about a model, on pictures of yours.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="pictures that the ranges are measured on")
    parser.add_argument("--output", required=True, metavar="FILE", help="the ranges file to write, JSON")
    parser.add_argument(
        "--held-back",
        metavar="FOLDER",
        help="other pictures, that the margin is measured on (default: every second one of the first folder)",
    )
    parser.add_argument(
        "--model_def", "--model-def", metavar="FILE", help="deploy prototxt (default: the packaged one)"
    )
    parser.add_argument(
        "--pretrained_model", "--pretrained-model", metavar="FILE", help="caffemodel (default: the packaged one)"
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    check_writable(options.output)
    files = find_model_files(options.model_def, options.pretrained_model)
    Classifier(OnnxRuntimeEngine(files))  # raises ModelError for a net that cannot score pictures
    paths = _paths(options.folder)
    _check_count(len(paths), options.folder, LEAST_PICTURES if options.held_back else 2 * LEAST_PICTURES)
    calibration = paths if options.held_back else paths[::2]
    held_back = _paths(options.held_back) if options.held_back else paths[1::2]
    _check_count(len(held_back), options.held_back or options.folder)
    if options.held_back:
        _check_apart(calibration, held_back)
    calibration = _spread(calibration, MOST_CALIBRATION)
    seen: set[bytes] = set()  # SHA-256 of contents
    with Progress(len(calibration)) as progress:
        pictures = _pictures(calibration, progress, seen)
    _check_count(len(pictures), options.folder)
    _say(f"measuring ranges on {len(pictures)} pictures")
    with Progress(PASSES * len(pictures)) as progress:
        ranges = measure(files, pictures, progress)
    _say(f"measuring the margin on {len(held_back)} other pictures")
    with Progress(len(held_back)) as progress:
        found = differences(files, ranges, held_back, progress, seen)
    _check_count(len(found), options.held_back or options.folder)
    ranges = with_margins(ranges, found)
    quantized(files, ranges)  # raises ModelError where the fast mode would
    _warn(ranges)
    write_whole(options.output, ranges.to_json())
    print_text(describe(ranges) + "\n")
    return 0


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


def _pictures(paths: Sequence[str], progress: Progress, seen: set[bytes]) -> list[Pixels]:
    found: list[Pixels] = []
    for path in paths:
        try:
            found.append(np.asarray(quick_round_trip(new_bytes(path, seen), SIDE).image))
        except InputError as error:
            leave_out(path, error, progress)
        else:
            progress.advance()
    return found


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
