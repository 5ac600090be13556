"""Cohen's kappa, and who disagrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from open_nsfw.review.agreement import agreement, agreements, cohen_kappa, disagreements
from open_nsfw.review.design import Wishes
from open_nsfw.review.log import Decision, Person, decide
from tests.tools.review import ANNA, BEN, label_next, new_store, rows_of

metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed in this interpreter")


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_scikit_learns(seed: int) -> None:
    """Of two and of three labels."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 2 + seed % 2, 80)
    second = np.where(random.random(80) < 0.7, first, random.integers(0, 2 + seed % 2, 80))
    found = agreement(list(zip(map(str, first), map(str, second))), "a", "b", 0.95)
    assert found.kappa.value == pytest.approx(metrics.cohen_kappa_score(first, second))
    assert found.agreed.value == np.mean(first == second)


def test_the_interval_is_that_of_the_paper() -> None:
    """The example of Fleiss, Cohen and Everitt (1969): kappa 0.429, standard error 0.054 of 200 pairs."""
    table = np.array([[0.53, 0.05, 0.02], [0.11, 0.14, 0.05], [0.01, 0.06, 0.03]]) * 200
    found = cohen_kappa(table, 0.95)
    assert found.value == pytest.approx(0.429, abs=0.0005)
    assert (found.high - found.low) / 2 / 1.96 == pytest.approx(0.054, abs=0.0005)


def test_the_interval_covers() -> None:
    """The true kappa of two people who are right nine times of ten, in 95 % of 300 samples, give or take."""
    random = np.random.default_rng(0)
    agreed = 0.9**2 + 0.1**2
    truth = (agreed - 0.5) / 0.5
    covered = 0
    for _ in range(300):
        right = random.integers(0, 2, 100)
        first, second = (np.where(random.random(100) < 0.9, right, 1 - right) for _ in range(2))
        rate = agreement(list(zip(map(str, first), map(str, second))), "a", "b", 0.95).kappa
        covered += rate.low <= truth <= rate.high
    assert 270 <= covered <= 297


@pytest.mark.parametrize("seed", [1, -1])
def test_pairs_that_all_agree_or_all_differ_are_no_certainty(seed: int) -> None:
    """The formula's variance is 0 then; the interval is the exact one of the agreement, and tells few pairs from many."""
    widths = []
    for count in (4, 40, 400):
        pairs = [("sfw", "nsfw")[::each] for each in (1, -1)] * (count // 2)
        found = agreement([(one, one if seed > 0 else other) for one, other in pairs], "a", "b", 0.95)
        assert found.kappa.value == seed
        low, high = 2 * found.agreed.low - 1, 2 * found.agreed.high - 1  # chance alone would agree in half of them
        assert (found.kappa.low, found.kappa.high) == pytest.approx((low, high))
        widths.append(found.kappa.high - found.kappa.low)
    assert widths[0] > 1 > widths[1] > 0.1 > widths[2] > 0


def test_a_single_label_tells_nothing() -> None:
    """There is no agreement beyond chance where chance explains all."""
    assert agreement([("sfw", "sfw")] * 5, "a", "b", 0.95).kappa.value is None


def test_of_a_store(tmp_path: Path) -> None:
    """First and second opinions, each two people, and what is to be settled."""
    with new_store(tmp_path, rows_of([0.3, 0.4, 0.5, 0.6], tmp_path), Wishes(second=1.0)) as store:
        with store.reading() as connection:
            assert agreements(connection, 0.95) == []
        label_next(store, ANNA, "nsfw", 4)
        for label in ("nsfw", "sfw", "nsfw"):
            label_next(store, BEN, label)
        label_next(store, Person("Cleo", "browser 3"), "sfw")
        with store.reading() as connection:
            found = agreements(connection, 0.95)
            to_settle = disagreements(connection)
        assert [(each.first, each.second, each.pairs) for each in found] == [
            ("", "", 4),
            ("Anna", "Ben", 3),
            ("Anna", "Cleo", 1),
        ]
        assert found[1].agreed.count == 2
        assert len(to_settle) == 2
        assert {each.opinions[1] for each in to_settle} == {("Ben", "sfw"), ("Cleo", "sfw")}
        decide(store, ANNA, Decision(to_settle[0].item.id, "settle", "sfw"))
        with store.reading() as connection:
            assert [each.item.id for each in disagreements(connection)] == [to_settle[1].item.id]
