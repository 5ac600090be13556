"""What the structure of a picture's file says about a decoder's error. Decoders call it damage, whatever the matter is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import sniff

# The marker of a JPEG's frame says how it is coded (ITU-T T.81, table B.1; T.87 for JPEG-LS). No decoder here reads these.
_UNREAD_JPEG = {
    0xC3: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    0xCB: "lossless, with arithmetic coding",
    0xF7: "JPEG-LS",
}
_FRAMES = (*(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC)), 0xF7)
_BOXES = (b"ftyp", b"meta", b"moov", b"mdat", b"free", b"skip", b"uuid")  # of AVIF and HEIF, one behind the other
_SCAN, _END = 0xDA, 0xD9  # markers behind which no frame begins


@contextmanager
def reasons_known(data: bytes) -> Iterator[None]:
    """Makes the error of a decoder that is at this file the one that says what the matter is."""
    try:
        yield
    except InputError as error:
        known = with_reason(error, data)
        if known is error:  # which must not become its own cause
            raise
        raise known from error


def with_reason(error: InputError, data: bytes) -> InputError:
    """A decoder's error about a file; `unsupported` or `truncated`, if the file itself shows that it is that."""
    if error.code != "undecodable":
        return error
    kind = sniff(data)
    if kind == "JPEG" and (coding := _UNREAD_JPEG.get(_frame_marker(data) or 0)):
        return InputError("unsupported", f"a JPEG file of a kind that is not read: {coding}")
    length = _length(kind, data)
    if length is not None and length > len(data):
        return InputError("truncated", f"a damaged {kind} file: it has {len(data):,} of {length:,} bytes")
    return error


def _frame_marker(data: bytes) -> int | None:
    """The marker of a JPEG's first frame; None if there is none before the picture begins."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return marker
        if marker in (_SCAN, _END):
            return None
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")  # 0xFF may come several times
    return None


def _length(kind: str | None, data: bytes) -> int | None:
    """How many bytes a file has, at least, by what it says; None where it says nothing."""
    if kind == "WEBP":
        return 8 + int.from_bytes(data[4:8], "little")
    return _boxes_length(data) if kind in ("AVIF", "HEIF") else None


def _boxes_length(data: bytes) -> int | None:
    """Where the last of the boxes ends, one of which begins where the one before it ends; None if something else is there."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        elif size == 0:  # up to the end of the file
            return None
        if size < 8 or data[at + 4 : at + 8] not in _BOXES:
            return None
        at += size
    return at
