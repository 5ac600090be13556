"""Damage that is none, by the structure of a file."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, features

from open_nsfw.errors import InputError
from open_nsfw.pictures.damage import with_reason
from open_nsfw.pictures.decode import decode
from tests.tools.helpers import PICTURE
from tests.tools.pictures import png_chunk

ERROR = InputError("undecodable", "a damaged file")
BOX = b"\0\0\0\x10ftypavif\0\0\0\0"


def told(data: bytes) -> tuple[str, str]:
    """Code and reason of the error that a decoder had about a file."""
    error = with_reason(ERROR, data)
    return error.code, error.reason


@pytest.mark.parametrize(
    ("marker", "coding"),
    [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xCB, "lossless, with arithmetic coding"), (0xF7, "JPEG-LS")],
)
def test_codings_of_jpeg_that_no_decoder_reads(marker: int, coding: str) -> None:
    data = PICTURE.read_bytes()
    at = data.index(b"\xff\xc0") + 1
    changed = data[:at] + bytes([marker]) + data[at + 1 :]
    for each in (changed, changed[: at - 1] + b"\xff\xff" + changed[at - 1 :]):  # which may stand before a marker
        with pytest.raises(InputError) as caught:
            decode(each)
        expected = ("unsupported", f"a JPEG file of a kind that is not read: {coding}")
        assert (caught.value.code, caught.value.reason) == expected


def test_jpegs_that_are_damaged() -> None:
    """What comes behind the picture's beginning is the picture's, whatever it looks like."""
    data = PICTURE.read_bytes()
    pixels = data.index(b"\xff\xda") + 14
    for each in (
        data,
        data[:pixels] + data[pixels:].replace(b"\0", b"\xff\xc3"),
        data[:2] + b"no segment" + data[12:100],
        b"\xff\xd8\xff\xe0\0\0",
        b"\xff\xd8\xff no segment",
    ):
        assert told(each) == ("undecodable", "a damaged file")


CUT: dict[str, dict[str, Any]] = {
    "JPEG": {},
    "PNG": {},
    "GIF": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},  # whose tags stand behind the pixels
    "TIFF without compression": {},
    "TIFF with JPEG": {"compression": "jpeg"},
    "BigTIFF": {"compression": "tiff_lzw", "big_tiff": True},
}


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_was_cut_anywhere(name: str) -> None:
    """Is said to be just that, also in its header: not damaged, nor of a kind that is not read."""
    if name == "BigTIFF" and tuple(map(int, Image.__version__.split(".")[:2])) < (11, 1):
        pytest.skip("this Pillow writes no BigTIFF")
    buffer = io.BytesIO()
    form = name.split()[0].replace("Big", "")
    Image.effect_noise((120, 90), 60).convert("RGB").save(buffer, form, **CUT[name])
    data = buffer.getvalue()
    decodes = 0
    for cut in range(26, len(data), len(data) // 150):
        try:
            decode(data[:cut])
            decodes += 1  # what is missing is not needed
        except InputError as error:
            if not (form == "PNG" and cut == 33):  # a header and no more is no picture, but nothing says that it is cut
                assert (error.code, cut) == ("truncated", cut)
    assert decodes <= 2


def test_what_a_whole_file_says_of_its_length() -> None:
    """It is no less than it has, whatever the matter with it is."""
    for form in ("JPEG", "PNG", "GIF", "BMP", "TIFF"):
        buffer = io.BytesIO()
        Image.effect_noise((40, 30), 60).convert("RGB").save(buffer, form)
        assert told(buffer.getvalue()) == ("undecodable", "a damaged file")
        assert told(buffer.getvalue() + b"and more") == ("undecodable", "a damaged file")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xd8\xff\xe0\0\x10JFIF",
        b"\x89PNG\r\n\x1a\n\0\0\0\4no 1",
        b"GIF89a\1\0\1\0\0\0\0no block",
        b"BM" + bytes(12) + b"\x0c\0\0\0" + bytes(8),
        b"II*\0\x08\0\0\0\0\0\0\0\0\0",
    ],
)
def test_files_that_say_nothing_of_their_length(data: bytes) -> None:
    """Something else than a cut is the matter with them."""
    assert told(data) == ("undecodable", "a damaged file")


def test_a_chunk_of_a_png_that_is_too_short() -> None:
    """Is no end of the file, whatever Pillow calls it."""
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 60).save(buffer, "PNG")
    data = buffer.getvalue()
    with pytest.raises(InputError) as caught:
        decode(data[:33] + png_chunk(b"gAMA", b"\0") + data[33:])
    assert caught.value.code == "undecodable"


def test_big_endian_bigtiff() -> None:
    """Which Pillow does not read, whole as it is."""
    data = b"MM\0\x2b\0\x08\0\0" + (16).to_bytes(8, "big") + bytes(16)
    with pytest.raises(InputError) as caught:
        decode(data)
    assert caught.value.code == "unsupported"
    assert caught.value.reason == "a TIFF file of a kind that is not read: BigTIFF, big-endian"


@pytest.mark.parametrize("form", ["WEBP", "AVIF"])
def test_a_file_that_was_cut(form: str) -> None:
    if not features.check(form.lower()):
        pytest.skip(f"this Pillow reads no {form}")
    buffer = io.BytesIO()
    Image.effect_noise((200, 150), 60).save(buffer, form)
    data = buffer.getvalue()
    for cut in (len(data) - 1, len(data) // 2, 40, 20):
        with pytest.raises(InputError) as caught:
            decode(data[:cut])
        assert caught.value.code == "truncated", cut
        assert caught.value.reason.startswith(f"a damaged {form} file: ")
    assert told(data[:-9])[1] == f"a damaged {form} file: it has {len(data) - 9:,} of at least {len(data):,} bytes"
    assert told(data) == ("undecodable", "a damaged file")


def test_boxes_that_say_nothing_of_the_end() -> None:
    large = b"\0\0\0\1mdat" + (2000).to_bytes(8, "big")
    assert told(BOX + large) == ("truncated", "a damaged AVIF file: it has 32 of at least 2,016 bytes")
    assert told(BOX + large[:3]) == ("truncated", "a damaged AVIF file: it has 19 of at least 24 bytes")
    for behind in (b"", b"\0\0\0\0mdat", b"\0\0\0\7mdat", b"no box at all", b"no box"):
        assert told(BOX + behind) == ("undecodable", "a damaged file")


def test_other_errors_stay() -> None:
    error = InputError("timeout", "more than 60 s")
    assert with_reason(error, BOX[:-1]) is error
