"""What people see: small pictures from files, archives, animations and films."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from open_nsfw.errors import InputError, UsageError
from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.review.item import Frame, Item
from open_nsfw.review.previews import Previews, choice_named
from tests.tools.films import film
from tests.tools.helpers import DATA, PICTURE


@pytest.fixture(scope="module")
def previews() -> Iterator[Previews]:
    """Two decoding processes."""
    made = Previews()
    yield made
    made.close()


NUMBER = iter(range(1000))


def item(path: Path, member: str | None = None, frames: tuple[Frame, ...] = (), choice: str | None = None) -> Item:
    """An item of a file that is there."""
    kind = "summary" if frames else "picture"
    return Item(next(NUMBER), str(path), member, str(path), kind, 0.5, None, None, choice, frames, "undecided", 1.0, 1)


def size(jpeg: bytes) -> tuple[int, int]:
    """Width and height."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert picture.format == "JPEG"
        return picture.size


def test_a_picture_and_a_member_of_an_archive(previews: Previews, tmp_path: Path) -> None:
    """In the proportions of the original, whose hash comes along."""
    seen = previews.of(item(PICTURE))
    assert seen.sha256 == hashlib.sha256(PICTURE.read_bytes()).hexdigest()
    archive = tmp_path / "upload.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(DATA / "pictures" / "rgb.png", "other.png")
        file.write(PICTURE, "in/side.jpg")
    inside = previews.of(item(archive, "in/side.jpg"))
    assert inside.sha256 == seen.sha256 and inside.previews == seen.previews
    assert max(size(seen.previews[0].jpeg)) == 256
    with pytest.raises(InputError, match="the archive has no such member"):
        previews.of(item(archive, "gone.jpg"))


def test_a_film_as_the_frames_that_score_highest(previews: Previews, tmp_path: Path) -> None:
    """The highest first, each with its time; taken as its rows say."""
    path = tmp_path / "clip.mkv"
    path.write_bytes(film())
    frames = tuple(Frame(index, None, index / 10, score) for index, score in ((20, 0.9), (0, 0.5), (10, 0.7)))
    seen = previews.of(item(path, frames=frames, choice="every 0.5 s"))
    assert [each.frame for each in seen.previews] == [frames[0], frames[2], frames[1]]
    brightness = [
        Image.open(io.BytesIO(each.jpeg)).convert("L").resize((1, 1)).getpixel((0, 0)) for each in seen.previews
    ]
    assert brightness == sorted(brightness, reverse=True)  # the film grows lighter
    assert previews.picture(item(path, frames=frames, choice="every 0.5 s"), 0).frame == 20
    with pytest.raises(InputError, match="it has no picture of number 3"):
        previews.picture(item(path, frames=frames, choice="every 0.5 s"), 3)


def test_a_file_that_is_another_by_now(previews: Previews) -> None:
    """Its decision would be about something else."""
    with pytest.raises(InputError, match="the file has another content now than when it was scored"):
        previews.of(replace(item(PICTURE), sha256="0" * 64))


def test_what_cannot_be_decoded(previews: Previews, tmp_path: Path) -> None:
    """Says why, and costs no other picture."""
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    for path in (tmp_path / "x.jpg", tmp_path / "gone.jpg"):
        with pytest.raises(InputError):
            previews.of(item(path))
    with pytest.raises(InputError, match="there is no such file"):
        previews.of(replace(item(PICTURE), place_on_disk=None))
    assert previews.of(item(PICTURE)).previews


def test_choices_of_frames_by_their_names() -> None:
    """As rows have them."""
    assert choice_named(None) == FrameChoice()
    assert choice_named("every 0.5 s").every_seconds == 0.5 and choice_named("every 10 s").every_seconds == 10
    assert choice_named("scenes, every 2.5 s").scenes
    assert (choice_named("max=8").mode, choice_named("max=8").count) == ("max", 8)
    for name in ("every x s", "every 0 s", "every s", "some"):
        with pytest.raises(UsageError):
            choice_named(name)
