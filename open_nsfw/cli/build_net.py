"""`open-nsfw build-net`: write a net as Caffe prototxt, ready to be trained, and print what it costs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from open_nsfw.cli import parsing
from open_nsfw.cli.options import add_debug_option, add_overwrite_option
from open_nsfw.cli.outputs import check_not_an_input
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status
from open_nsfw.errors import OutputError, UsageError
from open_nsfw.files import check_free, write_whole
from open_nsfw.nets.build import PROGRAM, PUBLISHED, ANetToBuild, count, prototxt, published
from open_nsfw.nets.caffemodel import caffemodel_bytes, read_caffemodel
from open_nsfw.nets.classic import ClassicNet
from open_nsfw.nets.initialize import initial_weights, take_over
from open_nsfw.nets.prototxt import parse_prototxt
from open_nsfw.nets.residual import BRANCHES, STEMS, ResidualNet
from open_nsfw.nets.training import (
    DATA_KINDS,
    DEPLOY,
    SOLVER,
    TRAIN_VAL,
    TrainingOptions,
    solver,
    train_val,
    weight_text,
)
from open_nsfw.text import printable

STDOUT = "-"
SEED = 2016
NAMES = tuple(PUBLISHED)
DESCRIPTION = f"""\
Write a network as Caffe prototxt and print what it costs: a published one, by its NAME, or a residual network of the
parts that the options name. SSD nets are left out: Caffe 1.0 lacks their layers. Published networks:
{", ".join(NAMES[:6])},
{", ".join(NAMES[6:])}."""
EXAMPLE = f"""\
examples:
  {PROGRAM} resnet_50 --output resnet_50.prototxt
  {PROGRAM} -b 3 4 15 3 -n 128 --classes 5 --head fc_mine
  {PROGRAM} resnet_66_1by2 --classes 2 --train training/ --freeze stem stage0 --initialize start.caffemodel

The first writes ResNet-50 and prints 25.556032 million parameters, 3858.026368 million multiply-adds. Without NAME and
options the net is that of nsfw_model/deploy.prototxt.

