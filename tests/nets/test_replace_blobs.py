"""New values in some layers of a caffemodel; every other byte stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from open_nsfw.errors import ModelError
from open_nsfw.nets import schema
from open_nsfw.nets.caffemodel import read_caffemodel
from open_nsfw.nets.replace_blobs import replace_blobs
from tests.tools.helpers import NETS, WEIGHTS, caffemodel, ones


def parsed(data: bytes, tmp_path: Any) -> dict[str, tuple[Any, ...]]:
    """What the reader finds in a caffemodel's bytes."""
    (tmp_path / "net.caffemodel").write_bytes(data)
    return read_caffemodel(tmp_path / "net.caffemodel")


def test_only_the_layer_changes(tmp_path: Any) -> None:
    """Of Yahoo's file, 8,200 bytes of values; the file is as long as it was, and equal on both sides of them."""
    before = WEIGHTS.read_bytes()
    random = np.random.default_rng(0)
    new = random.normal(size=(2, 1024)).astype(np.float32), random.normal(size=2).astype(np.float32)
    after = replace_blobs(before, {"fc_nsfw": new})
    changed = [index for index, (old, each) in enumerate(zip(before, after)) if old != each]
    assert len(after) == len(before)
    assert changed[-1] - changed[0] < 4 * (2048 + 2) + 100
    found, old = parsed(after, tmp_path), read_caffemodel(WEIGHTS)
    assert list(found) == list(old)
    for name, blobs in found.items():
        for blob, value in zip(blobs, new if name == "fc_nsfw" else old[name]):
            np.testing.assert_array_equal(blob, value)


def test_the_same_values_give_the_same_file() -> None:
    """Byte for byte."""
    before = WEIGHTS.read_bytes()
    assert replace_blobs(before, {"fc_nsfw": read_caffemodel(WEIGHTS)["fc_nsfw"]}) == before


@pytest.mark.parametrize("name", ["legacy_blobs", "spelling_of_2013"])
def test_old_forms(name: str, tmp_path: Any) -> None:
    """num x channels x height x width in place of a shape; layers as they were spelt before 2014."""
    path = NETS / f"{name}.caffemodel"
    old = read_caffemodel(path)
    layer = next(each for each, blobs in old.items() if blobs)
    new = tuple(blob + 1 for blob in old[layer])
    found = parsed(replace_blobs(path.read_bytes(), {layer: new}), tmp_path)
    for each, blobs in found.items():
        for blob, value in zip(blobs, new if each == layer else old[each]):
            np.testing.assert_array_equal(blob, value)


@pytest.mark.parametrize("kind", ["unpacked", "double"])
def test_other_encodings_of_values(kind: str, tmp_path: Any) -> None:
    """Caffe adds up all encodings that a blob has: the old values must be gone."""
    values = b"".join(b"\x2d" + np.float32(each).tobytes() for each in (1, 2)) if kind == "unpacked" else b""
    message = schema.NetParameter()
    blob = message.layer.add(name="c", type="Convolution").blobs.add()
    blob.shape.dim.extend([2])
    if kind == "double":
        blob.double_data.append(np.array([1, 2], "<f8").tobytes())
    else:
        blob.MergeFromString(values)
    after = replace_blobs(message.SerializeToString(), {"c": (np.array([3, 4], np.float32),)})
    (layer,) = schema.NetParameter.FromString(after).layer
    assert values not in after or not values
    assert not layer.blobs[0].double_data
    np.testing.assert_array_equal(parsed(after, tmp_path)["c"][0], [3, 4])


def test_the_form_of_2013(tmp_path: Any) -> None:
    """A layer inside a layer, which Caffe takes the blobs of."""
    message = schema.NetParameter()
    inner = message.layers.add().layer
    inner.name = "c"
    inner.blobs.add(num=1, channels=1, height=1, width=2, data=[np.array([1, 2], "<f4").tobytes()])
    before = message.SerializeToString()
    np.testing.assert_array_equal(parsed(before, tmp_path)["c"][0], [[[[1, 2]]]])
    after = replace_blobs(before, {"c": (np.array([3, 4], np.float32),)})
    np.testing.assert_array_equal(parsed(after, tmp_path)["c"][0], [[[[3, 4]]]])


def test_unknown_layer() -> None:
    """One line."""
    with pytest.raises(ModelError, match=r"^the caffemodel has no layer 'fc'$"):
        replace_blobs(caffemodel({"c": [ones(2)]}), {"fc": (ones(2),)})


def test_other_number_of_blobs() -> None:
    """One line."""
    with pytest.raises(ModelError, match=r"^layer 'c' has 1 blobs in the caffemodel, not 2$"):
        replace_blobs(caffemodel({"c": [ones(2)]}), {"c": (ones(2), ones(2))})


def test_damaged() -> None:
    """Cut anywhere: either an error, or the file ended between two fields."""
    data = caffemodel({"c": [ones(2)], "d": [ones(3)]})
    for length in range(len(data)):
        with pytest.raises(ModelError, match=r"^the caffemodel (is damaged|has no layer 'd')$"):
            replace_blobs(data[:length], {"d": (ones(3),)})
