"""The reader of prototxt and caffemodel: every spelling that Caffe takes, and what a damaged file gives."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from open_nsfw import ModelError
from open_nsfw.nets import schema as caffe_schema
from open_nsfw.nets.caffemodel import read_caffemodel
from open_nsfw.nets.net import Net
from open_nsfw.nets.prototxt import SUPPORTED_TYPES, read_prototxt
from open_nsfw.nets.read import read_net
from open_nsfw.nets.upgrade import V1_TYPES
from tests.tools.helpers import MODEL_DEF, SMALL_WEIGHTS, WEIGHTS, caffemodel, examples, needs_caffe, ones, small_net

DIMS = "dim: 2 dim: 3 dim: 5 dim: 7"
RELU = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'
quick = settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def parse(folder: Path, text: str | bytes) -> Net:
    path = folder / "net.prototxt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_prototxt(path)


def parse_weights(folder: Path, data: bytes) -> dict[str, tuple[np.ndarray, ...]]:
    path = folder / "net.caffemodel"
    path.write_bytes(data)
    return read_caffemodel(path)


# --- prototxt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {DIMS} }} }} }}',
        f'layer {{ name: "other" type: "Input" top: "data" input_param {{ shape: {{ {DIMS} }} }} }}',
        f'input: "data" input_shape {{ {DIMS} }}',
        'input: "data" input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7',
        "input: 'data'\r\ninput_dim: 2\r\ninput_dim: 3\r\ninput_dim: 5\r\ninput_dim: 7\r\n",
        f'# a comment\ninput: "data"; input_shape < {DIMS} >,',
        'input: "data" input_shape { dim: [2, 3, 5, 7] }',
    ],
)
def test_every_spelling_of_the_input(head: str, tmp_path: Path) -> None:
    net = parse(tmp_path, f'name: "n" {head}\n{RELU}')
    assert (net.name, net.input_name, net.input_shape) == ("n", "data", (2, 3, 5, 7))
    assert [(layer.name, layer.type, layer.bottoms, layer.tops) for layer in net.layers] == [
        ("r", "ReLU", ("data",), ("r",))
    ]


def test_the_packaged_net() -> None:
    net = read_net(MODEL_DEF, WEIGHTS)
    assert net.input_shape == (1, 3, 224, 224)
    assert net.output_names == ["prob"]
    assert sum(layer.type == "Convolution" for layer in net.layers) == 53
    learned = sum(layer.blobs[0].size for layer in net.layers if layer.type in ("Convolution", "InnerProduct"))
    # counted as its builder counts: the first blob of each layer, batch norm and scale included
    assert sum(layer.blobs[0].size for layer in net.layers if layer.blobs) == 5_904_576 or learned < 5_904_576


@pytest.mark.parametrize("old", sorted(old for old, new in V1_TYPES.items() if new in SUPPORTED_TYPES))
def test_the_old_spelling_of_layers(old: str, tmp_path: Path) -> None:
    text = f'input: "data" input_shape {{ {DIMS} }} layers {{ name: "x" type: {old} bottom: "data" top: "x" }}'
    (layer,) = parse(tmp_path, text).layers
    assert (layer.name, layer.type) == ("x", V1_TYPES[old])


def test_the_old_spelling_keeps_options_and_phases(tmp_path: Path) -> None:
    text = f"""input: "data" input_shape {{ {DIMS} }}
    layers {{ name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 weight_decay: 0
             convolution_param {{ num_output: 4 kernel_size: 3 }} }}
    layers {{ name: "l" type: SOFTMAX_LOSS bottom: "c" bottom: "c" include {{ phase: TRAIN }} }}"""
    (layer,) = parse(tmp_path, text).layers
    assert layer.param.convolution_param.num_output == 4
    assert list(layer.param.convolution_param.kernel_size) == [3]


@pytest.mark.parametrize(
    ("rule", "stays"),
    [
        ("", True),
        ("include { phase: TEST }", True),
        ("include { phase: TRAIN }", False),
        ("include { phase: TRAIN } include { phase: TEST }", True),
        ("exclude { phase: TEST }", False),
        ("exclude { phase: TRAIN }", True),
        ("include { stage: 'deploy' }", False),
        ("include { not_stage: 'train' }", True),
        ("include { min_level: 1 }", False),
        ("include { max_level: 0 }", True),
        ("include { phase: TEST min_level: 1 }", False),
    ],
)
def test_rules_of_the_test_phase(rule: str, stays: bool, tmp_path: Path) -> None:
    text = (
        f'input: "data" input_shape {{ {DIMS} }} {RELU} layer {{ name: "x" type: "TanH" bottom: "r" top: "x" {rule} }}'
    )
    assert [layer.name for layer in parse(tmp_path, text).layers] == ["r", "x"][: 1 + stays]


@pytest.mark.parametrize("rule", ["", "include { phase: TRAIN }"])
def test_a_field_that_caffe_does_not_know(rule: str, tmp_path: Path) -> None:
    """Caffe refuses it in a layer of the training phase, too."""
    with pytest.raises(ModelError) as caught:
        parse(tmp_path, f'input: "data" input_shape {{ {DIMS} }} {RELU} {RELU[:-1]} relu_parm {{ }} {rule} }}')
    assert 'has no field named "relu_parm"' in str(caught.value)


def test_a_misspelt_field_is_not_lost_because_another_layer_is_left_out(tmp_path: Path) -> None:
    """Every layer of the file is read strictly."""
    data = 'layer { name: "d" type: "Data" top: "data" data_param { source: "x" } include { phase: TRAIN } }'
    misspelt = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" relu_param { negative_slop: 0.5 } }'
    with pytest.raises(ModelError) as caught:
        parse(tmp_path, f'{data} input: "data" input_shape {{ {DIMS} }} {misspelt}')
    assert "negative_slop" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'input: "a" input: "b" input_shape {{ {DIMS} }}', "2 input names, but 1 input shapes"),
        (
            f'{RELU} layers {{ name: "x" type: RELU }}',
            "mixes the old `layers` with the new `layer`: Caffe reads only one of them",
        ),
        (
            'layer { name: "data" type: "Input" top: "data" }',
            'layer "data" (Input): 1 tops, but 0 shapes in input_param',
        ),
        ('input: "data" input_shape { }', 'the shape of input "data" is []; every dimension must be at least 1'),
        (
            'input: "data" input_dim: 1 input_dim: 3 input_dim: 5 input_dim: -7',
            'the shape of input "data" is [1, 3, 5, -7]; every dimension must be at least 1',
        ),
    ],
)
def test_what_is_wrong_with_a_prototxt(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        parse(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/net.prototxt: {message}"


def test_bytes_that_are_not_utf_8_in_a_name(tmp_path: Path) -> None:
    """Comments and names of nets from elsewhere are in any encoding; Caffe does not mind."""
    net = parse(tmp_path, b'# caf\xe9\nname: "caf\xe9" input: "data" input_shape { dim: 1 dim: 2 }\n' + RELU.encode())
    assert [layer.name for layer in net.layers] == ["r"]


@pytest.mark.parametrize(
    "escape", ["\\q", "\\?", "\\N{SPACE}", "\\X41", "\\\0", "\\é", "\\777", "\\u005cq", "\\U0000005cq"]
)
def test_an_escape_that_not_everybody_knows(escape: str, tmp_path: Path) -> None:
    """Refused: Caffe would not take most of them, and protobuf's Python part would warn."""
    with pytest.raises(ModelError) as caught:
        parse(tmp_path, f'name: "a"\ninput: "\\\\{escape}"\n')
    shown = escape[:2].replace("\0", "\\x00")
    assert str(caught.value) == (
        f"{tmp_path}/net.prototxt: not a readable prototxt: line 2: a string has the unknown escape {shown}"
    )


