"""`open-nsfw net-cost`: what a Caffe net costs, layer by layer, before anybody trains it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from open_nsfw.cli import parsing
from open_nsfw.cli.options import add_debug_option, add_overwrite_option
from open_nsfw.cli.parsing import OneLineParser
from open_nsfw.cli.process import guarded, print_text
from open_nsfw.cli.status import Status
from open_nsfw.errors import ModelError, UsageError
from open_nsfw.files import check_free, write_whole
from open_nsfw.nets.caffemodel import read_caffemodel
from open_nsfw.nets.cost import LayerCost, NetCost, cost_of
from open_nsfw.nets.draw import check_installed, svg
from open_nsfw.nets.initialize import initial_weights, take_over
from open_nsfw.nets.net import Net
from open_nsfw.nets.prototxt import read_prototxt
from open_nsfw.text import printable

PROGRAM = "open-nsfw net-cost"
FORMATS = ("text", "markdown", "json")
DESCRIPTION = """\
Print what a network costs for one picture: output shape, parameters, multiply-adds and memory of each layer, and sums.
PROTOTXT is any deploy or train_val prototxt of Caffe. Parameters and multiply-adds are counted in full (every learned
value, every operation) and as pynetbuilder does (the first blob of each layer)."""
EXAMPLE = f"""\
examples:
  {PROGRAM} nsfw_model/deploy.prototxt
  {PROGRAM} nsfw_model/deploy.prototxt --measure --format markdown
  {PROGRAM} nsfw_model/deploy.prototxt --draw net.svg

