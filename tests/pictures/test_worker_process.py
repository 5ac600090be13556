"""The start and the end of a decoding process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw.errors import SetupError
from open_nsfw.pictures import worker_process
from open_nsfw.pictures.extraction import Extraction
from tests.tools.helpers import PICTURE, ROOT

SECONDS = 120


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "exit status 0"), (3, "exit status 3"), (-11, "signal SIGSEGV"), (-34, "signal SIGRTMIN"), (-40, "signal 40")],
)
def test_every_end_has_a_text(status: int, text: str) -> None:
    """Real-time signals, most of which have no name, included."""
    assert worker_process.exit_text(status) == text
    for number in range(1, 65):
        assert worker_process.exit_text(-number).startswith("signal ")


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Path:
    """A folder like site-packages: this package in it, and others that have names of the standard library's modules."""
    shutil.copytree(ROOT / "open_nsfw", tmp_path / "site" / "open_nsfw", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "nsfw_model", tmp_path / "site" / "open_nsfw" / "model")
    for name in ("dataclasses", "typing", "enum", "json", "struct", "typing_extensions"):
        (tmp_path / "site" / f"{name}.py").write_text("raise ImportError('made for Python 3.6')\n")
    return tmp_path / "site"


def run_from(site: Path, statement: str) -> subprocess.CompletedProcess[str]:
    """A statement in a process that finds the package in `site`, behind everything else."""
    code = f"import sys; sys.path = [p for p in sys.path if p] + [{str(site)!r}]\n{statement}"
    elsewhere = site.parent
    return subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True, timeout=SECONDS, check=False
    )


SCORE = f"from open_nsfw.cli.classify import main; sys.exit(main(['--engine', 'onnxruntime', {str(PICTURE)!r}]))"


def without_this_package() -> str:
    """Takes the editable install of the tests away."""
    return (
        f"sys.path = [p for p in sys.path if p != {str(ROOT)!r}]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
    )


def test_a_package_with_the_name_of_a_standard_module_is_no_matter(site: Path) -> None:
    """As `pip install dataclasses` puts one beside this package: the standard library's comes first, as in the parent."""
    done = run_from(site, without_this_package() + "import open_nsfw; assert 'site' in open_nsfw.__file__\n" + SCORE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("NSFW score: 0.499")


def test_why_no_process_starts(site: Path) -> None:
    """One line with the reason, and a command that shows all of it."""
    worker = site / "open_nsfw" / "pictures" / "decode_worker.py"
    worker.write_text("import module_that_is_not_there\n")
    done = run_from(site, without_this_package() + SCORE)
    assert done.returncode == 2
    assert done.stderr == (
        "classify_nsfw: error: the decoding process does not start (exit status 1: ModuleNotFoundError: No module named "
        f"'module_that_is_not_there'); try: {sys.executable} -m open_nsfw.pictures.decode_worker\n"
    )


def test_the_advised_command_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From any directory; where `python classify_nsfw.py` was used without installing anything, with the directory that it
    needs."""
    monkeypatch.setattr(sys, "path", ["/nowhere", *sys.path])
    assert worker_process.advised_command() == f"{sys.executable} -m open_nsfw.pictures.decode_worker"
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    line = worker_process.advised_command()
    assert line == f'cd "{ROOT}" && {sys.executable} -m open_nsfw.pictures.decode_worker'
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the decoding process starts\n", "")


def test_the_import_path_of_the_parent_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """This package's folder comes last, where it is not on the path at all, as with an editable install."""
    monkeypatch.setattr(sys, "path", ["/first", "/second"])
    code = worker_process._command()[-1]
    assert f"sys.path[:] = {['/first', '/second', str(ROOT)]!r}" in code


@pytest.mark.parametrize("executable", ["", None])
def test_a_program_that_embeds_python(executable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a web server's module: Python does not know its own interpreter."""
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(SetupError, match="^a decoding process cannot be started: sys.executable, .* is empty, "):
        worker_process.start(Extraction())