def test_escapes_that_everybody_knows(tmp_path: Path) -> None:
    """In comments, anything goes."""
    name = "\\a\\b\\f\\n\\r\\t\\v\\\\q\\'\\\"\\08\\18\\0777\\x41"
    net = parse(tmp_path, f'name: "{name}" # "\\q"\ninput: "data" input_shape {{ {DIMS} }}' + RELU)
    assert net.name == "\a\b\f\n\r\t\v\\q'\"\x008\x018?7A"


WORDS = re.findall(r'"[^"]*"|[\w.]+|[{}:]', small_net())


@quick
@given(st.data())
def test_a_damaged_prototxt_is_a_model_error(tmp_path: Path, data: st.DataObject) -> None:
    """Words dropped, doubled, swapped: it reads, or it says in one line why not."""
    words = list(WORDS)
    for _ in range(data.draw(st.integers(1, 3))):
        at, other = (data.draw(st.integers(0, len(words) - 1)) for _ in range(2))
        kind = data.draw(st.sampled_from(["drop", "double", "swap", "number"]))
        if kind == "drop" and len(words) > 2:
            del words[at]
        elif kind == "double":
            words.insert(other % len(words), words[at])
        elif kind == "swap":
            words[at], words[other] = words[other], words[at]
        elif words[at].isdigit():
            words[at] = str(data.draw(st.sampled_from([0, -1, 2**31, 2**32 - 1, 2**63 - 1, 7])))
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(SMALL_WEIGHTS))
    (tmp_path / "net.prototxt").write_text(" ".join(words))
    one_line_or_fine(tmp_path)


def one_line_or_fine(folder: Path) -> None:
    """Reading the two files in `folder` works, or raises a ModelError of one line."""
    try:
        read_net(folder / "net.prototxt", folder / "net.caffemodel")
    except ModelError as error:
        assert "\n" not in str(error)
        assert str(folder) in str(error)


@quick
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
@example(b"{" * 3000)
@example(b"layer {" * 3000)
@example(b"\0")
@example(b'name: "\x1b[31m')
def test_any_bytes_as_a_prototxt(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(SMALL_WEIGHTS))
    (tmp_path / "net.prototxt").write_bytes(data)
    one_line_or_fine(tmp_path)


