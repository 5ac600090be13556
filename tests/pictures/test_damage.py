"""Damage that is none, by the structure of a file."""

from __future__ import annotations

import io

import pytest
from PIL import Image, features

from open_nsfw.errors import InputError
from open_nsfw.pictures.damage import with_reason
from open_nsfw.pictures.decode import decode
from tests.tools.helpers import PICTURE

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
    scan = data.index(b"\xff\xda")
    for each in (
        data,
        data[:scan] + data[scan:].replace(b"\0", b"\xff\xc3"),
        data[:30],
        b"\xff\xd8\xff\xe0\0\0",
        b"\xff\xd8\xff",
    ):
        assert told(each) == ("undecodable", "a damaged file")


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
    assert told(data[:-9])[1] == f"a damaged {form} file: it has {len(data) - 9:,} of {len(data):,} bytes"
    assert told(data) == ("undecodable", "a damaged file")


def test_boxes_that_say_nothing_of_the_end() -> None:
    large = b"\0\0\0\1mdat" + (2000).to_bytes(8, "big")
    assert told(BOX + large) == ("truncated", "a damaged AVIF file: it has 32 of 2,016 bytes")
    for behind in (b"", b"\0\0\0\0mdat", b"\0\0\0\7mdat", b"no box at all"):
        assert told(BOX + behind) == ("undecodable", "a damaged file")


def test_other_errors_stay() -> None:
    error = InputError("timeout", "more than 60 s")
    assert with_reason(error, BOX[:-1]) is error
