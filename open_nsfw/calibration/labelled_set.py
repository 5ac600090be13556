"""Which of the labelled pictures count.

1. nsfw is the positive class. A score at or over a threshold counts as nsfw; equal scores are never parted.
2. A picture that is not there or cannot be read has no score and does not count; each is named.
3. The same content (SHA-256) under the same label counts once: the first. Without content, the same path does.
4. The same content under both labels counts not at all; each is named.
5. A video or animation scored frame by frame counts once, with its highest score; a member of an archive is a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Example:
    """A labelled picture that counts."""

    score: float
    nsfw: bool
    path: str | None = None
    member: str | None = None
    group: str | None = None
    """As the labels name it."""
    sha256: str | None = None
    """Of the encoded picture."""
    weight: float | None = None
    """How many pictures it stands for; None where all stand for as many."""


@dataclass
class LabelledSet:
    """Pictures in the order they came, and all that does not count, by name. Call `examples()` when all have come."""

    missing: list[str] = field(default_factory=list)
    """Names are for people, on one line: `rows.row.label` makes them."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(name, why)"""
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """(name, the name of the one that counts)"""
    conflicts: list[list[str]] = field(default_factory=list)
    """The names, with their labels, of each content that has both labels."""
    _found: list[tuple[Example, str, str | None]] = field(default_factory=list)

    def add(self, example: Example, name: str, identity: str | None) -> None:
        """A picture with a score. `identity` is its content's hash, or what else tells two of the same; None: nothing
        does."""
        self._found.append((example, name, identity))

    def add_failure(self, name: str, error: str) -> None:
        """A picture without a score; `error` is `code: sentence`, as rows have it."""
        code, _, reason = error.partition(": ")
        if code in ("not-found", "no-match"):
            self.missing.append(name)
        else:
            self.unreadable.append((name, reason or error))

    def examples(self) -> list[Example]:
        """Those that count. Fills `duplicates` and `conflicts`."""
        self.duplicates, self.conflicts = [], []
        groups: dict[str, list[tuple[Example, str]]] = {}
        result = []
        for example, name, identity in self._found:
            if identity is not None:
                groups.setdefault(identity, []).append((example, name))
        contested = {identity for identity, group in groups.items() if len({example.nsfw for example, _ in group}) == 2}
        for example, name, identity in self._found:
            if identity in contested:
                continue
            if identity is None or groups[identity][0][0] is example:
                result.append(example)
            else:
                self.duplicates.append((name, groups[identity][0][1]))
        for identity in groups:
            if identity in contested:
                self.conflicts.append([f"{name} ({'nsfw' if each.nsfw else 'sfw'})" for each, name in groups[identity]])
        return result


def identity_of(sha256: str | None, path: str | None, member: str | None) -> str | None:
    """What two entries of the same picture have in common."""
    if sha256:
        return f"sha256 {sha256}"
    return None if path is None else f"path {member or ''}\0{path}"
