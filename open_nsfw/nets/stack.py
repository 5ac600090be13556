"""Caffe layers as prototxt text, built up one on the other: what every net of `build-net` is made with.

A `Stack` keeps the layers in the order in which Caffe runs them, in sections that the text is headed by. Each layer knows
what it looks like for inference (deploy form) and for training (learning rates and fillers); training.py chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from open_nsfw.errors import UsageError
from open_nsfw.nets.net import MOST_VALUES

# lr_mult and decay_mult of weights and of biases, as in Yahoo's deploy.prototxt: of every layer, and of the head, which
# learns five times as fast.
RATES = ((1, 1), (2, 0))
HEAD_RATES = ((5, 1), (10, 0))
BATCH_NORM_RATES = ((0, 0),) * 3  # Caffe insists on 0: its statistics are no learned weights
MSRA = 'weight_filler { type: "msra" } bias_filler { type: "constant" }'
XAVIER = 'weight_filler { type: "xavier" } bias_filler { type: "constant" }'


def gaussian(std: float, bias: float = 0.0) -> str:
    """Fillers of the older nets: normally distributed weights, and one value for all biases."""
    constant = f" value: {bias:g}" if bias else ""
    return f'weight_filler {{ type: "gaussian" std: {std:g} }} bias_filler {{ type: "constant"{constant} }}'


@dataclass(frozen=True)
class Blob:
    """A blob for one picture: (channels, height, width)."""

    name: str
    channels: int
    height: int
    width: int

    @property
    def values(self) -> int:
        """How many numbers it holds."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class LayerText:
    """One layer, to be written as prototxt."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    top: str
    message: str = ""
    """Name of its own parameter message, such as `convolution_param`."""
    options: tuple[str, ...] = ()
    """What the message holds, for inference and for training."""
    inference: tuple[str, ...] = ()
    """What it holds for inference only, and where a layer is frozen."""
    fillers: str = ""
    """What it holds for training only."""
    rates: tuple[tuple[int, int], ...] = ()
    """lr_mult and decay_mult of each of its learned blobs, for training."""

    def text(self, training: bool = False, frozen: bool = False) -> str:
        """The layer as prototxt. A frozen layer of the training form keeps its weights and its batch norm statistics."""
        kept = self.options if training and not frozen else self.options + self.inference
        inside = " ".join([*kept, *([self.fillers] if training and self.fillers else [])])
        lines = [
            f'name: "{self.name}" type: "{self.type}"',
            " ".join([*(f'bottom: "{bottom}"' for bottom in self.bottoms), f'top: "{self.top}"']),
        ]
        if training:
            rates = ((0, 0),) * len(self.rates) if frozen else self.rates
            lines += [f"param {{ lr_mult: {rate} decay_mult: {decay} }}" for rate, decay in rates]
        if inside:
            lines.append(f"{self.message} {{ {inside} }}")
        return "layer {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


@dataclass
class Section:
    """Layers that belong together, under a heading; `stage` is what freezing calls them."""

    title: str
    stage: str
    layers: list[LayerText] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """A sliding window, each pair (height, width) in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)

    @classmethod
    def square(cls, kernel: int, stride: int = 1, pad: int = 0) -> Window:
        """The same in both directions."""
        return cls((kernel,) * 2, (stride,) * 2, (pad,) * 2)

    @property
    def is_square(self) -> bool:
        """Whether Caffe's short spelling says it all."""
        return all(tall == wide for tall, wide in (self.kernel, self.stride, self.pad))

    def options(self, with_defaults: bool) -> tuple[str, ...]:
        """As fields of a convolution's or pooling's message; `with_defaults` spells stride 1 and padding 0 out."""
        if self.is_square:
            fields = [f"kernel_size: {self.kernel[0]}"]
            fields += [f"stride: {self.stride[0]}"] if with_defaults or self.stride[0] != 1 else []
            fields += [f"pad: {self.pad[0]}"] if with_defaults or self.pad[0] else []
            return tuple(fields)
        pairs = (("kernel", self.kernel), ("stride", self.stride), ("pad", self.pad))
        return tuple(
            f"{name}_{side}: {value}"
            for name, pair in pairs
            for side, value in zip("hw", pair)
            if name != "pad" or any(pair)
        )

    def convolved(self, blob: Blob) -> tuple[int, int]:
        """(height, width) behind a convolution; Caffe rounds down."""
        sides = zip((blob.height, blob.width), self.kernel, self.stride, self.pad)
        height, width = ((side + 2 * pad - kernel) // stride + 1 for side, kernel, stride, pad in sides)
        return height, width

    def pooled(self, blob: Blob) -> tuple[int, int]:
        """(height, width) behind a pooling without padding; Caffe rounds up."""
        sides = zip((blob.height, blob.width), self.kernel, self.stride)
        height, width = (-((kernel - side) // stride) + 1 for side, kernel, stride in sides)
        return height, width


class Stack:
    """Layers in the order Caffe runs them, by section; each method adds some and gives the blob that leaves them."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self._names: set[str] = set()

    def section(self, title: str, stage: str) -> None:
        """Start a section: what is added from here on stands under this title."""
        self.sections.append(Section(title, stage))

    def layers(self) -> Iterator[LayerText]:
        """All layers, in order."""
        return (layer for section in self.sections for layer in section.layers)

    def add(self, layer: LayerText, top: Blob, weights: int = 0) -> Blob:
        """Add any layer, whose first learned blob has so many values.

        Raises UsageError for a second layer of the same name, for a blob that Caffe cannot hold, and for one without
        values.
        """
        if min(top.channels, top.height, top.width) < 1:
            raise UsageError(f"{layer.name} has nothing to give: the input size is too small for this net")
        elements = max(weights, top.values)
        if elements > MOST_VALUES:
            raise UsageError(f"{layer.name} needs a blob of {elements} numbers, Caffe holds at most {MOST_VALUES}")
        if layer.name in self._names:
            raise UsageError(f"the net would have two layers named {layer.name}; give the head another name")
        self._names.add(layer.name)
        self.sections[-1].layers.append(layer)
        return top

    def data(self, size: int) -> Blob:
        """The input: one BGR picture of `size` x `size` pixels."""
        shape = f"shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }}"
        return self.add(LayerText("data", "Input", (), "data", "input_param", (shape,)), Blob("data", 3, size, size))

    def convolution(
        self,
        name: str,
        bottom: Blob,
        filters: int,
        window: Window,
        fillers: str = MSRA,
        groups: int = 1,
        with_defaults: bool = False,
    ) -> Blob:
        """A convolution with biases."""
        top = Blob(name, filters, *window.convolved(bottom))
        grouped = (f"group: {groups}",) if groups > 1 else ()
        options = (f"num_output: {filters}", *window.options(with_defaults), *grouped)
        layer = LayerText(
            name, "Convolution", (bottom.name,), name, "convolution_param", options, fillers=fillers, rates=RATES
        )
        return self.add(layer, top, filters * bottom.channels // groups * window.kernel[0] * window.kernel[1])

    def normalised_convolution(
        self, label: str, bottom: Blob, filters: int, window: Window, relu: bool = False
    ) -> Blob:
        """A convolution, then batch norm and scale in place, as pynetbuilder names them; a ReLU if asked for."""
        top = self.convolution(f"conv_{label}", bottom, filters, window, with_defaults=window.is_square)
        name, frozen = f"bn_{label}", ("use_global_stats: true",)
        self.add(
            LayerText(name, "BatchNorm", (top.name,), top.name, "batch_norm_param", (), frozen, rates=BATCH_NORM_RATES),
            top,
        )
        scaled = LayerText(
            f"scale_{label}",
            "Scale",
            (top.name,),
            top.name,
            "scale_param",
            ("bias_term: true",),
            rates=((1, 1), (1, 0)),
        )
        self.add(scaled, top)
        return self.in_place(f"relu_{label}", "ReLU", top) if relu else top

    def in_place(self, name: str, layer_type: str, blob: Blob, message: str = "", options: Iterable[str] = ()) -> Blob:
        """A layer without weights whose top is its bottom."""
        return self.add(LayerText(name, layer_type, (blob.name,), blob.name, message, tuple(options)), blob)

    def relu(self, label: str, blob: Blob) -> Blob:
        """A ReLU in place, as pynetbuilder names it."""
        return self.in_place(f"relu_{label}", "ReLU", blob)

    def pool(self, name: str, bottom: Blob, method: str, window: Window) -> Blob:
        """A pooling without padding, `method` MAX or AVE."""
        top = Blob(name, bottom.channels, *window.pooled(bottom))
        fields = (f"pool: {method}", f"kernel_size: {window.kernel[0]}", f"stride: {window.stride[0]}")
        return self.add(LayerText(name, "Pooling", (bottom.name,), name, "pooling_param", fields), top)

    def local_response(self, name: str, bottom: Blob) -> Blob:
        """Local response normalization with AlexNet's settings."""
        options = ("local_size: 5", "alpha: 0.0001", "beta: 0.75")
        top = Blob(name, bottom.channels, bottom.height, bottom.width)
        return self.add(LayerText(name, "LRN", (bottom.name,), name, "lrn_param", options), top)

    def add_up(self, label: str, shortcut: Blob, branch: Blob) -> Blob:
        """The element-wise sum that closes a residual block, and its ReLU."""
        name = f"eltwise_{label}"
        top = Blob(name, branch.channels, branch.height, branch.width)
        self.add(LayerText(name, "Eltwise", (shortcut.name, branch.name), name), top)
        return self.relu(label, top)

    def concat(self, name: str, bottoms: list[Blob]) -> Blob:
        """Blobs of the same height and width, their channels one behind the other."""
        first = bottoms[0]
        top = Blob(name, sum(each.channels for each in bottoms), first.height, first.width)
        return self.add(LayerText(name, "Concat", tuple(each.name for each in bottoms), name), top)

    def dropout(self, name: str, blob: Blob, ratio: float) -> Blob:
        """Dropout in place; it does nothing at inference."""
        return self.in_place(name, "Dropout", blob, "dropout_param", (f"dropout_ratio: {ratio:g}",))

    def fully_connected(
        self, name: str, bottom: Blob, outputs: int, fillers: str = MSRA, rates: tuple[tuple[int, int], ...] = RATES
    ) -> Blob:
        """A fully connected layer with biases."""
        layer = LayerText(
            *(name, "InnerProduct", (bottom.name,), name, "inner_product_param", (f"num_output: {outputs}",)),
            fillers=fillers,
            rates=rates,
        )
        return self.add(layer, Blob(name, outputs, 1, 1), outputs * bottom.values)

    def softmax(self, name: str, bottom: Blob) -> Blob:
        """Probabilities over the channels."""
        layer = LayerText(name, "Softmax", (bottom.name,), name)
        return self.add(layer, Blob(name, bottom.channels, bottom.height, bottom.width))
