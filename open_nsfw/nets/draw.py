"""A picture of a net: layers as boxes from top to bottom, shapes on the arrows, what belongs together in one box.

Graphviz draws it, through the package `graphviz` (extra `draw`). Layers in place stand in the box of the layer whose blob
they change. Layers of one block, which the published nets name alike (`conv_stage0_block1_branch2a`, `fire2/squeeze1x1`),
share a box that says what the block computes.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import dataclass, field

from open_nsfw.errors import SetupError, UsageError
from open_nsfw.installing import install_command
from open_nsfw.nets.net import Layer, Net, Shape
from open_nsfw.nets.shapes import infer

MOST_BOXES = 2000  # more take Graphviz minutes, and nobody can look at them
BLOCK = re.compile(r"(?:^|_)(stage\d+_block\d+)(?:_|$)|^([^/]+)/")
LONGEST_NAME = 60
FONT, INK, FILL = "Helvetica", "#1f2937", {"block": "#dbeafe", "layer": "#f3f4f6"}


@dataclass
class Box:
    """Layers that are drawn as one."""

    name: str
    layers: list[Layer] = field(default_factory=list)

    def label(self) -> str:
        """Its name and what is in it."""
        if len({layer.name for layer in self.layers}) == 1:
            return f"{_cut(self.name)}\\n{self.layers[0].type}"
        counts = Counter(layer.type for layer in self.layers)
        parts = [kind if count == 1 else f"{count} {kind}" for kind, count in counts.items()]
        lines = [", ".join(parts[start : start + 3]) for start in range(0, len(parts), 3)]
        return "\\n".join([_cut(self.name), *lines])


def boxes_of(net: Net) -> list[Box]:
    """The layers in boxes, in the order of their first layers."""
    boxes: dict[str, Box] = {}
    maker = {net.input_name: ""}  # blob -> the box that it comes from
    for layer in net.layers:
        match = BLOCK.search(layer.name)
        in_place = bool(layer.bottoms) and layer.tops[:1] == layer.bottoms[:1] and maker[layer.bottoms[0]]
        key = (
            f"block {match[1] or match[2]}" if match else maker[layer.bottoms[0]] if in_place else f"layer {layer.name}"
        )
        name = (match[1] or match[2]) if match else layer.name
        boxes.setdefault(key, Box(name)).layers.append(layer)
        maker.update(dict.fromkeys(layer.tops, key))
    return list(boxes.values())


def svg(net: Net) -> bytes:
    """The picture as SVG. Raises SetupError without Graphviz, UsageError for a net of too many boxes, ModelError for a layer
    that cannot work."""
    check_installed()
    boxes = boxes_of(net)
    if len(boxes) > MOST_BOXES:
        raise UsageError(
            f"a picture of {len(boxes):,} boxes is more than anybody can look at; {MOST_BOXES:,} are drawn"
        )
    import graphviz

    style = {"fontname": FONT, "fontsize": "11", "fontcolor": INK, "color": INK}
    graph = graphviz.Digraph(
        _cut(net.name) or "net",
        format="svg",
        graph_attr={"rankdir": "TB", "nodesep": "0.35", "ranksep": "0.3", "bgcolor": "white"},
        node_attr={**style, "shape": "box", "style": "rounded,filled", "margin": "0.15,0.08"},
        edge_attr={**style, "fontsize": "9", "arrowsize": "0.7"},
    )
    graph.node("input", graphviz.escape(_cut(net.input_name)), fillcolor="#dcfce7")
    for number, box in enumerate(boxes):
        kind = "block" if len(box.layers) > 1 else "layer"
        graph.node(f"box{number}", graphviz.escape(box.label()).replace("\\\\n", "\\n"), fillcolor=FILL[kind])
    for source, target, shape in _arrows(net, boxes):
        graph.edge(source, target, label=f"  {' x '.join(map(str, shape[1:])) or '1'}")
    drawn: bytes = graph.pipe()
    return drawn


def check_installed() -> None:
    """Raises SetupError unless Graphviz and its Python package are there."""
    try:
        import graphviz  # noqa: F401
    except ImportError:
        raise SetupError(f"--draw needs the package graphviz: {install_command('draw')}") from None
    if shutil.which("dot") is None:
        raise SetupError(
            "--draw needs Graphviz's program `dot`: apt-get install graphviz, or see graphviz.org/download"
        )


def _arrows(net: Net, boxes: list[Box]) -> list[tuple[str, str, Shape]]:
    """(from, to, shape of the blob), each once, between boxes only."""
    shapes: dict[str, Shape] = {net.input_name: net.input_shape}
    number_of = {id(layer): f"box{number}" for number, box in enumerate(boxes) for layer in box.layers}
    source, arrows = {net.input_name: "input"}, dict[tuple[str, str, str], Shape]()
    for layer, around in zip(net.layers, infer(net)):
        here = number_of[id(layer)]
        for bottom in layer.bottoms:
            if source[bottom] != here:
                arrows.setdefault((source[bottom], here, bottom), shapes[bottom])
        for top, shape in zip(layer.tops, around.tops):
            source[top], shapes[top] = here, shape
    return [(start, end, shape) for (start, end, _), shape in arrows.items()]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
