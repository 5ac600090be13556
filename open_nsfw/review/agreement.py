"""Do people agree? Cohen's kappa with its interval, and the pictures that they disagree about.

Kappa is (Cohen, Educational and Psychological Measurement 1960) the agreement beyond chance, as a share of what there could
be; its large-sample standard error is that of Fleiss, Cohen and Everitt (Psychological Bulletin 1969). That is 0 where all
pairs agree; the interval is then the exact one of their agreement, chance being as it was found.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from open_nsfw.calibration.rates import Rate, rate
from open_nsfw.review.item import COLUMNS, Item, item_of
from open_nsfw.review.log import notes_of

LEAST_VARIANCE = 1e-12  # below lies only rounding


@dataclass(frozen=True)
class Agreement:
    """How two opinions about the same pictures go together."""

    first: str
    """Whose opinions; empty: of whoever gave the first one."""
    second: str
    pairs: int
    agreed: Rate
    """The share of the pairs that are the same."""
    kappa: Rate
    """-1 to 1; `value` is None where chance alone explains everything, as with a single label."""


@dataclass(frozen=True)
class Disagreement:
    """A picture about which people differ and nobody has settled it."""

    item: Item
    opinions: tuple[tuple[str, str], ...]
    """(person, label)"""
    notes: tuple[tuple[str, str], ...]
    """(person, note)"""


def agreements(connection: sqlite3.Connection, confidence: float) -> list[Agreement]:
    """Of the first and the second opinion over all pictures that have two, and of each two people; none without pairs."""
    rows = connection.execute(
        """SELECT item, person, label FROM opinion WHERE label <> ''
        AND item IN (SELECT item FROM opinion WHERE label <> '' GROUP BY item HAVING count(*) > 1) ORDER BY item, entry"""
    ).fetchall()
    by_item: dict[int, list[tuple[str, str]]] = {}
    for row in rows:
        by_item.setdefault(row["item"], []).append((row["person"], row["label"]))
    if not by_item:
        return []
    found = [agreement([(each[0][1], each[1][1]) for each in by_item.values()], "", "", confidence)]
    people = sorted({person for each in by_item.values() for person, _ in each})
    for at, first in enumerate(people):
        for second in people[at + 1 :]:
            both = [dict(each) for each in by_item.values() if {first, second} <= dict(each).keys()]
            if both:
                found.append(agreement([(each[first], each[second]) for each in both], first, second, confidence))
    return found


def agreement(pairs: Sequence[tuple[str, str]], first: str, second: str, confidence: float) -> Agreement:
    """The agreement of pairs of labels, at least one."""
    same = sum(one == other for one, other in pairs)
    return Agreement(
        first, second, len(pairs), rate(same, len(pairs), confidence), cohen_kappa(_table(pairs), confidence)
    )


def _table(pairs: Sequence[tuple[str, str]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """float64 (K, K): how often the first said the row's label and the second the column's."""
    labels = sorted({label for pair in pairs for label in pair})
    number = {label: at for at, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)))
    for one, other in pairs:
        table[number[one], number[other]] += 1
    return table


def cohen_kappa(table: np.ndarray[tuple[int, ...], np.dtype[np.float64]], confidence: float) -> Rate:
    """Kappa of a table of counts, float64 (K, K), at least one in all, with its interval at `confidence`."""
    from scipy.special import ndtri

    total = float(table.sum())
    shares = table / total
    rows, columns = shares.sum(1), shares.sum(0)
    observed, chance = float(np.trace(shares)), float(rows @ columns)
    if chance >= 1:
        return Rate(None, -1.0, 1.0)
    kappa = (observed - chance) / (1 - chance)
    margins = rows[None, :] + columns[:, None]  # what the cell (i, j) has of column i and row j
    on = float((np.diag(shares) * (1 - np.diag(margins) * (1 - kappa)) ** 2).sum())
    off_diagonal = shares * margins**2
    off = (1 - kappa) ** 2 * float(off_diagonal.sum() - np.trace(off_diagonal))
    variance = (on + off - (kappa - chance * (1 - kappa)) ** 2) / (total * (1 - chance) ** 2)
    if variance < LEAST_VARIANCE:  # all agree, or nobody does: of how many pairs, the formula does not say
        exact = rate(round(observed * total), round(total), confidence)
        low, high = ((each - chance) / (1 - chance) for each in (exact.low, exact.high))
        return Rate(kappa, max(low, -1.0), high)
    half = float(ndtri((1 + confidence) / 2)) * math.sqrt(variance)
    return Rate(kappa, max(kappa - half, -1.0), min(kappa + half, 1.0))


def disagreements(connection: sqlite3.Connection, most: int = 1000) -> list[Disagreement]:
    """Those that are not settled, those whose score is in the middle first."""
    rows = connection.execute(
        f"""SELECT {COLUMNS} FROM item WHERE id IN
        (SELECT item FROM opinion WHERE label <> '' GROUP BY item HAVING count(DISTINCT label) > 1)
        AND id NOT IN (SELECT item FROM settled) ORDER BY abs(score - 0.5), id LIMIT ?""",
        (most,),
    ).fetchall()
    items = [item_of(row) for row in rows]
    notes = notes_of(connection, [item.id for item in items])
    return [Disagreement(item, _opinions(connection, item.id), tuple(notes[item.id])) for item in items]


def _opinions(connection: sqlite3.Connection, item: int) -> tuple[tuple[str, str], ...]:
    rows = connection.execute(
        "SELECT person, label FROM opinion WHERE item = ? AND label <> '' ORDER BY entry", (item,)
    )
    return tuple((row["person"], row["label"]) for row in rows)
