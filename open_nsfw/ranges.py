"""`open-nsfw quantize-ranges FOLDER --output FILE`: measure what the fast mode must know about a model.

One part of the pictures gives the ranges of the network's tensors; the other, which those never saw, gives the
differences between quick and exact logits, and so the margin within which a picture is scored again.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.classifier import Classifier
from open_nsfw.engines import CONVERTER_VERSION, Float32, OnnxRuntimeEngine
from open_nsfw.errors import InputError, ModelError, OpenNsfwError, OutputError, UsageError
from open_nsfw.formats import SIDE, read_bytes
from open_nsfw.model_files import ModelFiles, find_model_files
from open_nsfw.options import OneLineParser
from open_nsfw.preprocess import Pixels, crop, resized_pixels, to_blob
from open_nsfw.quantize import ChannelGroup, FloatGraph, quantize, scale_and_zero
from open_nsfw.quick import quick_round_trip
from open_nsfw.quick_engine import float_model, int8_session, logits
from open_nsfw.ranges_file import HEADROOM, NEAR, Margin, Ranges, TensorRange
from open_nsfw.sources import Sources

PROGRAM = "open-nsfw quantize-ranges"
LEAST_PICTURES = 20  # of each part; fewer give neither ranges nor a worst case that mean anything
MOST_CALIBRATION = 600  # more change nothing and take memory
SAMPLES = 1_200_000  # values of a tensor that its range is chosen by, over all pictures
SAMPLING_SEED = 2016
SHRINKS = np.linspace(0.3, 1.0, 36)  # of the values' full span; the one with the least squared error is the range
# A channel's factor is its reach to this power, inverted, times the weights' reach to the other: half of the way that
# would make all channels alike, either way.
RANGE_POWER, WEIGHT_POWER = -0.5, 0.5
REACH_QUANTILE = 0.9  # over the pictures, of a channel's largest value: one picture's outlier decides nothing
LARGEST_FACTOR = 8.0
DIGITS = 3  # of every stored number: a thousandth of a range is a quarter of a level

EXAMPLE = f"""\
example:
  {PROGRAM} pictures/ --held-back others/ --output ranges.json

A few hundred varied pictures each, like those that will be scored; the folders are searched recursively."""

NO_MARGIN = Margin(0.0, 0, 0.0, 0.0, 0.0, 0.0, "", 0, 0.0)  # before it is measured

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One held-back picture's logits."""

    path: str
    exact: float
    quick: float
    reduced: bool
    """Whether the quick one is of a JPEG decoded at reduced size."""

    @property
    def size(self) -> float:
        """How far the quick logit is off."""
        return abs(self.quick - self.exact)

    @property
    def reach(self) -> float:
        """How far the quick logit is from the farthest threshold between it and the exact one, of thresholds with
        scores of 0.02 to 0.98; 0 if none is between them."""
        low, high = sorted((self.exact, self.quick))
        if high < -NEAR or low > NEAR:
            return 0.0
        return abs(self.quick - min(max(self.exact, -NEAR), NEAR))


# ------------------------------------------------------------------------------------------------------------- ranges


def measure(files: ModelFiles, pictures: Sequence[Pixels]) -> Ranges:
    """Ranges, channel means and factors over uint8 (256, 256, 3) pictures; the margins are still open.

    Raises ModelError for a model that cannot be converted or has nothing to quantize.
    """
    graph = FloatGraph(float_model(files))
    if not graph.points:
        raise ModelError(f"{files.model_def}: the net has no convolution, and so nothing to quantize")
    factors = _factors(graph, pictures)
    balanced = graph.balanced(factors)
    samples, means = _samples(balanced, pictures)
    multiplied = {node.input[0] for node in balanced.nodes_of("Conv")}  # where the means are of use
    tensors = {}
    for name, values in samples.items():
        low, high = best_range(values)
        mean = tuple(map(_rounded, means[name])) if name in multiplied else ()
        tensors[name] = TensorRange(_rounded(low), _rounded(high), mean)
    return Ranges(files.digest, CONVERTER_VERSION, NO_MARGIN, None, tensors, factors)


def _activations(graph: FloatGraph, pictures: Sequence[Pixels]) -> Iterator[dict[str, Float32]]:
    """The points' values for each picture: name -> float32 (C, ...)."""
    session = int8_session(graph.with_outputs(computed_points(graph)), None)
    height, width = session.get_inputs()[0].shape[2:]
    for pixels in pictures:
        values = point_values(graph, session, to_blob(crop(pixels, height, width)[np.newaxis]))
        yield {name: value[0] for name, value in values.items()}


