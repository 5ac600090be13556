"""Ranges of any net, measured on noise."""

from __future__ import annotations

import numpy as np

from open_nsfw.nets.float_graph import FloatGraph
from open_nsfw.nets.ranges import Margin, Ranges, TensorRange
from open_nsfw.scoring import measure_ranges
from open_nsfw.scoring.int8_engine import int8_session
from open_nsfw.scoring.versions import CONVERTER_VERSION

MARGIN = Margin(1.0, 1, 0.1, 0.2, 0.3, 0.4, "worst.jpg", 1, 0.3)


def noise_ranges(model: bytes, digest: str = "") -> Ranges:
    """Ranges of any float32 model, measured on noise."""
    graph = FloatGraph(model)
    if not graph.points:  # a net without convolutions stays as it is
        return Ranges(digest, CONVERTER_VERSION, MARGIN, None, {}, {})
    session = int8_session(graph.with_outputs(measure_ranges.computed_points(graph)), 1)
    shape = session.get_inputs()[0].shape[1:]
    blob = np.random.default_rng(0).normal(0, 1, (8, *shape)).astype(np.float32)
    tensors = {}
    for name, values in measure_ranges.point_values(graph, session, blob).items():
        mean = values.mean(axis=(0, *range(2, values.ndim)))
        tensors[name] = TensorRange(float(values.min()), float(values.max()), tuple(map(float, mean)))
    return Ranges(digest, CONVERTER_VERSION, MARGIN, None, tensors, {})
