"""Small nets of the layer types that are rare in nets for classification, and of Caffe's oldest spelling.

As in fixed_nets.py: one input through many variants of a layer side by side, all results flat in the blob `prob`.
"""

from __future__ import annotations

from typing import Callable

from tests.tools.fixed_nets import Draft, conv, dense

POSITIVE = "power_param { power: 2 shift: 1.5 }"  # what logarithms and roots can be taken of


def power(draft: Draft) -> None:
    positive = draft.add("Power", "data", options=POSITIVE)
    variants = ["power: 2", "power: 3 scale: -0.5", "scale: 2 shift: -1", "power: 0 scale: 3", "scale: 0 shift: 2"]
    blobs = [draft.add("Power", "data", options=f"power_param {{ {each} }}") for each in variants]
    blobs += [
        draft.add("Power", positive, options=f"power_param {{ {each} }}") for each in ("power: 0.5", "power: -1.5")
    ]
    alone = draft.add("Power", "data", options=POSITIVE)
    draft.add("Power", alone, options="power_param { power: 0.25 shift: 0.5 }", top=alone)
    draft.join([*blobs, alone])


def exponent(draft: Draft) -> None:
    variants = ["", "base: 2", "base: 0.5 scale: 2", "scale: -0.5 shift: 0.25", "base: 3 scale: 0.5 shift: -1"]
    blobs = [draft.add("Exp", "data", options=f"exp_param {{ {each} }}") for each in variants]
    alone = draft.add("Power", "data")
    draft.join([*blobs, draft.add("Exp", alone, top=alone)])


def exponent_without_bounds(draft: Draft) -> None:
    """What is more than a float can be is infinite."""
    positive = draft.add("Power", draft.add("AbsVal", "data"), options="power_param { shift: 1 }")
    variants = [
        "shift: 1000",
        "base: 0.5 shift: -5000 scale: 0.5",
        "base: 1e30 scale: 1e37",
        "base: 1e-30 shift: 9 scale: 0.1",
    ]
    blobs = [draft.add("Exp", positive, options=f"exp_param {{ {each} }}") for each in [*variants, "scale: 0.5"]]
    draft.join(blobs)


def lrn_of_any_sign(draft: Draft) -> None:
    """alpha and beta of 0 and below."""
    settings = ["alpha: 0", "beta: 0", "alpha: -0.2", "alpha: 0.4 beta: -0.6 k: 0.5", "alpha: 0 beta: -2 k: 3"]
    for region in ("ACROSS_CHANNELS", "WITHIN_CHANNEL"):
        for size in (3, 5, 7):
            for each in settings:
                draft.add("LRN", "data", options=f"lrn_param {{ norm_region: {region} local_size: {size} {each} }}")
    draft.join([f"lrn_{number + 1}" for number in range(draft.count)])


def logarithm(draft: Draft) -> None:
    positive = draft.add("Power", "data", options=POSITIVE)
    variants = ["", "base: 2", "base: 0.5 scale: 2", "scale: 0.5 shift: 0.25", "base: 10 scale: 3 shift: 1"]
    blobs = [draft.add("Log", positive, options=f"log_param {{ {each} }}") for each in variants]
    alone = draft.add("Power", "data", options=POSITIVE)
    draft.join([*blobs, draft.add("Log", alone, top=alone)])


def of_each_value(draft: Draft) -> None:
    """Types that look at one value at a time, beside and in place."""
    blobs = [draft.add(kind, "data") for kind in ("AbsVal", "BNLL", "Threshold")]
    blobs += [
        draft.add("Threshold", "data", options=f"threshold_param {{ threshold: {each} }}") for each in (-0.5, 0.25)
    ]
    for kind in ("BNLL", "Threshold"):
        copy = draft.add("Power", "data", options="power_param { scale: 3 }")
        blobs.append(draft.add(kind, copy, top=copy))
    draft.join(blobs)


