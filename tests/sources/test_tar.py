"""The members of tar files, in every dialect and compression, whole and damaged."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Callable

import pytest

from open_nsfw.installing import install_command
from open_nsfw.sources.heads import is_header
from open_nsfw.sources.walk import Sources
from tests.tools.archive_samples import (
    JPEG,
    PNG,
    make_tar,
    rows,
    tar_entry,
    tar_header,
    zst,
)
from tests.tools.helpers import peak_of
from tests.tools.sources import COUNT, errors, scan, write


def test_links_and_devices_in_tars_are_passed_over() -> None:
    special = b"".join(
        tar_header(b"x%s.jpg" % flag, 0, flag, b"/etc/passwd") for flag in (b"1", b"2", b"3", b"4", b"6")
    )
    write("x.tar", special + tar_header(b"folder.jpg/", 0, b"5") + tar_entry(b"a.jpg", JPEG) + bytes(1024))
    sources = Sources(["x.tar"])
    assert rows(list(sources)) == [("a.jpg", JPEG)]
    assert sources.passed_over == 5


def test_long_names() -> None:
    name = "/".join(["folder" * 10] * 20) + "/🐈.jpg"
    for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        write("x.tar", make_tar([(name, JPEG), ("b.jpg", JPEG)], tar_format=tar_format))
        assert [item.member for item in scan("x.tar")] == [name, "b.jpg"]
    split = "a" * 90 + "/" + "b" * 90 + ".jpg"
    write("x.tar", make_tar([(split, JPEG)], tar_format=tarfile.USTAR_FORMAT))
    assert [item.member for item in scan("x.tar")] == [split]


def test_pax_size_and_global_headers() -> None:
    size = b"%d" % len(JPEG)
    record = b"size=" + size + b"\n"
    data = tar_entry(b"g", b"17 comment=hello\n", b"g") + tar_entry(b"p", b"%d " % (len(record) + 3) + record, b"x")
    body = tar_entry(b"a.jpg", JPEG)
    write("x.tar", data + tar_header(b"a.jpg", 0) + body[512:] + bytes(1024))
    assert rows(scan("x.tar")) == [("a.jpg", JPEG)]


@pytest.mark.parametrize(
    "records",
    [b"x", b"5 a=b\n", b"99999 path=x\n", b"-3 a=b\n", b"3 a\n", b"9" * 5000, b"14 size=minus\n", b"12 size=-5\n"],
)
def test_damaged_pax_headers(records: bytes) -> None:
    write("x.tar", tar_entry(b"a.jpg", JPEG) + tar_entry(b"p", records, b"x") + tar_entry(b"b.jpg", JPEG) + bytes(1024))
    items = scan("x.tar")
    assert rows(items)[0] == ("a.jpg", JPEG)
    expected = "a pax header is damaged; the rest of it is not read"
    assert errors(items) == [("x.tar", None, "damaged-archive", expected)] or records == b"5 a=b\n"


def test_headers_of_any_length_are_not_gathered() -> None:
    for flag in (b"L", b"x"):
        write("x.tar.gz", gzip.compress(tar_header(b"n", 8 * 1024**3, flag) + bytes(10_000)))
        expected = "a header of 8,589,934,592 bytes; the rest of it is not read"
        assert errors(scan("x.tar.gz")) == [("x.tar.gz", None, "damaged-archive", expected)]


def test_sparse_members_have_their_row() -> None:
    old = bytearray(tar_header(b"old.bmp", 512, b"S"))
    old[482] = 1  # the map goes on in a block of its own
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    pax = b"22 GNU.sparse.major=1\n27 GNU.sparse.name=new.bmp\n"
    data = (
        bytes(old) + bytes(512) + bytes(512) + tar_entry(b"p", pax, b"x") + tar_entry(b"GNUSparseFile.0/new", b"1\n0\n")
    )
    write("x.tar", data + tar_entry(b"a.jpg", JPEG) + bytes(1024))
    items = scan("x.tar")
    assert rows(items) == [("old.bmp", "sparse-member"), ("new.bmp", "sparse-member"), ("a.jpg", JPEG)]
    assert str(items[0].error) == "is stored as a sparse file, which is not read; pack it without --sparse"


@pytest.mark.skipif(not shutil.which("tar"), reason="there is no tar command to compare with")
@pytest.mark.parametrize("dialect", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_the_tar_command_writes(dialect: str) -> None:
    write(b"d/caf\xe9.jpg")
    write("d/" + "long/" * 10 + "x.png", PNG)
    with open("d/holes.bmp", "wb") as file:
        file.truncate(1_000_000)
        file.write(b"BM")
    os.symlink("x", "d/link.jpg")
    os.link("d/holes.bmp", "d/z_hard_link.bmp")
    subprocess.run(["tar", f"--format={dialect}", "-cf", "x.tar", "d"], check=True)
    expected = {"d/caf\udce9.jpg", "d/" + "long/" * 10 + "x.png", "d/holes.bmp"}
    came = {item.member for item in scan("x.tar") if not item.error}
    assert came in (expected, expected - {"d/holes.bmp"} | {"d/z_hard_link.bmp"})
    if dialect in ("oldgnu", "gnu", "posix"):
        subprocess.run(
            ["tar", f"--format={dialect}", "--sparse", "-cf", "x.tar", "d/holes.bmp", "d/caf\udce9.jpg"], check=True
        )
        assert rows(scan("x.tar"))[-1] == ("d/caf\udce9.jpg", JPEG)


def test_concatenated_tars() -> None:
    write("x.tar", make_tar([("a.jpg", JPEG)]) + make_tar([("b.jpg", PNG)]))
    assert rows(scan("x.tar")) == [("a.jpg", JPEG), ("b.jpg", PNG)]


def test_second_tar_without_an_end() -> None:
    write("x.tar", make_tar([("a.jpg", JPEG)]) + tar_entry(b"b.jpg", PNG))
    assert rows(scan("x.tar")) == [("a.jpg", JPEG), ("b.jpg", PNG), (None, "damaged-archive")]


def test_cut_inside_a_member_that_nobody_reads() -> None:
    """A large one is not read but seeked over, which alone would not notice."""
    for size in (2_000, 2_000_000):
        write("x.tar", tar_entry(b"a.jpg", JPEG) + tar_entry(b"readme.txt", bytes(size))[:-600])
        expected = ("x.tar", None, "damaged-archive", "breaks off inside a member")
        assert errors(scan("x.tar")) == [expected]


def test_webdataset_shard() -> None:
    members = [
        (f"{index:06d}.{kind}", data)
        for index in range(50)
        for kind, data in (("cls", b"7"), ("jpg", JPEG), ("json", b"{}"))
    ]
    write("shard-000000.tar", make_tar(members, tar_format=tarfile.USTAR_FORMAT))
    sources = Sources(["shard-*.tar"])
    assert rows(list(sources)) == [(f"{index:06d}.jpg", JPEG) for index in range(50)]
    assert sources.passed_over == 100


TOO_LARGE = (
    "unpacking it needs a larger window than the 128 MiB that are allowed; pack it again without --long or with a smaller "
    "dictionary"
)


def test_xz_with_a_huge_dictionary() -> None:
    packed = lzma.compress(make_tar(), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
    # Only the dictionary's size in the block header is changed, with the header's checksum.
    block = bytearray(packed[12:24])
    block[4] = 36  # 1 GiB
    block[-4:] = struct.pack("<L", zlib.crc32(bytes(block[:-4])))
    write("x.tar.xz", packed[:12] + bytes(block) + packed[24:])
    assert errors(scan("x.tar.xz")) == [("x.tar.xz", None, "unsupported-compression", TOO_LARGE)]


def test_zstandard_with_a_huge_window() -> None:
    """As `zstd --long=31` makes it."""
    frame = (
        zst(b"")[:4] + b"\0" + bytes([(31 - 10) << 3]) + b"\1\0\0"
    )  # no size, a window of 2**31, a last block of nothing
    write("x.tar.zst", frame)
    assert errors(scan("x.tar.zst")) == [("x.tar.zst", None, "unsupported-compression", TOO_LARGE)]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar.xz"])
@pytest.mark.parametrize("zeros", [4, 8, 100_000])
def test_zeros_between_and_behind_streams(name: str, zeros: int) -> None:
    """`xz -dc` and `gzip -dc` go on behind them."""
    pack = gzip.compress if name.endswith("gz") else lzma.compress
    first, second = pack(make_tar([("a.jpg", JPEG)])), pack(make_tar([("b.jpg", PNG)]))
    for behind in (b"", bytes(zeros), bytes(zeros) + b"garbage"):
        write(name, first + bytes(zeros) + second + behind)
        assert rows(scan(name)) == [("a.jpg", JPEG), ("b.jpg", PNG)]


def test_zstandard_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    write("d/x.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(100))
    write("d/data.json.zst", b"\x28\xb5\x2f\xfd" + bytes(100))
    sources = Sources(["d"])
    expected = f"Zstandard archives need a library: {install_command('zstd')}"
    assert errors(list(sources)) == [("d/x.tar.zst", None, "missing-library", expected)]
    assert sources.passed_over == 1


def test_checksum_of_early_tars() -> None:
    """Some added the bytes up as signed numbers."""
    block = bytearray(tar_header(b"caf\xe9.jpg", 0))
    signed = sum(byte - 256 * (byte > 127) for byte in block) - sum(block[148:156]) + 8 * 32
    block[148:156] = b"%06o\0 " % signed
    assert is_header(bytes(block))
    block[0] ^= 1
    assert not is_header(bytes(block))


def quickly(function: Callable[[], object]) -> None:
    """Far more than it takes on a busy machine, and far less than anything quadratic."""
    started = time.monotonic()
    function()
    assert time.monotonic() - started < 5


def test_pax_headers_of_many_records_take_no_time() -> None:
    """A megabyte of the shortest ones; of ones that end in zeros; many headers of them."""
    many = b"5 a=\n" * 200_000
    for records in (many, b"13 path=b.jpg\n" + many, b"0005 a=\n" * 100_000, b"6 a=b\n" * 900 + bytes(1_000_000)):
        write("x.tar", tar_entry(b"p", records, b"x") * 20 + tar_entry(b"a.jpg", JPEG) + bytes(1024))
        quickly(lambda: rows(scan("x.tar")))
    write("x.tar", tar_entry(b"a.jpg", JPEG) + tar_entry(b"p", many, b"x") + tar_entry(b"b.jpg", JPEG) + bytes(1024))
    expected = "a pax header of over 1,000 records; the rest is not read"
    assert errors(scan("x.tar")) == [("x.tar", None, "damaged-archive", expected)]


def test_pax_headers_without_a_member_are_not_gathered() -> None:
    """Each with keys of its own, one behind the other."""
    with gzip.open("x.tar.gz", "wb", 1) as file:
        for number in range(100):
            value = b"x" * 900_000
            record = b" %06d=" % number + value + b"\n"
            file.write(tar_entry(b"p", b"%d" % (len(record) + 6) + record, b"x"))
        file.write(tar_entry(b"a.jpg", JPEG) + bytes(1024))
    code = COUNT.replace("sys.argv[1:]", "sys.argv[1:], SourceOptions(max_archive_ratio=20000)")
    peak, output = peak_of(code, os.path.abspath("x.tar.gz"))
    assert output == b"1"
    assert peak < 64 * 1024


@pytest.mark.parametrize("flag", [b"L", b"x"])
def test_a_name_that_no_system_has(flag: bytes) -> None:
    record = b" path=" + b"x" * 70_000 + b"\n"
    data = b"x" * 70_000 if flag == b"L" else b"%d" % (len(record) + 5) + record
    write("x.tar", tar_entry(b"a.jpg", JPEG) + tar_entry(b"n", data, flag) + tar_entry(b"b.jpg", JPEG) + bytes(1024))
    items = scan("x.tar")
    assert rows(items)[0] == ("a.jpg", JPEG)
    expected = "a name of 70,000 bytes; the rest of it is not read"
    assert errors(items) == [("x.tar", None, "damaged-archive", expected)]
