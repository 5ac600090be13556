"""The commands that error messages name for a missing library."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from open_nsfw import installing
from open_nsfw.installing import (
    EXTRAS,
    REQUIREMENTS,
    broken_library,
    install_command,
    libraries,
    missing_library,
    pip_command,
)
from tests.tools.helpers import MODEL_DEF, PICTURE, SCRIPT

PACKAGE = Path(installing.__file__).parent


def environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment as far as names go: its folder of programs with a pip, and this process its Python."""
    folder.mkdir(parents=True)
    pip = folder / "pip"
    pip.write_text("#!/bin/sh\n")
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


def test_in_an_active_environment_it_is_plain_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(environment(tmp_path / "bin", monkeypatch)))
    assert install_command("video") == "pip install 'av>=14.1'"
    assert install_command("policy") == "pip install 'scikit-learn>=1.3' 'matplotlib>=3.7'"


@pytest.mark.parametrize("other", [False, True])
def test_elsewhere_the_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: bool) -> None:
    """Not the pip of another Python, which would install where this one does not look."""
    path = environment(tmp_path / "another", monkeypatch) if other else tmp_path
    monkeypatch.setenv("PATH", str(path))
    folder = environment(tmp_path / "my env", monkeypatch)
    assert install_command("video") == f"'{folder}/python' -m pip install 'av>=14.1'"


def test_an_environment_without_pip_gets_one_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As uv makes them."""
    monkeypatch.setenv("PATH", "")
    folder = environment(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(PathFinder, "find_spec", lambda name: None)
    python = folder / "python"
    assert pip_command() == f"{python} -m ensurepip && {python} -m pip"


def test_the_systems_own_python_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's, for one, whose pip refuses."""
    monkeypatch.setenv("PATH", str(environment(tmp_path / "bin", monkeypatch)))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    assert pip_command() == "pip"
    (tmp_path / "EXTERNALLY-MANAGED").write_text("")
    python = tmp_path / "bin" / "python"
    assert install_command("heif") == f"{python} -m venv .venv && .venv/bin/pip install 'pillow-heif>=0.16'"


@pytest.mark.parametrize(("there", "wanted"), [("video,heif", "video,heif,policy"), ("", "policy")])
def test_in_an_image_the_image_is_built_again(monkeypatch: pytest.MonkeyPatch, there: str, wanted: str) -> None:
    """Its user may not install, and a container would forget it."""
    monkeypatch.setenv("OPEN_NSFW_IMAGE_BUILD", "docker build --tag open_nsfw")
    monkeypatch.setenv("OPEN_NSFW_IMAGE_EXTRAS", there)
    command = f"docker build --tag open_nsfw --build-arg EXTRAS={wanted} ."
    where = "(in the checkout, outside of this container)"
    assert install_command("policy") == f"{command} {where}"
    assert install_command("caffe") == f"docker build --target caffe --tag open_nsfw_caffe . {where}"


def test_markers_are_left_out() -> None:
    assert libraries("caffe").startswith("kendryte-caffe==1.0.0.20210829 scikit-image ")
    assert ";" not in "".join(map(libraries, EXTRAS))


def test_no_text_names_a_package_that_no_index_has() -> None:
    """`pip install open-nsfw[video]` works nowhere; so does a hint written beside `install_command`."""
    wrong = re.compile(r"pip install (?!\.|--upgrade |\{)|open-nsfw\[")
    modules = [path for path in PACKAGE.rglob("*.py") if path.name != "installing.py"]
    found = [
        (path.name, line) for path in modules for line in path.read_text("utf-8").splitlines() if wrong.search(line)
    ]
    assert found == []


# --- a Python without the libraries, in a checkout ---


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """A copy of the program whose name needs quotes in a shell."""
    folder = tmp_path / "my checkout"
    shutil.copytree(PACKAGE, folder / "open_nsfw", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(MODEL_DEF.parent, folder / "nsfw_model")
    shutil.copy(SCRIPT, folder)
    return folder


def without_libraries(checkout: Path, *options: str) -> tuple[int, str]:
    """Exit status and stderr of the command on a Python that looks for no packages."""
    line = [sys.executable, "-S", str(checkout / "classify_nsfw.py"), str(PICTURE), *options]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


def make_environment(checkout: Path, *packages: str) -> Path:
    """A `.venv` as far as its names go."""
    activate = checkout / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    for package in packages:
        (checkout / ".venv" / "lib" / "python3.11" / "site-packages" / package).mkdir(parents=True)
    return activate


def test_an_environment_that_is_not_active_is_named(checkout: Path) -> None:
    """The first minutes' most likely slip: a new terminal."""
    activate = make_environment(checkout, "numpy")
    assert without_libraries(checkout) == (
        2,
        "classify_nsfw: error: numpy is not installed for this Python; activate the environment that has it: "
        f". '{activate}'\n",
    )


@pytest.mark.parametrize("environment", [False, True])
def test_without_such_an_environment_pip_is_named(checkout: Path, environment: bool) -> None:
    """One that does not have the library, either, is of no use."""
    if environment:
        make_environment(checkout, "pip")
    status, error = without_libraries(checkout)
    assert status == 2
    assert error.startswith("classify_nsfw: error: numpy is not installed: ") and error.count("\n") == 1
    assert error.endswith(" install " + " ".join(f"'{each}'" for each in REQUIREMENTS) + "\n")


def test_pillow_is_missed_by_another_process(tmp_path: Path) -> None:
    """That which decodes; the command says the same about it as about the others."""
    code = (
        "import sys, importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'PIL' else find(name, *rest)\n"
        "sys.path[:0] = [sys.argv.pop(1)]; import classify_nsfw; sys.exit(classify_nsfw.command())"
    )
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL" / "__init__.py").write_text('raise ModuleNotFoundError("No module named \'PIL\'", name="PIL")\n')
    line = [sys.executable, "-c", code, str(tmp_path), "--engine", "onnxruntime", str(PICTURE)]
    done = subprocess.run(line, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    expected = missing_library("PIL")  # activates another environment of this checkout, if that has it
    if "/activate" not in expected:
        expected = f"PIL is not installed: {pip_command()} install 'pillow>=10.3'"
    assert done.stderr == f"classify_nsfw: error: {expected}\n"


def test_a_library_that_is_there_and_broken() -> None:
    """The reason, cut to its first line, and the command that puts another in its place."""
    error = ImportError("libblas.so: cannot open\nsecond line", name="numpy.linalg")
    reinstall = f"{pip_command()} install --force-reinstall " + " ".join(f"'{each}'" for each in REQUIREMENTS)
    assert broken_library(error) == f"numpy cannot be imported (libblas.so: cannot open): {reinstall}"
