"""The cache of converted models: whatever happens to it, the score is right."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import classify_nsfw
from open_nsfw.scoring import model_files
from open_nsfw.scoring.cache import cache_dir, cached
from tests.tools.helpers import MODEL_DEF, PICTURE, ROOT, SCRIPT, SECONDS, WEIGHTS, run_command, small_net, write_model

ENGINE = ["--engine", "onnxruntime"]  # the one that converts
LIMIT = 8 << 20  # bytes: less than the converted model of the packaged net


@pytest.fixture(scope="module")
def right() -> str:
    """What the command prints for PICTURE with a sound cache."""
    result = run_command(*ENGINE, PICTURE)
    assert (result.status, result.err) == (0, "")
    return result.out


def kept_files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def warning(cache: Path, reason: str) -> str:
    return (
        f"classify_nsfw: the converted model cannot be kept in {cache} ({reason}), so every run makes it anew; "
        "name a writable folder in OPEN_NSFW_CACHE\n"
    )


# --- runs of the command ----------------------------------------------------------------------------------------------


def test_processes_that_start_at_once_with_an_empty_cache(tmp_path: Path, right: str) -> None:
    cache = tmp_path / "not yet there" / "cache"
    env = {**os.environ, "OPEN_NSFW_CACHE": str(cache)}
    line = [sys.executable, str(SCRIPT), *ENGINE, str(PICTURE)]
    pipe = subprocess.PIPE
    runs = [subprocess.Popen(line, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    outputs = [run.communicate(timeout=SECONDS) for run in runs]
    assert outputs == [(right, "")] * 3
    assert [run.returncode for run in runs] == [0] * 3
    (name,) = kept_files(cache)  # no temporary file is left, and all three made the same
    assert name.endswith(".onnx")


def test_a_second_run_reads_what_the_first_kept(tmp_path: Path, right: str) -> None:
    env = {"OPEN_NSFW_CACHE": str(tmp_path)}
    model = write_model(tmp_path, small_net())
    assert run_command(*ENGINE, *model, PICTURE, env=env).out == "NSFW score: 0.5\n"
    (kept,) = tmp_path.glob("*.onnx")
    before = kept.stat()
    assert run_command(*ENGINE, *model, PICTURE, env=env).out == "NSFW score: 0.5\n"
    assert kept.stat().st_mtime_ns == before.st_mtime_ns
    assert kept.stat().st_ino == before.st_ino
    assert stat.S_IMODE(before.st_mode) == 0o644


def test_another_model_has_another_entry(tmp_path: Path) -> None:
    env = {"OPEN_NSFW_CACHE": str(tmp_path / "cache")}
    for outputs, score in ((2, "0.5"), (4, "0.25")):
        from tests.tools.helpers import caffemodel, ones

        weights = caffemodel({"c": [ones(outputs, 3, 1, 1), ones(outputs)]})
        model = write_model(tmp_path, small_net(outputs=outputs), weights)
        assert run_command(*ENGINE, *model, PICTURE, env=env).out == f"NSFW score: {score}\n"
    assert len(kept_files(tmp_path / "cache")) == 2


def packaged_model(cache: Path) -> Path:
    """The cached model that the command uses; other tests leave the fast mode's beside it."""
    (whole,) = [path for path in cache.glob("*-ort*.onnx") if path.stat().st_size > LIMIT]
    return whole


@pytest.mark.parametrize("damage", ["cut short", "empty", "one byte", "not a model"])
def test_a_damaged_cache_file(damage: str, tmp_path: Path, right: str, session_cache: Path) -> None:
    whole = packaged_model(session_cache)
    content = bytearray(whole.read_bytes())
    if damage == "one byte":
        content[len(content) // 2] ^= 0x40
    damaged = {"cut short": content[: len(content) // 3], "empty": b"", "not a model": b"\0" * 5000}.get(
        damage, content
    )
    (tmp_path / whole.name).write_bytes(damaged)
    result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(tmp_path)})
    assert (result.status, result.out, result.err) == (0, right, "")
    assert (tmp_path / whole.name).read_bytes() == whole.read_bytes()  # mended
    assert kept_files(tmp_path) == [whole.name]


def test_left_over_temporary_files_and_odd_entries(tmp_path: Path, right: str, session_cache: Path) -> None:
    whole = packaged_model(session_cache)
    (tmp_path / ".abcd.part").write_bytes(b"half a model")
    key = whole.name.rpartition("-")[0]
    (tmp_path / f"{key}-{'0' * 64}.onnx").write_bytes(b"claims to be whole")
    (tmp_path / f"{key}-{'1' * 64}.onnx").mkdir()
    (tmp_path / f"{key}-{'2' * 64}.onnx").symlink_to("nowhere")
    result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(tmp_path)})
    assert (result.status, result.out, result.err) == (0, right, "")
    assert (tmp_path / whole.name).read_bytes() == whole.read_bytes()


def test_a_cache_that_is_a_file(tmp_path: Path, right: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(tmp_path / "file")})
    assert (result.status, result.out) == (0, right)
    assert result.err == warning(tmp_path / "file", "File exists")


