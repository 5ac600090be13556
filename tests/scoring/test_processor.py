"""What /proc/cpuinfo says."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.scoring.processor import FIRST, features, name_of


@pytest.mark.parametrize("name", ["flags\t\t", "Features\t"])
def test_the_instruction_sets_of_the_first_processor(name: str, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: a flags: b\n{name}: fma avx2\n\nprocessor\t: 1\n{name}: sse2\n")
    assert features(path) == {"avx2", "fma"}


@pytest.mark.parametrize("content", [b"", b"processor : 0\n", b"\xff\0" * FIRST])
def test_a_system_that_does_not_tell(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    assert features(path) == frozenset()
    path.write_bytes(content)
    assert features(path) == frozenset()


def test_names() -> None:
    """Of the set alone, whatever the order."""
    assert name_of(frozenset(["a", "b"])) == name_of(frozenset(["b", "a"])) != name_of(frozenset(["a"]))
    assert name_of(frozenset()) == "any" and len(name_of(frozenset(["a"]))) == 8
