"""Archives by the magic in their first bytes. Standard library only: this is on the way of every run."""

from __future__ import annotations

from open_nsfw.pictures.formats import sniff

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # a member comes first, or the end if there is none
BLOCK = 512  # bytes of a tar's header, and what its data is padded to
_NAME = 100  # bytes of a tar's header that begin with the name


def archive_by_magic(head: bytes) -> str | None:
    """`zip` or `tar`; None where the first 512 bytes do not say that it is one of them."""
    if head.startswith(ZIP_MAGIC):
        return "zip"
    return "tar" if is_header(head) else None


def is_surely_archive(head: bytes) -> bool:
    """Whether a file is an archive, although pictures and films begin like that, too.

    A tar begins with a name, and so may begin as any magic that is text: `BM`, `OggS`. Its checksum tells more than that.
    But whoever chooses a picture's bytes can make the checksum right, and would have the picture passed over by that. So
    it counts only where the header's name is text and then zeros, behind which no picture's own header can be.
    """
    kind = archive_by_magic(head)
    return kind == "zip" or (kind == "tar" and sniff(head) in (None, "BMP") and _is_plain(head[:_NAME]))


def _is_plain(name: bytes) -> bool:
    return all(byte >= ord(" ") for byte in name.rstrip(b"\0"))


def is_header(block: bytes) -> bool:
    """Whether a tar header stands in the first 512 bytes: its checksum tells, in every dialect."""
    if len(block) < BLOCK or not block[0]:
        return False
    try:
        expected = number(block[148:156])
    except ValueError:
        return False
    unsigned = sum(block[:BLOCK]) - sum(block[148:156]) + 8 * ord(" ")
    # Some early tars added the bytes up as signed ones.
    signed = unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:BLOCK])
    return expected in (unsigned, signed)


def number(field: bytes) -> int:
    """Octal digits; or, for what they cannot hold, a binary number behind a first byte of 0x80 (0xff if negative).

    Raises ValueError if it is neither.
    """
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else -1
    return int(field.split(b"\0", 1)[0].strip() or b"0", 8)
