"""One contract for every engine that this interpreter has, and how an engine is chosen."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from open_nsfw import EngineError, load_engine
from open_nsfw.errors import UnsupportedLayerError
from open_nsfw.installing import install_command, libraries, pip_command
from open_nsfw.nets.caffemodel import caffemodel_bytes
from open_nsfw.nets.initialize import initial_weights
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.scoring.caffe_engine import CaffeEngine
from open_nsfw.scoring.engine import Engine
from tests.tools.helpers import (
    HAS_CAFFE,
    NETS,
    PICTURE,
    caffemodel,
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


# --- nets with something particular about their batch ----------------------------------------------------------------------


def batch_net(batch: int, *layers: str) -> str:
    """A prototxt with an input of `batch` x 3 x 2 x 2 and these layers."""
    dims = " ".join(f"dim: {side}" for side in (batch, 3, 2, 2))
    return "\n".join([f'input: "data" input_shape {{ {dims} }}', *(f"layer {{ {layer} }}" for layer in layers)])


def load_text(folder: Path, text: str, engine: str, weights: dict[str, list[np.ndarray]]) -> Engine:
    """A net with these weights by layer, loaded."""
    (folder / "net.prototxt").write_text(text)
    (folder / "net.caffemodel").write_bytes(caffemodel(weights))
    return load_engine(folder / "net.prototxt", folder / "net.caffemodel", engine=engine)


DENSE = (
    'name: "fc" type: "InnerProduct" bottom: "{}" top: "prob" inner_product_param {{ num_output: 2 bias_term: false }}'
)
WEIGHTS_OF_DENSE = np.random.default_rng(5).normal(0, 1, (2, 12)).astype(np.float32)
FIVE = random_blob(5, 7, (3, 2, 2))


@pytest.mark.parametrize("engine", engines())
def test_a_batch_that_is_written_into_a_layer(engine: str, tmp_path: Path) -> None:
    """Any number of inputs is computed, whatever size the prototxt states."""
    reshaped = 'name: "r" type: "Reshape" bottom: "data" top: "r" reshape_param { shape { dim: 4 dim: 12 } }'
    loaded = load_text(tmp_path, batch_net(4, reshaped, DENSE.format("r")), engine, {"fc": [WEIGHTS_OF_DENSE]})
    expected = FIVE.reshape(5, 12) @ WEIGHTS_OF_DENSE.T
    np.testing.assert_allclose(loaded.forward(FIVE), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loaded.forward(FIVE[3:4]), expected[3:4], rtol=1e-5, atol=1e-5)


BESIDE = {  # layers that no score comes from, with their weights
    "a flat blob": (
        ['name: "f" type: "Reshape" bottom: "data" top: "f" reshape_param { shape { dim: -1 } }'],
        {},
    ),
    "a flat blob that is read": (
        [
            'name: "f" type: "Flatten" bottom: "data" top: "f" flatten_param { axis: 0 }',
            'name: "s" type: "Silence" bottom: "f"',
        ],
        {},
    ),
    "weights along the batch": (
        ['name: "x" type: "Scale" bottom: "data" top: "x" scale_param { axis: 0 num_axes: 1 }'],
        {"x": [np.arange(4, dtype=np.float32)]},
    ),
}


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("kind", BESIDE)
def test_a_branch_beside_the_score_may_mix_a_batch(kind: str, engine: str, tmp_path: Path) -> None:
    layers, weights = BESIDE[kind]
    text = batch_net(4, *layers, DENSE.format("data"))
    loaded = load_text(tmp_path, text, engine, {"fc": [WEIGHTS_OF_DENSE], **weights})
    expected = FIVE.reshape(5, 12) @ WEIGHTS_OF_DENSE.T
    np.testing.assert_allclose(loaded.forward(FIVE), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loaded.forward(FIVE[3:4]), expected[3:4], rtol=1e-5, atol=1e-5)


UNSCORED = {  # after a net whose one output is "fc"
    "Silence": 'name: "s" type: "Silence" bottom: "fc"',
    "a loss": 'name: "l" type: "EuclideanLoss" bottom: "fc" bottom: "fc" top: "loss"',
}


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("kind", UNSCORED)
def test_what_reads_the_only_output_is_no_score(kind: str, engine: str, tmp_path: Path) -> None:
    text = batch_net(1, DENSE.format("data").replace('"prob"', '"fc"'), UNSCORED[kind])
    loaded = load_text(tmp_path, text, engine, {"fc": [WEIGHTS_OF_DENSE]})
    assert loaded.output_name == "fc"
    np.testing.assert_allclose(loaded.forward(FIVE), FIVE.reshape(5, 12) @ WEIGHTS_OF_DENSE.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("rows", [-1, 12])
def test_several_rows_for_each_input_on_the_way(rows: int, engine: str, tmp_path: Path) -> None:
    """A softmax over the pixels of each channel, in a batch of 4 inputs of 3 channels."""
    text = batch_net(
        4,
        f'name: "r" type: "Reshape" bottom: "data" top: "r" reshape_param {{ shape {{ dim: {rows} dim: 4 }} }}',
        'name: "s" type: "Softmax" bottom: "r" top: "s" softmax_param { axis: 1 }',
        'name: "b" type: "Reshape" bottom: "s" top: "b" reshape_param { shape { dim: -1 dim: 3 dim: 2 dim: 2 } }',
        DENSE.format("b"),
    )
    loaded = load_text(tmp_path, text, engine, {"fc": [WEIGHTS_OF_DENSE]})
    powers = np.exp(FIVE.reshape(5, 3, 4))
    expected = (powers / powers.sum(axis=2, keepdims=True)).reshape(5, 12) @ WEIGHTS_OF_DENSE.T
    for batch in (slice(0, 5), slice(3, 4)):
        np.testing.assert_allclose(loaded.forward(FIVE[batch]), expected[batch], rtol=1e-5, atol=1e-5)


@needs_caffe
def test_caffe_computes_as_many_inputs_at_once_as_the_blobs_allow(tmp_path: Path) -> None:
    """Whatever beside them does to the batch."""
    text = batch_net(2, *BESIDE["a flat blob"][0], SCALED, DENSE.format("data"))
    loaded = load_text(tmp_path, text, "caffe", {"fc": [WEIGHTS_OF_DENSE], "x": [FACTORS]})
    assert isinstance(loaded, CaffeEngine)
    assert [loaded.at_once(["prob"]), loaded.at_once(["prob", "x"]), loaded.at_once(["data"])] == [2, 1, 2]
    found = loaded.with_blobs(["x"]).blobs(FIVE)
    np.testing.assert_allclose(found["x"], 2 * FIVE, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["prob"], FIVE.reshape(5, 12) @ WEIGHTS_OF_DENSE.T, rtol=1e-5, atol=1e-5)
    free = load_text(
        tmp_path, batch_net(2, *BESIDE["a flat blob"][0], DENSE.format("data")), "caffe", {"fc": [WEIGHTS_OF_DENSE]}
    )
    assert isinstance(free, CaffeEngine)
    assert free.at_once(["prob"]) is None


@pytest.mark.parametrize("engine", engines())
def test_inputs_that_a_net_for_one_would_mix(engine: str, tmp_path: Path) -> None:
    """The prototxt states one, and joins what there is: each is computed by itself."""
    text = batch_net(
        1,
        'name: "f" type: "Flatten" bottom: "data" top: "f" flatten_param { axis: 0 }',
        'name: "s" type: "Softmax" bottom: "f" top: "s" softmax_param { axis: 0 }',
        'name: "r" type: "Reshape" bottom: "s" top: "r" reshape_param { shape { dim: 1 dim: -1 } }',
        DENSE.format("r"),
    )
    loaded = load_text(tmp_path, text, engine, {"fc": [WEIGHTS_OF_DENSE]})
    powers = np.exp(FIVE.reshape(5, 12))
    expected = powers / powers.sum(axis=1, keepdims=True) @ WEIGHTS_OF_DENSE.T
    np.testing.assert_allclose(loaded.forward(FIVE), expected, rtol=1e-5, atol=1e-5)
    found = loaded.with_blobs(["r"]).blobs(FIVE)
    np.testing.assert_allclose(found["r"] @ WEIGHTS_OF_DENSE.T, expected, rtol=1e-5, atol=1e-5)


FACTORS = np.array([2, 5], np.float32)
SCALED = 'name: "x" type: "Scale" bottom: "data" top: "x" scale_param { axis: 0 num_axes: 1 }'
ADDED = 'name: "x" type: "Bias" bottom: "data" top: "x" bias_param { axis: 0 num_axes: 1 }'
JOINED = 'name: "x" type: "Reshape" bottom: "data" top: "x" reshape_param { shape { dim: 1 dim: -1 } }'
WIDE = np.concatenate([WEIGHTS_OF_DENSE, WEIGHTS_OF_DENSE + 1], axis=1)
MIXED = {  # layer, weights, and what it makes of each input when the others of its batch of two are zeros
    "Scale": (SCALED, {"x": [FACTORS], "fc": [WEIGHTS_OF_DENSE]}, 2 * FIVE.reshape(5, 12) @ WEIGHTS_OF_DENSE.T),
    "Bias": (ADDED, {"x": [FACTORS], "fc": [WEIGHTS_OF_DENSE]}, (2 + FIVE.reshape(5, 12)) @ WEIGHTS_OF_DENSE.T),
    "Reshape": (JOINED, {"fc": [WIDE]}, FIVE.reshape(5, 12) @ WEIGHTS_OF_DENSE.T),
}


@pytest.mark.parametrize("kind", MIXED)
def test_a_net_that_mixes_the_inputs_of_its_batch(kind: str, tmp_path: Path) -> None:
    layer, weights, _ = MIXED[kind]
    with pytest.raises(UnsupportedLayerError) as caught:
        load_text(tmp_path, batch_net(2, layer, DENSE.format("x")), "onnxruntime", weights)
    assert str(caught.value) == (
        f'{tmp_path / "net.prototxt"}: layer "x" ({kind}): a score would depend on the rest of the batch of 2 that the '
        "prototxt states; --engine caffe computes it, with zeros for the rest"
    )


@needs_caffe
@pytest.mark.parametrize("kind", MIXED)
def test_caffe_computes_a_net_that_mixes_the_inputs_of_its_batch(kind: str, tmp_path: Path) -> None:
    """Each as if it came alone: Caffe's answer for the first of a batch."""
    layer, weights, expected = MIXED[kind]
    loaded = load_text(tmp_path, batch_net(2, layer, DENSE.format("x")), "caffe", weights)
    np.testing.assert_allclose(loaded.forward(FIVE), expected, rtol=1e-5, atol=1e-5)