exit status: 0 done, 2 the command line or a file is at fault"""
LONGEST_NAME = 60  # characters of a layer's name in a table


@dataclass(frozen=True)
class Request:
    """Which net, and what is to be said of it."""

    prototxt: str
    format: str = "text"
    measure: bool = False
    weights: str | None = None
    """Caffemodel to measure with; None for random weights."""
    draw: str | None = None
    """SVG file to draw the net into."""
    overwrite: bool = False


def main(argv: Sequence[str]) -> int:
    """Run `open-nsfw net-cost` with these arguments; gives the exit status, 0 or 2."""
    return guarded(PROGRAM, argv, lambda: _run(parse(argv)))


def parse(argv: Sequence[str]) -> Request:
    """The request that a command line makes. Raises UsageError."""
    values = vars(parser().parse_args(argv))
    values.pop("debug")
    if values["weights"] is not None and not values["measure"]:
        raise UsageError("--weights needs --measure, which computes with them")
    if values["draw"] is not None and not values["draw"].lower().endswith(".svg"):
        raise UsageError(f"--draw {printable(values['draw'])}: the name must end in .svg")
    return Request(**values)


def _run(request: Request) -> int:
    if request.draw is not None:
        check_installed()
        check_free(request.draw, request.overwrite)
    net = read_prototxt(request.prototxt, data_layers=True)
    try:
        cost = cost_of(net)
        times = _times(net, request) if request.measure else None
        if request.draw is not None:
            write_whole(request.draw, svg(net))
    except ModelError as error:
        raise type(error)(f"{request.prototxt}: {error}") from error
    print_text({"text": _text, "markdown": _markdown, "json": _json}[request.format](cost, times))
    return Status.DONE


@dataclass(frozen=True)
class _Times:
    """Milliseconds of one picture on one thread."""

    layers: dict[str, float]
    whole: float


def _times(net: Net, request: Request) -> _Times:
    from open_nsfw.scoring.layer_times import measure  # with ONNX Runtime, which a cost alone does without

    weights = initial_weights(net)
    if request.weights is not None:
        taken = take_over(net, weights, read_caffemodel(request.weights, net.layer_names))
        if not taken.kept:
            raise UsageError(
                f"--weights {printable(request.weights)}: no layer of it is one of the net's by name and shape"
            )
        weights = taken.weights
    found = measure(net, weights)
    return _Times(dict(found.layers), found.whole)


# --- tables ---

_COLUMNS = ("layer", "type", "output", "parameters", "multiply-adds", "activation bytes")


def _rows(cost: NetCost, times: _Times | None) -> list[list[str]]:
    """The cells of the table, its head first and its sum last."""
    rows = [[*_COLUMNS, *(["ms"] if times else [])]]
    rows += [_row(layer, times) for layer in cost.layers]
    total = ["in all", f"{len(cost.layers):,} layers", "", *(f"{value:,}" for value in _sums(cost))]
    rows.append([*total, *([f"{sum(times.layers.values()):.2f}"] if times else [])])
    return rows


def _row(layer: LayerCost, times: _Times | None) -> list[str]:
    counts = (layer.parameters, layer.multiply_adds, layer.activation_bytes)
    cells = [_cut(layer.name), layer.type, _shape(layer.output), *(f"{value:,}" for value in counts)]
    return [*cells, *([f"{times.layers.get(layer.name, 0.0):.2f}"] if times else [])]


def _sums(cost: NetCost) -> tuple[int, int, int]:
    return cost.parameters, cost.multiply_adds, cost.activation_bytes


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"


def _cut(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 3] + "..."


def _totals(cost: NetCost, times: _Times | None) -> list[str]:
    """The sums, a sentence each."""
    lines = [
        f"input: {_shape(cost.input)}",
        f"parameters: {cost.parameters / 1e6:.6f} million; as pynetbuilder counts {cost.first_blobs / 1e6:.6f} million",
        f"multiply-adds: {cost.multiply_adds / 1e6:.6f} million; as pynetbuilder counts {cost.first_blob_uses / 1e6:.6f} million",
        f"activations: {cost.activation_bytes / 2**20:.1f} MiB if all are kept, {cost.peak_bytes / 2**20:.1f} MiB at once "
        "if each is given back when nothing reads it any more",
    ]
    if times:
        lines.append(
            f"time: {times.whole:.2f} ms as it is scored; the column ms is of each layer by itself; one thread"
        )
    return lines


def _text(cost: NetCost, times: _Times | None) -> str:
    rows = _rows(cost, times)
    widths = [max(map(len, column)) for column in zip(*rows)]
    left = 3  # columns of words
    lines = [
        "  ".join(
            f"{cell:{'<' if index < left else '>'}{width}}" for index, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]
    return "\n".join([*(line.rstrip() for line in lines), "", *_totals(cost, times)]) + "\n"


def _markdown(cost: NetCost, times: _Times | None) -> str:
    head, *rows = _rows(cost, times)
    marks = ["---"] * 3 + ["---:"] * (len(head) - 3)
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, marks, *rows)]
    return "\n".join([*lines, "", *(f"- {line}" for line in _totals(cost, times))]) + "\n"


def _json(cost: NetCost, times: _Times | None) -> str:
    layers: list[dict[str, Any]] = []
    for layer in cost.layers:
        entry: dict[str, Any] = {
            "name": layer.name,
            "type": layer.type,
            "output": list(layer.output),
            "parameters": layer.parameters,
            "multiply_adds": layer.multiply_adds,
            "pynetbuilder_parameters": layer.first_blob,
            "pynetbuilder_multiply_adds": layer.first_blob_uses,
            "activation_bytes": layer.activation_bytes,
        }
        if times:
            entry["milliseconds"] = round(times.layers.get(layer.name, 0.0), 4)
        layers.append(entry)
    whole = {
        "name": cost.name,
        "input": list(cost.input),
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "pynetbuilder_parameters": cost.first_blobs,
        "pynetbuilder_multiply_adds": cost.first_blob_uses,
        "activation_bytes": cost.activation_bytes,
        "peak_activation_bytes": cost.peak_bytes,
        **({"milliseconds": round(times.whole, 4)} if times else {}),
        "layers": layers,
    }
    return json.dumps(whole, indent=1) + "\n"


def parser() -> OneLineParser:
    """The verb's options."""
    result = OneLineParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EXAMPLE,
    )
    add = result.add_argument
    add(
        "prototxt", type=parsing.file, metavar="PROTOTXT", help="the network, in the form for inference or for training"
    )
    add("--format", choices=FORMATS, default="text", help="format of the table (default text)")
    add(
        "--measure",
        action="store_true",
        help="also measure the milliseconds of each layer on this machine, in ONNX Runtime",
    )
    add(
        "--weights",
        type=parsing.file,
        metavar="CAFFEMODEL",
        help="with --measure: weights to compute with (default: random ones)",
    )
    add(
        "--draw",
        type=parsing.file,
        metavar="FILE.svg",
        help="draw the network: blocks as boxes, shapes on the arrows (needs Graphviz)",
    )
    add_overwrite_option(result)
    add_debug_option(result)
    return result
