"""What a review found: error rates of the automatic decisions, how much work it was, and whether people agree."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from open_nsfw.calibration.groups import numbered
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.rates import Rate, mixed_rate
from open_nsfw.calibration.sample import Sample
from open_nsfw.calibration.words import percent, shown
from open_nsfw.review.agreement import Agreement, Disagreement, agreements, disagreements
from open_nsfw.review.design import design_in
from open_nsfw.review.log import STANDS
from open_nsfw.review.store import Store
from open_nsfw.review.verdicts import Verdict, Verdicts, verdicts
from open_nsfw.text import printable

LONGEST_PAUSE = 300.0  # seconds; who takes longer over a picture was away
MOST_NAMED = 20  # disagreements in the text


@dataclass(frozen=True)
class BandReport:
    """One band of the policy."""

    name: str
    pictures: int
    """That are in the store."""
    asked: int
    """Of those, the ones that people are asked about."""
    decided: int
    nsfw: Rate
    """The share of the band's pictures that are nsfw, weighted."""


@dataclass(frozen=True)
class PersonReport:
    """One person's work."""

    name: str
    decided: int
    skipped: int
    undone: int
    seconds: float | None
    """The median time of a decision; None where nobody measured it."""


@dataclass(frozen=True)
class Report:
    """All of it."""

    bands: tuple[BandReport, ...]
    people: tuple[PersonReport, ...]
    found: Verdicts
    agreements: tuple[Agreement, ...]
    disagreements: tuple[Disagreement, ...]
    second_open: int
    """Pictures that have one opinion and are to get a second."""
    hours_left: float | None
    """For what is open, at the median time of all; None where nobody measured it."""


def report(store: Store, names: LabelNames, confidence: float) -> Report:
    """The report on a store as it stands. Raises OutputError."""
    with store.reading() as connection:
        found = verdicts(connection)
        people = _people(connection)
        seconds = [row[0] for row in connection.execute(_SECONDS)]
        second = connection.execute("SELECT count(*) FROM item WHERE asked = 1 AND given > 0 AND given < wanted")
        left = found.open + int(second.fetchone()[0])
        return Report(
            _bands(connection, found, names, confidence),
            people,
            found,
            tuple(agreements(connection, confidence)),
            tuple(disagreements(connection)),
            left - found.open,
            left * median(seconds) / 3600 if seconds else None,
        )


_SECONDS = f"SELECT seconds FROM log WHERE action = 'label' AND seconds <= {LONGEST_PAUSE} AND {STANDS} ORDER BY id"


def _bands(
    connection: sqlite3.Connection, found: Verdicts, names: LabelNames, confidence: float
) -> tuple[BandReport, ...]:
    policy = design_in(connection).policy
    counts = {
        row[0]: row[1:] for row in connection.execute("SELECT band, count(*), sum(asked) FROM item GROUP BY band")
    }
    result = []
    for band, name in enumerate(policy.bands):
        inside = [each for each in found.decided if each.item.band == band]
        known = [each for each in inside if names.is_nsfw(each.label) is not None]
        pictures, asked = counts.get(band, (0, 0))
        result.append(BandReport(name, pictures, asked, len(inside), _nsfw_rate(known, names, confidence)))
    return tuple(result)


def _nsfw_rate(decided: list[Verdict], names: LabelNames, confidence: float) -> Rate:
    """The weighted share of nsfw among these decisions; pictures that look alike were decided together, so they tell less."""
    nsfw = np.array([bool(names.is_nsfw(each.label)) for each in decided], dtype=bool)
    weights = np.array([each.weight for each in decided], dtype=np.float64)
    scores = np.array([each.item.score for each in decided], dtype=np.float64)
    sample = Sample(scores, nsfw, numbered([each.group for each in decided]), weights)
    return mixed_rate(sample, np.ones(len(nsfw), dtype=bool), nsfw, confidence)


def _people(connection: sqlite3.Connection) -> tuple[PersonReport, ...]:
    rows = connection.execute(
        f"""SELECT person, sum(action = 'label' AND {STANDS}) AS decided, sum(action = 'skip' AND {STANDS}) AS skipped,
        sum(action = 'undo') AS undone FROM log GROUP BY person ORDER BY person"""
    ).fetchall()
    times: dict[str, list[float]] = {}
    for person, seconds in connection.execute(_SECONDS.replace("SELECT seconds", "SELECT person, seconds")):
        times.setdefault(person, []).append(seconds)
    found = []
    for row in rows:
        own = times.get(row["person"])
        seconds = None if own is None else median(own)
        found.append(PersonReport(row["person"], row["decided"], row["skipped"], row["undone"], seconds))
    return tuple(found)


# --- in words ---


def text(result: Report, confidence: float) -> str:
    """The report for people."""
    lines = [*_band_lines(result), "", *_work_lines(result), "", *_agreement_lines(result)]
    return "\n".join(lines) + f"\nIntervals are {percent(confidence)} intervals.\n"


def _band_lines(result: Report) -> Iterator[str]:
    yield "nsfw pictures among those of each band, as people decided them, weighted:"
    last = len(result.bands) - 1
    for number, band in enumerate(result.bands):
        head = f"  {printable(band.name)}: {band.pictures:,} pictures, {band.decided:,} decided of {band.asked:,} asked for"
        if others := band.decided - (band.nsfw.of or 0):
            head += f", {others:,} of them with labels that neither --positive nor --negative names"
        if not band.nsfw.of:
            yield head
            continue
        yield f"{head}; nsfw {shown(band.nsfw)}"
        share = band.nsfw.value or 0.0
        if number == 0:
            yield f"    so about {_counted(share, band.nsfw.low, band.nsfw.high, band)} nsfw pictures were let through"
        elif number == last:
            safe = _counted(1 - share, 1 - band.nsfw.high, 1 - band.nsfw.low, band)
            yield f"    so about {safe} pictures were caught that are not nsfw"


def _counted(share: float, low: float, high: float, band: BandReport) -> str:
    """`3 (0 to 8)`: so many of a band's pictures."""
    return f"{share * band.pictures:,.0f} ({low * band.pictures:,.0f} to {high * band.pictures:,.0f})"


def _work_lines(result: Report) -> Iterator[str]:
    for each in result.people:
        time = "" if each.seconds is None else f", {each.seconds:.1f} s a decision (median)"
        yield f"{each.name}: {each.decided:,} decided, {each.skipped:,} skipped, {each.undone:,} undone{time}"
    left = "" if result.hours_left is None else f": about {result.hours_left:.1f} hours"
    yield f"still to do: {result.found.open:,} pictures, and {result.second_open:,} second opinions{left}"


def _agreement_lines(result: Report) -> Iterator[str]:
    if not result.agreements:
        yield "nobody has given a second opinion yet"
    # Of two people alone, the first and the second opinion are theirs.
    for each in result.agreements[1:] if len(result.agreements) == 2 else result.agreements:
        who = f"{each.first} and {each.second}" if each.first else "first and second opinion"
        kappa = each.kappa
        value = "cannot be told, with a single label" if kappa.value is None else _kappa(kappa)
        yield f"{who}: the same about {shown(each.agreed)} of {each.pairs:,} pictures; Cohen's kappa {value}"
    if result.disagreements:
        yield f"disagreements to settle, on the page under Disagreements: {len(result.disagreements):,}"
    for one in result.disagreements[:MOST_NAMED]:
        said = ", ".join(f"{person}: {label}" for person, label in one.opinions)
        yield f"  {printable(one.item.name)} ({said})"


def _kappa(kappa: Rate) -> str:
    return f"{kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f})"
