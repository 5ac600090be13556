"""What the structure of a picture's file says about a decoder's error. Decoders call it damage, whatever the matter is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import sniff
from open_nsfw.pictures.lengths import jpeg_segments, least_length

# The marker of a JPEG's frame says how it is coded (ITU-T T.81, table B.1; T.87 for JPEG-LS). No decoder here reads these.
_UNREAD_JPEG = {
    0xC3: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    0xCB: "lossless, with arithmetic coding",
    0xF7: "JPEG-LS",
}
_FRAMES = (*(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC)), 0xF7)
_UNREAD_TIFF = b"MM\0\x2b"  # Pillow looks for the number of BigTIFF where the other byte order has it


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


def with_reason(error: InputError, data: bytes, length: int | None = None) -> InputError:
    """A decoder's error about a file; `unsupported` or `truncated`, if the file itself shows that it is that.

    `length`: how many bytes it must have for what the decoder was at, where that is not its first picture.
    """
    kind = sniff(data)
    # Of a TIFF that was cut, tags are missing, which Pillow takes for a rare kind.
    if error.code != "undecodable" and (error.code, kind) != ("unsupported", "TIFF"):
        return error
    coding = _unread_kind(kind, data)
    if coding is not None:
        return InputError("unsupported", f"a {kind} file of a kind that is not read: {coding}")
    length = least_length(kind, data) if length is None else length
    if length is not None and length > len(data):
        return InputError("truncated", f"a damaged {kind} file: it has {len(data):,} of at least {length:,} bytes")
    return error


def _unread_kind(kind: str | None, data: bytes) -> str | None:
    """What no decoder here reads, if a file is that."""
    if kind == "TIFF" and data.startswith(_UNREAD_TIFF):
        return "BigTIFF, big-endian"
    return _UNREAD_JPEG.get(_frame_marker(data)) if kind == "JPEG" else None


def _frame_marker(data: bytes) -> int:
    """The marker of a JPEG's first frame; 0 if there is none before the picture begins."""
    return next((marker for marker, _ in jpeg_segments(data) if marker in _FRAMES), 0)
