"""Files and folders, and whatever else is named -> Items."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from open_nsfw.sources.item import Item, SourceOptions, is_picture
from open_nsfw.sources.walk import Sources, in_bytes, unpacked
from tests.tools.archive_samples import (
    JPEG,
    PNG,
    TEXT,
    make_tar,
    make_zip,
)
from tests.tools.helpers import peak_of
from tests.tools.sources import errors, paths, scan, write


def test_named_file_always_gives_an_item() -> None:
    write("a.jpg")
    write("readme.txt", TEXT)
    write("empty", b"")
    items = scan("a.jpg", "readme.txt", "empty")
    assert [(item.path, item.data, item.error, item.size) for item in items] == [
        ("a.jpg", None, None, len(JPEG)),
        ("readme.txt", None, None, len(TEXT)),
        ("empty", None, None, 0),
    ]
    assert items[0].modified == os.stat("a.jpg").st_mtime


@pytest.mark.parametrize("argument", ["missing.jpg", "", "folder/missing", "a.jpg\udcff"])
def test_missing_file(argument: str) -> None:
    assert errors(scan(argument)) == [(argument, None, "not-found", "there is no such file")]


def test_names_that_the_system_refuses() -> None:
    assert [row[2] for row in errors(scan("a\0b.jpg", "\ud800.jpg", "x" * 5000))] == ["unreadable"] * 3
    assert errors(scan("x" * 300 + ".jpg"))[0][3] == "cannot be read: File name too long"


def test_no_arguments() -> None:
    assert scan() == []


def test_folder_is_recursive_and_sorted() -> None:
    for name in ("d/b.jpg", "d/a/z.png", "d/a/.hidden.jpg", "d/.git/x.jpg", "d/C.JPG", "d/c.jpg"):
        write(name)
    assert paths("d") == ["d/C.JPG", "d/a/z.png", "d/b.jpg", "d/c.jpg"]
    assert paths("d/") == ["d/C.JPG", "d/a/z.png", "d/b.jpg", "d/c.jpg"]
    assert paths("d", hidden=True) == [
        *("d/.git/x.jpg", "d/C.JPG", "d/a/.hidden.jpg", "d/a/z.png", "d/b.jpg", "d/c.jpg")
    ]


def test_folder_takes_pictures_by_content_or_name() -> None:
    contents = {
        "jpeg_without_suffix": JPEG,
        "png.txt": PNG,
        "text.jpg": TEXT,
        "text.mp4": TEXT,
        "movie": b"\0\0\0\x18ftypisom" + bytes(20),
        "readme.txt": TEXT,
        "BMW.txt": b"BMW is a maker of cars, and this is no bitmap." * 20,
        "the.txt": b"The free software definition" + b" " * 500,
        "app.ts": b"G" + b"\n" * 187 + b"G" * 10,
        "data.json.gz": gzip.compress(b"{}" * 1000),
        "empty": b"",
        "._resource": b"\x00\x05\x16\x07\x00",
    }
    for name, data in contents.items():
        write(f"d/{name}", data)
    sources = Sources(["d"])
    assert [item.path[2:] for item in sources] == ["jpeg_without_suffix", "movie", "png.txt", "text.jpg", "text.mp4"]
    assert sources.passed_over == 6


def test_apple_double_files_are_no_pictures() -> None:
    write("d/._x.jpg", b"\x00\x05\x16\x07\x00\x02")
    sources = Sources(["d"], SourceOptions(hidden=True))
    assert [item.error.code for item in sources if item.error] == ["no-pictures"]
    assert sources.passed_over == 1
    assert not is_picture("x.jpg", b"\x00\x05\x16\x07")


def test_symlink_loops_and_broken_links() -> None:
    write("d/a/x.jpg")
    write("outside/y.jpg")
    os.symlink("..", "d/a/loop")
    os.symlink(os.path.abspath("outside"), "d/z_first")
    os.symlink(os.path.abspath("outside"), "d/z_second")
    os.symlink("nowhere", "d/broken.jpg")
    os.symlink("nowhere", "d/broken.txt")
    os.symlink("self.jpg", "d/self.jpg")
    sources = Sources(["d"])
    assert [(item.path, item.error and item.error.code) for item in sources] == [
        ("d/a/x.jpg", None),
        ("d/broken.jpg", "not-found"),
        ("d/self.jpg", "unreadable"),
        ("d/z_first/y.jpg", None),
    ]
    assert sources.passed_over == 1


def test_pipes_in_folders_are_not_opened() -> None:
    os.mkdir("d")
    os.mkfifo("d/pipe")
    write("d/x.jpg")
    sources = Sources(["d"])
    assert [item.path for item in sources] == ["d/x.jpg"]
    assert sources.passed_over == 1


def test_pipe_named_like_a_picture_is_not_opened_either() -> None:
    os.mkdir("d")
    os.mkfifo("d/pipe.jpg")
    sources = Sources(["d"])
    assert [item.error.code for item in sources if item.error] == ["no-pictures"]
    assert sources.passed_over == 1


def test_names_with_emoji_newline_and_invalid_utf8() -> None:
    names = [b"d/\xf0\x9f\x90\x88.jpg", b"d/line\nbreak.jpg", b"d/caf\xe9.jpg", b"d/\x1b[31m.jpg", b"d/ .jpg"]
    for name in names:
        write(name)
    assert {os.fsencode(path) for path in paths("d")} == set(names)
    assert paths(*paths("d")) == paths("d")


def test_folder_that_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    write("d/locked/x.jpg")
    write("d/open.jpg")
    listed = os.scandir

    def scandir(folder: str) -> Any:
        if folder.endswith("locked"):
            raise PermissionError(13, "Permission denied", folder)
        return listed(folder)

    monkeypatch.setattr("open_nsfw.sources.walk.os.scandir", scandir)
    items = scan("d")
    assert errors(items) == [("d/locked", None, "unreadable", "this folder cannot be listed: Permission denied")]
    assert items[1].path == "d/open.jpg"


@pytest.mark.parametrize("unpack", [True, False])
def test_files_that_cannot_be_read(unpack: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went away in the meantime is passed over, as what was gone before; everything else may be a picture."""
    for name in ("d/denied", "d/denied.txt", "d/gone", "d/x.zip", "d/z"):
        write(name)
    reasons = {"d/gone": errno.ENOENT, "d/z": errno.EIO}

    def fail(path: str, *_: object) -> None:
        number = reasons.get(path, errno.EACCES)
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("open_nsfw.sources.walk.open", fail, raising=False)
    sources = Sources(["d"], SourceOptions(unpack=unpack))
    denied = [
        (f"d/{name}", None, "unreadable", "cannot be read: Permission denied") for name in ("denied", "denied.txt")
    ]
    zipped = ("d/x.zip", None, "unreadable", "cannot be read: Permission denied")
    assert errors(list(sources)) == [*denied, zipped, ("d/z", None, "unreadable", "cannot be read: Input/output error")]
    assert sources.passed_over == 1
    assert errors(scan("d/gone")) == [("d/gone", None, "not-found", "there is no such file")]


