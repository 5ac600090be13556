"""Standard input and named pipes -> Items."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from open_nsfw.pictures.formats import Limits
from open_nsfw.sources.item import Item
from tests.tools.archive_samples import (
    JPEG,
    PICTURES,
    TEXT,
    make_tar,
    make_zip,
    rows,
    zst,
)
from tests.tools.helpers import SECONDS
from tests.tools.sources import errors, scan, write


def test_named_pipe_is_read_at_once() -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=write, args=("pipe", JPEG))
    writer.start()
    (item,) = scan("pipe")
    writer.join()
    assert (item.path, item.data, item.error) == ("pipe", JPEG, None)


def from_pipe(data: bytes, **options: Any) -> list[Item]:
    os.mkfifo("pipe")
    writer = threading.Thread(target=write, args=("pipe", data), daemon=True)
    writer.start()
    items = scan("pipe", **options)
    writer.join(SECONDS)
    return items


def from_stdin(data: bytes, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[Item]:
    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            piece = 100 if len(data) < 100_000 else 1000
            for start in range(0, len(data), piece):  # in small pieces, as networks give them
                pipe.write(data[start : start + piece])

    writer = threading.Thread(target=feed)
    writer.start()
    with open(read_end) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        items = scan("-", **options)
    writer.join()
    return items


def test_picture_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    data = JPEG * 300
    assert from_stdin(data, monkeypatch) == [Item("-", data=data)]


def test_text_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_stdin(TEXT, monkeypatch) == [Item("-", data=TEXT)]


@pytest.mark.parametrize("archive", [make_zip(), make_tar()], ids=["zip", "tar"])
def test_archive_on_stdin(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    items = from_stdin(archive, monkeypatch)
    assert rows(items) == PICTURES
    assert {(item.path, item.size, item.modified) for item in items} == {("-", None, None)}


@pytest.mark.parametrize("archive", [make_zip(), make_tar(), make_tar(mode="w:gz")], ids=["zip", "tar", "tar.gz"])
def test_archive_through_a_named_pipe(archive: bytes) -> None:
    items = from_pipe(archive)
    assert rows(items) == PICTURES
    assert {(item.path, item.size, item.modified) for item in items} == {("pipe", None, None)}


TEXTS = [("readme.txt", TEXT)]


@pytest.mark.parametrize(
    "archive",
    [make_zip([]), make_zip(TEXTS), make_tar(TEXTS), make_tar(TEXTS, "w:gz")],
    ids=["empty", "zip", "tar", "tar.gz"],
)
def test_archive_without_a_picture(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ("no-pictures", "there is no picture in it")
    assert errors(from_stdin(archive, monkeypatch)) == [("-", None, *expected)]
    assert errors(from_pipe(archive)) == [("pipe", None, *expected)]


def test_pipe_that_is_empty_too_long_or_cut_off() -> None:
    assert errors(from_pipe(b"")) == [("pipe", None, "empty", "the file is empty")]
    os.unlink("pipe")
    expected = "more than the limit of 10 bytes (--max-bytes)"
    assert errors(from_pipe(JPEG, limits=Limits(max_bytes=10))) == [("pipe", None, "too-many-bytes", expected)]
    os.unlink("pipe")
    assert [row[2] for row in errors(from_pipe(make_zip()[:100]))] == ["damaged-archive"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zst], ids=["gz", "bz2", "xz", "zst"])
@pytest.mark.parametrize("size", [10, 2_000_000])
def test_compressed_tar_on_stdin(pack: Callable[[bytes], bytes], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing comes out of the first bytes: blocks are large, and only whole ones can be unpacked."""
    noise = random.Random(1).randbytes(size).translate(bytes(byte & 0x3F for byte in range(256)))
    members = [("a.jpg", JPEG + noise), ("b.jpg", JPEG)]
    items = from_stdin(pack(make_tar(members)), monkeypatch)
    assert rows(items) == members


def test_compressed_text_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed on whole, for the error that says that it is no picture."""
    data = bz2.compress(random.Random(1).randbytes(2_000_000))
    assert from_stdin(data, monkeypatch) == [Item("-", data=data)]


def test_stdin_empty_too_long_or_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert errors(from_stdin(b"", monkeypatch)) == [("-", None, "empty", "the file is empty")]
    expected = "more than the limit of 10 bytes (--max-bytes)"
    assert errors(from_stdin(JPEG, monkeypatch, limits=Limits(max_bytes=10))) == [
        ("-", None, "too-many-bytes", expected)
    ]
    monkeypatch.setattr("sys.stdin", None)
    assert errors(scan("-")) == [("-", None, "unreadable", "standard input is closed")]
