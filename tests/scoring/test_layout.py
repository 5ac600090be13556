"""The model that is laid out for this processor: the same numbers, two files that belong together, or the converted model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from open_nsfw.scoring import layout, onnx_engine
from open_nsfw.scoring.cache import laid_out_key
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine, converted_model, laid_out_model
from open_nsfw.scoring.onnx_runtime import import_onnxruntime, open_session
from open_nsfw.scoring.processor import features, name_of
from tests.tools.helpers import small_net, write_model


@pytest.fixture(name="cache")
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def key_of(files: ModelFiles) -> str:
    return laid_out_key(files, import_onnxruntime().__version__, name_of(features()))


def blob(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-120, 150, (1, 3, 224, 224)).astype(np.float32)


def test_the_numbers_are_those_of_the_converted_model() -> None:
    """To the last bit: what ONNX Runtime did when the model was made is what it would do when it is loaded."""
    files = find_model_files()
    laid_out, converted = laid_out_model(files), converted_model(files)
    assert isinstance(laid_out, Path) and laid_out == layout.find_kept(key_of(files)) != converted
    one, other = open_session(laid_out, threads=1), open_session(converted, threads=1)
    (name,) = (each.name for each in one.get_inputs())
    for seed in range(3):
        assert np.array_equal(one.run(None, {name: blob(seed)})[0], other.run(None, {name: blob(seed)})[0])


def test_the_weights_are_mapped_not_read() -> None:
    """They lie in a file of their own, at places that a line of the processor's cache begins with."""
    path = laid_out_model(find_model_files())
    assert isinstance(path, Path) and path.stat().st_size < 100_000
    graph = onnx.load(str(path), load_external_data=False)
    places = [{each.key: each.value for each in one.external_data} for one in graph.graph.initializer]
    outside = [place for place in places if place]
    assert len(outside) > 50
    (location,) = {place["location"] for place in outside}
    assert location.endswith(".weights") and (path.parent / location).is_file()
    assert all(int(place["offset"]) % layout.ALIGNMENT == 0 for place in outside)


def files_of(tmp_path: Path) -> ModelFiles:
    _, model_def, _, weights = write_model(tmp_path, small_net())
    return find_model_files(model_def, weights)


@pytest.mark.parametrize("lost", [".onnx", ".weights"])
def test_one_file_without_the_other_is_made_again(lost: str, tmp_path: Path, cache: Path) -> None:
    files = files_of(tmp_path)
    path = laid_out_model(files)
    before = sorted(cache.iterdir())
    next(each for each in before if each.suffix == lost and "-ort" in each.name).unlink()
    assert layout.find_kept(key_of(files)) is None
    assert laid_out_model(files) == path and sorted(cache.iterdir()) == before


def test_a_graph_and_weights_that_do_not_belong_together(tmp_path: Path, cache: Path) -> None:
    files = files_of(tmp_path)
    path = laid_out_model(files)
    assert isinstance(path, Path)
    (weights,) = cache.glob("*.weights")
    weights.unlink()
    layout.cache.keep(key_of(files), layout.WEIGHTS, b"whole, and of another model")
    assert layout.find_kept(key_of(files)) is None
    engine = OnnxRuntimeEngine(files)
    assert engine.forward(np.zeros((1, *engine.input_shape), np.float32)).shape == (1, 2)


def test_another_processor_has_another_entry(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in the order of other instructions would be read as other weights."""
    files = files_of(tmp_path)
    here = laid_out_model(files)
    for module in (layout, onnx_engine):
        monkeypatch.setattr(module, "features", lambda: frozenset(["sse2"]))
    there = laid_out_model(files)
    for module in (layout, onnx_engine):
        monkeypatch.setattr(module, "features", frozenset)
    unknown = laid_out_model(files)
    assert len({here, there, unknown}) == 3
    assert isinstance(unknown, Path) and "-any-" in unknown.name


def test_nothing_is_laid_out_that_could_not_be_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image carries the cache of the processor that it was built on, and its user may not write there."""
    files = files_of(tmp_path)
    converted = converted_model(files)
    monkeypatch.setattr(layout.os, "access", lambda path, mode: Path(path) != cache)
    monkeypatch.setattr(layout, "_laid_out", lambda model: pytest.fail("laid out in vain"))
    assert laid_out_model(files) == converted
