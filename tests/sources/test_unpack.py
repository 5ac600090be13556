"""Archives that unpack to too much."""

from __future__ import annotations

import os
import zipfile
import zlib

from open_nsfw.pictures.formats import Limits
from tests.tools.archive_samples import (
    CENTRAL,
    JPEG,
    make_tar,
    make_zip,
    patched,
    rows,
    tar_entry,
    tar_header,
)
from tests.tools.helpers import peak_of
from tests.tools.sources import COUNT, errors, scan, write


def test_member_over_the_limit_is_not_read() -> None:
    members = [("a.jpg", JPEG + bytes(100_000)), ("b.jpg", JPEG)]
    expected = "more than the limit of 1,000 bytes (--max-bytes)"
    for name, data in (
        ("x.zip", make_zip(members)),
        ("x.tar", make_tar(members)),
        ("x.tgz", make_tar(members, "w:gz")),
    ):
        write(name, data)
        items = scan(name, limits=Limits(max_bytes=1000))
        assert errors(items) == [(name, "a.jpg", "too-many-bytes", expected)]
        assert rows(items)[1] == ("b.jpg", JPEG)


def test_member_over_the_limit_is_known_before_it_is_read() -> None:
    write("x.tar", tar_entry(b"a.jpg", JPEG + bytes(50_000))[:6_000])
    expected = [("a.jpg", "too-many-bytes"), (None, "damaged-archive")]
    assert rows(scan("x.tar", limits=Limits(max_bytes=10_000))) == expected


def test_member_that_lies_about_its_size_is_stopped() -> None:
    write("x.zip", patched(make_zip([("a.jpg", JPEG + bytes(100_000))]), CENTRAL, 24, b"\x05\0\0\0"))
    assert rows(scan("x.zip", limits=Limits(max_bytes=1000))) == [("a.jpg", "too-many-bytes")]


def test_ratio() -> None:
    members = [("a.jpg", JPEG + bytes(30_000_000)), ("b.jpg", JPEG)]
    write("x.zip", make_zip(members))
    items = scan("x.zip")
    assert rows(items) == [("a.jpg", "archive-bomb"), ("b.jpg", JPEG)]
    assert str(items[0].error) == "unpacks to more than 200 times its size (--max-archive-ratio)"
    assert rows(scan("x.zip", max_archive_ratio=2000)) == members
    packed = make_tar([("0.jpg", JPEG), *members], "w:gz")
    write("x.tgz", packed)
    assert rows(scan("x.tgz")) == [("0.jpg", JPEG), (None, "archive-bomb")]
    assert rows(scan("x.tgz", max_archive_ratio=2000)) == [("0.jpg", JPEG), *members]


def test_small_blank_picture_is_no_bomb() -> None:
    write("x.zip", make_zip([("a.bmp", b"BM" + bytes(5_000_000))]))
    assert [item.error for item in scan("x.zip")] == [None]


def test_archive_limit() -> None:
    members = [(f"{index}.jpg", JPEG + bytes(400_000)) for index in range(5)]
    expected = "unpacks to 1,000,000 bytes more than it has (--max-archive-bytes); the rest is not read"
    for name, data in (("x.zip", make_zip(members)), ("x.tgz", make_tar(members, "w:gz"))):
        write(name, data)
        items = scan(name, max_archive_bytes=1_000_000)
        assert rows(items)[:-1] == members[:2]
        assert errors(items) == [(name, None, "archive-bomb", expected)]
    for name, data in (("stored.zip", make_zip(members, zipfile.ZIP_STORED)), ("x.tar", make_tar(members))):
        write(name, data)  # what is not compressed adds nothing
        assert rows(scan(name, max_archive_bytes=1_000)) == members


def test_tar_of_zeros_does_not_fill_the_memory() -> None:
    """300 MB of nothing, passed over, in less than 64 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with open("x.tar.gz", "wb") as file:
        file.write(packer.compress(tar_header(b"zeros.bin", 300 * 1024**2)))
        file.writelines(packer.compress(bytes(1024**2)) for _ in range(300))
        file.write(packer.compress(tar_entry(b"a.jpg", JPEG) + bytes(1024)) + packer.flush())
    assert rows(scan("x.tar.gz")) == [(None, "archive-bomb")]
    code = COUNT.replace("sys.argv[1:]", "sys.argv[1:], SourceOptions(max_archive_ratio=2000)")
    peak, output = peak_of(code, os.path.abspath("x.tar.gz"))
    assert output == b"1"
    assert peak < 64 * 1024
