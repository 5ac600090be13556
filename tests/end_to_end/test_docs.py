"""README and docs say what the code does."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import open_nsfw
from open_nsfw.cli.classify_options import parser
from open_nsfw.cli.status import Status
from open_nsfw.installing import EXTRAS, REQUIREMENTS
from open_nsfw.pictures.formats import Limits
from open_nsfw.rows.lines import json_line
from open_nsfw.rows.row import Row
from open_nsfw.version import __version__
from tests.tools import make_docs_tables as tables
from tests.tools.helpers import ROOT, SUMMARY

README = ROOT / "README.md"
COMMAND = ROOT / "docs" / "command.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

GOOD = Row("a.jpg", score=0.25, exact=True, width=4, height=3, format="JPEG", bytes=9, modified=1.5, sha256="0" * 64)
BAD = Row("x.zip", "b.jpg", kind="frame", frame=0, seconds=0.5, error="truncated: it ends too early")
SUMMARY_ROW = Row("c.gif", kind="summary", score=1.0, frames=2, max=1.0, mean=0.5, above=1, engine="onnxruntime")


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
    pages = [str(page.relative_to(ROOT)) for page in PAGES if page != README]
    assert [page for page in pages if f"]({page})" not in text] == []


def test_version_is_the_same_everywhere() -> None:
    """In the citation and in the list of changes."""
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_signatures_in_the_library_page_are_those_of_the_code() -> None:
    """Names and defaults."""
    headings = re.findall(
        r"^## `(\w+)\((.*)\)`$", (ROOT / "docs" / "library.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {"load_model", "load_engine"} <= {name for name, _ in headings}
    for name, arguments in headings:
        parameters = inspect.signature(getattr(open_nsfw, name)).parameters.values()
        defaults = (
            "Limits()" if one.default == Limits() else repr(one.default).replace("'", '"') for one in parameters
        )
        assert arguments == ", ".join(
            one.name if one.default is one.empty else f"{one.name}={default}"
            for one, default in zip(parameters, defaults)
        )


def test_no_text_stands_in_two_pages() -> None:
    """Each subject has one page; the others link to it."""
    pages: dict[str, set[str]] = {}
    for page in PAGES:
        without_code = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for line in without_code.splitlines():
            if len(line) > 60 and not line.startswith(("| `", "<!--")):
                pages.setdefault(line.strip(), set()).add(page.name)
    assert {line: names for line, names in pages.items() if len(names) > 1} == {}


def test_libraries_to_install_are_those_of_the_code() -> None:
    """With their bounds."""
    known = {*REQUIREMENTS, *(library.partition(";")[0] for extra in EXTRAS.values() for library in extra)}
    named = {
        name for page in PAGES for name in re.findall(r"'([\w-]+[<>=]=?[\d.]+)'", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 3
    assert named - known == set()


def test_help_names_commands_as_they_are_installed() -> None:
    """`classify_nsfw.py` is a file of the checkout, not a command."""
    texts = [parser().format_help(), *(tables.verb_parser(*words).format_help() for words in tables.verb_commands())]
    assert [text for text in texts if "classify_nsfw.py" in text] == []


def test_figures_in_readme_are_those_of_docs() -> None:
    """Rounded. The pages have them from the benchmarks and from .ci/run."""
    speed, fidelity = (
        _cells((ROOT / "docs" / name).read_text(encoding="utf-8")) for name in ("speed.md", "fidelity.md")
    )
    web, photo = (_first_number(speed["classify_nsfw"][0][column]) for column in (0, 2))
    fast_web, fast_photo = (_first_number(speed["classify_nsfw --fast"][0][column]) for column in (0, 2))
    wall, _, memory = map(_first_number, speed["classify_nsfw"][1])
    _, pictures, worst = fidelity["onnxruntime"][0]
    text = README.read_text(encoding="utf-8").partition("## Speed and fidelity")[2]
    for figure in (
        f"{web:.0f} web-sized pictures a second exactly, {fast_web:.0f} with `--fast`; "
        f"{photo:.0f} and {fast_photo:.0f} of 12 megapixels",
        f"One picture takes {wall:.2f} s and {memory:.0f} MiB",
        f"All {pictures} pictures of the fidelity set score within {worst} of real Caffe",
    ):
        assert figure in text


def _first_number(cell: str) -> float:
    """The median of `112.7 (104.6 to 115.4)`."""
    return float(cell.partition(" ")[0])


def _cells(page: str) -> dict[str, list[list[str]]]:
    """The rows of a page's tables by their first cell."""
    found: dict[str, list[list[str]]] = {}
    for line in page.splitlines():
        if line.startswith("| "):
            name, *cells = line.strip("| ").split(" | ")
            found.setdefault(name, []).append(cells)
    return found


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_code(page: Path) -> None:
    """`python -m tests.tools.make_docs_tables` writes them."""
    text = page.read_text(encoding="utf-8")
    assert tables.with_tables(text) == text


