"""Which parts of a picture are scored beside the whole: gutters, borders, strips, and overlaps where there are none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from open_nsfw.pictures import parts
from open_nsfw.pictures.parts import Box, found_parts
from open_nsfw.pictures.picture import MOST_PARTS

CELL = (160, 120)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture that is nowhere of one colour."""
    grey = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    return Image.fromarray(grey).resize((width, height), Image.Resampling.NEAREST)


def sheet(columns: int, rows: int, gutter: int, colour: str = "white", cell: tuple[int, int] = CELL) -> Image.Image:
    """A contact sheet."""
    width, height = cell
    image = Image.new("RGB", (columns * (width + gutter) + gutter, rows * (height + gutter) + gutter), colour)
    for number, box in enumerate(places(columns, rows, gutter, cell)):
        image.paste(noise(width, height, number), (box.left, box.top))
    return image


def places(columns: int, rows: int, gutter: int, cell: tuple[int, int] = CELL) -> list[Box]:
    """Where the cells of a contact sheet are."""
    lefts = [gutter + column * (cell[0] + gutter) for column in range(columns)]
    tops = [gutter + row * (cell[1] + gutter) for row in range(rows)]
    return [Box(left, top, left + cell[0], top + cell[1]) for top in tops for left in lefts]


def boxes(image: Image.Image) -> list[Box]:
    return [Box(*part[2:]) for part in found_parts(image)]


def kinds(image: Image.Image) -> set[str]:
    return {part.found_as for part in found_parts(image)}


@pytest.mark.parametrize("colour", ["white", "black", "#336699"])
@pytest.mark.parametrize(("columns", "rows", "gutter"), [(4, 3, 4), (2, 1, 20), (1, 2, 8), (10, 10, 6)])
def test_cells_of_a_grid(columns: int, rows: int, gutter: int, colour: str) -> None:
    image = sheet(columns, rows, gutter, colour)
    assert boxes(image) == places(columns, rows, gutter)
    assert kinds(image) == {"cell"}
    assert [part.number for part in found_parts(image)] == list(range(columns * rows))


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_gutters_that_jpeg_has_blurred(quality: int) -> None:
    file = io.BytesIO()
    sheet(4, 3, 12).save(file, "JPEG", quality=quality)
    found = boxes(Image.open(file).convert("RGB"))
    difference = np.array(found) - np.array(places(4, 3, 12))
    assert np.abs(difference).max() <= 3


def test_cells_of_a_large_sheet_are_found_in_a_smaller_copy() -> None:
    """To the nearest step of the copy, and nothing of a cell is lost."""
    cell = (1200, 900)
    image = sheet(4, 3, 40, cell=cell)
    for found, place in zip(boxes(image), places(4, 3, 40, cell)):
        assert found.left <= place.left and found.top <= place.top
        assert found.right >= place.right and found.bottom >= place.bottom
        assert np.abs(np.array(found) - np.array(place)).max() < 4


def test_columns_with_gutters_at_different_heights() -> None:
    """No row goes all the way through: columns are cut first, and each at its own gutters."""
    image = Image.new("RGB", (420, 500), "white")
    wanted = [Box(0, 0, 200, 180), Box(0, 190, 200, 500), Box(220, 0, 420, 310), Box(220, 320, 420, 500)]
    for number, box in enumerate(wanted):
        image.paste(noise(box.width, box.height, number), (box.left, box.top))
    assert boxes(image) == wanted


def test_a_picture_in_a_grid_is_not_taken_apart() -> None:
    """A band of one colour all the way through a cell is no gutter of the grid."""
    image = sheet(3, 3, 10)
    image.paste("black", (10, 60, 170, 90))
    assert boxes(image) == places(3, 3, 10)


@pytest.mark.parametrize("gutter_at_the_edge", [True, False])
def test_dark_edges_of_pictures_in_a_grid_belong_to_them(gutter_at_the_edge: bool) -> None:
    """A gutter has the colour of the others: a night sky at the edge of a picture has not."""
    image = sheet(3, 2, 12)
    image.paste("black", (12, 12, 172, 60))
    image.paste("black", (184, 144, 200, 264))
    wanted = places(3, 2, 12)
    if not gutter_at_the_edge:
        image = image.crop((12, 12, image.width - 12, image.height - 12))
        wanted = [Box(*(side - 12 for side in box)) for box in wanted]
    assert boxes(image) == wanted


