"""Every command that README, docs/ and --help print works as printed, in a new environment in a copy of the tree.

The environment is the one that README's first line makes. `pytest -m "not docs"` leaves this module out: it takes minutes
and lets pip install what the pages say. With UPDATE_DOCS=1 set, what commands print goes into the pages where it differs.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from open_nsfw.installing import libraries
from tests.tools.helpers import ROOT
from tests.tools.make_docs_tables import verb_commands
from tests.tools.shell_blocks import Command, commands, differences, left_out, run, with_outputs

pytestmark = pytest.mark.docs

README = ROOT / "README.md"
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")} - {README})
ACTIVATE = Command(". .venv/bin/activate")
PAGE, SAMPLES = "page", "samples"  # branches of the copy: as git has it, and with the files that examples name
OPENVINO = ("openvino",) if sys.version_info >= (3, 10) else ()
HELP = [["classify_nsfw"], *(["open-nsfw", *words] for words in verb_commands())]
MAKE_SAMPLES = [
    Command("python -m tests.tools.make_examples"),
    Command("python tests/tools/make_labelled_folder.py labelled --versions 2"),
    Command("cp -r tests/data/held_back today; cp -r labelled/sfw pictures; cp -r labelled/nsfw others"),
    Command("(echo score,label; for i in 1 2 3 4 5 6 7 8; do echo 0.$i,nsfw; echo 0.0$i,sfw; done) >scores.csv"),
    Command("open-nsfw calibrate labelled --quiet && cp labelled-calibration/policy.json ."),
    Command("(echo path,label; for f in labelled/*/*; do echo $f,$(basename $(dirname $f)); done) >labels.csv"),
    Command("classify_nsfw photos labelled --quiet --hash --format jsonl --output rows.jsonl"),
    Command("python -m tests.tools.decide_review rows.jsonl photos.sqlite"),
    Command("open-nsfw review export photos.sqlite --output decided.csv"),
    Command("printf '\\0\\0\\0\\030ftypheic\\0\\0\\0\\0mif1heic%0100d' 0 >picture.heic"),
]
MISSING = {  # the library, and a command that wants it
    "av": "classify_nsfw clip.mp4",
    "pillow-heif": "classify_nsfw picture.heic",
    "pyarrow": "classify_nsfw upload.jpg --format parquet --output rows.parquet",
    "scikit-learn": "open-nsfw calibrate labelled --quiet",
    "matplotlib": "open-nsfw verify photos --plot differences.png",
    "openvino": "classify_nsfw upload.jpg --engine openvino",
}
# Verbs that go on until they are ended: a while is enough to see that they come up.
ENDLESS = re.compile(r"open-nsfw (?:serve|review (?!export|report))")
A_WHILE = "timeout --preserve-status -s TERM 20 "
HINT = re.compile(r"(?:\S+|'[^']+') -m pip install .+|pip install .+")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a terminal whose `python3` is this interpreter and that knows nothing of the environment this runs in."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python3").chmod(0o755)
    here = os.path.dirname(sys.executable)
    path = [str(programs), *(part for part in os.environ["PATH"].split(os.pathsep) if part != here)]
    left = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    return {
        **left,
        "PATH": os.pathsep.join(path),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "OPEN_NSFW_CACHE": str(programs / "cache"),
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A copy of the tree as git has it, with the weights if they are here; README's commands have run in it."""
    copy = tmp_path_factory.mktemp("tree") / "open nsfw"  # a blank in the path, as people have
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    weights = [str(path.relative_to(ROOT)) for path in (ROOT / "nsfw_model").glob("*.caffemodel")]
    for name in [*filter(None, listed.split("\0")), *weights]:
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
            shutil.copymode(ROOT / name, copy / name)
    git(copy, "init", "-q", "-b", PAGE)
    commit_all(copy)
    check(README, copy, environment, [])
    return copy


