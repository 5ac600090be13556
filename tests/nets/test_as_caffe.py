"""Nets that say what Caffe has a rule of its own for: the same numbers as real Caffe, or refused as Caffe refuses them.

Each case has the numbers, worked out by hand, or the message of the refusal. Where pycaffe is, Caffe is asked as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import numpy as np
import pytest

from open_nsfw import ModelError
from open_nsfw.nets import schema
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


def not_read(line: int, letter: str) -> str:
    return f"not a readable prototxt: line {line}: Caffe does not read U+{letter} outside of strings and comments"


TENS = ("10", "10.", "1e1", "1.e+1", "10f", "10F", "10.F", "100E-1", "1E1F")
NO_TENS = ("+10", "1_0.0", "+inf", "1e1_0", "010", "-010", "010.0", "09", "00.5")
NUMBERS = {
    **{f"times {number}": Case(scaled(number), TEN) for number in TENS},
    **{f"tiles {number}": Case(tiled(number), [1.0, 1.0]) for number in ("2", "0x2", "0X2", "02", "002")},
    **{f"no {number}": Case(scaled(number), not_a_number(number)) for number in NO_TENS},
    **{
        f"no tiles {number}": Case(tiled(number), not_a_number(number)) for number in ("+2", "0b10", "0o2", "0_2", "08")
    },
    "no octal fraction in a list": Case(
        data(1, 2) + layer("Eltwise", "data", "prob", 'bottom: "data" eltwise_param { coeff: [5, 05] }'),
        not_a_number("05"),
    ),
    "minus apart": Case(scaled("-\t# of 10\n 10"), [-10.0, 20.0]),
    "minus apart, in a list": Case(
        data(1, 2) + layer("Eltwise", "data", "prob", 'bottom: "data" eltwise_param { coeff: [- 1, - .5] }'),
        [-1.5, 3.0],
    ),
    "minus apart, in a string": Case(data(1, 2) + power("data", "prob", 10).replace('"prob" type', '"- 1" type'), TEN),
    "a line after a minus apart": Case(scaled("- 1") + 'layer { name: "é" }é', not_read(3, "00E9")),
    "a space that is not ASCII": Case(scaled("10").replace(" { scale", "\xa0{ scale"), not_read(2, "00A0")),
    "a byte order mark": Case("\ufeff" + scaled("10"), not_read(1, "FEFF")),
    "a comment that is not ASCII": Case("# \xe9\u3000\n" + scaled("10"), TEN),
}

# --- layers of one name, parameters of one name -----------------------------------------------------------------------


def weights(*layers: tuple[str, Sequence[Sequence[float]]]) -> bytes:
    """A caffemodel of layers in this order: (name, blobs of one axis each)."""
    message = schema.NetParameter()
    for name, blobs in layers:
        entry = message.layer.add(name=name, type="Scale")
        for values in blobs:
            entry.blobs.add(data=[np.array(values, "<f4").tobytes()]).shape.dim.append(len(values))
    content: bytes = message.SerializeToString()
    return content


def scale(bottom: str, top: str, options: str = "", name: str = "") -> str:
    """A factor for each channel."""
    return layer("Scale", bottom, top, options, name)


TWICE = data(1, 2) + scale("data", "x", name="a") + scale("x", "prob", name="a")
AFTER_POWER = data(1, 2) + power("data", "x", 1).replace('name: "x"', 'name: "a"') + scale("x", "prob", name="a")
SHARE = 'param { name: "w" }'
PERMISSIVE = 'param { name: "w" share_mode: PERMISSIVE }'
BOTH = data(1, 2) + scale("data", "a", SHARE) + scale("a", "prob", SHARE, "b")
OTHER_SHAPE = (
    data(1, 2, 1) + scale("data", "a", SHARE) + layer("Scale", "a", "prob", "scale_param { num_axes: 2 } %s", "b")
)
WITH_BIAS = data(1, 2) + scale("data", "a", SHARE) + scale("a", "prob", SHARE + " scale_param { bias_term: true }", "b")
SAME_NAME = (
    'WEIGHTS does not fit NET: layer "a" (Scale): a layer before it has the same name, so that Caffe copies no weights into '
    "it; give it another name"
)
TWO_SHAPES = (
    'WEIGHTS: the layer "a" is there more than once, with blobs of different shapes: Caffe would copy all of them into one '
    "layer"
)
NAMES = {
    "of two layers that learn nothing": Case(
        data(1, 2) + power("data", "x", 5) + power("x", "prob", 2, "").replace('name: "prob"', 'name: "x"'), TEN
    ),
    "of two layers that share": Case(
        TWICE.replace('top: "x"', f'top: "x" {SHARE}').replace('top: "prob"', f'top: "prob" {SHARE}'),
        [4.0, -18.0],
        weights(("a", [[2, 3]])),
    ),
    "of weights twice, the last counts": Case(
        data(1, 2) + scale("data", "prob", name="a"), [5.0, -12.0], weights(("a", [[2, 3]]), ("a", [[5, 6]]))
    ),
    "of weights twice, once without": Case(
        data(1, 2) + scale("data", "prob", name="a"), TWO_SHAPES, weights(("a", []), ("a", [[5, 6]]))
    ),
    "of weights twice, of two shapes": Case(
        data(1, 2) + scale("data", "prob", name="a"), TWO_SHAPES, weights(("a", [[1, 2, 3]]), ("a", [[5, 6]]))
    ),
    "of weights twice, of no layer of the net": Case(
        data(1, 2) + scale("data", "prob", name="a"),
        [5.0, -12.0],
        weights(("b", [[1, 2, 3]]), ("a", [[5, 6]]), ("b", [[4, 5]]), ("b", [])),
    ),
    "of a layer without weights before": Case(
        AFTER_POWER,
        'WEIGHTS does not fit NET: layer "a" (Power): 0 weight blobs are needed, the file has 1',
        weights(("a", [[5, 6]])),
    ),
}
SHARED = {
    "the last in the file counts": Case(BOTH, [4.0, -18.0], weights(("a", [[5, 7]]), ("b", [[2, 3]]))),
    "the last in the file, first in the net": Case(BOTH, [25.0, -98.0], weights(("b", [[2, 3]]), ("a", [[5, 7]]))),
    "one comes back": Case(BOTH, [25.0, -98.0], weights(("a", [[1, 1]]), ("b", [[2, 3]]), ("a", [[5, 7]]))),
    "one is in the file": Case(BOTH, [4.0, -18.0], weights(("a", [[2, 3]]))),
    "the other is in the file": Case(BOTH, [4.0, -18.0], weights(("b", [[2, 3]]))),
    "the other is in the file without blobs": Case(
        BOTH, 'layer "b" (Scale): 1 weight blobs are needed, the file has 0', weights(("a", [[2, 3]]), ("b", []))
    ),
    "with a blob that is not shared": Case(WITH_BIAS, [5.0, -17.0], weights(("a", [[5, 7]]), ("b", [[2, 3], [1, 1]]))),
    "with a blob that is not shared, last": Case(
        WITH_BIAS, [26.0, -97.0], weights(("b", [[2, 3], [1, 1]]), ("a", [[5, 7]]))
    ),
    "in one layer": Case(
        data(1, 2) + scale("data", "prob", f"{SHARE} {SHARE} scale_param {{ bias_term: true }}"),
        [8.0, -5.0],
        weights(("prob", [[1, 2], [4, 5]])),
    ),
    "other names": Case(BOTH.replace('"w"', '"v"', 1), [10.0, -42.0], weights(("a", [[5, 7]]), ("b", [[2, 3]]))),
    "other shapes": Case(
        OTHER_SHAPE % SHARE, 'layer "b" (Scale): it shares the parameter "w", of shape 2, but needs 2 x 1'
    ),
    "other shapes of one size": Case(OTHER_SHAPE % PERMISSIVE, [4.0, -18.0], weights(("a", [[2, 3]]))),
    "other sizes": Case(
        data(1, 2)
        + scale("data", "a", PERMISSIVE)
        + layer("Scale", "a", "prob", f"scale_param {{ axis: 0 }} {PERMISSIVE}", "b"),
        'layer "b" (Scale): it shares the parameter "w", of shape 2, but needs 1',
    ),
    "other rates": Case(
        data(1, 2)
        + scale("data", "a", 'param { name: "w" lr_mult: 1 }')
        + scale("a", "prob", 'param { name: "w" lr_mult: 2 }', "b"),
        'the layers that share the parameter "w" have different values of lr_mult',
    ),
    "in the form of 2014": Case(
        'input: "data" input_dim: [1, 2, 1, 1]\n'
        + "".join(
            f'layers {{ name: "{name}" type: INNER_PRODUCT bottom: "{bottom}" top: "{top}" param: "w" '
            "inner_product_param { num_output: 2 bias_term: false } }\n"
            for name, bottom, top in (("a", "data", "x"), ("b", "x", "prob"))
        ),
        [-10.0, -19.0],
        caffemodel({"a": [[[1, 0], [0, 1]]], "b": [[[0, 2], [1, 3]]]}),
    ),
}

# --- encodings of weights ---------------------------------------------------------------------------------------------

ONE = data(1, 2) + scale("data", "prob", name="a")


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes) -> bytes:
    """A field of bytes on the wire."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def floats(*values: float) -> bytes:
    return field(5, np.array(values, "<f4").tobytes())