def test_folders_deeper_than_the_recursion_limit() -> None:
    top = os.getcwd()
    os.mkdir("d")
    os.chdir("d")
    for _ in range(1200):
        os.mkdir("e")
        os.chdir("e")
    write("x.jpg")
    os.chdir(top)
    found = paths("d")
    subprocess.run(["rm", "-r", "d"], check=True)  # pytest, which clears up, would run into that limit
    assert found == ["d/" + "e/" * 1200 + "x.jpg"]


def test_nothing_is_listed_before_its_turn() -> None:
    write("d/a.jpg")
    os.mkdir("d/b")
    items = iter(Sources(["d", "missing"]))
    assert next(items).path == "d/a.jpg"
    write("d/b/new.jpg")
    assert next(items).path == "d/b/new.jpg"


def test_skip_is_asked_for_files() -> None:
    write("a.jpg")
    write("b.jpg")
    asked = []

    def skip(path: str, member: str | None) -> bool:
        asked.append((path, member))
        return path == "a.jpg"

    assert [item.path for item in Sources(["a.jpg", "b.jpg", "c.jpg"], skip=skip)] == ["b.jpg", "c.jpg"]
    assert asked == [("a.jpg", None), ("b.jpg", None), ("c.jpg", None)]


def test_what_was_named_and_holds_no_picture_says_so() -> None:
    """One Item for each, so that the user is not left with silence; below a folder such an archive is nothing special."""
    write("x.zip", make_zip([]))
    write("x.tar", make_tar([]))
    write("d/readme.txt", b"text")
    write("e/x.zip", make_zip([]))
    write("e/y.jpg")
    for name in ("x.zip", "x.tar", "d"):
        (item,) = scan(name)
        assert item.error is not None
        assert (item.path, item.error.code, str(item.error)) == (name, "no-pictures", "there is no picture in it")
    assert [(item.path, item.error) for item in scan("e")] == [("e/y.jpg", None)]