def test_captions_are_left_out() -> None:
    image = Image.new("RGB", (400, 500), "white")
    image.paste(noise(300, 200), (50, 20))
    image.paste(noise(200, 30, 1), (50, 240))
    image.paste(noise(300, 180, 2), (50, 290))
    assert boxes(image) == [Box(50, 20, 350, 220), Box(50, 290, 350, 470)]


def test_what_a_wide_border_surrounds() -> None:
    image = Image.new("RGB", (1000, 800), "#202020")
    image.paste(noise(200, 150), (700, 90))
    assert [tuple(part) for part in found_parts(image)] == [(0, "content", 700, 90, 900, 240)]


def test_a_thin_border_does_not_count() -> None:
    """What it surrounds is looked at in overlaps, without the border."""
    image = Image.new("RGB", (600, 600), "white")
    image.paste(noise(500, 500), (50, 50))
    assert kinds(image) == {"overlap"}
    assert boxes(image)[0] == Box(50, 50, 50 + 333, 50 + 333)
    assert boxes(image)[-1] == Box(300, 300, 550, 550)


def test_overlaps_cover_the_picture() -> None:
    """Two by two and three by three; what is no longer than a quarter of a side is whole in one of the small ones."""
    found = boxes(noise(800, 600))
    assert len(found) == 4 + 9
    assert {(box.width, box.height) for box in found} == {(533, 400), (400, 300)}
    for left in range(0, 600, 50):
        for top in range(0, 450, 50):
            assert any(
                box.left <= left and box.top <= top and box.right >= left + 200 and box.bottom >= top + 150
                for box in found[4:]
            )


@pytest.mark.parametrize("size", [(200, 3000), (3000, 200)])
def test_a_strip_without_gutters_is_cut_into_squares_that_overlap(size: tuple[int, int]) -> None:
    image = noise(*size)
    found = boxes(image)
    assert kinds(image) == {"panel"}
    assert {(box.width, box.height) for box in found} == {(200, 200)}
    along = 1 if size[1] > size[0] else 0
    starts = [box[along] for box in found]
    assert starts[0] == 0 and found[-1][along + 2] == 3000
    assert all(50 <= after - before <= 100 for before, after in zip(starts, starts[1:]))


def test_panels_of_a_strip_with_gutters() -> None:
    image = sheet(1, 9, 10)
    assert boxes(image) == places(1, 9, 10)
    assert kinds(image) == {"panel"}


def test_a_huge_strip_has_no_more_parts_than_any_picture() -> None:
    found = boxes(noise(64, 20_000))
    assert len(found) == MOST_PARTS
    assert found[0].top == 0 and found[-1].bottom == 20_000
    assert all(before.bottom >= after.top for before, after in zip(found, found[1:]))


@pytest.mark.parametrize("size", [(1, 1), (1, 60_000), (60_000, 1), (63, 5000), (90, 90), (120, 60)])
def test_what_is_too_small_has_no_parts(size: tuple[int, int]) -> None:
    assert found_parts(noise(*size)) == []
    assert found_parts(Image.new("RGB", size)) == []


def test_more_cells_than_are_scored_are_no_grid() -> None:
    assert kinds(sheet(11, 10, 6, cell=(64, 64))) == {"overlap"}


@pytest.mark.parametrize("size", [(128, 128), (161, 97), (1000, 401), (97, 5003), (3001, 2003)])
@pytest.mark.parametrize("make", [noise, lambda width, height: Image.new("RGB", (width, height), "teal")])
def test_every_box_is_in_the_picture(make: object, size: tuple[int, int]) -> None:
    image = make(*size)  # type: ignore[operator]
    for box in boxes(image):
        assert 0 <= box.left < box.right <= size[0] and 0 <= box.top < box.bottom <= size[1]
        assert min(box.width, box.height) >= parts.SMALLEST - 1
    assert len(boxes(image)) <= MOST_PARTS
