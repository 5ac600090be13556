"""What a review found, in numbers and in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from open_nsfw.calibration.labels import LabelNames
from open_nsfw.review.design import Wishes
from open_nsfw.review.log import Decision, decide, undo
from open_nsfw.review.report import report, text
from open_nsfw.review.serving import Wanted, next_items
from tests.tools.review import ANNA, BEN, label_next, new_store, rows_of

pytest.importorskip("scipy", reason="scipy is not installed in this interpreter")


def test_error_rates_of_the_automatic_decisions(tmp_path: Path) -> None:
    """Of each band, from its audit, with an interval that covers what is true."""
    random = np.random.default_rng(0)
    scores = np.concatenate(
        (random.uniform(0.01, 0.19, 2000), random.uniform(0.81, 0.99, 500), random.uniform(0.2, 0.8, 20))
    )
    wishes = Wishes(audit_low=0.1, audit_high=0.3, second=0.0)
    with new_store(tmp_path, rows_of(scores.tolist(), tmp_path), wishes) as store:
        while items := next_items(store, ANNA, Wanted()):
            item = items[0]
            wrong = item.id % 20 == 0  # 5 % of the decided ones are wrong, on both sides
            decide(
                store, ANNA, Decision(item.id, "label", "nsfw" if (item.score > 0.5) != wrong else "sfw", seconds=2.0)
            )
        result = report(store, LabelNames(), 0.95)
        allow, middle, block = result.bands
        assert (allow.name, allow.pictures, block.pictures, middle.asked) == ("allow", 2000, 500, 20)
        assert allow.nsfw.low < 0.05 < allow.nsfw.high and block.nsfw.low < 0.95 < block.nsfw.high
        assert allow.nsfw.of == allow.decided == allow.asked
        assert result.people[0].seconds == 2.0 and result.found.open == 0 and result.hours_left == 0
        words = text(result, 0.95)
        assert f"allow: 2,000 pictures, {allow.decided} decided of {allow.asked} asked for; nsfw " in words
        assert "nsfw pictures were let through" in words and "pictures were caught that are not nsfw" in words


def test_look_alikes_tell_as_much_as_one_of_them(tmp_path: Path) -> None:
    """Sixty of 160, decided together as nsfw: the share is theirs, the interval that of 101 pictures."""
    widths = []
    for alike in (60, 0):
        folder = tmp_path / str(alike)
        folder.mkdir()
        with new_store(folder, rows_of([0.5] * 160, folder), Wishes(second=0.0)) as store:
            with store.writing() as connection:
                connection.execute("UPDATE item SET leader = 1 WHERE id <= ?", (alike,))
            while items := next_items(store, ANNA, Wanted()):
                decide(store, ANNA, Decision(items[0].id, "label", "nsfw" if items[0].id <= 60 else "sfw"))
            rate = next(band.nsfw for band in report(store, LabelNames(), 0.95).bands if band.decided)
        assert (rate.value, rate.count, rate.of) == (60 / 160, 60, 160)
        widths.append(rate.high - rate.low)
    assert widths[0] > 2 * widths[1]


def test_workload_and_agreement_in_words(tmp_path: Path) -> None:
    """Undone decisions do not count, nor does the time of who was away."""
    with new_store(tmp_path, rows_of([0.3, 0.4, 0.5, 0.6], tmp_path), Wishes(second=1.0)) as store:
        label_next(store, ANNA, "nsfw", 3)
        undo(store, ANNA)
        (item,) = next_items(store, ANNA, Wanted())
        decide(store, ANNA, Decision(item.id, "skip"))
        label_next(store, BEN, "sfw", 2)
        (item,) = next_items(store, BEN, Wanted())
        decide(store, BEN, Decision(item.id, "label", "sfw", seconds=4000.0))
        words = text(report(store, LabelNames(), 0.95), 0.95)
        assert "Anna: 2 decided, 1 skipped, 1 undone, 1.0 s a decision (median)" in words
        assert "Ben: 3 decided, 0 skipped, 0 undone, 1.0 s a decision (median)" in words
        assert "Cohen's kappa cannot be told" not in words
        assert "disagreements to settle, on the page under Disagreements: 2" in words
        assert "(Anna: nsfw, Ben: sfw)" in words


def test_labels_of_other_names_are_counted(tmp_path: Path) -> None:
    """As they are: no rate comes of them, and the report says why."""
    with new_store(tmp_path, rows_of([0.5] * 4, tmp_path), Wishes(labels=("ok", "bad", "odd"), second=0.0)) as store:
        for label in ("ok", "bad", "odd"):
            label_next(store, ANNA, label)
        told = "decided of 4 asked for, {} of them with labels that neither --positive nor --negative names"
        assert told.format(3) + "\n" in text(report(store, LabelNames(), 0.95), 0.95)
        assert told.format(1) + "; nsfw 50 % (" in text(report(store, LabelNames("bad", "ok"), 0.95), 0.95)
