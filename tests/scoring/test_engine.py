"""One contract for every engine that this interpreter has, and how an engine is chosen."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from open_nsfw import EngineError, load_engine
from open_nsfw.installing import install_command, libraries, pip_command
from open_nsfw.nets.caffemodel import caffemodel_bytes
from open_nsfw.nets.initialize import initial_weights
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.scoring.engine import Engine
from tests.tools.helpers import (
    HAS_CAFFE,
    NETS,
    PICTURE,
    engines,
    needs_caffe,
    plant_module,
    run_command,
    small_net,
    without_caffe,
    write_model,
)

NET = "residual"  # the packaged network's shape, very small; its prototxt says N = 2
SHAPE = (3, 13, 11)
INSTALL = (
    f"{install_command('caffe')}, or use --engine onnxruntime"
    if sys.version_info < (3, 10)
    else f"in an environment of Python 3.9: pip install {libraries('caffe')}, or use --engine onnxruntime"
)


def load(name: str, engine: str, **options: int) -> Engine:
    return load_engine(NETS / f"{name}.prototxt", NETS / f"{name}.caffemodel", engine=engine, **options)


def stored(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(input, real Caffe's output) of a stored net."""
    with np.load(NETS / f"{name}.npz") as arrays:
        return arrays["data"], arrays["prob"]


def random_blob(count: int, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, *shape)).astype(np.float32)


@pytest.fixture(scope="module", params=engines())
def engine(request: pytest.FixtureRequest) -> Engine:
    return load(NET, request.param)


