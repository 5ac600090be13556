"""The cache of scores by itself: what is in it, what is refused, how large it becomes, several processes, a full disk."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.scan.score_cache import EVICTED_AT_ONCE, ScoreCache
from tests.tools.helpers import ROOT

MOST = 1 << 20
CONTEXT, OTHER_CONTEXT = b"c" * 16, b"d" * 16


def key(number: int) -> bytes:
    """A SHA-256, as it were."""
    return number.to_bytes(32, "little")


def filled(path: Path, count: int) -> bytes:
    """A closed cache of so many entries; the bytes of its file."""
    with ScoreCache(str(path), MOST) as cache:
        for number in range(count):
            cache.put(key(number), CONTEXT, b"value %d" % number)
    return path.read_bytes()


def test_what_is_put_is_found_in_its_own_context(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with ScoreCache(str(path), MOST) as cache:
        assert not cache.knows(key(1)) and cache.get(key(1), CONTEXT) is None
        cache.put(key(1), CONTEXT, b"old")
        cache.put(key(1), CONTEXT, b"new")
        cache.put(key(1), OTHER_CONTEXT, b"other")
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["cache"], "nothing of SQLite's is left beside it"
    with ScoreCache(str(path), MOST) as cache:
        assert cache.knows(key(1)) and not cache.knows(key(2))
        assert (cache.get(key(1), CONTEXT), cache.get(key(1), OTHER_CONTEXT)) == (b"new", b"other")
        assert cache.get(key(2), CONTEXT) is None


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    """The file stays within its size however much is put there; what is used again and again stays in it."""
    path, noise = tmp_path / "cache", os.urandom(1000)
    with ScoreCache(str(path), MOST) as cache:
        cache.put(key(0), CONTEXT, b"first")
        cache.put(key(1), CONTEXT, b"second")
        for number in range(2, 5000):
            cache.put(key(number), CONTEXT, noise)
            if number % 100 == 0:
                assert cache.get(key(0), CONTEXT) == b"first"
        assert cache.get(key(1), CONTEXT) is None and cache.get(key(2), CONTEXT) is None
        assert cache.get(key(4999), CONTEXT) == noise
        cache.put(key(9999), CONTEXT, os.urandom(MOST // 4))
        assert cache.get(key(9999), CONTEXT) is None, "an entry that would put out an eighth of all others"
    assert MOST / 2 < path.stat().st_size <= MOST * 1.1
    assert EVICTED_AT_ONCE < 5000


def test_a_smaller_size_makes_the_file_smaller(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with ScoreCache(str(path), 4 * MOST) as cache:
        for number in range(3000):
            cache.put(key(number), CONTEXT, os.urandom(1000))
    assert path.stat().st_size > 2 * MOST
    with ScoreCache(str(path), MOST) as cache:
        assert cache.get(key(2999), CONTEXT) is not None
    assert path.stat().st_size <= MOST


FOREIGN = "is no cache of scores; it was left as it is, name another file in --cache"


@pytest.mark.parametrize("content", [b"x", b"\xff\xd8\xff\xe0 a picture", b"SQLite is a library", b"\0" * 5000])
def test_a_file_of_something_else_is_refused_and_left(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        ScoreCache(str(path), MOST)
    assert str(refused.value) == f"{path}: {FOREIGN}"
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["photo.jpg"]


def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    """At once, though nobody is at the other end of a pipe."""
    os.mkfifo(tmp_path / "pipe")
    for path in (str(tmp_path / "pipe"), "/dev/null", "/dev/zero"):
        with pytest.raises(UsageError, match=FOREIGN):
            ScoreCache(path, MOST)


def test_a_database_of_something_else_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "bookmarks"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE scores (id INTEGER)")
    content = path.read_bytes()
    with pytest.raises(UsageError, match=FOREIGN):
        ScoreCache(str(path), MOST)
    assert path.read_bytes() == content and os.listdir(tmp_path) == ["bookmarks"]


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    filled(path, 1)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 7")
    with pytest.raises(UsageError) as refused:
        ScoreCache(str(path), MOST)
    assert str(refused.value) == (
        f"{path}: a cache of scores of version 7, and this release has version 1; "
        "remove it, or name another file in --cache"
    )


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    """At any length but none at all: an empty file becomes a cache."""
    path = tmp_path / "cache"
    whole = filled(path, 2000)
    for length in (*range(1, 120), *range(120, len(whole), 997), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(
            UsageError, match=r"cache: the cache of scores is damaged \(.+\); remove it, and the next run"
        ):
            ScoreCache(str(path), MOST)
        assert path.read_bytes() == whole[:length]
    path.write_bytes(b"")
    assert filled(path, 2000) == whole


def test_damage_in_the_middle_costs_the_cache_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever the file was altered: what it still gives is what was put there."""
    path = tmp_path / "cache"
    whole = filled(path, 2000)
    found = 0
    for at in range(4096, len(whole), 2048):
        path.write_bytes(whole[:at] + bytes(each ^ 0x55 for each in whole[at : at + 64]) + whole[at + 64 :])
        with contextlib.suppress(UsageError), ScoreCache(str(path), MOST) as cache:
            caplog.clear()
            for number in range(2000):
                value = cache.get(key(number), CONTEXT)
                assert value in (None, b"value %d" % number)
                found += value is not None
            assert len(caplog.messages) <= 1
            assert all("damaged; the run goes on without it; remove it" in each for each in caplog.messages)
    assert found > 2000


