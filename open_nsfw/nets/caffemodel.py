"""A caffemodel (Caffe's wire format) -> the learned arrays of each layer, and back."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import message as protobuf_message

from open_nsfw.errors import ModelError
from open_nsfw.nets import schema
from open_nsfw.nets.net import Blob, Net, Shape, check_axes, count_values, quoted, read_model_file
from open_nsfw.nets.sharing import with_shared_blobs
from open_nsfw.nets.upgrade import blob_holders

MOST_BYTES = 2**31 - 1  # protobuf reads no longer message


def read_caffemodel(path: str | Path, used: Collection[str] | None = None) -> dict[str, tuple[Blob, ...]]:
    """Read a caffemodel (Caffe's wire format): layer name -> its blobs, float32, read-only.

    The names come in the order in which Caffe copies the blobs; of a name that is there twice, the last counts. `used` are the
    names of the net's layers, all others are nothing to Caffe; None: any may be used. Raises ModelError for a file that is
    missing, truncated or something else, and for a name that is used and there twice with blobs of different shapes.
    """
    data = read_model_file(path, MOST_BYTES)
    if data.startswith(b"\x89HDF\r\n"):
        raise ModelError(f"{path}: this is an HDF5 caffemodel; save it again in Caffe's binary format (net.save)")
    if data.startswith(b"version https://git-lfs"):
        raise ModelError(f"{path}: this is a Git LFS pointer, not the weights; fetch them with `git lfs pull`")
    message = schema.NetParameter()
    if not _parse_wire(message, data):
        raise ModelError(
            f"{path}: not a readable caffemodel ({len(data):,} bytes): truncated, damaged or another format"
        )
    if not message.layer and not message.layers:
        raise ModelError(f"{path}: not a readable caffemodel ({len(data):,} bytes): it holds no layers")
    try:
        return _blobs_by_name(message, used)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _blobs_by_name(message: Any, used: Collection[str] | None) -> dict[str, tuple[Blob, ...]]:
    if message.layer and message.layers:
        raise ModelError("it has layers in the old form and in the new one: Caffe reads only one of them")
    found: dict[str, tuple[Blob, ...]] = {}
    for layer in [*message.layer, *blob_holders(message.layers)]:
        blobs = tuple(_blob_array(blob) for blob in layer.blobs)
        earlier = found.pop(layer.name, blobs)
        differ = [blob.shape for blob in earlier] != [blob.shape for blob in blobs]
        if differ and (used is None or layer.name in used):
            raise ModelError(
                f"the layer {quoted(layer.name)} is there more than once, with blobs of different shapes: Caffe would copy "
                "all of them into one layer"
            )
        found[layer.name] = blobs
    return found


def _parse_wire(message: Any, data: bytes) -> bool:
    """Whether all of `data` is the message. Older protobufs stop at what they do not know, with a mere warning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            read: int = message.ParseFromString(data)
    except protobuf_message.DecodeError:
        return False
    return read == len(data)


def with_weights(net: Net, weights: Mapping[str, tuple[Blob, ...]]) -> Net:
    """The net with the blobs that Caffe would give each layer: those of a name go to the first layer of that name, and
    parameters that are shared hold what was copied last. Layers without blobs in `weights` get none."""
    first: dict[str, int] = {}
    for index, layer in enumerate(net.layers):
        first.setdefault(layer.name, index)
    layers = tuple(
        replace(layer, blobs=weights.get(layer.name, ()) if first[layer.name] == index else ())
        for index, layer in enumerate(net.layers)
    )
    return with_shared_blobs(replace(net, layers=layers), list(weights))


def _blob_array(blob: Any) -> Blob:
    """A BlobProto's values in its shape: the new `shape`, or the old num x channels x height x width."""
    old = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in old):
        shape: Shape = tuple(getattr(blob, name) for name in old)
    else:
        shape = tuple(blob.shape.dim)
    check_axes(shape, "a blob")
    count = count_values(shape)
    values = _values(blob, count)
    if values.size != count or min(shape, default=1) < 0:
        raise ModelError(f"a blob of shape {list(shape)} has {values.size} values; the file is damaged")
    return values.reshape(shape)


def _values(blob: Any, count: int) -> Blob:
    """A BlobProto's values, of which there should be `count`: doubles, where it has any, as Caffe takes them."""
    doubles = any(blob.double_data)
    pieces = blob.double_data if doubles else blob.data
    packed = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    size = 8 if doubles else 4
    if len(packed) == count * size:
        return np.frombuffer(packed, dtype=f"<f{size}").astype(np.float32, copy=False)
    return _values_one_by_one(blob, len(packed) // size)


def _values_one_by_one(blob: Any, packed: int) -> Blob:
    """The values of a blob whose writer did not pack them, but for so many."""
    try:
        values = schema.BlobValues.FromString(blob.SerializeToString())
    except protobuf_message.DecodeError:
        raise ModelError("a blob's values cannot be read; the file is damaged") from None
    found = np.array(values.double_data or values.data, dtype=np.float32)
    if 0 < packed < found.size:  # in which order they came, nobody knows any more
        raise ModelError("some values of a blob are packed and others not, which is not supported: save the file again")
    return found


def caffemodel_bytes(net: Net, weights: Mapping[str, tuple[Blob, ...]]) -> bytes:
    """A caffemodel with these blobs, in the order of the net's layers: layer name -> float32 arrays."""
    message = schema.NetParameter(name=net.name)
    for layer in net.layers:
        entry = message.layer.add(name=layer.name, type=layer.type)
        for values in weights.get(layer.name, ()):
            blob = entry.blobs.add(data=[np.ascontiguousarray(values, dtype="<f4").tobytes()])
            blob.shape.dim.extend(values.shape)
    data: bytes = message.SerializeToString()
    return data
