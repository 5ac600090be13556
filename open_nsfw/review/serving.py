"""Who gets which picture next: in the order of asking, none to two people at once, and how much is left."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from open_nsfw.review.item import COLUMNS, Item, item_of
from open_nsfw.review.log import Person
from open_nsfw.review.options import DeskOptions
from open_nsfw.review.store import Store

# Wanted, and there: the condition of the index item_open, which SQLite takes only where it stands word by word.
_WANTED = "asked = 1 AND given < wanted AND place_on_disk IS NOT NULL"
_SHOWN = "(leader IS NULL OR leader = id)"  # not behind a look-alike
# Open to a person: also without an opinion of theirs.
_OPEN = f"""{_WANTED} AND {_SHOWN}
  AND NOT EXISTS (SELECT 1 FROM opinion WHERE opinion.item = item.id AND person = :person AND (label <> '' OR :skipped = 0))"""
_FREE = "AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.item = item.id AND holder <> :holder AND until > :now)"


@dataclass(frozen=True)
class Wanted:
    """What a person wants to see."""

    count: int = 1
    queue: str = ""
    """`undecided`, `audit` or `calibration`; empty: all."""
    skipped: bool = False
    """Also what this person has skipped."""


@dataclass(frozen=True)
class Left:
    """How much there is to do for a person."""

    open: int
    skipped: int
    """Of those that are not decided, how many this person has skipped."""
    others: int
    """How many others have in hand just now."""


def next_items(
    store: Store, person: Person, wanted: Wanted, lease_seconds: float = DeskOptions.lease_seconds
) -> list[Item]:
    """The next pictures for a person: those that they have in hand already first. They are kept for them for a while."""
    now = time.time()
    values = {"person": person.name, "holder": person.holder, "now": now, "queue": wanted.queue}
    values |= {"skipped": int(wanted.skipped), "count": wanted.count}
    of_queue = "" if not wanted.queue else "AND queue = :queue"
    with store.writing(durable=False) as connection:
        held = connection.execute(
            f"""SELECT {COLUMNS} FROM item WHERE {_OPEN} {of_queue}
            AND id IN (SELECT item FROM lease WHERE holder = :holder) ORDER BY place LIMIT :count""",
            values,
        ).fetchall()
        fresh: list[sqlite3.Row] = []
        if len(held) < wanted.count:
            fresh = connection.execute(
                f"""SELECT {COLUMNS} FROM item INDEXED BY item_open WHERE {_OPEN} {of_queue} {_FREE}
                AND id NOT IN (SELECT item FROM lease WHERE holder = :holder)
                ORDER BY place LIMIT :count - {len(held)}""",
                values,
            ).fetchall()
        items = [item_of(row) for row in [*held, *fresh]]
        connection.execute("DELETE FROM lease WHERE holder = ? OR until <= ?", (person.holder, now))
        connection.executemany(
            "INSERT INTO lease VALUES (?, ?, ?)", [(item.id, person.holder, now + lease_seconds) for item in items]
        )
    return items


def give_back(store: Store, holder: str) -> None:
    """End all leases of a session."""
    with store.writing(durable=False) as connection:
        connection.execute("DELETE FROM lease WHERE holder = ?", (holder,))


def take_in_hand(
    store: Store, person: Person, items: list[int], lease_seconds: float = DeskOptions.lease_seconds
) -> list[Item]:
    """Give a person these items, as after an undo, those that others have in hand excepted."""
    now, found = time.time(), []
    with store.writing(durable=False) as connection:
        for number in items:
            row = connection.execute(
                f"""SELECT {COLUMNS} FROM item WHERE id = :id AND {_SHOWN} {_FREE}""",
                {"id": number, "holder": person.holder, "now": now},
            ).fetchone()
            if row is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO lease VALUES (?, ?, ?)", (number, person.holder, now + lease_seconds)
                )
                found.append(item_of(row))
    return found


def left_for(store: Store, person: Person, queue: str = "") -> Left:
    """How much there is to do for a person. Counted from indexes, since the page asks for it with every picture."""
    values = {"person": person.name, "holder": person.holder, "now": time.time(), "queue": queue}
    of_queue = "" if not queue else "AND item.queue = :queue"
    with store.reading() as connection:

        def count(condition: str) -> int:
            return int(connection.execute(f"SELECT count(*) FROM {condition} {of_queue}", values).fetchone()[0])

        wanted = count(f"item INDEXED BY item_open WHERE {_WANTED} AND {_SHOWN}")
        own = count(
            f"""item INDEXED BY item_half WHERE {_WANTED} AND given > 0 AND {_SHOWN}
            AND EXISTS (SELECT 1 FROM opinion WHERE opinion.item = item.id AND person = :person AND label <> '')"""
        )
        skipped = count(
            f"""opinion INDEXED BY opinion_skip CROSS JOIN item ON item.id = opinion.item
            WHERE person = :person AND label = '' AND {_WANTED} AND {_SHOWN}"""
        )
        others = count("lease JOIN item ON item.id = lease.item WHERE holder <> :holder AND until > :now")
    return Left(wanted - own - skipped, skipped, others)


def left_in_queues(store: Store) -> dict[str, int]:
    """Queue -> how many pictures of it are to be decided and can be shown; without those that have none."""
    with store.reading() as connection:
        return dict(
            connection.execute(
                f"SELECT queue, count(*) FROM item INDEXED BY item_open WHERE {_WANTED} AND {_SHOWN} GROUP BY queue"
            )
        )


def item_by_id(store: Store, number: int) -> Item | None:
    """The item of this number."""
    with store.reading() as connection:
        row = connection.execute(f"SELECT {COLUMNS} FROM item WHERE id = ?", (number,)).fetchone()
    return None if row is None else item_of(row)
