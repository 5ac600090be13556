"""The cache of converted models: whatever happens to it, the score is right."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import resource
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from open_nsfw.scoring import cache as cache_module
from open_nsfw.scoring import cache_entries, cache_folder
from open_nsfw.scoring.cache import cached, float_key, laid_out_key
from open_nsfw.scoring.cache_entries import clear, entries
from open_nsfw.scoring.cache_folder import cache_dir, distrust, kept_in
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.scoring.onnx_engine import converted_model
from open_nsfw.scoring.onnx_runtime import import_onnxruntime
from open_nsfw.scoring.processor import features, name_of
from open_nsfw.scoring.versions import CONVERTER_VERSION, QUANTIZER_VERSION
from tests.tools.helpers import PICTURE, ROOT, SCRIPT, SECONDS, caffemodel, ones, run_command, small_net, write_model

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
    # No temporary file is left, and all three made the same: the converted model, and the graph and weights of the other.
    names = set(kept_files(cache)) - {"hashes.json"}
    assert sorted(name.rpartition(".")[2] for name in names) == ["onnx", "onnx", "weights"]


def test_a_second_run_reads_what_the_first_kept(tmp_path: Path, right: str) -> None:
    env = {"OPEN_NSFW_CACHE": str(tmp_path)}
    model = write_model(tmp_path, small_net())
    assert run_command(*ENGINE, *model, PICTURE, env=env).out == "NSFW score: 0.5\n"
    before = {path: path.stat() for ending in ("onnx", "weights") for path in tmp_path.glob(f"*-*.{ending}")}
    assert run_command(*ENGINE, *model, PICTURE, env=env).out == "NSFW score: 0.5\n"
    assert len(before) == 3
    for path, status in before.items():
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (status.st_mtime_ns, status.st_ino)
        assert stat.S_IMODE(status.st_mode) == 0o644


def test_another_model_has_another_entry(tmp_path: Path) -> None:
    env = {"OPEN_NSFW_CACHE": str(tmp_path / "cache")}
    for outputs, score in ((2, "0.5"), (4, "0.25")):
        weights = caffemodel({"c": [ones(outputs, 3, 1, 1), ones(outputs)]})
        model = write_model(tmp_path, small_net(outputs=outputs), weights)
        assert run_command(*ENGINE, *model, PICTURE, env=env).out == f"NSFW score: {score}\n"
    assert len(list((tmp_path / "cache").glob("*.weights"))) == 2


def packaged_model(cache: Path) -> list[Path]:
    """What is cached of the model that the command uses: as it was converted, and the graph and weights that were laid out
    for this processor. Other tests leave the fast mode's and other nets' beside it."""
    converted, name = float_key(find_model_files()), name_of(features())
    laid_out = laid_out_key(find_model_files(), import_onnxruntime().__version__, name)
    digest = "[0-9a-f]" * 64
    patterns = [f"{converted}-{digest}.onnx", f"{laid_out}-{digest}.onnx", f"{laid_out}-{digest}.weights"]
    return [path for pattern in patterns for path in cache.glob(pattern)]


@pytest.mark.parametrize("which", ["converted", "graph", "weights"])
@pytest.mark.parametrize("damage", ["cut short", "empty", "one byte", "not a model"])
def test_a_damaged_cache_file(damage: str, which: str, tmp_path: Path, right: str, session_cache: Path) -> None:
    whole = dict(zip(("converted", "graph", "weights"), packaged_model(session_cache)))
    for path in whole.values():
        shutil.copy(path, tmp_path)
    content = bytearray(whole[which].read_bytes())
    if damage == "one byte":
        content[len(content) // 2] ^= 0x40
    damaged = {"cut short": content[: len(content) // 3], "empty": b"", "not a model": b"\0" * 5000}.get(
        damage, content
    )
    (tmp_path / whole[which].name).write_bytes(damaged)
    if which == "converted":  # which is only read to make the other two
        (tmp_path / whole["graph"].name).unlink()
    result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(tmp_path)})
    assert (result.status, result.out, result.err) == (0, right, "")
    for path in whole.values():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()  # mended
    assert set(kept_files(tmp_path)) - {"hashes.json"} == {path.name for path in whole.values()}


def test_left_over_temporary_files_and_odd_entries(tmp_path: Path, right: str, session_cache: Path) -> None:
    whole = packaged_model(session_cache)
    (tmp_path / ".abcd.part").write_bytes(b"half a model")
    for path in whole:
        key, ending = path.name.rpartition("-")[0], path.suffix
        (tmp_path / f"{key}-{'0' * 64}{ending}").write_bytes(b"claims to be whole")
        (tmp_path / f"{key}-{'1' * 64}{ending}").mkdir()
        (tmp_path / f"{key}-{'2' * 64}{ending}").symlink_to("nowhere")
    result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(tmp_path)})
    assert (result.status, result.out, result.err) == (0, right, "")
    for path in whole:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


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
    with mounted(tmp_path / "disk", "ro,mode=0755") as disk:
        result = run_command(*ENGINE, PICTURE, env={"OPEN_NSFW_CACHE": str(disk)})
        assert (result.status, result.out) == (0, right)
        assert result.err == warning(disk, "Read-only file system")


def test_no_place_for_temporary_files(tmp_path: Path, right: str) -> None:
    """A container whose /tmp is read-only, or full, scores too."""
    with mounted(tmp_path / "disk", "size=64k") as disk:
        env = {name: str(disk) for name in ("TMPDIR", "TEMP", "TMP")}
        result = run_command(*ENGINE, PICTURE, env={**env, "OPEN_NSFW_CACHE": str(tmp_path / "cache")})
        assert (result.status, result.out, result.err) == (0, right, "")


def run_with_small_files(cache: Path) -> tuple[int, str, str]:
    """Status, stdout and stderr of a run that cannot write a file of a model's size, as under a quota."""
    line = [sys.executable, str(SCRIPT), *ENGINE, str(PICTURE)]
    env = {**os.environ, "OPEN_NSFW_CACHE": str(cache)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, limits[1]))
    try:
        process = subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def test_a_file_size_limit(tmp_path: Path, right: str) -> None:
    cache = tmp_path / "cache"
    assert run_with_small_files(cache) == (0, right, warning(cache, "File too large"))
    assert kept_files(cache) == []


