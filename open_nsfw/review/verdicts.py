"""What people decided in the end about each picture, with the weight that it has among all.

A picture's weight is how many pictures of the store it stands for: one over the probability with which it was asked for,
times what makes up for those that were asked for and have no decision yet, as a weighting class adjustment (Kalton and
Flores-Cervantes, Weighting methods, Journal of Official Statistics 2003) within pictures of the same band and probability.
In `audit` and `calibration` whatever is decided so far is a random sample, so that costs width and no bias; of `undecided`
those next to a threshold come first, so as long as it is not done, the pictures that stand for the rest differ from them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from open_nsfw.review.item import COLUMNS, Item, item_of
from open_nsfw.review.sampling import UNDECIDED


@dataclass(frozen=True)
class Verdict:
    """The decision about one picture."""

    item: Item
    label: str
    people: str
    """Who gave it, joined by commas."""
    weight: float
    """How many pictures of the store it stands for."""
    model: str
    engine: str
    group: str | None
    """What it has in common with its look-alikes."""


@dataclass(frozen=True)
class Verdicts:
    """All decisions, and what has none."""

    decided: list[Verdict]
    disagreements: int
    """Pictures with two labels, which nobody settled."""
    open: int
    """Pictures that were asked for and have no decision."""
    open_undecided: int
    """Of those, the ones that the policy left to people."""


_DECIDED = f"""
SELECT {", ".join("item." + name for name in COLUMNS.split(", "))}, engine, model, leader,
  coalesce(settled.label, min(opinion.label)) AS final,
  settled.label IS NULL AND count(DISTINCT opinion.label) > 1 AS disagreed,
  group_concat(opinion.person, ', ') AS people
FROM item JOIN opinion ON opinion.item = item.id AND opinion.label <> '' LEFT JOIN settled ON settled.item = item.id
GROUP BY item.id ORDER BY item.id"""


def verdicts(connection: sqlite3.Connection) -> Verdicts:
    """The decisions of the store as they stand."""
    rows = connection.execute(_DECIDED).fetchall()
    agreed = [row for row in rows if not row["disagreed"]]
    factors = _factors(connection, agreed)
    asked = connection.execute("SELECT count(*), sum(queue = ?) FROM item WHERE asked = 1", (UNDECIDED,)).fetchone()
    undecided = sum(row["queue"] == UNDECIDED for row in rows)
    return Verdicts(
        [_verdict(row, factors) for row in agreed],
        len(rows) - len(agreed),
        int(asked[0]) - len(rows),
        int(asked[1] or 0) - undecided,
    )


_Cell = tuple[int, float]  # band, probability


def _factors(connection: sqlite3.Connection, agreed: list[sqlite3.Row]) -> dict[_Cell, float]:
    """Asked for over decided, in each band at each probability."""
    asked = connection.execute(
        "SELECT band, probability, count(*) FROM item WHERE asked = 1 GROUP BY band, probability"
    )
    decided: dict[_Cell, int] = {}
    for row in agreed:
        cell = (row["band"], row["probability"])
        decided[cell] = decided.get(cell, 0) + 1
    return {(band, p): count / decided[band, p] for band, p, count in asked if (band, p) in decided}


def _verdict(row: sqlite3.Row, factors: dict[_Cell, float]) -> Verdict:
    item = item_of(row)
    weight = factors[row["band"], row["probability"]] / item.probability
    group = None if row["leader"] is None else f"look-alikes of {row['leader']}"
    return Verdict(item, row["final"], row["people"], weight, row["model"], row["engine"], group)