class TestContract:
    """What every engine promises."""

    def test_attributes(self, engine: Engine) -> None:
        assert engine.name in ("caffe", "onnxruntime")
        assert engine.input_shape == SHAPE
        assert engine.output_name == "prob"
        assert engine.batch_size == 1
        assert len(engine.model_hash) == 12 and int(engine.model_hash, 16) >= 0

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
    def test_any_number_of_inputs(self, engine: Engine, count: int) -> None:
        blob = random_blob(5)[:count]
        output = engine.forward(blob)
        assert output.dtype == np.float32
        assert output.shape == (count, 2)
        alone = [engine.forward(each[np.newaxis])[0] for each in blob]
        np.testing.assert_allclose(output, np.reshape(alone, (count, 2)), rtol=0, atol=1e-6)
        np.testing.assert_allclose(output.sum(axis=1), 1, atol=1e-6)

    def test_what_caffe_computed(self, engine: Engine) -> None:
        data, prob = stored(NET)
        np.testing.assert_allclose(engine.forward(data), prob, rtol=0, atol=1e-6)

    def test_outputs_differ_where_inputs_do(self, engine: Engine) -> None:
        output = engine.forward(random_blob(5))
        assert len(np.unique(output[:, 1])) == 5

    @pytest.mark.parametrize(
        "shape", [(1, 3, 13, 12), (1, 3, 11, 13), (1, 4, 13, 11), (3, 13, 11), (1, 1, 3, 13, 11), (0,)]
    )
    def test_wrong_shape(self, engine: Engine, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError) as caught:
            engine.forward(np.zeros(shape, np.float32))
        assert str(caught.value) == f"a blob of shape (N, 3, 13, 11) is needed, got {shape}"

    @pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool", "complex64"])
    def test_wrong_dtype(self, engine: Engine, dtype: str) -> None:
        with pytest.raises(TypeError) as caught:
            engine.forward(np.zeros((1, *SHAPE), dtype))
        assert str(caught.value) == f"a float32 blob is needed, this one is {dtype}"

    def test_float64_and_big_endian_are_converted(self, engine: Engine) -> None:
        blob = random_blob(2)
        expected = engine.forward(blob)
        np.testing.assert_array_equal(engine.forward(blob.astype(np.float64)), expected)
        np.testing.assert_array_equal(engine.forward(blob.astype(">f4")), expected)

    def test_not_contiguous(self, engine: Engine) -> None:
        blob = random_blob(4)
        expected = engine.forward(np.ascontiguousarray(blob[::-2]))
        np.testing.assert_array_equal(engine.forward(blob[::-2]), expected)
        transposed = np.ascontiguousarray(blob.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(engine.forward(transposed), engine.forward(blob))
        np.testing.assert_array_equal(engine.forward(np.asfortranarray(blob)), engine.forward(blob))

    def test_the_input_is_not_changed_and_may_be_read_only(self, engine: Engine) -> None:
        blob = random_blob(2)
        before = blob.copy()
        blob.flags.writeable = False
        engine.forward(blob)
        np.testing.assert_array_equal(blob, before)

    def test_an_output_is_the_callers(self, engine: Engine) -> None:
        first = engine.forward(random_blob(2))
        kept = first.copy()
        engine.forward(random_blob(2, seed=1))
        np.testing.assert_array_equal(first, kept)
        first[...] = 0  # writable

    def test_the_same_bits_each_time(self, engine: Engine) -> None:
        blob = random_blob(3)
        expected = engine.forward(blob)
        engine.forward(random_blob(1, seed=1))
        np.testing.assert_array_equal(engine.forward(blob), expected)

    def test_not_a_number_does_not_spread(self, engine: Engine) -> None:
        """One bad input of a batch leaves the others alone."""
        blob = random_blob(3)
        expected = engine.forward(blob)
        blob[1] = np.nan
        output = engine.forward(blob)
        assert np.isnan(output[1]).any()
        np.testing.assert_array_equal(output[[0, 2]], expected[[0, 2]])

    def test_several_threads(self, engine: Engine) -> None:
        blobs = [random_blob(1 + index % 3, seed=index) for index in range(40)]
        expected = [engine.forward(blob) for blob in blobs]
        with ThreadPoolExecutor(4) as executor:
            for output, alone in zip(executor.map(engine.forward, blobs), expected):
                np.testing.assert_array_equal(output, alone)

    def test_two_engines_at_once(self, engine: Engine) -> None:
        data, prob = stored("inner_product")
        other = load("inner_product", engine.name)
        blob = random_blob(2)
        expected = engine.forward(blob)
        for _ in range(2):
            np.testing.assert_allclose(other.forward(data), prob.reshape(len(data), -1), rtol=0, atol=1e-5)
            np.testing.assert_array_equal(engine.forward(blob), expected)

    def test_the_hash_belongs_to_the_files(self, engine: Engine) -> None:
        hashes = {load(NET, name).model_hash for name in engines()}
        assert hashes == {engine.model_hash}
        assert load("inner_product", engine.name).model_hash != engine.model_hash

    def test_pixels_become_the_recipes_blob(self, engine: Engine, tmp_path: Path) -> None:
        _, model_def, _, weights = write_model(tmp_path, small_net(height=5, width=4))
        small = load_engine(model_def, weights, engine=engine.name)
        pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.uint8)
        blob = small.blob_from_pixels(pixels)
        assert blob.dtype == np.float32
        expected = pixels[..., ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)
        np.testing.assert_allclose(blob, expected.transpose(0, 3, 1, 2), rtol=0, atol=2e-5)
        assert small.forward(blob).shape == (2, 2)


def test_threads_make_no_difference() -> None:
    blob = random_blob(3)
    one, two = (load(NET, "onnxruntime", threads=threads).forward(blob) for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)


@needs_caffe
def test_the_engines_agree_on_the_packaged_net() -> None:
    blob = np.random.default_rng(1).uniform(-120, 150, (2, 3, 224, 224)).astype(np.float32)
    ours, reference = (load_engine(engine=name).forward(blob) for name in ("onnxruntime", "caffe"))
    np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-5)


# --- choosing an engine -----------------------------------------------------------------------------------------------


def test_no_such_engine() -> None:
    with pytest.raises(EngineError) as caught:
        load(NET, "tensorflow")
    assert str(caught.value) == 'there is no engine "tensorflow"; there are auto, caffe, onnxruntime, openvino'


