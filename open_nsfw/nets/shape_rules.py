"""The shapes that each type of layer makes and learns, by Caffe's rules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Callable

from open_nsfw.nets.net import MOST_AXES, Layer, Shape, shape_text
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.settings import (
    Window,
    base_of,
    bias_axes,
    canonical_axis,
    concat_axis,
    convolution_window,
    crop_starts,
    pooled_sides,
    pooling_window,
    pyramid_windows,
    scale_axes,
    slice_sizes,
)

MOST_PYRAMID_LEVELS = 12  # 4,096 windows a side

_Result = tuple[Sequence[Shape], Sequence[Shape]]


def _unchanged(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    return [bottoms[0]] * len(layer.tops), []


def _of_a_base(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    """Exp and Log."""
    base_of(layer, layer.param.exp_param if layer.type == "Exp" else layer.param.log_param)
    return _unchanged(layer, bottoms)


def _convolution(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    """Convolution and Deconvolution, which share all but the direction."""
    param, window, back = layer.param.convolution_param, convolution_window(layer), layer.type == "Deconvolution"
    if any(len(bottom) != 4 for bottom in bottoms) or param.axis not in (1, -3):
        word = layer.type.lower()
        raise layer.unsupported(f"only two-dimensional {word} of N x C x H x W blobs along axis 1 is supported")
    if len(set(bottoms)) > 1:
        raise layer.error(f"its inputs have different shapes: {', '.join(map(shape_text, bottoms))}")
    inputs, outputs = bottoms[0][1], param.num_output
    if outputs < 1 or param.group < 1 or inputs % param.group or outputs % param.group:
        raise layer.error(f"{inputs} input and {outputs} output channels do not divide into {param.group} groups")
    sides = _deconvolved if back else _convolved
    tops = [(bottom[0], outputs) + sides(bottom[2:], window) for bottom in bottoms]
    weights: Shape = ((inputs, outputs // param.group) if back else (outputs, inputs // param.group)) + window.kernel
    return tops, [weights, (outputs,)] if param.bias_term else [weights]


def _convolved(size: Shape, window: Window) -> Shape:
    """Divided as in C, towards zero: a kernel that is larger than the padded input by less than a stride has one place."""
    sides = zip(size, window.kernel, window.stride, window.pad, window.dilation)
    spans = ((side + 2 * pad - (dilation * (kernel - 1) + 1), stride) for side, kernel, stride, pad, dilation in sides)
    return tuple((span // stride if span >= 0 else -(-span // stride)) + 1 for span, stride in spans)


def convolution_overhang(size: Shape, window: Window) -> Shape:
    """By how many pixels the kernel of a convolution reaches past the padded end of each side: what lies there counts as
    zeros. Nothing but for a kernel that is larger than its padded input."""
    sides = zip(size, window.kernel, window.pad, window.dilation)
    return tuple(max(dilation * (kernel - 1) + 1 - side - 2 * pad, 0) for side, kernel, pad, dilation in sides)


def _deconvolved(size: Shape, window: Window) -> Shape:
    sides = zip(size, window.kernel, window.stride, window.pad, window.dilation)
    return tuple(
        stride * (side - 1) + dilation * (kernel - 1) + 1 - 2 * pad for side, kernel, stride, pad, dilation in sides
    )


def _inner_product(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.inner_product_param, bottoms[0]
    axis = canonical_axis(layer, param.axis, len(bottom))
    outputs, inputs = param.num_output, math.prod(bottom[axis:])
    weights = (inputs, outputs) if param.transpose else (outputs, inputs)
    return [bottom[:axis] + (outputs,)], [weights, (outputs,)] if param.bias_term else [weights]


def _batch_norm(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param = layer.param.batch_norm_param
    if not (param.use_global_stats if param.HasField("use_global_stats") else _is_tested(layer)):
        why = "use_global_stats: false" if param.HasField("use_global_stats") else "phase: TRAIN"
        raise layer.unsupported(f"{why} would make a score depend on the other pictures of its batch")
    if len(bottoms[0]) < 2:
        raise layer.error("it needs an input with channels")
    channels = bottoms[0][1]
    return [bottoms[0]], [(channels,), (channels,), (1,)]


def _scale(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param = layer.param.scale_param
    if len(bottoms) == 1:
        first, end = scale_axes(layer, bottoms[0])
        weights = bottoms[0][first:end]
    else:
        first, weights = canonical_axis(layer, param.axis, len(bottoms[0])), bottoms[1]
        if bottoms[0][first : first + len(weights)] != weights:
            raise layer.error(
                f"a scale of shape {shape_text(weights)} does not fit {shape_text(bottoms[0])} at axis {first}"
            )
        if param.bias_term and first == 0 and weights[:1] > (1,):
            raise layer.unsupported("a learned bias along the batch, which fits one batch size alone")
    learned = [weights] if len(bottoms) == 1 else []
    return [bottoms[0]], learned + ([weights] if param.bias_term else [])


def _is_tested(layer: Layer) -> bool:
    """Whether a layer works as in the test phase: it may have a phase of its own, which is not that of a rule."""
    return not layer.param.HasField("phase") or enum_name(layer.param, "phase") == "TEST"


def _dropout(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    if not _is_tested(layer):
        raise layer.unsupported(
            "phase: TRAIN would drop values at random; include { phase: TRAIN } leaves the layer out"
        )
    return _unchanged(layer, bottoms)


def _prelu(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    if len(bottoms[0]) < 2:
        raise layer.error("it needs an input with channels")
    if len(bottoms[0]) > 4:
        raise layer.error(f"it takes blobs of at most 4 axes, its input is {shape_text(bottoms[0])}")
    return [bottoms[0]], [() if layer.param.prelu_param.channel_shared else (bottoms[0][1],)]


def _pooling(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    bottom, param = bottoms[0], layer.param.pooling_param
    if len(bottom) != 4:
        raise layer.error(f"it pools N x C x H x W blobs, its input is {shape_text(bottom)}")
    if enum_name(param, "pool") == "STOCHASTIC":
        raise layer.unsupported("stochastic pooling is not supported")
    window = pooling_window(layer, bottom)
    rounded_up = enum_name(param, "round_mode") == "CEIL"
    return [bottom[:2] + pooled_sides(bottom[2:], window, rounded_up)], []


def _lrn(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    if layer.param.lrn_param.local_size % 2 != 1:
        raise layer.error("local_size must be odd")
    if len(bottoms[0]) != 4:
        raise layer.error(f"it normalises N x C x H x W blobs, its input is {shape_text(bottoms[0])}")
    return [bottoms[0]], []


def _eltwise(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param = layer.param.eltwise_param
    if len(set(bottoms)) != 1:
        raise layer.error(f"its inputs differ in shape: {', '.join(map(shape_text, bottoms))}")
    if param.coeff and (len(param.coeff) != len(bottoms) or enum_name(param, "operation") == "PROD"):
        raise layer.error("coeff takes one value for each bottom, and the operation SUM or MAX, which ignores it")
    return [bottoms[0]], []


def _concat(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    axis = concat_axis(layer, bottoms[0])
    rests = {bottom[:axis] + bottom[axis + 1 :] if len(bottom) > axis else None for bottom in bottoms}
    if len(rests) != 1:
        raise layer.error(f"its inputs cannot be joined along axis {axis}: {', '.join(map(shape_text, bottoms))}")
    total = sum(bottom[axis] for bottom in bottoms)
    return [bottoms[0][:axis] + (total,) + bottoms[0][axis + 1 :]], []


def _flatten(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.flatten_param, bottoms[0]
    first, last = (canonical_axis(layer, axis, len(bottom)) for axis in (param.axis, param.end_axis))
    if last < first - 1:  # just before it, nothing is merged, and an axis of 1 comes in
        raise layer.error(f"end_axis {param.end_axis} comes before axis {param.axis}")
    if first + len(bottom) - last > MOST_AXES:
        raise layer.error(f"its output would have more than {MOST_AXES} axes, which is what a blob of Caffe can have")
    return [bottom[:first] + (math.prod(bottom[first : last + 1]),) + bottom[last + 1 :]], []


def _reshape(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.reshape_param, bottoms[0]
    first = param.axis if param.axis >= 0 else len(bottom) + 1 + param.axis
    end = len(bottom) if param.num_axes == -1 else first + param.num_axes
    if not 0 <= first <= end <= len(bottom):
        raise layer.error(
            f"axis {param.axis} with num_axes {param.num_axes} reaches past the input {shape_text(bottom)}"
        )
    if first + len(param.shape.dim) + len(bottom) - end > MOST_AXES:
        raise layer.error(f"its output would have more than {MOST_AXES} axes, which is what a blob of Caffe can have")
    dims = list(_reshaped_dims(layer, list(param.shape.dim), bottom[first:]))
    inner, total = math.prod(dim for dim in dims if dim != -1), math.prod(bottom[first:end])
    if dims.count(-1) > 1 or (-1 in dims and total % max(inner, 1)) or (-1 not in dims and inner != total):
        raise layer.error(f"{shape_text(bottom)} cannot be reshaped to {shape_text(tuple(param.shape.dim))}")
    return [bottom[:first] + tuple(total // inner if dim == -1 else dim for dim in dims) + bottom[end:]], []


def _reshaped_dims(layer: Layer, dims: list[int], copied: Shape) -> Iterator[int]:
    for index, dim in enumerate(dims):
        if dim == 0 and index >= len(copied):
            raise layer.error(f"dimension {index} has nothing to copy from")
        yield copied[index] if dim == 0 else dim


def _softmax(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    canonical_axis(layer, layer.param.softmax_param.axis, len(bottoms[0]))
    return [bottoms[0]], []


def _bias(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    if len(bottoms) == 1:
        first, end = bias_axes(layer, bottoms[0])
        return [bottoms[0]], [bottoms[0][first:end]]
    first = canonical_axis(layer, layer.param.bias_param.axis, len(bottoms[0]))
    if bottoms[0][first : first + len(bottoms[1])] != bottoms[1]:
        raise layer.error(
            f"a bias of shape {shape_text(bottoms[1])} does not fit {shape_text(bottoms[0])} at axis {first}"
        )
    return [bottoms[0]], []


def _slice(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    axis, sizes = slice_sizes(layer, bottoms[0])
    if len(sizes) > 1:
        _check_batch_is_kept(layer, axis)
    return [bottoms[0][:axis] + (size,) + bottoms[0][axis + 1 :] for size in sizes], []


def _crop(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    axis, _ = crop_starts(layer, *bottoms)
    _check_batch_is_kept(layer, axis)
    return [bottoms[0][:axis] + bottoms[1][axis:]], []


def _tile(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.tile_param, bottoms[0]
    axis = canonical_axis(layer, param.axis, len(bottom))
    _check_batch_is_kept(layer, axis)
    if param.tiles < 1:
        raise layer.error(f"tiles must be at least 1, not {param.tiles}")
    return [bottom[:axis] + (bottom[axis] * param.tiles,) + bottom[axis + 1 :]], []


def _reduction(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    axis = canonical_axis(layer, layer.param.reduction_param.axis, len(bottoms[0]))
    _check_batch_is_kept(layer, axis)
    return [bottoms[0][:axis]], []


def _arg_max(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.argmax_param, bottoms[0]
    if not bottom:
        raise layer.error("it needs an input with axes")
    if param.HasField("axis"):
        axis = canonical_axis(layer, param.axis, len(bottom))
        _check_batch_is_kept(layer, axis)
        choices, top = bottom[axis], bottom[:axis] + (param.top_k,) + bottom[axis + 1 :]
    else:
        choices, pairs = math.prod(bottom[1:]), 2 if param.out_max_val else 1
        top = (bottom[0], pairs, param.top_k) + (1,) * (len(bottom) - 3)
    if not 1 <= param.top_k <= choices:
        raise layer.error(f"top_k {param.top_k} is not between 1 and {choices}")
    return [top], []


def _mvn(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    """Its top has four axes, N x C x H x W, however many its bottom has: those that are missing are 1."""
    if not 1 <= len(bottoms[0]) <= 4:
        raise layer.error(f"it normalises blobs of 1 to 4 axes, its input is {shape_text(bottoms[0])}")
    return [(*bottoms[0], 1, 1, 1)[:4]], []


def _spp(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.spp_param, bottoms[0]
    if len(bottom) != 4:
        raise layer.error(f"it pools N x C x H x W blobs, its input is {shape_text(bottom)}")
    if not 1 <= param.pyramid_height <= MOST_PYRAMID_LEVELS:
        raise layer.error(f"pyramid_height must be 1 to {MOST_PYRAMID_LEVELS}, not {param.pyramid_height}")
    if enum_name(param, "pool") == "STOCHASTIC":
        raise layer.unsupported("stochastic pooling is not supported")
    counts = [math.prod(pooled_sides(bottom[2:], window)) for window in pyramid_windows(layer, bottom)]
    if len(counts) == 1:
        return [(*bottom[:2], 1, 1)], []
    return [(bottom[0], bottom[1] * sum(counts))], []


def _check_batch_is_kept(layer: Layer, axis: int) -> None:
    if axis == 0:
        raise layer.unsupported("it works along the batch, which would make a score depend on other pictures")


RULES: dict[str, Callable[[Layer, tuple[Shape, ...]], _Result]] = {
    "AbsVal": _unchanged,
    "ArgMax": _arg_max,
    "BNLL": _unchanged,
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Dropout": _dropout,
    "ELU": _unchanged,
    "Eltwise": _eltwise,
    "Exp": _of_a_base,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Log": _of_a_base,
    "MVN": _mvn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _unchanged,
    "ReLU": _unchanged,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "SPP": _spp,
    "Scale": _scale,
    "Sigmoid": _unchanged,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _unchanged,
    "TanH": _unchanged,
    "Threshold": _unchanged,
    "Tile": _tile,
}
