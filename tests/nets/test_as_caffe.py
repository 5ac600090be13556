"""Nets that say what Caffe has a rule of its own for: the same numbers as real Caffe, or refused as Caffe refuses them.

Each case has the numbers, worked out by hand, or the message of the refusal. Where pycaffe is, Caffe is asked as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
import pytest

from open_nsfw import ModelError
from open_nsfw.nets.onnx_graph import convert
from open_nsfw.nets.read import read_net
from tests.tools.caffe_judge import input_blob
from tests.tools.helpers import HAS_CAFFE, ROOT, caffemodel, needs_caffe

Answer = Union[list[float], str]
NO_WEIGHTS = caffemodel({"of no layer": []})


@dataclass(frozen=True)
class Case:
    """A net, its weights, and what comes of them: the numbers of "prob" for the input 1, -2, 3, ..., or the refusal."""

    text: str
    answer: Answer
    weights: bytes = NO_WEIGHTS


def data(*shape: int) -> str:
    """The input."""
    return f'layer {{ name: "in" type: "Input" top: "data" input_param {{ shape {{ dim: [{", ".join(map(str, shape))}] }} }} }}\n'


def layer(kind: str, bottom: str, top: str, options: str = "", name: str = "") -> str:
    """One layer, named like its top."""
    return f'layer {{ name: "{name or top}" type: "{kind}" bottom: "{bottom}" top: "{top}" {options} }}\n'


def power(bottom: str, top: str, scale: float, options: str = "") -> str:
    """A layer that multiplies by a number."""
    return layer("Power", bottom, top, f"power_param {{ scale: {scale} }} {options}")


# --- state and rules --------------------------------------------------------------------------------------------------


def staged(state: str, rule: str) -> str:
    """1, -2 times 10; and negative, where the layer of the rule is there."""
    return f"{state}\n{data(1, 2)}{power('data', 'x', 10)}{power('x', 'x', -1, rule)}{layer('Flatten', 'x', 'prob')}"


THERE, NOT_THERE = [-10.0, 20.0], [10.0, -20.0]
RULES = {
    "a stage of the file": Case(staged('state { stage: "deploy" }', 'include { stage: "deploy" }'), THERE),
    "another stage": Case(staged('state { stage: "deploy" }', 'include { stage: "other" }'), NOT_THERE),
    "two stages, both there": Case(staged('state { stage: ["a", "b"] }', 'include { stage: ["a", "b"] }'), THERE),
    "two stages, one there": Case(staged('state { stage: "a" }', 'include { stage: ["a", "b"] }'), NOT_THERE),
    "a stage that must not be": Case(staged('state { stage: "a" }', 'include { not_stage: "a" }'), NOT_THERE),
    "one of two that must not be": Case(staged('state { stage: "a" }', 'include { not_stage: ["b", "a"] }'), NOT_THERE),
    "left out in a stage": Case(staged('state { stage: "a" }', 'exclude { stage: "a" }'), NOT_THERE),
    "left out without a stage": Case(staged('state { stage: "a" }', 'exclude { not_stage: "a" }'), THERE),
    "the file's phase does not count": Case(staged("state { phase: TRAIN }", "include { phase: TEST }"), THERE),
    "the file's level does not count": Case(staged("state { level: 3 }", "include { min_level: 1 }"), NOT_THERE),
    "both kinds of rules": Case(
        staged("", "include { phase: TEST } exclude { phase: TRAIN }"),
        'layer "x" (Power): it has both include and exclude rules; Caffe takes one kind',
    ),
}

# --- layers that are not in the test phase, and losses ----------------------------------------------------------------

PYTHON = '{ name: "py" type: "Python" top: "l" python_param { module: "x" layer: "y" } include { phase: TRAIN } }'
POWER = '{ name: "p" type: "Power" bottom: "data" top: "prob" power_param { scale: 10 } }'
TEN = [10.0, -20.0]
LABEL = 'layer { name: "l" type: "Input" top: "label" input_param { shape { dim: 1 } } }\n'
LEFT_OUT = {
    "behind the input": Case(f'input: "data" input_dim: [1, 2, 1, 1]\nlayer {PYTHON}\nlayer {POWER}', TEN),
    "behind an input shape": Case(f'input: "data" input_shape {{ dim: [1, 2] }}\nlayer {PYTHON}\nlayer {POWER}', TEN),
    "a list": Case(f'input: "data" input_dim: [1, 2, 1, 1]\nlayer: [ {POWER}, {PYTHON} ]', TEN),
    "angle brackets": Case(
        f'input: "data" input_dim: [1, 2, 1, 1]\nlayer <{PYTHON[1:-1]}>\nlayer <{POWER[1:-1]}>', TEN
    ),
    "semicolons": Case(f'input: "data"; input_dim: [1, 2, 1, 1];\nlayer {PYTHON};\nlayer {POWER};', TEN),
    "commas": Case(f'input: "data", input_dim: [1, 2, 1, 1],\nlayer {PYTHON},\nlayer {POWER},', TEN),
    "settings of other types": Case(
        f'input: "data" input_dim: [1, 2, 1, 1]\nlayer {POWER[:-1]} hinge_loss_param {{ norm: L2 }} }}', TEN
    ),
    "a loss with settings": Case(
        data(1, 2)
        + LABEL
        + layer("Power", "data", "prob", "power_param { scale: 10 }")
        + layer("HingeLoss", "prob", "loss", 'bottom: "label" hinge_loss_param { norm: L2 }'),
        TEN,
    ),
}

# --- numbers in the text ----------------------------------------------------------------------------------------------


def scaled(number: str) -> str:
    """1, -2 times a number."""
    return data(1, 2) + layer("Power", "data", "prob", f"power_param {{ scale: {number} }}")


def tiled(number: str) -> str:
    """1, so often."""
    return data(1, 1) + layer("Tile", "data", "prob", f"tile_param {{ tiles: {number} }}")


def not_a_number(number: str) -> str:
    return f"not a readable prototxt: line 2: Caffe does not read {number} as a number"


NUMBERS = {
    **{f"times {number}": Case(scaled(number), TEN) for number in ("10", "10.", "1e1", "1.e+1", "10f", "100E-1")},
    **{f"tiles {number}": Case(tiled(number), [1.0, 1.0]) for number in ("2", "0x2", "0X2", "02")},
    **{f"no {number}": Case(scaled(number), not_a_number(number)) for number in ("+10", "1_0.0", "+inf", "1e1_0")},
    **{f"no tiles {number}": Case(tiled(number), not_a_number(number)) for number in ("+2", "0b10", "0o2", "0_2")},
}

# ----------------------------------------------------------------------------------------------------------------------

CASES: dict[str, Case] = {**RULES, **LEFT_OUT, **NUMBERS}


def ours(folder: Path, case: Case) -> Answer:
    """The numbers that the converted net gives, or the message without the files' names."""
    model_def, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model_def.write_text(case.text)
    weights.write_bytes(case.weights)
    import onnxruntime

    try:
        net = read_net(model_def, weights)
        session = onnxruntime.InferenceSession(convert(net, "prob"), providers=["CPUExecutionProvider"])
    except ModelError as error:
        assert "\n" not in str(error)
        return str(error).replace(str(weights), "WEIGHTS").replace(str(model_def), "NET").replace("NET: ", "", 1)
    found: list[float] = session.run(None, {"data": input_blob(net.input_shape)})[0].reshape(-1).tolist()
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_answer(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = ours(tmp_path, case)
    assert found == (case.answer if isinstance(case.answer, str) else pytest.approx(case.answer, abs=1e-6))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: Any) -> dict[str, Any]:
    """Caffe's answers, by name."""
    if not HAS_CAFFE:
        pytest.skip("pycaffe is not installed in this interpreter")
    folder = tmp_path_factory.mktemp("judged")
    for index, case in enumerate(CASES.values()):
        (folder / f"{index}.prototxt").write_text(case.text)
        (folder / f"{index}.caffemodel").write_bytes(case.weights)
    subprocess.run([sys.executable, "-m", "tests.tools.caffe_judge", str(folder)], cwd=ROOT, check=True, timeout=300)
    return {name: json.loads((folder / f"{index}.json").read_text()) for index, name in enumerate(CASES)}


@needs_caffe
@pytest.mark.parametrize("name", CASES)
def test_caffes_answer(name: str, judged: dict[str, Any]) -> None:
    expected, found = CASES[name].answer, judged[name]
    if isinstance(expected, str):
        assert "refused" in found, f"Caffe computes {found}"
    else:
        assert found.get("values") == pytest.approx(expected, abs=1e-6), found
    assert np.isfinite(found.get("values", 0)).all()
