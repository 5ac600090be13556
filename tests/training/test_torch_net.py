"""Torch computes what Caffe computes: logits, and steps of gradient descent. The steps are those of real Caffe, which
tests/tools/make_gradient_golden.py has stored, and asks again where pycaffe is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.nets.net import Net
from open_nsfw.nets.read import read_net
from open_nsfw.nets.training import SolverSettings
from open_nsfw.scoring.blobs import BlobEngine
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from open_nsfw.training.stages import ALL, DEEP, STAGE2, STAGE3, find_part
from tests.tools.helpers import NETS, needs_caffe
from tests.tools.make_gradient_golden import CLIPPED, KINDS, SETTINGS, batch, caffe_steps, directions

FOLDER = Path(__file__).parent.parent / "data" / "gradients"


def small(kind: str) -> tuple[ModelFiles, Net]:
    """One of the stored nets."""
    files = find_model_files(FOLDER / f"{kind}.prototxt", FOLDER / f"{kind}.caffemodel")
    return files, read_net(files.model_def, files.pretrained_model)


def packaged() -> tuple[ModelFiles, Net]:
    """Yahoo's."""
    files = find_model_files()
    return files, read_net(files.model_def, files.pretrained_model)


@pytest.mark.torch
@pytest.mark.parametrize(
    "kind, name, settings", [*((kind, kind, SETTINGS) for kind in KINDS), (KINDS[0], "clipped", CLIPPED)]
)
def test_two_steps_are_those_of_caffe(kind: str, name: str, settings: SolverSettings) -> None:
    """Of every layer, in a net of each main branch: gradients, momentum, decay and each blob's own rate; also where a
    gradient is clipped."""
    from open_nsfw.training.descent import Descent
    from open_nsfw.training.torch_net import TorchNet

    _, net = small(kind)
    part = find_part(net, ALL)
    pictures, labels = batch(net)
    with TorchNet(part, jobs=2) as torch_net:
        descent = Descent(part, torch_net.weights, settings)
        for _ in range(settings.steps):
            descent.step(torch_net.gradient(pictures, labels))
        found = torch_net.blobs()
    golden = np.load(FOLDER / f"{name}.npz")
    assert {f"{layer}/{number}" for layer in found for number in range(len(found[layer]))} == set(golden.files)
    for layer in net.layers:
        for number, blob in enumerate(found.get(layer.name, ())):
            expected, start = golden[f"{layer.name}/{number}"], layer.blobs[number]
            moved = np.abs(expected - start).max()
            assert moved > 1e-5
            np.testing.assert_allclose(blob, expected, rtol=1e-5, atol=2e-5 * moved, err_msg=layer.name)


@pytest.mark.torch
def test_kernels_past_the_end_and_coefficients_of_max_are_those_of_caffe() -> None:
    """Layers of stored nets, each by itself, against Caffe's stored answers."""
    import torch

    from open_nsfw.training import torch_net

    def computed(name: str, kind: str, inputs: list[np.ndarray]) -> np.ndarray:
        net = read_net(NETS / f"{name}.prototxt", NETS / f"{name}.caffemodel")
        layers = [layer for layer in net.layers if layer.type == kind]
        tensors = [torch.tensor(each) for each in inputs]
        tops = [
            torch_net._LAYERS[kind](torch, layer, tensors, [torch.tensor(blob) for blob in layer.blobs])
            for layer in layers
        ]
        return np.concatenate([top.numpy().reshape(len(top), -1) for top in tops], axis=1)

    golden = np.load(NETS / "kernels_past_the_end.npz")
    found = computed("kernels_past_the_end", "Convolution", [golden["data"]])
    np.testing.assert_allclose(found, golden["prob"], rtol=1e-5, atol=1e-5)
    golden = np.load(NETS / "max_with_coefficients.npz")
    found = computed("max_with_coefficients", "Eltwise", [golden["data"], 0.25 - golden["data"] / 2])
    np.testing.assert_allclose(found, golden["prob"].reshape(found.shape), rtol=1e-5, atol=1e-5)


