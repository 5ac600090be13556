"""Small pictures for the report."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

from PIL import Image

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.calibration.thumbnails import thumbnails
from tests.tools.helpers import DATA


def test_thumbnails_of_whatever_was_scored(tmp_path: Path) -> None:
    """In the picture's proportions; members of archives too; nothing for what is gone or broken."""
    Image.new("RGB", (400, 100), "red").save(tmp_path / "wide.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    shutil.make_archive(str(tmp_path / "a"), "zip", DATA / "pictures", "rgb.png")
    wanted: list[tuple[str, str | None]] = [
        (str(tmp_path / "wide.png"), None),
        (str(tmp_path / "broken.jpg"), None),
        (str(tmp_path / "gone.jpg"), None),
        (str(tmp_path / "a.zip"), "rgb.png"),
    ]
    found = thumbnails([*(Example(0.5, True, *each) for each in wanted), Example(0.5, True)])
    assert set(found) == {wanted[0], wanted[3]}
    with Image.open(io.BytesIO(found[wanted[0]])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (256, 64))
