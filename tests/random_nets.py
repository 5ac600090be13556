"""Small nets with random weights, run through real Caffe: what the converter is held to.

For each net three files: NAME.prototxt, NAME.caffemodel and NAME.npz with `data` (what went in, float32 (N, C, H, W))
and `prob` (what Caffe's last blob held, float32). Together the fixed nets use every supported layer with its options;
they are in git (tests/data/nets/) for Pythons without pycaffe. The random ones are for a live hunt.

    python -m tests.random_nets tests/data/nets                     the fixed nets
    python -m tests.random_nets FOLDER --seed 7 --count 200         random nets 7-0 ... 7-199

Needs pycaffe (Python 3.9). Caffe ends the process when it dislikes a net, so each is made in a forked child; a net that
Caffe refuses leaves no files and is named with Caffe's reason.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

SHAPE = (2, 3, 13, 11)  # odd and unlike, so that a swapped or rounded side shows
GRID = 8  # inputs are multiples of 1/8: exact, and the .npz compresses

Shape = Tuple[int, ...]  # (C, H, W) of a blob, without the batch


class Draft:
    """A prototxt being written, layer by layer; each method returns the name of the blob it makes."""

    def __init__(self, shape: Sequence[int] = SHAPE, spelling: str = "layer") -> None:
        dims = " ".join(f"dim: {side}" for side in shape)
        self.lines = {
            "layer": [f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}'],
            "input_dim": ['input: "data"', *(f"input_dim: {side}" for side in shape)],
            "input_shape": ['input: "data"', f"input_shape {{ {dims} }}"],
        }[spelling]
        self.count = 0

    def add(self, kind: str, *bottoms: str, options: str = "", top: str = "", name: str = "") -> str:
        """Append a layer; `options` is prototxt text. Same `top` as bottom: in place."""
        self.count += 1
        name = name or f"{kind.lower()}_{self.count}"
        top = top or name
        parts = [f'name: "{name}" type: "{kind}"', *(f'bottom: "{bottom}"' for bottom in bottoms), f'top: "{top}"']
        self.lines.append("layer { " + " ".join([*parts, *([options] if options else [])]) + " }")
        return top

    def join(self, blobs: Sequence[str]) -> None:
        """Lay the blobs flat, one after the other, as `prob`."""
        self.add("Concat", *[self.add("Flatten", blob) for blob in blobs], top="prob")

    def fan(self, source: str, layers: Sequence[Tuple[str, str]]) -> None:
        """Each (kind, options) on `source` by itself, and all of their outputs as `prob`."""
        self.join([self.add(kind, source, options=options) for kind, options in layers])

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


# ---------------------------------------------------------------------------------------------- options, as text


def conv(outputs: int, options: str) -> str:
    return f"convolution_param {{ num_output: {outputs} {options} }}"


def dense(outputs: int, options: str = "") -> str:
    return f"inner_product_param {{ num_output: {outputs} {options} }}"


def pool(kind: str, options: str) -> str:
    return f"pooling_param {{ pool: {kind} {options} }}"


def pool_square(kind: str) -> List[Tuple[str, str]]:
    """Every kernel, stride and padding of a small grid that Caffe allows; windows that start past the image apart."""
    grid = itertools.product((1, 2, 3, 5), (1, 2, 3, 4), (0, 1, 2))
    allowed = [(k, s, p) for k, s, p in grid if p < k and starts_inside(13, k, s, p) and starts_inside(11, k, s, p)]
    return [("Pooling", pool(kind, f"kernel_size: {k} stride: {s} pad: {p}")) for k, s, p in allowed]


def pooled_size(size: int, kernel: int, stride: int, pad: int) -> int:
    """Caffe's output size: rounded up, less a window that would start in the padding beyond the image."""
    count = -(-(size + 2 * pad - kernel) // stride) + 1
    return count - 1 if pad and (count - 1) * stride >= size + pad else count


def starts_inside(size: int, kernel: int, stride: int, pad: int) -> bool:
    """Whether the last window of a pooling covers some of the image (without padding Caffe doesn't see to it)."""
    return (pooled_size(size, kernel, stride, pad) - 1) * stride - pad < size


# ---------------------------------------------------------------------------------------------- the fixed nets


def small_net(draft: Draft) -> None:
    hidden = draft.add("Convolution", "data", options=conv(4, "kernel_size: 3 stride: 2"))
    draft.add("Softmax", draft.add("InnerProduct", hidden, options=dense(3)), top="prob")


def convolution(draft: Draft) -> None:
    variants = [
        "kernel_size: 1",
        "kernel_size: 3 stride: 2 pad: 1",
        "kernel_size: 3 stride: 3",
        "kernel_size: 3 pad: 2 bias_term: false",
        "kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 2 pad_h: 1 pad_w: 2",
        "kernel_size: 5 kernel_size: 2 stride: 1 stride: 2 pad: 0 pad: 1",
        "kernel_size: 3 dilation: 2 pad: 1 stride: 2",
        "kernel_size: 3 dilation: 3 dilation: 1 bias_term: false",
        "kernel_size: 3 group: 3 stride: 2",
        "kernel_size: 15 pad: 3 stride: 4",
    ]
    draft.fan("data", [("Convolution", conv(3, variant)) for variant in variants])


def convolution_groups(draft: Draft) -> None:
    hidden = draft.add("Convolution", "data", options=conv(6, "kernel_size: 1"))
    variants = [
        (6, "kernel_size: 3 group: 6 stride: 2"),
        (12, "kernel_size: 3 group: 6 stride: 3"),
        (4, "kernel_size: 2 group: 2 stride: 3 bias_term: false"),
        (9, "kernel_size: 3 group: 3 dilation: 2 stride: 2 pad: 2"),
    ]
    draft.fan(hidden, [("Convolution", conv(outputs, variant)) for outputs, variant in variants])


def inner_product(draft: Draft) -> None:
    reduced = draft.add("Pooling", "data", options=pool("AVE", "kernel_size: 3 stride: 3"))
    variants = [
        "",
        "bias_term: false",
        "transpose: true",
        "axis: 2",
        "axis: 3 bias_term: false",
        "axis: -1",
        "axis: 2 transpose: true",
        "axis: -2 transpose: true bias_term: false",
    ]
    draft.fan(reduced, [("InnerProduct", dense(4, variant)) for variant in variants])


def batch_norm(draft: Draft) -> None:
    dense_out = draft.add("InnerProduct", "data", options=dense(5))
    draft.join(
        [
            draft.add("BatchNorm", "data"),
            draft.add("BatchNorm", "data", options="batch_norm_param { eps: 0.1 }"),
            draft.add("BatchNorm", "data", options="batch_norm_param { use_global_stats: true eps: 0.001 }"),
            draft.add("BatchNorm", dense_out),
        ]
    )


def batch_norm_zero_factor(draft: Draft) -> None:
    draft.add("BatchNorm", "data", options="batch_norm_param { eps: 0.25 }", name="zero_factor", top="prob")


def scale(draft: Draft) -> None:
    variants = [
        "",
        "bias_term: true",
        "axis: 1 num_axes: 2",
        "axis: 1 num_axes: 2 bias_term: true",
        "axis: 2",
        "axis: -1 bias_term: true",
        "axis: 1 num_axes: -1 bias_term: true",
        "num_axes: 0",
        "num_axes: 0 bias_term: true",
    ]
    draft.fan("data", [("Scale", f"scale_param {{ {variant} }}") for variant in variants])


def scale_two_bottoms(draft: Draft) -> None:
    gate = draft.add("Sigmoid", draft.add("Convolution", "data", options=conv(3, "kernel_size: 1")))
    channels = draft.add("Flatten", draft.add("Pooling", gate, options=pool("AVE", "global_pooling: true")))
    rows = draft.add("Reshape", draft.add("InnerProduct", gate, options=dense(1, "axis: 3")), options=reshape("0 0 13"))
    draft.join(
        [
            draft.add("Scale", "data", gate, options="scale_param { axis: 0 }"),
            draft.add("Scale", "data", channels, options="scale_param { axis: 0 }"),
            draft.add("Scale", "data", rows, options="scale_param { axis: 0 }"),
            draft.add("Scale", "data", gate, options="scale_param { axis: -4 }"),
        ]
    )


ACTIVATIONS = [
    ("ReLU", ""),
    ("ReLU", "relu_param { negative_slope: 0.1 }"),
    ("PReLU", ""),
    ("PReLU", "prelu_param { channel_shared: true }"),
    ("ELU", ""),
    ("ELU", "elu_param { alpha: 0.3 }"),
    ("Sigmoid", ""),
    ("TanH", ""),
]


def activations(draft: Draft) -> None:
    draft.fan("data", ACTIVATIONS)


def activations_flat(draft: Draft) -> None:
    draft.fan(draft.add("InnerProduct", "data", options=dense(7)), ACTIVATIONS)


def in_place_chain(draft: Draft) -> None:
    blob = draft.add("Convolution", "data", options=conv(4, "kernel_size: 3 stride: 2"))
    for kind, options in [("BatchNorm", ""), ("Scale", "scale_param { bias_term: true }"), *ACTIVATIONS]:
        draft.add(kind, blob, options=options, top=blob)
    draft.add("Dropout", blob, options="dropout_param { dropout_ratio: 0.4 }", top=blob)
    draft.add("InnerProduct", blob, options=dense(4), top="prob")
    draft.add("Softmax", "prob", top="prob")


def pool_max(draft: Draft) -> None:
    draft.fan("data", pool_square("MAX"))


def pool_average(draft: Draft) -> None:
    draft.fan("data", pool_square("AVE"))


def pool_sides(draft: Draft) -> None:
    sides = [
        "kernel_h: 2 kernel_w: 4 stride_h: 2 stride_w: 3",
        "kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 2 pad_w: 1",
        "kernel_h: 5 kernel_w: 3 stride: 4 pad_h: 3 pad_w: 0",
        "kernel_size: 4 stride_h: 3 stride_w: 5 pad: 3",
        "kernel_size: 3",
        "global_pooling: true",
        "kernel_size: 3 stride: 2 round_mode: FLOOR",
        "kernel_size: 4 stride: 3 pad: 1 round_mode: FLOOR",
    ]
    draft.fan("data", [("Pooling", pool(kind, side)) for kind in ("MAX", "AVE") for side in sides])


def pool_default_kind(draft: Draft) -> None:
    draft.add("Pooling", "data", options="pooling_param { kernel_size: 3 stride: 2 }", top="prob")


def pool_ceil_of_one(draft: Draft) -> None:
    """Windows that hang over on the right and below by all but one row or column."""
    sides = ["kernel_size: 4 stride: 4", "kernel_size: 3 stride: 5", "kernel_size: 5 stride: 5 pad: 1"]
    draft.fan("data", [("Pooling", pool(kind, side)) for kind in ("MAX", "AVE") for side in sides])


def pool_max_past_the_image(draft: Draft) -> None:
    """Kernel 1, stride 4 on 11 columns: the last window starts at column 12; Caffe leaves its lowest float there."""
    draft.add("Pooling", "data", options=pool("MAX", "kernel_size: 1 stride: 4"), top="prob")


def pool_average_past_the_image(draft: Draft) -> None:
    """The same with AVE: nothing summed, so zero."""
    draft.add("Pooling", "data", options=pool("AVE", "kernel_size: 1 stride: 4"), top="prob")


def lrn(draft: Draft) -> None:
    hidden = draft.add("Convolution", "data", options=conv(7, "kernel_size: 3 stride: 2"))
    variants = [
        "",
        "local_size: 3 alpha: 0.5 beta: 0.6 k: 2",
        "local_size: 9 alpha: 3",
        "norm_region: WITHIN_CHANNEL",
        "norm_region: WITHIN_CHANNEL local_size: 3 alpha: 2 beta: 0.5",
    ]
    draft.fan(hidden, [("LRN", f"lrn_param {{ {variant} }}") for variant in variants])


def eltwise(draft: Draft) -> None:
    reduced = draft.add("Pooling", "data", options=pool("AVE", "kernel_size: 3 stride: 3"))
    a, b, c = (draft.add("Convolution", reduced, options=conv(3, "kernel_size: 1")) for _ in range(3))
    variants = [
        ("", (a, b)),
        ("operation: SUM", (a, b, c)),
        ("operation: SUM coeff: 0.5 coeff: -2", (a, b)),
        ("coeff: 1 coeff: 1 coeff: 3", (a, b, c)),
        ("operation: PROD", (a, b)),
        ("operation: PROD", (a, b, c)),
        ("operation: MAX", (a, b)),
        ("operation: MAX", (a, b, c)),
        ("operation: SUM", (a, a)),
        ("operation: PROD", (b, b)),
    ]
    draft.join([draft.add("Eltwise", *blobs, options=f"eltwise_param {{ {text} }}") for text, blobs in variants])


def concat(draft: Draft) -> None:
    reduced = draft.add("Pooling", "data", options=pool("AVE", "kernel_size: 3 stride: 3"))
    a, b = (draft.add("Convolution", reduced, options=conv(3, "kernel_size: 1")) for _ in range(2))
    options = ["", "concat_param { axis: 2 }", "concat_param { axis: 3 }", "concat_param { axis: -1 }"]
    options += ["concat_param { axis: -3 }", "concat_param { concat_dim: 2 }"]
    blobs = [draft.add("Concat", a, b, a, options=text) for text in options]
    draft.join([*blobs, draft.add("Concat", b)])


def concat_unequal(draft: Draft) -> None:
    wide = draft.add("Convolution", "data", options=conv(5, "kernel_size: 3 pad: 1"))
    both = draft.add("Concat", "data", wide)
    draft.add("Convolution", both, options=conv(2, "kernel_size: 3 stride: 2"), top="prob")


def flatten(draft: Draft) -> None:
    variants = ["", "axis: 2", "axis: 1 end_axis: 2", "axis: 2 end_axis: 3", "axis: -2", "axis: -3 end_axis: -2"]
    blobs = [draft.add("Flatten", "data", options=f"flatten_param {{ {variant} }}") for variant in variants]
    draft.join([draft.add("Softmax", blob, options="softmax_param { axis: -1 }") for blob in blobs])


def reshape(dims: str, more: str = "") -> str:
    shape = " ".join(f"dim: {dim}" for dim in dims.split())
    return f"reshape_param {{ shape {{ {shape} }} {more} }}"


def reshaping(draft: Draft) -> None:
    variants = [
        reshape("0 -1"),
        reshape("0 0 -1"),
        reshape("0 -1 0 1"),
        reshape("0 11 13 3"),
        reshape("-1 33", "axis: 1"),
        reshape("39", "axis: 1 num_axes: 2"),
        reshape("0 -1", "axis: 2"),
        reshape("1", "axis: 2 num_axes: 0"),
        reshape("-1", "axis: -2"),
        reshape("13 -1", "axis: -3 num_axes: 2"),
    ]
    blobs = [draft.add("Reshape", "data", options=variant) for variant in variants]
    draft.join([draft.add("Softmax", blob, options="softmax_param { axis: -1 }") for blob in blobs])


def dropout(draft: Draft) -> None:
    kept = draft.add("Dropout", "data", options="dropout_param { dropout_ratio: 0.7 }")
    draft.join([draft.add("TanH", kept), draft.add("Dropout", kept)])


def split(draft: Draft) -> None:
    draft.lines.append('layer { name: "fork" type: "Split" bottom: "data" top: "left" top: "right" top: "third" }')
    readers = [draft.add("ReLU", "left"), draft.add("Sigmoid", "right"), "third"]
    draft.add("Eltwise", *readers, top="prob")


def softmax(draft: Draft) -> None:
    blobs = [draft.add("Softmax", "data", options=f"softmax_param {{ axis: {axis} }}") for axis in (1, 2, 3, -1, -3)]
    draft.join([*blobs, draft.add("Softmax", draft.add("Flatten", "data"))])


def read_after_overwriting(draft: Draft) -> None:
    """A blob overwritten twice in place, then read by several layers, which all see its last state."""
    blob = draft.add("Convolution", "data", options=conv(3, "kernel_size: 3 pad: 1"), name="blob")
    draft.add("ReLU", blob, top=blob)
    draft.add("Scale", blob, options="scale_param { bias_term: true }", top=blob)
    readers = [draft.add("Sigmoid", blob), draft.add("Convolution", blob, options=conv(3, "kernel_size: 1"))]
    draft.add("Eltwise", blob, *readers, "data", top="prob")


def input_overwritten(draft: Draft) -> None:
    """Even the input may be overwritten in place."""
    draft.add("TanH", "data", top="data")
    draft.add("Eltwise", "data", draft.add("ReLU", "data"), top="prob")


def alias_split(draft: Draft) -> None:
    """In Caffe the tops of Split are one memory: what overwrites one of them in place overwrites all."""
    draft.lines.append('layer { name: "fork" type: "Split" bottom: "data" top: "left" top: "right" }')
    draft.add("TanH", "left", top="left")
    draft.add("Eltwise", "left", "right", options="eltwise_param { coeff: 1 coeff: 10 }", top="prob")


def alias_flatten(draft: Draft) -> None:
    """Flatten makes no copy either: a layer in place on its top changes its bottom for who reads that later."""
    hidden = draft.add("Convolution", "data", options=conv(3, "kernel_size: 1"))
    early = draft.add("Sigmoid", hidden)
    flat = draft.add("Flatten", hidden)
    draft.add("ReLU", flat, top=flat)
    late = draft.add("Sigmoid", hidden)
    draft.join([early, flat, late])


def alias_reshape(draft: Draft) -> None:
    """Nor does Reshape."""
    hidden = draft.add("Convolution", "data", options=conv(3, "kernel_size: 1"))
    other = draft.add("Reshape", hidden, options=reshape("0 11 13 3"))
    draft.add("Scale", other, options="scale_param { bias_term: true }", top=other)
    draft.add("Eltwise", hidden, draft.add("Sigmoid", hidden), top="prob")


def refused_in_place_after_reader(draft: Draft) -> None:
    """Another layer has read the blob before it is overwritten: Caffe won't have it."""
    before = draft.add("Sigmoid", "data")
    draft.add("ReLU", "data", top="data")
    draft.add("Eltwise", "data", before, top="prob")


def refused_window_too_large(draft: Draft) -> None:
    """A pooling window larger than the picture."""
    draft.add("Pooling", "data", options=pool("AVE", "kernel_size: 14"), top="prob")


def refused_unknown_bottom(draft: Draft) -> None:
    draft.add("ReLU", "nobody", top="prob")


def refused_unequal_eltwise(draft: Draft) -> None:
    draft.add("Eltwise", "data", draft.add("Convolution", "data", options=conv(3, "kernel_size: 3")), top="prob")


def not_to_be_folded(draft: Draft) -> None:
    """Batch norm and scale where folding into the layer before would spoil another reader, or has no layer to go to."""
    blob = draft.add("Convolution", "data", options=conv(3, "kernel_size: 3 pad: 1 bias_term: false"), name="shared")
    normed = draft.add("BatchNorm", blob)
    scaled = draft.add("Scale", normed, options="scale_param { bias_term: true }")
    bare = draft.add("BatchNorm", "data")
    both = draft.add("Concat", blob, normed, scaled, bare)
    draft.add("Scale", draft.add("BatchNorm", both), options="scale_param { bias_term: true }", top="prob")


def to_be_folded(draft: Draft) -> None:
    """Batch norm and scale, alone and together, behind every kind of layer that can take them in."""
    ends = []
    for options in ("kernel_size: 3 stride: 3", "kernel_size: 3 stride: 3 bias_term: false group: 3"):
        for chain in (["BatchNorm"], ["Scale"], ["BatchNorm", "Scale"], ["Scale", "BatchNorm"], ["BatchNorm"] * 2):
            blob = draft.add("Convolution", "data", options=conv(3, options))
            for kind in chain:
                blob = draft.add(kind, blob)
            ends.append(blob)
    for options in ("", "bias_term: false", "transpose: true"):
        blob = draft.add("InnerProduct", ends[0], options=dense(4, options))
        blob = draft.add("BatchNorm", blob, top=blob)
        ends.append(draft.add("Scale", blob, options="scale_param { bias_term: true }", top=blob))
    pixels = draft.add("Convolution", "data", options=conv(3, "kernel_size: 3 stride: 3"))
    ends.append(draft.add("Scale", pixels, options="scale_param { axis: 2 num_axes: 2 bias_term: true }"))
    draft.join(ends)


def phases(draft: Draft) -> None:
    """Training's layers, in every way of saying so; none of them runs."""
    draft.lines.append(
        'layer { name: "train" type: "DummyData" top: "data" top: "label" include { phase: TRAIN }'
        " dummy_data_param { shape { dim: 2 dim: 3 dim: 13 dim: 11 } shape { dim: 2 } } }"
    )
    hidden = draft.add("InnerProduct", "data", options=dense(3), name="hidden")
    draft.add("ReLU", hidden, top=hidden, options="include { phase: TRAIN }")
    draft.add("Sigmoid", hidden, top=hidden, options="exclude { phase: TEST }")
    draft.add("TanH", hidden, top=hidden, options="include { phase: TEST }")
    draft.add("ELU", hidden, top=hidden, options="exclude { phase: TRAIN }")
    draft.add("SoftmaxWithLoss", hidden, "label", options="include { phase: TRAIN }")
    draft.add("Softmax", hidden, top="prob")


def shared_weights(draft: Draft) -> None:
    blob = "data"
    for _ in range(2):
        blob = draft.add("Convolution", blob, options=conv(3, "kernel_size: 3") + ' param { name: "w" } param { name: "b" }')
    draft.add("ReLU", blob, top="prob")


def residual(draft: Draft) -> None:
    """The shape of the packaged network, very small."""

    def block(source: str, outputs: int, options: str, active: bool) -> str:
        blob = draft.add("Convolution", source, options=conv(outputs, options))
        draft.add("BatchNorm", blob, top=blob)
        draft.add("Scale", blob, options="scale_param { bias_term: true }", top=blob)
        return draft.add("ReLU", blob, top=blob) if active else blob

    stem = block("data", 4, "kernel_size: 3 pad: 1 stride: 1", True)
    stem = draft.add("Pooling", stem, options=pool("MAX", "kernel_size: 3 stride: 2"))
    for index in range(2):
        shortcut = stem if index else block(stem, 6, "kernel_size: 1", False)
        branch = block(stem, 3, "kernel_size: 1", True)
        branch = block(branch, 3, "kernel_size: 3 pad: 1", True)
        stem = draft.add("Eltwise", shortcut, block(branch, 6, "kernel_size: 1", False))
        draft.add("ReLU", stem, top=stem)
    pooled = draft.add("Pooling", stem, options=pool("AVE", "kernel_h: 6 kernel_w: 5 stride: 1"))
    draft.add("Softmax", draft.add("InnerProduct", pooled, options=dense(2)), top="prob")


BUILDERS: List[Callable[[Draft], None]] = [
    convolution,
    convolution_groups,
    inner_product,
    batch_norm,
    batch_norm_zero_factor,
    scale,
    scale_two_bottoms,
    activations,
    activations_flat,
    in_place_chain,
    pool_max,
    pool_average,
    pool_sides,
    pool_default_kind,
    pool_ceil_of_one,
    pool_max_past_the_image,
    pool_average_past_the_image,
    lrn,
    eltwise,
    concat,
    concat_unequal,
    flatten,
    reshaping,
    dropout,
    split,
    softmax,
    read_after_overwriting,
    input_overwritten,
    alias_split,
    alias_flatten,
    alias_reshape,
    not_to_be_folded,
    to_be_folded,
    phases,
    shared_weights,
    residual,
]
REFUSED: List[Callable[[Draft], None]] = [
    refused_in_place_after_reader,
    refused_window_too_large,
    refused_unknown_bottom,
    refused_unequal_eltwise,
]
LEGACY = "legacy_blobs"  # the net whose weights are saved in the four-dimensional form of Caffe before 2015


def fixed_nets() -> Dict[str, str]:
    """Name -> prototxt of the nets that use every supported layer and option."""
    nets = {}
    for spelling in ("layer", "input_dim", "input_shape"):
        small_net(draft := Draft(spelling=spelling))
        nets[f"input_as_{spelling}"] = draft.text()
    nets[LEGACY] = nets["input_as_layer"]
    for build in BUILDERS:
        build(draft := Draft())
        nets[build.__name__] = draft.text()
    return nets


def refused_nets() -> Dict[str, str]:
    """Name -> prototxt of nets that Caffe refuses; a converter should, too."""
    nets = {}
    for build in REFUSED:
        build(draft := Draft())
        nets[build.__name__] = draft.text()
    return nets


# ---------------------------------------------------------------------------------------------- random nets


class Wanderer:
    """Composes a net at random, keeping track of shapes so that Caffe accepts nearly all of them."""

    def __init__(self, seed: int, aliases: bool = False) -> None:
        self.aliases = aliases  # whether to overwrite in place what shares its memory with another blob
        self.shared = False  # whether the current blob does
        self.random = np.random.RandomState(seed)
        self.shape: Shape = (self.pick(1, 3, 4), self.pick(5, 8, 13), self.pick(6, 7, 11))
        self.draft = Draft((2, *self.shape), self.pick("layer", "input_dim", "input_shape"))
        self.blob = "data"
        self.older: List[Tuple[str, Shape]] = []  # blobs that a later layer may read again

    def pick(self, *choices: Any) -> Any:
        return choices[self.random.randint(len(choices))]

    def chance(self, share: float) -> bool:
        return bool(self.random.rand() < share)

    def number(self, low: float, high: float) -> float:
        return round(float(self.random.uniform(low, high)), 3)

    def put(self, kind: str, options: str = "", others: Sequence[str] = (), shape: Optional[Shape] = None) -> None:
        """Add a layer on the current blob and stand on its output; one that keeps the shape may work in place."""
        in_place = shape is None and not others and (self.aliases or not self.shared) and self.chance(0.5)
        if not in_place:
            self.older.append((self.blob, self.shape))
        self.blob = self.draft.add(kind, self.blob, *others, options=options, top=self.blob if in_place else "")
        self.shape = self.shape if shape is None else shape
        self.shared = kind in ("Flatten", "Reshape") or (self.shared and in_place)

    def convolution(self) -> None:
        channels, height, width = self.shape
        sides = [self.window(height, "_h", dilates=True), self.window(width, "_w", dilates=True)]
        group = self.pick(*[g for g in range(1, channels + 1) if channels % g == 0])
        outputs = group * self.pick(1, 2)
        square = self.chance(0.5)
        texts = " ".join(text for text, _ in (sides if not square else []))
        sizes = tuple(size for _, size in sides)
        if square:
            kernel, stride, pad, dilation = self.pick(1, 3), self.pick(1, 1, 2), self.pick(0, 1), self.pick(1, 1, 2)
            reach = dilation * (kernel - 1) + 1
            sizes = tuple((size + 2 * pad - reach) // stride + 1 for size in (height, width))
            texts = f"kernel_size: {kernel} stride: {stride} pad: {pad} dilation: {dilation}"
        bias = self.pick("", "bias_term: false")
        self.put("Convolution", conv(outputs, f"{texts} group: {group} {bias}"), shape=(outputs, *sizes))

    def window(self, size: int, suffix: str, dilates: bool = False) -> Tuple[str, int]:
        """Text for one side of a window, and the output size: rounded down for convolutions, Caffe's way for pooling."""
        kernel = self.random.randint(1, min(size, 5) + 1)
        stride, pad = self.pick(1, 2, 3), self.random.randint(0, kernel)
        text = f"kernel{suffix}: {kernel} stride{suffix}: {stride} pad{suffix}: {pad}"
        if dilates:
            return text, (size + 2 * pad - kernel) // stride + 1
        if not starts_inside(size, kernel, stride, pad):
            return f"kernel{suffix}: {kernel} stride{suffix}: 1 pad{suffix}: 0", size - kernel + 1
        return text, pooled_size(size, kernel, stride, pad)

    def pooling(self) -> None:
        channels, height, width = self.shape
        kind = self.pick("MAX", "AVE")
        if self.chance(0.1):
            self.put("Pooling", pool(kind, "global_pooling: true"), shape=(channels, 1, 1))
            return
        (high, rows), (wide, columns) = self.window(height, "_h"), self.window(width, "_w")
        self.put("Pooling", pool(kind, f"{high} {wide}"), shape=(channels, rows, columns))

    def activation(self) -> None:
        kind, options = ACTIVATIONS[self.random.randint(len(ACTIVATIONS))]
        self.put(kind, options)

    def batch_norm(self) -> None:
        self.put("BatchNorm", f"batch_norm_param {{ eps: {self.number(1e-5, 0.1):g} }}" if self.chance(0.5) else "")
        if self.chance(0.7):
            self.put("Scale", self.pick("", "scale_param { bias_term: true }"))

    def scale(self) -> None:
        axes = len(self.shape)
        axis = self.random.randint(1, axes + 1)
        count = self.pick(-1, *range(1, axes - axis + 2))
        self.put("Scale", f"scale_param {{ axis: {axis} num_axes: {count} {self.pick('', 'bias_term: true')} }}")

    def lrn(self) -> None:
        region = self.pick("ACROSS_CHANNELS", "WITHIN_CHANNEL")
        size, alpha, beta = self.pick(3, 5), self.number(0.1, 3), self.number(0.3, 1)
        self.put("LRN", f"lrn_param {{ norm_region: {region} local_size: {size} alpha: {alpha} beta: {beta} }}")

    def dropout(self) -> None:
        self.put("Dropout")

    def train_only(self) -> None:
        self.draft.add("Sigmoid", self.blob, top=self.blob, options="include { phase: TRAIN }")

    def softmax(self) -> None:
        self.put("Softmax", f"softmax_param {{ axis: {self.random.randint(1, len(self.shape) + 1)} }}")

    def eltwise(self) -> None:
        same = [blob for blob, shape in self.older if shape == self.shape and blob != self.blob]
        if not same and len(self.shape) == 3:
            self.put("Convolution", conv(self.shape[0], "kernel_size: 3 pad: 1"), shape=self.shape)
            same = [self.older[-1][0]]
        if same:
            others = [self.pick(*same) for _ in range(self.pick(1, 1, 2))]
            coefficients = " ".join(f"coeff: {self.number(-2, 2)}" for _ in range(len(others) + 1))
            operation = self.pick("", "operation: PROD", "operation: MAX", coefficients)
            self.put("Eltwise", f"eltwise_param {{ {operation} }}", others, self.shape)

    def concat(self) -> None:
        fitting = [(blob, shape) for blob, shape in self.older if shape[1:] == self.shape[1:] and blob != self.blob]
        axis = self.random.randint(1, len(self.shape) + 1)
        same = [(blob, shape) for blob, shape in fitting if shape == self.shape]
        choices = fitting if axis == 1 else same
        if choices:
            blob, shape = choices[self.random.randint(len(choices))]
            sides = list(self.shape)
            sides[axis - 1] += shape[axis - 1]
            self.put("Concat", f"concat_param {{ axis: {axis} }}", [blob], tuple(sides))

    def gate(self) -> None:
        """A squeeze and excitation step: a two-bottom Scale by channel."""
        channels = self.shape[0]
        pooled = self.draft.add("Pooling", self.blob, options=pool("AVE", "global_pooling: true"))
        gate = self.draft.add("Sigmoid", self.draft.add("InnerProduct", pooled, options=dense(channels)))
        self.put("Scale", "scale_param { axis: 0 }", [gate], self.shape)

    def reshape(self) -> None:
        channels, height, width = self.shape
        text, shape = self.pick(
            (reshape("0 0 -1 1"), (channels, height * width, 1)),
            (reshape(f"{width} {height}", "axis: 2"), (channels, width, height)),
            (reshape("-1 1", "axis: 1 num_axes: 2"), (channels * height, 1, width)),
            (reshape(f"0 {height} -1 0"), (height, channels, width)),
        )
        self.put("Reshape", text, shape=shape)

    def split(self) -> None:
        self.draft.count += 1
        left, right = f"left_{self.draft.count}", f"right_{self.draft.count}"
        self.draft.lines.append(
            f'layer {{ name: "split_{self.draft.count}" type: "Split" bottom: "{self.blob}" top: "{left}" top: "{right}" }}'
        )
        self.older.append((right, self.shape))
        self.blob, self.shared = left, True

    def inner_product(self) -> None:
        axis = self.random.randint(1, len(self.shape) + 1)
        outputs = self.pick(2, 3, 5)
        options = f"axis: {axis} {self.pick('', 'bias_term: false')} {self.pick('', 'transpose: true')}"
        self.put("InnerProduct", dense(outputs, options), shape=(*self.shape[: axis - 1], outputs))

    def flatten(self) -> None:
        axis = self.random.randint(1, len(self.shape) + 1)
        end = self.random.randint(axis, len(self.shape) + 1)
        merged = int(np.prod(self.shape[axis - 1 : end]))
        shape = (*self.shape[: axis - 1], merged, *self.shape[end:])
        self.put("Flatten", f"flatten_param {{ axis: {axis} end_axis: {end} }}", shape=shape)

    def text(self) -> str:
        """4 to 14 steps with pictures (C, H, W), then perhaps some with flat blobs, then `prob`."""
        steps = [self.convolution] * 3 + [self.batch_norm] * 2 + [self.activation] * 3 + [self.eltwise, self.concat] * 2
        steps += [self.pooling, self.pooling, self.scale, self.lrn, self.dropout, self.train_only, self.gate]
        steps += [self.reshape, self.split, self.softmax]
        for _ in range(self.random.randint(4, 15)):
            self.pick(*steps)()
        for _ in range(self.random.randint(0, 4)):
            self.pick(self.inner_product, self.flatten, self.batch_norm, self.activation, self.scale, self.softmax)()
        self.draft.add(self.pick("Softmax", "TanH", "Flatten"), self.blob, top="prob")
        return self.draft.text()


def random_nets(seed: int, count: int, aliases: bool = False) -> Dict[str, str]:
    """Name -> prototxt of `count` nets; the same for the same numbers. `aliases`: see Wanderer."""
    return {f"random-{seed}-{index}": Wanderer(seed * 100_003 + index, aliases).text() for index in range(count)}


# ---------------------------------------------------------------------------------------------- weights, and Caffe


def fill(net: Any, random: np.random.RandomState) -> None:
    """Random weights that keep activations near 1, batch norm factors other than 1 included."""
    for name, blobs in net.params.items():
        kind = net.layers[list(net._layer_names).index(name)].type
        arrays = [blob.data for blob in blobs]
        if kind == "BatchNorm":
            factor = 0.0 if name.startswith("zero") else random.uniform(0.5, 3)
            arrays[0][...] = factor * random.normal(0, 0.5, arrays[0].shape)
            arrays[1][...] = factor * random.uniform(0.3, 1.5, arrays[1].shape)
            arrays[2][...] = factor
        elif kind in ("Scale", "PReLU"):
            for array, middle in zip(arrays, (0.8 if kind == "Scale" else 0.2, 0.0)):
                array[...] = random.normal(middle, 0.4, array.shape)
        else:
            spread = np.sqrt(arrays[0].shape[0] / arrays[0].size)
            for array in arrays:
                array[...] = random.normal(0, spread if array.ndim > 1 else 0.3, array.shape)


def use_legacy_blobs(caffemodel: Path) -> None:
    """Rewrite the file's weights with num, channels, height and width instead of a shape."""
    from caffe.proto import caffe_pb2

    model = caffe_pb2.NetParameter.FromString(caffemodel.read_bytes())
    for blob in (blob for layer in model.layer for blob in layer.blobs):
        blob.num, blob.channels, blob.height, blob.width = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
        blob.ClearField("shape")
    caffemodel.write_bytes(model.SerializeToString())


def write_net(folder: Path, name: str, prototxt: str) -> None:
    """Make the three files of one net; ends the process where Caffe refuses it."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    import caffe

    caffe.set_mode_cpu()
    random = np.random.RandomState(zlib.crc32(name.encode()))
    model_def, weights = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    model_def.write_text(prototxt)
    net = caffe.Net(str(model_def), caffe.TEST)
    fill(net, random)
    net.save(str(weights))
    if name == LEGACY:
        use_legacy_blobs(weights)
    net = caffe.Net(str(model_def), caffe.TEST, weights=str(weights))
    data = (np.rint(random.normal(0, 1, net.blobs["data"].data.shape) * GRID) / GRID).astype(np.float32)
    net.blobs["data"].data[...] = data
    net.forward()
    prob = np.array(net.blobs["prob"].data, dtype=np.float32)
    if np.isnan(prob).any():
        raise SystemExit("Caffe's answer is not a number")
    np.savez_compressed(folder / f"{name}.npz", data=data, prob=prob)


def in_child(work: Callable[[], None]) -> str:
    """Do the work in a forked process; "" if it went well, otherwise the last of what it said on stderr."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            status = 1
            try:
                work()
                status = 0
            except BaseException as error:  # nothing may escape from a forked copy of the caller
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(status)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    reasons = [line for line in lines if re.match(r"F\d{8} |\w+(Error|Exit): ", line)]  # glog's FATAL, or Python's
    return "" if status == 0 else (reasons or lines or ["no reason given"])[0]


def write_nets(folder: Path, nets: Dict[str, str]) -> Dict[str, str]:
    """Write all nets that Caffe accepts; returns name -> reason for those that it refused."""
    folder.mkdir(parents=True, exist_ok=True)
    refused = {}
    for name, prototxt in nets.items():
        reason = in_child(lambda: write_net(folder, name, prototxt))
        if reason:
            refused[name] = reason
            for suffix in (".prototxt", ".caffemodel", ".npz"):
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return refused


def main() -> int:
    """The command line above; status 1 when Caffe refused a fixed net."""
    parser = argparse.ArgumentParser(description="Write small nets with random weights and real Caffe's answers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--aliases", action="store_true", help="in place on tops of Split, Flatten and Reshape, too")
    options = parser.parse_args()
    fixed = options.seed is None
    nets = fixed_nets() if fixed else random_nets(options.seed, options.count, options.aliases)
    refused = write_nets(options.folder, nets)
    for name, reason in refused.items():
        print(f"{name}: {reason}", file=sys.stderr)
    print(f"{len(nets) - len(refused)} nets written, {len(refused)} refused by Caffe")
    return 1 if fixed and refused else 0


if __name__ == "__main__":
    sys.exit(main())
