"""Weights to start from: drawn as the fillers say, and taken over from another file."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from open_nsfw import load_engine
from open_nsfw.errors import UsageError
from open_nsfw.nets import schema
from open_nsfw.nets.caffemodel import read_caffemodel
from open_nsfw.nets.initialize import initial_weights, take_over
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.nets.read import read_net
from open_nsfw.nets.residual import ResidualNet
from open_nsfw.nets.training import weight_text
from tests.tools.helpers import MODEL_DEF, ROOT, WEIGHTS, engines

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 dim: 9 dim: 9 } } }'


def drawn(filler: str, outputs: int = 400) -> np.ndarray:
    """The weights of a convolution of 8 channels and 3 x 3 pixels with this filler."""
    settings = f"num_output: {outputs} kernel_size: 3 weight_filler {{ {filler} }}"
    layer = f'layer {{ name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param {{ {settings} }} }}'
    return initial_weights(parse_prototxt(INPUT + layer))["c"][0]


def test_msra_has_the_variance_of_its_inputs() -> None:
    """2 over 8 x 3 x 3 inputs (He and others 2015, equation 10)."""
    values = drawn('type: "msra"')
    assert values.std() == pytest.approx(math.sqrt(2 / 72), rel=0.02)
    assert abs(values.mean()) < 0.005
    assert drawn('type: "msra" variance_norm: FAN_OUT').std() == pytest.approx(math.sqrt(2 / 3600), rel=0.02)
    assert drawn('type: "msra" variance_norm: AVERAGE').std() == pytest.approx(math.sqrt(4 / 3672), rel=0.02)


def test_xavier_is_uniform() -> None:
    """Between plus and minus the root of 3 over the inputs, as Caffe has it."""
    values, reach = drawn('type: "xavier"'), math.sqrt(3 / 72)
    assert -reach <= values.min() < -0.99 * reach and 0.99 * reach < values.max() <= reach


def test_other_fillers() -> None:
    assert drawn('type: "gaussian" mean: 2 std: 0.5').mean() == pytest.approx(2, abs=0.01)
    assert np.unique(drawn('type: "constant" value: 0.25')).tolist() == [0.25]
    uniform = drawn('type: "uniform" min: -3 max: -1')
    assert -3 <= uniform.min() and uniform.max() <= -1
    with pytest.raises(UsageError) as caught:
        drawn('type: "bilinear"')
    assert str(caught.value) == "layer c: weights of the filler 'bilinear' are drawn by Caffe alone"


def test_the_seed_decides() -> None:
    net = parse_prototxt(weight_text(ResidualNet((1,), 8)))
    first, again, other = (initial_weights(net, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(*pair) for name in first for pair in zip(first[name], again[name]))
    assert not np.array_equal(first["conv_1"][0], other["conv_1"][0])


def test_batch_norm_and_scale_are_neutral() -> None:
    weights = initial_weights(parse_prototxt(weight_text(ResidualNet((1,), 8))))
    assert [np.unique(blob).tolist() for blob in weights["bn_1"]] == [[0.0], [1.0], [1.0]]
    assert [np.unique(blob).tolist() for blob in weights["scale_1"]] == [[1.0], [0.0]]


def build_net(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "open_nsfw", "build-net", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_both_engines_score_an_initialized_net_alike(tmp_path: Path) -> None:
    files = tmp_path / "net.prototxt", tmp_path / "start.caffemodel"
    done = build_net(*"-b 1 2 -n 16 --size 64 --output".split(), files[0], "--initialize", files[1])
    assert done.returncode == 0, done.stderr
    blob = np.random.default_rng(0).uniform(-120, 130, (2, 3, 64, 64)).astype(np.float32)
    answers = [load_engine(*files, engine=engine).forward(blob) for engine in engines()]
    assert all(np.allclose(answer.sum(axis=1), 1, atol=1e-5) for answer in answers)
    assert all(np.allclose(answer, answers[0], atol=1e-5) for answer in answers)


def test_taking_over_yahoos_weights(tmp_path: Path) -> None:
    """Of a net with another head all but the head; the same file with the same head byte for byte."""
    other, same = tmp_path / "other.caffemodel", tmp_path / "same.caffemodel"
    done = build_net("--classes", 5, "--initialize", other, "--from", WEIGHTS)
    assert done.returncode == 0
    assert done.stderr.splitlines()[:3] == [
        "open-nsfw build-net: not taken over: fc5: the file has no layer of this name",
        "open-nsfw build-net: not taken over: fc_nsfw: the net has no layer of this name",
        f"open-nsfw build-net: 159 of 160 layers have the weights of {WEIGHTS}",
    ]
    theirs, ours = read_caffemodel(WEIGHTS), read_caffemodel(other)
    assert all(np.array_equal(*pair) for pair in zip(theirs["conv_1"], ours["conv_1"]))
    assert ours["fc5"][0].shape == (5, 1024)
    assert build_net("--initialize", same, "--from", WEIGHTS).returncode == 0
    blob = np.random.default_rng(0).uniform(-120, 130, (1, 3, 224, 224)).astype(np.float32)
    first, second = (load_engine(MODEL_DEF, path, engine="onnxruntime").forward(blob) for path in (WEIGHTS, same))
    assert np.array_equal(first, second)


def test_taking_over_from_a_file_with_two_layers_of_one_name(tmp_path: Path) -> None:
    """Of a name that the net does not have, they are passed over as Caffe does; otherwise nobody knows which one is meant."""
    twice = schema.NetParameter.FromString(WEIGHTS.read_bytes())
    for count in (3, 5):
        blob = twice.layer.add(name="aux", type="InnerProduct").blobs.add(data=[np.zeros(count, "<f4").tobytes()])
        blob.shape.dim.append(count)
    source = tmp_path / "twice.caffemodel"
    source.write_bytes(twice.SerializeToString())
    done = build_net("--initialize", tmp_path / "taken", "--from", source)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == "open-nsfw build-net: not taken over: aux: the net has no layer of this name"
    for layer in twice.layer[-2:]:
        layer.name = "fc_nsfw"
    source.write_bytes(twice.SerializeToString())
    done = build_net("--initialize", tmp_path / "refused", "--from", source)
    assert done.returncode == 2 and 'the layer "fc_nsfw" is there more than once' in done.stderr


def test_a_layer_of_another_shape_stays_as_it_was_drawn() -> None:
    net = parse_prototxt(weight_text(ResidualNet((1,), 16)))
    weights = initial_weights(net)
    taken = take_over(net, weights, initial_weights(parse_prototxt(weight_text(ResidualNet((1,), 8)))))
    assert "conv_1" in taken.kept
    assert (
        "conv_stage0_block0_branch2a: 4 x 64 x 1 x 1 and 4 are needed, the file has 2 x 64 x 1 x 1 and 2" in taken.left
    )
    assert np.array_equal(taken.weights["conv_stage0_block0_branch2a"][0], weights["conv_stage0_block0_branch2a"][0])


def test_the_written_file_is_the_same_every_time(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        assert build_net("-b", 1, "-n", 8, "--initialize", tmp_path / name).returncode == 0
        digests.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    learning = {name for name, blobs in read_caffemodel(tmp_path / "a").items() if blobs}
    assert {name.partition("_")[0] for name in learning} == {"conv", "bn", "scale", "fc"}
    read_net(*_files(tmp_path))


def _files(folder: Path) -> tuple[Path, Path]:
    assert build_net("-b", 1, "-n", 8, "--output", folder / "net").returncode == 0
    return folder / "net", folder / "a"
