"""Films are known by their first bytes."""

from __future__ import annotations

import random

import pytest

from open_nsfw.pictures.containers import container_of, is_transport_stream

FTYP = b"\0\0\0\x18ftyp"


@pytest.mark.parametrize("kind", [b"free", b"skip", b"wide", b"uuid", b"moov", b"mdat", b"pnot", b"styp", b"moof"])
def test_atoms_that_a_film_may_begin_with(kind: bytes) -> None:
    """Any of QuickTime's, followed by another or reaching beyond what is seen."""
    atom = b"\0\0\0\x20" + kind + bytes(24)
    assert container_of(atom + b"\0\0\0\x18moov" + bytes(16)) == "mov"
    assert container_of(b"\0\1\0\0" + kind + bytes(4088)) == "mov"
    assert container_of(b"\0\0\0\1" + kind + b"\0\0\0\0\0\1\0\0" + bytes(4080)) == "mov"
    assert container_of(b"\0\0\0\0" + kind + bytes(4088)) == "mov"


def test_words_that_are_no_atoms() -> None:
    """The same letters where no sizes are."""
    assert container_of(b"The free world" + bytes(100)) is None
    assert container_of(b"\0\0\0\4free" + bytes(100)) is None
    assert container_of(b"\0\0\0\x10free" + b"abcdefgh" + b"\0\0\0\x10nope" + bytes(50)) is None


@pytest.mark.parametrize("brand", [b"crx ", b"jp2 ", b"jxl ", b"avif", b"heic", b"mif1"])
def test_pictures_in_the_same_container(brand: bytes) -> None:
    """Canon's raw pictures, JPEG 2000, JPEG XL, AVIF and HEIF are no films."""
    assert container_of(FTYP + brand + bytes(4) + brand + b"miaf" + bytes(100)) is None


@pytest.mark.parametrize("brand", [b"isom", b"mp42", b"qt  ", b"M4V ", b"3gp5", b"avc1", b"iso6"])
def test_a_film_that_also_calls_itself_a_picture(brand: bytes) -> None:
    """Players go by the main brand; so nothing is hidden behind the others."""
    assert container_of(FTYP + brand + bytes(4) + b"avif" + b"heic" + b"\0\0\0\x08free") == "mov"


@pytest.mark.parametrize("size", [188, 192, 204])
@pytest.mark.parametrize("lost", [0, 1, 100, 187])
def test_transport_streams_cut_anywhere(size: int, lost: int) -> None:
    """Packets of each size, the first of which may lack its beginning."""
    packets = random.Random(size).randbytes(4 + size * 30)
    stream = bytearray(packets)
    stream[(4 if size == 192 else 0) :: size] = b"\x47" * len(stream[(4 if size == 192 else 0) :: size])
    assert container_of(bytes(stream[lost : lost + 4096])) == "mpegts"
    stream[size * 5 + (4 if size == 192 else 0)] = 0
    assert not is_transport_stream(bytes(stream[lost : lost + 4096]))


def test_bytes_that_are_no_film() -> None:
    """Random ones, and those of fonts, which have small numbers everywhere."""
    source = random.Random(1)
    assert {container_of(source.randbytes(4096)) for _ in range(2000)} == {None}
    assert container_of(b"\0\1\0\0\0\x13\1\0\0\4\0\x30" + b"\0\0\1\xbb\0\0\0\0\1\xbc" * 50) is None
    assert container_of(b"") is container_of(b"\0" * 4096) is container_of(b"G" * 100) is None
