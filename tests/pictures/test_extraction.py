"""How rows name the choice of frames, by which a run that goes on knows what it need not score again."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.errors import InputError, UsageError
from open_nsfw.pictures.extraction import PICTURE_FORMATS, SINGLE_FORMATS, Extraction, FrameChoice
from open_nsfw.pictures.frames import pictures
from open_nsfw.pictures.picture import Picture
from tests.tools.helpers import DATA


@pytest.mark.parametrize(
    ("choice", "still", "film"),
    [
        (FrameChoice(), "first", "every 1 s"),
        (FrameChoice.parse("all", 0.25), "all", "every 0.25 s"),
        (FrameChoice.parse("every=3", 2), "every=3", "every 2 s"),
        (FrameChoice.parse("max=10"), "max=10", "every 1 s"),
    ],
)
def test_names(choice: FrameChoice, still: str, film: str) -> None:
    assert [choice.name_for(name) for name in ("JPEG", "BMP")] == [None, None]
    assert {choice.name_for(name) for name in ("GIF", "PNG", "TIFF", "WEBP", "AVIF", "HEIF", "MPO")} == {still}
    assert {choice.name_for(name) for name in ("MATROSKA", "MP4", "H264")} == {film}


@pytest.mark.parametrize("path", sorted((DATA / "pictures").iterdir()), ids=lambda path: path.name)
def test_formats_are_those_of_pictures_and_only_some_hold_several(path: Path) -> None:
    """Else a choice of frames would go unnoticed, or be taken for a video's."""
    try:
        found = list(pictures(path.read_bytes(), Extraction(frames=FrameChoice.parse("all"))))
    except InputError as error:
        pytest.skip(str(error))
    formats = {each.format for each in found if isinstance(each, Picture)}
    assert formats <= set(PICTURE_FORMATS)
    assert len(found) == 1 or not formats & set(SINGLE_FORMATS)


def test_a_number_of_thousands_of_digits() -> None:
    """Python itself refuses to convert it, with a traceback."""
    with pytest.raises(UsageError, match="N a whole number above 0 of at most 18 digits$"):
        FrameChoice.parse("every=" + "1" * 5000)
