"""What the fast mode must know about a model, measured on pictures.

One part of the pictures gives the ranges of the network's tensors (here); the other, which those never saw, gives the
differences between quick and exact logits, and so the margin within which a picture is scored again (margins.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import InputError, ModelError
from open_nsfw.nets.float_graph import ChannelGroup, FloatGraph
from open_nsfw.nets.net import cut
from open_nsfw.nets.quantize import scale_and_zero
from open_nsfw.nets.ranges import Margin, Ranges, TensorRange, rounded
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.pixels import Pixels, as_array, crop, to_blob
from open_nsfw.pictures.reduced import quick_round_trip
from open_nsfw.progress import Progress
from open_nsfw.scoring.engine import Float32
from open_nsfw.scoring.int8_engine import float_model, int8_session
from open_nsfw.scoring.margins import leave_out, new_bytes
from open_nsfw.scoring.model_files import ModelFiles
from open_nsfw.scoring.onnx_runtime import run_session
from open_nsfw.scoring.versions import CONVERTER_VERSION

PASSES = 2  # over the calibration pictures
SAMPLES = 1_200_000  # values of a tensor that its range is chosen by, over all pictures
SAMPLING_SEED = 2016
SHRINKS = np.linspace(0.3, 1.0, 36)  # of the values' full span; the one with the least squared error is the range
# A channel's factor is its reach to this power, inverted, times the weights' reach to the other: half of the way that
# would make all channels alike, either way.
RANGE_POWER, WEIGHT_POWER = -0.5, 0.5
REACH_QUANTILE = 0.9  # over the pictures, of a channel's largest value: one picture's outlier decides nothing
LARGEST_FACTOR = 8.0

NO_MARGIN = Margin(0.0, 0, 0.0, 0.0, 0.0, 0.0, "", 0, 0.0)  # before it is measured

Float64 = NDArray[np.float64]


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
    """The activations as they come. Raises ModelError where one is infinite or not a number."""
    for values in activations:
        for name, value in values.items():
            if not np.isfinite(value).all():
                raise ModelError(
                    f"{files.pretrained_model}: the net's tensor {cut(name)} has values that are not finite"
                )
        yield values


def computed_points(graph: FloatGraph) -> list[str]:
    """The points but for the network's input: as an output, too, ONNX Runtime 1.19 gives memory that it has freed."""
    return [name for name in graph.points if name != graph.input]


def point_values(graph: FloatGraph, session: Any, blob: Float32) -> dict[str, Float32]:
    """All points for float32 (N, C, H, W), on a session that gives `computed_points`."""
    computed = run_session(session, {graph.input: blob})
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
    weights = _floored(np.max([_column_reach(graph.weights(node.input[1])) for node in group.consumers], axis=0))
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
    samples: dict[str, Float32] = {}  # filled as far as `sizes` says: lists of pieces would take their place twice
    sizes = dict.fromkeys(graph.points, 0)
    sums: dict[str, Float64] = {}
    for values in activations:
        for point, value in values.items():
            flat = value.reshape(-1)
            step = max(flat.size // each, 1)
            some = flat[random.integers(step) :: step]
            if point not in samples:
                samples[point] = np.empty(pictures * -(-flat.size // step), np.float32)
            samples[point][sizes[point] : sizes[point] + len(some)] = some
            sizes[point] += len(some)
            means = value.reshape(len(value), -1).mean(axis=1, dtype=np.float64)
            sums[point] = sums[point] + means if point in sums else means
    return (
        {point: values[: sizes[point]] for point, values in samples.items()},
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


def load_pictures(paths: Sequence[str], progress: Progress, seen: set[bytes]) -> list[Pixels]:
    """uint8 (256, 256, 3) of picture files, as the fast mode decodes them. Left out, and named on stderr, are those that
    cannot be decoded, or have the content of another or of one in `seen` (SHA-256)."""
    found: list[Pixels] = []
    for path in paths:
        try:
            found.append(as_array(quick_round_trip(new_bytes(path, seen), SIDE)))
        except InputError as error:
            leave_out(path, error, progress)
        else:
            progress.advance()
    return found
