"""The messages between this process and the one that decodes: a length-prefixed JSON header and a payload."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">II")


def send(stream: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message: two big-endian unsigned 32-bit lengths, that many bytes of JSON, that many of payload. Not
    flushed."""
    header = json.dumps(message).encode()
    stream.write(_LENGTHS.pack(len(header), len(payload)) + header)
    stream.write(payload)


def receive(stream: BinaryIO, most: int = 2**33) -> tuple[dict[str, Any], bytes] | None:
    """Read one message; None where the stream ends before it is whole, or what it announces is more than `most` bytes."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    header_length, payload_length = _LENGTHS.unpack(lengths)
    if header_length + payload_length > most:
        return None
    header, payload = stream.read(header_length), stream.read(payload_length)
    if len(header) < header_length or len(payload) < payload_length:
        return None
    message: dict[str, Any] = json.loads(header)
    return message, payload
