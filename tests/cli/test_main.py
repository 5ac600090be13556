"""`open-nsfw VERB`: the dispatcher."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from open_nsfw.__main__ import VERBS, main
from open_nsfw.version import __version__
from tests.tools.helpers import PICTURE, ROOT, interrupted, small_net, write_model

SCORES = "`classify_nsfw` is the command that scores"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m open_nsfw ARGUMENTS` in a process of its own."""
    line = [sys.executable, "-m", "open_nsfw", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("argument", ["--help", "-h", "help"])
def test_help_has_a_line_for_each_verb(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name and one sentence."""
    assert main([argument]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, verb in VERBS.items():
        assert [line.split(None, 1) for line in lines if line.startswith(f"  {name} ")] == [[name, verb.help]]


@pytest.mark.parametrize("words", [["cache"], ["policy", "check"]])
def test_help_of_a_verb(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As `git help VERB` has it."""
    with pytest.raises(SystemExit) as ended:
        main(["help", *words])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: open-nsfw {' '.join(words)} ")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The package's."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"open-nsfw {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calibrat"], "there is no verb 'calibrat'; did you mean calibrate?"),
        (["score"], f"there is no verb 'score'; choose from {', '.join(VERBS)}; {SCORES}"),
        (["a.jpg"], f"there is no verb 'a.jpg'; choose from {', '.join(VERBS)}; {SCORES}"),
        ([], f"a verb is missing: {', '.join(VERBS)}; {SCORES}"),
    ],
)
def test_no_such_verb(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit status 2."""
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", f"open-nsfw: error: {message}\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("calibrate", "LABELS is missing; write open-nsfw calibrate LABELS"),
        ("policy", "ACTION is missing; write open-nsfw policy check"),
        ("policy check", "POLICY and SCORES are missing; write open-nsfw policy check POLICY SCORES"),
        ("quantize-ranges pictures", "--output is missing; write open-nsfw quantize-ranges FOLDER --output FILE"),
        ("completion", "SHELL is missing; write open-nsfw completion bash|zsh"),
        ("verify --fast", "IMAGES is missing; write open-nsfw verify IMAGES"),
    ],
)
def test_what_is_missing(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And the shortest line that has it."""
    assert main(line.split()) == 2
    assert capsys.readouterr() == ("", f"open-nsfw {line.split()[0]}: error: {message}\n")


def test_every_verb_is_there() -> None:
    """Its module has a main that takes arguments and tells about itself."""
    for name, verb in VERBS.items():
        assert callable(import_module(f"open_nsfw.cli.{verb.module}").main), name


def test_arguments_and_exit_status_pass_through() -> None:
    """To the verb and back."""
    done = run("build-net", "-b", "1", "-n", "8")
    assert (done.returncode, done.stdout.splitlines()[0][:40]) == (0, "# Written by `open-nsfw build-net -b 1 -")
    done = run("build-net", "-n", "7")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("open-nsfw build-net: error: filters of a bottleneck net must be divisible by 4, not 7\n")


@pytest.mark.parametrize("milliseconds", [0, 10, 30, 100, 200, 300, 400])
def test_a_signal_ends_a_verb_without_a_word(milliseconds: int) -> None:
    """Whatever it is importing; once it scores, it ends as the command that scores does."""
    status, err = interrupted("open_nsfw.__main__", milliseconds, "verify", PICTURE, PICTURE.parent)
    assert status in (-signal.SIGINT, 128 + signal.SIGINT)
    assert err == ""


def test_help_of_verbs() -> None:
    """With an example to run."""
    for verb in ("calibrate", "policy check"):
        done = run(*verb.split(), "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"  open-nsfw {verb} " in done.stdout


def test_help_loads_nothing_heavy() -> None:
    """The list of verbs must come at once."""
    code = (
        "import sys; from open_nsfw.__main__ import main; main(['--help']); "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'sklearn', 'argparse')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_what_is_logged_has_the_name_of_the_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As all that it tells: here that there is no folder for converted models."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPEN_NSFW_CACHE", str(tmp_path / "file" / "cache"))
    model = write_model(tmp_path, small_net())
    assert main(["verify", str(PICTURE), "--against", "onnxruntime", "--engine", "onnxruntime", *model]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "the converted model cannot be kept" in line]
    assert lines and all(line.startswith("open-nsfw verify: the converted model") for line in lines)
