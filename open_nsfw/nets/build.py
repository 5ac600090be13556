"""Nets as Caffe prototxt text: `nsfw_model/deploy.prototxt` is what the defaults write.

The nets are those of pynetbuilder, the tool Yahoo built open_nsfw with. Nothing here needs Caffe or any other package.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Union

from open_nsfw.errors import UsageError
from open_nsfw.nets.classic import ClassicNet
from open_nsfw.nets.cost import cost_of
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.nets.residual import ResidualNet
from open_nsfw.nets.stack import LayerText, Section

PROGRAM = "open-nsfw build-net"
ANetToBuild = Union[ResidualNet, ClassicNet]

_TRICK, _TRICK_BOTTLENECK = "inception-trick", "inception-trick-bottleneck"
# The nets that pynetbuilder published, and the classic ones that it had, by name; all for the 1,000 classes of ImageNet.
PUBLISHED: Mapping[str, ANetToBuild] = MappingProxyType(
    {
        "resnet_50": ResidualNet(filters=256, classes=1000),
        "resnet_50_1by2": ResidualNet(filters=128, classes=1000),
        "resnet_77_1by2": ResidualNet((3, 4, 15, 3), 128, 1000),
        "resnet_66_1by2": ResidualNet(filters=128, classes=1000, kind=_TRICK_BOTTLENECK),
        "resnet_68_1by2_4k": ResidualNet(filters=128, classes=1000, kind=_TRICK_BOTTLENECK, fc_layers=True),
        "resnet_34": ResidualNet((2, 2, 2, 2), 64, 1000, _TRICK),
        "resnet_36_4k": ResidualNet((2, 2, 2, 2), 64, 1000, _TRICK, fc_layers=True),
        "resnet_110_cifar": ResidualNet((36, 36, 36), 16, 10, size=32, stem="cifar"),
        "alexnet": ClassicNet("alexnet", size=227),
        "vgg_16": ClassicNet("vgg", "16"),
        "vgg_19": ClassicNet("vgg", "19"),
        "squeezenet_1.0": ClassicNet("squeezenet", "1.0", size=227),
        "squeezenet_1.1": ClassicNet("squeezenet", "1.1", size=227),
    }
)


def published(name: str) -> ANetToBuild:
    """A net of `PUBLISHED`; `-` and `_` are the same in its name. Raises UsageError for another name."""
    wanted = name.lower().replace("-", "_")
    if wanted.startswith("ssd") or wanted.endswith("_ssd"):
        raise UsageError(f"{name}: SSD nets need layers that Caffe 1.0 does not have; there are {', '.join(PUBLISHED)}")
    if wanted not in PUBLISHED:
        raise UsageError(f"there is no net named {name!r}; there are {', '.join(PUBLISHED)}")
    return PUBLISHED[wanted]


@dataclass(frozen=True)
class Cost:
    """What a net costs, counted as pynetbuilder counts.

    `parameters` adds up the first blob of each layer: weights of convolutions and of the head, means of batch norms, factors
    of scales; no biases or variances. `multiply_adds`, for one picture, takes a convolution's weights once for each output
    pixel and every other first blob once.
    """

    parameters: int
    multiply_adds: int


def command(net: ANetToBuild) -> str:
    """The command line that writes this net."""
    if isinstance(net, ClassicNet):
        name, known = next(
            (name, each)
            for name, each in PUBLISHED.items()
            if isinstance(each, ClassicNet) and (each.family, each.version) == (net.family, net.version)
        )
        words = [name, *_others(net, known, (("--classes", "classes"), ("--size", "size")))]
    else:
        words = ["-b", *map(str, net.blocks), "-n", str(net.filters), "--classes", str(net.classes)]
        names = (("--kind", "kind"), ("--stem", "stem"), ("--size", "size"), ("--head", "head"), ("--name", "name"))
        words += _others(net, ResidualNet(), names) + (["--fc-layers"] if net.fc_layers else [])
    return f"{PROGRAM} {shlex.join(words)}"


def _others(net: ANetToBuild, usual: ANetToBuild, options: tuple[tuple[str, str], ...]) -> list[str]:
    """The options whose values are not the usual ones."""
    pairs = [
        (option, str(getattr(net, name))) for option, name in options if getattr(net, name) != getattr(usual, name)
    ]
    return [word for pair in pairs for word in pair]


def prototxt(net: ANetToBuild) -> str:
    """The net as Caffe prototxt in deploy form: blob `data` (1, 3, size, size) goes in, `prob` (1, classes) comes out.

    Raises `UsageError` where a layer would be larger than Caffe can hold or the head has another layer's name.
    """
    text = f'# Written by `{command(net)}`. Change it there, not here.\nname: "{net.net_name}"\n'
    return text + "".join(map(section_text, net.sections()))


def section_text(section: Section) -> str:
    """A section in deploy form, under its title."""
    return f"\n# {section.title}\n" + "".join(map(LayerText.text, section.layers))


def count(net: ANetToBuild) -> Cost:
    """Parameters and multiply-adds of one forward pass of one picture, as pynetbuilder counts. Raises as `prototxt`
    does."""
    found = cost_of(parse_prototxt(prototxt(net)))
    return Cost(found.first_blobs, found.first_blob_uses)