def computed_points(graph: FloatGraph) -> list[str]:
    """The points but for the network's input: as an output, too, ONNX Runtime 1.19 gives memory that it has freed."""
    return [name for name in graph.points if name != graph.input]


def point_values(graph: FloatGraph, session: Any, blob: Float32) -> dict[str, Float32]:
    """All points for float32 (N, C, H, W), on a session that gives `computed_points`."""
    computed = session.run(None, {graph.input: blob})
    values = {graph.input: blob, **dict(zip(computed_points(graph), computed))}
    return {name: values[name] for name in graph.points}


def _factors(graph: FloatGraph, pictures: Sequence[Pixels]) -> dict[str, tuple[float, ...]]:
    """Each group's factors, as the ranges file has them."""
    groups = graph.groups()
    largest: dict[str, list[Float32]] = {point: [] for group in groups for point in group.points}
    for values in _activations(graph, pictures):
        for point, rows in largest.items():
            rows.append(np.abs(values[point]).reshape(len(values[point]), -1).max(axis=1))
    reach = {point: np.quantile(np.array(rows, np.float64), REACH_QUANTILE, axis=0) for point, rows in largest.items()}
    return {group.name: _group_factors(graph, group, reach) for group in groups}


def _group_factors(graph: FloatGraph, group: ChannelGroup, reach: dict[str, Float64]) -> tuple[float, ...]:
    values = _floored(np.max([reach[point] for point in group.points], axis=0))
    weights = _floored(np.max([_column_reach(graph.values[node.input[1]]) for node in group.consumers], axis=0))
    factors = values**RANGE_POWER * weights**WEIGHT_POWER
    factors /= np.exp(np.log(factors).mean())
    return tuple(map(_rounded, np.clip(factors, 1 / LARGEST_FACTOR, LARGEST_FACTOR)))


def _floored(reach: Float64) -> Float64:
    """Channels that hardly do anything get no huge factors."""
    return np.maximum(reach, max(float(reach.max()), 1e-12) * 1e-3)


def _column_reach(weights: Float32) -> Float64:
    """How much of the range of a layer's rows each input channel takes up, root mean square over the rows: (C,)."""
    largest = np.abs(weights.astype(np.float64)).reshape(*weights.shape[:2], -1).max(axis=2)
    share = largest / np.maximum(largest.max(axis=1, keepdims=True), 1e-12)
    reach: Float64 = np.sqrt((share**2).mean(axis=0))
    return reach


