"""Patterns that the shell did not expand -> paths, sorted, one folder's listing in memory at a time.

`glob` of the standard library is not sorted, lists a name twice under two `**`, and runs into symlink loops.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from typing import Callable

_Match = Callable[[str], object]
_States = frozenset[int]  # positions in the pattern's parts that a path may have come to; several under `**`


def expand(pattern: str, hidden: bool = False) -> Iterator[str]:
    """The paths that match `pattern` (`*`, `?`, `[...]` inside a name, `**` for any number of folders), sorted by name.

    A matching folder is given as such; what is in it is not given again. A folder that cannot be listed is given,
    too, so that its reader says so. Names with a leading dot need a dot in the pattern, or `hidden`.
    """
    base, parts = split_pattern(pattern)
    matcher = _Matcher(parts, hidden)
    seen: set[tuple[int, int, _States]] = set()
    stack: list[Iterator[tuple[str, _States]]] = [iter([(base, matcher.start)])]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        path, states = entry
        if len(parts) in states:
            if os.path.isdir(path) or not pattern.endswith("/"):
                yield path
        elif _is_new(path, states, seen):
            try:
                names = sorted(os.listdir(path or os.curdir))
            except OSError:
                yield path
                continue
            stack.append(matcher.children(path, states, names))


def split_pattern(pattern: str) -> tuple[str, list[str]]:
    """The folder before the first part with a wildcard, and the parts from there on."""
    parts = pattern.split("/")
    first = next(index for index, part in enumerate(parts) if any(letter in part for letter in "*?["))
    base = "/".join(parts[:first]) or ("/" if first else "")
    return base, [part for part in parts[first:] if part not in ("", ".")]


def _is_new(path: str, states: _States, seen: set[tuple[int, int, _States]]) -> bool:
    """Whether `path` is a folder that was not looked through for the same rest of the pattern yet."""
    try:
        status = os.stat(path or os.curdir)
    except OSError:
        return False
    key = (status.st_dev, status.st_ino, states)
    if key in seen or not os.path.isdir(path or os.curdir):
        return False
    seen.add(key)
    return True


class _Matcher:
    def __init__(self, parts: list[str], hidden: bool) -> None:
        self.parts = parts
        self.hidden = hidden
        self.matches: list[_Match] = [re.compile(fnmatch.translate(part)).match for part in parts]
        self.start = self._closed({0})

    def _closed(self, states: set[int]) -> _States:
        """`**` also stands for no folder at all."""
        for state in range(len(self.parts)):
            if state in states and self.parts[state] == "**":
                states.add(state + 1)
        return frozenset(states)

    def children(self, folder: str, states: _States, names: list[str]) -> Iterator[tuple[str, _States]]:
        """The paths in `folder` that may still match, with where in the pattern they have come to."""
        for name in names:
            after = {state for state in (self._after(before, name) for before in states) if state is not None}
            if after:
                yield os.path.join(folder, name), self._closed(after)

    def _after(self, state: int, name: str) -> int | None:
        part = self.parts[state]
        if name.startswith(".") and not (self.hidden or part.startswith(".")):
            return None
        if part == "**":
            return state
        return state + 1 if self.matches[state](name) else None
