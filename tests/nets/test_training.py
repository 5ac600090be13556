"""Nets in the form for training: what the files say, and two steps of real Caffe with each."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.nets.build import PUBLISHED, ANetToBuild
from open_nsfw.nets.residual import ResidualNet
from open_nsfw.nets.training import SolverSettings, TrainingOptions, solver, stages, train_val
from tests.tools.helpers import ROOT, needs_caffe

SMALL = ResidualNet((1, 1), 16, 2, "normal", 64)
BATCH = 2


def test_rates_are_those_of_yahoos_file() -> None:
    """Convolutions 1 and 2 with decay 1 and 0, batch norm 0, the head 5 and 10."""
    text = train_val(SMALL, TrainingOptions())
    assert layer(text, "conv_1").count("param { lr_mult: 1 decay_mult: 1 }\n  param { lr_mult: 2 decay_mult: 0 }") == 1
    assert layer(text, "bn_1").count("param { lr_mult: 0 decay_mult: 0 }") == 3
    assert "use_global_stats" not in text
    assert (
        layer(text, "fc_nsfw").count("param { lr_mult: 5 decay_mult: 1 }\n  param { lr_mult: 10 decay_mult: 0 }") == 1
    )
    assert 'weight_filler { type: "msra" } bias_filler { type: "constant" }' in layer(text, "fc_nsfw")


def test_data_layers() -> None:
    """One a phase; only training is mirrored."""
    text = train_val(SMALL, TrainingOptions(batch_size=7, test_source="others"))
    first, second = (part.partition("}\n}")[0] for part in text.split('name: "data" type: "Data"')[1:])
    mean = "mean_value: 104 mean_value: 117 mean_value: 123"
    assert f"transform_param {{ mirror: true crop_size: 64 {mean} }}" in first
    assert 'data_param { source: "train_lmdb" batch_size: 7 backend: LMDB' in first
    assert f"transform_param {{ crop_size: 64 {mean} }}" in second
    assert "include { phase: TEST }" in second and 'source: "others"' in second
    listed = train_val(SMALL, TrainingOptions("image-list"))
    assert (
        'image_data_param { source: "train.txt" batch_size: 32 shuffle: true new_height: 256 new_width: 256 }' in listed
    )


def test_frozen_stages_keep_weights_and_statistics() -> None:
    text = train_val(SMALL, TrainingOptions(freeze=("stem", "stage0")))
    for name in ("conv_1", "conv_stage0_block0_branch2a"):
        assert "lr_mult: 1" not in layer(text, name) and layer(text, name).count("lr_mult: 0 decay_mult: 0") == 2
    assert "use_global_stats: true" in layer(text, "bn_stage0_block0_branch2b")
    assert "use_global_stats" not in layer(text, "bn_stage1_block0_branch2b")


def test_batch_norm_alone_can_be_frozen() -> None:
    text = train_val(SMALL, TrainingOptions(freeze_batch_norm=True))
    assert text.count("use_global_stats: true") == text.count('type: "BatchNorm"')
    assert "lr_mult: 1 " in layer(text, "conv_1") and "lr_mult: 1 " in layer(text, "scale_1")


def test_stages() -> None:
    assert stages(SMALL) == ["stem", "stage0", "stage1", "head"]
    assert stages(PUBLISHED["squeezenet_1.0"]) == ["conv1", *(f"fire{number}" for number in range(2, 10)), "head"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "hdf5"}, "the data is lmdb or image-list, not 'hdf5'"),
        ({"batch_size": 0}, "a batch has at least 1 picture, not 0"),
        ({"train_source": 'a"b'}, "the name of a data source must have no quotes, backslashes or line breaks: 'a\"b'"),
        ({"freeze": ("stage7",)}, "there is no stage 'stage7' to freeze; there are stem, stage0, stage1, head"),
        (
            {"freeze": ("stem", "stage0", "stage1", "head")},
            "all stages are frozen, so there is nothing to learn; leave the head out",
        ),
    ],
)
def test_what_cannot_be_trained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        train_val(SMALL, TrainingOptions(**options))
    assert str(caught.value) == message


def test_the_solver_clips_gradients_where_it_is_told_to() -> None:
    """Under Caffe's own name; otherwise the field is left out."""
    settings = SolverSettings(clip_gradients=30.0)
    assert "clip_gradients: 30 " in solver(TrainingOptions(), settings=settings)
    assert "clip_gradients" not in solver(TrainingOptions())


def test_every_field_of_the_solver_is_explained() -> None:
    lines = solver(TrainingOptions()).splitlines()
    assert len(lines) == 17
    assert [line for line in lines if "#" not in line] == ["gamma: 0.1"]  # said in the two lines before it


def layer(text: str, name: str) -> str:
    """The text of the layer."""
    return text.partition(f'  name: "{name}" ')[2].partition("\n}\n")[0]


# --- real Caffe -------------------------------------------------------------------------------------------------------


def two_steps(folder: Path, net: ANetToBuild, options: TrainingOptions) -> dict[str, Any]:
    """What two steps of real Caffe came to."""
    (folder / "train_val.prototxt").write_text(train_val(net, options))
    (folder / "solver.prototxt").write_text(solver(options))
    line = [sys.executable, "-m", "tests.tools.train_two_steps", str(folder), options.data]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert all(math.isfinite(loss) for loss in found["losses"])
    return found


@needs_caffe
@pytest.mark.parametrize("name", PUBLISHED)
def test_caffe_trains_every_published_net(name: str, tmp_path: Path) -> None:
    """With stored batch norm statistics: the pycaffe of PyPI has none of its own in training (its means stay 0, so that
    the second loss is no number)."""
    options = TrainingOptions("image-list", batch_size=BATCH, freeze_batch_norm=True)
    net = PUBLISHED[name]
    found = two_steps(tmp_path, replace(net, size=64) if name.startswith("vgg") else net, options)  # a minute each
    still = [name for name, moves in found["moved"].items() if not any(moves) and not name.startswith("bn_")]
    assert still == []


@needs_caffe
@pytest.mark.parametrize("name", PUBLISHED)
def test_caffe_loads_the_form_for_training(name: str, tmp_path: Path) -> None:
    """At full size, with batch norm as it is by default: statistics of each batch."""
    (tmp_path / "train_val.prototxt").write_text(train_val(PUBLISHED[name], TrainingOptions(batch_size=BATCH)))
    line = [sys.executable, "-m", "tests.tools.train_two_steps", str(tmp_path), "lmdb", "--load"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "TRAIN TEST\n"


@needs_caffe
@pytest.mark.parametrize("data", ["lmdb", "image-list"])
def test_caffe_leaves_frozen_stages_as_they_are(data: str, tmp_path: Path) -> None:
    """Batch norm's statistics move in the forward pass, whatever its rates: only use_global_stats stops that."""
    net = replace(SMALL, classes=2)
    found = two_steps(
        tmp_path, net, TrainingOptions(data, batch_size=BATCH, freeze=("stem", "stage0"), freeze_batch_norm=True)
    )
    learning = {name: moves for name, moves in found["moved"].items() if not name.startswith("bn_")}
    frozen = {name for name in learning if name.endswith("_1") or "stage0" in name}
    assert {name for name, moves in learning.items() if any(moves)} == set(learning) - frozen
    assert len(frozen) == 8
    assert not any(found["moved"]["bn_stage0_block0_branch2a"])
