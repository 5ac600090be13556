"""Residual networks as Caffe prototxt text: `nsfw_model/deploy.prototxt` is what the defaults write.

The nets are those of pynetbuilder, the tool Yahoo built open_nsfw with, under the same layer names, so that weights load by
name: a 7x7 convolution, a pooling, stages of residual blocks whose width doubles while the side halves, an average, a fully
connected head, a softmax. Deploy form only; nothing here needs Caffe or any other package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from open_nsfw.errors import UsageError

# The stem does not follow `filters`: pynetbuilder's half-width nets ("1by2") keep all 64 filters of the paper's first layer.
STEM_FILTERS = 64
BOTTLENECK = 4  # the outer 1x1 convolution of a bottleneck is this many times wider than the inner two
# Width of the first stage in the paper's own nets (arXiv 1512.03385, table 1), by block kind: only names nets.
FULL_WIDTH = {"bottleneck": 256, "normal": 64}
LAYERS_PER_BLOCK = {"bottleneck": 3, "normal": 2}
# A smaller picture leaves the first pooling a single pixel for its 3x3 window, which Caffe rounds to no output at all.
SMALLEST_SIZE = 3
# Caffe counts a blob's elements in a signed 32-bit int.
LARGEST_BLOB = 2**31 - 1
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

PROGRAM = "open-nsfw build-net"


@dataclass(frozen=True)
class ResidualNet:
    """A residual network to write. Raises `UsageError` where the values make no net."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)  # residual blocks in each stage; every stage after the first halves the side
    filters: int = 128  # channels that leave the first stage (pynetbuilder's -n); each later stage doubles them
    classes: int = 2
    kind: str = "bottleneck"  # blocks of 1x1, 3x3, 1x1 convolutions; or "normal": two 3x3
    size: int = 224  # side of the square BGR input, pixels
    head: str = ""  # name of the fully connected layer; empty: fc_nsfw for two classes, fc<classes> otherwise
    name: str = ""  # name of the net; empty: derived from depth and width, as in ResNet_50_1by2_nsfw

    def __post_init__(self) -> None:
        if not self.blocks or min(self.blocks) < 1:
            raise UsageError(
                f"every stage needs at least 1 block, not {' '.join(map(str, self.blocks)) or 'no stages'}"
            )
        if self.kind not in LAYERS_PER_BLOCK:
            raise UsageError(f"blocks are {' or '.join(LAYERS_PER_BLOCK)}, not {self.kind!r}")
        if self.filters < 1:
            raise UsageError(f"filters must be at least 1, not {self.filters}")
        if self.kind == "bottleneck" and self.filters % BOTTLENECK:
            raise UsageError(f"filters of a bottleneck net must be divisible by {BOTTLENECK}, not {self.filters}")
        if self.classes < 1:
            raise UsageError(f"classes must be at least 1, not {self.classes}")
        if self.size < SMALLEST_SIZE:
            raise UsageError(f"the input size must be at least {SMALLEST_SIZE}, not {self.size}")
        for what, text in (("head", self.head), ("net", self.name)):
            if text and not NAME_PATTERN.fullmatch(text):
                raise UsageError(
                    f"the name of the {what} holds letters, digits and _ . - only (- and . not first), not {text!r}"
                )

    @property
    def head_name(self) -> str:
        """Name of the fully connected layer. pynetbuilder's is fc1000, Yahoo's retrained one fc_nsfw."""
        return self.head or ("fc_nsfw" if self.classes == 2 else f"fc{self.classes}")

    @property
    def net_name(self) -> str:
        """Name of the net: layers with weights on the longest path, width against the paper's, task."""
        depth = 2 + LAYERS_PER_BLOCK[self.kind] * sum(self.blocks)
        full = FULL_WIDTH[self.kind]
        width = f"_1by{full // self.filters}" if full % self.filters == 0 else f"_n{self.filters}"
        task = "_nsfw" if self.head_name == "fc_nsfw" else ""
        return self.name or f"ResNet_{depth}{'' if width == '_1by1' else width}{task}"


