"""The int8 graph: its structure, its rounding, and ranges that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.nets.float_graph import FloatGraph
from open_nsfw.nets.quantize import quantize, scale_and_zero
from open_nsfw.nets.rounding import rounded_each, weight_scales
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring import int8_engine
from open_nsfw.scoring.int8_engine import float_model
from open_nsfw.scoring.model_files import ModelFiles, find_model_files, read_ranges
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine
from tests.tools.helpers import DATA, MODEL_DEF, NETS, WEIGHTS
from tests.tools.noise_ranges import noise_ranges

PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """The packaged model."""
    return find_model_files(MODEL_DEF, WEIGHTS)


@pytest.fixture(scope="module")
def exact(files: ModelFiles) -> OnnxRuntimeEngine:
    """In float32."""
    return OnnxRuntimeEngine(files, threads=1)


def blobs() -> np.ndarray:
    """The pushed pictures as inputs. The ranges saw other files, some from the same photos."""
    return to_blob(np.stack([crop(resized_pixels(path), 224, 224) for path in PUSHED]))


def test_weights_and_scales_by_hand() -> None:
    """Literal values: a channel's largest weight is 127 steps, a zero channel gives no division by zero."""
    weights = np.array([[1.27, -0.635, 0.004], [0, 0, 0]], np.float32)
    scales = weight_scales(weights)
    rounded = rounded_each(weights, scales)
    assert rounded.tolist() == [[127, -64, 0], [0, 0, 0]] or rounded.tolist() == [[127, -63, 0], [0, 0, 0]]
    assert scales[0] == pytest.approx(0.01)
    assert scale_and_zero(0, 255) == (np.float32(1), 0)
    assert scale_and_zero(-127.5, 127.5) == (np.float32(1), 128)
    assert scale_and_zero(5, 10)[1] == 0  # 0 is always among the levels
    assert scale_and_zero(0, 0)[0] > 0


def test_balancing_changes_no_result(files: ModelFiles, exact: OnnxRuntimeEngine) -> None:
    """Factors come out again: the balanced float32 network computes the same."""
    graph = FloatGraph(float_model(files))
    groups = graph.groups()
    assert len(groups) == 37  # the stem, 4 stages, and two inside each of 16 blocks
    random = np.random.default_rng(1)
    factors = {
        group.name: tuple(random.uniform(0.2, 5, len(graph.values[group.producers[0].input[1]]))) for group in groups
    }
    balanced = graph.balanced(factors)
    session = int8_engine.int8_session(balanced.serialized(balanced.values), 1)
    blob = blobs()[:4]
    assert np.abs(session.run(None, {"data": blob})[0] - exact.forward(blob)).max() < 1e-5


@pytest.mark.parametrize("prototxt", sorted(NETS.glob("*.prototxt")), ids=lambda path: path.stem)
def test_nets_of_every_layer_can_be_quantized(prototxt: Path) -> None:
    """Whatever the structure, the int8 model is valid, and not far from the float32 one."""
    model = float_model(find_model_files(prototxt, prototxt.with_suffix(".caffemodel")))
    quantized = quantize(model, noise_ranges(model))
    sessions = [int8_engine.int8_session(each, 1) for each in (model, quantized)]
    name, shape = sessions[0].get_inputs()[0].name, sessions[0].get_inputs()[0].shape[1:]
    blob = np.random.default_rng(0).normal(0, 1, (8, *shape)).astype(np.float32)
    expected, got = (session.run(None, {name: blob})[0] for session in sessions)
    assert expected.shape == got.shape
    if np.isfinite(expected).all():
        spread = float(expected.max() - expected.min())
        assert np.abs(expected - got).max() <= 0.15 * spread + 1e-6


def test_ranges_that_do_not_fit(files: ModelFiles) -> None:
    """A tensor missing, a mean or factor of another size: one line that says which and what to do."""
    known, _ = read_ranges(files)
    model = float_model(files)
    name = next(iter(known.tensors))
    tensors = {each: value for each, value in known.tensors.items() if each != name}
    with pytest.raises(ModelError, match=f'^the ranges have no tensor "{name}"; make ranges for this model: '):
        quantize(model, replace(known, tensors=tensors))
    short = {**known.tensors, name: replace(known.tensors[name], mean=(0.0,))}
    with pytest.raises(ModelError, match=f'^the ranges have 1 values for the tensor "{name}" of 3 channels; '):
        quantize(model, replace(known, tensors=short))
    group = next(iter(known.factors))
    with pytest.raises(ModelError, match=f'^the ranges have 2 values for the tensor "{group}" of '):
        quantize(model, replace(known, factors={group: (1.0, 1.0)}))
