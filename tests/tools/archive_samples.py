"""Archives for tests, made in memory, with what the standard library's writers do not write by themselves."""

from __future__ import annotations

import importlib.util
import io
import struct
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Sequence

import pytest

from open_nsfw.sources.item import Item

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00 not a whole picture, but it begins like one"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR and so on"
TEXT = b"Nothing to see here.\n"
MEMBERS = (("a.jpg", JPEG), ("readme.txt", TEXT), ("sub/b.png", PNG), ("noname", JPEG + b"2"))
PICTURES = [(name, data) for name, data in MEMBERS if data != TEXT]
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
WITH_ZSTD = importlib.util.find_spec("zstandard") or sys.version_info >= (3, 14)


def make_zip(members: Iterable[tuple[str, bytes]] = MEMBERS, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


class Unseekable(io.RawIOBase):
    """A sink that cannot go back, so that `zipfile` writes sizes behind the data, as it does into a pipe."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.pieces.append(bytes(data))
        return len(data)


def make_streamed_zip(members: Iterable[tuple[str, bytes]] = MEMBERS) -> bytes:
    sink = Unseekable()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, data in members:
            archive.writestr(name, data)
    return b"".join(sink.pieces)


def make_tar(
    members: Iterable[tuple[str, bytes]] = MEMBERS, mode: str = "w", tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tar_format) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_header(name: bytes, size: int, flag: bytes = b"0", link: bytes = b"") -> bytes:
    """One ustar header, with whatever name, size and type."""
    digits = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    block = struct.pack(
        "<100s8s8s8s12s12s8ss100s8s", name, b"644", b"0", b"0", digits, b"0", b" " * 8, flag, link, b"ustar\x0000"
    )
    block = block.ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def tar_entry(name: bytes, data: bytes, flag: bytes = b"0") -> bytes:
    return tar_header(name, len(data), flag) + data + bytes(-len(data) % 512)


def patched(data: bytes, magic: bytes, offset: int, value: bytes) -> bytes:
    """Every zip header that begins with `magic` gets `value` at `offset`."""
    at = data.find(magic)
    while at >= 0:
        data = data[: at + offset] + value + data[at + offset + len(value) :]
        at = data.find(magic, at + 4)
    return data


def rows(items: Sequence[Item]) -> list[tuple[str | None, bytes | str | None]]:
    """Member and bytes, or member and the code of the error."""
    return [(item.member, item.error.code if item.error else content(item)) for item in items]


def content(item: Item) -> bytes | None:
    """The bytes of a picture, from wherever it is held; its file is closed."""
    if item.file is None:
        return item.data
    with item.file as file:
        return file.read()


def tarfile_bytes(members: list[tuple[str, bytes]]) -> bytes:
    """With the end mark that POSIX asks for and not the zeros up to 10 KB: every cut of it loses something."""
    return b"".join(tar_entry(name.encode(), data) for name, data in members) + bytes(512)


def zst(data: bytes) -> bytes:
    if not WITH_ZSTD:
        pytest.skip("the package zstandard is not installed, so there is nothing to write .tar.zst with")
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.compress(data)
    import zstandard

    return zstandard.ZstdCompressor().compress(data)
