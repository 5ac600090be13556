"""What the two classes are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.calibration.labels import LabelNames
from open_nsfw.errors import UsageError

NAMES = LabelNames()


def test_names_of_labels(tmp_path: Path) -> None:
    """Any two that differ."""
    with pytest.raises(UsageError) as caught:
        LabelNames("a", "a")
    assert str(caught.value) == "--positive and --negative are both 'a'; two labels are needed"
    names = LabelNames("porn", "rest")
    assert [names.is_nsfw(each) for each in ("porn", " rest ", 1, "0", True, "FALSE", "nsfw", None)] == [
        *(True, False, True, False, True, False, None, None)
    ]


def test_both_classes_are_needed() -> None:
    """One alone says nothing."""
    NAMES.require_both(1, 1, "x")
    with pytest.raises(UsageError) as caught:
        LabelNames("porn", "rest").require_both(3, 0, "photos")
    assert str(caught.value) == "photos: no picture labelled 'porn' has a score; both labels are needed"