def doubles(*values: float) -> bytes:
    return field(8, np.array(values, "<f8").tobytes())


def single(value: float) -> bytes:
    return b"\x2d" + np.array(value, "<f4").tobytes()


def blob(*parts: bytes) -> bytes:
    """A caffemodel whose layer "a" has one blob of two values."""
    return field(100, field(1, b"a") + field(7, field(7, field(1, b"\x02")) + b"".join(parts)))


def old_sides(sides: bytes) -> bytes:
    """The caffemodel of `blob` with num, channels, height and width in the place of a shape."""
    return field(100, field(1, b"a") + field(7, sides + floats(2, 3)))


MIXED = "WEIGHTS: some values of a blob are packed and others not, which is not supported: save the file again"
OLD_AND_NEW = "WEIGHTS: it has layers in the old form and in the new one: Caffe reads only one of them"
ENCODINGS = {
    "two pieces": Case(ONE, [2.0, -6.0], blob(floats(2), floats(3))),
    "three pieces, one empty": Case(ONE, [2.0, -6.0], blob(floats(2), floats(), floats(3))),
    "doubles in two pieces": Case(ONE, [2.0, -6.0], blob(doubles(2), doubles(3))),
    "one by one": Case(ONE, [2.0, -6.0], blob(single(2), single(3))),
    "floats and doubles: the doubles": Case(ONE, [2.0, -6.0], blob(floats(5, 7), doubles(2, 3))),
    "doubles and floats: the doubles": Case(ONE, [2.0, -6.0], blob(doubles(2, 3), floats(5, 7))),
    "floats, and too few doubles": Case(
        ONE, "WEIGHTS: a blob of shape [2] has 1 values; the file is damaged", blob(floats(5, 7), doubles(2))
    ),
    "the four sides of old": Case(ONE, [2.0, -6.0], old_sides(b"\x08\x01\x10\x01\x18\x01\x20\x02")),
    "one of the four sides is 0": Case(
        ONE,
        "WEIGHTS: a blob of shape [0, 1, 1, 2] has 2 values; the file is damaged",
        old_sides(b"\x10\x01\x18\x01\x20\x02"),
    ),
    "two forms of layers": Case(ONE, OLD_AND_NEW, blob(floats(2, 3)) + field(2, field(4, b"b"))),
}

