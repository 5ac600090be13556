"""Settings of layers, read as Caffe reads them: axes that may be negative, windows in either spelling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from open_nsfw.nets.net import Layer, Shape, shape_text


@dataclass(frozen=True)
class Window:
    """A sliding window's (height, width) settings, in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)


def canonical_axis(layer: Layer, axis: int, rank: int) -> int:
    """A possibly negative axis as an index in 0..rank-1 (Caffe's CanonicalAxisIndex)."""
    if not -rank <= axis < rank:
        raise layer.error(f"axis {axis} is out of range for {rank} dimensions")
    return axis % rank


def _has(param: Any, name: str) -> bool:
    """Whether a setting is written down: for one that repeats, at least once."""
    value = getattr(param, name)
    return param.HasField(name) if isinstance(value, int) else len(value) > 0


def _either(layer: Layer, param: Any, plain: str, others: tuple[str, ...]) -> bool:
    """Whether a setting that has two spellings is written as one of `others`. Raises ModelError for both at once."""
    found = [name for name in others if _has(param, name)]
    if found and _has(param, plain):
        raise layer.error(f"it has both {plain} and {found[0]}; Caffe takes one of the two spellings")
    return bool(found)


def _convolution_pair(layer: Layer, name: str, sides: tuple[str, str] | None, default: int | None) -> tuple[int, int]:
    """(height, width) of a setting of a Convolution layer: once or twice `name`, or `sides`, of which one may be missing."""
    param = layer.param.convolution_param
    if sides and _either(layer, param, name, sides):
        return getattr(param, sides[0]), getattr(param, sides[1])
    values = list(getattr(param, name)) or ([] if default is None else [default])
    if len(values) not in (1, 2):
        raise layer.error(f"{name} needs one or two values, it has {len(values)}")
    return values[0], values[-1]


def convolution_window(layer: Layer) -> Window:
    """Kernel, stride, pad and dilation of a Convolution layer."""
    return _checked_window(
        layer,
        Window(
            _convolution_pair(layer, "kernel_size", ("kernel_h", "kernel_w"), None),
            _convolution_pair(layer, "stride", ("stride_h", "stride_w"), 1),
            _convolution_pair(layer, "pad", ("pad_h", "pad_w"), 0),
            _convolution_pair(layer, "dilation", None, 1),
        ),
    )


def _pooling_pair(layer: Layer, name: str, sides: tuple[str, str]) -> tuple[int, int]:
    """(height, width) of a setting of a Pooling layer: `name`, or both of `sides`."""
    param = layer.param.pooling_param
    if not _either(layer, param, name, sides):
        return getattr(param, name), getattr(param, name)
    if not all(_has(param, side) for side in sides):
        raise layer.error(f"it needs {name}, or both {sides[0]} and {sides[1]}")
    return getattr(param, sides[0]), getattr(param, sides[1])


def _pooling_kernel(layer: Layer) -> tuple[int, int]:
    """(height, width) of a Pooling layer's windows. Beside kernel_size, Caffe passes over one of kernel_h and kernel_w alone."""
    param = layer.param.pooling_param
    if _has(param, "kernel_size") and not (_has(param, "kernel_h") and _has(param, "kernel_w")):
        return param.kernel_size, param.kernel_size
    return _pooling_pair(layer, "kernel_size", ("kernel_h", "kernel_w"))


def pooling_window(layer: Layer, bottom: Shape) -> Window:
    """Kernel, stride and pad of a Pooling layer over a bottom of shape (N, C, H, W)."""
    param = layer.param.pooling_param
    stride, pad = (_pooling_pair(layer, name, (f"{name}_h", f"{name}_w")) for name in ("stride", "pad"))
    if param.global_pooling:
        if stride != (1, 1) or pad != (0, 0) or any(_has(param, f"kernel_{end}") for end in ("size", "h", "w")):
            raise layer.error("global pooling takes neither kernel nor stride nor pad")
        return Window((bottom[2], bottom[3]), stride, pad)
    window = _checked_window(layer, Window(_pooling_kernel(layer), stride, pad))
    if any(p >= k for p, k in zip(window.pad, window.kernel)):
        raise layer.error(f"pad {window.pad} must be smaller than the kernel {window.kernel}")
    return window


def _checked_window(layer: Layer, window: Window) -> Window:
    if min(window.kernel + window.stride + window.dilation) < 1:
        raise layer.error("kernel, stride and dilation must be at least 1")
    return window


def scale_axes(layer: Layer, bottom: Shape) -> tuple[int, int]:
    """(first, past the last) axis of a one-bottom Scale layer's weights."""
    return _covered_axes(layer, layer.param.scale_param, bottom)


