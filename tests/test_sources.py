"""Every picture in this repository has a row that says whose it is, and a licence that lets it be here."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.tools.make_sources_table import ROOT, SOURCES, TABLE, Row, make_row, picture_files, read_sources, read_table

PERMITTED = {
    *("CC0-1.0", "public-domain"),
    *("CC-BY-1.0", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0"),  # permissive: only the author is to be named
    *("MIT", "BSD-2-Clause", "BSD-3-Clause"),
}
EVIDENCE = re.compile(r'\S.*: ".+"')  # the file that says so, and its words


def complaints(rows: list[Row], root: Path = ROOT) -> list[str]:
    """What is wrong between the table and the pictures under `root`."""
    files, named = set(picture_files(root)), Counter(row.file for row in rows)
    return [
        *(f"{file}: no row" for file in sorted(files - set(named))),
        *(f"{file}: no file" for file in sorted(set(named) - files)),
        *(f"{file}: {count} rows" for file, count in named.items() if count > 1),
        *(f"{row.file}: {row.licence} is not permitted" for row in rows if row.licence not in PERMITTED),
        *(f"{row.file}: no evidence of the licence" for row in rows if not EVIDENCE.match(row.evidence)),
        *(f"{row.file}: no {name}" for row in rows for name in ("origin", "author", "made") if not getattr(row, name)),
        *(
            f"{row.file}: another SHA-256"
            for row in rows
            if row.file in files and hashlib.sha256((root / row.file).read_bytes()).hexdigest() != row.sha256
        ),
    ]


def test_every_picture_has_a_permitted_row_and_every_row_a_picture() -> None:
    assert complaints(read_table()) == [], "python -m tests.tools.make_sources_table writes the table again"


def test_the_table_is_what_its_script_writes() -> None:
    """From the sources' own rows, so that both say the same."""
    assert read_table() == [make_row(file) for file in picture_files()]


def test_every_source_is_permitted() -> None:
    """Also those of which only the benchmarks make pictures."""
    rows = read_sources()
    assert [row["name"] for row in rows if row["licence"] not in PERMITTED or not EVIDENCE.match(row["evidence"])] == []
    assert [row["name"] for row in rows if row["package"] != "made" and len(row["sha256"]) != 64] == []
    assert len({row["name"] for row in rows}) == len({(row["package"], row["member"]) for row in rows}) == len(rows)


def test_there_are_as_many_held_back_sources_as_ever() -> None:
    """Ranges and margins are only as good as what they were measured on."""
    splits = Counter(row["split"] for row in read_sources())
    assert splits["held_back"] >= 48 and splits["calibration"] >= 30


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A repository with two of the pictures."""
    for row in read_table()[:2]:
        (tmp_path / row.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / row.file, tmp_path / row.file)
    return tmp_path


def test_each_fault_is_told(root: Path) -> None:
    """A file without a row, a row without a file, a licence that is not permitted, a changed file, two rows."""
    first, second = read_table()[:2]
    assert complaints([first, second], root) == []
    assert complaints([first], root) == [f"{second.file}: no row"]
    assert complaints([first, second, second], root) == [f"{second.file}: 2 rows"]
    other = Row(**{**vars(first), "licence": "CC-BY-NC-4.0"})
    assert complaints([other, second], root) == [f"{first.file}: CC-BY-NC-4.0 is not permitted"]
    unproven = Row(**{**vars(first), "evidence": "surely"})
    assert complaints([unproven, second], root) == [f"{first.file}: no evidence of the licence"]
    with (root / first.file).open("ab") as file:
        file.write(b"\0")
    assert complaints([first, second], root) == [f"{first.file}: another SHA-256"]
    (root / first.file).unlink()
    assert complaints([first, second], root) == [f"{first.file}: no file"]


def test_the_tables_are_where_the_scripts_say() -> None:
    assert TABLE.exists() and SOURCES.exists()