# --- the forms of 2013 and 2014 ---------------------------------------------------------------------------------------

V0_INPUT = 'input: "data" input_dim: [1, 2, 1, 1]\n'
V0_NET = V0_INPUT + (
    'layers { layer { name: "fc" type: "innerproduct" num_output: 1 biasterm: false %s } bottom: "data" top: "prob" }'
)


def v0_weights(name: bytes) -> bytes:
    """A caffemodel of 2013: a blob of 1 x 1 x 1 x 2 in a layer inside a layer."""
    sides = b"\x08\x01\x10\x01\x18\x01\x20\x02"
    return field(2, field(1, field(1, name) + field(2, b"innerproduct") + field(50, sides + floats(2, 3))))


OLD_FORMS = {
    "weights of 2013": Case(V0_NET % "", [-4.0], v0_weights(b"fc")),
    "settings of 2013 without use": Case(
        V0_NET % 'pad: 1 group: 2 source: "x" kernelsize: 3', [-4.0], v0_weights(b"fc")
    ),
    "rates of 2013": Case(
        V0_NET % "blobs_lr: 1 blobs_lr: 2",
        'layer "fc" (InnerProduct): it has 2 `param` for 1 blobs; each blob has one at most',
    ),
    "rates of 2014": Case(
        V0_INPUT + 'layers { name: "r" type: RELU bottom: "data" top: "prob" blobs_lr: 1 }',
        'layer "r" (ReLU): it has 1 `param` for 0 blobs; each blob has one at most',
    ),
}

