"""Which steps `auto` takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.calibration.labelled_set import Example, LabelledSet
from open_nsfw.calibration.scored import Scored
from open_nsfw.errors import ModelError
from open_nsfw.installing import install_command
from open_nsfw.nets.read import read_net
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.training import steps
from open_nsfw.training.features import Dataset
from open_nsfw.training.head import Head
from open_nsfw.training.request import TuneRequest
from open_nsfw.training.split import Split
from open_nsfw.training.steps import LEAST_LOSS, LEAST_PICTURES, Material, take_steps
from open_nsfw.training.tune import Step, Tuned
from tests.tools.tuning_net import write_net

HEAD = Head("fc_nsfw", "pool", np.zeros((2, 4)), np.zeros(2))


def material(tmp_path: Path, rarer: int, train: str = "auto", stages: int = 4) -> Material:
    """So many nsfw pictures to learn from, and twice as many sfw ones."""
    _, model_def, _, weights = write_net(tmp_path / "net", stages)
    nsfw = np.arange(3 * rarer) % 3 == 0
    examples = [Example(0.5, bool(each), f"{number}.jpg", sha256=f"{number:064x}") for number, each in enumerate(nsfw)]
    data = Dataset(examples, np.zeros((len(nsfw), 4), np.float32), nsfw, Scored(LabelledSet(), "0" * 12))
    everything = np.arange(len(nsfw))
    parts = Split(everything, everything[:0], everything, ())
    request = TuneRequest("labels", str(tmp_path), train, quiet=True)
    return Material(
        find_model_files(model_def, weights), read_net(model_def, weights), HEAD, data, parts, request, tmp_path, 0.0
    )


def tuned(loss: float) -> Tuned:
    """A head with this loss on held-out pictures."""
    none = np.zeros(0)
    step = Step("head", loss, True)
    return Tuned(HEAD, 1.0, (loss,), 1.0, none, none, none, none, (), {}, (step,))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that are taken; stage 2 does not help."""
    names: list[str] = []

    def take(_: Material, best: Tuned, what: str) -> Tuned:
        names.append(what)
        return best.after(Step(what, 0.1, what != "stage2"))

    monkeypatch.setattr(steps, "_take", take)
    monkeypatch.setattr(steps, "find_spec", lambda _: object())
    return names


def test_too_few_pictures(tmp_path: Path, taken: list[str]) -> None:
    """It is said how many are needed."""
    found = take_steps(material(tmp_path, LEAST_PICTURES["stage3"] - 1), tuned(0.5))
    why = "149 pictures of the rarer label to learn from are too few; it is tried with 150"
    assert found.steps[1:] == (Step("stage3", None, False, why),)
    assert taken == []


def test_nothing_to_gain(tmp_path: Path, taken: list[str]) -> None:
    """The head has hardly any loss."""
    found = take_steps(material(tmp_path, 150), tuned(LEAST_LOSS / 2))
    assert found.steps[-1].why == "a log loss of 0.0100 on held-out folds leaves nothing to gain"
    assert taken == []


def test_step_by_step(tmp_path: Path, taken: list[str]) -> None:
    """As far as there are pictures enough and the last step has helped."""
    take_steps(material(tmp_path, 150), tuned(0.5))
    assert taken == ["stage3"]
    take_steps(material(tmp_path, 2500), tuned(0.5))
    assert taken == ["stage3", "stage3", "stage2"]


def test_by_name(tmp_path: Path, taken: list[str]) -> None:
    """However few pictures there are."""
    take_steps(material(tmp_path, 20, "all"), tuned(0.001))
    assert taken == ["all"]
    assert take_steps(material(tmp_path, 20, "head"), tuned(0.5)).deep is None
    assert taken == ["all"]


def test_a_net_without_the_stage(tmp_path: Path, taken: list[str]) -> None:
    """auto says so and stays with the head; asked for by name, it is an error."""
    what = "the net has no stage3 to train: its stages are stage0, stage1; --train head and --train all work with it"
    assert take_steps(material(tmp_path, 150, stages=2), tuned(0.5)).steps[-1].why == what
    with pytest.raises(ModelError) as caught:
        take_steps(material(tmp_path, 150, "stage3", stages=2), tuned(0.5))
    assert str(caught.value) == what


def test_a_layer_that_torch_does_not_compute(tmp_path: Path, taken: list[str]) -> None:
    """auto says so and stays with the head, which is learnt by then."""
    found = material(tmp_path, 150)
    text = (tmp_path / "net" / "net.prototxt").read_text()
    before, fully_connected, after = text.rpartition('layer {\n  name: "fc_nsfw"')
    drop = 'layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }\n'
    (tmp_path / "dropping.prototxt").write_text(before + drop + fully_connected + after)
    net = read_net(tmp_path / "dropping.prototxt", tmp_path / "net" / "net.caffemodel")
    what = 'layer "drop" (Dropout) cannot be trained here; --train head trains the last layer alone'
    assert take_steps(replace(found, net=net), tuned(0.5)).steps[-1].why == what
    assert taken == []


def test_without_torch(tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The head is what can be learnt; the command for more is named."""
    monkeypatch.setattr(steps, "find_spec", lambda _: None)
    assert not steps.keeps_pixels("auto")
    found = take_steps(material(tmp_path, 150), tuned(0.5))
    assert found.steps[-1].why == f"torch is not installed: {install_command('train')}"
    assert taken == []


def test_helps() -> None:
    """By more than chance would have it."""
    random: Any = np.random.default_rng(0)
    nsfw = np.arange(400) % 2 == 0
    old = random.normal(size=400) + np.where(nsfw, 1.0, -1.0)
    parts = type("M", (), {"rest": type("R", (), {"nsfw": nsfw}), "weights": np.ones(400)})
    assert steps._helps(old, 2 * old, parts)  # type: ignore[arg-type]
    assert not steps._helps(old, old, parts)  # type: ignore[arg-type]
    assert not steps._helps(old, old + 0.01 * random.normal(size=400), parts)  # type: ignore[arg-type]
    assert not steps._helps(2 * old, old, parts)  # type: ignore[arg-type]
