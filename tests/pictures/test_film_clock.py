"""Which frames of a film are scored, for clocks of every kind."""

from __future__ import annotations

from fractions import Fraction

import pytest

from open_nsfw.pictures.film_clock import Clock, Sampler

USUAL = Fraction(1, 25)


def taken(times: list[Fraction | None], every: Fraction = Fraction(1), longest: int = 3600) -> list[int]:
    """The numbers of the frames that are due, of frames at `times`."""
    clock, sampler = Clock(USUAL, Fraction(longest)), Sampler(every, Fraction(0))
    return [number for number, time in enumerate(times) if sampler.is_due(clock.tick(time))]


def even(count: int, start: Fraction = Fraction(0), step: Fraction = USUAL) -> list[Fraction | None]:
    """So many times, a step apart."""
    return [start + index * step for index in range(count)]


@pytest.mark.parametrize("start", [0, -100, 10**9, Fraction(7, 90000)])
def test_where_the_clock_begins_is_no_matter(start: int) -> None:
    """Broadcasts begin anywhere, and some films before zero."""
    assert taken(even(76, Fraction(start))) == [0, 25, 50, 75]


@pytest.mark.parametrize("starts", [(0, 0), (0, 0, 0, 0), (50, 10, 90, -70), (0, 5, 0, 5), (-3, -3), (10, 9, 8, 7, 6)])
@pytest.mark.parametrize("count", [10, 25, 40, 100])
def test_a_clock_that_starts_again(starts: tuple[int, ...], count: int) -> None:
    """A frame a second of all parts, as if the clock had gone on, however short the parts are."""
    times = [time for start in starts for time in even(count, Fraction(start))]
    clock, sampler = Clock(USUAL, Fraction(10)), Sampler(Fraction(1), Fraction(0))
    due = [number for number, time in enumerate(times) if sampler.is_due(clock.tick(time))]
    assert max(after - before for before, after in zip([-1, *due], [*due, len(times)])) <= 26


@pytest.mark.parametrize("wrong", [10**12, -(10**12), Fraction(10**15, 7)])
def test_one_time_that_is_far_away(wrong: int) -> None:
    """It neither stops the choice of frames nor adds any."""
    times = even(200)
    times[60] = Fraction(wrong)
    assert taken(times) == [0, 25, 50, 75, 100, 125, 150, 175]


def test_times_that_are_all_far_away() -> None:
    """Every step is impossible, so frames count as usual ones."""
    times: list[Fraction | None] = [Fraction((-1) ** index * index * 10**6) for index in range(200)]
    assert taken(times) == [0, 25, 50, 75, 100, 125, 150, 175]


def test_a_clock_that_stands_still_or_is_not_there() -> None:
    """Frames count as usual ones."""
    assert taken([Fraction(3)] * 60) == taken([None] * 60) == [0, 25, 50]


def test_a_clock_that_hardly_moves() -> None:
    """At most 240 frames are taken for a second."""
    assert taken(even(700, step=Fraction(1, 10**6))) == [0, 240, 480]


def test_a_pause_is_kept() -> None:
    """Three seconds on one picture are no reason for three rows."""
    assert taken([Fraction(tenth, 10) for tenth in (0, 2, 4, 34, 36, 38, 42)]) == [0, 3, 6]


@pytest.mark.parametrize(("every", "expected"), [("0.2", 20), ("0.04", 100), ("0.1", 40), ("0.3", 14), ("1", 4)])
def test_no_frame_is_doubled_or_missed_by_rounding(every: str, expected: int) -> None:
    """With exact fractions, four seconds of 25 frames have 20 fifths."""
    assert len(taken(even(100), Fraction(every))) == expected


def test_times_that_the_container_rounded() -> None:
    """24 frames a second in whole milliseconds, and a frame wanted every 1/24 s: all of them, each once."""
    clock, sampler = Clock(Fraction(1, 24), Fraction(10)), Sampler(Fraction(1, 24), Fraction(1, 2000))
    times = [Fraction(round(index * 1000 / 24), 1000) for index in range(240)]
    assert [number for number, time in enumerate(times) if not sampler.is_due(clock.tick(time))] == []
