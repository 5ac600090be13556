"""How many bytes a picture's file must have, by what it says itself: a file that has fewer was cut short.

Each kind is read from its beginning as far as its lengths lead: chunks, boxes, segments, blocks or tags, no pixels. What is
odd on the way ends that: then the file is damaged in another way, and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from open_nsfw.pictures.tiff_pages import TiffPages

_BOXES = (b"ftyp", b"meta", b"moov", b"mdat", b"free", b"skip", b"uuid")  # of AVIF and HEIF, one behind the other
_SCAN, _END = 0xDA, 0xD9  # markers of a JPEG: its pixels follow; it ends
# Markers that begin a segment, and that of the end (ITU-T T.81, table B.1).
_WITH_LENGTH = (*range(0xC0, 0xD0), *range(_END, 0xFF))
_PNG_SIGNATURE, _GIF_HEADER, _BMP_HEADER = 8, 13, 14  # bytes before the first chunk, block or further header
_GIF_EXTENSION, _GIF_IMAGE = 0x21, 0x2C  # what a block begins with


def least_length(kind: str | None, data: bytes) -> int | None:
    """How many bytes an encoded picture has at least; None where it says nothing of that, or needs no more than there are.

    `kind`: a key of `formats.FORMATS`.
    """
    reader = {
        "JPEG": _jpeg,
        "PNG": _png,
        "GIF": _gif,
        "WEBP": lambda data: 8 + int.from_bytes(data[4:8], "little"),
        "BMP": _bmp,
        "TIFF": lambda data: TiffPages(data, 1).end(0),
        "AVIF": _boxes,
        "HEIF": _boxes,
    }.get(kind or "")
    length = None if reader is None else reader(data)
    return None if length is None or length <= len(data) else length


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The marker of each of a JPEG's segments and where it ends, up to that of its pixels or to what is no segment."""
    at = 2
    while data[at : at + 1] == b"\xff":
        if data[at + 1 : at + 2] == b"\xff":  # which may come several times
            at += 1
            continue
        marker, size = data[at + 1 : at + 2], data[at + 2 : at + 4]
        if not marker or marker[0] not in _WITH_LENGTH or (len(size) == 2 and size < b"\0\2"):
            return
        at += 2 + (int.from_bytes(size, "big") if len(size) == 2 else 2)
        yield marker[0], at
        if marker[0] in (_SCAN, _END):
            return


def _jpeg(data: bytes) -> int | None:
    *_, (marker, end) = (0, 2), *jpeg_segments(data)
    if marker == _END or (marker == _SCAN and bytes([0xFF, _END]) in data[end:]):
        return None  # whole, as no pixels look like that marker
    if marker == _SCAN or not data[end:].strip(b"\xff"):
        return max(end, len(data)) + 2  # at least that marker is to come
    return end


def _png(data: bytes) -> int | None:
    at = _PNG_SIGNATURE
    while at < len(data):
        kind = data[at + 4 : at + 8]
        if kind and not kind.isalpha():
            return None
        at += 12 + int.from_bytes(data[at : at + 4], "big") if len(kind) == 4 else 12  # length, kind and checksum
        if kind == b"IEND":
            break
    return at


def _gif(data: bytes) -> int | None:
    at = _GIF_HEADER + _gif_palette(data, 10)
    while at < len(data) and data[at] in (_GIF_EXTENSION, _GIF_IMAGE):
        at += 2 if data[at] == _GIF_EXTENSION else 11 + _gif_palette(data, at + 9)
        while at < len(data) and data[at]:  # blocks, each with its length before it, up to one of no length
            at += 1 + data[at]
        at += 1
    return at


def _gif_palette(data: bytes, flags_at: int) -> int:
    """Bytes of the palette that flags at this place tell of."""
    flags = data[flags_at] if flags_at < len(data) else 0
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _bmp(data: bytes) -> int:
    header = data[_BMP_HEADER : _BMP_HEADER + 4]
    size = int.from_bytes(header, "little") if len(header) == 4 else 4
    return max(_BMP_HEADER + size, int.from_bytes(data[2:6], "little"))


def _boxes(data: bytes) -> int | None:
    """Where the last of the boxes ends, one of which begins where the one before it ends."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            return at + 8 if data[at] == 0 else None  # the header of a box; those of 16 MiB are rare
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:  # up to the end of the file
            return None
        if size < 8 or data[at + 4 : at + 8] not in _BOXES:
            return None
        at += size
    return at
