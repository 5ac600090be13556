"""AlexNet, VGG and SqueezeNet as Caffe's model zoo has them: under its layer names, so that its weights load by name.

AlexNet   bvlc_alexnet (Krizhevsky and others 2012), two groups in three of its convolutions
VGG       VGG_ILSVRC_16_layers and _19_layers (arXiv 1409.1556, configurations D and E)
SqueezeNet   versions 1.0 and 1.1 (arXiv 1602.07360 and its authors' repository)
"""

from __future__ import annotations

from dataclasses import dataclass

from open_nsfw.errors import UsageError
from open_nsfw.nets.stack import HEAD_RATES, XAVIER, Blob, Section, Stack, Window, gaussian

VGG_WIDTHS = (64, 128, 256, 512, 512)
VGG_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
FULLY_CONNECTED = 4096
DROPOUT = 0.5
# Squeeze filters of the modules fire2 to fire9, each of which expands to eight times as many.
FIRE_SQUEEZE = (16, 16, 32, 32, 48, 48, 64, 64)
SMALLEST = {"alexnet": 67, "vgg": 32, "squeezenet": 33}  # pixels a side that leave every layer something to read


@dataclass(frozen=True)
class ClassicNet:
    """AlexNet, VGG or SqueezeNet to write. Raises `UsageError` where the values make no net."""

    family: str  # alexnet, vgg or squeezenet
    version: str = ""  # 16 or 19 of vgg; 1.0 or 1.1 of squeezenet
    classes: int = 1000
    size: int = 224  # side of the square BGR input, pixels

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise UsageError(f"classes must be at least 1, not {self.classes}")
        if self.size < SMALLEST[self.family]:
            raise UsageError(f"the input size must be at least {SMALLEST[self.family]}, not {self.size}")

    @property
    def net_name(self) -> str:
        """As the model zoo spells it."""
        names = {"alexnet": "AlexNet", "vgg": f"VGG_{self.version}", "squeezenet": f"SqueezeNet_v{self.version}"}
        return names[self.family]

    @property
    def head_name(self) -> str:
        """Name of the layer that makes the logits: another one than the model zoo's where the classes are others, so that
        its weights are not taken for them."""
        zoo = "conv10" if self.family == "squeezenet" else "fc8"
        return zoo if self.classes == 1000 else f"{zoo}_{self.classes}"

    def sections(self) -> list[Section]:
        """The net's layers. Raises UsageError where a layer would be larger than Caffe can hold."""
        stack = Stack()
        build = {"alexnet": _alexnet, "vgg": _vgg, "squeezenet": _squeezenet}[self.family]
        stack.softmax("prob", build(stack, self))
        return stack.sections


def _rectified(
    stack: Stack, name: str, bottom: Blob, filters: int, window: Window, fillers: str, groups: int = 1, relu: str = ""
) -> Blob:
    """A convolution and its ReLU, called `relu` or after the convolution."""
    blob = stack.convolution(name, bottom, filters, window, fillers, groups)
    return stack.in_place(relu or f"relu{name[len('conv') :]}", "ReLU", blob)


def _fully_connected(stack: Stack, net: ClassicNet, blob: Blob, fillers: tuple[str, str]) -> Blob:
    """fc6 and fc7 with dropout, and the head, as AlexNet and VGG have them."""
    for number in (6, 7):
        stack.section(f"fc{number}", f"fc{number}")
        blob = stack.fully_connected(f"fc{number}", blob, FULLY_CONNECTED, fillers[0])
        blob = stack.in_place(f"relu{number}", "ReLU", blob)
        blob = stack.dropout(f"drop{number}", blob, DROPOUT)
    stack.section("head", "head")
    return stack.fully_connected(net.head_name, blob, net.classes, fillers[1], HEAD_RATES)


