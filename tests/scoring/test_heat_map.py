"""Heat maps: what they look like, pixel by pixel where that is certain."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from open_nsfw import Explanation, heat_map
from open_nsfw.errors import UsageError
from open_nsfw.scoring.heat_map import GROUNDS, NSFW_COLOUR, SAFE_COLOUR, SCALE

WHITE = np.full((256, 256, 3), 255, np.uint8)


def explanation(values: dict[tuple[int, int], float], method: str = "exact") -> Explanation:
    """One whose cells are 0 but for these."""
    cells = np.zeros((7, 7), np.float32)
    for place, value in values.items():
        cells[place] = value
    return Explanation(0.5, 0.0, 1.0 if method == "exact" else None, cells, method)


def drawn(found: Explanation, size: tuple[int, int] = (256, 256), **options: str) -> np.ndarray:
    """uint8 (H, W, 3)"""
    with Image.open(io.BytesIO(heat_map(WHITE, found, size, **options))) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return np.asarray(image).astype(int)


def cell(page: np.ndarray, row: int, column: int) -> np.ndarray:
    """The colour in the middle of a cell of a square picture: 768 pixels a side, 48 of border, 96 a cell."""
    return page[48 + 96 * row + 48, 48 + 96 * column + 48]


def test_colours_are_on_one_fixed_scale() -> None:
    """Orange towards nsfw, blue towards safe, full at `SCALE`, half of that at half of it, none at 0."""
    page = drawn(explanation({(0, 0): SCALE, (1, 2): 5 * SCALE, (6, 6): -SCALE, (3, 3): SCALE / 2}))
    full = np.array([0.8 * part + 0.2 * 255 for part in NSFW_COLOUR])
    np.testing.assert_allclose(cell(page, 0, 0), full, atol=2)
    np.testing.assert_array_equal(cell(page, 1, 2), cell(page, 0, 0))
    np.testing.assert_allclose(cell(page, 6, 6), [0.8 * part + 0.2 * 255 for part in SAFE_COLOUR], atol=2)
    np.testing.assert_allclose(cell(page, 3, 3), (full + 255) / 2, atol=2)
    np.testing.assert_array_equal(cell(page, 5, 1), [255, 255, 255])


def test_the_border_is_hatched_and_only_that() -> None:
    """On black: lines in the sixteenth at each edge, nothing inside."""
    with Image.open(io.BytesIO(heat_map(np.zeros_like(WHITE), explanation({}), (256, 256)))) as image:
        page = np.asarray(image).astype(int)
    assert page[50:716, 50:716].max() == 0
    for border in (page[:47, :768], page[721:768, :768], page[:768, :47], page[:768, 721:768]):
        assert 0.1 < (border > 100).mean() < 0.4


def test_proportions_are_the_pictures_and_words_have_room() -> None:
    """Wide, tall, and thin ones."""
    for size, shown in (((4000, 2000), (768, 384)), ((300, 600), (384, 768)), ((3000, 2), (768, 96))):
        page = drawn(explanation({}), size)
        assert page.shape[1] == max(600, shown[0])
        assert 80 < page.shape[0] - shown[1] < 110
        words = page[shown[1] :]
        assert (words < 128).any(axis=(1, 2)).sum() > 20
        assert (words[:, -4:] == 255).all(), "the words are cut off"


@pytest.mark.parametrize("ground", GROUNDS)
def test_grounds(ground: str) -> None:
    """In colour, in grey, and blurred, where no edge is left."""
    pixels = WHITE.copy()
    pixels[:, 120:136] = (200, 0, 0)
    with Image.open(io.BytesIO(heat_map(pixels, explanation({}), (256, 256), ground=ground))) as image:
        page = np.asarray(image).astype(int)[100:600, 100:600]
    is_grey = (page[..., 0] == page[..., 1]).all() and (page[..., 1] == page[..., 2]).all()
    steps = np.abs(np.diff(page[..., 1], axis=1)).max()
    assert is_grey == (ground != "colour")
    assert steps < 8 if ground == "blurred" else steps > 30


def test_unknown_ground() -> None:
    """One line."""
    with pytest.raises(UsageError, match="^there is no ground 'red' for heat maps; there are grey, colour, blurred$"):
        heat_map(WHITE, explanation({}), ground="red")


def test_occlusion_says_so() -> None:
    """Other words below the same picture."""
    assert not np.array_equal(drawn(explanation({})), drawn(explanation({}, "occlusion")))


def test_a_picture_without_pixels() -> None:
    with pytest.raises(UsageError, match="^a picture of 0 x 4 pixels has no heat map$"):
        heat_map(WHITE, explanation({}), (0, 4))
