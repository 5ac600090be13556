"""Decisions: labels, skips, settlements, and undoing them."""

from __future__ import annotations

from pathlib import Path

import pytest

from open_nsfw.errors import UsageError
from open_nsfw.review.design import Wishes
from open_nsfw.review.log import Decision, Person, TakenError, decide, undo
from open_nsfw.review.serving import Wanted, left_for, next_items
from open_nsfw.review.store import Store
from tests.tools.review import ANNA, BEN, column, follow_log_anew, label_next, new_store, rows_of

ONE_OPINION, TWO_OPINIONS = Wishes(second=0.0), Wishes(second=1.0)


def opinions(store: Store) -> list[object]:
    """What people think now."""
    return column(store, "SELECT item || ' ' || person || ' ' || label FROM opinion ORDER BY item, person")


def test_undo_goes_back_without_end_and_is_an_entry(tmp_path: Path) -> None:
    """The last decision first; what stood before it stands again."""
    with new_store(tmp_path, rows_of([0.5, 0.5, 0.5], tmp_path), ONE_OPINION) as store:
        first, second = label_next(store, ANNA, "nsfw", 2)
        decide(store, ANNA, Decision(first, "label", "sfw"))
        assert opinions(store) == [f"{first} Anna sfw", f"{second} Anna nsfw"]
        assert undo(store, ANNA) == [first]
        assert opinions(store) == [f"{first} Anna nsfw", f"{second} Anna nsfw"]
        assert undo(store, ANNA) == [second] and undo(store, ANNA) == [first] and undo(store, ANNA) == []
        assert opinions(store) == []
        actions = column(store, "SELECT action FROM log ORDER BY id")
        assert actions == ["label", "label", "label", "undo", "undo", "undo"]
        assert left_for(store, ANNA).open == 3


def test_undo_leaves_other_people_and_other_browsers_alone(tmp_path: Path) -> None:
    """A browser under the same name that is still there keeps its decisions; one that is gone does not."""
    with new_store(tmp_path, rows_of([0.5] * 4, tmp_path), ONE_OPINION) as store:
        (mine,) = label_next(store, ANNA, "nsfw")
        (bens,) = label_next(store, BEN, "nsfw")
        other = Person("Anna", "browser 3")
        (beside,) = label_next(store, other, "nsfw")
        assert undo(store, ANNA, {other.holder}) == [mine]
        assert undo(store, ANNA, {other.holder}) == []
        assert undo(store, ANNA) == [beside]
        assert opinions(store) == [f"{bens} Ben nsfw"]


def test_a_decision_that_is_sent_twice_is_taken_once(tmp_path: Path) -> None:
    """As when an answer is lost on its way."""
    with new_store(tmp_path, rows_of([0.5, 0.5], tmp_path), ONE_OPINION) as store:
        (item,) = next_items(store, ANNA, Wanted())
        for _ in range(2):
            assert decide(store, ANNA, Decision(item.id, "label", "nsfw", batch="b1")) == [item.id]
        assert column(store, "SELECT count(*) FROM log") == [1]


def test_what_makes_no_decision_is_refused(tmp_path: Path) -> None:
    """In one line each; nothing is logged."""
    with new_store(tmp_path, rows_of([0.5, 0.1], tmp_path), Wishes(audit_low=0.0)) as store:
        for decision, message in (
            (Decision(9, "label", "nsfw"), "there is no picture of number 9"),
            (Decision(2, "label", "nsfw"), "nobody is asked about the picture of number 2"),
            (Decision(1, "label", "cat"), "there is no label 'cat'; there is sfw, nsfw"),
            (Decision(1, "delete", "nsfw"), "a decision is a label, a skip or a settlement, not 'delete'"),
            (Decision(1, "label", "nsfw", "x" * 2001), "a note has at most 2,000 letters"),
        ):
            with pytest.raises(UsageError) as error:
                decide(store, ANNA, decision)
            assert str(error.value) == message
        for name in ("", "  ", "x" * 61, "a\nb"):
            with pytest.raises(UsageError, match="a name has 1 to 60 printable letters"):
                Person(name, "h")
        assert column(store, "SELECT count(*) FROM log") == [0]


def test_a_picture_in_hand_is_nobody_elses(tmp_path: Path) -> None:
    """Until the lease ends."""
    with new_store(tmp_path, rows_of([0.5], tmp_path), TWO_OPINIONS) as store:
        (item,) = next_items(store, ANNA, Wanted())
        assert next_items(store, BEN, Wanted()) == []
        with pytest.raises(TakenError, match="somebody else has this picture in hand now"):
            decide(store, BEN, Decision(item.id, "label", "nsfw"))
        next_items(store, ANNA, Wanted(), lease_seconds=-1.0)
        assert [each.id for each in next_items(store, BEN, Wanted())] == [item.id]


def test_a_second_opinion_is_of_somebody_else(tmp_path: Path) -> None:
    """Two opinions, and no third."""
    with new_store(tmp_path, rows_of([0.5], tmp_path), TWO_OPINIONS) as store:
        label_next(store, ANNA, "nsfw")
        assert next_items(store, ANNA, Wanted()) == []
        label_next(store, BEN, "sfw")
        assert next_items(store, Person("Cleo", "browser 4"), Wanted()) == []


def test_a_skip_is_for_others_and_for_later(tmp_path: Path) -> None:
    """It can be undone, too."""
    with new_store(tmp_path, rows_of([0.5], tmp_path), ONE_OPINION) as store:
        decide(store, ANNA, Decision(1, "skip"))
        assert next_items(store, ANNA, Wanted()) == []
        assert left_for(store, ANNA).skipped == 1
        assert [item.id for item in next_items(store, ANNA, Wanted(skipped=True))] == [1]
        assert undo(store, ANNA) == [1]
        assert left_for(store, ANNA).skipped == 0
        assert [item.id for item in next_items(store, ANNA, Wanted())] == [1]


def test_look_alikes_are_decided_and_undone_together(tmp_path: Path) -> None:
    """Each has its own entry in the log."""
    with new_store(tmp_path, rows_of([0.5] * 3, tmp_path), ONE_OPINION) as store:
        with store.writing() as connection:
            connection.execute("UPDATE item SET leader = 2 WHERE id IN (2, 3)")
        assert [item.id for item in next_items(store, ANNA, Wanted(5))] == [1, 2]
        assert decide(store, ANNA, Decision(2, "label", "nsfw")) == [2, 3]
        assert opinions(store) == ["2 Anna nsfw", "3 Anna nsfw"]
        assert undo(store, ANNA) == [2, 3]
        assert opinions(store) == []


def test_a_settlement_is_undone_like_a_label(tmp_path: Path) -> None:
    """And all that follows from the log can be made from it again."""
    with new_store(tmp_path, rows_of([0.5], tmp_path), TWO_OPINIONS) as store:
        label_next(store, ANNA, "nsfw")
        label_next(store, BEN, "sfw")
        decide(store, ANNA, Decision(1, "settle", "sfw"))
        assert column(store, "SELECT label FROM settled") == ["sfw"]
        follow_log_anew(store)
        assert column(store, "SELECT label FROM settled") == ["sfw"]
        assert opinions(store) == ["1 Anna nsfw", "1 Ben sfw"]
        undo(store, ANNA)
        assert column(store, "SELECT label FROM settled") == []
