"""The shapes of a net's blobs and weights, by Caffe's rules, and the checks that go with them.

`infer(net)` walks the layers once and gives for each the shapes of its tops and of the weights it needs. Shapes are
those for the batch size that the prototxt states.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from open_nsfw.nets.net import MOST_AXES, MOST_VALUES, Layer, Net, Shape, count_values
from open_nsfw.nets.schema import enum_name


@dataclass(frozen=True)
class LayerShapes:
    """Shapes around one layer: what it reads, what it makes, and the weights it must have."""

    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    blobs: tuple[Shape, ...]


@dataclass(frozen=True)
class Window:
    """A sliding window's (height, width) settings, in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)


def infer(net: Net) -> list[LayerShapes]:
    """Shapes around every layer of `net`, in order. Raises ModelError naming the layer that cannot work."""
    known: dict[str, Shape] = {net.input_name: net.input_shape}
    result = []
    for layer in net.layers:
        bottoms = tuple(known[name] for name in layer.bottoms)
        _check_counts(layer)
        if layer.type not in _IN_PLACE and set(layer.tops) & set(layer.bottoms):
            raise layer.unsupported("it does not work in place: give its top another name")
        tops, blobs = _RULES[layer.type](layer, bottoms)
        if any(min(top, default=1) < 1 for top in tops):
            raise layer.error(
                f"its input of shape {_text(bottoms[0])} is too small: the output would be {_text(tops[0])}"
            )
        if any(count_values(shape) > MOST_VALUES for shape in [*tops, *blobs]):
            raise layer.error("a blob around it has more values than a blob of Caffe can have")
        known.update(zip(layer.tops, tops))
        result.append(LayerShapes(bottoms, tuple(tops), tuple(blobs)))
    return result


def check_weights(net: Net) -> None:
    """Raises ModelError if a layer's weights are missing or have other shapes than the layer needs."""
    for layer, shapes in zip(net.layers, infer(net)):
        if shapes.blobs and not layer.blobs:
            raise layer.error("the weights file has nothing for it")
        found = [blob.shape for blob in layer.blobs]
        if len(found) != len(shapes.blobs):
            raise layer.error(f"{len(shapes.blobs)} weight blobs are needed, the file has {len(found)}")
        for needed, blob in zip(shapes.blobs, found):
            if not _same_shape(blob, needed):
                raise layer.error(f"weights of shape {_text(needed)} are needed, the file has {_text(blob)}")


def _same_shape(found: Shape, needed: Shape) -> bool:
    """Caffe's own rule: an old four-dimensional blob matches when only leading ones are added."""
    return found == needed or (len(found) == 4 and found == (1,) * (4 - len(needed)) + needed)