def test_a_cache_below_a_file(tmp_path: Path, right: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = tmp_path / "file" / "cache"
    result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(cache)})
    assert (result.status, result.out, result.err) == (0, right, warning(cache, "Not a directory"))


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own in `folder`; the test is skipped where none can be had."""
    folder.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode != 0:
        pytest.skip(f"mounting a small file system needs more rights: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tmp_path: Path, right: str) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(disk / "cache")})
        assert (result.status, result.out) == (0, right)
        assert result.err == warning(disk / "cache", "No space left on device")
        assert kept_files(disk / "cache") == []


def test_a_read_only_disk(tmp_path: Path, right: str) -> None:
    with mounted(tmp_path / "disk", "ro") as disk:
        result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(disk)})
        assert (result.status, result.out) == (0, right)
        assert result.err == warning(disk, "Read-only file system")


def test_no_place_for_temporary_files(tmp_path: Path, right: str) -> None:
    """A container whose /tmp is read-only, or full, scores too."""
    with mounted(tmp_path / "disk", "size=64k") as disk:
        env = {name: str(disk) for name in ("TMPDIR", "TEMP", "TMP")}
        result = run_command(*ENGINE, PICTURE, env={**env, "OPEN_NSFW_CACHE": str(tmp_path / "cache")})
        assert (result.status, result.out, result.err) == (0, right, "")


def test_a_file_size_limit(tmp_path: Path, right: str) -> None:
    """What a quota does: the file cannot grow to its full size."""
    line = [sys.executable, str(SCRIPT), *ENGINE, str(PICTURE)]
    env = {**os.environ, "OPEN_NSFW_CACHE": str(tmp_path / "cache")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, limits[1]))
    try:
        process = subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (0, right)
    assert err == warning(tmp_path / "cache", "File too large")
    assert kept_files(tmp_path / "cache") == []


def test_no_home(tmp_path: Path, right: str) -> None:
    """A user that nobody knows, without HOME: there is no cache folder, but there is a score."""
    code = "import pwd, runpy, sys\ndef getpwuid(uid): raise KeyError(uid)\npwd.getpwuid = getpwuid\n"
    code += f"sys.argv = ['classify_nsfw.py', '--engine', 'onnxruntime', {str(PICTURE)!r}]\n"
    code += f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    (tmp_path / "nobody.py").write_text(code)
    env = {"HOME": None, "OPEN_NSFW_CACHE": None, "XDG_CACHE_HOME": None, "PYTHONPATH": str(ROOT)}
    result = run_command(script=str(tmp_path / "nobody.py"), env=env, cwd=tmp_path)
    assert (result.status, result.out) == (0, right)
    assert result.err.count("\n") <= 1 and "Traceback" not in result.err


# --- model files that are not there -----------------------------------------------------------------------------------


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


# --- where it is ------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("OPEN_NSFW_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return monkeypatch


def test_the_variable_decides(no_variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_variables.setenv("XDG_CACHE_HOME", "/elsewhere")
    no_variables.setenv("OPEN_NSFW_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path


def test_xdg_cache_home_comes_next(no_variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_variables.setenv("HOME", "/home/someone")
    no_variables.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "open_nsfw"


def test_the_users_cache_folder(no_variables: pytest.MonkeyPatch) -> None:
    no_variables.setenv("HOME", "/home/someone")
    assert cache_dir() == Path("/home/someone/.cache/open_nsfw")
    no_variables.setattr(sys, "platform", "darwin")
    assert cache_dir() == Path("/home/someone/Library/Caches/open_nsfw")


def test_an_empty_variable_counts_as_none(no_variables: pytest.MonkeyPatch) -> None:
    no_variables.setenv("HOME", "/home/someone")
    no_variables.setenv("OPEN_NSFW_CACHE", "")
    no_variables.setenv("XDG_CACHE_HOME", "")
    assert cache_dir() == Path("/home/someone/.cache/open_nsfw")


# --- keeping ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path))
    return tmp_path


def never() -> bytes:
    raise AssertionError("made again although it is there")


def test_made_once(cache: Path) -> None:
    first = cached("key", ".onnx", lambda: b"model")
    assert first == cached("key", ".onnx", never)
    assert isinstance(first, Path) and first.read_bytes() == b"model"


def test_a_key_that_begins_like_another(cache: Path) -> None:
    """`key-ort1` must not be taken for `key`."""
    cached("key-ort1", ".onnx", lambda: b"another")
    found = cached("key", ".onnx", lambda: b"model")
    assert isinstance(found, Path) and found.read_bytes() == b"model"


def test_a_failed_making_leaves_nothing(cache: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        cached("key", ".onnx", lambda: bytes(1 // 0))
    assert kept_files(cache) == []


def test_a_failed_writing_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_files.os, "replace", broken)
    assert cached("key", ".onnx", lambda: b"model") == b"model"
    assert kept_files(cache) == []
    assert caplog.messages == [warning(cache, "No space left on device")[len("classify_nsfw: ") : -1]]


@pytest.mark.parametrize("options", ["", "--resume", "--fast", "--resume --fast"])
def test_the_model_files_are_hashed_once(options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many parts of a run want to know which model it is."""
    hashed: list[str] = []
    real = model_files.file_sha256
    monkeypatch.setattr(model_files, "file_sha256", lambda path: (hashed.append(path.name), real(path))[1])
    rows = ["--format", "jsonl", "--output", str(tmp_path / "rows")]
    assert classify_nsfw.main([*ENGINE, *rows, *options.split(), str(PICTURE)]) == 0
    assert [name for name in hashed if name in (MODEL_DEF.name, WEIGHTS.name)] == [MODEL_DEF.name, WEIGHTS.name]


def test_the_key_names_both_files_and_the_converter(tmp_path: Path, cache: Path) -> None:
    from open_nsfw.scoring.model_files import find_model_files
    from open_nsfw.scoring.onnx_engine import CONVERTER_VERSION, converted_model

    _, model_def, _, weights = write_model(tmp_path, small_net())
    files = find_model_files(model_def, weights)
    path = converted_model(files)
    assert isinstance(path, Path)
    assert path.name.startswith(f"{files.digest[:32]}-v{CONVERTER_VERSION}-")
    Path(model_def).write_text(small_net() + "# another file\n")
    assert find_model_files(model_def, weights).digest != files.digest
