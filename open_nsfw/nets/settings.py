"""Settings of layers, read as Caffe reads them: axes that may be negative, windows in either spelling."""

from __future__ import annotations

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
    return canonical_axis(layer, param.concat_dim if param.HasField("concat_dim") else param.axis, len(bottom))


def bias_axes(layer: Layer, bottom: Shape) -> tuple[int, int]:
    """(first, past the last) axis of a one-bottom Bias layer's values."""
    return _covered_axes(layer, layer.param.bias_param, bottom)


def slice_sizes(layer: Layer, bottom: Shape) -> tuple[int, list[int]]:
    """(axis, how much of it goes into each top) of a Slice layer."""
    param, count = layer.param.slice_param, len(layer.tops)
    axis = canonical_axis(layer, param.slice_dim if param.HasField("slice_dim") else param.axis, len(bottom))
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
