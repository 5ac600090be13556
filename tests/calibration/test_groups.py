"""Which pictures are in a group, and what is said of a sample in groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from open_nsfw.calibration import groups
from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.sample import Sample
from open_nsfw.errors import UsageError
from tests.tools.helpers import PICTURE
from tests.tools.samples import in_groups

pytest.importorskip("scipy", reason="scipy is not installed in this interpreter")


def numbers(grouping: groups.Grouping) -> list[int] | None:
    """As a list."""
    return None if grouping.numbers is None else grouping.numbers.tolist()


def test_names_become_numbers() -> None:
    """Whatever has no name stands for itself; where all do, there are no groups."""
    found = groups.numbered(["a", None, "b", "a", None])
    assert found is not None
    assert found.tolist() == [0, 1, 2, 0, 3]
    assert groups.numbered(["a", None, "b"]) is None
    assert groups.numbered([]) is None


def test_by_column() -> None:
    """As the labels name them."""
    examples = [Example(0.5, True, group=name) for name in ("a", "b", None, "a")]
    assert numbers(groups.by_column(examples)) == [0, 1, 2, 0]
    with pytest.raises(UsageError) as caught:
        groups.by_column([Example(0.5, True)])
    assert str(caught.value) == "--group-by column: LABELS has no column group"


def test_by_folder() -> None:
    """Below the folders of the classes, and in archives; the same folder for members of one name in two archives not."""
    paths: list[tuple[str | None, str | None]] = [
        *(("x/sfw/a/1.jpg", None), ("x/sfw/a/2.jpg", None), ("x/sfw/3.jpg", None), ("x/sfw/4.jpg", None)),
        *(("x/nsfw/a/1.jpg", None), ("y.zip", "f/1.jpg"), ("y.zip", "f/2.jpg"), ("z.zip", "f/1.jpg"), (None, None)),
    ]
    examples = [Example(0.5, True, *each) for each in paths]
    assert numbers(groups.by_folder(examples, ["x/sfw", "x/nsfw"])) == [0, 0, 1, 2, 3, 4, 4, 5, 6]


def test_what_nothing_can_be_grouped_by(tmp_path: Path) -> None:
    """Is said, rather than that all pictures are independent; those that are gone are counted."""
    without = [Example(0.5, True), Example(0.5, False)]
    gone = [Example(0.5, True, str(tmp_path / "gone.jpg")), Example(0.5, False, "upload.zip", "a.jpg")]
    looks = str(tmp_path / "looks.json")
    for group, message in (
        (lambda: groups.by_folder(without, []), "--group-by folder: LABELS has no column path"),
        (
            lambda: groups.by_content(without, looks, 1, quiet=True),
            "--group-by content: LABELS has no column path, so nobody can look at the pictures",
        ),
        (
            lambda: groups.by_content(gone, looks, 1, quiet=True),
            f"--group-by content: none of the pictures can be looked at, the first one being {tmp_path}/gone.jpg; relative "
            "paths in LABELS with scores start at the working directory",
        ),
    ):
        with pytest.raises(UsageError) as caught:
            group()
        assert str(caught.value) == message
    found = groups.by_content([*gone, *[Example(0.5, True, str(PICTURE))] * 2], looks, 1, quiet=True)
    assert numbers(found) == [0, 1, 2, 2]
    assert (
        found.warning == "2 of the 4 pictures cannot be looked at any more: each of them is taken to stand for itself"
    )


def test_a_sample_that_is_worth_little_gets_a_warning() -> None:
    """One that is worth at least half of its pictures does not."""
    sample = in_groups(18, 44, 0.95)
    sfw, nsfw = round(sample.class_worth(False)), round(sample.class_worth(True))
    assert groups.warning(sample, "content") == (
        f"the {len(sample.nsfw)} pictures come from 18 groups (by content): the {sample.negatives} sfw ones tell as much as "
        f"{sfw} independent pictures, the {sample.positives} nsfw ones as {nsfw}; label pictures from more sources"
    )
    assert groups.warning(Sample(sample.scores, sample.nsfw), "none") is None
    pairs = Sample(np.linspace(0, 1, 20), np.arange(20) >= 10, np.arange(20) // 2)
    assert groups.warning(pairs, "folder") is None
