"""What people are told of a scan: the bands of the summary, and its counts."""

from __future__ import annotations

import re

import pytest

from open_nsfw.cli.reporter import Bands, Reporter, Tally
from open_nsfw.rows.row import Row


@pytest.mark.parametrize(
    ("thresholds", "names"),
    [
        ((0.2, 0.8), ("below 0.2", "in the middle", "at 0.8 or above")),
        ((0.5,), ("below 0.5", "at 0.5 or above")),
        ((0.1, 0.5, 0.9), ("below 0.1", "from 0.1 to 0.5", "from 0.5 to 0.9", "at 0.9 or above")),
    ],
)
def test_names_of_bands(thresholds: tuple[float, ...], names: tuple[str, ...]) -> None:
    """After their thresholds."""
    assert Bands.between(thresholds) == Bands(thresholds, names)


def test_a_score_at_a_threshold_is_in_the_band_above() -> None:
    tally = Tally(Bands.between(), fail_above=0.8)
    for score in (0.0, 0.2, 0.79, 0.8, 1.0):
        tally.add([Row("a.jpg", score=score)])
    text = "5 scored (1 below 0.2, 2 in the middle, 2 at 0.8 or above), 2 at or above --fail-above 0.8, 0 failed; "
    assert tally.summary().startswith(text)
    assert (tally.scored, tally.failed, tally.too_high) == (5, 0, 2)


def test_frames_count_and_their_summary_does_not() -> None:
    """It would count the highest of them twice."""
    tally = Tally(Bands.between(), fail_above=0.5)
    for kind in ("frame", "frame", "summary"):
        tally.add([Row("a.gif", kind=kind, score=0.9)])
    tally.add([Row("b.gif", kind="summary", error="no-pictures: none")])
    assert (tally.scored, tally.failed, tally.too_high) == (2, 0, 2)


def test_all_that_a_summary_can_say() -> None:
    """In one line."""
    tally = Tally(Bands((0.5,), ("allow", "block")), fail_above=0.9, fast=True)
    tally.add_earlier([0.95, float("nan")])
    tally.add([Row("a.jpg", score=0.4, exact=True)])
    tally.add([Row("b.jpg", score=0.6, exact=False)])
    tally.add([Row("c.jpg", error="empty: the file is empty")])
    line = tally.summary(passed_over=1200, sorted_out="1 file moved by --move-above 0.9")
    assert re.fullmatch(
        r"3 scored \(1 allow, 2 block\), 1 scored twice, 1 at or above --fail-above 0\.9, 1 file moved by "
        r"--move-above 0\.9, 2 failed; 2 of them by earlier runs; [\d.]+ pictures/s; 1,200 other files passed over",
        line,
    )


@pytest.mark.parametrize("quiet", [False, True])
def test_quiet(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Leaves out failures and the summary."""
    reporter = Reporter("program", Tally(Bands.between()), quiet, single=False, count=lambda: None)
    reporter.add([Row("a.jpg", error="empty: the file is empty")])
    reporter.add([])
    reporter.close(passed_over=2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:1] == ([] if quiet else ["program: a.jpg: the file is empty"])
    assert len(lines) == (0 if quiet else 2)
    assert quiet or lines[1].endswith("; 3 other files passed over")