def _text(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a single value"


def _check_counts(layer: Layer) -> None:
    least, most = _BOTTOM_COUNTS.get(layer.type, (1, 1))
    if not least <= len(layer.bottoms) <= most:
        raise layer.error(f"it has {len(layer.bottoms)} bottoms, which the type does not take")
    tops = {"Convolution": len(layer.bottoms), "Split": len(layer.tops)}.get(layer.type, 1)
    if len(layer.tops) != max(tops, 1):
        raise layer.unsupported(f"it has {len(layer.tops)} tops, {tops} are supported")


# Types that Caffe computes rightly where top and bottom are one blob; others read what they have overwritten.
_IN_PLACE = frozenset({"BatchNorm", "Dropout", "ELU", "PReLU", "ReLU", "Scale", "Sigmoid", "Softmax", "TanH"})
_ANY = 10**6
_BOTTOM_COUNTS = {"Concat": (1, _ANY), "Convolution": (1, _ANY), "Eltwise": (2, _ANY), "Scale": (1, 2)}


# ------------------------------------------------------------------------------------------------- settings of layers


def canonical_axis(layer: Layer, axis: int, rank: int) -> int:
    """A possibly negative axis as an index in 0..rank-1 (Caffe's CanonicalAxisIndex)."""
    if not -rank <= axis < rank:
        raise layer.error(f"axis {axis} is out of range for {rank} dimensions")
    return axis % rank


def _pair(layer: Layer, param: Any, name: str, default: int | None) -> tuple[int, int]:
    """A window setting in either spelling: `NAME` (once or twice; `kernel_size` for the kernel) or `NAME_h`, `NAME_w`."""
    plain, tall, wide = ("kernel_size" if name == "kernel" else name), f"{name}_h", f"{name}_w"
    fields = param.DESCRIPTOR.fields_by_name
    if tall in fields and (param.HasField(tall) or param.HasField(wide)):
        return getattr(param, tall), getattr(param, wide)
    if plain in ("pad", "kernel_size", "stride", "dilation") and not isinstance(getattr(param, plain), int):
        values = list(getattr(param, plain)) or ([] if default is None else [default])
    else:
        values = [getattr(param, plain)] if param.HasField(plain) or default is not None else []
    if len(values) not in (1, 2):
        raise layer.error(f"{plain} needs one or two values, it has {len(values)}")
    return values[0], values[-1]


def convolution_window(layer: Layer) -> Window:
    """Kernel, stride, pad and dilation of a Convolution layer."""
    param = layer.param.convolution_param
    return _checked_window(
        layer,
        Window(
            _pair(layer, param, "kernel", None),
            _pair(layer, param, "stride", 1),
            _pair(layer, param, "pad", 0),
            _pair(layer, param, "dilation", 1),
        ),
    )


def pooling_window(layer: Layer, bottom: Shape) -> Window:
    """Kernel, stride and pad of a Pooling layer over a bottom of shape (N, C, H, W)."""
    param = layer.param.pooling_param
    stride, pad = _pair(layer, param, "stride", 1), _pair(layer, param, "pad", 0)
    if param.global_pooling:
        if stride != (1, 1) or pad != (0, 0):
            raise layer.error("global pooling takes neither stride nor pad")
        return Window((bottom[2], bottom[3]), stride, pad)
    window = _checked_window(layer, Window(_pair(layer, param, "kernel", None), stride, pad))
    if any(p >= k for p, k in zip(window.pad, window.kernel)):
        raise layer.error(f"pad {window.pad} must be smaller than the kernel {window.kernel}")
    return window


def _checked_window(layer: Layer, window: Window) -> Window:
    if min(window.kernel + window.stride + window.dilation) < 1:
        raise layer.error("kernel, stride and dilation must be at least 1")
    return window


def scale_axes(layer: Layer, bottom: Shape) -> tuple[int, int]:
    """(first, past the last) axis of a one-bottom Scale layer's weights."""
    param = layer.param.scale_param
    axis = canonical_axis(layer, param.axis, len(bottom))
    end = len(bottom) if param.num_axes == -1 else axis + param.num_axes
    if not axis <= end <= len(bottom):
        raise layer.error(f"axis {param.axis} with num_axes {param.num_axes} reaches past the input {_text(bottom)}")
    return axis, end


# ---------------------------------------------------------------------------------------------------- rules by type

_Result = tuple[Sequence[Shape], Sequence[Shape]]


def _unchanged(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    return [bottoms[0]] * len(layer.tops), []


def _convolution(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, window = layer.param.convolution_param, convolution_window(layer)
    channels = {bottom[1] for bottom in bottoms if len(bottom) == 4}
    if len(channels) != 1 or any(len(bottom) != 4 for bottom in bottoms) or param.axis not in (1, -3):
        raise layer.unsupported("only two-dimensional convolution of N x C x H x W blobs along axis 1 is supported")
    (channel_count,) = channels
    if param.num_output < 1 or param.group < 1 or channel_count % param.group or param.num_output % param.group:
        raise layer.error(
            f"{channel_count} input and {param.num_output} output channels do not divide into {param.group} groups"
        )
    tops = [(bottom[0], param.num_output) + _convolved(bottom[2:], window) for bottom in bottoms]
    weights: Shape = (param.num_output, channel_count // param.group) + window.kernel
    return tops, [weights, (param.num_output,)] if param.bias_term else [weights]


def _convolved(size: Shape, window: Window) -> Shape:
    sides = zip(size, window.kernel, window.stride, window.pad, window.dilation)
    return tuple(
        (side + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1 for side, kernel, stride, pad, dilation in sides
    )


def _inner_product(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.inner_product_param, bottoms[0]
    axis = canonical_axis(layer, param.axis, len(bottom))
    outputs, inputs = param.num_output, math.prod(bottom[axis:])
    weights = (inputs, outputs) if param.transpose else (outputs, inputs)
    return [bottom[:axis] + (outputs,)], [weights, (outputs,)] if param.bias_term else [weights]


def _batch_norm(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param = layer.param.batch_norm_param
    if param.HasField("use_global_stats") and not param.use_global_stats:
        raise layer.unsupported("use_global_stats: false would make a score depend on the other pictures of its batch")
    channels = bottoms[0][1] if len(bottoms[0]) > 1 else 1
    return [bottoms[0]], [(channels,), (channels,), (1,)]


def _scale(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param = layer.param.scale_param
    if len(bottoms) == 1:
        first, end = scale_axes(layer, bottoms[0])
        weights = bottoms[0][first:end]
    else:
        first, weights = canonical_axis(layer, param.axis, len(bottoms[0])), bottoms[1]
        if bottoms[0][first : first + len(weights)] != weights:
            raise layer.error(f"a scale of shape {_text(weights)} does not fit {_text(bottoms[0])} at axis {first}")
        if param.bias_term and first == 0 and weights[:1] > (1,):
            raise layer.unsupported("a learned bias along the batch, which fits one batch size alone")
    learned = [weights] if len(bottoms) == 1 else []
    return [bottoms[0]], learned + ([weights] if param.bias_term else [])


def _prelu(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    if len(bottoms[0]) < 2:
        raise layer.error("it needs an input with channels")
    return [bottoms[0]], [() if layer.param.prelu_param.channel_shared else (bottoms[0][1],)]


def _pooling(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    bottom, param = bottoms[0], layer.param.pooling_param
    if len(bottom) != 4:
        raise layer.error(f"it pools N x C x H x W blobs, its input is {_text(bottom)}")
    if enum_name(param, "pool") == "STOCHASTIC":
        raise layer.unsupported("stochastic pooling is not supported")
    window = pooling_window(layer, bottom)
    rounded_up = enum_name(param, "round_mode") == "CEIL"
    sides = zip(bottom[2:], window.kernel, window.stride, window.pad)
    padded = window.pad != (0, 0)
    size = tuple(_pooled(side, kernel, stride, pad, rounded_up, padded) for side, kernel, stride, pad in sides)
    return [bottom[:2] + size], []


def _pooled(side: int, kernel: int, stride: int, pad: int, rounded_up: bool, padded: bool) -> int:
    """One output side. With padding in either direction Caffe drops a last window that would start in the padding."""
    span = side + 2 * pad - kernel
    windows = (-(-span // stride) if rounded_up else span // stride) + 1
    return windows - 1 if padded and (windows - 1) * stride >= side + pad else windows


def _lrn(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    if layer.param.lrn_param.local_size % 2 != 1:
        raise layer.error("local_size must be odd")
    if len(bottoms[0]) != 4:
        raise layer.error(f"it normalises N x C x H x W blobs, its input is {_text(bottoms[0])}")
    return [bottoms[0]], []


def _eltwise(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param = layer.param.eltwise_param
    if len(set(bottoms)) != 1:
        raise layer.error(f"its inputs differ in shape: {', '.join(map(_text, bottoms))}")
    if param.coeff and (len(param.coeff) != len(bottoms) or enum_name(param, "operation") != "SUM"):
        raise layer.error("coeff takes one value for each bottom, and the operation SUM")
    return [bottoms[0]], []


def concat_axis(layer: Layer, bottom: Shape) -> int:
    """The axis along which a Concat layer joins, from either spelling."""
    param = layer.param.concat_param
    return canonical_axis(layer, param.concat_dim if param.HasField("concat_dim") else param.axis, len(bottom))


def _concat(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    axis = concat_axis(layer, bottoms[0])
    rests = {bottom[:axis] + bottom[axis + 1 :] if len(bottom) > axis else None for bottom in bottoms}
    if len(rests) != 1:
        raise layer.error(f"its inputs cannot be joined along axis {axis}: {', '.join(map(_text, bottoms))}")
    total = sum(bottom[axis] for bottom in bottoms)
    return [bottoms[0][:axis] + (total,) + bottoms[0][axis + 1 :]], []


def _flatten(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.flatten_param, bottoms[0]
    first, last = (canonical_axis(layer, axis, len(bottom)) for axis in (param.axis, param.end_axis))
    if last < first:
        raise layer.error(f"end_axis {param.end_axis} comes before axis {param.axis}")
    return [bottom[:first] + (math.prod(bottom[first : last + 1]),) + bottom[last + 1 :]], []


def _reshape(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    param, bottom = layer.param.reshape_param, bottoms[0]
    first = param.axis if param.axis >= 0 else len(bottom) + 1 + param.axis
    end = len(bottom) if param.num_axes == -1 else first + param.num_axes
    if not 0 <= first <= end <= len(bottom):
        raise layer.error(f"axis {param.axis} with num_axes {param.num_axes} reaches past the input {_text(bottom)}")
    if first + len(param.shape.dim) + len(bottom) - end > MOST_AXES:
        raise layer.error(f"its output would have more than {MOST_AXES} axes, which is what a blob of Caffe can have")
    dims = list(_reshaped_dims(layer, list(param.shape.dim), bottom[first:]))
    inner, total = math.prod(dim for dim in dims if dim != -1), math.prod(bottom[first:end])
    if dims.count(-1) > 1 or (-1 in dims and total % max(inner, 1)) or (-1 not in dims and inner != total):
        raise layer.error(f"{_text(bottom)} cannot be reshaped to {_text(tuple(param.shape.dim))}")
    return [bottom[:first] + tuple(total // inner if dim == -1 else dim for dim in dims) + bottom[end:]], []


def _reshaped_dims(layer: Layer, dims: list[int], copied: Shape) -> Iterator[int]:
    for index, dim in enumerate(dims):
        if dim == 0 and index >= len(copied):
            raise layer.error(f"dimension {index} has nothing to copy from")
        yield copied[index] if dim == 0 else dim


def _softmax(layer: Layer, bottoms: tuple[Shape, ...]) -> _Result:
    canonical_axis(layer, layer.param.softmax_param.axis, len(bottoms[0]))
    return [bottoms[0]], []


_RULES: dict[str, Callable[[Layer, tuple[Shape, ...]], _Result]] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _unchanged,
    "ELU": _unchanged,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "ReLU": _unchanged,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": _unchanged,
    "Softmax": _softmax,
    "Split": _unchanged,
    "TanH": _unchanged,
}
