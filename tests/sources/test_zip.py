"""The members of zip files, whole and damaged."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from open_nsfw.sources.walk import Sources
from open_nsfw.sources.zip_directory import MOST_ARCHIVES
from tests.tools.archive_samples import (
    CENTRAL,
    JPEG,
    LOCAL,
    MEMBERS,
    PICTURES,
    PNG,
    Unseekable,
    make_streamed_zip,
    make_zip,
    patched,
    rows,
)
from tests.tools.sources import errors, scan, write


def test_links_and_folders_in_zips_are_passed_over() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder.jpg/", b"")
        archive.writestr("a.jpg", JPEG)
    write("x.zip", buffer.getvalue())
    sources = Sources(["x.zip"])
    assert rows(list(sources)) == [("a.jpg", JPEG)]
    assert sources.passed_over == 1


def test_zip_with_sizes_behind_the_data_and_no_directory() -> None:
    for large in (False, True):
        sink = Unseekable()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
            for name, data in MEMBERS:
                with archive.open(name, "w", force_zip64=large) as member:
                    member.write(data)
        whole = b"".join(sink.pieces)
        for data in (whole, whole.replace(b"PK\x07\x08", b"")):  # the descriptor's magic is optional
            write("x.zip", data[: data.index(CENTRAL)])
            assert rows(scan("x.zip")) == [*PICTURES, (None, "damaged-archive")]


CUT = "its end is missing: the file was cut short, or is no zip archive"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_directory_of_an_archive_in_it_is_not_its_own(method: int) -> None:
    """Wherever it is cut behind that, what came before the break is there, and it is said that something is missing."""
    inner = make_zip([("in.jpg", PNG)], method)
    whole = make_zip([("a.jpg", JPEG), ("x.zip", inner), ("b.jpg", JPEG)], zipfile.ZIP_STORED)
    first = whole.index(inner) + len(inner)
    for cut in (*range(first, len(whole) - 1, 5), len(whole) - 1):
        write("x.zip", whole[:cut])
        items = scan("x.zip")
        assert rows(items)[:2] == [("a.jpg", JPEG), ("x.zip", "nested-archive")]
        assert rows(items)[-1] == (None, "damaged-archive")
    write("x.zip", make_zip([("a.jpg", JPEG), ("x.zip", inner)], zipfile.ZIP_STORED)[:-30])
    assert rows(scan("x.zip")) == [("a.jpg", JPEG), ("x.zip", "nested-archive"), (None, "damaged-archive")]
    assert str(scan("x.zip")[-1].error) == CUT


@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"])
@pytest.mark.parametrize(
    "comment",
    [
        *(b"PK\5\6" + bytes(18), b"words" + b"PK\5\6" + bytes(18), b"PK\5\6" + bytes(18) + b"words", b"PK\5\6" * 100),
        b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 1, 1, 46, 7, 0),
    ],
)
def test_a_comment_that_looks_like_an_end(before: bytes, comment: bytes) -> None:
    """It hides nothing."""
    buffer = io.BytesIO(before + make_zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = comment
    write("d/x.zip", buffer.getvalue())
    write("d/y.jpg")
    assert rows(scan("d")) == [*PICTURES, (None, None)]


def test_an_archive_without_members() -> None:
    for data in (make_zip([]), make_zip([]) + b"garbage", b"abc" + make_zip([])):
        write("x.zip", data)
        assert errors(scan("x.zip")) == [("x.zip", None, "no-pictures", "there is no picture in it")]


@pytest.mark.parametrize("make", [make_zip, make_streamed_zip])
def test_an_archive_behind_a_program_that_unpacks_it(make: Callable[[], bytes]) -> None:
    for size in (1, 3, 100_000):
        write("x.zip", b"\x7fELF"[:size].ljust(size, b"\0") + make())
        assert rows(scan("x.zip")) == PICTURES


def stored_stream(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip whose members only the directory tells the sizes of."""
    sink = Unseekable()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[arg-type]
        for name, data in members:
            archive.writestr(name, data)
    return b"".join(sink.pieces)