# --- settings of two spellings ----------------------------------------------------------------------------------------


def convolved(options: str, answer: Answer) -> Case:
    """A convolution of 3 x 3 values whose weights are 1."""
    kernel = (1, 2) if "kernel_w: 2" in options else (2, 2)
    text = layer("Convolution", "data", "prob", f"convolution_param {{ num_output: 1 bias_term: false {options} }}")
    return Case(data(1, 1, 3, 3) + text, answer, caffemodel({"prob": [np.ones((1, 1, *kernel))]}))


def pooled(options: str, answer: Answer) -> Case:
    """A max pooling of 3 x 3 values: 1 -2 3, -4 5 -6, 7 -8 9."""
    return Case(data(1, 1, 3, 3) + layer("Pooling", "data", "prob", f"pooling_param {{ {options} }}"), answer)


def both(kind: str, one: str, other: str) -> str:
    return f'layer "prob" ({kind}): it has both {one} and {other}; Caffe takes one of the two spellings'


def half(name: str, sides: str) -> str:
    return f'layer "prob" (Pooling): it needs {name}, or both {sides}_h and {sides}_w'


TOO_SMALL = 'layer "prob" (Convolution): kernel, stride and dilation must be at least 1'
GLOBAL = 'layer "prob" (Pooling): global pooling takes neither kernel nor stride nor pad'
TWO_INPUTS = data(1, 1, 2) + power("data", "x", 1)
SETTINGS = {
    "convolution: kernel_size": convolved("kernel_size: 2", [0.0, 0.0, 0.0, 0.0]),
    "convolution: kernel_h and kernel_w": convolved("kernel_h: 1 kernel_w: 2", [-1.0, 1.0, 1.0, -1.0, -1.0, 1.0]),
    "convolution: kernel in both": convolved(
        "kernel_size: 2 kernel_h: 1 kernel_w: 2", both("Convolution", "kernel_size", "kernel_h")
    ),
    "convolution: kernel in one and a half": convolved(
        "kernel_size: 2 kernel_w: 2", both("Convolution", "kernel_size", "kernel_w")
    ),
    "convolution: half a kernel": convolved("kernel_h: 2", TOO_SMALL),
    "convolution: half a stride": convolved("kernel_size: 2 stride_h: 2", TOO_SMALL),
    "convolution: stride in both": convolved(
        "kernel_size: 2 stride: 1 stride_h: 1 stride_w: 1", both("Convolution", "stride", "stride_h")
    ),
    "convolution: half a pad": convolved("kernel_size: 2 pad_h: 1 stride: 2", [-1.0, 0.0]),
    "convolution: pad in both": convolved(
        "kernel_size: 2 pad: 0 pad_h: 0 pad_w: 0", both("Convolution", "pad", "pad_h")
    ),
    "pooling: kernel_size": pooled("kernel_size: 2", [5.0, 5.0, 7.0, 9.0]),
    "pooling: kernel_h and kernel_w": pooled("kernel_h: 1 kernel_w: 2", [1.0, 3.0, 5.0, 5.0, 7.0, 9.0]),
    "pooling: kernel_size and kernel_h": pooled("kernel_size: 2 kernel_h: 1", [5.0, 5.0, 7.0, 9.0]),
    "pooling: kernel_size and kernel_w": pooled("kernel_size: 2 kernel_w: 1", [5.0, 5.0, 7.0, 9.0]),
    "pooling: kernel in both": pooled(
        "kernel_size: 2 kernel_h: 2 kernel_w: 2", both("Pooling", "kernel_size", "kernel_h")
    ),
    "pooling: half a kernel": pooled("kernel_h: 2", half("kernel_size", "kernel")),
    "pooling: no kernel": pooled("", 'layer "prob" (Pooling): kernel, stride and dilation must be at least 1'),
    "pooling: stride in both": pooled(
        "kernel_size: 2 stride: 1 stride_h: 1 stride_w: 1", both("Pooling", "stride", "stride_h")
    ),
    "pooling: stride in one and a half": pooled(
        "kernel_size: 2 stride: 1 stride_w: 1", both("Pooling", "stride", "stride_w")
    ),
    "pooling: half a stride": pooled("kernel_size: 2 stride_h: 2", half("stride", "stride")),
    "pooling: pad in both": pooled("kernel_size: 2 pad: 0 pad_h: 0 pad_w: 0", both("Pooling", "pad", "pad_h")),
    "pooling: half a pad": pooled("kernel_size: 2 pad_w: 1", half("pad", "pad")),
    "pooling: global": pooled("global_pooling: true", [9.0]),
    "pooling: global, stride 1": pooled("global_pooling: true stride: 1 pad_h: 0 pad_w: 0", [9.0]),
    "pooling: global, kernel_size": pooled("global_pooling: true kernel_size: 2", GLOBAL),
    "pooling: global, half a kernel": pooled("global_pooling: true kernel_w: 2", GLOBAL),
    "concat: axis": Case(
        TWO_INPUTS + layer("Concat", "data", "prob", 'bottom: "x" concat_param { axis: 2 }'), [1.0, -2.0, 1.0, -2.0]
    ),
    "concat: concat_dim": Case(
        TWO_INPUTS + layer("Concat", "data", "prob", 'bottom: "x" concat_param { concat_dim: 2 }'),
        [1.0, -2.0, 1.0, -2.0],
    ),
    "concat: both": Case(
        TWO_INPUTS + layer("Concat", "data", "prob", 'bottom: "x" concat_param { axis: 1 concat_dim: 1 }'),
        both("Concat", "axis", "concat_dim"),
    ),
    "slice: slice_dim": Case(
        data(1, 1, 2) + layer("Slice", "data", "x", 'top: "prob" slice_param { slice_dim: 2 }'), [-2.0]
    ),
    "slice: both": Case(
        data(1, 1, 2) + layer("Slice", "data", "prob", 'top: "x" slice_param { axis: 2 slice_dim: 2 }'),
        both("Slice", "axis", "slice_dim"),
    ),
    "exp: base 2": Case(data(1, 1) + layer("Exp", "data", "prob", "exp_param { base: 2 }"), [2.0]),
    "exp: base e": Case(data(1, 1) + layer("Exp", "data", "prob", "exp_param { base: -1 shift: -1 }"), [1.0]),
    "exp: base 1": Case(data(1, 1) + layer("Exp", "data", "prob", "exp_param { base: 1 }"), [1.0]),
    "exp: base 0": Case(
        data(1, 1) + layer("Exp", "data", "prob", "exp_param { base: 0 }"),
        'layer "prob" (Exp): its base must be a number above 0, not 0',
    ),
    "log: base 1": Case(
        data(1, 1) + layer("Log", "data", "prob", "log_param { base: 1 }"),
        'layer "prob" (Log): its base must be a number above 0 other than 1, not 1',
    ),
    "log: base -2": Case(
        data(1, 1) + layer("Log", "data", "prob", "log_param { base: -2 }"),
        'layer "prob" (Log): its base must be a number above 0 other than 1, not -2',
    ),
}

