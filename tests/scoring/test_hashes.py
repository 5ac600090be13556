"""What is remembered of large files: never a hash that is not theirs."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from open_nsfw.scoring import hashes
from open_nsfw.scoring.hashes import RECORD, altered, content_sha256, recorded

SIZE = hashes.SMALLEST


@pytest.fixture(name="cache")
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(folder))
    return folder


@pytest.fixture(name="reads")
def _reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read in full since."""
    read: list[Path] = []
    real = hashes.file_sha256
    monkeypatch.setattr(hashes, "file_sha256", lambda path: (read.append(path), real(path))[1])
    return read


@pytest.fixture(name="large")
def _large(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A large file which was written long enough ago."""
    path = tmp_path / "weights"
    path.write_bytes(bytes(SIZE))
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_large_file_is_read_once(large: Path, reads: list[Path]) -> None:
    assert content_sha256(large) == content_sha256(large) == sha256(large)
    assert reads == [large]


def test_a_small_file_is_read_each_time(tmp_path: Path, cache: Path, reads: list[Path]) -> None:
    small = tmp_path / "small"
    small.write_bytes(bytes(SIZE - 1))
    assert content_sha256(small) == content_sha256(small) == sha256(small)
    assert reads == [small, small] and not (cache / RECORD).exists()


@pytest.mark.parametrize("how", ["in place", "in place, the time set back", "another file of the name", "longer"])
def test_a_file_that_was_changed(how: str, large: Path, reads: list[Path]) -> None:
    """In place, and its size and time of modification as before: the system's own time shows it."""
    before, status = content_sha256(large), large.stat()
    if how == "another file of the name":
        other = large.with_name("other")
        other.write_bytes(b"x" * SIZE)
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(other, large)
    else:
        time.sleep(0.05)  # several ticks of the file system's clock
        with open(large, "r+b") as file:
            file.write(b"x" * (SIZE + (how == "longer")))
        if how == "in place, the time set back":
            os.utime(large, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert content_sha256(large) == sha256(large) != before
    assert reads == [large, large]


def test_a_file_that_was_written_just_now_is_not_remembered(
    large: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written to again within one tick of the file system's clock."""
    monkeypatch.setattr(hashes, "SETTLED_NS", 3600 * 10**9)
    assert content_sha256(large) == content_sha256(large)
    assert reads == [large, large] and recorded() == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"%s": []}',
        b'{"%s": [1, 2, 3, 4]}',
        b'{"%s": [null, 2, 3, 4, "5"]}',
        b'{"%s": 1}',
        b'{"%s": ["a", 2, 3, 4, "5"]}',
    ],
)
def test_a_damaged_record(content: bytes, large: Path, cache: Path) -> None:
    (cache / RECORD).write_bytes(content.replace(b"%s", str(large).encode()))
    assert content_sha256(large) == sha256(large)
    assert list(recorded()) == [str(large)]  # written again


@pytest.mark.parametrize("what", ["record", "folder"])
def test_a_record_that_others_can_write_to(what: str, large: Path, cache: Path) -> None:
    """They could have put any hash there."""
    content_sha256(large)
    lie = {name: [*known[:4], "0" * 64] for name, known in recorded().items()}
    (cache / RECORD).write_text(json.dumps(lie))
    assert content_sha256(large) == "0" * 64  # what it is that the next lines prevent
    (cache / RECORD if what == "record" else cache).chmod(0o777)
    assert content_sha256(large) == sha256(large)


def test_a_folder_that_cannot_be_written_to(large: Path, cache: Path, reads: list[Path]) -> None:
    cache.rmdir()
    cache.write_text("no folder")
    assert content_sha256(large) == content_sha256(large) == sha256(large)
    assert reads == [large, large]


def test_altered(large: Path, cache: Path) -> None:
    """A disk that lost bits shows no change of times; reading does."""
    content_sha256(large)
    assert altered() == []
    lie = {name: [*known[:4], "0" * 64] for name, known in recorded().items()}
    (cache / RECORD).write_text(json.dumps(lie))
    assert altered() == [str(large)] and altered() == []
    assert content_sha256(large) == sha256(large)


def test_files_that_are_gone_leave_the_record(large: Path, tmp_path: Path) -> None:
    content_sha256(large)
    other = tmp_path / "other"
    other.write_bytes(bytes(SIZE))
    large.unlink()
    content_sha256(other)
    assert list(recorded()) == [str(other)]
