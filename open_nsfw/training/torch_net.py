"""A part of a Caffe net in torch: its logits, and the gradient of the loss, by Caffe's own rules.

Each layer is one function of tensors, as in nets/onnx_layers.py. Batch norm uses the statistics that the file has, in
training too: they do not learn, and a picture's logits never depend on the others of its batch.

The gradient of a batch is the sum of those of pieces of `PIECE` pictures. Pieces are computed side by side, each by one
thread, and added up in their order: the sum is the same to the last bit, however many threads or machines took part.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from open_nsfw.errors import ModelError, SetupError
from open_nsfw.installing import install_command
from open_nsfw.nets.folding import batch_norm_statistics
from open_nsfw.nets.net import Blob, Layer, Shape
from open_nsfw.nets.onnx_pooling import average_divisors
from open_nsfw.nets.schema import enum_name
from open_nsfw.nets.settings import concat_axis, convolution_window, pooled_sides, pooling_window, scale_axes
from open_nsfw.nets.shape_rules import convolution_overhang
from open_nsfw.training.stages import LEARNING, Part

PIECE = 8  # pictures whose gradient is computed at once: 350 MB for all layers of Yahoo's net
OLDEST_PYTHON = (3, 10)  # that torch still has releases for
LOWEST = float(np.finfo(np.float32).min)  # what Caffe's max pooling begins with

Float32 = NDArray[np.float32]
Tensor = Any
Key = tuple[str, int]
"""(name of a layer, number of its blob)"""
Weights = dict[Key, Tensor]


def load_torch() -> Any:
    """The library. Raises SetupError, with the command that installs it, where it is not there."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's sums come in any order
    try:
        import torch
    except ImportError as error:
        way = install_command("train") if sys.version_info >= OLDEST_PYTHON else "it needs Python 3.10 or newer"
        raise SetupError(f"torch is needed to train more than the head: {way}") from error
    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # float32 as Caffe has it
    return torch


@dataclass(frozen=True, eq=False)
class Gradient:
    """Of a batch: sums over its pictures, not means."""

    pictures: int
    loss: float
    """The sum of the log losses, natural logarithm."""
    weights: Weights
    """Of each blob that learns, the sum of the gradients."""


class TorchNet:
    """The layers of a part, with weights that learn."""

    def __init__(self, part: Part, device: str = "cpu", jobs: int = 1) -> None:
        """`device` is a name of torch's; `jobs` is how many pieces are computed side by side. Raises SetupError without torch,
        ModelError for a layer that cannot be trained here."""
        self.torch = load_torch()
        check_part(part)
        self._part, self._device = part, device
        self.weights: Weights = {
            (layer.name, number): self.tensor(blob).requires_grad_()
            for layer in part.layers
            if layer.type in LEARNING
            for number, blob in enumerate(layer.blobs)
        }
        self._threads = ThreadPoolExecutor(jobs, "gradient", self.torch.set_num_threads, (1,))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def __enter__(self) -> TorchNet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tensor(self, values: NDArray[Any]) -> Tensor:
        """A copy on the device."""
        return self.torch.tensor(np.ascontiguousarray(values), device=self._device)

    def blobs(self, weights: Weights | None = None) -> dict[str, tuple[Blob, ...]]:
        """All blobs of the layers that learn, float32, as a caffemodel has them: of these weights, or of the net's own."""
        found: dict[str, tuple[Blob, ...]] = {}
        for (name, _), tensor in (self.weights if weights is None else weights).items():
            found[name] = (*found.get(name, ()), tensor.detach().cpu().numpy().copy())
        return found

    def set_blobs(self, blobs: Mapping[str, Sequence[Blob]]) -> None:
        """Give layers that learn other weights, in the shapes that they have."""
        with self.torch.no_grad():
            for name, arrays in blobs.items():
                for number, values in enumerate(arrays):
                    own = self.weights[name, number]
                    own.copy_(self.tensor(values.astype(np.float32)).reshape(own.shape))

    def logits(self, inputs: Float32, weights: Weights | None = None) -> Float32:
        """float32 (N, 2) for values of the blob `start`, float32 (N, ...)."""
        used = self.weights if weights is None else weights

        def piece(values: Float32) -> Float32:
            with self.torch.no_grad():
                found: Float32 = self._forward(self.tensor(values), used).cpu().numpy()
            return found

        return np.concatenate(list(self._threads.map(piece, _pieces(inputs))))

    def gradient(self, inputs: Float32, nsfw: NDArray[np.bool_]) -> Gradient:
        """Of the log loss for values of the blob `start`, float32 (N, ...), and labels, bool (N,)."""
        found = self._threads.map(self._piece_gradient, _pieces(inputs), _pieces(nsfw))
        return reduce(added, found)

    def _piece_gradient(self, inputs: Float32, nsfw: NDArray[np.bool_]) -> Gradient:
        keys = list(self.weights)
        logits = self._forward(self.tensor(inputs), self.weights)
        labels = self.tensor(nsfw.astype(np.int64))
        loss = self.torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        gradients = self.torch.autograd.grad(loss, [self.weights[key] for key in keys])
        return Gradient(len(nsfw), float(loss.detach()), dict(zip(keys, gradients)))

    def _forward(self, inputs: Tensor, weights: Weights) -> Tensor:
        values = {self._part.start: inputs}
        for layer in self._part.layers:
            tensors = [values[bottom] for bottom in layer.bottoms]
            own = [weights[layer.name, number] for number in range(len(layer.blobs))] if layer.type in LEARNING else []
            result = _LAYERS[layer.type](self.torch, layer, tensors, own)
            values.update(dict.fromkeys(layer.tops, result))
        return values[self._part.logits]


