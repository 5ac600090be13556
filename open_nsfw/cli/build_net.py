"""`open-nsfw build-net`: write a residual network as Caffe prototxt and print what it costs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from open_nsfw.cli.classify_options import OneLineParser
from open_nsfw.cli.verbs import guarded, print_text
from open_nsfw.files import write_whole
from open_nsfw.nets.build import PROGRAM, ResidualNet, count, prototxt

STDOUT = "-"
EXAMPLE = f"""\
example:
  {PROGRAM} -b 3 4 6 3 -n 256 --classes 1000 --output resnet_50.prototxt

writes ResNet-50 and prints 25.556032 million parameters, 3858.026368 million multiply-adds.
Without options the net is that of nsfw_model/deploy.prototxt.
"""


@dataclass(frozen=True)
class Request:
    """What to write, and where."""

    net: ResidualNet
    output: str = STDOUT


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw build-net` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = vars(_parser().parse_args(argv))
    output = values.pop("output")
    return Request(ResidualNet(**{**values, "blocks": tuple(values["blocks"])}), output)


def _run(request: Request) -> int:
    cost, text = count(request.net), prototxt(request.net)
    print_text(text) if request.output == STDOUT else write_whole(request.output, text)
    print(
        f"{cost.parameters / 1e6} million parameters, {cost.multiply_adds / 1e6} million multiply-adds", file=sys.stderr
    )
    return 0


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Write a residual network as Caffe prototxt and print what it costs.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    net = ResidualNet()
    add = parser.add_argument
    add("-b", "--blocks", type=int, nargs="+", metavar="N", default=net.blocks, help="blocks per stage (3 4 6 3)")
    add("-n", "--filters", type=int, metavar="N", default=net.filters, help="channels that leave stage 0 (128)")
    add("--classes", type=int, metavar="N", default=net.classes, help="classes to tell apart (2)")
    add("--kind", default=net.kind, metavar="KIND", help="bottleneck or normal blocks (bottleneck)")
    add("--size", type=int, metavar="PIXELS", default=net.size, help="side of the square input (224)")
    add("--head", metavar="NAME", default=net.head, help="name of the last layer (fc_nsfw for 2 classes, else fcN)")
    add("--name", metavar="NAME", default=net.name, help="name of the net (made from depth and width)")
    add("--output", metavar="FILE", default="-", help="file to write; - is standard output (-)")
    return parser