def _samples(graph: FloatGraph, pictures: Sequence[Pixels]) -> tuple[dict[str, Float32], dict[str, Float64]]:
    """(some of each point's values, the mean of each of its channels)."""
    random = np.random.default_rng(SAMPLING_SEED)
    each = max(SAMPLES // len(pictures), 1)
    samples: dict[str, list[Float32]] = {point: [] for point in graph.points}
    sums: dict[str, Float64] = {}
    for values in _activations(graph, pictures):
        for point, value in values.items():
            flat = value.reshape(-1)
            step = max(flat.size // each, 1)
            samples[point].append(flat[random.integers(step) :: step])
            means = value.reshape(len(value), -1).mean(axis=1, dtype=np.float64)
            sums[point] = sums[point] + means if point in sums else means
    return (
        {point: np.concatenate(rows) for point, rows in samples.items()},
        {point: total / len(pictures) for point, total in sums.items()},
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


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


# ------------------------------------------------------------------------------------------------------------- margin


def differences(files: ModelFiles, ranges: Ranges, paths: Sequence[str]) -> list[Difference]:
    """Quick and exact logits of picture files; those that cannot be decoded are left out."""
    exact = Classifier(OnnxRuntimeEngine(files)).engine
    quick = int8_session(quantize(float_model(files), ranges), None)
    name, (height, width) = quick.get_inputs()[0].name, exact.input_shape[1:]
    found = []
    for path in paths:
        try:
            data = read_bytes(path)
            picture = quick_round_trip(data, max(height, width))
            pixels = [resized_pixels(data), np.asarray(picture.image)]
        except InputError as error:
            _say(f"{path} is left out: {error}")
            continue
        blobs = [to_blob(crop(each, height, width)[np.newaxis]) for each in pixels]
        reference = logits(exact.forward(blobs[0]))[0]
        output = logits(quick.run(None, {name: blobs[1]})[0])[0]
        found.append(Difference(path, float(reference), float(output), picture.reduced))
    return found


def with_margins(ranges: Ranges, found: Sequence[Difference]) -> Ranges:
    """The ranges with the margins that these differences call for, and what speaks for them. Raises UsageError if there
    are too few."""
    full = [each for each in found if not each.reduced]
    reduced = [each for each in found if each.reduced]
    if len(full) < LEAST_PICTURES:
        raise UsageError(
            f"{len(full)} pictures to measure the margin on that are not large JPEG; at least {LEAST_PICTURES} are needed"
        )
    return replace(ranges, full=margin(full), reduced=margin(reduced) if len(reduced) >= LEAST_PICTURES else None)


def margin(found: Sequence[Difference]) -> Margin:
    """What one kind of pictures calls for."""
    sizes = np.array([each.size for each in found])
    worst = max(found, key=lambda each: each.size)
    median, p99, p99_9 = (_rounded(float(np.quantile(sizes, share))) for share in (0.5, 0.99, 0.999))
    near = sum(abs(each.exact) < NEAR for each in found)
    reach = max(each.reach for each in found)
    return Margin(
        logits=math.ceil(reach * HEADROOM * 100) / 100,
        pictures=len(found),
        median=median,
        p99=p99,
        p99_9=p99_9,
        worst=_rounded(worst.size),
        worst_picture=Path(worst.path).name,
        near=near,
        reach=_rounded(reach),
    )


# ------------------------------------------------------------------------------------------------------------ command


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw quantize-ranges` with these arguments; gives the exit status, 0 or 2."""
    try:
        _run(_parser().parse_args(argv))
    except OpenNsfwError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 2
    return 0


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


def _run(options: argparse.Namespace) -> None:
    files = find_model_files(options.model_def, options.pretrained_model)
    paths = _paths(options.folder)
    calibration = paths if options.held_back else paths[::2]
    held_back = _paths(options.held_back) if options.held_back else paths[1::2]
    pictures = _pictures(_spread(calibration, MOST_CALIBRATION))
    _check_count(len(pictures), options.folder)
    _say(f"measuring ranges on {len(pictures)} pictures")
    ranges = measure(files, pictures)
    _say(f"measuring the margin on {len(held_back)} other pictures")
    found = differences(files, ranges, held_back)
    _check_count(len(found), options.held_back or options.folder)
    ranges = with_margins(ranges, found)
    try:
        Path(options.output).write_text(ranges.to_json(), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{options.output}: cannot be written: {error.strerror or error}") from error
    print(describe(ranges))


def describe(ranges: Ranges) -> str:
    """The margins and their evidence, a line each."""
    lines = ["decoded in full: " + _described(ranges.full), "JPEG decoded at reduced size: "]
    if ranges.reduced is not None:
        return "\n".join(lines) + _described(ranges.reduced)
    return "\n".join(lines) + f"no margin, for want of {LEAST_PICTURES} such pictures; all are scored exactly"


def _described(seen: Margin) -> str:
    return (
        f"margin {seen.logits:g} logits; over {seen.pictures:,} held-back pictures ({seen.near:,} with scores of 0.02 to "
        f"0.98) quick and exact logits differ by {seen.median:g} in the median, {seen.p99:g} at 99 %, {seen.p99_9:g} at "
        f"99.9 %, {seen.worst:g} at worst, and by {seen.reach:g} across a threshold of 0.02 to 0.98"
    )


def _paths(folder: str) -> list[str]:
    """The picture files in a folder, sorted."""
    if not Path(folder).is_dir():
        raise UsageError(f"{folder}: a folder of pictures is needed")
    return [item.path for item in Sources([folder]) if item.member is None and item.error is None]


def _spread(paths: list[str], most: int) -> list[str]:
    """At most so many, evenly spread."""
    return [paths[index * len(paths) // most] for index in range(most)] if len(paths) > most else paths


def _pictures(paths: Sequence[str]) -> list[Pixels]:
    found: list[Pixels] = []
    for path in paths:
        try:
            found.append(np.asarray(quick_round_trip(read_bytes(path), SIDE).image))
        except InputError as error:
            _say(f"{path} is left out: {error}")
    return found


def _check_count(count: int, folder: str) -> None:
    if count < LEAST_PICTURES:
        raise UsageError(f"{folder}: {count} pictures; at least {LEAST_PICTURES} are needed to measure on")


def _say(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
