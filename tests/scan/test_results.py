"""The rows of one item, without a decoder or an engine."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from open_nsfw.errors import InputError
from open_nsfw.pictures.messages import FileInfo
from open_nsfw.pictures.picture import Failure, Picture
from open_nsfw.rows.row import Row
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.results import ItemResult
from open_nsfw.scan.segments import Moment, segments
from open_nsfw.scoring.classifier import Score
from open_nsfw.scoring.scorer import Needs, Scored
from open_nsfw.sources.item import Item

SCORER: Any = SimpleNamespace(engine=lambda exact: SimpleNamespace(name=f"engine {exact}", model_hash="0"))
OPTIONS = PipelineOptions(1, above=0.5, verdict=lambda score: "high" if score >= 0.5 else "low")
ITEM = Item("a.gif", size=10)
ENDED = InputError("truncated", "it ends too early")
NO_NUMBER = Score(math.nan, InputError("not-finite", "no probability"))


def picture(frame: int | None = None, track: int | None = None) -> Picture:
    """One of 8 x 6 pixels."""
    return Picture(b"", 8, 6, "GIF", frame=frame, track=track)


def result(*scores: float, item: Item = ITEM, single: bool = False) -> ItemResult:
    """An item with a picture for each score, each exact."""
    found = ItemResult(item)
    for index, score in enumerate(scores):
        added = found.add(picture(None if single else index))
        added.outcome = Scored(score if isinstance(score, Score) else Score(score), exact=True)
    return found


def rows(found: ItemResult) -> list[Row]:
    """Its rows."""
    return found.rows(SCORER, OPTIONS)


def test_a_picture() -> None:
    (row,) = rows(result(0.75, single=True))
    assert (row.kind, row.score, row.exact, row.verdict, row.engine) == ("picture", 0.75, True, "high", "engine True")
    assert (row.width, row.height, row.format, row.bytes) == (8, 6, "GIF", 10)


def test_frames_and_their_summary() -> None:
    *frames, summary = rows(result(0.25, 0.75))
    assert [(row.kind, row.frame, row.score, row.verdict) for row in frames] == [
        ("frame", 0, 0.25, "low"),
        ("frame", 1, 0.75, "high"),
    ]
    assert (summary.kind, summary.score, summary.max, summary.mean) == ("summary", 0.75, 0.75, 0.5)
    assert (summary.frames, summary.above, summary.frame, summary.verdict) == (2, 1, None, "high")


def test_a_mean_is_the_same_on_every_python() -> None:
    """From 3.12 on `sum` rounds plain floats otherwise than other numbers, so that rows out of a cache of scores differed."""
    for kind in (float, Score):
        assert rows(result(*map(kind, [0.1] * 10)))[-1].mean == 0.1
    (found,) = segments([Moment(number, None, 0.1) for number in range(10)], 0.1)
    assert found.mean == 0.1


def test_what_ends_a_file_stands_behind_its_frames() -> None:
    found = result(0.25, 0.75)
    found.error = ENDED
    _, _, failed, summary = rows(found)
    assert (failed.kind, failed.frame, failed.error) == ("frame", 2, "truncated: it ends too early")
    assert (summary.frames, summary.error) == (2, None)


def test_the_only_picture_of_a_file_has_one_row_whatever_comes_behind_it() -> None:
    found = result(0.25, single=True)
    found.error = ENDED
    (row,) = rows(found)
    assert (row.kind, row.score, row.error) == ("picture", None, "truncated: it ends too early")


def test_a_picture_that_fails_costs_its_own_row() -> None:
    """One that cannot be decoded, and one whose score is no number; the others stand."""
    found = result(0.25, NO_NUMBER)
    found.add_failed(Failure(ENDED, 2, seconds=1.5, track=0))
    found.add(picture(3)).outcome = Scored(Score(0.75), exact=False)
    good, no_number, failed, last, summary = rows(found)
    assert (good.score, last.score, last.exact) == (0.25, 0.75, False)
    assert (no_number.score, no_number.error, no_number.width) == (None, "not-finite: no probability", 8)
    assert (failed.frame, failed.seconds, failed.track, failed.error) == (2, 1.5, 0, "truncated: it ends too early")
    assert (summary.frames, summary.score, summary.exact, summary.engine) == (2, 0.75, False, "engine False")


def test_not_one_frame_has_a_score() -> None:
    *_, summary = rows(result(NO_NUMBER, NO_NUMBER))
    assert summary.error == "no-pictures: none of its frames could be scored"
    assert (summary.score, summary.frames, summary.above) == (None, 0, 0)


def test_sound_that_nobody_named_has_no_row() -> None:
    for by_content, count in ((True, 0), (False, 1)):
        found = result(item=Item("a.dat", by_content=by_content))
        found.error = InputError("no-pictures", "a media file without a video stream")
        assert len(rows(found)) == count


def test_scores_that_are_still_under_way() -> None:
    """An engine with batches: the rows wait for them, and its exception comes out there."""
    found, score = ItemResult(Item("a.jpg")), Future[Scored]()
    found.add(picture()).outcome = score
    score.set_result(Scored(Score(0.5), exact=True))
    assert rows(found)[0].score == 0.5
    found, score = ItemResult(Item("a.jpg")), Future[Scored]()
    found.add(picture()).outcome = score
    score.set_exception(RuntimeError("no more memory"))
    with pytest.raises(RuntimeError, match="no more memory"):
        rows(found)


def test_pixels_that_do_not_suffice() -> None:
    """The item is decoded again, and nothing is left of the first time."""
    found = result(0.25, single=True)
    assert not found.needs_exact_pixels
    found.add(picture()).outcome = Needs.EXACT_PIXELS
    found.error = ENDED
    assert found.needs_exact_pixels
    found.begin_again()
    found.add(picture()).outcome = Scored(Score(0.5), exact=True)
    assert [(row.score, row.error) for row in rows(found)] == [(0.5, None)]


def test_what_failed_has_the_format_and_a_summary_the_size_of_what_did_not() -> None:
    found = ItemResult(Item("a.tif"))
    found.set_file(FileInfo(1, 7, None, "TIFF"))
    found.add_failed(Failure(ENDED, 0))
    found.add(replace(picture(1), format="TIFF")).outcome = Scored(Score(0.5), exact=True)
    failed, _, summary = rows(found)
    assert (failed.format, failed.frame_choice, failed.width) == ("TIFF", "first", None)
    assert (summary.kind, summary.format, summary.frame_choice) == ("summary", "TIFF", "first")
    assert (summary.width, summary.height) == (picture().width, picture().height)
    found = ItemResult(Item("a.tif"))
    found.set_file(FileInfo(1, 7, None, "TIFF"))
    found.error = ENDED
    assert [(row.format, row.frame_choice) for row in rows(found)] == [("TIFF", "first")]


def test_the_size_is_what_the_command_knows() -> None:
    """A decoder may say anything; of standard input, nothing else is known."""
    for item, size in ((Item("a", size=10), 10), (Item("a", data=b"data", size=99), 4), (Item("-"), 7)):
        found = ItemResult(item)
        found.set_file(FileInfo(1, 7, "0f" * 32))
        found.error = ENDED
        (row,) = rows(found)
        assert (row.bytes, row.sha256) == (size, "0f" * 32)
