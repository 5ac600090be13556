"""A caffemodel with new values in some layers; every other byte of the file stays as it is.

A caffemodel is one protobuf message whose fields follow each other: a key, a length, that many bytes. The pieces of
layers that are not changed are copied without being read, so Caffe gets the very numbers that it had, in whatever form
they were written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from open_nsfw.errors import ModelError
from open_nsfw.nets import schema
from open_nsfw.nets.net import Blob
from open_nsfw.nets.upgrade import blob_holders

# Numbers of fields of NetParameter, shifted by three bits, plus the wire type 2 (a length, then so many bytes).
LAYER_KEYS = ((100 << 3) | 2, (2 << 3) | 2)  # `layer`, and `layers` as Caffe wrote them before 2014
VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5  # wire types


def replace_blobs(caffemodel: bytes, new: Mapping[str, tuple[Blob, ...]]) -> bytes:
    """The caffemodel with the blobs of the layers in `new`: layer name -> all its blobs, float32, in the shapes that the
    file has. Raises ModelError for a layer that is not there, or has other blobs."""
    parts: list[bytes] = []
    missing = set(new)
    for key, piece in _fields(caffemodel):
        name = _layer_name(piece) if key in LAYER_KEYS else None
        if name is not None and name in new:
            missing.discard(name)
            piece = _with_blobs(piece, name, new[name])
        parts.append(piece)
    if missing:
        raise ModelError(f"the caffemodel has no layer {min(missing)!r}")
    return b"".join(parts)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(key, all bytes) of each field."""
    position = 0
    while position < len(message):
        start = position
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            _, position = _varint(message, position)
        elif kind == LENGTH_DELIMITED:
            length, position = _varint(message, position)
            position += length
        elif kind in (FIXED64, FIXED32):
            position += 8 if kind == FIXED64 else 4
        else:
            raise ModelError("the caffemodel is damaged")
        if position > len(message):
            raise ModelError("the caffemodel is damaged")
        yield key, message[start:position]


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """(the number that begins at `position`, where it ends)"""
    value = shift = 0
    while position < len(message) and shift < 70:
        byte = message[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
    raise ModelError("the caffemodel is damaged")


def _layers(piece: bytes) -> Any:
    """The message of a piece that is one field of NetParameter, which is a NetParameter of that field alone."""
    return schema.NetParameter.FromString(piece)


def _only_layer(net: Any) -> Any:
    """The message with its name and blobs: in the form of 2013, one inside."""
    return net.layer[0] if net.layer else blob_holders(net.layers)[0]


def _layer_name(piece: bytes) -> str:
    name: str = _only_layer(_layers(piece)).name
    return name


def _with_blobs(piece: bytes, name: str, new: tuple[Blob, ...]) -> bytes:
    net = _layers(piece)
    blobs = _only_layer(net).blobs
    if len(blobs) != len(new):
        raise ModelError(f"layer {name!r} has {len(blobs)} blobs in the caffemodel, not {len(new)}")
    for blob, values in zip(blobs, new):
        blob.DiscardUnknownFields()  # among them values that are not packed, to which Caffe would add the new ones
        for field in ("data", "double_data", "diff", "double_diff"):
            blob.ClearField(field)
        blob.data.append(np.ascontiguousarray(values, dtype="<f4").tobytes())
    changed: bytes = net.SerializeToString()
    return changed