def bias(draft: Draft) -> None:
    variants = ["", "axis: 1 num_axes: 2", "axis: 2", "axis: -1", "axis: 1 num_axes: -1"]
    blobs = [draft.add("Bias", "data", options=f"bias_param {{ {each} }}") for each in variants]
    copy = draft.add("Power", "data", options="power_param { scale: 2 }")
    draft.join([*blobs, draft.add("Bias", copy, top=copy)])


def bias_two_bottoms(draft: Draft) -> None:
    flat = draft.add("Reduction", "data", options="reduction_param { axis: 2 }")
    whole = draft.add("Convolution", "data", options=conv(3, "kernel_size: 1"))
    draft.join(
        [
            draft.add("Bias", "data", flat, options="bias_param { axis: 0 }"),
            draft.add("Bias", "data", whole, options="bias_param { axis: 0 }"),
        ]
    )


def slices(draft: Draft) -> None:
    blobs = []
    for number, (options, count) in enumerate(
        [
            ("axis: 1", 3),
            ("axis: 1 slice_point: 1", 2),
            ("axis: 2 slice_point: 2 slice_point: 3", 3),
            ("axis: -1 slice_point: 4", 2),
            ("slice_dim: 1 slice_point: 2", 2),
            ("", 1),
        ]
    ):
        tops = [f"slice_{number}_{index}" for index in range(count)]
        named = " ".join(f'top: "{top}"' for top in tops)
        draft.lines.append(
            f'layer {{ name: "slice_{number}" type: "Slice" bottom: "data" {named} slice_param {{ {options} }} }}'
        )
        blobs += [draft.add("TanH", top) for top in reversed(tops)]
    draft.join(blobs)


def alias_slice(draft: Draft) -> None:
    """A Slice with one top makes no copy: what overwrites the top in place overwrites the bottom as well."""
    ends = []
    for options in ("", "axis: -1", "axis: 0"):
        hidden = draft.add("Convolution", "data", options=conv(3, "kernel_size: 1"))
        only = draft.add("Slice", hidden, options=f"slice_param {{ {options} }}")
        draft.add("ReLU", only, top=only)
        ends += [hidden, only]
    draft.join([draft.add("TanH", blob) for blob in ends])


def crop(draft: Draft) -> None:
    small = draft.add("Convolution", "data", options=conv(2, "kernel_size: 3"))
    blobs = [
        draft.add("Crop", "data", small, options=f"crop_param {{ {each} }}")
        for each in ("", "offset: 1", "axis: 1 offset: 1 offset: 2 offset: 0", "axis: -1 offset: 2", "axis: 1")
    ]
    draft.join([draft.add("Sigmoid", blob) for blob in blobs])


def tile(draft: Draft) -> None:
    variants = ["tiles: 2", "axis: 2 tiles: 3", "axis: -1 tiles: 2", "axis: 1 tiles: 1"]
    draft.join([draft.add("Tile", "data", options=f"tile_param {{ {each} }}") for each in variants])


def reduction(draft: Draft) -> None:
    blobs = []
    for operation in ("SUM", "ASUM", "SUMSQ", "MEAN"):
        for rest in ("axis: 1", "axis: 2 coeff: 0.5", "axis: -1"):
            options = f"reduction_param {{ operation: {operation} {rest} }}"
            blobs.append(draft.add("Reduction", "data", options=options))
    shaped = [draft.add("Reshape", blob, options="reshape_param { shape { dim: 0 dim: -1 } }") for blob in blobs]
    draft.add("Concat", *shaped, top="prob")


def arg_max(draft: Draft) -> None:
    """Of values that are equal, too: Caffe then takes the one that stands last."""
    rounded = draft.add("Threshold", "data", options="threshold_param { threshold: 0.5 }")
    blobs = []
    for source in ("data", rounded):
        for options in ("", "top_k: 3", "out_max_val: true top_k: 2", "axis: 1", "axis: 2 top_k: 4", "axis: -1"):
            blobs.append(draft.add("ArgMax", source, options=f"argmax_param {{ {options} }}"))
        blobs.append(draft.add("ArgMax", source, options="argmax_param { axis: 3 top_k: 2 out_max_val: true }"))
    draft.join(blobs)


