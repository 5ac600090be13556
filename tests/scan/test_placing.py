"""Bringing files into a folder: whole or not at all, whatever stands there and whenever the process is killed."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.scan import placing
from open_nsfw.scan.placing import Place, bring, find_place, is_one_entry
from tests.tools.helpers import ROOT, SECONDS

CONTENT = b"a picture" * 1000


@pytest.fixture(name="source")
def _source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(CONTENT)
    os.utime("a.jpg", ns=(0, 1_700_000_000_123_456_789))
    os.chmod("a.jpg", 0o640)
    return "a.jpg"


def files(folder: str) -> list[str]:
    """All names below a folder that are no folders."""
    found = (path for path in Path(folder).rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path.relative_to(folder)) for path in found)


@pytest.mark.parametrize("may_link", [True, False])
def test_a_file_in_its_place(may_link: bool, source: str) -> None:
    place = bring(source, "out", ["x", "y", "a.jpg"], may_link)
    assert place == Place("out/x/y/a.jpg", holds_it=False, is_own_name=True)
    assert files("out") == ["x/y/a.jpg"]
    found = os.stat(place.path)
    assert (found.st_mtime_ns, stat.S_IMODE(found.st_mode)) == (1_700_000_000_123_456_789, 0o640)
    assert Path(place.path).read_bytes() == CONTENT
    assert os.path.samefile(source, place.path) == may_link
    assert bring(source, "out", ["x", "y", "a.jpg"], may_link) == place._replace(holds_it=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"another"),
        lambda path: path.write_bytes(CONTENT[:5000]),
        lambda path: path.write_bytes(b"x" * len(CONTENT)),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(os.path.abspath("a.jpg")),
        lambda path: os.mkfifo(path),
    ],
    ids=["file", "torso", "size", "folder", "dangling link", "link to it", "pipe"],
)
@pytest.mark.parametrize("may_link", [True, False])
def test_a_name_that_is_taken(make: Callable[[Path], None], may_link: bool, source: str) -> None:
    """Nothing that stands there is replaced, followed or opened."""
    Path("out").mkdir()
    make(Path("out/a.jpg"))
    for again in (False, True):
        place = bring(source, "out", ["a.jpg"], may_link)
        assert place == Place("out/a-2.jpg", holds_it=again, is_own_name=False)
    assert Path("out/a-2.jpg").read_bytes() == CONTENT
    Path("b").write_bytes(b"other")
    assert bring("b", "out", ["a.jpg"], may_link).path == "out/a-3.jpg"


def test_folders_whose_names_are_taken(source: str) -> None:
    Path("out").mkdir()
    Path("out/x").write_bytes(b"a file")
    Path("out/x-2").symlink_to("nowhere")
    assert bring(source, "out", ["x", "y", "a.jpg"], may_link=False).path == "out/x-3/y/a.jpg"
    assert bring(source, "out", ["x", "y", "a.jpg"], may_link=False).holds_it
    assert bring(source, "out", ["x", "b.jpg"], may_link=False).path == "out/x-3/b.jpg"


def test_long_names_get_a_number_within_what_file_systems_take(source: str) -> None:
    for name in ("x" * 251 + ".jpg", "\u00fc" * 125 + ".jpg"):
        assert bring(source, "out", [name], may_link=False).is_own_name
        Path("b").write_bytes(b"other")
        second = bring("b", "out", [name], may_link=False).path
        assert second.endswith("-2.jpg") and len(os.fsencode(os.path.basename(second))) <= 255


def test_a_link_gives_its_picture(source: str) -> None:
    os.symlink(source, "link.jpg")
    assert bring("link.jpg", "out", ["link.jpg"], may_link=True).path == "out/link.jpg"
    assert not os.path.islink("out/link.jpg")
    assert Path("out/link.jpg").read_bytes() == CONTENT


def test_another_file_of_the_same_size_and_time_is_not_taken_for_the_one_before(source: str) -> None:
    """As it may come into a folder that is watched, after the first one was compared with what is in its place."""
    for content, expected in ((CONTENT, "out/a.jpg"), (CONTENT[::-1], "out/a-2.jpg")):
        Path(source).write_bytes(content)
        os.utime(source, (50, 50))
        for _ in range(2):
            assert bring(source, "out", ["a.jpg"], may_link=False).path == expected
            assert Path(expected).read_bytes() == content


@pytest.mark.parametrize("name", ["chmod", "utime"])
def test_times_and_rights_that_cannot_be_kept(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT: the content is what counts."""
    monkeypatch.setattr(placing.os, name, failing(errno.EPERM))
    assert bring(source, "out", ["a.jpg"], may_link=False).path == "out/a.jpg"
    assert bring(source, "out", ["a.jpg"], may_link=False).holds_it
    assert files("out") == ["a.jpg"]