BOTH = [("a.jpg", JPEG), ("b.jpg", PNG)]


@pytest.mark.parametrize("make", [make_zip, make_streamed_zip, stored_stream])
def test_archives_one_behind_the_other(make: Callable[[Iterable[tuple[str, bytes]]], bytes]) -> None:
    """Other programs show what is in the last one. All are read."""
    write("x.zip", make(BOTH[:1]) + make(BOTH[1:]))
    assert rows(scan("x.zip")) == BOTH
    write("x.zip", make(BOTH) * 3)
    assert rows(scan("x.zip")) == BOTH * 3
    write("x.zip", make(BOTH) + make([]))
    assert rows(scan("x.zip")) == BOTH


def test_something_behind_archives_one_behind_the_other() -> None:
    """It may be the rest of a file that was cut: then nobody knows whose the last directory is."""
    write("x.zip", make_zip(BOTH[:1]) + make_zip(BOTH[1:]) + b"garbage")
    assert rows(scan("x.zip")) == [*BOTH[:1], (None, "damaged-archive")]


@pytest.mark.parametrize("between", [b"", b"garbage"])
def test_an_archive_behind_one_that_was_cut(between: bytes) -> None:
    """Its members are there, and it is said that of the first one some may be missing."""
    first = make_zip(BOTH[:1])
    for cut in (*range(first.index(CENTRAL) + 1, len(first), 7), len(first) - 1):
        write("x.zip", first[:cut] + between + make_zip(BOTH[1:]))
        items = scan("x.zip")
        assert rows(items) == [*BOTH, (None, "damaged-archive")], cut
        expected = "what stands before its last archive is cut short or damaged; members of that may be missing"
        assert str(items[-1].error) == expected


def test_an_archive_as_the_comment_of_another() -> None:
    buffer = io.BytesIO(make_zip(BOTH[:1]))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = make_zip(BOTH[1:])
    write("x.zip", buffer.getvalue())
    assert rows(scan("x.zip")) == [*BOTH, (None, "damaged-archive")]


def test_the_last_member_of_a_cut_archive_is_archives_one_behind_the_other() -> None:
    for inner in (make_zip(BOTH[:1]) + make_zip(BOTH[1:]), make_zip(BOTH)):
        whole = make_zip([("a.jpg", JPEG), ("x.zip", inner)], zipfile.ZIP_STORED)
        write("x.zip", whole[: whole.index(inner) + len(inner)])
        items = scan("x.zip")
        assert rows(items) == [("a.jpg", JPEG), ("x.zip", "nested-archive"), (None, "damaged-archive")]
        assert str(items[-1].error) == CUT


def test_more_archives_one_behind_the_other_than_are_looked_for() -> None:
    """Each could cost a search through 64 KiB; and it is said that not all of them were read."""
    write("x.zip", make_zip(BOTH) * (MOST_ARCHIVES + 5))
    started = time.monotonic()
    assert rows(scan("x.zip")) == [*BOTH * (MOST_ARCHIVES + 1), (None, "damaged-archive")]
    assert time.monotonic() - started < 5


def test_a_comment_with_a_directory_of_its_own() -> None:
    """Programs differ in which they believe: the members are there, and it is said that something is wrong."""
    buffer = io.BytesIO(make_zip())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = CENTRAL + bytes(42) + b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 1, 1, 46, 7, 0)
    write("x.zip", buffer.getvalue())
    assert rows(scan("x.zip")) == [*PICTURES, (None, "damaged-archive")]


def named(raw: bytes, system: int, extra: bytes = b"") -> bytes:
    """A zip with a picture of this name, made by this system, without the flag for UTF-8."""
    info = zipfile.ZipInfo("x" * len(raw))
    info.create_system, info.extra = system, extra
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, JPEG)
    return buffer.getvalue().replace(b"x" * len(raw), raw)


