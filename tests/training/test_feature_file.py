"""The file of features: what a kill, damage or a full disk leaves of it."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from open_nsfw.errors import OutputError, UsageError
from open_nsfw.training.feature_file import FeatureFile, FeatureKind

KIND = FeatureKind("ab" * 32, "pool", 3)
HEADER = len(KIND.header())
RECORD = 32 + 3 * 4 + 4


def name(number: int) -> str:
    """The SHA-256 of a picture."""
    return hashlib.sha256(bytes([number])).hexdigest()


def fill(path: Path, count: int) -> None:
    """Features (n, n + 1, n + 2) for picture n."""
    with FeatureFile(str(path), KIND) as file:
        for number in range(count):
            file.add(name(number), np.arange(number, number + 3, dtype=np.float32))


def test_what_was_added_is_read(tmp_path: Path) -> None:
    """By the same process and by the next, in any order; adding it again adds nothing."""
    fill(tmp_path / "f", 4)
    fill(tmp_path / "f", 5)
    assert (tmp_path / "f").stat().st_size == HEADER + 5 * RECORD
    with FeatureFile(str(tmp_path / "f"), KIND) as file:
        np.testing.assert_array_equal(file.read([name(4), name(1)]), [[4, 5, 6], [1, 2, 3]])
        assert len(file) == 5
        assert name(9) not in file


def test_cut_anywhere(tmp_path: Path) -> None:
    """After a kill at any byte, the next run has all whole records, and adds behind them."""
    fill(tmp_path / "whole", 3)
    content = (tmp_path / "whole").read_bytes()
    for length in range(len(content)):
        (tmp_path / "f").write_bytes(content[:length])
        with FeatureFile(str(tmp_path / "f"), KIND) as file:
            assert len(file) == max(length - HEADER, 0) // RECORD
        fill(tmp_path / "f", 3)
        assert (tmp_path / "f").read_bytes() == content


def test_a_damaged_record_is_not_there(tmp_path: Path) -> None:
    """The others are."""
    fill(tmp_path / "f", 3)
    content = bytearray((tmp_path / "f").read_bytes())
    content[HEADER + RECORD + 40] ^= 1
    (tmp_path / "f").write_bytes(content)
    with FeatureFile(str(tmp_path / "f"), KIND) as file:
        assert [name(number) in file for number in range(3)] == [True, False, True]


@pytest.mark.parametrize("content", [FeatureKind("cd" * 32, "pool", 3).header(), b"something else\n", b"x"])
def test_other_content_is_left_alone(content: bytes, tmp_path: Path) -> None:
    """Unless it is to be overwritten."""
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UsageError, match=r"f: holds features of another model; --overwrite begins anew$"):
        FeatureFile(str(tmp_path / "f"), KIND)
    assert (tmp_path / "f").read_bytes() == content
    with FeatureFile(str(tmp_path / "f"), KIND, overwrite=True) as file:
        assert len(file) == 0


def test_another_run_has_it(tmp_path: Path) -> None:
    """One line."""
    with FeatureFile(str(tmp_path / "f"), KIND), pytest.raises(OutputError, match="f: another run is writing it$"):
        FeatureFile(str(tmp_path / "f"), KIND)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and what was there before is whole."""
    fill(tmp_path / "f", 2)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with FeatureFile(str(tmp_path / "f"), KIND) as file:
        monkeypatch.setattr(file, "_write", full)
        with pytest.raises(OutputError, match="f: cannot be written: No space left on device$"):
            file.add(name(7), np.zeros(3, np.float32))
    with FeatureFile(str(tmp_path / "f"), KIND) as file:
        assert len(file) == 2
