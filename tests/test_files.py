"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from open_nsfw.errors import OutputError
from open_nsfw.files import cannot_be_written, check_writable, remove_leftover, write_whole, written_beside


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    """Nothing else is left in the folder."""
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    check_writable(tmp_path / "link")
    assert (tmp_path / "file").read_text() == "before"
    write_whole(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "after"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_trying_leaves_nothing(tmp_path: Path) -> None:
    """Not even an empty file."""
    check_writable(tmp_path / "new")
    assert os.listdir(tmp_path) == []


def test_what_is_no_plain_file_is_written_and_not_replaced(tmp_path: Path) -> None:
    """A pipe, as /dev/stdout or /dev/null may be."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    check_writable(pipe)
    write_whole(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo() and os.listdir(tmp_path) == ["pipe"]


def test_nothing_takes_the_place_of_a_pipe_or_device(tmp_path: Path) -> None:
    """Root can put a file in the place of /dev/null, and all programs of the machine would write into it."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "link"):
        if name == "link":
            (tmp_path / "link").symlink_to("pipe")
        with pytest.raises(FileExistsError, match="it is no plain file"), written_beside(str(tmp_path / name)):
            raise AssertionError("nothing is begun")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode) and (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none/file", "No such file or directory"), ("", "Is a directory"), ("file/x", "Not a directory")],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, reason: str) -> None:
    """Trying says so before the work is done, in the words that writing would use."""
    (tmp_path / "file").touch()
    path = str(tmp_path / name) if name else str(tmp_path)
    with pytest.raises(OutputError) as error:
        check_writable(path)
    assert str(error.value) == f"{path}: cannot be written: {reason}"
    with pytest.raises(OutputError, match="cannot be written"):
        write_whole(path, "x")
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_text("older")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError) as error:
        write_whole(tmp_path / "file", "newer")
    assert str(error.value) == f"{tmp_path / 'file'}: cannot be written: No space left on device"
    assert (tmp_path / "file").read_text() == "older"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    """Who was to read it still is, and nobody else."""
    (tmp_path / "file").write_text("older")
    (tmp_path / "file").chmod(0o640)
    write_whole(tmp_path / "file", "newer")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert (tmp_path / "file").read_text() == "newer"


def test_a_file_that_cannot_be_replaced_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is mounted into a container."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    (tmp_path / "file").write_text("older")
    monkeypatch.setattr(os, "replace", busy)
    write_whole(tmp_path / "file", "newer")
    assert (tmp_path / "file").read_text() == "newer"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_written_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, call=call: (steps.append(name), call(*given))[1])
    write_whole(tmp_path / "file", "content")
    assert steps == ["fsync", "replace", "fsync"]  # the last one is of the folder


def test_what_a_kill_left_is_taken_over(tmp_path: Path) -> None:
    """And so it does not stay for ever."""
    (tmp_path / ".file.part").write_text("half of something that was longer")
    write_whole(tmp_path / "file", "content")
    assert (tmp_path / "file").read_text() == "content"
    (tmp_path / ".file.part").write_text("left again")
    remove_leftover(str(tmp_path / "file"))
    remove_leftover(str(tmp_path / "file"))
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_a_planted_name_is_not_written_through(plant: Callable[[Path, Path], None], tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("as it was")
    plant(tmp_path / "victim", tmp_path / ".file.part")
    write_whole(tmp_path / "file", "content")
    assert (tmp_path / "victim").read_text() == "as it was"
    assert (tmp_path / "file").read_text() == "content"
    assert sorted(os.listdir(tmp_path)) == ["file", "victim"]


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    """The second waits for the first; each content is whole."""
    target = str(tmp_path / "file")
    contents = [letter * 100_000 for letter in (b"a", b"b", b"c", b"d")]

    def write(content: bytes) -> None:
        for _ in range(20):
            with written_beside(target) as file:
                file.write(content)
            seen.add((tmp_path / "file").read_bytes())

    seen: set[bytes] = set()
    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen <= set(contents)
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_that_must_be_free(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(FileExistsError), written_beside(str(tmp_path / "file"), replace=False) as file:
        file.write(b"after")
    with pytest.raises(ZeroDivisionError), written_beside(str(tmp_path / "other"), replace=False) as file:
        file.write(b"%d" % (1 // 0))
    assert (tmp_path / "file").read_text() == "before"
    with written_beside(str(tmp_path / "new"), replace=False, mode=0o600) as file:
        file.write(b"content")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["file", "new"]


def test_the_longest_names(tmp_path: Path) -> None:
    for name in ("x" * 255, "x" * 254 + "y", "\u00fc" * 127):
        write_whole(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name
    assert len(os.listdir(tmp_path)) == 3


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, '; run the container as the folder\'s owner: docker run --user "$(id -u):$(id -g)" ...'),
        (errno.EROFS, "; mount the folder without `:ro`, or write to another one"),
        (errno.ENOSPC, ""),
    ],
)
def test_in_a_container_the_message_says_what_to_do(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tmp_path / "sign"
    monkeypatch.setattr("open_nsfw.files.CONTAINER_SIGNS", (str(sign),))
    error = OSError(number, os.strerror(number))
    assert str(cannot_be_written("rows", error)) == f"rows: cannot be written: {os.strerror(number)}"
    sign.touch()
    assert str(cannot_be_written("rows", error)) == f"rows: cannot be written: {os.strerror(number)}{advice}"
