"""Layers and blobs -> an ONNX model, batch norm and scale folded into the convolutions before them.

The graph computes what Caffe computes, also where Caffe is peculiar: pooling windows that hang over the edge, divisors
that count padding, layers in place, and tops that share memory with their bottoms.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from open_nsfw.errors import ModelError
from open_nsfw.nets.ancestors import ancestors, shares_memory
from open_nsfw.nets.batch import mixing_layer
from open_nsfw.nets.folding import fold_batch_norm
from open_nsfw.nets.net import Layer, Net
from open_nsfw.nets.onnx_layers import OPERATORS
from open_nsfw.nets.onnx_nodes import Graph
from open_nsfw.nets.shapes import LayerShapes, infer

NAMED = 4  # blobs in a message


def convert(net: Net, output: str, fold: bool = True) -> bytes:
    """An ONNX model of `net` up to the blob `output`, serialized.

    The model takes float32 (N, C, H, W) under the name `input_tensor` of the net's input, and gives the output blob, as
    `output_` and its name. N is free, or 1 where `output` does not keep the inputs of a batch apart. With `fold`, batch
    norm and scale layers disappear into the layer before them; without, each layer stays as it is (to check the folding
    by). Layers that `output` does not depend on are left out. Raises ModelError if no layer makes `output`, or it comes from a
    batch other than 1 that is not kept apart.
    """
    return _serialized(_graph(fold_batch_norm(net) if fold else net, [output]), net, [output])


def convert_blobs(net: Net, outputs: Sequence[str], fold: bool = False) -> bytes:
    """The model of `convert` that gives several blobs, in this order, each as Caffe has it when all layers have run.

    With `fold`, batch norm and scale layers disappear into the layer before them, and with them the blobs between. Raises
    ModelError for a blob that no layer makes, or that folding takes away.
    """
    return _serialized(_graph(fold_batch_norm(net) if fold else net, outputs), net, outputs)


def convert_by_layer(net: Net, output: str) -> tuple[bytes, dict[str, str]]:
    """The model of `convert` without folding, and for each of its nodes the layer that it belongs to."""
    graph = _graph(net, [output])
    return _serialized(graph, net, [output]), dict(graph.layer_of_node)


def _graph(net: Net, outputs: Sequence[str]) -> Graph:
    for output in outputs:
        if output in net.blob_names:
            continue
        raise ModelError(f'the net makes no blob "{output}"; its last ones are {", ".join(net.blob_names[-NAMED:])}')
    mixing, stated = mixing_layer(net, outputs), net.input_shape[0]
    if mixing is not None and stated > 1:
        raise mixing.unsupported(
            f"a score would depend on the rest of the batch of {stated} that the prototxt states; --engine caffe computes it, "
            "with zeros for the rest"
        )
    graph = Graph(net.input_name, net.input_shape, alone=mixing is not None)
    needed = ancestors(net, outputs)
    for place, (layer, shapes) in enumerate(zip(net.layers, infer(net))):
        if place not in needed:  # it may work along the batch, for which the graph has no size
            continue
        before = len(graph.nodes)
        _add_layer(graph, layer, shapes)
        graph.layer_of_node.update((node.name, layer.name) for node in graph.nodes[before:])
    return graph


def _serialized(graph: Graph, net: Net, outputs: Sequence[str]) -> bytes:
    model = graph.model(net.name, outputs)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized


def _add_layer(graph: Graph, layer: Layer, shapes: LayerShapes) -> None:
    if shares_memory(layer):
        for top, shape in zip(layer.tops, shapes.tops):
            graph.share(top, layer.bottoms[0], shape)
        return
    inputs = [graph.read(bottom) for bottom in layer.bottoms]
    outputs = OPERATORS[layer.type](graph, layer, shapes, inputs)
    for index, (top, tensor, shape) in enumerate(zip(layer.tops, outputs, shapes.tops)):
        in_place = index < len(layer.bottoms) and layer.bottoms[index] == top
        graph.write(top, tensor, shape, in_place)
