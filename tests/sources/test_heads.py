"""Archives whose first bytes are also the magic of a picture or a film."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from open_nsfw.sources.heads import is_header
from open_nsfw.sources.item import Item, is_picture
from open_nsfw.sources.walk import Sources, in_bytes
from tests.tools.archive_samples import JPEG, PNG, make_tar, make_zip, rows, tar_header
from tests.tools.helpers import OTHER_PICTURE, PICTURE, run_command, small_net, write_model
from tests.tools.sources import errors, scan, write

# What pictures and films begin with, where that is text; the last ones are told by their fourth to eighth byte.
TEXTS = ("BMW", "OggSets", "DKIF.d", ".RMF.d", "YUV4MPEG2 clips", "nut", "wildmdat")


@pytest.mark.parametrize("folder", TEXTS)
def test_a_tar_whose_first_name_begins_like_magic(folder: str) -> None:
    members = [(f"{folder}/a.jpg", JPEG), (f"{folder}/b.png", PNG)]
    data = make_tar(members)
    write("d/x.tar", data)
    write("d/upload", data)
    assert rows(scan("d/x.tar")) == members
    assert rows(scan("d")) == [*members, *members]
    assert rows(list(in_bytes(Item("d/upload", data=data)))) == members
    write("x.zip", make_zip([("in", data), ("a.jpg", JPEG)]))
    expected = "is an archive inside an archive; unpack the outer one first"
    assert errors(scan("x.zip")) == [("x.zip", "in", "nested-archive", expected)]


def test_a_tar_whose_first_name_begins_like_magic_by_the_command(tmp_path: Path) -> None:
    """By name, and on standard input."""
    members = [("BMW/a.jpg", PICTURE.read_bytes()), ("BMW/b.png", OTHER_PICTURE.read_bytes())]
    write("x.tar", make_tar(members))
    model = ["--engine", "onnxruntime", *write_model(tmp_path, small_net())]
    for name in ("x.tar", "-"):
        done = run_command(*model, "--format", "jsonl", name, cwd=tmp_path, stdin=Path("x.tar").read_bytes())
        found = [json.loads(line) for line in done.out.splitlines()]
        assert [(row["path"], row["member"], row["format"]) for row in found] == [
            (name, "BMW/a.jpg", "JPEG"),
            (name, "BMW/b.png", "PNG"),
        ]
        assert done.status == 0


@pytest.mark.parametrize("digit", [0, 2, 4])
def test_a_name_that_is_like_a_bitmap_to_its_fifteenth_letter(digit: int) -> None:
    """Where a bitmap says how long its header is: 48, 50 or 52, which are the digits 0, 2 and 4."""
    members = [(f"BMW/picture000{digit}", JPEG)]
    write("x", make_tar(members))
    assert rows(scan("x")) == members


def test_a_zip_that_holds_a_film_as_it_is() -> None:
    """Its first bytes hold packets of a transport stream or a program stream, as far behind as a cut film might have them."""
    packets = (b"\x47" + bytes(187)) * 40
    program = (b"\0\0\1\xe0\0\x10" + bytes(16)) * 100
    for film in (packets, program):
        members = [("film.mpg", film), ("a.jpg", JPEG)]
        write("d/x", make_zip(members, zipfile.ZIP_STORED))
        assert rows(scan("d/x")) == rows(scan("d")) == members


def test_a_picture_is_no_archive_because_a_checksum_in_it_is_right() -> None:
    """Who makes a picture can make that right, too."""
    for form in ("BMP", "GIF", "TIFF"):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 40)).save(buffer, form)
        data = bytearray(buffer.getvalue().ljust(512, b"\1"))
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        assert is_header(bytes(data))
        assert is_picture("", bytes(data))
        write("x", bytes(data))
        assert scan("x")[0].member is None


def test_two_letters_alone_are_no_bitmap() -> None:
    write("d/x", b"BM" + bytes(4000))
    write("d/OggS", b"OggS, a format of sounds\0")
    sources = Sources(["d"])
    assert [item.error.code for item in sources if item.error] == ["no-pictures"]
    assert not is_header(tar_header(b"BM", 0)[:500])
