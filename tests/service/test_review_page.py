"""The review page in Chromium: by the keyboard, two browsers at once, what is hidden, and how it looks.

Runs where Node.js, Chromium and the packages playwright-core and axe-core are; see tests/calibration/test_report_accessible.py.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from open_nsfw.__main__ import main as open_nsfw
from open_nsfw.review.store import open_store
from open_nsfw.rows.row import Row
from open_nsfw.scoring.model_files import find_model_files
from tests.tools.browser import in_a_browser
from tests.tools.helpers import DATA
from tests.tools.review import column, write_rows
from tests.tools.review_page import drive, pictures, review

pytestmark = [in_a_browser, pytest.mark.once]

HIDDEN, PLAIN = "blur(18px) grayscale(1)", "none"


def exported(folder: Path) -> dict[str, str]:
    """Path -> label, as the command exports them."""
    assert open_nsfw(["review", "export", str(folder / "review.sqlite"), "--output", str(folder / "labels.csv")]) == 0
    with open(folder / "labels.csv", encoding="utf-8", newline="") as file:
        return {line["path"]: line["label"] for line in csv.DictReader(file)}


def test_a_hundred_pictures_by_the_keyboard(tmp_path: Path) -> None:
    """One large and nine in a grid; undone, decided otherwise, loaded again: the export holds exactly the last decisions."""
    rows = pictures(tmp_path / "pictures", 100)
    with review(tmp_path, str(rows), "--second", "0") as page:
        found = drive("keyboard", page)
    assert found["end"] == "All done here"
    assert len(found["decisions"]) == 100 and set(found["decisions"].values()) == {"sfw", "nsfw"}
    assert exported(tmp_path) == found["decisions"]


def test_keys_faster_than_the_service(tmp_path: Path) -> None:
    """Each counts for the picture that it was pressed for; one behind an undo, for the picture that comes back."""
    rows = pictures(tmp_path / "pictures", 60)
    with review(tmp_path, str(rows), "--second", "0") as page:
        found = drive("fast", page)
    assert found["end"] == "All done here"
    assert len(found["decisions"]) == 60 and exported(tmp_path) == found["decisions"]


def test_a_service_that_does_not_answer(tmp_path: Path) -> None:
    """Is told in words, whatever the browser, or a proxy, says of it."""
    with review(tmp_path, str(pictures(tmp_path / "pictures", 9)), "--second", "0") as page:
        found = drive("silent", page)
    assert found["said"] == ["The service does not answer; it may have ended. Your decisions so far are kept."] * 2


def test_a_label_behind_an_undo_of_nothing(tmp_path: Path) -> None:
    """Is about no picture; the next one counts."""
    with review(tmp_path, str(pictures(tmp_path / "pictures", 5)), "--second", "0") as page:
        found = drive("nothing", page)
    assert found["before"] == found["after"] == found["decided"]
    assert exported(tmp_path) == {found["before"]: "nsfw"}


def test_two_browsers_at_once(tmp_path: Path) -> None:
    """Each with an address of its own; no picture comes to both, and all are decided."""
    rows = pictures(tmp_path / "pictures", 60)
    with review(tmp_path, str(rows), "--second", "0") as page:
        one, other = drive("two", page)["both"]
    assert one and other and not set(one) & set(other)
    assert len({**one, **other}) == 60
    assert exported(tmp_path) == {**one, **other}


def test_pictures_are_hidden_until_they_are_asked_for(tmp_path: Path) -> None:
    """Blurred and grey, each switched by a key; notes, skips, help, the heat map, and an animation as a strip."""
    animation = DATA / "pictures" / "animated.gif"
    model = find_model_files().short_hash
    frames = [
        Row(str(animation), kind="frame", frame=n, seconds=n / 10, score=0.5 + n / 100, model=model) for n in range(3)
    ]
    rows = [*frames, Row(str(animation), kind="summary", score=0.52, frames=3, frame_choice="all", model=model)]
    rows.append(Row(str(DATA / "pushed" / "0.500-rocket.jpg"), score=0.6, model=model))
    with review(tmp_path, str(write_rows(tmp_path / "rows.jsonl", rows)), "--second", "0") as page:
        found = drive("keys", page)
    assert (found["before"], found["held"], found["after"]) == (HIDDEN, PLAIN, HIDDEN)
    assert (found["unblurred"], found["plain"]) == ("grayscale(1)", PLAIN)
    assert found["caption"].startswith("score 0.600 (review) · ") and found["skipped"].endswith("0.500-rocket.jpg")
    assert found["help"] and found["second"].endswith("animated.gif")
    assert found["heat"].startswith("Heat map: orange adds to the score")
    assert found["strip"] == ["0:00", "0:00", "0:00"]
    assert found["landmarks"] >= 5
    with open_store(str(tmp_path / "review.sqlite")) as store:
        assert column(store, "SELECT action || ' ' || note FROM log") == ["skip see 1 and 2"]


def test_by_touch(tmp_path: Path) -> None:
    """A finger on the picture shows it, and buttons decide and undo."""
    with review(tmp_path, str(pictures(tmp_path / "pictures", 4)), "--second", "0") as page:
        found = drive("touch", page)
    assert (found["before"], found["held"], found["after"]) == (HIDDEN, PLAIN, HIDDEN)
    assert exported(tmp_path) == {found["first"]: "sfw"}


def test_disagreements_are_settled_on_the_page(tmp_path: Path) -> None:
    """With what everybody said; the export has what was settled."""
    with review(tmp_path, str(pictures(tmp_path / "pictures", 5)), "--second", "1") as page:
        found = drive("settle", page)
    assert found["said"] == "Anna: sfwBen: nsfw" and found["without"] == ["sfw1", "nsfw2"]
    assert found["end"] == "No disagreements"
    assert len(found["decisions"]) == 5 and set(found["decisions"].values()) == {"sfw", "nsfw"}
    assert exported(tmp_path) == found["decisions"]


def test_the_page_is_accessible(tmp_path: Path) -> None:
    """axe-core finds nothing, and nothing is wider than a phone, in light and dark."""
    rows = pictures(tmp_path / "pictures", 12)
    with review(tmp_path, str(rows)) as page:
        found = drive("look", page)["found"]
    assert len(found) == 20
    assert [each for each in found if each["violations"] or each["wide"]] == []
