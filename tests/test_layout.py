"""The rooms of open_nsfw: who imports whom, read from the import statements of every module.

The imports inside functions and under TYPE_CHECKING count like those at the top of a module: an import that is hidden
there ties two modules together just as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.tools.helpers import ROOT

PACKAGE = ROOT / "open_nsfw"
GROUND = ""  # the modules directly in open_nsfw/ that every room may stand on
FRONT = {"__init__", "__main__"}  # directly in open_nsfw/, too, but they stand above the rooms

_SCAN = {"sources", "pictures", "nets", "scoring", "rows"}
_CALIBRATION = {"scan", *_SCAN}
_TRAINING = {"calibration", *_CALIBRATION}
# room -> the rooms that it may import beside the ground; docs/architecture.md has the picture.
MAY_IMPORT: dict[str, set[str]] = {
    GROUND: set(),
    "nets": set(),
    "pictures": set(),
    "rows": set(),
    "sources": {"pictures"},
    "scoring": {"nets", "pictures"},
    "scan": _SCAN,
    "calibration": _CALIBRATION,
    "timeline": _TRAINING,
    "training": _TRAINING,
    "cluster": {"training", *_TRAINING},
    "review": {"calibration", *_CALIBRATION},
    "service": {"review", "calibration", *_CALIBRATION},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)


def modules() -> dict[str, Path]:
    """Dotted name below open_nsfw -> file; `nets.build`, `errors`, `__init__`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] != "__init__" or len(parts) == 1:
            found[".".join(parts)] = path
    return found


MODULES = modules()


def room_of(module: str) -> str:
    """The room that a module is in."""
    return module.rpartition(".")[0].partition(".")[0]


def imported(module: str) -> set[str]:
    """The modules of open_nsfw that `module` imports, wherever in its text."""
    return {
        name for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))) for name in _imports(node)
    }


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        candidates = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"a relative import, line {node.lineno}: write the whole name"
        candidates = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    else:
        return
    for each in candidates:
        name = each.partition("open_nsfw.")[2] if each.startswith("open_nsfw.") else ""
        if name in MODULES:
            yield name


def test_the_rooms_are_those_of_the_table() -> None:
    """No room without a rule."""
    assert {room_of(module) for module in MODULES} <= set(MAY_IMPORT)


def test_rooms_import_only_what_lies_below() -> None:
    """The table above holds for every import statement."""
    wrong = []
    for module in MODULES:
        if module in FRONT:
            continue
        allowed = {GROUND, room_of(module), *MAY_IMPORT[room_of(module)]}
        for name in sorted(imported(module)):
            if room_of(name) not in allowed or name in FRONT:
                wrong.append(f"{module} imports {name}")
    assert wrong == []


def test_no_import_circles() -> None:
    """Taking away, again and again, the modules that import none of the others leaves nothing."""
    left = {module: imported(module) - {module} for module in MODULES}
    while leaves := [module for module, names in left.items() if not names & set(left)]:
        for module in leaves:
            del left[module]
    circles = {module: sorted(names & set(left)) for module, names in left.items()}
    assert circles == {}


def test_rooms_have_empty_init_files() -> None:
    """A room is a folder, not a module: what is in it is imported by its own name. But for `cluster`, whose functions are
    for notebooks: `open_nsfw.cluster.score(df)`."""
    full = [path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.read_text(encoding="utf-8").strip()]
    assert full == ["cluster"]


def test_tests_mirror_the_rooms() -> None:
    """tests/ROOM for every room that has tests, and no folder of another name."""
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*.py")}
    assert folders - {"end_to_end", "tools"} <= set(MAY_IMPORT)
