"""README and docs say what the code does."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import pytest

from open_nsfw.cli import classify as command
from open_nsfw.cli.classify_options import parser
from open_nsfw.scan import run as scan
from tests.tools.helpers import ROOT, SUMMARY
from tests.tools.make_docs_tables import COMMAND, with_tables

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def test_readme_is_short() -> None:
    """Everything that is not for the first five minutes is in docs/."""
    assert len(README.read_bytes()) <= 9000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Those to files of the tree, and to headings of pages."""
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.is_file(), target
        assert not heading or heading in _anchors(file), target


def _anchors(page: Path) -> set[str]:
    """The names that a hosting site gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_readme() -> None:
    """A page that nothing leads to is not found."""
    text = README.read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in text] == []


def test_tables_are_those_of_the_code() -> None:
    """The columns of a row and the options; `python -m tests.tools.make_docs_tables` writes them."""
    text = COMMAND.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_every_option_is_documented_in_the_help() -> None:
    """No option without a sentence."""
    undocumented = [action.option_strings for action in parser()._actions if not action.help]
    assert undocumented == []


def test_every_command_parses() -> None:
    """The lines that run classify_nsfw, as far as its options go."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    lines = re.findall(r"^(?:.*\| )?classify_nsfw (.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert len(lines) >= 9
    for line in lines:
        parser().parse_args(shlex.split(line))


def test_the_summary_is_one_of_the_command() -> None:
    """Its exit statuses, too."""
    text = COMMAND.read_text(encoding="utf-8").partition("## Summary and exit status")[2].partition("\n## ")[0]
    assert [line for line in text.splitlines() if SUMMARY.fullmatch(line)] != []
    numbers = [
        int(number) for cell in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for number in cell.split(",")
    ]
    interrupted, ended = (command.INTERRUPTED, scan.SIGNAL_STATUS + signal.SIGTERM)
    assert numbers == [0, command.FAILED_INPUT, command.BAD_USAGE, command.ABOVE, interrupted, ended]


def test_the_two_lines_come_first() -> None:
    """CI runs them as they stand."""
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("python3 -m venv")]
    assert lines[0].endswith("./classify_nsfw.py tests/data/pictures/baseline.jpg")
    assert lines[1].endswith("-m pytest")
    assert (ROOT / "tests/data/pictures/baseline.jpg").is_file()