def unicode_path(name: str, of: bytes) -> bytes:
    """The extra field with a name in UTF-8 beside the name `of`."""
    body = b"\1" + struct.pack("<L", zlib.crc32(of)) + name.encode()
    return struct.pack("<2H", 0x7075, len(body)) + body


def test_names_by_the_system_that_made_the_archive() -> None:
    """Info-ZIP and macOS write what the file system has, and no flag; MS-DOS and Windows the letters of MS-DOS."""
    dos, utf8 = b"caf\x82.jpg", "café.jpg".encode()
    for system, raw, name in (
        *((system, utf8, "café.jpg") for system in (3, 19)),
        *((system, dos, "caf\udc82.jpg") for system in (3, 19)),
        *((system, dos, "café.jpg") for system in (0, 10)),
        *((system, utf8, "caf├⌐.jpg") for system in (0, 10)),
    ):
        write("x.zip", named(raw, system))
        assert rows(scan("x.zip")) == [(name, JPEG)], (system, raw)
    for raw in (utf8, dos):  # of an archive without its directory, nobody knows what made it
        write("x.zip", (data := named(raw, 3))[: data.index(CENTRAL)])
        assert rows(scan("x.zip")) == [("café.jpg", JPEG), (None, "damaged-archive")]


def test_the_extra_field_with_a_name() -> None:
    """Counts as long as it is about the name that is there."""
    write("x.zip", named(b"caf_.jpg", 0, struct.pack("<2H", 9, 1) + b"?" + unicode_path("кот.jpg", b"caf_.jpg")))
    assert rows(scan("x.zip")) == [("кот.jpg", JPEG)]
    for extra in (unicode_path("кот.jpg", b"caf-.jpg"), unicode_path("кот.jpg", b"caf_.jpg")[:6], b"pu\1\0\1"):
        write("x.zip", named(b"caf_.jpg", 0, extra))
        assert rows(scan("x.zip")) == [("caf_.jpg", JPEG)]


@pytest.mark.skipif(not shutil.which("zip"), reason="there is no zip command to compare with")
def test_what_the_zip_command_writes() -> None:
    names = ["café.jpg", "кот.jpg", "🐈.jpg"]
    for name in names:
        write(f"d/{name}")
    for options in ([], ["-UN=UTF8"], ["-UN=Escape"]):
        for path in Path().glob("x.zip"):
            path.unlink()
        subprocess.run(
            ["zip", "-qr", *options, "../x.zip", *names], check=True, cwd="d", env={**os.environ, "LC_ALL": "C.UTF-8"}
        )
        assert [item.member for item in scan("x.zip")] == names, options


def test_encrypted_members() -> None:
    flagged = patched(patched(make_zip(), LOCAL, 6, b"\x01\0"), CENTRAL, 8, b"\x01\0")
    write("x.zip", flagged)
    sources = Sources(["x.zip"])
    expected = "is encrypted; unpack the archive with its password first"
    assert errors(list(sources)) == [("x.zip", name, "encrypted", expected) for name, _ in PICTURES]
    assert sources.passed_over == 1  # readme.txt


def test_unsupported_compression() -> None:
    write("x.zip", patched(patched(make_zip(PICTURES[:1]), LOCAL, 8, b"\x09\0"), CENTRAL, 10, b"\x09\0"))
    expected = "is compressed with Deflate64; pack it with Deflate, bzip2 or not at all"
    assert errors(scan("x.zip")) == [("x.zip", "a.jpg", "unsupported-compression", expected)]
    write("x.zip", patched(make_zip(PICTURES[:1]), CENTRAL, 10, b"\xff\0"))
    assert "with method 255;" in errors(scan("x.zip"))[0][3]