def test_a_cache_that_lacks_the_model_for_this_processor(tmp_path: Path, right: str, session_cache: Path) -> None:
    """As in an image that was built on another machine: if it cannot be added, the converted model is used, without a
    word."""
    shutil.copy(packaged_model(session_cache)[0], tmp_path)
    before = kept_files(tmp_path)
    assert run_with_small_files(tmp_path) == (0, right, "")
    assert set(kept_files(tmp_path)) - {"hashes.json"} == set(before)


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

    monkeypatch.setattr(cache_module.os, "replace", broken)
    assert cached("key", ".onnx", lambda: b"model") == b"model"
    assert kept_files(cache) == []
    assert caplog.messages == [warning(cache, "No space left on device")[len("classify_nsfw: ") : -1]]


def test_the_key_names_both_files_and_the_converter(tmp_path: Path, cache: Path) -> None:
    _, model_def, _, weights = write_model(tmp_path, small_net())
    files = find_model_files(model_def, weights)
    path = converted_model(files)
    assert isinstance(path, Path)
    assert path.name.startswith(f"{files.digest[:32]}-v{CONVERTER_VERSION}-")
    Path(model_def).write_text(small_net() + "# another file\n")
    assert find_model_files(model_def, weights).digest != files.digest


# --- what others may have put there -----------------------------------------------------------------------------------

ANOTHER_USER = 12345


def give_away(path: Path) -> None:
    """Make another user the owner; only root can."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(path, ANOTHER_USER, -1, follow_symlinks=False)


def plant(folder: Path, key: str) -> Path:
    """A whole model under the key of another one, as somebody would plant it to decide scores."""
    data = b"planted"
    path = folder / f"{key}-{hashlib.sha256(data).hexdigest()}.onnx"
    path.write_bytes(data)
    return path


def test_a_model_in_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    """The command says so, and converts the net itself."""
    model = write_model(tmp_path, small_net())
    folder = tmp_path / "shared"
    folder.mkdir()
    _, model_def, _, weights = model
    plant(folder, float_key(find_model_files(model_def, weights)))
    give_away(folder)
    result = run_command(*ENGINE, *model, PICTURE, env={"OPEN_NSFW_CACHE": str(folder)})
    assert (result.status, result.out) == (0, "NSFW score: 0.5\n")
    assert result.err == warning(folder, "it belongs to another user")
    assert len(kept_files(folder)) == 1


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702, 0o775])
def test_a_folder_that_others_can_write_to(
    mode: int, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing in it is used, and nothing put there."""
    plant(cache, "key")
    cache.chmod(mode)
    monkeypatch.setattr(cache_folder, "_is_own_group_only", lambda status: False)
    assert cached("key", ".onnx", lambda: b"model") == b"model"
    reason = "other users can write to it; `chmod go-w` on it, or remove it"
    assert caplog.messages == [warning(cache, reason)[len("classify_nsfw: ") : -1]]
    assert len(kept_files(cache)) == 1


