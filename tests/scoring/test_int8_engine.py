"""The int8 engine: its nearness, its arithmetic, its cache."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.nets.ranges import Ranges
from open_nsfw.pictures.pixels import crop, resized_pixels, to_blob
from open_nsfw.scoring import int8_engine
from open_nsfw.scoring.int8_engine import Int8Engine, logits, quantized_model
from open_nsfw.scoring.model_files import PACKAGED_SIDE, ModelFiles, find_model_files, known_side, read_ranges
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine
from open_nsfw.scoring.onnx_runtime import import_onnxruntime
from open_nsfw.scoring.processor import has_vnni
from open_nsfw.scoring.versions import CONVERTER_VERSION
from tests.tools.helpers import DATA, MODEL_DEF, WEIGHTS

PUSHED = sorted((DATA / "pushed").glob("*.jpg"))


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """The packaged model."""
    return find_model_files(MODEL_DEF, WEIGHTS)


@pytest.fixture(scope="module")
def exact(files: ModelFiles) -> OnnxRuntimeEngine:
    """In float32."""
    return OnnxRuntimeEngine(files, threads=1)


@pytest.fixture(scope="module")
def int8(files: ModelFiles) -> Int8Engine:
    """The engine under test."""
    return Int8Engine(files, threads=1)


def blobs() -> np.ndarray:
    """The pushed pictures as inputs. The ranges saw other files, some from the same photos."""
    return to_blob(np.stack([crop(resized_pixels(path), 224, 224) for path in PUSHED]))


def test_logits_are_near_over_the_whole_range(exact: OnnxRuntimeEngine, int8: Int8Engine) -> None:
    """Measured: 0.18 in the median and 0.56 at worst; 99 % of the held-back pictures differ by less than 0.65."""
    blob = blobs()
    difference = np.abs(logits(int8.forward(blob)) - logits(exact.forward(blob)))
    assert difference.max() < 0.65
    assert np.median(difference) < 0.2
    assert difference.max() < int8.ranges.full.logits


def test_batches_and_single_inputs_agree(int8: Int8Engine) -> None:
    """To the last bit: which pictures happened to share a batch must not show in a score."""
    blob = blobs()
    one_by_one = np.concatenate([int8.forward(each[np.newaxis]) for each in blob])
    for size in (2, 3, 4, 18):
        batches = [int8.forward(blob[start : start + size]) for start in range(0, len(blob), size)]
        assert np.array_equal(np.concatenate(batches), one_by_one)
    assert int8.forward(blob[:0]).shape == (0, 2)


def test_onnxruntime_computes_in_integers(files: ModelFiles, tmp_path: Path) -> None:
    """Every convolution and every sum is fused to an integer kernel."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    model = quantized_model(files, *read_ranges(files))
    data = model.read_bytes() if isinstance(model, Path) else model
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(str(tmp_path / "optimized.onnx")).graph.node)
    assert (kinds["QLinearConv"], kinds["QLinearAdd"], kinds["Conv"]) == (53, 16, 0)


def test_what_is_fast_on_which_processor(tmp_path: Path) -> None:
    """Only where the processor says VNNI may ONNX Runtime use the kernels that could overflow."""
    with_it, without = tmp_path / "with", tmp_path / "without"
    with_it.write_text("flags\t\t: fpu avx2 avx512f avx512_vnni\n")
    without.write_text("flags\t\t: fpu avx2 avx512f\n")
    assert has_vnni(with_it)
    assert not has_vnni(without)
    assert not has_vnni(tmp_path / "missing")


def test_a_network_that_is_far_off_is_not_used(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of nonsense, or a processor that computes int8 wrongly, are noticed when the model is made."""
    known, _ = read_ranges(files)
    wrong = {name: replace(value, high=value.high / 20) for name, value in known.tensors.items()}
    with pytest.raises(ModelError) as error:
        quantized_model(files, replace(known, tensors=wrong), b"nonsense")
    assert str(error.value).startswith(
        f"{files.pretrained_model}: the int8 net that the ranges in {known.source} make of it is off by "
    )
    assert str(error.value).endswith("do without --fast, or make ranges of other pictures (open-nsfw quantize-ranges)")
    monkeypatch.setattr(int8_engine, "CONVERTER_VERSION", CONVERTER_VERSION + 1)
    versions = f"of version {CONVERTER_VERSION} of the converter, this is version {CONVERTER_VERSION + 1}; "
    with pytest.raises(ModelError, match=rf"quantization\.json: the ranges are {versions}"):
        quantized_model(files, known, b"another version")


def test_the_cache_is_keyed_by_the_ranges(files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ranges file is another model; the same one is not made twice, nor is onnx imported for it."""
    made: list[Ranges] = []
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path))
    monkeypatch.setattr(int8_engine, "quantized", lambda files, known: made.append(known) or b"model")
    known, content = read_ranges(files)
    first = quantized_model(files, known, content)
    assert isinstance(first, Path) and first.read_bytes() == b"model"
    assert quantized_model(files, known, content) == first
    assert quantized_model(files, known, content + b" ") != first
    assert len(made) == 2


def test_the_side_that_is_known_beforehand(int8: Int8Engine) -> None:
    """Decoding begins before the packaged model is loaded."""
    assert int8.input_shape[1:] == (PACKAGED_SIDE, PACKAGED_SIDE)
    assert known_side(None) == PACKAGED_SIDE
    assert known_side(MODEL_DEF) is None
