"""How far quick and exact logits are apart, and the margin for that."""

from __future__ import annotations

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.nets import ranges as ranges_file
from open_nsfw.scoring import margins
from open_nsfw.scoring.int8_engine import float_model
from open_nsfw.scoring.model_files import ModelFiles, find_model_files
from tests.tools.helpers import MODEL_DEF, WEIGHTS
from tests.tools.noise_ranges import noise_ranges


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    """The packaged model."""
    return find_model_files(MODEL_DEF, WEIGHTS)


@pytest.mark.parametrize(
    ("exact", "quick", "reach"),
    [
        (-1.0, -1.5, 0.5),  # any threshold between them
        (-9.95, -13.2, 0.0),  # far below every threshold of 0.02 to 0.98
        (-3.0, -6.0, 3.0),
        (-5.0, -3.0, ranges_file.NEAR - 3.0),  # the lowest threshold is nearer to the quick score than the exact one is
        (5.0, -5.0, ranges_file.NEAR + 5.0),
        (4.5, 9.0, 0.0),
    ],
)
def test_what_can_be_decided_wrongly(exact: float, quick: float, reach: float) -> None:
    """By hand."""
    assert margins.Difference("", exact, quick, False).reach == pytest.approx(reach)


def test_margins_by_kind(files: ModelFiles) -> None:
    """JPEG decoded at reduced size have a margin of their own; too few of them give none, too few others an error."""
    known = noise_ranges(float_model(files))
    full = [margins.Difference(f"{index}.jpg", 0.0, index / 100, False) for index in range(20)]
    reduced = [margins.Difference(f"{index}.jpg", 0.0, -index / 10, True) for index in range(20)]
    both = margins.with_margins(known, full + reduced)
    assert both.reduced is not None
    assert (both.full.reach, both.full.logits, both.full.worst_picture) == (0.19, 0.24, "19.jpg")
    assert (both.reduced.reach, both.reduced.logits, both.reduced.pictures) == (1.9, 2.38, 20)
    assert margins.with_margins(known, full + reduced[:19]).reduced is None
    with pytest.raises(UsageError) as error:
        margins.with_margins(known, full[:19] + reduced)
    assert str(error.value) == ("19 pictures to measure the margin on that are not large JPEG; at least 20 are needed")


def test_where_no_picture_is_near_a_threshold_the_worst_difference_counts(files: ModelFiles) -> None:
    """None of them can be on the wrong side of anything, which proves nothing."""
    far = [margins.Difference(f"{index}.jpg", -9.0 - index, -9.5 - index, False) for index in range(30)]
    near = [margins.Difference(f"near-{index}.jpg", 0.0, 0.1, False) for index in range(20)]
    assert margins.margin(far + near[:19]).logits == pytest.approx(0.63)
    assert margins.margin(far + near).logits == pytest.approx(0.13)