def test_importing_is_cheap() -> None:
    code = "import sys; before = set(sys.modules); import open_nsfw.sources.walk; print(*sorted(set(sys.modules) - before))"
    _, output = peak_of(code)
    heavy = {
        b"numpy",
        b"PIL",
        b"zipfile",
        b"tarfile",
        b"glob",
        b"zstandard",
        b"lzma",
        b"bz2",
        b"zlib",
        b"struct",
        b"tempfile",
    }
    assert not heavy & set(output.split())


def test_one_picture_imports_no_archive_reader() -> None:
    write("a.jpg")
    write("noname")
    code = "import sys; from open_nsfw.sources.walk import Sources; list(Sources(sys.argv[1:])); print(*sys.modules)"
    _, output = peak_of(code, os.path.abspath("a.jpg"), os.path.abspath("noname"))
    assert not {b"open_nsfw.sources.archives", b"open_nsfw.sources.globs", b"numpy", b"PIL"} & set(output.split())


def test_an_archive_may_come_packed() -> None:
    """Nothing in it is read then; its members come when they are asked for, also where only `at` leads to the file."""
    write("a.jpg")
    write("b.zip", make_zip())
    _, packed = Sources(["."], SourceOptions(unpack=False))
    assert (packed.path, packed.packed, packed.data, packed.size) == ("./b.zip", True, None, len(make_zip()))
    members = scan("b.zip")
    assert [item.member for item in members] == ["a.jpg", "sub/b.png", "noname"]
    os.rename("b.zip", "moved")
    moved = replace(packed, at=os.path.abspath("moved"))
    assert [(item.path, item.member, item.data) for item in unpacked(moved)] == [
        ("./b.zip", item.member, item.data) for item in members
    ]
    assert errors(list(unpacked(packed))) == [("./b.zip", None, "not-found", "there is no such file")]


@pytest.mark.parametrize("name", ["a.jpg", "noname", "readme.txt", "._a.jpg", "b.zip", "b.tar", "empty.png"])
def test_a_file_in_memory_is_what_it_is_in_a_folder(name: str) -> None:
    """A picture, an archive with pictures, or nothing."""
    content = {"b.zip": make_zip(), "b.tar": make_tar(), "readme.txt": TEXT, "empty.png": b""}.get(name, JPEG)
    if name == "._a.jpg":
        content = b"\x00\x05\x16\x07" + JPEG
    write(f"folder/{name}", content)
    found = [item for item in scan("folder", hidden=True) if item.error is None or item.error.code != "no-pictures"]
    given = list(in_bytes(Item(f"folder/{name}", data=content)))
    assert [(item.path, item.member) for item in given] == [(item.path, item.member) for item in found]
    assert [item.data for item in given if item.member] == [item.data for item in found if item.member]
