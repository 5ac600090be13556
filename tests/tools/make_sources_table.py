"""Write tests/data/SOURCES.csv: where every picture in this repository comes from, whose it is, and under which licence.

    python -m tests.tools.make_sources_table

A row a file: origin, author, licence, its evidence (the file that says so and the sentence), SHA-256, and how the file
was made. The sources themselves, with their licences, are the rows of source_pictures.csv. Run it after any picture
changed; tests/test_sources.py fails until then.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tests.tools.pictures import PICTURE_SUFFIXES

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "data" / "SOURCES.csv"
SOURCES = ROOT / "tests" / "tools" / "source_pictures.csv"
FOLDERS = ("docs", "tests/data")  # where pictures are
PHOTO = "skimage/data/coffee.png"  # what tests/data/pictures is made from
OURS = {
    "origin": "made",
    "author": "the open_nsfw developers",
    "licence": "BSD-2-Clause",
    "evidence": 'LICENSE: "open_nsfw is under the BSD 2-clause licence."',
}
DOCS = {  # no photograph is to be seen in these
    "report.png": "tests/tools/make_report_picture.py",
    "reliability.png": "benchmarks/reliability.py",
    "timeline.png": "tests/tools/make_timeline_picture.py",
}
VIEWED = {
    "views.png": "tests/tools/make_views_picture.py: reduced, pixels moved, several on a sheet, frames around them",
    "review.png": "tests/tools/make_review_picture.py: pixels moved until the score was 0.300, blurred, in grey",
}
EXPLAINED_PHOTO = "chelsea"  # what the pictures of docs/explain.md show
EXPLAINED = {
    "heat-map.png": "pixels moved until the score was 0.950, in grey, with a heat map over it",
    "blurred.png": "pixels moved until the score was 0.950, and cells blurred until it was below 0.2",
}


@dataclass(frozen=True)
class Row:
    """A picture of this repository."""

    file: str
    origin: str
    """The package and the file in it, or `made`."""
    author: str
    licence: str
    evidence: str
    sha256: str
    made: str
    """What was done to the origin."""


def picture_files(root: Path = ROOT) -> list[str]:
    """Every picture in `FOLDERS`, relative to the repository, in order."""
    found = (path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file())
    return sorted(path.relative_to(root).as_posix() for path in found if path.suffix.lower() in PICTURE_SUFFIXES)


def read_table(path: Path = TABLE) -> list[Row]:
    """The rows of the table."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [Row(**row) for row in csv.DictReader(lines)]


def read_sources(path: Path = SOURCES) -> list[dict[str, str]]:
    """The rows of source_pictures.csv: name, split, package, member, author, licence, evidence, sha256."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def make_row(file: str) -> Row:
    """The row of a picture. Raises KeyError where nothing says what it was made from."""
    origin, made = _origin_and_making(file)
    return Row(file=file, **origin, sha256=hashlib.sha256((ROOT / file).read_bytes()).hexdigest(), made=made)


def _origin_and_making(file: str) -> tuple[dict[str, str], str]:
    sources = read_sources()
    names = {row["name"]: row for row in sources}
    members = {row["member"]: row for row in sources}
    folder, stem = Path(file).parent.name, Path(file).stem
    if folder == "held_back":
        name, kind, _ = stem.rsplit("-", 2)
        return _origin(names[name]), f"benchmarks/harmless_pictures.py: {kind}"
    if folder == "pushed":
        score, _, photo = stem.partition("-")
        (member,) = (each for each in members if Path(each).stem == photo)
        making = f"tests/tools/make_pushed_pictures.py: pixels moved until the score was {score}"
        return _origin(members[member]), making
    if folder == "pictures":
        return _origin(members[PHOTO]), "tests/tools/pictures.py: reduced, and encoded as the name says"
    if Path(file).name in EXPLAINED:
        (member,) = (each for each in members if Path(each).stem == EXPLAINED_PHOTO)
        return _origin(members[member]), f"tests/tools/make_explain_pictures.py: {EXPLAINED[Path(file).name]}"
    if Path(file).name in VIEWED:
        return _origin(members[PHOTO]), VIEWED[Path(file).name]
    return OURS, DOCS[Path(file).name]


def _origin(source: dict[str, str]) -> dict[str, str]:
    place = f"benchmarks/drawn_pictures.py {source['member']}" if source["package"] == "made" else source["member"]
    return {
        "origin": f"{source['package']}: {place}",
        **{column: source[column] for column in ("author", "licence", "evidence")},
    }


def main() -> None:
    """Write the table."""
    rows = [asdict(make_row(file)) for file in picture_files()]
    with TABLE.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, [each.name for each in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(read_table())} pictures -> {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