@needs_caffe
@pytest.mark.parametrize("kind", ["Scale", "Bias", "InnerProduct"])
def test_weights_along_the_batch_do_not_end_the_process(kind: str, tmp_path: Path) -> None:
    """In a process of its own: Caffe would abort this one."""
    option = {"Scale": "scale_param", "Bias": "bias_param", "InnerProduct": "inner_product_param"}[kind]
    outputs = "num_output: 2" if kind == "InnerProduct" else ""
    text = small_net().replace("dim: 1 dim: 3", "dim: 2 dim: 3").replace('bottom: "data"', 'bottom: "x"')
    first, rest = text.split("\n", 1)
    added = f'layer {{ name: "x" type: "{kind}" bottom: "data" top: "x" {option} {{ axis: 0 {outputs} }} }}\n'
    if kind == "InnerProduct":
        rest = 'layer { name: "prob" type: "Power" bottom: "x" top: "prob" }\n'
    model = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model[0].write_text(first + "\n" + added + rest)
    net = parse_prototxt(model[0].read_text())
    model[1].write_bytes(caffemodel_bytes(net, initial_weights(net)))
    result = run_command("--model_def", model[0], "--pretrained_model", model[1], "--engine", "caffe", PICTURE)
    if kind == "InnerProduct":
        assert (result.status, result.out) == (2, "") and "1 value(s)" in result.err
    else:
        assert result.status == 0 and 0 <= float(result.out.split()[-1]) <= 1