@pytest.mark.parametrize("kind", ["owner", "mode"])
def test_a_file_of_another_user(kind: str, cache: Path) -> None:
    """In a folder of one's own: it is not used, and one's own is made beside it."""
    planted = plant(cache, "key")
    if kind == "owner":
        give_away(planted)
    else:
        planted.chmod(0o646)
    found = cached("key", ".onnx", lambda: b"model")
    assert isinstance(found, Path) and found.read_bytes() == b"model"


def test_a_link_of_another_user(cache: Path) -> None:
    """Though it leads to a file of this user's."""
    planted = plant(cache, "other")
    link = cache / planted.name.replace("other", "key")
    link.symlink_to(planted.name)
    assert distrust(link) is None
    give_away(link)
    assert distrust(link) == "it belongs to another user"


def test_a_folder_below_one_that_all_can_write_to(tmp_path: Path) -> None:
    """Others could put their own folder in its place; where the sticky bit is set, as for /tmp, they cannot."""
    folder = tmp_path / "open" / "cache"
    folder.mkdir(parents=True)
    assert distrust(folder) is None
    (tmp_path / "open").chmod(0o777)
    assert distrust(folder) == f"all users can write to {tmp_path / 'open'}"
    (tmp_path / "open").chmod(0o1777)
    assert distrust(folder) is None


def test_the_users_own_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of the user's name without other members lets nobody else write."""
    tmp_path.chmod(0o775)
    user = pwd.getpwuid(os.geteuid()).pw_name

    def group(name: str, *members: str) -> None:
        monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group((name, "x", number, list(members))))

    group(user, user)
    assert distrust(tmp_path) is None
    for name, members in ((user, [user, "somebody"]), ("staff", [])):
        group(name, *members)
        assert distrust(tmp_path) == "other users can write to it; `chmod go-w` on it, or remove it"