@pytest.mark.usefixtures("source")
def test_what_is_no_file_is_not_waited_for() -> None:
    """As where a program has put a pipe in the file's place since it was scored."""
    os.mkfifo("pipe")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from open_nsfw.scan.placing import bring; "
    line = [sys.executable, "-c", code + "bring('pipe', 'out', ['pipe'], may_link=False)"]
    done = subprocess.run(line, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
    assert done.stderr.endswith("OSError: [Errno 22] it is no regular file\n")
    assert files("out") == [] and stat.S_ISFIFO(os.stat("pipe").st_mode)


def failing(number: int) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links(number: int, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(number))
    assert bring(source, "out", ["a.jpg"], may_link=True).path == "out/a.jpg"
    Path("out/b.jpg").write_bytes(b"other")
    assert bring(source, "out", ["b.jpg"], may_link=True).path == "out/b-2.jpg"
    assert files("out") == ["a.jpg", "b-2.jpg", "b.jpg"]


@pytest.mark.parametrize("name", ["fsync", "link"])
def test_a_disk_that_fills_up_leaves_nothing(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "rename", failing(errno.ENOSPC))
    monkeypatch.setattr(os, name, failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        bring(source, "out", ["a.jpg"], may_link=False)
    assert files("out") == []
    assert Path(source).read_bytes() == CONTENT


def test_a_name_that_another_program_takes_just_then(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    link, calls = os.link, []

    def taken(source: str, target: str, **options: Any) -> None:
        if not calls:
            Path(target).write_bytes(b"another")
        calls.append(target)
        link(source, target, **options)

    monkeypatch.setattr(os, "link", taken)
    for may_link in (True, False):
        calls.clear()
        place = bring(source, "out", [f"{may_link}.jpg"], may_link)
        assert place.path == f"out/{may_link}-2.jpg"
        assert Path(place.path).read_bytes() == CONTENT


STEPS = ("open", "fsync", "link", "unlink", "rename", "replace", "chmod", "utime", "close", "makedirs")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("may_link", [True, False])
def test_killed_at_any_step(may_link: bool, source: str) -> None:
    """Before and after every call to the system: what has the name is whole, and the next run mends the rest."""
    for number in range(1000):
        status = os.waitpid(killed_at(number, source, may_link), 0)[1]
        target = Path(f"out{number}/a.jpg")
        assert not target.exists() or target.read_bytes() == CONTENT
        bring(source, f"out{number}", ["a.jpg"], may_link)
        assert files(f"out{number}") == ["a.jpg"] and target.read_bytes() == CONTENT
        assert Path(source).read_bytes() == CONTENT
        if status == 0:
            break
    assert number >= 4


def killed_at(number: int, source: str, may_link: bool) -> int:
    """A child that is gone after so many calls."""
    child = os.fork()
    if child:
        return child
    left = [number]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            for _ in range(2):
                if left[0] == 0:
                    os._exit(9)
                left[0] -= 1
                if _ == 0:
                    result = call(*arguments, **options)
            return result

        return wrapper

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    bring(source, f"out{number}", ["a.jpg"], may_link)
    os._exit(0)


@pytest.fixture(name="twice")
def _twice() -> Iterator[str]:
    """The folder `in`, mounted a second time."""
    os.makedirs("mounted")
    os.makedirs("in", exist_ok=True)
    if not shutil.which("mount"):
        pytest.skip("there is no mount here")
    mounted = subprocess.run(["mount", "--bind", "in", "mounted"], stderr=subprocess.PIPE, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no folder can be mounted twice: {mounted.stderr.strip()}")
    yield "mounted"
    subprocess.run(["umount", "--lazy", "mounted"], check=True)


@pytest.mark.parametrize("may_try", [True, False])
def test_one_entry_by_two_names(may_try: bool, source: str) -> None:
    """However many hard links the file has: they are entries of their own."""
    Path("in").mkdir()
    os.symlink("in", "link")
    os.rename(source, "in/a.jpg")
    for _ in range(2):
        assert is_one_entry("in/a.jpg", "link/a.jpg", may_try)
        assert is_one_entry("in/a.jpg", "./link/../in/a.jpg", may_try)
        assert find_place("in/a.jpg", "link", ["a.jpg"]) == Place("link/a.jpg", holds_it=True, is_own_name=True)
        if not os.path.exists("a.jpg"):
            os.link("in/a.jpg", "a.jpg")
            os.link("in/a.jpg", "in/b.jpg")
    assert not is_one_entry("in/a.jpg", "a.jpg", may_try)
    assert not is_one_entry("in/a.jpg", "in/b.jpg", may_try)
    assert not is_one_entry("in/a.jpg", "in/none.jpg", may_try)
    os.symlink("a.jpg", "in/c.jpg")
    assert not is_one_entry("in/c.jpg", "in/a.jpg", may_try)
    assert find_place("in/c.jpg", "link", ["c.jpg"]).path == "link/c.jpg"


def test_one_entry_of_a_folder_that_is_mounted_twice(source: str, twice: str) -> None:
    os.rename(source, "in/a.jpg")
    assert is_one_entry("in/a.jpg", f"{twice}/a.jpg", may_try=False)
    os.link("in/a.jpg", "in/b.jpg")
    assert is_one_entry("in/a.jpg", f"{twice}/a.jpg", may_try=False)
    assert not is_one_entry("in/a.jpg", f"{twice}/b.jpg", may_try=False)


def test_one_entry_of_two_mounts_with_numbers_of_their_own(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a share of the network that is mounted twice: only a file that appears in both can tell."""
    for folder in ("in", "copy"):
        Path(folder).mkdir()
        shutil.copy(source, folder)
    os.symlink("in", "share")
    look = os.stat, os.lstat

    def elsewhere(number: int) -> Callable[..., os.stat_result]:
        def stat_of(path: Any, **options: Any) -> os.stat_result:
            found = look[number](path, **options)
            if not str(path).startswith(("share", "copy")):
                return found
            return os.stat_result((found.st_mode, found.st_ino + 1, found.st_dev + 1, *found[3:]))

        return stat_of

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", elsewhere(0))
        patch.setattr(os, "lstat", elsewhere(1))
        assert is_one_entry("in/a.jpg", "share/a.jpg", may_try=True)
        assert not is_one_entry("in/a.jpg", "copy/a.jpg", may_try=True)
        assert not is_one_entry("in/a.jpg", "share/a.jpg", may_try=False)
    assert os.listdir("in") == os.listdir("copy") == ["a.jpg"]


def test_many_of_one_name_take_no_time(source: str) -> None:
    started = time.monotonic()
    for number in range(200):
        Path("b").write_bytes(b"%d" % number)
        find_place("b", "out", ["a.jpg"])
        bring("b", "out", ["a.jpg"], may_link=False)
    assert len(files("out")) == 200
    assert time.monotonic() - started < 60
