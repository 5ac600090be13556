"""A prototxt and a caffemodel, read into layers and blobs; no framework needed.

`read_net` gives a `Net` whose weights are known to be complete and to fit the layers: what real Caffe answers with the
end of the process (a CHECK that fails) is a `ModelError` of one line here.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import message as protobuf_message
from google.protobuf import text_format
from numpy.typing import NDArray

from open_nsfw.errors import ModelError, UnsupportedLayerError
from open_nsfw.nets import schema

Blob = NDArray[np.float32]
Shape = tuple[int, ...]

# Layer types of the old `layers { type: CONVOLUTION }` spelling, by their name in the new one.
V1_TYPES = {
    "CONCAT": "Concat",
    "CONVOLUTION": "Convolution",
    "DROPOUT": "Dropout",
    "ELTWISE": "Eltwise",
    "FLATTEN": "Flatten",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "POOLING": "Pooling",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SOFTMAX": "Softmax",
    "SPLIT": "Split",
    "TANH": "TanH",
}
SUPPORTED_TYPES = frozenset(V1_TYPES.values()) | {"BatchNorm", "ELU", "Input", "PReLU", "Reshape", "Scale"}
TEST_PHASE = 1
MOST_VALUES = 2**31 - 1  # in one blob: Caffe counts them in a C int
LONGEST_PROBLEM = 300  # characters of what the parser says


@dataclass(frozen=True)
class Layer:
    """One layer of the test-phase net.

    `param` is the LayerParameter message without its blobs; `blobs` are the learned arrays as the caffemodel stores
    them (float32, Caffe's order), empty for a layer that learns nothing.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    param: Any = field(repr=False)
    blobs: tuple[Blob, ...] = field(default=(), repr=False)

    def error(self, message: str) -> ModelError:
        """A ModelError whose text begins with this layer's name and type."""
        return ModelError(f'layer "{self.name}" ({self.type}): {message}')

    def unsupported(self, message: str) -> UnsupportedLayerError:
        """The same for what real Caffe computes and this package does not."""
        return UnsupportedLayerError(f'layer "{self.name}" ({self.type}): {message}')


@dataclass(frozen=True)
class Net:
    """A net ready to be computed: one input, layers in the order in which Caffe runs them, weights checked."""

    name: str
    input_name: str
    input_shape: Shape
    layers: tuple[Layer, ...]

    @property
    def blob_names(self) -> list[str]:
        """All blobs that layers make, in order, each once."""
        return list(dict.fromkeys(top for layer in self.layers for top in layer.tops))

    @property
    def output_names(self) -> list[str]:
        """Blobs that no later layer reads, as Caffe lists its outputs."""
        last_made = {top: index for index, layer in enumerate(self.layers) for top in layer.tops}
        last_read = {bottom: index for index, layer in enumerate(self.layers) for bottom in layer.bottoms}
        return [name for name in self.blob_names if last_made[name] >= last_read.get(name, -1)]


def read_net(model_def: str | Path, pretrained_model: str | Path) -> Net:
    """Read and check a net for inference.

    Raises ModelError, in one line, for files that are missing or unreadable, layers that are not supported, weights
    that are missing or of other shapes than the prototxt's layers need.
    """
    from open_nsfw.nets.shapes import check_weights, infer  # which needs this module's classes

    net = read_prototxt(model_def)
    weights = read_caffemodel(pretrained_model)
    try:
        infer(net)
    except ModelError as error:
        raise type(error)(f"{model_def}: {error}") from error
    net = with_weights(net, weights)
    try:
        check_weights(net)
    except ModelError as error:
        raise type(error)(f"{pretrained_model} does not fit {model_def}: {error}") from error
    return net


# ---------------------------------------------------------------------------------------------------------- prototxt


def read_prototxt(path: str | Path) -> Net:
    """Read a deploy prototxt (Caffe's text format) into a `Net` without weights, with the layers of the test phase.

    Raises ModelError for text that Caffe would not take, for a layer type that is not supported, and for a net that has
    not exactly one input or reads a blob that no layer has made.
    """
    text = _read_model_file(path).decode("utf-8", errors="replace")
    try:
        return _net_from_message(_parse_prototxt(text))
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def _parse_prototxt(text: str) -> Any:
    """Strictly, so that a misspelt option is not lost; only layers that are no part of the test net may hold anything."""
    _check_escapes(text)
    try:
        return _parse_strictly(text)
    except ModelError as problem:
        used = _without_unused_layers(text)
        if used != text:
            return _parse_strictly(used)
        for layer in _layers_in_test_phase(_parse_leniently(text, problem)):
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


# A string, a comment, or a brace of Caffe's text format: enough to find where a layer begins and ends.
_PIECES = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*|[{}])""")
# A backslash in a string and what follows it; the group, where not both Caffe and protobuf's Python part know it.
_ESCAPE = re.compile(r"""\\(?:[abfnrtvx\\'"]|[0-7]{1,2}(?![0-7])|[0-3][0-7]{2}|u(?!005[cC])|U(?!0000005[cC])|(.))""")


def _check_escapes(text: str) -> None:
    """Caffe refuses strings with an escape that it does not know; protobuf's Python part would take them with a warning,
    which may be an error for whoever calls us."""
    if "\\" not in text:
        return
    for piece in _PIECES.finditer(text):
        for escape in _ESCAPE.finditer(piece[0]) if piece[0][0] in "\"'" else ():
            if escape[1]:
                line = text.count("\n", 0, piece.start()) + 1
                raise ModelError(f"not a readable prototxt: line {line}: a string has the unknown escape {escape[0]}")


def _without_unused_layers(text: str) -> str:
    """The text with blanks in place of the layers that are not in the test phase; line numbers stay."""
    depth, end, result = 0, 0, []
    for piece in _PIECES.finditer(text):
        if piece[0] == "{":
            depth += 1
        elif piece[0] == "}":
            depth -= 1
            if depth == 0:  # the end of something that began at the top level
                block = text[end : piece.end()]
                result.append(re.sub(r"[^\n]", " ", block) if _is_unused_layer(block) else block)
                end = piece.end()
    return "".join(result) + text[end:]


def _is_unused_layer(block: str) -> bool:
    try:
        message = text_format.Parse(block, schema.NetParameter(), allow_unknown_field=True)
    except (text_format.ParseError, RecursionError):
        return False
    return bool(message.layer or message.layers) and not list(_layers_in_test_phase(message))


def _layers_in_test_phase(message: Any) -> Iterator[Any]:
    layers = [_upgrade_v1_layer(layer) for layer in message.layers] + list(message.layer)
    return filter(_in_test_phase, layers)


def _net_from_message(message: Any) -> Net:
    if message.layers and message.layer:
        raise ModelError("mixes the old `layers` with the new `layer`: Caffe reads only one of them")
    inputs = _declared_inputs(message)
    layers: list[Layer] = []
    for parameter in _layers_in_test_phase(message):
        _check_type(parameter)
        layer = Layer(parameter.name, parameter.type, tuple(parameter.bottom), tuple(parameter.top), parameter)
        if layer.type == "Input":
            inputs.update(_input_layer_shapes(layer))
        else:
            layers.append(layer)
    if len(inputs) != 1:
        named = ", ".join(inputs) or "none"
        raise ModelError(f"a net with one input is needed, this one has {len(inputs)} ({named})")
    if not layers:
        raise ModelError("the net has no layers")
    (input_name, input_shape), *_ = inputs.items()
    _check_blob_order(layers, input_name)
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
    shapes = [tuple(shape.dim) for shape in layer.param.input_param.shape]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    if len(shapes) != len(layer.tops):
        raise layer.error(f"{len(layer.tops)} tops, but {len(shapes)} shapes in input_param")
    return {top: _checked_input_shape(top, shape) for top, shape in zip(layer.tops, shapes)}


def _checked_input_shape(name: str, shape: Shape) -> Shape:
    if not shape or min(shape) < 1:
        raise ModelError(f'the shape of input "{name}" is {list(shape)}; every dimension must be at least 1')
    if math.prod(shape) > MOST_VALUES:
        raise ModelError(f'input "{name}" of shape {list(shape)} has more values than a blob of Caffe can have')
    return shape


def _check_type(parameter: Any) -> None:
    if parameter.type not in SUPPORTED_TYPES:
        raise UnsupportedLayerError(
            f'layer "{parameter.name}" has the type {parameter.type or "(none)"}, which is not supported; '
            f"supported are {', '.join(sorted(SUPPORTED_TYPES))}"
        )


def _check_blob_order(layers: list[Layer], input_name: str) -> None:
    """Caffe's rules for a net: blobs are made before they are read, by one layer each. A layer in place takes over its
    blob only if nothing else has read it (Caffe would have given each reader a copy of another name)."""
    readers = {input_name: 0}
    for layer in layers:
        for bottom in layer.bottoms:
            if bottom not in readers:
                raise layer.error(f'reads the blob "{bottom}", which no layer before it makes')
            readers[bottom] += 1
        for index, top in enumerate(layer.tops):
            in_place = index < len(layer.bottoms) and layer.bottoms[index] == top
            if top in readers and not in_place:
                raise layer.error(f'makes the blob "{top}", which a layer before it makes already')
            if in_place and readers[top] > 1:
                raise layer.error(f'overwrites the blob "{top}", which another layer has read')
            readers[top] = 0


def _in_test_phase(parameter: Any) -> bool:
    """Caffe's rule for a net at level 0 with no stages: any exclude rule that holds drops a layer, and so do include
    rules of which none holds."""
    if parameter.include:
        return any(_rule_holds(rule) for rule in parameter.include)
    return not any(_rule_holds(rule) for rule in parameter.exclude)


def _rule_holds(rule: Any) -> bool:
    wrong_phase = rule.HasField("phase") and rule.phase != TEST_PHASE
    wrong_level = (rule.HasField("min_level") and rule.min_level > 0) or (
        rule.HasField("max_level") and rule.max_level < 0
    )
    return not (wrong_phase or wrong_level or rule.stage)


def _upgrade_v1_layer(old: Any) -> Any:
    """An old `layers` entry as the LayerParameter that Caffe's upgrade_net_proto_text makes of it."""
    type_name = schema.enum_name(old, "type")
    new = schema.LayerParameter(name=old.name, type=V1_TYPES.get(type_name, type_name))
    new.bottom.extend(old.bottom)
    new.top.extend(old.top)
    new.include.extend(old.include)
    new.exclude.extend(old.exclude)
    for descriptor, value in old.ListFields():
        if descriptor.name.endswith("_param"):
            getattr(new, descriptor.name).CopyFrom(value)
    return new


# --------------------------------------------------------------------------------------------------------- caffemodel


def read_caffemodel(path: str | Path) -> dict[str, tuple[Blob, ...]]:
    """Read a caffemodel (Caffe's wire format): layer name -> its blobs, float32, read-only.

    Raises ModelError for a file that is missing, truncated or something else.
    """
    data = _read_model_file(path)
    if data.startswith(b"\x89HDF\r\n"):
        raise ModelError(f"{path}: this is an HDF5 caffemodel; save it again in Caffe's binary format (net.save)")
    if data.startswith(b"version https://git-lfs"):
        raise ModelError(f"{path}: this is a Git LFS pointer, not the weights; fetch them with `git lfs pull`")
    message = schema.NetParameter()
    if not _parse_wire(message, data):
        raise ModelError(
            f"{path}: not a readable caffemodel ({len(data):,} bytes): truncated, damaged or another format"
        )
    layers = list(message.layer) + list(message.layers)
    if not layers:
        raise ModelError(f"{path}: not a readable caffemodel ({len(data):,} bytes): it holds no layers")
    try:
        return {layer.name: tuple(_blob_array(blob) for blob in layer.blobs) for layer in layers}
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _parse_wire(message: Any, data: bytes) -> bool:
    """Whether all of `data` is the message. Older protobufs stop at what they do not know, with a mere warning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            read: int = message.ParseFromString(data)
    except protobuf_message.DecodeError:
        return False
    return read == len(data)


def with_weights(net: Net, weights: dict[str, tuple[Blob, ...]]) -> Net:
    """The net with each layer's blobs, found by the layer's name as Caffe does; layers without an entry get none."""
    layers = tuple(
        Layer(layer.name, layer.type, layer.bottoms, layer.tops, layer.param, weights.get(layer.name, ()))
        for layer in net.layers
    )
    return Net(net.name, net.input_name, net.input_shape, layers)


def _blob_array(blob: Any) -> Blob:
    """A BlobProto's values in its shape: the new `shape`, or the old num x channels x height x width."""
    old = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in old):
        shape: Shape = tuple(max(getattr(blob, name), 1) for name in old)
    else:
        shape = tuple(blob.shape.dim)
    count = math.prod(shape)
    values: Blob = np.frombuffer(blob.data, dtype="<f4") if len(blob.data) == 4 * count else _unusual_values(blob)
    if values.size != count or min(shape, default=1) < 0:
        raise ModelError(f"a blob of shape {list(shape)} has {values.size} values; the file is damaged")
    return values.reshape(shape)


def _unusual_values(blob: Any) -> Blob:
    """Values that are not one packed list of floats: unpacked ones (old writers) or doubles."""
    try:
        values = schema.BlobValues.FromString(blob.SerializeToString())
    except protobuf_message.DecodeError:
        raise ModelError("a blob's values cannot be read; the file is damaged") from None
    return np.array(values.data or values.double_data, dtype=np.float32)


def _read_model_file(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