def test_modules_are_told_with_whole_sentences() -> None:
    """The dots of `INPUT...` end none."""
    assert "| `open-nsfw explain IMAGE... --output DIR`: heat maps of what" in tables.modules_table("cli")
    assert all(line.count("`") % 2 == 0 for room in tables.rooms() for line in tables.modules_table(room).splitlines())


def test_every_table_has_one_place() -> None:
    """Also that of a verb added lately."""
    assert {name: pages for name, pages in tables.places().items() if len(pages) != 1} == {}


def test_row_schema_is_that_of_the_code() -> None:
    """It is written with the tables."""
    assert tables.ROW_SCHEMA.read_text(encoding="utf-8") == tables.row_schema_text()


@pytest.mark.parametrize("row", [GOOD, BAD, SUMMARY_ROW], ids=lambda row: row.kind)
def test_rows_keep_to_their_schema(row: Row) -> None:
    """As the command writes them."""
    jsonschema.validate(json.loads(json_line(row)), json.loads(tables.row_schema_text()))


@pytest.mark.parametrize(
    "wrong", [{"score": 1.5}, {"kind": "film"}, {"error": "lost: it is lost"}, {"width": "4"}, {"extra": 1}], ids=str
)
def test_the_schema_refuses(wrong: dict[str, object]) -> None:
    """What no row has."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(json_line(GOOD)), **wrong}, json.loads(tables.row_schema_text()))


def test_messages_in_troubleshooting_are_those_of_the_code() -> None:
    """Each piece between the `...` of a heading is in a text of the code."""
    texts = [
        node.value
        for source in [*(ROOT / "open_nsfw").rglob("*.py"), ROOT / "setup.py"]
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    headings = re.findall(r"^### `+ ?(.+?) ?`+$", TROUBLESHOOTING.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) > 20
    pieces = [piece.strip() for heading in headings for one in heading.split("` and `") for piece in one.split("...")]
    assert [piece for piece in pieces if not any(piece in text for text in texts)] == []


def test_environment_variables_are_all_listed() -> None:
    """Those that the package and setup.py read or set, by name or by a constant of the module."""
    sources = [*(ROOT / "open_nsfw").rglob("*.py"), ROOT / "classify_nsfw.py", ROOT / "setup.py"]
    assert {name for source in sources for name in _environment_names(source)} == set(tables.ENVIRONMENT)


def _environment_names(source: Path) -> Iterator[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            where, key = node.func.value, node.args[0]
        elif isinstance(node, ast.Subscript):
            where, key = node.value, node.slice
        else:
            continue
        if ast.unparse(where) in ("os.environ", "environ"):
            yield key.value if isinstance(key, ast.Constant) else constants[ast.unparse(key)]


def test_every_option_has_its_sentence() -> None:
    """Of every command."""
    rows = [
        line for page in tables.PAGES for line in page.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"
    ]
    assert [line for line in rows if line.endswith("|  |")] == []


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
    assert numbers == list(Status)


def test_the_two_lines_come_first() -> None:
    """CI runs them as they stand."""
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("python3 -m venv")]
    assert lines[0].endswith("./classify_nsfw.py tests/data/pictures/baseline.jpg")
    assert lines[1].endswith("-m pytest -n auto")
    assert (ROOT / "tests/data/pictures/baseline.jpg").is_file()
