"""Patterns that the shell did not expand -> paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tools.archive_samples import (
    JPEG,
    TEXT,
)
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
