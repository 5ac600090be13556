"""Which model files are used, and that they are read once."""

from __future__ import annotations

from pathlib import Path

import pytest

import classify_nsfw
from open_nsfw.errors import ModelError
from open_nsfw.scoring import hashes, model_files
from tests.tools.helpers import MODEL_DEF, PICTURE, WEIGHTS, run_command


@pytest.mark.parametrize(
    "path",
    [
        "weights.caffemodel",
        WEIGHTS.name,
        f"elsewhere/{WEIGHTS.name}",
        f"./nsfw_model/{WEIGHTS.name}",
        f"/nowhere/nsfw_model/{WEIGHTS.name}",
    ],
)
def test_a_path_without_a_file_is_an_error(path: str, tmp_path: Path) -> None:
    """Also where it has the packaged file's name: other weights than those asked for are never used."""
    result = run_command("--pretrained_model", path, PICTURE, cwd=tmp_path)
    assert (result.status, result.out) == (2, "")
    named = path[2:] if path.startswith("./") else path  # as pathlib spells it
    assert result.err == f"classify_nsfw: error: {named}: cannot be read: No such file or directory\n"


def test_a_file_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line instead of reading for ever."""
    monkeypatch.setattr(hashes, "MOST_BYTES", 3 << 20)
    with pytest.raises(ModelError) as error:
        model_files.find_model_files(MODEL_DEF, "/dev/zero")
    assert str(error.value) == "/dev/zero: more than 3,145,728 bytes, which no such file of a published net has"


def test_yahoos_own_path_is_the_packaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The one path that may have no file, for Yahoo's command line in a checkout that was not built; the log says so."""
    monkeypatch.chdir(tmp_path)
    path = f"nsfw_model/{WEIGHTS.name}"
    assert model_files.find_model_files(None, path).pretrained_model == WEIGHTS
    assert caplog.messages == [f"{path} does not exist; the packaged weights are used ({WEIGHTS})"]
    (tmp_path / "nsfw_model").mkdir()
    (tmp_path / path).write_bytes(b"other weights")
    assert model_files.find_model_files(None, path).pretrained_model == Path(path)


@pytest.mark.parametrize("options", ["", "--resume", "--fast", "--resume --fast"])
def test_the_model_files_are_hashed_once(options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many parts of a run want to know which model it is."""
    hashed: list[str] = []
    real = model_files.content_sha256
    monkeypatch.setattr(model_files, "content_sha256", lambda path: (hashed.append(path.name), real(path))[1])
    rows = ["--format", "jsonl", "--output", str(tmp_path / "rows")]
    assert classify_nsfw.main(["--engine", "onnxruntime", *rows, *options.split(), str(PICTURE)]) == 0
    assert [name for name in hashed if name in (MODEL_DEF.name, WEIGHTS.name)] == [MODEL_DEF.name, WEIGHTS.name]
