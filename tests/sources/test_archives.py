"""Archives of every kind -> Items."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.sources import archives
from open_nsfw.sources.item import Item
from open_nsfw.sources.walk import Sources
from tests.tools.archive_samples import (
    JPEG,
    PICTURES,
    PNG,
    make_streamed_zip,
    make_tar,
    make_zip,
    rows,
    tar_entry,
    tarfile_bytes,
    zst,
)
from tests.tools.helpers import peak_of
from tests.tools.sources import COUNT, errors, scan, write

ARCHIVES = {
    "x.zip": make_zip,
    "stored.zip": lambda: make_zip(method=zipfile.ZIP_STORED),
    "bzip2.zip": lambda: make_zip(method=zipfile.ZIP_BZIP2),
    "streamed.zip": make_streamed_zip,
    "behind_a_script.zip": lambda: b"#!/bin/sh\nexit\n" + make_zip(),
    "garbage_behind.zip": lambda: make_zip() + b"garbage",
    "x.tar": make_tar,
    "gnu.tar": lambda: make_tar(tar_format=tarfile.GNU_FORMAT),
    "ustar.tar": lambda: make_tar(tar_format=tarfile.USTAR_FORMAT),
    "x.tar.gz": lambda: make_tar(mode="w:gz"),
    "x.tgz": lambda: make_tar(mode="w:gz"),
    "two_streams.tar.gz": lambda: gzip.compress(make_tar()[:700]) + gzip.compress(make_tar()[700:]),
    "garbage_behind.tar.gz": lambda: make_tar(mode="w:gz") + b"garbage" * 5000,
    "zeros_behind.tar.gz": lambda: make_tar(mode="w:gz") + bytes(5000),
    "garbage_behind.tar": lambda: make_tar() + b"garbage" * 500,
    "a_little_behind.tar": lambda: make_tar() + b"\n",
    "x.tar.bz2": lambda: make_tar(mode="w:bz2"),
    "x.tar.xz": lambda: make_tar(mode="w:xz"),
    "x.tar.zst": lambda: zst(make_tar()),
    "two_frames.tar.zst": lambda: zst(make_tar()[:700]) + zst(make_tar()[700:]),
    "x.jpg_": make_zip,  # by content, whatever the name
    "upload": lambda: make_tar(mode="w:xz"),
}


@pytest.mark.parametrize("name", sorted(ARCHIVES))
@pytest.mark.parametrize("in_folder", [False, True])
def test_archive(name: str, in_folder: bool) -> None:
    write(f"d/{name}", ARCHIVES[name]())
    sources = Sources(["d" if in_folder else f"d/{name}"])
    items = list(sources)
    assert rows(items) == PICTURES
    status = os.stat(f"d/{name}")
    assert {(i.path, i.size, i.modified) for i in items} == {(f"d/{name}", status.st_size, status.st_mtime)}
    assert sources.passed_over == 1
    assert os.listdir("d") == [name]


def test_archive_with_suffix_zip_and_no_archive_in_it() -> None:
    for name in ("x.zip", "x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2"):
        write(name, b"no archive at all")
    items = scan("x.zip", "x.tar", "x.tar.gz", "x.tar.xz", "x.tar.bz2")
    assert [row[:3] for row in errors(items)] == [(item.path, None, "damaged-archive") for item in items]
    assert [str(item.error) for item in items[:2]] == [
        "its end is missing: the file was cut short, or is no zip archive",
        "breaks off inside a header",
    ]


def test_what_is_all_skipped_is_not_called_empty() -> None:
    write("x.zip", make_zip())
    assert list(Sources(["x.zip"], skip=lambda path, member: True)) == []


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_skipped_members_are_not_read(make: Any) -> None:
    write("x", make())
    asked: list[tuple[str, str | None]] = []

    def skip(path: str, member: str | None) -> bool:
        asked.append((path, member))
        return member == "a.jpg"

    assert rows(list(Sources(["x"], skip=skip))) == PICTURES[1:]
    assert asked == [("x", name) for name, _ in PICTURES]  # what has no row is not asked for


def test_error_of_an_archive_is_skipped_only_by_itself() -> None:
    write("x.tar", make_tar()[:-9000])
    everything = scan("x.tar")
    assert everything[-1].error
    assert list(Sources(["x.tar"], skip=lambda path, member: member is None)) == everything[:-1]


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.tar.zst", "x.zip", "streamed.zip"])
def test_archive_cut_at_every_byte(name: str) -> None:
    """Members before the break come, in order and whole; then one Item says that something is missing."""
    members = [("a.jpg", JPEG), ("b.jpg", PNG * 12), ("c", PNG)]
    tar = tarfile_bytes(members)
    whole = {
        "x.tar": lambda: tar,
        "x.tar.gz": lambda: gzip.compress(tar),
        "garbage_behind.tar": lambda: make_tar() + b"garbage" * 500,
        "a_little_behind.tar": lambda: make_tar() + b"\n",
        "x.tar.bz2": lambda: bz2.compress(tar),
        "x.tar.xz": lambda: lzma.compress(tar),
        "x.tar.zst": lambda: zst(tar),
        "x.zip": lambda: make_zip(members),
        "streamed.zip": lambda: make_streamed_zip(members),
    }[name]()
    came = set()
    for cut in range(len(whole)):
        write(name, whole[:cut])
        items = scan(name)
        assert rows(items)[:-1] == members[: len(items) - 1], cut
        last = items[-1]
        assert (last.member, last.error and last.error.code) == (None, "damaged-archive"), cut
        came.add(len(items) - 1)
    assert {0} <= came <= {0, 1, 2, 3}
    if name in ("x.tar", "x.zip", "streamed.zip"):  # small ones that are compressed as a whole come at once
        assert came == {0, 1, 2, 3}
    write(name, whole)
    assert rows(scan(name)) == members


def test_hostile_names_are_only_labels() -> None:
    names = [
        "/etc/x.jpg",
        "../../x.jpg",
        "a/../../x.jpg",
        "C:\\x.jpg",
        "line\nbreak.jpg",
        "\x1b[2J.jpg",
        "🐈.jpg",
        " .jpg",
    ]
    write("d/x.zip", make_zip([(name, JPEG) for name in names]))
    write("d/x.tar", make_tar([(name, JPEG) for name in names]))
    before = sorted(Path().rglob("*"))
    assert [item.member for item in scan("d/x.zip", "d/x.tar")] == names * 2
    assert sorted(Path().rglob("*")) == before


def test_names_that_are_not_utf8() -> None:
    write("x.tar", tar_entry(b"caf\xe9.jpg", JPEG) + bytes(1024))
    utf8 = make_zip([("caf\u00e9.jpg", JPEG)])
    write("x.zip", utf8.replace("caf\u00e9".encode(), b"caf\xc3\xff"))
    assert [item.member for item in scan("x.tar", "x.zip")] == ["caf\udce9.jpg", "caf\udcc3\udcff.jpg"]


def test_nested_archives() -> None:
    inner = [("in.zip", make_zip()), ("in.tar", make_tar()), ("in.tgz", make_tar(mode="w:gz")), ("noname", make_zip())]
    expected = "is an archive inside an archive; unpack the outer one first"
    for name, make in (("x.zip", make_zip), ("x.tar", make_tar)):
        write(name, make([*inner, ("a.jpg", JPEG)]))
        items = scan(name)
        assert errors(items) == [(name, member, "nested-archive", expected) for member, _ in inner]
        assert rows(items)[-1] == ("a.jpg", JPEG)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_nested_archives_that_only_their_content_tells(make: Any) -> None:
    inner = make_tar([("a.jpg", JPEG + random.Random(1).randbytes(1_500_000))])
    packed = [("gz", gzip.compress(inner)), ("bz2", bz2.compress(inner)), ("xz", lzma.compress(inner))]
    write("x", make([*packed, ("json", bz2.compress(b"{}" * 10)), ("b.jpg", JPEG)]))
    assert rows(scan("x")) == [*((name, "nested-archive") for name, _ in packed), ("b.jpg", JPEG)]


def test_memory_is_flat_over_the_size_of_archives() -> None:
    peaks = []
    for count in (1_000, 30_000):
        members = [(f"folder/name of picture {index}.jpg", JPEG) for index in range(count)]
        write("x.zip", make_zip(members, zipfile.ZIP_STORED))
        write("x.tar", tarfile_bytes(members))
        for name in ("x.zip", "x.tar"):
            peak, output = peak_of(COUNT, os.path.abspath(name))
            assert output == b"%d" % count
            peaks.append(peak)
    assert max(peaks) - min(peaks) < 4 * 1024


def test_files_are_closed_when_the_stream_is_left() -> None:
    write("x.zip", make_zip())
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    items: Iterator[Item] = iter(Sources(["x.zip"]))
    next(items)
    del items
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_reading_fails_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails, or a file server that goes away."""

    def fail(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    for name in ("x.tar", "x.zip"):
        write(name, make_tar() if name == "x.tar" else make_zip())
        monkeypatch.setattr(archives, "tar_members", fail)
        monkeypatch.setattr(archives, "zip_members", fail)
        assert errors(scan(name)) == [(name, None, "unreadable", "cannot be read: Input/output error")]