# --- how layers are put together --------------------------------------------------------------------------------------


def normalised(params: str, answer: Answer, *shape: int) -> Case:
    """Batch norm with mean 1 and variance 4."""
    text = layer("BatchNorm", "data", "prob", f"batch_norm_param {{ eps: 0 }} {params}")
    return Case(data(*shape) + text, answer, caffemodel({"prob": [[1, 1], [4, 4], [1]]}))


OVERWRITTEN = 'layer "prob" (Power): overwrites the blob "prob", which another layer has read or a loss is made of'
SILENCE = 'layer { name: "s" type: "Silence" bottom: "%s" }\n'
DROPOUT = layer("Dropout", "x", "prob", "phase: %s")
RATES_OF_BATCH_NORM = 'layer "prob" (BatchNorm): the lr_mult of its statistics must be 0: they are not learnt'
WIRING = {
    "propagate_down for each": Case(data(1, 2) + power("data", "prob", 10, "propagate_down: true"), TEN),
    "propagate_down for more": Case(
        data(1, 2) + power("data", "prob", 10, "propagate_down: true propagate_down: false"),
        'layer "prob" (Power): propagate_down is given for each of its 1 bottoms, or not at all',
    ),
    "an input behind its reader": Case(
        power("data", "prob", 10) + data(1, 2),
        'layer "prob" (Power): reads the blob "data", which no layer before it makes',
    ),
    "more parameters than blobs": Case(
        data(1, 2) + scale("data", "prob", "param { } param { }"),
        'layer "prob" (Scale): it has 2 `param` for 1 blobs; each blob has one at most',
        weights(("prob", [[2, 3]])),
    ),
    "batch norm": normalised("", [0.0, -1.5], 1, 2),
    "batch norm of no channels": normalised("", 'layer "prob" (BatchNorm): it needs an input with channels', 2),
    "batch norm with two rates": normalised("param { lr_mult: 0 } param { lr_mult: 0 }", [0.0, -1.5], 1, 2),
    "batch norm that learns": normalised("param { lr_mult: 0 } param { }", RATES_OF_BATCH_NORM, 1, 2),
    "batch norm in a training phase, with fixed statistics": Case(
        data(1, 2)
        + layer("BatchNorm", "data", "prob", "batch_norm_param { eps: 0 use_global_stats: true } phase: TRAIN"),
        [0.0, -1.5],
        caffemodel({"prob": [[1, 1], [4, 4], [1]]}),
    ),
    "batch norm of old": normalised("param { lr_mult: 1 } param { lr_mult: 2 } param { }", [0.0, -1.5], 1, 2),
    "coefficients of a maximum": Case(
        data(1, 2)
        + layer("Eltwise", "data", "prob", 'bottom: "data" eltwise_param { operation: MAX coeff: 2 coeff: -2 }'),
        [1.0, -2.0],
    ),
    "coefficients of a product": Case(
        data(1, 2)
        + layer("Eltwise", "data", "prob", 'bottom: "data" eltwise_param { operation: PROD coeff: 2 coeff: 2 }'),
        'layer "prob" (Eltwise): coeff takes one value for each bottom, and the operation SUM or MAX, which ignores it',
    ),
    "MVN of five axes": Case(
        data(1, 2, 1, 1, 1) + layer("MVN", "data", "prob"),
        'layer "prob" (MVN): it normalises blobs of 1 to 4 axes, its input is 1 x 2 x 1 x 1 x 1',
    ),
    "PReLU of no channels": Case(
        data(2) + layer("PReLU", "data", "prob"), 'layer "prob" (PReLU): it needs an input with channels'
    ),
    "ArgMax of a single value": Case(
        data(1) + layer("Reshape", "data", "x", "reshape_param { shape { } }") + layer("ArgMax", "x", "prob"),
        'layer "prob" (ArgMax): it needs an input with axes',
    ),
    "an input of no top": Case(
        data(1, 2) + 'layer { name: "i" type: "Input" input_param { shape { dim: 2 } } }' + power("data", "prob", 10),
        'layer "i" (Input): it has no top',
    ),
    "PReLU of five axes": Case(
        data(1, 2, 1, 1, 1) + layer("PReLU", "data", "prob"),
        'layer "prob" (PReLU): it takes blobs of at most 4 axes, its input is 1 x 2 x 1 x 1 x 1',
    ),
    "a weight of the loss for each top": Case(data(1, 2) + power("data", "prob", 10, "loss_weight: 1"), TEN),
    "a weight of the loss for more": Case(
        data(1, 2) + power("data", "prob", 10, "loss_weight: [1, 1]"),
        'layer "prob" (Power): loss_weight is given for each of its 1 tops, or not at all',
    ),
    "a weight of the loss in the form of 2014": Case(
        V0_INPUT + 'layers { name: "p" type: POWER bottom: "data" top: "prob" loss_weight: [1, 1] }',
        'layer "p" (Power): loss_weight is given for each of its 1 tops, or not at all',
    ),
    "what a loss is made of, in place": Case(
        data(1, 2) + power("data", "prob", 10, "loss_weight: 1") + power("prob", "prob", 2), OVERWRITTEN
    ),
    "what no loss is made of, in place": Case(
        data(1, 2) + power("data", "prob", 5, "loss_weight: 0") + power("prob", "prob", 2), TEN
    ),
    "what Silence reads, in place": Case(
        data(1, 2) + power("data", "prob", 10) + SILENCE % "prob" + power("prob", "prob", 2), OVERWRITTEN
    ),
    "Silence behind what is in place": Case(
        data(1, 2) + power("data", "prob", 5) + power("prob", "prob", 2) + SILENCE % "prob", TEN
    ),
    "Silence of nothing": Case(
        data(1, 2) + power("data", "prob", 10) + SILENCE % "x",
        'layer "s" (Silence): reads the blob "x", which no layer before it makes',
    ),
    "Silence with a parameter": Case(
        data(1, 2) + power("data", "prob", 10) + (SILENCE % "prob").replace("}", "param { } }"),
        'layer "s" (Silence): it has 1 `param` for 0 blobs; each blob has one at most',
    ),
    "a loss that makes what is there": Case(
        data(1, 2) + power("data", "prob", 10) + layer("EuclideanLoss", "prob", "data", 'bottom: "data"', "loss"),
        'layer "loss" (EuclideanLoss): makes the blob "data", which a layer before it makes already',
    ),
    "an input twice": Case(
        f'input: "data" input_shape {{ dim: [1, 2] }}\n{data(1, 2)}{power("data", "prob", 10)}',
        'layer "in" (Input): makes the blob "data", which a layer before it makes already',
    ),
    "a phase of its own": Case(data(1, 2) + power("data", "prob", 10, "phase: TRAIN"), TEN),
    "Dropout in the test phase": Case(data(1, 2) + power("data", "x", 10) + DROPOUT % "TEST", TEN),
}

