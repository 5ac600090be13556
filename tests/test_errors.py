"""The exceptions' table of codes, and the places that use them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from open_nsfw import errors
from open_nsfw.errors import ERROR_CODES, InputError

PACKAGE = Path(errors.__file__).parent
TREES = [ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py") if path.name != "errors.py"]


def raised_codes() -> Iterator[str]:
    """The codes that are written where an InputError, or an error of a class below it, is made."""
    for node in (node for tree in TREES for node in ast.walk(tree)):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("InputError", "ArchiveError", "failure"):
            yield node.args[0].value


def written_codes() -> Iterator[str]:
    """What stands before a colon, or alone, in any text of the package."""
    for node in (node for tree in TREES for node in ast.walk(tree)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(": ")[0]


def test_codes_that_are_raised_are_in_the_table() -> None:
    codes = set(raised_codes())
    assert len(codes) > 15
    assert codes - set(ERROR_CODES) == set()


def test_codes_in_the_table_are_raised() -> None:
    assert set(ERROR_CODES) - set(written_codes()) == set()


def test_the_table_is_sorted_and_says_what_to_do() -> None:
    assert list(ERROR_CODES) == sorted(ERROR_CODES)
    assert all(meaning and to_do for meaning, to_do in ERROR_CODES.values())


def test_an_unknown_code_is_a_mistake_in_the_program() -> None:
    with pytest.raises(ValueError, match="'lost' is not in ERROR_CODES"):
        InputError("lost", "it is lost")