def test_a_new_folder_is_closed_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may read it, no more."""
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path / "home" / ".cache" / "open_nsfw"))
    before = os.umask(0)
    try:
        found = cached("key", ".onnx", lambda: b"model")
    finally:
        os.umask(before)
    assert isinstance(found, Path)
    assert (stat.S_IMODE(found.stat().st_mode), stat.S_IMODE(found.parent.stat().st_mode)) == (0o644, 0o755)


def test_what_is_kept_is_on_the_disk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody had before, flushed before it gets its name, and the name flushed, too."""
    events: list[str] = []
    flush, rename, new = os.fsync, os.replace, os.open
    monkeypatch.setattr(os, "fsync", lambda number: (events.append("flushed"), flush(number))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (events.append("named"), rename(*names))[1])

    def opened(path: object, flags: int, *rest: object, **named: object) -> int:
        if str(path).endswith(".part"):
            assert flags & os.O_EXCL and flags & os.O_CREAT
            events.append("opened")
        return new(path, flags, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", opened)
    cached("key", ".onnx", lambda: b"model")
    assert events == ["opened", "flushed", "named", "flushed"]  # the last one is of the folder


# --- looking after it -------------------------------------------------------------------------------------------------

MODEL = "0123456789abcdef" * 2


def put(folder: Path, key: str, size: int, days: float, ending: str = ".onnx") -> Path:
    """A cached model of so many bytes that was last used so many days ago."""
    path = folder / f"{key}-{'0' * 64}{ending}"
    path.write_bytes(bytes(size))
    then = time.time() - days * 86400
    os.utime(path, (then, then))
    return path


def test_entries(cache: Path) -> None:
    """Each with what it is; files of others are none."""
    current = f"{MODEL}-v{CONVERTER_VERSION}"
    put(cache, current, 3, 0)
    put(cache, f"{current}-ort1.32.0-0a1b2c3d", 4, 1)
    put(cache, f"{current}-ort1.32.0-0a1b2c3d", 8, 1.5, ".weights")
    put(cache, f"{current}-int8-v{QUANTIZER_VERSION}-0123456789abcdef", 5, 2)
    put(cache, f"{MODEL}-v{CONVERTER_VERSION - 1}", 6, 3)
    put(cache, f"{current}-int8-v{QUANTIZER_VERSION - 1}-0123456789abcdef", 7, 4)
    put(cache, f"{current}-ort1.32.0", 9, 5)
    (cache / "mine.onnx").write_bytes(b"a model of the user's")
    assert [(entry.model, entry.size, entry.kind, entry.outdated) for entry in entries(cache)] == [
        ("0123456789ab", 3, "float32", False),
        ("0123456789ab", 4, "float32, laid out by ONNX Runtime 1.32.0 for processor 0a1b2c3d", False),
        ("0123456789ab", 8, "weights of float32, laid out by ONNX Runtime 1.32.0 for processor 0a1b2c3d", False),
        ("0123456789ab", 5, "int8", False),
        ("0123456789ab", 6, "float32", True),
        ("0123456789ab", 7, "int8", True),
        ("0123456789ab", 9, "float32, laid out by ONNX Runtime 1.32.0 for processor any", True),
    ]
    assert entries(cache / "none") == []


def test_a_new_model_removes_what_older_releases_left(cache: Path) -> None:
    """And what processes left that were killed; nothing of anybody else."""
    old = put(cache, f"{MODEL}-v{CONVERTER_VERSION - 1}", 6, 0)
    newer = put(cache, f"{MODEL}-v{CONVERTER_VERSION + 1}", 6, 0)
    stale, fresh, other = cache / ".abc.part", cache / ".def.part", cache / "mine.onnx"
    for path in (stale, fresh, other):
        path.write_bytes(b"x")
    os.utime(stale, (0, 0))
    os.utime(other, (0, 0))
    kept = cached(f"{MODEL}-v{CONVERTER_VERSION}", ".onnx", lambda: b"model")
    assert isinstance(kept, Path)
    assert kept_files(cache) == sorted(path.name for path in (newer, fresh, other, kept))
    assert not old.exists() and not stale.exists()


def test_beyond_the_limit_what_was_not_used_for_longest_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one stays, and so does what was used just now, however large."""
    monkeypatch.setattr(cache_entries, "MOST_BYTES", 100)
    current = f"{MODEL}-v{CONVERTER_VERSION}"
    just_now = put(cache, f"{current}-ort1-any", 80, 0)
    yesterday, last_week, last_month = (put(cache, f"{current}-ort{days}-any", 15, days) for days in (2, 7, 30))
    kept = cached(current, ".onnx", lambda: b"model")
    assert isinstance(kept, Path)
    assert just_now.exists() and yesterday.exists()
    assert not last_week.exists() and not last_month.exists()
    assert isinstance(cached(f"{current}-ort2-any", ".onnx", lambda: bytes(200)), Path)


def test_use_counts(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is used stays, however old its file is."""
    current = f"{MODEL}-v{CONVERTER_VERSION}"
    path = cached(current, ".onnx", lambda: b"model")
    assert isinstance(path, Path)
    os.utime(path, (0, 0))
    monkeypatch.setattr(cache_entries, "MOST_BYTES", 1)
    assert cached(current, ".onnx", never) == path
    cached(f"{current}-ort1-any", ".onnx", lambda: b"other")
    assert path.exists() and path.stat().st_mtime == 0


def test_clear(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All models go, nothing else; what cannot be removed is told."""
    path = put(cache, f"{MODEL}-v{CONVERTER_VERSION}", 6, 0)
    (cache / "mine.onnx").write_bytes(b"x")

    def refuses(self: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuses)
        assert [entry.path for entry in clear(cache)] == [path]
    assert clear(cache) == []
    assert kept_files(cache) == ["mine.onnx"]


def test_another_folder_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then the one before, also if there was none."""
    monkeypatch.setenv("OPEN_NSFW_CACHE", "/before")
    with kept_in(tmp_path):
        assert cache_dir() == tmp_path
    assert cache_dir() == Path("/before")
    monkeypatch.delenv("OPEN_NSFW_CACHE")
    with kept_in(tmp_path):
        assert cache_dir() == tmp_path
    assert "OPEN_NSFW_CACHE" not in os.environ