def mvn(draft: Draft) -> None:
    variants = ["", "across_channels: true", "normalize_variance: false", "eps: 0.5"]
    variants.append("normalize_variance: false across_channels: true")
    blobs = [draft.add("MVN", "data", options=f"mvn_param {{ {each} }}") for each in variants]
    draft.join(blobs)


def mvn_of_fewer_axes(draft: Draft) -> None:
    """Of two and three axes Caffe makes four, which layers that read the last axis notice."""
    flat = draft.add("InnerProduct", "data", options=dense(4))
    rows = draft.add("Reshape", "data", options="reshape_param { shape { dim: 0 dim: 3 dim: 35 } }")
    ends = []
    for source in (flat, rows):
        for options in (
            "across_channels: true",
            "eps: 0.5 across_channels: true normalize_variance: false",
            "eps: 0.5",
        ):
            blob = draft.add("MVN", source, options=f"mvn_param {{ {options} }}")
            ends.append(draft.add("Convolution", blob, options=conv(2, "kernel_size: 1")))
            ends.append(draft.add("Softmax", blob, options="softmax_param { axis: -1 }"))
            ends.append(draft.add("InnerProduct", blob, options=dense(2, "axis: -2")))
            ends.append(draft.add("Reduction", blob, options="reduction_param { axis: -3 }"))
    reduced = [blob for blob in ends if blob.startswith("reduction")]
    shaped = [draft.add("Reshape", blob, options="reshape_param { shape { dim: 0 dim: -1 } }") for blob in reduced]
    draft.join([*(blob for blob in ends if blob not in reduced), *shaped])


def deconvolution(draft: Draft) -> None:
    variants = [
        "kernel_size: 1",
        "kernel_size: 3 stride: 2 pad: 1",
        "kernel_size: 2 stride: 3",
        "kernel_size: 4 stride: 2 pad: 1 bias_term: false",
        "kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1",
        "kernel_size: 3 dilation: 2",
        "kernel_size: 3 stride: 2 group: 3",
    ]
    draft.join([draft.add("Deconvolution", "data", options=conv(3, each)) for each in variants])


def deconvolution_two_bottoms(draft: Draft) -> None:
    """Two blobs through the same weights."""
    other = draft.add("AbsVal", "data")
    tops = 'top: "deconvolved_data" top: "deconvolved_other"'
    options = conv(3, "kernel_size: 3 stride: 2")
    draft.lines.append(f'layer {{ name: "d" type: "Deconvolution" bottom: "data" bottom: "{other}" {tops} {options} }}')
    draft.join(["deconvolved_data", "deconvolved_other"])


def spp(draft: Draft) -> None:
    variants = ["pyramid_height: 1", "pyramid_height: 2", "pyramid_height: 3", "pyramid_height: 2 pool: AVE"]
    variants.append("pyramid_height: 3 pool: AVE")
    draft.join([draft.add("SPP", "data", options=f"spp_param {{ {each} }}") for each in variants])


def kernels_past_the_end(draft: Draft) -> None:
    """Kernels larger than the padded input of 7 x 5, by less than a stride: Caffe computes one place of them."""
    variants = [
        "kernel_size: 9 stride: 3 pad: 1",
        "kernel_h: 8 kernel_w: 6 stride: 2",
        "kernel_h: 3 kernel_w: 7 stride_h: 1 stride_w: 4 bias_term: false",
        "kernel_size: 3 dilation: 4 stride: 5 group: 3",
    ]
    draft.fan("data", [("Convolution", conv(3, each)) for each in variants])


