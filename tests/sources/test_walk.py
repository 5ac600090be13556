"""Files, folders, patterns, lists, standard input and archives -> Items."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.installing import install_command
from open_nsfw.pictures.formats import Limits
from open_nsfw.sources import archives
from open_nsfw.sources import tar as tar_members
from open_nsfw.sources.item import Item, SourceOptions, is_picture
from open_nsfw.sources.lists import read_list
from open_nsfw.sources.walk import Sources
from tests.tools.archive_samples import (
    JPEG,
    MEMBERS,
    PICTURES,
    PNG,
    TEXT,
    Unseekable,
    make_streamed_zip,
    make_tar,
    make_zip,
    patched,
    rows,
    tar_entry,
    tar_header,
)
from tests.tools.fuzz_archives import (  # noqa: F401  collected from here, so that the suite runs them
    test_cut_and_spliced,
    test_flipped_bytes,
    test_nul_lists_round_trip,
    test_random_bytes_named_like_archives,
    test_tar_of_any_headers,
    test_what_was_packed_comes_out,
)

ROOT = Path(__file__).resolve().parents[2]
LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scan(*arguments: str, **options: Any) -> list[Item]:
    return list(Sources(arguments, SourceOptions(**options)))


def paths(*arguments: str, **options: Any) -> list[str]:
    items = scan(*arguments, **options)
    assert all(item.error is None and item.data is None and item.member is None for item in items)
    return [item.path for item in items]


def write(name: str | bytes, data: bytes = JPEG) -> None:
    folder = os.path.dirname(name)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(name, "wb") as file:
        file.write(data)


def errors(items: list[Item]) -> list[tuple[str, str | None, str, str]]:
    return [(item.path, item.member, item.error.code, str(item.error)) for item in items if item.error]


# Files and folders


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


def test_named_pipe_is_read_at_once() -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=write, args=("pipe", JPEG))
    writer.start()
    (item,) = scan("pipe")
    writer.join()
    assert (item.path, item.data, item.error) == ("pipe", JPEG, None)


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


# Patterns


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


# Lists


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


# Standard input


def from_stdin(data: bytes, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[Item]:
    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            for start in range(0, len(data), 100):  # in small pieces, as networks give them
                pipe.write(data[start : start + 100])

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


@pytest.mark.parametrize("archive", [make_zip(), make_tar(), make_tar(mode="w:gz")], ids=["zip", "tar", "tar.gz"])
def test_archive_on_stdin(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    items = from_stdin(archive, monkeypatch)
    assert rows(items) == PICTURES
    assert {(item.path, item.size, item.modified) for item in items} == {("-", None, None)}


def test_stdin_empty_too_long_or_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert errors(from_stdin(b"", monkeypatch)) == [("-", None, "empty", "the file is empty")]
    expected = "more than the limit of 10 bytes (--max-bytes)"
    assert errors(from_stdin(JPEG, monkeypatch, limits=Limits(max_bytes=10))) == [
        ("-", None, "too-many-bytes", expected)
    ]
    monkeypatch.setattr("sys.stdin", None)
    assert errors(scan("-")) == [("-", None, "unreadable", "standard input is closed")]


# Archives

WITH_ZSTD = importlib.util.find_spec("zstandard") or sys.version_info >= (3, 14)


def zst(data: bytes) -> bytes:
    if not WITH_ZSTD:
        pytest.skip("the package zstandard is not installed, so there is nothing to write .tar.zst with")
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.compress(data)
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


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
    assert asked == [("x", name) for name, _ in MEMBERS]


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


def tarfile_bytes(members: list[tuple[str, bytes]]) -> bytes:
    """With the end mark that POSIX asks for and not the zeros up to 10 KB: every cut of it loses something."""
    return b"".join(tar_entry(name.encode(), data) for name, data in members) + bytes(512)


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
    raw = utf8.replace("caf\u00e9".encode(), b"caf\x82\x82")
    write("cp437.zip", patched(patched(raw, LOCAL, 6, b"\0\0"), CENTRAL, 8, b"\0\0"))  # without the flag for UTF-8
    assert [item.member for item in scan("x.tar", "x.zip", "cp437.zip")] == [
        "caf\udce9.jpg",
        "caf\udcc3\udcff.jpg",
        "caféé.jpg",
    ]
    assert zipfile.ZipFile("cp437.zip").namelist() == ["caféé.jpg"]


def test_links_and_devices_in_tars_are_passed_over() -> None:
    special = b"".join(
        tar_header(b"x%s.jpg" % flag, 0, flag, b"/etc/passwd") for flag in (b"1", b"2", b"3", b"4", b"6")
    )
    write("x.tar", special + tar_header(b"folder.jpg/", 0, b"5") + tar_entry(b"a.jpg", JPEG) + bytes(1024))
    sources = Sources(["x.tar"])
    assert rows(list(sources)) == [("a.jpg", JPEG)]
    assert sources.passed_over == 5


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


def test_nested_archives() -> None:
    inner = [("in.zip", make_zip()), ("in.tar", make_tar()), ("in.tgz", make_tar(mode="w:gz")), ("noname", make_zip())]
    expected = "is an archive inside an archive; unpack the outer one first"
    for name, make in (("x.zip", make_zip), ("x.tar", make_tar)):
        write(name, make([*inner, ("a.jpg", JPEG)]))
        items = scan(name)
        assert errors(items) == [(name, member, "nested-archive", expected) for member, _ in inner]
        assert rows(items)[-1] == ("a.jpg", JPEG)


# Bombs


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
    assert len(scan("x.tgz", max_archive_ratio=2000)) == 3


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


def test_xz_with_a_huge_dictionary() -> None:
    packed = lzma.compress(make_tar(), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
    # Only the dictionary's size in the block header is changed, with the header's checksum.
    block = bytearray(packed[12:24])
    block[4] = 36  # 1 GiB
    block[-4:] = struct.pack("<L", zlib.crc32(bytes(block[:-4])))
    write("x.tar.xz", packed[:12] + bytes(block) + packed[24:])
    expected = "its compressed data is damaged: Memory usage limit exceeded"
    assert errors(scan("x.tar.xz")) == [("x.tar.xz", None, "damaged-archive", expected)]


# The library for .tar.zst


def test_zstandard_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    write("d/x.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(100))
    write("d/data.json.zst", b"\x28\xb5\x2f\xfd" + bytes(100))
    sources = Sources(["d"])
    expected = f"Zstandard archives need a library: {install_command('zstd')}"
    assert errors(list(sources)) == [("d/x.tar.zst", None, "missing-library", expected)]
    assert sources.passed_over == 1


# Size and speed


def peak_of(code: str, *arguments: str) -> tuple[int, bytes]:
    """KiB at most in memory of a process that runs `code`, and what it printed."""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("there is no /proc here to read a process's peak memory from")
    # Not getrusage(), which begins with what the parent had when it forked.
    code += "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, check=True)
    *output, peak = done.stdout.split(b"\n")[:-1]
    return int(peak), b"\n".join(output)


COUNT = (
    "import sys; from open_nsfw.sources.item import SourceOptions; from open_nsfw.sources.walk import Sources; "
    "print(sum(1 for _ in Sources(sys.argv[1:])))"
)


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


def test_checksum_of_early_tars() -> None:
    """Some added the bytes up as signed numbers."""
    block = bytearray(tar_header(b"caf\xe9.jpg", 0))
    signed = sum(byte - 256 * (byte > 127) for byte in block) - sum(block[148:156]) + 8 * 32
    block[148:156] = b"%06o\0 " % signed
    assert tar_members.is_header(bytes(block))
    block[0] ^= 1
    assert not tar_members.is_header(bytes(block))
