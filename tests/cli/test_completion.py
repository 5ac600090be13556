"""The scripts that make a shell complete the options of both commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.cli import classify_options
from open_nsfw.cli.completion import FILES, FOLDERS
from open_nsfw.cli.parsing import file
from open_nsfw.installing import install_command
from tests.tools.helpers import ROOT
from tests.tools.make_docs_tables import verb_commands, verb_parser

pytest.importorskip("shtab", reason="shtab is not installed in this interpreter")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")

# Calls the function that bash calls when somebody presses the tab key behind "$@", and prints what it offers.
TAB = """
. "$SCRIPT"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
function=$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(name="script", scope="module")
def _script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That for bash."""
    path = tmp_path_factory.mktemp("completion") / "completion.bash"
    line = [sys.executable, "-m", "open_nsfw", "completion", "bash"]
    path.write_bytes(subprocess.run(line, cwd=ROOT, capture_output=True, check=True).stdout)
    return path


@needs_bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["classify_nsfw", "--fail"], ["--fail-above"]),
        (["classify_nsfw", "--format", ""], ["csv", "jsonl", "parquet", "text"]),
        (["classify_nsfw", "--engine", "o"], ["onnxruntime", "openvino"]),
        (["classify_nsfw", "pic"], ["picture.jpg", "pictures"]),
        (["classify_nsfw", "--output", "pic"], ["picture.jpg", "pictures"]),
        (["classify_nsfw", "--copy-above", "0.8", "pic"], ["pictures"]),
        (["open-nsfw", "ca"], ["cache", "calibrate"]),
        (["open-nsfw", "calibrate", "--max"], ["--max-fpr"]),
        (["open-nsfw", "calibrate", "--plots", ""], ["png", "svg"]),
        (["open-nsfw", "policy", ""], ["check"]),
        (["open-nsfw", "policy", "check", "--policy"], ["--policy-for-any-model"]),
        (["open-nsfw", "review", "pic"], ["picture.jpg", "pictures"]),
        (["open-nsfw", "review", "--aud"], ["--audit"]),
        (["open-nsfw", "review", "export", "--o"], ["--output", "--overwrite"]),
        (["open-nsfw", "review", "report", "--j"], ["--json"]),
        (["open-nsfw", "completion", ""], ["bash", "zsh"]),
    ],
    ids=" ".join,
)
def test_what_bash_offers(words: list[str], offered: list[str], script: Path, tmp_path: Path) -> None:
    """Options, their choices, files and folders, verbs and their options."""
    (tmp_path / "pictures").mkdir()
    (tmp_path / "picture.jpg").touch()
    line = ["env", f"SCRIPT={script}", "bash", "-c", TAB, "bash", *words]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (sorted(done.stdout.split()), done.stderr) == (offered, "")


def test_zsh(capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands are in its script, for `compdef` to take."""
    assert open_nsfw(["completion", "zsh"]) == 0
    text = capsys.readouterr().out
    assert "--fail-above" in text and "quantize-ranges" in text
    assert "compdef _shtab_classify_nsfw -N classify_nsfw" in text and "compdef _shtab_open_nsfw -N open-nsfw" in text


def test_every_file_is_completed() -> None:
    """What takes the name of a file is known by its word in the help."""
    parsers = [classify_options.parser(), *(verb_parser(*words) for words in verb_commands())]
    actions = [action for parser in parsers for action in parser._actions if action.type is file]
    assert len(actions) > 10
    assert {str(action.metavar) for action in actions} <= {*FILES, *FOLDERS}


def test_without_shtab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the command that installs it; nothing else needs it."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert open_nsfw(["completion", "bash"]) == 2
    expected = f"open-nsfw completion: error: shtab is not installed: {install_command('completion')}\n"
    assert capsys.readouterr() == ("", expected)