def test_an_entry_that_was_exchanged_is_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A whole value in the wrong place, as a disk or a program may leave it."""
    path = tmp_path / "cache"
    filled(path, 3)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE scores SET value = (SELECT value FROM scores WHERE id = 2) WHERE id = 1")
    with ScoreCache(str(path), MOST) as cache:
        assert cache.get(key(0), CONTEXT) is None
    assert caplog.messages == [
        f"{path}: the cache of scores cannot be used (an entry is not what was written); "
        "it is damaged; the run goes on without it; remove it"
    ]


@pytest.mark.parametrize("name", ["cache", "cache-wal"])
def test_a_file_that_others_can_write_to_is_not_believed(name: str, tmp_path: Path) -> None:
    path = tmp_path / "cache"
    filled(path, 1)
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o666)
    with pytest.raises(UsageError) as refused:
        ScoreCache(str(path), MOST)
    assert str(refused.value) == (
        f"{tmp_path / name}: other users can write to it; `chmod go-w` on it, or remove it; "
        "scores that others may have put there are not used"
    )


@pytest.mark.parametrize(("name", "reason"), [("none/cache", "No such file or directory"), ("", "Is a directory")])
def test_where_no_file_can_be(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"the cache of scores cannot be opened: .*{reason}"):
        ScoreCache(os.path.join(tmp_path, name), MOST)


def test_names_that_mean_something_to_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are files like others."""
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:a?mode=memory", "-"):
        with ScoreCache(name, MOST) as cache:
            cache.put(key(1), CONTEXT, b"1")
        with ScoreCache(name, MOST) as cache:
            assert cache.get(key(1), CONTEXT) == b"1"
    assert sorted(os.listdir()) == ["-", ":memory:", "file:a?mode=memory"]


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may have more than 64 KiB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, small_files: None) -> None:
    """What is there is still found, and later what comes is kept again."""
    path = tmp_path / "cache"
    filled(path, 1)
    with ScoreCache(str(path), MOST) as cache:
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        for number in range(1, 200):
            cache.put(key(number), CONTEXT, os.urandom(1000))
        (message,) = caplog.messages
        assert message.startswith(f"{path}: the cache of scores cannot be used (")
        assert message.endswith("); the run goes on without it")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
        cache._resumes = 0
        cache.put(key(500), CONTEXT, b"later")
        assert (cache.get(key(0), CONTEXT), cache.get(key(500), CONTEXT)) == (b"value 0", b"later")


def test_another_process_that_writes_for_long_costs_no_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is not kept; what is there is still found, and nobody waits each time."""
    monkeypatch.setattr("open_nsfw.scan.score_cache.BUSY_SECONDS", 0.05)
    path = tmp_path / "cache"
    filled(path, 1)
    with ScoreCache(str(path), MOST) as cache, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        cache.put(key(1), CONTEXT, b"1")
        cache.put(key(2), CONTEXT, b"2")
        assert caplog.messages == [
            f"{path}: the cache of scores cannot be used (database is locked); the run goes on without it"
        ]
        other.rollback()
        cache._resumes = 0
        assert (cache.get(key(0), CONTEXT), cache.get(key(1), CONTEXT)) == (b"value 0", None)


def test_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    wrong: list[str] = []

    def work(first: int) -> None:
        for number in range(first, first + 200):
            cache.put(key(number), CONTEXT, b"value %d" % number)
            if cache.get(key(number), CONTEXT) != b"value %d" % number:
                wrong.append(f"{number}")

    with ScoreCache(str(path), MOST) as cache:
        threads = [threading.Thread(target=work, args=(100 * index,)) for index in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert filled(tmp_path / "cache", 1)


WRITER = """
import sys
from open_nsfw.scan.score_cache import ScoreCache
first = int(sys.argv[2])
with ScoreCache(sys.argv[1], 1 << 24) as cache:
    print("open", flush=True)
    number = first
    while number < first + int(sys.argv[3]):
        cache.put(number.to_bytes(32, "little"), b"c" * 16, b"value %d" % number)
        number += 1
        print(number, flush=True)
"""


def writer(path: Path, first: int, count: int) -> subprocess.Popen[str]:
    """A process that puts entries into the cache and says after each how far it is."""
    line = [sys.executable, "-c", WRITER, str(path), str(first), str(count)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_make_one_file_at_the_same_time(tmp_path: Path) -> None:
    """Four begin with a file that is not there; all that they write is in it."""
    path = tmp_path / "cache"
    processes = [writer(path, 1000 * index, 300) for index in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    with ScoreCache(str(path), 1 << 24) as cache:
        for index in range(4):
            for number in range(1000 * index, 1000 * index + 300):
                assert cache.get(key(number), CONTEXT) == b"value %d" % number


def test_a_kill_leaves_a_whole_file(tmp_path: Path) -> None:
    """Whatever a process had put there before it was killed is in the file, while another one goes on with it."""
    path = tmp_path / "cache"
    with ScoreCache(str(path), 1 << 24) as open_all_along:
        for kill in range(8):
            first = 10_000 * kill
            with writer(path, first, 10_000) as process:
                assert process.stdout is not None
                for _ in range(1 + 60 * kill):
                    last = process.stdout.readline()
                process.kill()
                lines = process.stdout.read().split("\n")
            told = [int(each) for each in (last.strip(), *lines[:-1]) if each.isdigit()]
            for number in range(first, max(told, default=first)):
                assert open_all_along.get(key(number), CONTEXT) == b"value %d" % number
        copy = shutil.copytree(tmp_path, tmp_path.parent / "copy")  # with what is not merged yet
    with ScoreCache(str(copy / "cache"), 1 << 24) as cache:
        assert cache.get(key(70_000), CONTEXT) == b"value 70000"
