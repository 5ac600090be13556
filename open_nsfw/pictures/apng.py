"""How many frames an animated PNG has, from its chunks; what it says itself may be anything."""

from __future__ import annotations

import struct

_SIGNATURE = 8  # bytes before the first chunk
_MOST = 1 << 31  # frames; Pillow takes a file that claims more for no animation
_CHUNK = struct.Struct(">I4s")  # length and kind; the content and four bytes of checksum follow


def frame_count(data: bytes) -> int:
    """The frames that are there and that the file counts, a picture of its own for programs that know no animations among
    them, as Pillow has it; 1 for a PNG file that is no animation."""
    claimed, found, has_default = 0, 0, False
    at = _SIGNATURE
    while at + _CHUNK.size <= len(data):
        length, kind = _CHUNK.unpack_from(data, at)
        if kind == b"acTL":
            claimed = int.from_bytes(data[at + 8 : at + 12], "big")
        elif kind == b"fcTL":
            found += 1
        elif kind == b"IDAT":
            has_default = has_default or not found
        at += _CHUNK.size + length + 4
    return max(1, min(claimed, found) + has_default) if 0 < claimed <= _MOST else 1
