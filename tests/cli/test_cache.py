"""`open-nsfw cache`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from open_nsfw.__main__ import main
from open_nsfw.scoring import hashes
from open_nsfw.scoring.cache import cached
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
    assert line.startswith(f"open-nsfw cache: error: {folder}/{MODEL}-v{CONVERTER_VERSION}-000")
    assert line.endswith(".onnx: cannot be removed; 2 of 2 models are still there")


def test_a_folder_that_is_not_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list says why."""
    folder.mkdir()
    folder.chmod(0o777)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == (
        f"0 models, 0.0 MB in {folder} (not used: other users can write to it; `chmod go-w` on it, or remove it)\n"
    )


def test_check(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is read; what is damaged is named, and goes."""
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    weights = tmp_path / "weights.caffemodel"
    weights.write_bytes(bytes(hashes.SMALLEST))
    kept = cached(f"{MODEL}-v{CONVERTER_VERSION}", ".onnx", lambda: bytes(2_000_000))
    hashes.content_sha256(weights)
    assert isinstance(kept, Path)
    made_from = "and the files that they were made from"
    assert main(["cache", "--check"]) == 0
    assert capsys.readouterr().out == f"checked 1 model, 2.0 MB in {folder}, {made_from}: all whole\n"
    kept.write_bytes(bytes(1_999_999) + b"x")
    record = {name: [*known[:4], "0" * 64] for name, known in hashes.recorded().items()}
    (folder / hashes.RECORD).write_text(json.dumps(record))
    assert main(["cache", "--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{kept}: damaged; it was removed, and is made again when it is needed",
        f"{weights}: changed, though neither its size nor the time of its last change shows it; the next run hashes it again",
        f"checked 1 model, 2.0 MB in {folder}, {made_from}: 2 not whole",
    ]
    assert not kept.exists()
    assert main(["cache", "--check"]) == 0
    assert capsys.readouterr().out == f"checked 0 models, 0.0 MB in {folder}, {made_from}: all whole\n"


def test_check_what_cannot_be_removed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit status 2."""
    path = fill(folder)

    def refuses(self: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuses)
    assert main(["cache", "--check"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(".onnx: is damaged and cannot be removed")
    assert path.exists()


def test_check_and_clear_are_two_things(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--check", "--clear"]) == 2
    assert capsys.readouterr().err == "open-nsfw cache: error: --clear: cannot be combined with --check\n"


def test_clear_forgets_the_hashes(folder: Path) -> None:
    """They say of files that they have not changed."""
    folder.mkdir()
    (folder / hashes.RECORD).write_text("{}")
    assert main(["cache", "--clear"]) == 0
    assert list(folder.iterdir()) == []