def _alexnet(stack: Stack, net: ClassicNet) -> Blob:
    # (filters, window, groups, bias at the start, norm and pooling behind it)
    plan = (
        (96, Window.square(11, 4), 1, 0.0, ("norm", "pool")),
        (256, Window.square(5, 1, 2), 2, 0.1, ("norm", "pool")),
        (384, Window.square(3, 1, 1), 1, 0.0, ()),
        (384, Window.square(3, 1, 1), 2, 0.1, ()),
        (256, Window.square(3, 1, 1), 2, 0.1, ("pool",)),
    )
    stack.section("conv1", "conv1")
    blob = stack.data(net.size)
    for number, (filters, window, groups, bias, behind) in enumerate(plan, 1):
        if number > 1:
            stack.section(f"conv{number}", f"conv{number}")
        blob = _rectified(stack, f"conv{number}", blob, filters, window, gaussian(0.01, bias), groups)
        if "norm" in behind:
            blob = stack.local_response(f"norm{number}", blob)
        if "pool" in behind:
            blob = stack.pool(f"pool{number}", blob, "MAX", Window.square(3, 2))
    return _fully_connected(stack, net, blob, (gaussian(0.005, 0.1), gaussian(0.01)))


def _vgg(stack: Stack, net: ClassicNet) -> Blob:
    stack.section("conv1", "conv1")
    blob = stack.data(net.size)
    for stage, (filters, count) in enumerate(zip(VGG_WIDTHS, VGG_CONVOLUTIONS[int(net.version)]), 1):
        if stage > 1:
            stack.section(f"conv{stage}", f"conv{stage}")
        for number in range(1, count + 1):
            blob = _rectified(stack, f"conv{stage}_{number}", blob, filters, Window.square(3, 1, 1), gaussian(0.01))
        blob = stack.pool(f"pool{stage}", blob, "MAX", Window.square(2, 2))
    return _fully_connected(stack, net, blob, (gaussian(0.005, 0.1), gaussian(0.01)))


def _squeezenet(stack: Stack, net: ClassicNet) -> Blob:
    first = net.version == "1.0"
    pooled = (1, 4, 8) if first else (1, 3, 5)  # modules with a pooling behind them; 1 is the first convolution
    stack.section("conv1", "conv1")
    filters, window = (96, Window.square(7, 2)) if first else (64, Window.square(3, 2))
    blob = _rectified(stack, "conv1", stack.data(net.size), filters, window, XAVIER, relu="relu_conv1")
    blob = stack.pool("pool1", blob, "MAX", Window.square(3, 2))
    for number, squeeze in enumerate(FIRE_SQUEEZE, 2):
        stack.section(f"fire{number}", f"fire{number}")
        blob = _fire(stack, f"fire{number}", blob, squeeze)
        if number in pooled:
            blob = stack.pool(f"pool{number}", blob, "MAX", Window.square(3, 2))
    blob = stack.dropout("drop9", blob, DROPOUT)
    stack.section("head", "head")
    padding = 1 if first else 0  # 1.0 as published pads its 1x1 head, which makes 15 x 15 positions of 13 x 13
    blob = _rectified(
        *(stack, net.head_name, blob, net.classes, Window.square(1, 1, padding), gaussian(0.01)), relu="relu_conv10"
    )
    return stack.pool("pool10", blob, "AVE", Window.square(blob.height))


def _fire(stack: Stack, name: str, bottom: Blob, squeeze: int) -> Blob:
    """A fire module: a 1x1 convolution that squeezes, and a 1x1 and a 3x3 that expand side by side."""

    def rectified(part: str, blob: Blob, filters: int, window: Window) -> Blob:
        return _rectified(stack, f"{name}/{part}", blob, filters, window, XAVIER, relu=f"{name}/relu_{part}")

    squeezed = rectified("squeeze1x1", bottom, squeeze, Window.square(1))
    narrow = rectified("expand1x1", squeezed, 4 * squeeze, Window.square(1))
    wide = rectified("expand3x3", squeezed, 4 * squeeze, Window.square(3, 1, 1))
    return stack.concat(f"{name}/concat", [narrow, wide])