@pytest.mark.torch
def test_a_step_of_the_packaged_net_is_that_of_caffe() -> None:
    """Stage 3 and the head of Yahoo's net, from the blob that stage 2 ends in, as ONNX Runtime computes it."""
    from open_nsfw.training.descent import Descent
    from open_nsfw.training.torch_net import TorchNet

    files, net = packaged()
    part = find_part(net, STAGE3)
    assert part.start == "eltwise_stage2_block5"
    pictures, labels = batch(net)
    inputs = BlobEngine(files, [part.start]).compute(pictures)[part.start]
    with TorchNet(part, jobs=2) as torch_net:
        before = torch_net.blobs()
        descent = Descent(part, torch_net.weights, SETTINGS)
        descent.step(torch_net.gradient(inputs, labels))
        after = torch_net.blobs()
    golden = json.loads((FOLDER / "packaged-stage3.json").read_text())
    assert len(golden) == sum(map(len, after.values()))
    for name, blobs in after.items():
        for number, blob in enumerate(blobs):
            change = (blob.astype(np.float64) - before[name][number]).reshape(-1)
            expected = np.array(golden[f"{name}/{number}"])
            np.testing.assert_allclose(
                directions(blob.shape) @ change, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max()
            )


@needs_caffe
@pytest.mark.parametrize(
    "kind, name, settings", [*((kind, kind, SETTINGS) for kind in KINDS), (KINDS[0], "clipped", CLIPPED)]
)
def test_the_stored_steps_are_still_those_of_caffe(kind: str, name: str, settings: SolverSettings) -> None:
    """To the last bits, which hang on the processor."""
    files, net = small(kind)
    golden = np.load(FOLDER / f"{name}.npz")
    for layer, blobs in caffe_steps(net, files.pretrained_model, ALL, settings.steps, settings).items():
        for number, blob in enumerate(blobs):
            np.testing.assert_allclose(blob, golden[f"{layer}/{number}"], rtol=1e-4, atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("what", DEEP)
def test_logits_are_those_of_onnx_runtime(what: str) -> None:
    """From wherever the part begins, for Yahoo's net."""
    from open_nsfw.training.torch_net import TorchNet

    files, net = packaged()
    part = find_part(net, what)
    pictures, _ = batch(net)
    engine = BlobEngine(files, [part.logits, *([] if what == ALL else [part.start])])
    blobs = engine.compute(pictures)
    with TorchNet(part, jobs=2) as torch_net:
        found = torch_net.logits(pictures if what == ALL else blobs[part.start])
    np.testing.assert_allclose(found, blobs[part.logits], atol=2e-5)


@pytest.mark.torch
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_the_gradient_is_the_same_however_many_threads_compute_it(jobs: int) -> None:
    """To the last bit; and the sum of what shards of the batch give."""
    from open_nsfw.training.torch_net import PIECE, TorchNet, added

    _, net = small(KINDS[0])
    part = find_part(net, ALL)
    pictures, labels = batch(net)
    with TorchNet(part) as alone, TorchNet(part, jobs=jobs) as several:
        expected, found = alone.gradient(pictures, labels), several.gradient(pictures, labels)
        shards = [several.gradient(pictures[at], labels[at]) for at in (slice(PIECE), slice(PIECE, None))]
    together = added(*shards)
    assert expected.loss == found.loss == together.loss
    assert expected.pictures == found.pictures == together.pictures == len(labels)
    for key, value in expected.weights.items():
        assert value.equal(found.weights[key]) and value.equal(together.weights[key])


def test_what_each_stage_trains() -> None:
    """From the first layer of the stage to the head, batch norm left out."""
    _, net = packaged()
    assert [len(find_part(net, what).trained) for what in DEEP] == [21, 59, 107]
    assert find_part(net, STAGE2).start == "eltwise_stage1_block3"
    assert find_part(net, ALL).start == "data"
    assert {find_part(net, what).trained[-1] for what in DEEP} == {"fc_nsfw"}
    for kind in KINDS:
        with pytest.raises(ModelError) as caught:
            find_part(small(kind)[1], STAGE3)
        what = "its stages are stage0, stage1; --train head and --train all work with it"
        assert str(caught.value) == f"the net has no stage3 to train: {what}"


@pytest.mark.parametrize("what", DEEP)
def test_layers_that_the_score_does_not_hang_on(what: str, tmp_path: Path) -> None:
    """Behind it and beside it: they have no gradient, and are no part of what is trained."""
    files, net = packaged()
    beside = 'layer { name: "beside" type: "Power" bottom: "eltwise_stage3_block2" top: "beside" }\n'
    behind = 'layer { name: "behind" type: "Power" bottom: "prob" top: "behind" }\n'
    (tmp_path / "net.prototxt").write_text(files.model_def.read_text() + beside + behind)
    found = find_part(read_net(tmp_path / "net.prototxt", files.pretrained_model), what)
    expected = find_part(net, what)
    assert (found.start, found.trained) == (expected.start, expected.trained)
    assert [layer.name for layer in found.layers] == [layer.name for layer in expected.layers]
