"""The commands that error messages name for a missing library."""

from __future__ import annotations

import re
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from open_nsfw import installing
from open_nsfw.installing import EXTRAS, install_command, libraries, pip_command

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