# ----------------------------------------------------------------------------------------------------------------------

# What Caffe computes, and is refused here: in a second layer of one name it leaves the values of the filler, it knows the
# order of values that are packed in part, it gives another answer each time, or one that hangs on the rest of the batch, its
# libraries make what they will of settings that are not finite, and it computes losses.
REFUSED_HERE_ALONE = {
    "weights for the first of two layers": Case(TWICE, SAME_NAME, weights(("a", [[2, 3]]))),
    "values packed in part": Case(ONE, MIXED, blob(floats(2), single(3))),
    "Dropout in a training phase of its own": Case(
        data(1, 2) + power("data", "x", 10) + DROPOUT % "TRAIN",
        'layer "prob" (Dropout): phase: TRAIN would drop values at random; include { phase: TRAIN } leaves the layer out',
    ),
    "batch norm in a training phase of its own": normalised(
        "phase: TRAIN",
        'layer "prob" (BatchNorm): phase: TRAIN would make a score depend on the other pictures of its batch',
        1,
        2,
    ),
    "a slope that is not finite": Case(
        data(1, 2) + layer("ReLU", "data", "prob", "relu_param { negative_slope: -inf }"),
        'layer "prob" (ReLU): its negative_slope is not a finite number',
    ),
    "a coefficient that is no number": Case(
        data(1, 2) + layer("Eltwise", "data", "prob", 'bottom: "data" eltwise_param { coeff: [1, nan] }'),
        'layer "prob" (Eltwise): its coeff is not a finite number',
    ),
    "what reads a loss": Case(
        data(1, 2)
        + power("data", "x", 1)
        + layer("EuclideanLoss", "x", "loss", 'bottom: "x"')
        + power("loss", "prob", 10),
        'layer "prob" (Power): reads the blob "loss", which a loss or Accuracy makes',
    ),
}

CASES: dict[str, Case] = {
    **RULES,
    **LEFT_OUT,
    **NUMBERS,
    **NAMES,
    **SHARED,
    **ENCODINGS,
    **OLD_FORMS,
    **SETTINGS,
    **WIRING,
}


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
        message = str(error).replace(str(weights), "WEIGHTS").replace(str(model_def), "NET")
        assert message.startswith(("NET: ", "WEIGHTS: ", "WEIGHTS does not fit NET: "))
        return message.removeprefix("NET: ")
    found: list[float] = session.run(None, {"data": input_blob(net.input_shape)})[0].reshape(-1).tolist()
    return found


@pytest.mark.parametrize("name", [*CASES, *REFUSED_HERE_ALONE])
def test_the_answer(name: str, tmp_path: Path) -> None:
    case = {**CASES, **REFUSED_HERE_ALONE}[name]
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
