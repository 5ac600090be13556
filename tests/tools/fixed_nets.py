"""Small nets, written out as prototxt: together they use every supported layer with all of its options.

Most nets send one input through many variants of a layer side by side and lay all results flat in the blob `prob`. The
weights come from random_nets.py, the right answers from real Caffe.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Callable

SHAPE = (2, 3, 7, 5)  # odd and unlike, so that a swapped or rounded side shows
WINDOWS = (2, 3, 13, 11)  # for layers that slide a window


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

    def split(self, bottom: str) -> tuple[str, str]:
        """An explicit Split; returns its two tops."""
        self.count += 1
        name = f"split_{self.count}"
        tops = f"{name}_left", f"{name}_right"
        self.lines.append(
            f'layer {{ name: "{name}" type: "Split" bottom: "{bottom}" top: "{tops[0]}" top: "{tops[1]}" }}'
        )
        return tops

    def join(self, blobs: Sequence[str]) -> None:
        """Lay the blobs flat, one after the other, as `prob`."""
        self.add("Concat", *[self.add("Flatten", blob) for blob in blobs], top="prob")

    def fan(self, source: str, layers: Sequence[tuple[str, str]]) -> None:
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


def pool_square(kind: str) -> list[tuple[str, str]]:
    """Every kernel, stride and padding of a small grid that Caffe allows; windows that start past the image apart."""
    grid = itertools.product((1, 2, 3, 5), (1, 2, 3, 4), (0, 1, 2))
    allowed = [(k, s, p) for k, s, p in grid if p < k and all(starts_inside(size, k, s, p) for size in WINDOWS[2:])]
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
        "kernel_size: 3 dilation: 3 dilation: 1 stride: 2 bias_term: false",
        "kernel_size: 3 group: 3 stride: 2",
        "kernel_size: 12 pad: 3 stride: 4",
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
    rows = draft.add("Reshape", draft.add("InnerProduct", gate, options=dense(1, "axis: 3")), options=reshape("0 0 7"))
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
    """Everything that may work in place, one after the other; a scale before each to make some values negative again."""
    blob = draft.add("Convolution", "data", options=conv(4, "kernel_size: 3 stride: 2"))
    for kind, options in [("BatchNorm", ""), *ACTIVATIONS]:
        draft.add("Scale", blob, options="scale_param { bias_term: true }", top=blob)
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
        "kernel_size: 4 stride: 2 round_mode: FLOOR",
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
        reshape("0 5 7 3"),
        reshape("-1 15", "axis: 1"),
        reshape("21", "axis: 1 num_axes: 2"),
        reshape("0 -1", "axis: 2"),
        reshape("1", "axis: 2 num_axes: 0"),
        reshape("-1", "axis: -2"),
        reshape("7 -1", "axis: -3 num_axes: 2"),
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
    other = draft.add("Reshape", hidden, options=reshape("0 5 7 3"))
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
        " dummy_data_param { shape { dim: 2 dim: 3 dim: 7 dim: 5 } shape { dim: 2 } } }"
    )
    hidden = draft.add("InnerProduct", "data", options=dense(3), name="hidden")
    draft.add("ReLU", hidden, top=hidden, options="include { phase: TRAIN }")
    draft.add("Sigmoid", hidden, top=hidden, options="exclude { phase: TEST }")
    draft.add("TanH", hidden, top=hidden, options="include { phase: TEST }")
    draft.add("ELU", hidden, top=hidden, options="exclude { phase: TRAIN }")
    draft.add("SoftmaxWithLoss", hidden, "label", options="include { phase: TRAIN }")
    draft.add("Softmax", hidden, top="prob")


def shared_weights(draft: Draft) -> None:
    """Two layers with one set of weights."""
    blob = "data"
    options = conv(3, "kernel_size: 3") + ' param { name: "w" } param { name: "b" }'
    for _ in range(2):
        blob = draft.add("Convolution", blob, options=options)
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


SLIDING: list[Callable[[Draft], None]] = [
    convolution,
    convolution_groups,
    pool_max,
    pool_average,
    pool_sides,
    pool_default_kind,
    pool_ceil_of_one,
    pool_max_past_the_image,
    pool_average_past_the_image,
    lrn,
    residual,
]


def refused_convolution_of_two_sizes(draft: Draft) -> None:
    """Caffe lays out its columns once, for all inputs."""
    small = draft.add("Pooling", "data", options="pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    names = f'bottom: "data" bottom: "{small}" top: "large" top: "prob"'
    draft.lines.append(f'layer {{ name: "c" type: "Convolution" {names} {conv(3, "kernel_size: 1")} }}')


PLAIN: list[Callable[[Draft], None]] = [
    inner_product,
    batch_norm,
    batch_norm_zero_factor,
    scale,
    scale_two_bottoms,
    activations,
    activations_flat,
    in_place_chain,
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
]
REFUSED: list[Callable[[Draft], None]] = [
    refused_convolution_of_two_sizes,
    refused_in_place_after_reader,
    refused_window_too_large,
    refused_unknown_bottom,
    refused_unequal_eltwise,
]
LEGACY = "legacy_blobs"  # the net whose weights are saved in the four-dimensional form of Caffe before 2015


def fixed_nets() -> dict[str, str]:
    """Name -> prototxt of the nets that use every supported layer and option."""
    nets = {}
    for spelling in ("layer", "input_dim", "input_shape"):
        small_net(draft := Draft(spelling=spelling))
        nets[f"input_as_{spelling}"] = draft.text()
    nets[LEGACY] = nets["input_as_layer"]
    for build in SLIDING + PLAIN:
        build(draft := Draft(WINDOWS if build in SLIDING else SHAPE))
        nets[build.__name__] = draft.text()
    return nets


def refused_nets() -> dict[str, str]:
    """Name -> prototxt of nets that Caffe refuses; a converter should, too."""
    nets = {}
    for build in REFUSED:
        build(draft := Draft())
        nets[build.__name__] = draft.text()
    return nets