@dataclass(frozen=True)
class Cost:
    """What a net costs, counted as pynetbuilder counts.

    `parameters` adds up the first blob of each layer: weights of convolutions and of the head, means of batch norms, factors
    of scales; no biases or variances. `multiply_adds`, for one picture, takes a convolution's weights once for each output
    pixel and every other first blob once.
    """

    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class _Blob:
    name: str
    channels: int
    size: int  # side of the square map


@dataclass(frozen=True)
class _Layer:
    name: str
    type: str
    bottoms: tuple[str, ...]
    top: str
    options: str = ""  # the layer's own parameter message, as text
    weights: int = 0  # elements of its first blob
    repeats: int = 1  # how often one picture uses each of them

    def __str__(self) -> str:
        blobs = " ".join([*(f'bottom: "{bottom}"' for bottom in self.bottoms), f'top: "{self.top}"'])
        lines = [f'name: "{self.name}" type: "{self.type}"', blobs, *([self.options] if self.options else [])]
        return "layer {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


class _Stack:
    """Layers in the order Caffe runs them, by section; each method adds some and gives the blob that leaves them."""

    def __init__(self) -> None:
        self.sections: dict[str, list[_Layer]] = {}
        self._names: set[str] = set()

    def section(self, title: str) -> None:
        """Start a section: what is added from here on stands under this title."""
        self.sections[title] = []

    def add(self, layer: _Layer, top: _Blob) -> _Blob:
        """Add any layer; refuses a second layer of the same name and blobs that Caffe cannot hold."""
        elements = max(layer.weights, top.channels * top.size**2)
        if elements > LARGEST_BLOB:
            raise UsageError(f"{layer.name} needs a blob of {elements} numbers, Caffe holds at most {LARGEST_BLOB}")
        if layer.name in self._names:
            raise UsageError(f"the net would have two layers named {layer.name}; give the head another name")
        self._names.add(layer.name)
        next(reversed(self.sections.values())).append(layer)
        return top

    def data(self, size: int) -> _Blob:
        options = f"input_param {{ shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }} }}"
        return self.add(_Layer("data", "Input", (), "data", options), _Blob("data", 3, size))

    def convolution(self, label: str, bottom: _Blob, filters: int, kernel: int, stride: int) -> _Blob:
        """A padded convolution with bias, then batch norm and scale in place."""
        pad = kernel // 2
        top = _Blob(f"conv_{label}", filters, (bottom.size + 2 * pad - kernel) // stride + 1)
        options = f"convolution_param {{ num_output: {filters} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
        weights = filters * bottom.channels * kernel**2
        self.add(_Layer(top.name, "Convolution", (bottom.name,), top.name, options, weights, top.size**2), top)
        self.in_place(f"bn_{label}", "BatchNorm", top, "batch_norm_param { use_global_stats: true }", filters)
        return self.in_place(f"scale_{label}", "Scale", top, "scale_param { bias_term: true }", filters)

    def in_place(self, name: str, layer_type: str, blob: _Blob, options: str = "", weights: int = 0) -> _Blob:
        return self.add(_Layer(name, layer_type, (blob.name,), blob.name, options, weights), blob)

    def relu(self, label: str, blob: _Blob) -> _Blob:
        return self.in_place(f"relu_{label}", "ReLU", blob)

    def pool(self, name: str, bottom: _Blob, method: str, kernel: int, stride: int) -> _Blob:
        """An unpadded pooling; Caffe rounds the side that leaves it up, where convolutions round down."""
        top = _Blob(name, bottom.channels, -((kernel - bottom.size) // stride) + 1)
        options = f"pooling_param {{ pool: {method} kernel_size: {kernel} stride: {stride} }}"
        return self.add(_Layer(name, "Pooling", (bottom.name,), name, options), top)

    def add_up(self, label: str, shortcut: _Blob, branch: _Blob) -> _Blob:
        """The element-wise sum that closes a block, and its ReLU."""
        top = _Blob(f"eltwise_{label}", branch.channels, branch.size)
        self.add(_Layer(top.name, "Eltwise", (shortcut.name, branch.name), top.name), top)
        return self.relu(label, top)

    def fully_connected(self, name: str, bottom: _Blob, classes: int) -> _Blob:
        options = f"inner_product_param {{ num_output: {classes} }}"
        weights = classes * bottom.channels * bottom.size**2
        return self.add(_Layer(name, "InnerProduct", (bottom.name,), name, options, weights), _Blob(name, classes, 1))

    def softmax(self, name: str, bottom: _Blob) -> _Blob:
        return self.add(_Layer(name, "Softmax", (bottom.name,), name), _Blob(name, bottom.channels, 1))


def _branch(stack: _Stack, label: str, bottom: _Blob, filters: int, stride: int, kind: str) -> _Blob:
    """The convolutions of one block, ReLU between them. Only the first one strides, in a bottleneck a 1x1."""
    inner = filters // BOTTLENECK
    plan = [(inner, 1), (inner, 3), (filters, 1)] if kind == "bottleneck" else [(filters, 3), (filters, 3)]
    blob = bottom
    for index, (width, kernel) in enumerate(plan):
        part = f"{label}_branch2{'abc'[index]}"
        blob = stack.convolution(part, blob, width, kernel, stride if index == 0 else 1)
        if index < len(plan) - 1:
            stack.relu(part, blob)
    return blob


def _stage(stack: _Stack, net: ResidualNet, stage: int, bottom: _Blob) -> _Blob:
    """One stage of residual blocks. The shortcut of its first block is a projection, that of the others the identity.

    Only normal blocks that keep width and side, as at the start of ResNet-18, begin a stage without a projection.
    """
    filters, blob = net.filters * 2**stage, bottom
    for block in range(net.blocks[stage]):
        label = f"stage{stage}_block{block}"
        stack.section(f"stage {stage}, block {block}")
        stride = 2 if stage > 0 and block == 0 else 1
        shortcut = blob
        if block == 0 and (net.kind == "bottleneck" or stride > 1 or blob.channels != filters):
            shortcut = stack.convolution(f"{label}_proj_shortcut", blob, filters, 1, stride)
        blob = stack.add_up(label, shortcut, _branch(stack, label, blob, filters, stride, net.kind))
    return blob


def _sections(net: ResidualNet) -> dict[str, list[_Layer]]:
    stack = _Stack()
    stack.section("stem")
    blob = stack.relu("1", stack.convolution("1", stack.data(net.size), STEM_FILTERS, 7, 2))
    blob = stack.pool("pool1", blob, "MAX", 3, 2)
    for stage in range(len(net.blocks)):
        blob = _stage(stack, net, stage, blob)
    stack.section("head")
    blob = stack.pool("pool", blob, "AVE", blob.size, 1)
    stack.softmax("prob", stack.fully_connected(net.head_name, blob, net.classes))
    return stack.sections


def command(net: ResidualNet) -> str:
    """The command line that writes this net."""
    words = ["-b", *map(str, net.blocks), "-n", str(net.filters), "--classes", str(net.classes)]
    for option, value, default in (
        ("--kind", net.kind, ResidualNet.kind),
        ("--size", net.size, ResidualNet.size),
        ("--head", net.head, ResidualNet.head),
        ("--name", net.name, ResidualNet.name),
    ):
        words += [option, str(value)] if value != default else []
    return f"{PROGRAM} {' '.join(words)}"


def prototxt(net: ResidualNet) -> str:
    """The net as Caffe prototxt in deploy form: blob `data` (1, 3, size, size) goes in, `prob` (1, classes) comes out.

    Raises `UsageError` where a layer would be larger than Caffe can hold or the head has another layer's name.
    """
    text = f'# Written by `{command(net)}`. Change it there, not here.\nname: "{net.net_name}"\n'
    for title, layers in _sections(net).items():
        text += f"\n# {title}\n" + "".join(map(str, layers))
    return text


def count(net: ResidualNet) -> Cost:
    """Parameters and multiply-adds of one forward pass of one picture. Raises as `prototxt` does."""
    layers = [layer for section in _sections(net).values() for layer in section]
    return Cost(sum(layer.weights for layer in layers), sum(layer.weights * layer.repeats for layer in layers))