def test_damaged_member_costs_only_itself() -> None:
    data = make_zip([("a.jpg", JPEG), ("b.jpg", JPEG * 9), ("c.jpg", JPEG)], zipfile.ZIP_STORED)
    at = data.index(JPEG * 9) + 60
    write("x.zip", data[:at] + b"!" + data[at + 1 :])
    items = scan("x.zip")
    assert rows(items) == [("a.jpg", JPEG), ("b.jpg", "damaged-archive"), ("c.jpg", JPEG)]
    assert str(items[1].error) == "its checksum is not the one that the archive has"
    data = make_zip([("a.jpg", JPEG), ("b.jpg", os.urandom(5000)), ("c.jpg", JPEG)])
    start = data.index(b"b.jpg") + 5
    write("x.zip", data[:start] + b"\xff" * 20 + data[start + 20 :])
    items = scan("x.zip")
    assert rows(items) == [("a.jpg", JPEG), ("b.jpg", "damaged-archive"), ("c.jpg", JPEG)]
    assert str(items[1].error).startswith("its compressed data is damaged: ")


def test_member_that_is_longer_or_shorter_than_told() -> None:
    for size in (5, 10_000_000):
        write("x.zip", patched(make_zip([("a.jpg", JPEG), ("b.jpg", JPEG)]), CENTRAL, 24, struct.pack("<L", size)))
        expected = f"has {len(JPEG):,} bytes where the archive says {size:,}"
        assert [row[2:] for row in errors(scan("x.zip"))] == [("damaged-archive", expected)] * 2


@pytest.mark.parametrize("offset", [0x7FFFFFFF, 0xFFFFFFFE, 3])
def test_member_that_is_elsewhere(offset: int) -> None:
    write("x.zip", patched(make_zip(PICTURES[:1]), CENTRAL, 42, struct.pack("<L", offset)))
    expected = "its data is not where the archive's directory says"
    assert errors(scan("x.zip")) == [("x.zip", "a.jpg", "damaged-archive", expected)]


def test_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    data = make_zip()
    assert b"PK\x06\x06" in data and b"PK\x06\x07" in data
    write("x.zip", data)
    assert rows(scan("x.zip")) == PICTURES
    write("x.zip", data[: data.index(CENTRAL)])
    assert rows(scan("x.zip")) == [*PICTURES, (None, "damaged-archive")]


def test_zip64_offset_beyond_every_file() -> None:
    data = make_zip(PICTURES[:1])
    at = data.index(CENTRAL)
    extra = struct.pack("<2HQ", 1, 8, 2**64 - 1)
    directory = data[at : data.index(b"PK\x05\x06")]
    directory = directory[:30] + struct.pack("<H", len(extra)) + directory[32:42] + b"\xff" * 4 + directory[46:] + extra
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), at, 0)
    write("x.zip", data[:at] + directory + end)
    assert rows(scan("x.zip")) == [("a.jpg", "damaged-archive")]


def test_overlapping_members() -> None:
    """As in the flat zip bomb: many entries in the directory, one body."""
    body = make_zip([("a.jpg", JPEG + os.urandom(50_000))])
    at, end = body.index(CENTRAL), body.rindex(b"PK\x05\x06")
    directory = body[at:end] * 1000
    write(
        "x.zip", body[:at] + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1000, 1000, len(directory), at, 0)
    )
    items = scan("x.zip")
    assert errors(items) == [
        ("x.zip", None, "archive-bomb", "its members overlap, as in a zip bomb; the rest of it is not read")
    ]
    assert len(items) < 5


def test_extra_fields_of_many_records_take_no_time() -> None:
    """Every member has 64 KiB of the shortest ones."""
    data = make_zip([("a.jpg", JPEG)])
    at = data.index(CENTRAL)
    extra = struct.pack("<2H", 2, 0) * 16_000
    entry = data[at : data.index(b"PK\x05\x06")]
    entry = patched(patched(entry, CENTRAL, 30, struct.pack("<H", len(extra))), CENTRAL, 20, b"\xff" * 4) + extra
    directory = entry * 200
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 200, 200, len(directory), at, 0)
    write("x.zip", data[:at] + directory + end)
    started = time.monotonic()
    assert len(scan("x.zip")) >= 1
    assert time.monotonic() - started < 5
