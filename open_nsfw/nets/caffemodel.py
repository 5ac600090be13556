"""A caffemodel (Caffe's wire format) -> the learned arrays of each layer, and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import message as protobuf_message

from open_nsfw.errors import ModelError
from open_nsfw.nets import schema
from open_nsfw.nets.net import Blob, Layer, Net, Shape, check_axes, count_values, read_model_file

MOST_BYTES = 2**31 - 1  # protobuf reads no longer message


def read_caffemodel(path: str | Path) -> dict[str, tuple[Blob, ...]]:
    """Read a caffemodel (Caffe's wire format): layer name -> its blobs, float32, read-only.

    Raises ModelError for a file that is missing, truncated or something else.
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
    check_axes(shape, "a blob")
    count = count_values(shape)
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


def caffemodel_bytes(net: Net, weights: Mapping[str, tuple[Blob, ...]]) -> bytes:
    """A caffemodel with these blobs, in the order of the net's layers: layer name -> float32 arrays."""
    message = schema.NetParameter(name=net.name)
    for layer in net.layers:
        entry = message.layer.add(name=layer.name, type=layer.type)
        for values in weights.get(layer.name, ()):
            blob = entry.blobs.add(data=np.ascontiguousarray(values, dtype="<f4").tobytes())
            blob.shape.dim.extend(values.shape)
    data: bytes = message.SerializeToString()
    return data
