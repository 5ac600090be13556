"""Who is asked for: queues, probabilities, and the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError
from open_nsfw.review.design import Wishes, design_in, settle_design
from open_nsfw.review.sampling import choose
from open_nsfw.review.serving import Wanted, next_items
from open_nsfw.review.store import Store
from open_nsfw.rows.row import Row
from tests.tools.review import ANNA, add_rows, column, label_next, new_store, rows_of, spread_scores, write_rows

AUDIT = Wishes(audit_low=0.05, audit_high=0.2)


def again(store: Store, wishes: Wishes) -> None:
    """Another run on the same store."""
    with store.writing() as connection:
        design, _ = settle_design(connection, wishes)
        choose(connection, design)


def asked(store: Store) -> set[object]:
    """The paths of those that are asked for."""
    return set(column(store, "SELECT path FROM item WHERE asked = 1"))


def rows(count: int) -> list[Row]:
    """About files that nobody looks at here."""
    return [Row(f"{n}.jpg", score=score, model="m") for n, score in enumerate(spread_scores(count))]


def test_the_undecided_ones_are_all_asked_for_nearest_first(tmp_path: Path) -> None:
    """By their distance to a threshold; the audit comes at the same pace."""
    scores = [0.19, 0.2, 0.25, 0.45, 0.5, 0.7, 0.79, 0.8, 0.95]
    with new_store(tmp_path, rows_of(scores, tmp_path), Wishes(audit_low=0.0, audit_high=0.0)) as store:
        assert [item.score for item in next_items(store, ANNA, Wanted(9))] == [0.2, 0.79, 0.25, 0.7, 0.45, 0.5]


def test_the_audit_is_a_random_share_of_both_sides(tmp_path: Path) -> None:
    """With the probability that is stored; the same pictures whenever one looks, more of them in a larger audit."""
    with new_store(tmp_path, rows(4000), AUDIT) as store:
        for band, share in ((0, 0.05), (2, 0.2)):
            total, chosen = (
                column(store, f"SELECT count(*) FROM item WHERE band = ? AND asked >= {least}", band)[0]
                for least in (0, 1)
            )
            assert isinstance(total, int) and isinstance(chosen, int)
            assert abs(chosen - share * total) < 4 * np.sqrt(share * total)
            assert column(store, "SELECT DISTINCT probability FROM item WHERE band = ?", band) == [share]
        before = asked(store)
        again(store, AUDIT)
        assert asked(store) == before
        again(store, Wishes(audit_low=0.1))
        assert before < asked(store)
        larger = asked(store)
        again(store, Wishes(audit_low=0.01))  # what was asked for once stays so
        assert asked(store) == larger
        assert column(store, "SELECT DISTINCT probability FROM item WHERE band = 0") == [0.1]


def test_the_same_pictures_are_chosen_in_another_store(tmp_path: Path) -> None:
    """By their content, whatever they are called, and in whichever order they come."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    some = [Row(f"{n}.jpg", score=0.01, sha256=f"{n:064x}", model="m") for n in range(500)]
    others = [Row(f"other/{n}.png", score=0.01, sha256=f"{n:064x}", model="m") for n in reversed(range(500))]
    with new_store(tmp_path / "1", some, AUDIT) as one, new_store(tmp_path / "2", others, AUDIT) as two:
        hashes = "SELECT sha256 FROM item WHERE asked = 1 ORDER BY 1"
        assert column(one, hashes) == column(two, hashes) != []


def test_each_stratum_gives_about_as_many(tmp_path: Path) -> None:
    """One with few pictures gives all of them."""
    wishes = Wishes(audit_low=0.0, audit_high=0.0, calibration=200, policy=Policy((0.5,), ("allow", "block")))
    with new_store(tmp_path, rows(5000), wishes) as store:
        assert column(store, "SELECT DISTINCT queue FROM item WHERE asked = 1") == ["calibration"]
        scores = np.array(column(store, "SELECT score FROM item WHERE asked = 1 ORDER BY id"))
        counts = np.histogram(scores, [0, 0.01, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99, 1])[0]
        assert counts.min() >= 8 and counts.max() <= 36
        small, whole = column(store, "SELECT probability FROM item ORDER BY probability")[:: 5000 - 1]
        assert isinstance(small, float) and isinstance(whole, float) and small < 0.1 < whole <= 1


def test_a_beginning_of_the_audit_is_a_random_sample(tmp_path: Path) -> None:
    """Whoever stops half way has not seen those with the highest scores, or the first ones of a folder."""
    wishes = Wishes(audit_low=1.0, audit_high=0.0, policy=Policy((0.5,), ("allow", "block")))
    with new_store(tmp_path, rows_of(np.linspace(0.001, 0.499, 400).tolist(), tmp_path), wishes) as store:
        label_next(store, ANNA, "sfw", 100)
        scores = np.array(column(store, "SELECT score FROM item WHERE given = 1"))
        assert abs(scores.mean() - 0.25) < 3 * 0.144 / np.sqrt(100)


def test_new_rows_are_chosen_by_the_same_rule(tmp_path: Path) -> None:
    """Those that were there before stay as they were."""
    all_rows = rows(2000)
    with new_store(tmp_path, all_rows[:1000], AUDIT) as store:
        before = asked(store)
        add_rows(store, write_rows(tmp_path / "more.jsonl", all_rows))
        assert before < asked(store)
    (tmp_path / "at once").mkdir()
    with new_store(tmp_path / "at once", all_rows, AUDIT) as at_once, new_store_again(tmp_path) as store:
        assert asked(at_once) == asked(store)


def new_store_again(folder: Path) -> Store:
    """The store that is there."""
    from open_nsfw.review.store import open_store

    return open_store(str(folder / "review.sqlite"))


def test_the_design_is_kept(tmp_path: Path) -> None:
    """A run that says nothing of it has it as before; a label that was given cannot go."""
    policy = Policy((0.3, 0.6), ("go", "look", "stop"))
    with new_store(
        tmp_path, rows_of([0.4], tmp_path), Wishes(policy=policy, labels=("ok", "bad"), second=0.5)
    ) as store:
        label_next(store, ANNA, "bad")
        again(store, Wishes())
        with store.reading() as connection:
            design = design_in(connection)
        assert (design.policy, design.labels, design.second) == (policy, ("ok", "bad"), 0.5)
        with pytest.raises(
            UsageError, match="--labels: pictures of this store are labelled 'bad', so it must be among"
        ):
            again(store, Wishes(labels=("ok", "worse")))