# --- caffemodel -------------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def chunk(field: int, body: bytes) -> bytes:
    """A length-delimited field of protobuf's wire format, made by hand."""
    return varint(field << 3 | 2) + varint(len(body)) + body


VALUES = np.arange(6, dtype="<f4").reshape(2, 3)
SHAPE = chunk(7, chunk(1, varint(2) + varint(3)))
UNPACKED_SHAPE = chunk(7, b"\x08" + varint(2) + b"\x08" + varint(3))
BLOBS = {
    "packed": SHAPE + chunk(5, VALUES.tobytes()),
    "one by one": SHAPE + b"".join(b"\x2d" + value.tobytes() for value in VALUES.reshape(-1)),
    "doubles": SHAPE + chunk(8, VALUES.astype("<f8").tobytes()),
    "values before the shape": chunk(5, VALUES.tobytes()) + SHAPE,
    "an unpacked shape": UNPACKED_SHAPE + chunk(5, VALUES.tobytes()),
    "with gradients": SHAPE + chunk(5, VALUES.tobytes()) + chunk(6, VALUES.tobytes()),
}


@pytest.mark.parametrize("encoding", BLOBS)
def test_every_encoding_of_values(encoding: str, tmp_path: Path) -> None:
    data = chunk(100, chunk(1, b"fc") + chunk(2, b"InnerProduct") + chunk(7, BLOBS[encoding]))
    (blob,) = parse_weights(tmp_path, data)["fc"]
    assert blob.dtype == np.float32
    np.testing.assert_array_equal(blob, VALUES)


@needs_caffe
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("encoding", BLOBS)
def test_caffe_reads_these_encodings_alike(encoding: str) -> None:
    from caffe.proto import caffe_pb2

    blob = caffe_pb2.BlobProto.FromString(BLOBS[encoding])
    assert list(blob.shape.dim) == [2, 3]
    assert list(blob.data or blob.double_data) == VALUES.reshape(-1).tolist()


def test_the_old_form_of_a_blob(tmp_path: Path) -> None:
    sides = b"\x08\x01" + b"\x10\x01" + b"\x18\x02" + b"\x20\x03"  # num, channels, height, width
    data = chunk(100, chunk(1, b"fc") + chunk(7, sides + chunk(5, VALUES.tobytes())))
    assert parse_weights(tmp_path, data)["fc"][0].shape == (1, 1, 2, 3)


def test_the_old_form_of_layers(tmp_path: Path) -> None:
    data = chunk(2, chunk(4, b"fc") + b"\x28\x0e" + chunk(6, SHAPE + chunk(5, VALUES.tobytes())))
    np.testing.assert_array_equal(parse_weights(tmp_path, data)["fc"][0], VALUES)


def test_fields_that_nobody_knows_are_passed_over(tmp_path: Path) -> None:
    """Newer Caffes write more than Caffe 1.0 knows."""
    data = chunk(100, chunk(1, b"fc") + chunk(7, BLOBS["packed"]) + chunk(900, b"new")) + chunk(901, b"new")
    np.testing.assert_array_equal(parse_weights(tmp_path, data)["fc"][0], VALUES)


def test_what_is_read_is_not_to_be_written_to() -> None:
    (weights, *_) = read_caffemodel(WEIGHTS)["conv_1"]
    assert weights.shape == (64, 3, 7, 7) and not weights.flags.writeable


@pytest.mark.parametrize("end", range(0, len(caffemodel(SMALL_WEIGHTS)), 3))
def test_cut_anywhere(end: int, tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(small_net())
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(SMALL_WEIGHTS)[:end])
    with pytest.raises(ModelError) as caught:
        read_net(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    assert str(caught.value).startswith(f"{tmp_path}/net.caffemodel")


@quick
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_anywhere(tmp_path: Path, damage: list[tuple[int, int]]) -> None:
    data = bytearray(caffemodel(SMALL_WEIGHTS))
    for at, value in damage:
        data[at % len(data)] = value
    (tmp_path / "net.prototxt").write_text(small_net())
    (tmp_path / "net.caffemodel").write_bytes(data)
    one_line_or_fine(tmp_path)


@quick
@given(st.binary(max_size=100))
@example(b"\x0b" * 3000)
@example(struct.pack("<I", 7) * 100)
def test_any_bytes_as_a_caffemodel(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "net.prototxt").write_text(small_net())
    (tmp_path / "net.caffemodel").write_bytes(data)
    one_line_or_fine(tmp_path)


@pytest.mark.parametrize("dims", [[-2, -3], [-6], [2**62, 4], [0], [2**63 - 1]])
def test_dimensions_that_lie(dims: list[int], tmp_path: Path) -> None:
    message = caffe_schema.NetParameter()
    message.layer.add(name="c").blobs.add(data=[ones(6).tobytes()]).shape.dim.extend(dims)
    with pytest.raises(ModelError) as caught:
        parse_weights(tmp_path, message.SerializeToString())
    assert str(caught.value) == f"{tmp_path}/net.caffemodel: a blob of shape {dims} has 6 values; the file is damaged"
