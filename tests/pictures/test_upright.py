"""Pictures turned as their metadata say: every orientation of EXIF in every format, and films' display matrices."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from open_nsfw.pictures.extraction import Extraction, FrameChoice
from open_nsfw.pictures.frames import pictures
from open_nsfw.pictures.picture import Picture
from open_nsfw.pictures.upright import ORIENTATION_TAG, matrix_orientation, orientation_of, swaps_sides, turned
from tests.tools.films import film

ONE = 1 << 16  # in a display matrix
UPRIGHT = Image.fromarray(np.random.default_rng(1).integers(0, 256, (3, 4, 3), np.uint8)).resize(
    (64, 48), Image.Resampling.NEAREST
)
# How the rows and columns of a picture that is to be seen as `UPRIGHT` lie in the file: EXIF 2.3, figure of the tag.
STORED = {
    1: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.transpose(1, 0, 2),
    6: lambda seen: seen[:, ::-1].transpose(1, 0, 2),
    7: lambda seen: seen[::-1, ::-1].transpose(1, 0, 2),
    8: lambda seen: seen[::-1].transpose(1, 0, 2),
}


def stored(orientation: int) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(UPRIGHT))))


def encoded(image: Image.Image, form: str, orientation: int | None) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION_TAG] = orientation
    lossless = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}, "JPEG": {"quality": 100}}
    image.save(file, form, exif=exif if form == "TIFF" else exif.tobytes(), **lossless.get(form, {}))
    return file.getvalue()


def only(data: bytes, options: Extraction, quick_side: int | None = None) -> Picture:
    (found,) = pictures(data, options, quick_side)
    assert isinstance(found, Picture)
    return found


def difference(one: Picture, other: Picture) -> float:
    """Grey levels, in the mean."""
    both = [np.frombuffer(each.pixels, np.uint8).astype(float) for each in (one, other)]
    return float(np.abs(both[0] - both[1]).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_every_orientation_is_seen_alike(form: str, orientation: int) -> None:
    """The pixels are those of the picture that lies upright in its file, and so are its sides."""
    picture = only(encoded(stored(orientation), form, orientation), Extraction(upright=True))
    reference = only(encoded(UPRIGHT, form, None), Extraction(upright=True))
    assert reference.upright is False
    assert (picture.width, picture.height) == (64, 48)
    assert picture.upright is (orientation != 1 and form != "TIFF")  # Pillow turns a TIFF, whoever reads it
    assert difference(picture, reference) == 0 if form != "JPEG" else difference(picture, reference) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_without_the_option_nothing_is_turned(orientation: int) -> None:
    data = encoded(stored(orientation), "PNG", orientation)
    picture = only(data, Extraction())
    assert picture == only(encoded(stored(orientation), "PNG", None), Extraction())
    assert picture.upright is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_quick_decode_turns_too(orientation: int) -> None:
    """A JPEG that is decoded at an eighth of its size."""
    large = UPRIGHT.resize((3000, 4000), Image.Resampling.BICUBIC)
    lying = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(large))))
    quick = only(encoded(lying, "JPEG", orientation), Extraction(upright=True), 224)
    reference = only(encoded(large, "JPEG", None), Extraction(upright=True), 224)
    assert quick.reduced and quick.upright is (orientation != 1)
    assert (quick.width, quick.height) == (3000, 4000)
    assert difference(quick, reference) < 1


@pytest.mark.parametrize("value", [0, 9, 65535, 2**31, "6", (6, 6), b"\6"])
def test_what_is_no_orientation_turns_nothing(value: object) -> None:
    image = UPRIGHT.copy()
    image.getexif()[ORIENTATION_TAG] = value
    assert orientation_of(image) == 1


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"\xff" * 50])
def test_damaged_metadata_cost_no_picture_its_row(exif: bytes) -> None:
    file = io.BytesIO()
    UPRIGHT.save(file, "PNG", exif=exif)
    assert only(file.getvalue(), Extraction(upright=True)).upright is False


def test_frames_of_an_animation_are_turned() -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    stored(6).save(
        file, "WEBP", save_all=True, append_images=[stored(6).rotate(180)], lossless=True, exif=exif.tobytes()
    )
    found = list(pictures(file.getvalue(), Extraction(frames=FrameChoice("all"), upright=True)))
    assert [(each.frame, each.upright) for each in found if isinstance(each, Picture)] == [(0, True), (1, True)]


# ------------------------------------------------------------------------------------------------------------- films


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_matrix_does_what_the_orientation_does(orientation: int) -> None:
    """(x, y) goes to (a x + c y, b x + d y): tried on the corners of a picture."""
    place = {}  # of each stored pixel in what is seen, both counted from the middle of 3 x 3 pixels
    lying = Image.fromarray(np.arange(9, dtype=np.uint8).reshape(3, 3))
    seen = np.asarray(turned(lying, orientation))
    for y in range(3):
        for x in range(3):
            rows, columns = np.where(seen == 3 * y + x)
            place[x - 1, y - 1] = int(columns[0]) - 1, int(rows[0]) - 1
    (a, b), (c, d) = place[1, 0], place[0, 1]
    for scale in (ONE, 3 * ONE, ONE // 2):
        assert matrix_orientation(matrix(a * scale, b * scale, c * scale, d * scale)) == orientation
    assert matrix_orientation(matrix(a * ONE + 1, b * ONE - 2, c * ONE + 3, d * ONE)) == orientation


@pytest.mark.parametrize("numbers", [(0, 0, 0, 0), (ONE, ONE, -ONE, ONE), (2**31 - 1, -(2**31), 5, 5)])
def test_other_matrices_turn_nothing(numbers: tuple[int, int, int, int]) -> None:
    assert matrix_orientation(matrix(*numbers)) == 1


def test_sides_change_places_where_the_picture_is_turned_by_a_quarter() -> None:
    for orientation in range(1, 9):
        assert swaps_sides(orientation) == (turned(UPRIGHT, orientation).size != UPRIGHT.size)


def rotated(data: bytes, turn: bytes) -> bytes:
    """An MP4 film with this display matrix in its track header."""
    identity = struct.pack(">9i", ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    head = data.index(b"tkhd")
    at = data.index(identity, head)
    return data[:at] + struct.pack(">9i", *struct.unpack("=9i", turn)) + data[at + len(identity) :]


@pytest.mark.parametrize(("turn", "size"), [(matrix(0, ONE, -ONE, 0), (48, 64)), (matrix(-ONE, 0, 0, -ONE), (64, 48))])
def test_films_are_turned_as_they_say(turn: bytes, size: tuple[int, int]) -> None:
    """As phones write it: a quarter and half a circle."""
    data = rotated(film("mp4"), turn)
    for options, sizes, upright in ((Extraction(upright=True), size, True), (Extraction(), (64, 48), None)):
        found = [each for each in pictures(data, options) if isinstance(each, Picture)]
        assert {(each.width, each.height) for each in found} == {sizes}
        assert {each.upright for each in found} == {upright}
        assert len(found) == 4


def test_a_film_that_says_nothing_is_not_turned() -> None:
    for container in ("mp4", "matroska", "mpegts"):
        coding = "mpeg2video" if container == "mpegts" else "mpeg4"
        found = [
            each for each in pictures(film(container, coding), Extraction(upright=True)) if isinstance(each, Picture)
        ]
        assert {each.upright for each in found} == {False}