exit status: 0 done, 2 the command line or a file is at fault"""


@dataclass(frozen=True)
class Request:
    """What to write, and where."""

    net: ANetToBuild
    output: str | None = STDOUT
    """File of the deploy prototxt, `-` for standard output; None for none."""
    train: str | None = None
    """Folder of the files for training."""
    training: TrainingOptions = TrainingOptions()
    initialize: str | None = None
    """File of the weights to start from."""
    source: str | None = None
    """Caffemodel that weights are taken over from."""
    seed: int = SEED
    overwrite: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw build-net` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = vars(parser().parse_args(argv))
    net = _net(values)
    training = _training(values)
    if values["source"] is not None and values["initialize"] is None:
        raise UsageError("--from needs --initialize FILE, the file to write")
    output = values["output"]
    if output is None and values["train"] is None and values["initialize"] is None:
        output = STDOUT
    if values["seed"] is None:
        values["seed"] = SEED
    elif values["initialize"] is None:
        raise UsageError("--seed needs --initialize FILE, whose weights it draws")
    names = ("train", "initialize", "source", "seed", "overwrite")
    return Request(net, output, training=training, **{name: values[name] for name in names})


def _net(values: dict[str, Any]) -> ANetToBuild:
    """The net of NAME, or the packaged one, with what the options change."""
    net = ResidualNet() if values["published"] is None else published(values["published"])
    parts = [one.name for one in fields(ResidualNet)]
    given = {part: values[part] for part in parts if values[part] is not None and values[part] is not False}
    if isinstance(net, ClassicNet):
        for part in given:
            if part not in ("classes", "size"):
                raise UsageError(f"{values['published']} is a fixed network: only --classes and --size can be changed")
    if "blocks" in given:
        given["blocks"] = tuple(given["blocks"])
    return replace(net, **given)


def _training(values: dict[str, Any]) -> TrainingOptions:
    options = {
        "data": values["data"],
        "train_source": values["train_source"],
        "test_source": values["test_source"],
        "batch_size": values["batch_size"],
        "freeze": None if values["freeze"] is None else tuple(values["freeze"]),
    }
    given = {name: value for name, value in options.items() if value is not None}
    if values["freeze_batch_norm"]:
        given["freeze_batch_norm"] = True
    if given and values["train"] is None:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} needs --train DIR")
    return TrainingOptions(**given)


def _run(request: Request) -> int:
    if request.initialize is not None:
        check_not_an_input(request.initialize, [request.source], "--initialize")
    cost = count(request.net)
    files = _files(request)
    for path in files:
        check_free(path, request.overwrite)
    if request.train is not None:
        try:
            os.makedirs(request.train, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{request.train}: cannot be made: {error.strerror or error}") from error
    for path, content in files.items():
        write_whole(path, content)
    if request.output == STDOUT:
        print_text(prototxt(request.net))
    print(
        f"{cost.parameters / 1e6} million parameters, {cost.multiply_adds / 1e6} million multiply-adds", file=sys.stderr
    )
    return Status.DONE


def _files(request: Request) -> dict[str, str | bytes]:
    """Path -> content of all files that are asked for."""
    files: dict[str, str | bytes] = {}
    if request.output not in (None, STDOUT):
        files[str(request.output)] = prototxt(request.net)
    if request.train is not None:
        files[os.path.join(request.train, TRAIN_VAL)] = train_val(request.net, request.training)
        files[os.path.join(request.train, SOLVER)] = solver(request.training)
        files[os.path.join(request.train, DEPLOY)] = prototxt(request.net)
    if request.initialize is not None:
        files[request.initialize] = _weights(request)
    return files


def _weights(request: Request) -> bytes:
    """The caffemodel to start from; which layers were not taken over is told on stderr."""
    net = parse_prototxt(weight_text(request.net))
    weights = initial_weights(net, request.seed)
    if request.source is not None:
        taken = take_over(net, weights, read_caffemodel(request.source, net.layer_names))
        for line in taken.left:
            print(f"{PROGRAM}: not taken over: {line}", file=sys.stderr)
        print(
            f"{PROGRAM}: {len(taken.kept)} of {len(weights)} layers have the weights of {printable(request.source)}",
            file=sys.stderr,
        )
        weights = taken.weights
    return caffemodel_bytes(net, weights)


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EXAMPLE,
    )
    result.add_argument(
        "published", nargs="?", metavar="NAME", help="a published network (default: a residual network)"
    )
    add_debug_option(result)
    _add_parts(result.add_argument_group("parts of the net").add_argument)
    _add_outputs(result.add_argument_group("what is written"))
    _add_training(result.add_argument_group("for training, with --train DIR").add_argument)
    return result


def _add_parts(add: Any) -> None:
    net = ResidualNet()
    add("-b", "--blocks", type=int, nargs="+", metavar="N", help="residual blocks per stage (default 3 4 6 3)")
    add(
        *("-n", "--outputs", "--filters"),
        type=int,
        metavar="N",
        dest="filters",
        help=f"channels that leave stage 0; each later stage doubles them (default {net.filters})",
    )
    add(
        *("-m", "--main-branch", "--kind"),
        metavar="KIND",
        dest="kind",
        help=f"kind of every block: {', '.join(BRANCHES)} (default {net.kind})",
    )
    add("--fc-layers", action="store_true", help="1x1 convolutions of 2048 and 4096 filters around the average")
    add("--stem", choices=STEMS, help="first layers: for ImageNet (default) or for CIFAR's small pictures")
    add("--classes", type=int, metavar="N", help="classes to tell apart (default 2; a published network has its own)")
    add("--size", type=int, metavar="PIXELS", help="side of the square input (default 224)")
    add("--head", metavar="NAME", help="name of the last layer (default fc_nsfw for 2 classes, else fcN)")
    add("--name", metavar="NAME", help="name of the net (default: made from depth and width)")


def _add_outputs(group: Any) -> None:
    add = group.add_argument
    add(
        "--output",
        type=parsing.file,
        metavar="FILE",
        help="the net in deploy form; - is standard output (the default unless --train or --initialize is given)",
    )
    add("--train", type=parsing.file, metavar="DIR", help=f"write {TRAIN_VAL}, {SOLVER} and {DEPLOY} into this folder")
    add(
        "--initialize",
        type=parsing.file,
        metavar="FILE",
        help="write a caffemodel to start from: random weights, neutral batch norm",
    )
    add(
        "--from",
        type=parsing.file,
        dest="source",
        metavar="CAFFEMODEL",
        help="with --initialize: take over every layer that fits",
    )
    add("--seed", type=parsing.whole, metavar="N", help=f"seed of the random weights (default {SEED})")
    add_overwrite_option(group)


def _add_training(add: Any) -> None:
    options = TrainingOptions()
    add("--data", choices=DATA_KINDS, help=f"where Caffe reads pictures from (default {options.data})")
    add(
        "--train-source",
        type=parsing.file,
        metavar="PATH",
        help="pictures to learn from (default train_lmdb, or train.txt)",
    )
    add("--test-source", type=parsing.file, metavar="PATH", help="pictures to test on (default test_lmdb, or test.txt)")
    add("--batch-size", type=int, metavar="N", help=f"pictures per step (default {options.batch_size})")
    add("--freeze", nargs="+", metavar="STAGE", help="keep these stages as they are: stem, stage0, ...")
    add(
        "--freeze-batch-norm",
        action="store_true",
        help="keep the batch norm statistics of all stages: for small batches, and for the pycaffe of PyPI",
    )
