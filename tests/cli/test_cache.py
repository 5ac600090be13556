"""`open-nsfw cache`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from open_nsfw.__main__ import main
from open_nsfw.scoring.versions import CONVERTER_VERSION

MODEL = "0123456789abcdef" * 2


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(folder))
    return folder


def fill(folder: Path) -> Path:
    """Two models."""
    folder.mkdir()
    then = time.mktime((2026, 3, 4, 12, 0, 0, 0, 0, -1))
    for version, size in ((CONVERTER_VERSION, 23_600_000), (CONVERTER_VERSION - 1, 400_000)):
        path = folder / f"{MODEL}-v{version}-{'0' * 64}.onnx"
        path.write_bytes(b"")
        os.truncate(path, size)
        os.utime(path, (then + version, then + version))
    return path


def test_nothing_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is named, and not made."""
    assert main(["cache"]) == 0
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"0 models, 0.0 MB in {folder}\nremoved 0 models, 0.0 MB from {folder}\n"
    assert not folder.exists()


def test_list_and_clear(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each model, those used last first."""
    fill(folder)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"2 models, 24.0 MB in {folder}",
        "  0123456789ab    23.6 MB  last used 2026-03-04  float32",
        "  0123456789ab     0.4 MB  last used 2026-03-04  float32, of an older release",
    ]
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"removed 2 models, 24.0 MB from {folder}\n"
    assert list(folder.iterdir()) == []


def test_what_cannot_be_removed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit status 2."""
    fill(folder)

    def refuses(self: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuses)
    assert main(["cache", "--clear"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"open-nsfw cache: error: {folder}/{MODEL}-v1-000")
    assert line.endswith(".onnx: cannot be removed; 2 of 2 models are still there")


def test_a_folder_that_is_not_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list says why."""
    folder.mkdir()
    folder.chmod(0o777)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == (
        f"0 models, 0.0 MB in {folder} (not used: other users can write to it; `chmod go-w` on it, or remove it)\n"
    )