def _covered_axes(layer: Layer, param: Any, bottom: Shape) -> tuple[int, int]:
    axis = canonical_axis(layer, param.axis, len(bottom))
    end = len(bottom) if param.num_axes == -1 else axis + param.num_axes
    if not axis <= end <= len(bottom):
        raise layer.error(
            f"axis {param.axis} with num_axes {param.num_axes} reaches past the input {shape_text(bottom)}"
        )
    return axis, end


def concat_axis(layer: Layer, bottom: Shape) -> int:
    """The axis along which a Concat layer joins, from either spelling."""
    param = layer.param.concat_param
    old = _either(layer, param, "axis", ("concat_dim",))
    return canonical_axis(layer, param.concat_dim if old else param.axis, len(bottom))


def bias_axes(layer: Layer, bottom: Shape) -> tuple[int, int]:
    """(first, past the last) axis of a one-bottom Bias layer's values."""
    return _covered_axes(layer, layer.param.bias_param, bottom)


def slice_sizes(layer: Layer, bottom: Shape) -> tuple[int, list[int]]:
    """(axis, how much of it goes into each top) of a Slice layer."""
    param, count = layer.param.slice_param, len(layer.tops)
    old = _either(layer, param, "axis", ("slice_dim",))
    axis = canonical_axis(layer, param.slice_dim if old else param.axis, len(bottom))
    points = list(param.slice_point)
    if not points:
        if bottom[axis] % count:
            raise layer.error(f"{bottom[axis]} do not divide into {count} tops")
        return axis, [bottom[axis] // count] * count
    edges = [0, *points, bottom[axis]]
    sizes = [high - low for low, high in zip(edges, edges[1:])]
    if len(sizes) != count or min(sizes) < 1:
        raise layer.error(f"slice points {points} do not cut {bottom[axis]} into {count} tops")
    return axis, sizes


def crop_starts(layer: Layer, bottom: Shape, wanted: Shape) -> tuple[int, list[int]]:
    """(first axis that is cropped, where the part begins along it and each one behind it) of a Crop layer, whose part has
    the size of `wanted`."""
    param = layer.param.crop_param
    if len(bottom) != len(wanted):
        raise layer.unsupported(f"its inputs have {len(bottom)} and {len(wanted)} axes, which must be as many")
    axis = canonical_axis(layer, param.axis, len(bottom))
    offsets = list(param.offset) or [0]
    if len(offsets) == 1:
        offsets *= len(bottom) - axis
    if len(offsets) != len(bottom) - axis:
        raise layer.error(f"offset takes one value, or one for each of {len(bottom) - axis} axes, not {len(offsets)}")
    for offset, side, part in zip(offsets, bottom[axis:], wanted[axis:]):
        if offset + part > side:
            raise layer.error(f"a part of {part} from {offset} on reaches past the input {shape_text(bottom)}")
    return axis, offsets


def pyramid_windows(layer: Layer, bottom: Shape) -> list[Window]:
    """The poolings of an SPP layer over a bottom of shape (N, C, H, W): 1, 4, 16, ... windows."""
    param = layer.param.spp_param
    windows = []
    for level in range(param.pyramid_height):
        bins = 2**level
        kernel = tuple(-(-side // bins) for side in bottom[2:])
        pad = tuple((size * bins - side + 1) // 2 for size, side in zip(kernel, bottom[2:]))
        if any(padding >= size for padding, size in zip(pad, kernel)):
            raise layer.error(f"{shape_text(bottom)} is too small for a pyramid of {param.pyramid_height} levels")
        windows.append(Window((kernel[0], kernel[1]), (kernel[0], kernel[1]), (pad[0], pad[1])))
    return windows


def pooled_sides(size: Shape, window: Window, rounded_up: bool = True) -> Shape:
    """(height, width) behind a pooling. With padding in either direction Caffe drops a last window that would start in the
    padding."""
    padded, sides = window.pad != (0, 0), []
    for side, kernel, stride, pad in zip(size, window.kernel, window.stride, window.pad):
        span = side + 2 * pad - kernel
        windows = (-(-span // stride) if rounded_up else span // stride) + 1
        sides.append(windows - 1 if padded and (windows - 1) * stride >= side + pad else windows)
    return tuple(sides)


def base_of(layer: Layer, param: Any) -> float:
    """The base of an Exp or a Log layer, -1 being e. Raises ModelError for one without a logarithm, or of a Log for 1."""
    base = math.e if param.base == -1 else float(param.base)
    if not 0 < base < math.inf or (layer.type == "Log" and base == 1):
        but = " other than 1" if layer.type == "Log" else ""
        raise layer.error(f"its base must be a number above 0{but}, not {param.base:g}")
    return base