@needs_caffe
def test_a_blob_without_axes(tmp_path: Path) -> None:
    """The sum over everything, the batch included: of each input by itself."""
    summed = 'name: "prob" type: "Reduction" bottom: "data" top: "prob" reduction_param { axis: 0 }'
    loaded = load_text(tmp_path, batch_net(1, summed), "caffe", {"prob": []})
    np.testing.assert_allclose(loaded.forward(FIVE), FIVE.sum(axis=(1, 2, 3))[:, np.newaxis], rtol=1e-5, atol=1e-5)


UNKNOWN = (
    'name: "u" type: "Convolution" bottom: "data" top: "u" convolution_param { num_output: 3 kernel_size: 1 axis: 2 }'
)
ALONG = 'name: "x" type: "Softmax" bottom: "u" top: "x" softmax_param { axis: 0 }'
WEIGHTS_OF_UNKNOWN = [np.arange(6, dtype=np.float32).reshape(3, 2, 1), np.zeros(3, np.float32)]


@needs_caffe
@pytest.mark.parametrize("kind", ["free", "held", "mixed"])
def test_a_net_that_only_caffe_knows_is_tried_with_another_batch(kind: str, tmp_path: Path) -> None:
    """What would end the process, or let inputs depend on each other, computes one input at a time."""
    layer = {"free": 'name: "x" type: "TanH" bottom: "u" top: "x"', "held": SCALED, "mixed": ALONG}[kind]
    layer = layer.replace('bottom: "data"', 'bottom: "u"')
    own = {"x": [FACTORS]} if kind == "held" else {}
    flat = np.random.default_rng(1).normal(0, 1, (2, 18)).astype(np.float32)
    weights = {"u": WEIGHTS_OF_UNKNOWN, "fc": [flat], **own}
    loaded = load_text(tmp_path, batch_net(2, UNKNOWN, layer, DENSE.format("x")), "caffe", weights)
    whole = loaded.forward(FIVE)
    alone = np.concatenate([loaded.forward(each[np.newaxis]) for each in FIVE])
    assert whole.shape == (5, 2) and np.isfinite(whole).all() and len(np.unique(whole)) == 10
    np.testing.assert_allclose(whole, alone, rtol=1e-5, atol=1e-5)
