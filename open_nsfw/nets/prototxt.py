"""A deploy prototxt (Caffe's text format) -> `Net` without weights, by Caffe's own rules."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from open_nsfw.errors import ModelError, UnsupportedLayerError
from open_nsfw.nets import schema
from open_nsfw.nets.data_layers import DATA_TYPES, data_shape
from open_nsfw.nets.net import MOST_VALUES, Layer, Net, Shape, check_axes, count_values, cut, quoted, read_model_file
from open_nsfw.nets.prototxt_syntax import for_pythons_parser
from open_nsfw.nets.shape_rules import RULES
from open_nsfw.nets.shapes import check_params
from open_nsfw.nets.upgrade import upgraded

# What a net for training has behind the scores, and Silence, which reads what nothing else does: no score depends on it.
UNSCORED_TYPES = frozenset(
    "Accuracy ContrastiveLoss EuclideanLoss HDF5Output HingeLoss InfogainLoss MultinomialLogisticLoss "
    "SigmoidCrossEntropyLoss Silence SoftmaxWithLoss".split()
)
SUPPORTED_TYPES = frozenset(RULES) | {"Input"}
TEST_PHASE = 1
LEVEL = 0  # of a net, unless whoever makes it asks for another

MOST_BYTES = 2 * 2**20  # of a prototxt: the longest published have 0.5 MB, and Python reads 1 to 2 MB a second
LONGEST_PROBLEM = 300  # characters of what the parser says


def read_prototxt(path: str | Path, data_layers: bool = False) -> Net:
    """Read a deploy prototxt (Caffe's text format) into a `Net` without weights, with the layers of the test phase.

    Raises ModelError for text that Caffe would not take, for a layer type that is not supported, and for a net that has
    not exactly one input or reads a blob that no layer has made. With `data_layers`, a net in the form for training has the
    pictures of its data layer for its input.
    """
    text = read_model_file(path, MOST_BYTES).decode("utf-8", errors="replace")
    try:
        return parse_prototxt(text, data_layers)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def parse_prototxt(text: str, data_layers: bool = False) -> Net:
    """The net of a prototxt's text, read as `read_prototxt` reads a file."""
    return _net_from_message(_parse_message(text), data_layers)


def _parse_message(text: str) -> Any:
    """Strictly, so that a misspelt option is not lost."""
    text = for_pythons_parser(text)
    try:
        return _parse_strictly(text)
    except ModelError as problem:
        for layer in _layers_in_test_phase(_parse_leniently(text, problem)):
            if layer.type not in UNSCORED_TYPES:
                _check_type(layer)  # the unknown field may be the settings of a type that is not supported
        raise


def _parse_strictly(text: str) -> Any:
    try:
        return text_format.Parse(text, schema.NetParameter())
    except text_format.ParseError as error:  # it quotes the line, which may be the whole file
        raise ModelError(f"not a readable prototxt: {str(error)[:LONGEST_PROBLEM]}") from None
    except RecursionError:
        raise ModelError("not a readable prototxt: its messages are nested without end") from None


def _parse_leniently(text: str, problem: ModelError) -> Any:
    """The message without fields that the schema does not have; `problem` if not even that can be read."""
    try:
        return text_format.Parse(text, schema.NetParameter(), allow_unknown_field=True)
    except (text_format.ParseError, RecursionError):
        raise problem from None


def _layers_in_test_phase(message: Any) -> Iterator[Any]:
    """The layers that Caffe keeps for the test phase at level 0. Of the file's own state, Caffe's `Net` takes the stages."""
    stages = frozenset(message.state.stage)
    return (layer for layer in [*upgraded(message.layers), *message.layer] if _is_kept(layer, stages))


def _net_from_message(message: Any, data_layers: bool = False) -> Net:
    """The net for inference. With `data_layers` one that reads its pictures itself has them for its input."""
    if message.layers and message.layer:
        raise ModelError("mixes the old `layers` with the new `layer`: Caffe reads only one of them")
    declared = _declared_inputs(message)
    inputs, layers, kept = dict(declared), [], []
    labels: set[str] = set()  # what losses read
    for parameter in _layers_in_test_phase(message):
        layer = Layer(parameter.name, parameter.type, tuple(parameter.bottom), tuple(parameter.top), parameter)
        kept.append(layer)
        if layer.type in UNSCORED_TYPES:
            check_params(layer, 0)
            labels.update(layer.bottoms)
            continue
        if data_layers and layer.type in DATA_TYPES:
            inputs.update({top: data_shape(layer) for top in layer.tops[:1]})
            continue
        _check_type(parameter)
        if layer.type == "Input":
            inputs.update(_input_layer_shapes(layer))
        else:
            layers.append(layer)
    read = {bottom for layer in layers for bottom in layer.bottoms}
    inputs = {name: shape for name, shape in inputs.items() if name in read or name not in labels}
    if len(inputs) != 1:
        named = cut(", ".join(inputs)) or "none"
        raise ModelError(f"a net with one input is needed, this one has {len(inputs)} ({named})")
    if not layers:
        raise ModelError("the net has no layers")
    _check_blob_order(kept, declared)
    (input_name, input_shape), *_ = inputs.items()
    return Net(message.name, input_name, input_shape, tuple(layers))


def _declared_inputs(message: Any) -> dict[str, Shape]:
    """Inputs spelt at the top of the file: `input:` with either `input_shape` or four `input_dim` each."""
    names, dims = list(message.input), list(message.input_dim)
    shapes = [tuple(shape.dim) for shape in message.input_shape]
    shapes = shapes or [tuple(dims[start : start + 4]) for start in range(0, len(dims), 4)]
    if len(names) != len(shapes):
        raise ModelError(f"{len(names)} input names, but {len(shapes)} input shapes")
    return {name: _checked_input_shape(name, shape) for name, shape in zip(names, shapes)}


def _input_layer_shapes(layer: Layer) -> dict[str, Shape]:
    if not layer.tops:
        raise layer.error("it has no top")
    shapes = [tuple(shape.dim) for shape in layer.param.input_param.shape]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    if len(shapes) != len(layer.tops):
        raise layer.error(f"{len(layer.tops)} tops, but {len(shapes)} shapes in input_param")
    return {top: _checked_input_shape(top, shape) for top, shape in zip(layer.tops, shapes)}


def _checked_input_shape(name: str, shape: Shape) -> Shape:
    check_axes(shape, f"input {quoted(name)}")
    if not shape or min(shape) < 1:
        raise ModelError(f"the shape of input {quoted(name)} is {list(shape)}; every dimension must be at least 1")
    if count_values(shape) > MOST_VALUES:
        raise ModelError(f"input {quoted(name)} of shape {list(shape)} has more values than a blob of Caffe can have")
    return shape


def _check_type(parameter: Any) -> None:
    if parameter.type not in SUPPORTED_TYPES:
        raise UnsupportedLayerError(
            f"layer {quoted(parameter.name)} has the type {cut(parameter.type) or '(none)'}, which is not supported; "
            f"supported are {', '.join(sorted(SUPPORTED_TYPES))}"
        )


def _check_blob_order(layers: list[Layer], declared: Collection[str]) -> None:
    """Caffe's rules for all layers of a net, losses too: blobs are made before they are read, by one layer each; `declared`
    come before all layers. A layer in place takes over its blob only if nothing else has read it, nor takes it for a loss (Caffe
    would have given each reader a copy of another name)."""
    readers = dict.fromkeys(declared, 0)
    unscored: set[str] = set()
    for layer in layers:
        for bottom in layer.bottoms:
            if bottom not in readers:
                raise layer.error(f"reads the blob {quoted(bottom)}, which no layer before it makes")
            if bottom in unscored and layer.type not in UNSCORED_TYPES:
                raise layer.unsupported(f"reads the blob {quoted(bottom)}, which a loss or Accuracy makes")
            readers[bottom] += 1
        for index, top in enumerate(layer.tops):
            in_place = index < len(layer.bottoms) and layer.bottoms[index] == top
            if top in readers and not in_place:
                raise layer.error(f"makes the blob {quoted(top)}, which a layer before it makes already")
            if in_place and readers[top] > 1:
                raise layer.error(
                    f"overwrites the blob {quoted(top)}, which another layer has read or a loss is made of"
                )
            readers[top] = 1 if any(layer.param.loss_weight[index : index + 1]) else 0
        if layer.type in UNSCORED_TYPES:
            unscored.update(layer.tops)


def _is_kept(parameter: Any, stages: frozenset[str]) -> bool:
    """Whether a net in these stages has the layer: include rules of which one holds, or no exclude rule that holds."""
    if parameter.include and parameter.exclude:
        raise ModelError(
            f"layer {quoted(parameter.name)} ({cut(parameter.type)}): it has both include and exclude rules; Caffe takes "
            "one kind"
        )
    if parameter.include:
        return any(_rule_holds(rule, stages) for rule in parameter.include)
    return not any(_rule_holds(rule, stages) for rule in parameter.exclude)


def _rule_holds(rule: Any, stages: frozenset[str]) -> bool:
    """Caffe's Net::StateMeetsRule for the test phase at `LEVEL`."""
    wrong_phase = rule.HasField("phase") and rule.phase != TEST_PHASE
    wrong_level = (rule.HasField("min_level") and rule.min_level > LEVEL) or (
        rule.HasField("max_level") and rule.max_level < LEVEL
    )
    wrong_stage = not stages.issuperset(rule.stage) or not stages.isdisjoint(rule.not_stage)
    return not (wrong_phase or wrong_level or wrong_stage)