def test_auto_takes_pycaffe_where_it_is() -> None:
    assert load(NET, "auto").name == ("caffe" if HAS_CAFFE else "onnxruntime")


@without_caffe
def test_caffe_where_it_is_not() -> None:
    with pytest.raises(EngineError) as caught:
        load(NET, "caffe")
    assert str(caught.value) == f"pycaffe cannot be imported (No module named 'caffe'); {INSTALL}"


def test_a_gpu_that_is_not_there() -> None:
    """For pycaffe see test_bad_input.py: the abort that it answers with is better watched from another process."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime can use a GPU")
    with pytest.raises(EngineError) as caught:
        load(NET, "onnxruntime", gpu=0)
    assert str(caught.value) == (
        "--gpu: this ONNX Runtime has no CUDA; put the GPU build in its place: "
        f"{pip_command()} uninstall --yes onnxruntime && {pip_command()} install --force-reinstall 'onnxruntime-gpu>=1.17'"
    )


@without_caffe
def test_a_mere_folder_called_caffe_is_not_pycaffe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "caffe" / "python").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert load(NET, "auto").name == "onnxruntime"
    assert caplog.messages == []


@needs_caffe
def test_a_mere_folder_called_caffe_does_not_hide_pycaffe(tmp_path: Path) -> None:
    (tmp_path / "caffe").mkdir()
    result = run_command("--engine", "caffe", PICTURE, env={"PYTHONPATH": str(tmp_path)})
    assert (result.status, result.err) == (0, "")


BROKEN = {
    "import error": ("import nonesuch", "pycaffe cannot be imported (No module named 'nonesuch')"),
    # what pycaffe's own protobuf code does under protobuf 4 and later
    "type error": (
        "raise TypeError('Descriptors cannot be created directly.\\n\\nRegenerate them')",
        "pycaffe cannot be imported (Descriptors cannot be created directly. Regenerate them)",
    ),
    "something else": (
        "import sys; sys.modules['caffe.io'] = sys",
        "the module caffe found on the path is not pycaffe",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_pycaffe(kind: str, tmp_path: Path) -> None:
    """`auto` says so and goes on; asking for it by name is an error."""
    source, complaint = BROKEN[kind]
    model = write_model(tmp_path, small_net())
    env = plant_module(tmp_path / "planted", "caffe", source)
    auto = run_command(*model, PICTURE, env=env)
    assert auto.err == f"classify_nsfw: {complaint}; {INSTALL}; ONNX Runtime is used\n"
    assert (auto.status, auto.out) == (0, "NSFW score: 0.5\n")
    named = run_command(*model, "--engine", "caffe", PICTURE, env=env)
    assert (named.status, named.out) == (2, "")
    assert named.err == f"classify_nsfw: error: {complaint}; {INSTALL}\n"


LABELLED = """\
input: "data" input_shape { dim: 2 dim: 3 dim: 8 dim: 8 }
input: "label" input_shape { dim: 2 }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.mark.parametrize("engine", engines())
def test_a_label_that_only_a_loss_reads_is_no_input(engine: str, tmp_path: Path) -> None:
    """Any number of pictures is scored, though the labels' shape stands in the prototxt."""
    model_def, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model_def.write_text(LABELLED)
    weights.write_bytes(caffemodel_bytes(parse_prototxt(LABELLED), initial_weights(parse_prototxt(LABELLED))))
    loaded = load_engine(model_def, weights, engine=engine)
    assert (loaded.input_shape, loaded.output_name) == ((3, 8, 8), "prob")
    blob = np.random.default_rng(0).uniform(-1, 1, (5, 3, 8, 8)).astype(np.float32)
    whole = loaded.forward(blob)
    assert whole.shape == (5, 2) and np.allclose(whole[3:4], loaded.forward(blob[3:4]), atol=1e-6)
