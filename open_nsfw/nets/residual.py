"""Residual networks, as pynetbuilder built them for Yahoo: under its layer names, so that weights load by name.

A stem, stages of residual blocks whose width doubles while the side halves, an average, a fully connected head, a softmax.
The paper's nets (arXiv 1512.03385) have main branches of two 3x3 convolutions ("normal") or of 1x1, 3x3 and 1x1
("bottleneck"); pynetbuilder's "inception trick" puts a 3x1 and a 1x3 convolution in the place of each 3x3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from open_nsfw.errors import UsageError
from open_nsfw.nets.stack import HEAD_RATES, Blob, Section, Stack, Window

# The stem does not follow `filters`: pynetbuilder's half-width nets ("1by2") keep all 64 filters of the paper's first layer.
STEM_FILTERS = 64
BOTTLENECK = 4  # the outer 1x1 convolution of a bottleneck is this many times wider than the inner ones
BRANCHES = ("normal", "bottleneck", "inception-trick", "inception-trick-bottleneck")
NARROW = ("bottleneck", "inception-trick-bottleneck")  # the main branches with inner convolutions of a quarter's width
STEMS = ("imagenet", "cifar")  # a 7x7 convolution and a pooling, both of stride 2; or a 3x3 convolution of stride 1
# Width of the first stage of a whole net, by main branch: only names nets.
FULL_WIDTH = {"normal": 64, "bottleneck": 256, "inception-trick": 64, "inception-trick-bottleneck": 256}
LAYERS_PER_BLOCK = {"normal": 2, "bottleneck": 3, "inception-trick": 4, "inception-trick-bottleneck": 4}
# A smaller picture leaves the first pooling a single pixel for its 3x3 window, which Caffe rounds to no output at all.
SMALLEST_SIZE = 3
MOST_BLOCKS = 1000  # the deepest published nets have 500; more would be written and read for minutes
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
FC_WIDTHS = (2048, 4096)  # of pynetbuilder's --fc_layers
FC_DROPOUT = 0.2


@dataclass(frozen=True)
class ResidualNet:
    """A residual network to write. Raises `UsageError` where the values make no net."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)  # residual blocks in each stage; every stage after the first halves the side
    filters: int = 128  # channels that leave the first stage (pynetbuilder's -n); each later stage doubles them
    classes: int = 2
    kind: str = "bottleneck"  # main branch of every block, one of BRANCHES
    size: int = 224  # side of the square BGR input, pixels
    head: str = ""  # name of the fully connected layer; empty: fc_nsfw for two classes, fc<classes> otherwise
    name: str = ""  # name of the net; empty: derived from depth and width, as in ResNet_50_1by2_nsfw
    fc_layers: bool = False  # pynetbuilder's --fc_layers: 1x1 convolutions of 2048 and 4096 filters around the average
    stem: str = "imagenet"  # one of STEMS

    def __post_init__(self) -> None:
        if not self.blocks or min(self.blocks) < 1:
            raise UsageError(
                f"every stage needs at least 1 block, not {' '.join(map(str, self.blocks)) or 'no stages'}"
            )
        if sum(self.blocks) > MOST_BLOCKS:
            raise UsageError(f"at most {MOST_BLOCKS} blocks in all, not {sum(self.blocks)}")
        if self.kind not in BRANCHES:
            raise UsageError(f"blocks are {', '.join(BRANCHES[:-1])} or {BRANCHES[-1]}, not {self.kind!r}")
        if self.stem not in STEMS:
            raise UsageError(f"the stem is {' or '.join(STEMS)}, not {self.stem!r}")
        if self.filters < 1:
            raise UsageError(f"filters must be at least 1, not {self.filters}")
        if self.kind in NARROW and self.filters % BOTTLENECK:
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
        """Name of the layer that makes the logits. pynetbuilder's is fc1000, Yahoo's retrained one fc_nsfw; with
        fc_layers it is a convolution."""
        if self.fc_layers:
            return f"conv_{self.head or f'1by1_{self.classes}'}"
        return self.head or ("fc_nsfw" if self.classes == 2 else f"fc{self.classes}")

    @property
    def net_name(self) -> str:
        """Name of the net: layers with weights on the longest path, width against the paper's, task."""
        depth = 2 + LAYERS_PER_BLOCK[self.kind] * sum(self.blocks) + (2 if self.fc_layers else 0)
        full = FULL_WIDTH[self.kind] if self.stem == "imagenet" else 16  # the paper's nets for CIFAR begin with 16
        width = f"_1by{full // self.filters}" if full % self.filters == 0 else f"_n{self.filters}"
        task = ("_4k" if self.fc_layers else "") + ("_nsfw" if self.head_name == "fc_nsfw" else "")
        return self.name or f"ResNet_{depth}{'' if width == '_1by1' else width}{task}"

    def sections(self) -> list[Section]:
        """The net's layers. Raises UsageError where a layer would be larger than Caffe can hold, or the head has another
        layer's name."""
        stack = Stack()
        stack.section("stem", "stem")
        blob = _stem(stack, self)
        for stage in range(len(self.blocks)):
            blob = _stage(stack, self, stage, blob)
        stack.section("head", "head")
        stack.softmax("prob", _head(stack, self, blob))
        return stack.sections


