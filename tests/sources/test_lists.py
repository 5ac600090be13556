"""Lists of paths -> paths."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.sources.lists import read_list
from tests.tools.helpers import ROOT, SECONDS, run_command
from tests.tools.sources import errors, scan, write


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a.jpg\nb c.jpg\n", ["a.jpg", "b c.jpg"]),
        (b"a.jpg\r\nb.jpg\r\n\r\n", ["a.jpg", "b.jpg"]),
        (b"\xef\xbb\xbfa.jpg\nb.jpg", ["a.jpg", "b.jpg"]),
        (b"a\nb.jpg\0c.jpg\0", ["a\nb.jpg", "c.jpg"]),
        (b"\xef\xbb\xbfa.jpg\0", ["\ufeffa.jpg"]),  # no editor writes such lists, so this is the name
        (b"a.jpg\r\0b.jpg", ["a.jpg\r", "b.jpg"]),
        (b"caf\xe9.jpg\n\xf0\x9f\x90\x88.jpg\n", ["caf\udce9.jpg", "🐈.jpg"]),
        (b"-\n", ["./-"]),
        (b"", []),
        (b"\n\n", []),
        (b"\0\0", []),
        (b".\0", ["."]),
        (b".\0./a\0./b\0", [".", "./a", "./b"]),  # of `find . -print0`
        (b"1\0002\0003\0004\0005\0", ["1", "2", "3", "4", "5"]),
        (b"Icon\r\0a\0b\0", ["Icon\r", "a", "b"]),  # macOS has files of this name
        (b"\xef\xbb\xbf\n", []),
        (b"\xef\xbb", ["\udcef\udcbb"]),
    ],
)
def test_list(content: bytes, expected: list[str]) -> None:
    write("list", content)
    assert list(read_list("list")) == expected


REMEDY = "save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"
TEXTS = ("./a.jpg\r\n", "/\n", "ab.c", "photos/a.jpg", "\u00e4.jpg\r\n", "D:\\1.jpg\n")
ENCODINGS = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
WIDE = [
    *(
        (text, encoding, mark, size)
        for text in TEXTS
        for encoding in ENCODINGS
        for mark in ("", "\ufeff")
        for size in (1, 3, 64)
    ),
    # The first of these letters alone, in a piece of its own, could be that of a name.
    *(("\u7167\u7247/1.jpg\n", encoding, mark, 64) for encoding in ENCODINGS for mark in ("", "\ufeff")),
]


@pytest.mark.parametrize(("text", "encoding", "mark", "size"), WIDE)
def test_text_of_two_or_four_bytes_a_letter(text: str, encoding: str, mark: str, size: int) -> None:
    """As PowerShell and Notepad write it; nothing of it is taken for a path, in whatever pieces it comes."""
    data = (mark + text).encode(encoding)
    os.mkfifo("list")
    writer = threading.Thread(target=feed, args=(data, size), daemon=True)
    writer.start()
    with pytest.raises(UsageError) as caught:
        next(read_list("list"))
    assert str(caught.value) == f"the list of paths 'list' is text in UTF-16 or UTF-32: {REMEDY}"
    writer.join()


def feed(data: bytes, size: int) -> None:
    """Write to the pipe `list` in pieces."""
    with suppress(BrokenPipeError), open("list", "wb", buffering=0) as pipe:
        for start in range(0, len(data), size):
            pipe.write(data[start : start + size])
            time.sleep(0.001)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("stdin", [True, False])
def test_nothing_of_such_a_list_is_scored(order: str, stdin: bool) -> None:
    data = "./a.jpg\r\n".encode(order)
    write("list", data)
    file = "-" if stdin else "list"
    done = run_command("--engine", "onnxruntime", "--from-list", file, cwd=Path.cwd(), stdin=data if stdin else b"")
    expected = f"classify_nsfw: error: the list of paths '{file}' is text in UTF-16 or UTF-32: {REMEDY}\n"
    assert (done.status, done.out, done.err) == (2, "", expected)


@pytest.mark.parametrize("size", [1, 64])
@pytest.mark.parametrize(
    "names",
    [
        [".", *"0123456789abcdef"],  # of folders by the first digit of a hash, as `find -printf '%f\\0'` has them
        ["photos/", "a", "b", "c"],
        ["a", "", "b", ""],
        ["a", "\n", "b"],
        ["a", "b/c.jpg", "d"],
    ],
)
def test_short_names_ended_by_nul_bytes(names: list[str], size: int) -> None:
    """Are no text of two bytes a letter."""
    os.mkfifo("list")
    data = "".join(f"{name}\0" for name in names).encode()
    writer = threading.Thread(target=feed, args=(data, size), daemon=True)
    writer.start()
    assert list(read_list("list")) == [name for name in names if name]
    writer.join()


@pytest.mark.parametrize("line", [b"\xff\xfe.jpg\n", b"\xef\xbd\xb1\n"])
def test_names_that_begin_like_a_mark_are_not_waited_for(line: bytes) -> None:
    """The first comes before anything else is written."""
    os.mkfifo("list")
    first = threading.Event()

    def write_slowly() -> None:
        with open("list", "wb", buffering=0) as pipe:
            pipe.write(line)
            assert first.wait(SECONDS)
            pipe.write(b"b.jpg\n")

    writer = threading.Thread(target=write_slowly, daemon=True)
    writer.start()
    paths = read_list("list")
    assert next(paths) == os.fsdecode(line[:-1])
    first.set()
    assert list(paths) == ["b.jpg"]
    writer.join()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_mark_of_utf8_that_comes_in_pieces(size: int) -> None:
    os.mkfifo("list")
    writer = threading.Thread(target=feed, args=(b"\xef\xbb\xbfa.jpg\nb.jpg", size), daemon=True)
    writer.start()
    assert list(read_list("list")) == ["a.jpg", "b.jpg"]
    writer.join()


def test_nul_option() -> None:
    write("list", b"one\nname.jpg")
    assert list(read_list("list", nul=True)) == ["one\nname.jpg"]


def test_list_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"^the list of paths 'missing' is not there$"):
        read_list("missing")
    with pytest.raises(UsageError, match=r"^the list of paths '\.' cannot be read: Is a directory$"):
        read_list(".")


def test_list_without_line_ends_is_not_gathered() -> None:
    write("list", b"x" * 5_000_000)
    pieces = list(read_list("list"))
    assert sum(map(len, pieces)) == 5_000_000
    assert max(map(len, pieces)) < 1_200_000
    assert [row[2] for row in errors(scan(*pieces))] == ["unreadable"] * len(pieces)


def test_list_is_read_as_it_comes() -> None:
    code = "import sys; from open_nsfw.sources.lists import read_list\nfor x in read_list('-'): print(x, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin and process.stdout
        for name in (b"a.jpg\n", b"b.jpg\n"):
            process.stdin.write(name)
            process.stdin.flush()
            assert process.stdout.readline() == name  # before the next one is written
