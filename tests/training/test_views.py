"""Parts of a picture for training."""

from __future__ import annotations

import numpy as np

from open_nsfw.pictures.pixels import crop
from open_nsfw.training.views import MIDDLE, view, view_name

SHA = "ab" * 32
PIXELS = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


def test_view_0_is_what_is_scored() -> None:
    """The middle."""
    np.testing.assert_array_equal(view(PIXELS, MIDDLE, SHA, 0, 224, 224), crop(PIXELS, 224, 224))


def test_others_are_parts_some_of_them_mirrored() -> None:
    """At every offset that fits; the same in every run; others for another seed or picture."""
    found = set()
    for number in range(1, 400):
        part = view(PIXELS, number, SHA, 0, 224, 224)
        np.testing.assert_array_equal(part, view(PIXELS, number, SHA, 0, 224, 224))
        place = [
            (top, left, mirrored)
            for mirrored, picture in ((False, part), (True, part[:, ::-1]))
            for top, left in zip(*np.nonzero((PIXELS[:33, :33] == picture[0, 0]).all(-1)))
            if np.array_equal(PIXELS[top : top + 224, left : left + 224], picture)
        ]
        assert len(place) == 1
        found.update(place)
    tops, lefts, mirrored = (set(each) for each in zip(*found))
    assert tops == lefts == set(range(33))
    assert mirrored == {False, True}
    assert not np.array_equal(view(PIXELS, 1, SHA, 0, 224, 224), view(PIXELS, 1, SHA, 1, 224, 224))
    assert not np.array_equal(view(PIXELS, 1, SHA, 0, 224, 224), view(PIXELS, 1, "cd" * 32, 0, 224, 224))


def test_a_net_that_reads_whole_pictures() -> None:
    """There is one place; it may be mirrored."""
    parts = [view(PIXELS, number, SHA, 0, 256, 256) for number in range(1, 20)]
    assert {np.array_equal(part, PIXELS) for part in parts} == {False, True}
    assert all(np.array_equal(part, PIXELS) or np.array_equal(part[:, ::-1], PIXELS) for part in parts)


def test_names_differ() -> None:
    """By picture, number and seed."""
    names = {view_name(sha, number, seed) for sha in (SHA, "cd" * 32) for number in (0, 1) for seed in (0, 1)}
    assert len(names) == 8