@pytest.fixture(scope="module")
def samples(tree: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with the libraries installed and the files there that --help's examples and MISSING name."""
    reset(tree, PAGE)
    git(tree, "checkout", "-q", "-b", SAMPLES)
    wanted = [
        ACTIVATE,
        Command(
            f"pip install -q {' '.join(map(libraries, ('video', 'policy', 'draw', 'completion', 'spark', 'serve', *OPENVINO)))}"
        ),
        *MAKE_SAMPLES,
    ]
    outcomes = run(wanted, tree, environment, tmp_path_factory.mktemp("samples") / "run")
    assert [outcome for outcome in outcomes if outcome.status != 0] == []
    commit_all(tree)
    return tree


def git(tree: Path, *words: str) -> None:
    """Run git in the copy."""
    subprocess.run(["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *words], cwd=tree, check=True)


def commit_all(tree: Path) -> None:
    """What `reset` goes back to."""
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "the tree")


def reset(tree: Path, branch: str) -> None:
    """Remove what earlier commands made, apart from the environment and what the build put into the tree."""
    kept = ["-e", ".venv", "-e", "/nsfw_model/*.caffemodel", "-e", "*.egg-info", "-e", "build"]
    git(tree, "clean", "-fdxq", *kept)
    git(tree, "checkout", "-qf", branch)


def check(page: Path, tree: Path, environment: dict[str, str], first: list[Command]) -> None:
    """Run a page's commands after `first`; each must do what the page says."""
    text = (tree / page.relative_to(ROOT)).read_text(encoding="utf-8")
    wanted = [*first, *commands(text)]
    outcomes = run(wanted, tree, environment, tree.parent / page.stem)
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(with_outputs(text, wanted, outcomes), encoding="utf-8")
    wrong = [line for command, outcome in zip(wanted, outcomes) for line in differences(command, outcome)]
    assert not wrong, "\n".join(wrong)
    assert len(outcomes) == len(wanted), f"the shell ended after: {wanted[len(outcomes) - 1].line}"


def test_readme(tree: Path) -> None:
    """From the line that sets up to the library."""
    assert (tree / ".venv").is_dir()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tree: Path, environment: dict[str, str]) -> None:
    """Each page by itself, in the environment that README has set up."""
    reset(tree, PAGE)
    check(page, tree, environment, [ACTIVATE])


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_examples_of_help(words: list[str], samples: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Those under "example:" or "examples:", in a folder where the files that they name are."""
    reset(samples, SAMPLES)
    _, text = run([ACTIVATE, Command(f"{shlex.join(words)} --help")], samples, environment, tmp_path / "help")
    (block,) = re.findall(r"^examples?:\n((?:  .*\n)+)", text.output, re.MULTILINE)
    lines = [line[2:] for line in block.splitlines() if "--draw" not in line or shutil.which("dot")]
    examples = [Command(f"{A_WHILE}{line}" if ENDLESS.match(line) else line) for line in lines]
    if "fine-tune" in words:  # the model is not better, so its file has another name: taken all the same
        examples.insert(1, Command("cp tuned/tuned-not-better.caffemodel tuned/tuned.caffemodel"))
    _, *outcomes = run([ACTIVATE, *examples], samples, environment, tmp_path / "examples")
    if {"calibrate", "fine-tune"} & {*words}:  # of so few originals nothing can be promised: they say so and end with 1
        outcomes = [replace(outcome, status=0 if outcome.status == 1 else outcome.status) for outcome in outcomes]
    assert [line for pair in zip(examples, outcomes) for line in differences(*pair)] == []
    assert len(outcomes) == len(examples)


@pytest.mark.parametrize("library", MISSING)
def test_a_missing_library_is_mended_by_the_command_that_is_printed(
    library: str, samples: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """After it, the same command asks for nothing more. PyAV's case is that of an environment which is not active."""
    if library == "openvino" and not OPENVINO:
        pytest.skip("OpenVINO is for Python 3.10 and newer")
    reset(samples, SAMPLES)
    active = [] if library == "av" else [ACTIVATE]
    wanted = Command(MISSING[library] if active else f".venv/bin/{MISSING[library]}")
    remove = Command(f".venv/bin/pip uninstall -q --yes {library}")
    *_, before = run([*active, remove, wanted], samples, environment, tmp_path / "before")
    assert before.status != 0
    (hint,) = HINT.findall(before.output)
    assert hint.startswith("pip ") is bool(active)
    *_, done, after = run([*active, Command(hint), wanted], samples, environment, tmp_path / "after")
    assert done.status == 0, done.output
    assert not HINT.search(after.output), after.output
    assert after.status == 0 or library == "pillow-heif"  # whose file here is a header alone


def test_what_is_not_run_has_a_reason() -> None:
    """One that the machine sets, not the command."""
    reasons = [reason for page in [README, *PAGES] for reason in left_out(page.read_text(encoding="utf-8"))]
    assert [reason for reason in reasons if len(reason) < 10] == []
