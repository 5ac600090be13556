"""LABELS may be a folder or a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.calibration.label_source import read_labels
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.errors import UsageError

NAMES = LabelNames()


def test_a_folder(tmp_path: Path) -> None:
    """Two folders, by the names that are asked for."""
    for name in ("sfw", "nsfw", "ok"):
        (tmp_path / name).mkdir()
    found = read_labels(str(tmp_path), NAMES)
    assert found.folders == {str(tmp_path / "sfw"): False, str(tmp_path / "nsfw"): True}
    assert not found.scored
    assert read_labels(str(tmp_path), LabelNames("nsfw", "ok")).folders == {
        str(tmp_path / "ok"): False,
        str(tmp_path / "nsfw"): True,
    }
    with pytest.raises(UsageError) as caught:
        read_labels(str(tmp_path), LabelNames("porn", "ok"))
    assert str(caught.value) == (
        f"{tmp_path}: has no folder 'porn'; safe pictures are expected in 'ok', the others in 'porn' "
        "(--negative NAME, --positive NAME)"
    )