def max_with_coefficients(draft: Draft) -> None:
    """Which MAX ignores."""
    other = draft.add("Power", "data", options="power_param { scale: -0.5 shift: 0.25 }")
    draft.add("Eltwise", "data", other, options="eltwise_param { operation: MAX coeff: 3 coeff: -2 }", top="prob")


def flatten_of_nothing(draft: Draft) -> None:
    """An end_axis just before the axis: an axis of 1 comes in."""
    ends = []
    for options in ("axis: 2 end_axis: 1", "axis: 1 end_axis: 0", "axis: -1 end_axis: -2"):
        blob = draft.add("Flatten", "data", options=f"flatten_param {{ {options} }}")
        ends.append(draft.add("Softmax", blob, options="softmax_param { axis: 3 }"))
    draft.join(ends)


def batch_in_reshapes(draft: Draft) -> None:
    """The size of the batch, 2, stands in Reshape layers: a shuffle of channels, and what makes a blob flat."""
    groups = draft.add("Reshape", "data", options="reshape_param { shape { dim: 2 dim: 7 dim: 3 dim: 5 } }")
    shuffled = draft.add("Softmax", groups, options="softmax_param { axis: 2 }")
    back = draft.add("Reshape", shuffled, options="reshape_param { shape { dim: 2 dim: 3 dim: 7 dim: 5 } }")
    hidden = draft.add("Convolution", back, options=conv(2, "kernel_size: 3"))
    flat = draft.add("Reshape", hidden, options="reshape_param { shape { dim: 2 dim: 30 } }")
    draft.add("InnerProduct", flat, options=dense(3), top="prob")


def unscored(draft: Draft) -> None:
    """What stands behind the scores changes nothing: Silence, and a loss between blobs of the net."""
    hidden = draft.add("InnerProduct", "data", options=dense(3))
    other = draft.add("InnerProduct", "data", options=dense(3))
    draft.add("EuclideanLoss", hidden, other, top="loss")
    draft.lines.append(f'layer {{ name: "quiet" type: "Silence" bottom: "{other}" }}')
    draft.add("Softmax", hidden, top="prob")


V0 = """\
name: "as of 2013"
input: "data"
input_dim: 2
input_dim: 3
input_dim: 13
input_dim: 11
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 4 kernelsize: 3 stride: 2 biasterm: true
  weight_filler { type: "gaussian" std: 0.1 } blobs_lr: 1. blobs_lr: 2. weight_decay: 1. weight_decay: 0. }
  bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: MAX kernelsize: 3 stride: 2 } bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 3 alpha: 0.5 beta: 0.6 } bottom: "pool1" top: "norm1" }
layers { layer { name: "conv2" type: "conv" num_output: 4 group: 2 kernelsize: 3 pad: 1 } bottom: "norm1" top: "conv2" }
layers { layer { name: "both" type: "concat" concat_dim: 1 } bottom: "norm1" bottom: "conv2" top: "both" }
layers { layer { name: "fc" type: "innerproduct" num_output: 3 biasterm: false } bottom: "both" top: "fc" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.3 } bottom: "fc" top: "fc" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc" top: "prob" }
"""

RARE: list[Callable[[Draft], None]] = [
    *(
        exponent_without_bounds,
        lrn_of_any_sign,
        power,
        exponent,
        logarithm,
        of_each_value,
        bias,
        bias_two_bottoms,
        slices,
        alias_slice,
        crop,
        tile,
        reduction,
    ),
    *(arg_max, mvn, mvn_of_fewer_axes),
    *(deconvolution, deconvolution_two_bottoms, spp, kernels_past_the_end, max_with_coefficients, flatten_of_nothing),
    *(batch_in_reshapes, unscored),
]


def rare_nets() -> dict[str, str]:
    """Name -> prototxt."""
    nets = {"spelling_of_2013": V0}
    for build in RARE:
        build(draft := Draft((2, 3, 13, 11) if build is spp else (2, 3, 7, 5)))
        nets[build.__name__] = draft.text()
    return nets
