"""Files to have rows about."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Five files to have rows about, with times of change that are no whole seconds."""
    folder = tmp_path / "files"
    folder.mkdir()
    paths = [folder / os.fsdecode(name) for name in (b"a", b"b,\n", b"caf\xe9", b'"d"', b"e")]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + number))
    return paths
