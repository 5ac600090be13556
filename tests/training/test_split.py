"""No group is on both sides."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from open_nsfw.calibration.labelled_set import Example
from open_nsfw.errors import UsageError
from open_nsfw.training.split import find_groups, split


def features(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """float32 (count, 64), no two alike."""
    return np.random.default_rng(seed).exponential(size=(count, 64)).astype(np.float32)


def example(number: int, nsfw: bool = False, **fields: str) -> Example:
    """A picture."""
    return Example(0.5, nsfw, **{"path": f"{number}.jpg", **fields})


def test_every_picture_is_on_one_side_once() -> None:
    """Test and rest, and within the rest the folds."""
    nsfw = np.arange(100) % 3 == 0
    parts = split([example(number, bool(each)) for number, each in enumerate(nsfw)], features(100), nsfw, [], "auto", 0)
    assert sorted([*parts.test, *parts.rest]) == list(range(100))
    assert sorted(np.concatenate([held_out for _, held_out in parts.folds])) == list(range(len(parts.rest)))
    for learnt, held_out in parts.folds:
        assert sorted([*learnt, *held_out]) == list(range(len(parts.rest)))
    assert len(parts.test) == 20


def test_near_duplicates_stay_together() -> None:
    """Features that differ from the mean in almost the same way, whatever all pictures have in common."""
    values = features(40)
    values[7] = values[3] + 0.1 * values[4]
    values[21] = values[5] + 0.1 * values[6]
    values += 100  # as of a net whose features hardly vary
    numbers = find_groups([example(number) for number in range(40)], values, [], "none")
    assert numbers[7] == numbers[3]
    assert numbers[21] == numbers[5]
    assert len(np.unique(numbers)) == 38


def test_a_film_of_many_frames_takes_little_memory() -> None:
    """All pairs of 6,000 alike pictures would take 576 MB."""
    values = np.ones((6000, 4), np.float32)
    values[0] = 2  # or there would be no deviation
    tracemalloc.start()
    numbers = find_groups([example(number) for number in range(6000)], values, [], "none")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(np.unique(numbers)) == 2
    assert peak < 300e6


def test_a_group_is_never_on_both_sides() -> None:
    """Whatever the seed: archives, the column, and likeness."""
    nsfw = np.arange(120) % 2 == 0
    values = features(120)
    values[60:] = values[:60]  # copies, half a set away
    examples = [
        example(number, bool(each), path=f"{number % 60 // 3}.zip", member=str(number))
        if number < 30
        else example(number, bool(each), group=f"film {number % 60 // 2}")
        for number, each in enumerate(nsfw)
    ]
    for seed in range(20):
        parts = split(examples, values, nsfw, [], "auto", seed)
        assert not set(parts.groups[parts.test]) & set(parts.groups[parts.rest])
        for learnt, held_out in parts.folds:
            assert not set(parts.groups[parts.rest[learnt]]) & set(parts.groups[parts.rest[held_out]])
    alike = np.corrcoef((values - values.mean(0)) / values.std(0)) >= 0.9
    assert (parts.groups[:, np.newaxis] == parts.groups)[alike].all()


def test_same_seed_same_split() -> None:
    """And another one for another seed."""
    nsfw = np.arange(100) % 2 == 0
    examples = [example(number, bool(each)) for number, each in enumerate(nsfw)]
    tests = [split(examples, features(100), nsfw, [], "auto", seed).test.tolist() for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


@pytest.mark.parametrize("seed", [1996, 2833, 3084])
def test_a_fold_that_would_learn_from_one_class_alone(seed: int) -> None:
    """Few groups of very different sizes: refused where a fold is such a one, which depends on scikit-learn's version. It
    keeps both classes on the test side only."""
    random = np.random.default_rng(seed)
    count, share = int(random.integers(40, 120)), random.choice([0.2, 0.35, 0.5, 0.65])
    nsfw = random.random(count) < share
    sfw_groups, nsfw_groups = int(random.integers(1, 8)), int(random.integers(1, 8))
    sfw_sizes = random.dirichlet(np.ones(sfw_groups) * random.choice([0.2, 1, 5]))
    nsfw_sizes = random.dirichlet(np.ones(nsfw_groups) * random.choice([0.2, 1, 5]))
    of_nsfw = random.choice(nsfw_groups, count, p=nsfw_sizes)
    groups = np.where(nsfw, of_nsfw, random.choice(sfw_groups, count, p=sfw_sizes))
    examples = [example(number, bool(each), group=str(group)) for number, (each, group) in enumerate(zip(nsfw, groups))]
    try:
        parts = split(examples, features(count), nsfw, [], "column", seed)
    except UsageError as error:
        assert "too few or too unequal to be split" in str(error)
        return
    assert all(np.bincount(nsfw[parts.rest[learnt]], minlength=2).min() >= 2 for learnt, _ in parts.folds)


@pytest.mark.parametrize("alone", [(), (0,), (0, 39), (0, 1, 2, 39)])
def test_too_few_groups(alone: tuple[int, ...]) -> None:
    """Two groups, most pictures in one of them: one line that says what to do."""
    nsfw = np.arange(40) < 20
    examples = [example(number, bool(each), group=str(number in alone)) for number, each in enumerate(nsfw)]
    with pytest.raises(UsageError) as caught:
        split(examples, features(40), nsfw, [], "column", 0)
    assert str(caught.value) == (
        f"the 40 pictures come from {2 if alone else 1} groups, too few or too unequal to be split so that no group is on "
        "both sides; label pictures from more sources"
    )
