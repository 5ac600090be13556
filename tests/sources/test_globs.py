"""Patterns that the shell did not expand -> paths."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from open_nsfw.sources.item import Item
from open_nsfw.sources.walk import Sources
from tests.tools.archive_samples import (
    JPEG,
    TEXT,
)
from tests.tools.helpers import SECONDS
from tests.tools.sources import errors, paths, scan, write


@pytest.fixture
def tree() -> None:
    for name in ("t/1.jpg", "t/2.png", "t/.3.jpg", "t/a/4.jpg", "t/a/b/5.jpg", "t/a/b/readme.txt", "t/c[1].jpg"):
        write(name, TEXT if name.endswith("txt") else JPEG)


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("t/*.jpg", ["t/1.jpg", "t/c[1].jpg"]),
        ("t/?.*", ["t/1.jpg", "t/2.png"]),
        ("t/[!2].*", ["t/1.jpg"]),
        ("t/.*.jpg", ["t/.3.jpg"]),
        ("*/a/4.jpg", ["t/a/4.jpg"]),
        ("t/**/*.jpg", ["t/1.jpg", "t/a/4.jpg", "t/a/b/5.jpg", "t/c[1].jpg"]),
        ("**/**/5.jpg", ["t/a/b/5.jpg"]),
        ("**/a/**/*.jpg", ["t/a/4.jpg", "t/a/b/5.jpg"]),
        ("t/**", ["t/1.jpg", "t/2.png", "t/a/4.jpg", "t/a/b/5.jpg", "t/c[1].jpg"]),
        ("t/*/", ["t/a/4.jpg", "t/a/b/5.jpg"]),
        ("t/*/b/*", ["t/a/b/5.jpg", "t/a/b/readme.txt"]),  # a file that matches was asked for, as behind a shell
        ("./t/./1*", ["./t/./1.jpg"]),
        ("t/c[1].jpg", ["t/c[1].jpg"]),  # a file of that very name comes first
    ],
)
def test_pattern(pattern: str, expected: list[str]) -> None:
    assert paths(pattern) == expected


@pytest.mark.usefixtures("tree")
def test_pattern_with_hidden_names_and_an_absolute_path(tmp_path: Path) -> None:
    assert paths("t/*.jpg", hidden=True) == ["t/.3.jpg", "t/1.jpg", "t/c[1].jpg"]
    assert paths(f"{tmp_path}/t/1.*") == [f"{tmp_path}/t/1.jpg"]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("pattern", ["t/*.gif", "nowhere/*.jpg", "t/1.jpg/*", "[", "t/[[]x", "**/nothing"])
def test_pattern_without_a_match(pattern: str) -> None:
    expected = "there is no such file, and none that matches it as a pattern"
    assert errors(scan(pattern)) == [(pattern, None, "no-match", expected)]


def test_pattern_survives_symlink_loops() -> None:
    write("d/x.jpg")
    os.symlink(".", "d/loop")
    assert paths("d/**/*.jpg") == ["d/x.jpg"]


@pytest.mark.parametrize("names", [["pipe", "pipe.jpg", "x.jpg"], ["pipe", "second"]])
def test_pipes_that_a_pattern_finds_are_not_opened(names: list[str]) -> None:
    """Nobody may ever write to them. Alone, they leave the pattern with a row that says so."""
    os.mkdir("d")
    for name in names:
        (write if name == "x.jpg" else os.mkfifo)(f"d/{name}")
    reason = "only pipes or devices match it, which are read where they are named without a pattern"
    expected = [("d/x.jpg", None)] if "x.jpg" in names else [("d/*", reason)]
    found: list[tuple[str, str | None]] = []
    thread = threading.Thread(target=lambda: found.extend(_with_reasons(Sources(["d/*"]))), daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert found == expected


def _with_reasons(items: Iterable[Item]) -> list[tuple[str, str | None]]:
    return [(item.path, item.error and item.error.reason) for item in items]
