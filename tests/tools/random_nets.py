"""Nets with random weights, run through real Caffe: what the converter is held to.

For each net three files: NAME.prototxt, NAME.caffemodel and NAME.npz with `data` (what went in, float32 (N, C, H, W))
and `prob` (what Caffe's last blob held, float32). Together the fixed nets use every supported layer with its options;
they are in git (tests/data/nets/) for Pythons without pycaffe. The random ones are for a live hunt.

    python -m tests.tools.random_nets tests/data/nets                     the fixed nets
    python -m tests.tools.random_nets FOLDER --seed 7 --count 200         random nets 7-0 ... 7-199

Needs pycaffe (Python 3.9). Caffe ends the process when it dislikes a net, so each is made in a forked child; a net that
Caffe refuses leaves no files and is named with Caffe's reason. Tests call this as a command, not in their own process.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy as np

from tests.tools.fixed_nets import (
    ACTIVATIONS,
    LEGACY,
    Draft,
    conv,
    dense,
    fixed_nets,
    pool,
    pooled_size,
    reshape,
    starts_inside,
)
from tests.tools.fixed_nets_rare import rare_nets

GRID = 8  # inputs are multiples of 1/8: exact, and the .npz compresses

Shape = tuple[int, ...]  # (C, H, W) of a blob, without the batch


class Wanderer:
    """Composes a net at random, keeping track of shapes so that Caffe accepts nearly all of them."""

    def __init__(self, seed: int, aliases: bool = False) -> None:
        self.aliases = aliases  # whether to overwrite in place what shares its memory with another blob
        self.shared = False  # whether the current blob does
        self.random = np.random.RandomState(seed)
        self.shape: Shape = (self.pick(1, 3, 4), self.pick(5, 8, 13), self.pick(6, 7, 11))
        self.draft = Draft((2, *self.shape), self.pick("layer", "input_dim", "input_shape"))
        self.blob = "data"
        self.older: list[tuple[str, Shape]] = []  # blobs that a later layer may read again

    def pick(self, *choices: Any) -> Any:
        return choices[self.random.randint(len(choices))]

    def chance(self, share: float) -> bool:
        return bool(self.random.rand() < share)

    def number(self, low: float, high: float) -> float:
        return round(float(self.random.uniform(low, high)), 3)

    def put(self, kind: str, options: str = "", others: Sequence[str] = (), shape: Shape | None = None) -> None:
        """Add a layer on the current blob and stand on its output; one that keeps the shape may work in place."""
        in_place = shape is None and not others and kind != "LRN" and (self.aliases or not self.shared)
        in_place = in_place and self.chance(0.5)  # LRN in place reads what it has just overwritten
        if not in_place:
            self.older.append((self.blob, self.shape))
        self.blob = self.draft.add(kind, self.blob, *others, options=options, top=self.blob if in_place else "")
        self.shape = self.shape if shape is None else shape
        self.shared = kind in ("Flatten", "Reshape", "Slice") or (self.shared and in_place)

    def convolution(self) -> None:
        channels, height, width = self.shape
        group = self.pick(*[g for g in range(1, channels + 1) if channels % g == 0])
        outputs = group * self.pick(1, 2)
        if min(height, width) >= 5 and self.chance(0.5):
            text, sizes = self.square_kernel()
        else:
            (high, rows), (wide, columns) = self.window(height, "_h", False), self.window(width, "_w", False)
            text, sizes = f"{high} {wide}", (rows, columns)
        bias = self.pick("", "bias_term: false")
        self.put("Convolution", conv(outputs, f"{text} group: {group} {bias}"), shape=(outputs, *sizes))

    def square_kernel(self) -> tuple[str, tuple[int, ...]]:
        """Text for a kernel alike on both sides, perhaps dilated, and the output's height and width."""
        kernel, stride, pad, dilation = self.pick(1, 3), self.pick(1, 1, 2), self.pick(0, 1), self.pick(1, 1, 2)
        reach = dilation * (kernel - 1) + 1
        sizes = tuple((size + 2 * pad - reach) // stride + 1 for size in self.shape[1:])
        return f"kernel_size: {kernel} stride: {stride} pad: {pad} dilation: {dilation}", sizes

    def window(self, size: int, suffix: str, pools: bool = True) -> tuple[str, int]:
        """Text for one side of a window, and the output's size, which pooling rounds up and convolution down."""
        kernel = self.random.randint(1, min(size, 5) + 1)
        stride, pad = self.pick(1, 2, 3), self.random.randint(0, kernel)
        if not pools and self.chance(0.1):  # larger than the padded side, by less than the stride
            kernel, stride = size + 2 * pad + 1, self.pick(2, 3)
            return f"kernel{suffix}: {kernel} stride{suffix}: {stride} pad{suffix}: {pad}", 1
        text = f"kernel{suffix}: {kernel} stride{suffix}: {stride} pad{suffix}: {pad}"
        if not pools:
            return text, (size + 2 * pad - kernel) // stride + 1
        if not starts_inside(size, kernel, stride, pad):
            return f"kernel{suffix}: {kernel} stride{suffix}: 1 pad{suffix}: 0", size - kernel + 1
        return text, pooled_size(size, kernel, stride, pad)

    def pooling(self) -> None:
        channels, height, width = self.shape
        kind = self.pick("MAX", "AVE")
        if self.chance(0.05):
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
        size, alpha, beta = self.pick(3, 5), self.pick(0, *[self.number(0.1, 3)] * 4), self.number(-0.3, 1)
        self.put("LRN", f"lrn_param {{ norm_region: {region} local_size: {size} alpha: {alpha} beta: {beta} }}")

    def dropout(self) -> None:
        self.put("Dropout")

    def train_only(self) -> None:
        self.draft.add("Sigmoid", self.blob, top=self.blob, options="include { phase: TRAIN }")

    def softmax(self) -> None:
        wide = [axis for axis, size in enumerate(self.shape, start=1) if size > 1]  # over one value it gives 1
        if wide:
            self.put("Softmax", f"softmax_param {{ axis: {self.pick(*wide)} }}")

    def eltwise(self) -> None:
        same = [blob for blob, shape in self.older if shape == self.shape and blob != self.blob]
        if not same and len(self.shape) == 3:
            self.put("Convolution", conv(self.shape[0], "kernel_size: 3 pad: 1"), shape=self.shape)
            same = [self.older[-1][0]]
        if same:
            others = [self.pick(*same) for _ in range(self.pick(1, 1, 2))]
            coefficients = " ".join(f"coeff: {self.number(-2, 2)}" for _ in range(len(others) + 1))
            operation = self.pick(
                "", "operation: PROD", "operation: MAX", f"operation: MAX {coefficients}", coefficients
            )
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

    def by_value(self) -> None:
        """A layer that looks at one value at a time; those that Caffe refuses in place stand beside."""
        kind, options = self.pick(
            ("AbsVal", ""),
            ("BNLL", ""),
            ("Threshold", f"threshold_param {{ threshold: {self.number(-1, 1)} }}"),
            ("Power", f"power_param {{ power: 2 scale: {self.number(-1, 1)} shift: {self.number(-1, 1)} }}"),
            ("Bias", f"bias_param {{ axis: {self.random.randint(1, len(self.shape) + 1)} }}"),
        )
        self.put(kind, options, shape=self.shape if kind == "AbsVal" else None)

    def normalise(self) -> None:
        """MVN, which makes four axes of fewer, and takes no more."""
        across, variance = self.pick("", "across_channels: true"), self.pick("", "normalize_variance: false")
        if len(self.shape) <= 3:
            self.put("MVN", f"mvn_param {{ {across} {variance} eps: 0.01 }}", shape=(*self.shape, 1, 1)[:3])

    def deconvolution(self) -> None:
        channels, *sides = self.shape
        group = self.pick(*[g for g in range(1, channels + 1) if channels % g == 0])
        kernel, stride, pad = self.pick(1, 2, 3), self.pick(1, 1, 2), self.pick(0, 0, 1)
        grown = [stride * (side - 1) + kernel - 2 * pad for side in sides]
        if 1 <= min(grown) and max(grown) <= 30:
            text = (
                f"kernel_size: {kernel} stride: {stride} pad: {pad} group: {group} {self.pick('', 'bias_term: false')}"
            )
            self.put("Deconvolution", conv(group * 2, text), shape=(group * 2, *grown))

    def tile(self) -> None:
        axis = self.random.randint(1, len(self.shape) + 1)
        if np.prod(self.shape) < 2000:
            sides = list(self.shape)
            sides[axis - 1] *= 2
            self.put("Tile", f"tile_param {{ axis: {axis} tiles: 2 }}", shape=tuple(sides))

    def part(self) -> None:
        """The larger part of a Slice; the other is left for a later layer. Or one top, which is all of it."""
        if self.chance(0.3):
            self.put("Slice", shape=self.shape)
            return
        wide = [axis for axis, size in enumerate(self.shape, start=1) if size > 2]
        if not wide:
            return
        axis = self.pick(*wide)
        first = [*self.shape[: axis - 1], 1, *self.shape[axis:]]
        rest = [*self.shape[: axis - 1], self.shape[axis - 1] - 1, *self.shape[axis:]]
        self.draft.count += 1
        small, large = (f"slice_{self.draft.count}_{part}" for part in ("small", "large"))
        self.draft.lines.append(
            f'layer {{ name: "slice_{self.draft.count}" type: "Slice" bottom: "{self.blob}" top: "{small}" '
            f'top: "{large}" slice_param {{ axis: {axis} slice_point: 1 }} }}'
        )
        self.older += [(self.blob, self.shape), (small, tuple(first))]
        self.blob, self.shape, self.shared = large, tuple(rest), False

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
        left, right = self.draft.split(self.blob)
        self.older.append((right, self.shape))
        self.blob, self.shared = left, True

    def inner_product(self) -> None:
        axis = self.random.randint(1, len(self.shape) + 1)
        outputs = self.pick(2, 3, 5)
        options = f"axis: {axis} {self.pick('', 'bias_term: false')} {self.pick('', 'transpose: true')}"
        self.put("InnerProduct", dense(outputs, options), shape=(*self.shape[: axis - 1], outputs))

    def flatten(self) -> None:
        axis = self.random.randint(1, len(self.shape) + 1)
        end = self.random.randint(axis - 1, len(self.shape) + 1)  # just before the axis: a new axis of 1
        merged = int(np.prod(self.shape[axis - 1 : end]))
        shape = (*self.shape[: axis - 1], merged, *self.shape[end:])
        self.put("Flatten", f"flatten_param {{ axis: {axis} end_axis: {end} }}", shape=shape)

    def text(self) -> str:
        """4 to 14 steps with pictures (C, H, W), then perhaps some with flat blobs, then `prob`."""
        steps = [self.convolution] * 3 + [self.batch_norm] * 2 + [self.activation] * 3 + [self.eltwise, self.concat] * 2
        steps += [self.pooling, self.pooling, self.scale, self.lrn, self.dropout, self.train_only, self.gate]
        steps += [self.reshape, self.split, self.softmax]
        steps += [self.by_value, self.by_value, self.normalise, self.deconvolution, self.tile, self.part]
        for _ in range(self.random.randint(4, 15)):
            self.pick(*steps)()
        for _ in range(self.random.randint(0, 4)):
            flat = [self.inner_product, self.flatten, self.batch_norm, self.activation, self.scale, self.softmax]
            self.pick(*flat, self.normalise)()
        self.draft.add(self.pick("Softmax" if self.shape[0] > 1 else "ELU", "TanH", "Flatten"), self.blob, top="prob")
        name = self.pick(
            "data", "data", "output_prob", "constant_0", "Relu_1", "input_data"
        )  # some as the converter's own
        return self.draft.text().replace('"data"', f'"{name}"')


def random_nets(seed: int, count: int, aliases: bool = False) -> dict[str, str]:
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
    source = net.blobs[net.inputs[0]].data
    data = (np.rint(random.normal(0, 1, source.shape) * GRID) / GRID).astype(np.float32)
    source[...] = data
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
            except (RuntimeError, ValueError, KeyError, OSError, SystemExit) as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(status)  # nothing may escape from a forked copy of the caller
        _, status = os.waitpid(child, 0)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    reasons = [line for line in lines if re.match(r"F\d{8} |\w+(Error|Exit): ", line)]  # glog's FATAL, or Python's
    return "" if status == 0 else (reasons or lines or ["no reason given"])[0]


def write_nets(folder: Path, nets: dict[str, str]) -> dict[str, str]:
    """Write all nets that Caffe accepts; returns name -> reason for those that it refused."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    import caffe  # noqa: F401  # once, rather than in every child

    folder.mkdir(parents=True, exist_ok=True)
    refused = {}
    for name, prototxt in nets.items():
        reason = in_child(partial(write_net, folder, name, prototxt))
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
    nets = {**fixed_nets(), **rare_nets()} if fixed else random_nets(options.seed, options.count, options.aliases)
    refused = write_nets(options.folder, nets)
    for name, reason in refused.items():
        print(f"{name}: {reason}", file=sys.stderr)
    print(f"{len(nets) - len(refused)} nets written, {len(refused)} refused by Caffe")
    return 1 if fixed and refused else 0


if __name__ == "__main__":
    sys.exit(main())