def added(first: Gradient, second: Gradient) -> Gradient:
    """The gradient of both batches together."""
    sums = {key: value + second.weights[key] for key, value in first.weights.items()}
    return Gradient(first.pictures + second.pictures, first.loss + second.loss, sums)


def _pieces(values: NDArray[Any]) -> list[NDArray[Any]]:
    return [values[start : start + PIECE] for start in range(0, len(values), PIECE)]


def check_part(part: Part) -> None:
    """Raises ModelError for a layer that cannot be trained here."""
    for layer in part.layers:
        _check(layer)


def check_device(gpu: int | None) -> None:
    """Raises SetupError where torch is not there, or a GPU that is asked for."""
    torch = load_torch()
    if gpu is not None and gpu >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise SetupError(
            f"torch finds {there or 'no'} GPU{'' if there == 1 else 's'}; leave --gpu out to use the processor"
        )


def _check(layer: Layer) -> None:
    """Raises ModelError for what is not computed here."""
    if layer.type not in _LAYERS:
        raise ModelError(f"{layer.label} cannot be trained here; --train head trains the last layer alone")
    settings = layer.param.inner_product_param
    if layer.type == "InnerProduct" and (settings.transpose or settings.axis != 1):
        raise ModelError(f"{layer.label} is transposed or has another axis than 1, which cannot be trained here")
    if layer.type == "Scale" and len(layer.bottoms) != 1:
        raise ModelError(f"{layer.label} has two inputs, which cannot be trained here")


def _convolution(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    window, param = convolution_window(layer), layer.param.convolution_param
    bias = own[1].reshape(-1) if param.bias_term else None
    tall, wide = convolution_overhang(tuple(inputs[0].shape[2:]), window)
    picture = torch.nn.functional.pad(inputs[0], (0, wide, 0, tall)) if tall or wide else inputs[0]
    return torch.nn.functional.conv2d(
        picture, own[0], bias, window.stride, window.pad, window.dilation, int(param.group)
    )


def _inner_product(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    bias = own[1].reshape(-1) if layer.param.inner_product_param.bias_term else None
    weights = own[0].reshape(own[0].shape[-2:])  # old files write two leading ones
    return torch.nn.functional.linear(inputs[0].flatten(1), weights, bias)


def _batch_norm(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    mean, deviation = (
        _like(torch, inputs[0], _per_channel(each, inputs[0].ndim)) for each in batch_norm_statistics(layer)
    )
    return (inputs[0] - mean) / deviation


def _per_channel(values: NDArray[Any], rank: int) -> Float32:
    return values.astype(np.float32).reshape((-1,) + (1,) * (rank - 2))


def _like(torch: Any, tensor: Tensor, values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(tensor.device)


def _scale(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    shape: Shape = tuple(inputs[0].shape)
    first, end = scale_axes(layer, shape)
    fit = shape[first:end] + (1,) * (len(shape) - end)
    scaled = inputs[0] * own[0].reshape(fit)
    return scaled + own[1].reshape(fit) if layer.param.scale_param.bias_term else scaled


def _relu(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    slope = layer.param.relu_param.negative_slope
    return torch.nn.functional.leaky_relu(inputs[0], slope) if slope else torch.relu(inputs[0])


def _pooling(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    """As many windows as Caffe has: what hangs over the edge is padded, and divides an average only as Caffe's rule says."""
    shape: Shape = tuple(inputs[0].shape)
    window, size = pooling_window(layer, shape), shape[2:]
    counts = pooled_sides(size, window, enum_name(layer.param.pooling_param, "round_mode") == "CEIL")
    sides = list(zip(size, counts, window.kernel, window.stride, window.pad))
    ends = [max((count - 1) * stride + kernel - side - pad, 0) for side, count, kernel, stride, pad in sides]
    is_max = enum_name(layer.param.pooling_param, "pool") == "MAX"
    (top, left), (bottom, right) = window.pad, ends
    padded = torch.nn.functional.pad(inputs[0], (left, right, top, bottom), value=LOWEST if is_max else 0.0)
    if is_max:
        found = torch.nn.functional.max_pool2d(padded, window.kernel, window.stride)
    else:
        found = torch.nn.functional.avg_pool2d(padded, window.kernel, window.stride, divisor_override=1)
    found = found[:, :, : counts[0], : counts[1]]
    return found if is_max else found / _like(torch, found, _areas(sides))


def _areas(sides: list[tuple[int, int, int, int, int]]) -> Float32:
    """float32 (H, W): what the sum of each window is divided by."""
    tall, wide = (average_divisors(side, count, kernel, stride, pad) for side, count, kernel, stride, pad in sides)
    return np.outer(tall, wide).astype(np.float32)


def _eltwise(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    param = layer.param.eltwise_param
    operation = enum_name(param, "operation")
    weighted = param.coeff and operation == "SUM"  # MAX ignores them
    terms = [value * factor for value, factor in zip(inputs, param.coeff)] if weighted else inputs
    total = terms[0]
    for term in terms[1:]:
        total = total + term if operation == "SUM" else total * term if operation == "PROD" else torch.max(total, term)
    return total


def _concat(torch: Any, layer: Layer, inputs: list[Tensor], own: list[Tensor]) -> Tensor:
    return torch.cat(inputs, concat_axis(layer, tuple(inputs[0].shape)))


_LAYERS: dict[str, Callable[[Any, Layer, list[Tensor], list[Tensor]], Tensor]] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Eltwise": _eltwise,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "ReLU": _relu,
    "Scale": _scale,
    "Split": lambda torch, layer, inputs, own: inputs[0],
}
