"""Lists of paths -> paths."""

from __future__ import annotations

import subprocess
import sys

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.sources.lists import read_list
from tests.tools.helpers import ROOT
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
    ],
)
def test_list(content: bytes, expected: list[str]) -> None:
    write("list", content)
    assert list(read_list("list")) == expected


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