def _stem(stack: Stack, net: ResidualNet) -> Blob:
    data = stack.data(net.size)
    if net.stem == "cifar":
        return stack.normalised_convolution("1", data, net.filters, Window.square(3, 1, 1), relu=True)
    blob = stack.normalised_convolution("1", data, STEM_FILTERS, Window.square(7, 2, 3), relu=True)
    return stack.pool("pool1", blob, "MAX", Window.square(3, 2))


def _stage(stack: Stack, net: ResidualNet, stage: int, bottom: Blob) -> Blob:
    """One stage of residual blocks. The shortcut of its first block is a projection, that of the others the identity.

    Blocks that keep width and side begin the first stage without a projection, unless they are a bottleneck's behind the
    stem for ImageNet. pynetbuilder leaves it out for normal blocks of any width, a net that Caffe refuses.
    """
    filters, blob = net.filters * 2**stage, bottom
    for block in range(net.blocks[stage]):
        label = f"stage{stage}_block{block}"
        stack.section(f"stage {stage}, block {block}", f"stage{stage}")
        stride = 2 if stage > 0 and block == 0 else 1
        shortcut = blob
        always = net.kind in NARROW and net.stem == "imagenet"
        if block == 0 and (always or stride > 1 or blob.channels != filters):
            name = f"{label}_proj_shortcut"
            shortcut = stack.normalised_convolution(name, blob, filters, Window.square(1, stride))
        blob = stack.add_up(label, shortcut, _branch(stack, label, blob, filters, stride, net.kind))
    return blob


def _branch(stack: Stack, label: str, bottom: Blob, filters: int, stride: int, kind: str) -> Blob:
    """The convolutions of one block. Each has a ReLU behind it but the last, whose sum with the shortcut has one; the last
    of pynetbuilder's plain inception trick has a ReLU all the same."""
    plan = _plan(filters, stride, kind)
    blob = bottom
    for index, (part, width, window) in enumerate(plan):
        relu = index < len(plan) - 1 or kind == "inception-trick"
        blob = stack.normalised_convolution(f"{label}_{part}", blob, width, window, relu)
    return blob


def _plan(filters: int, stride: int, kind: str) -> list[tuple[str, int, Window]]:
    """(name, filters, window) of a main branch's convolutions. Only the first strides, in a bottleneck a 1x1; where a 3x1
    and a 1x3 share a 3x3's work, each strides in its own direction."""
    inner, one, three = filters // BOTTLENECK, Window.square(1), Window.square(3, 1, 1)
    wide, tall = Window((1, 3), (1, 1), (0, 1)), Window((3, 1), (1, 1), (1, 0))
    if kind == "normal":
        return [("branch2a", filters, Window.square(3, stride, 1)), ("branch2b", filters, three)]
    if kind == "bottleneck":
        first = ("branch2a", inner, Window.square(1, stride))
        return [first, ("branch2b", inner, three), ("branch2c", filters, one)]
    if kind == "inception-trick-bottleneck":
        first = ("branch2a", inner, Window.square(1, stride))
        split = [("branch_b_3by1", inner, wide), ("branch_b_1by3", inner, tall)]
        return [first, *split, ("branch2c", filters, one)]
    return [
        ("branch_3by1a", filters, Window((1, 3), (1, stride), (0, 1))),
        ("branch_1by3a", filters, Window((3, 1), (stride, 1), (1, 0))),
        ("branch_3by1b", filters, wide),
        ("branch_1by3b", filters, tall),
    ]


def _head(stack: Stack, net: ResidualNet, blob: Blob) -> Blob:
    """The average over all positions and what makes the logits of it."""
    if not net.fc_layers:
        averaged = _average(stack, blob)
        return stack.fully_connected(net.head_name, averaged, net.classes, rates=HEAD_RATES)
    one, (first, second) = Window.square(1), FC_WIDTHS
    blob = stack.normalised_convolution(f"1by1_{first}", blob, first, one, relu=True)
    blob = stack.normalised_convolution(f"1by1_{second}", _average(stack, blob), second, one, relu=True)
    blob = stack.dropout(f"drop_1by1_{second}", blob, FC_DROPOUT)
    # As pynetbuilder has it: batch norm and a ReLU behind the logits, too.
    return stack.normalised_convolution(net.head_name[len("conv_") :], blob, net.classes, one, relu=True)


def _average(stack: Stack, blob: Blob) -> Blob:
    return stack.pool("pool", blob, "AVE", Window.square(blob.height))
