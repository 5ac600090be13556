"""The log of decisions: every entry is added, none is changed. What people think now follows from it.

An undo is an entry that names the entries it takes back; undoing again takes back the ones before those, without end.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from open_nsfw.errors import UsageError
from open_nsfw.review.design import design_in
from open_nsfw.review.store import Store

LONGEST_NOTE = 2000  # letters
LONGEST_NAME = 60  # letters of a person's name
STANDS = "NOT EXISTS (SELECT 1 FROM log AS later WHERE later.undoes = log.id)"  # in SQL: an entry was not undone
LABEL, SKIP, SETTLE, UNDO = "label", "skip", "settle", "undo"


class TakenError(UsageError):
    """Somebody else has the picture in hand."""


@dataclass(frozen=True)
class Person:
    """Who decides: the name that they gave themselves, and the browser's session."""

    name: str
    holder: str

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise UsageError(f"a name has 1 to {LONGEST_NAME} printable letters")


@dataclass(frozen=True)
class Decision:
    """What somebody decided about a picture."""

    item: int
    action: str
    """`label`, `skip` or `settle`."""
    label: str = ""
    note: str = ""
    seconds: float | None = None
    """From the picture's being shown to the decision."""
    batch: str = ""
    """A name for this decision, chosen by whoever sends it: sent twice, it is taken once."""


def decide(store: Store, person: Person, decision: Decision) -> list[int]:
    """Add a decision to the log, for look-alikes of the picture, too. The items that it is about.

    Raises TakenError if somebody else has the picture, UsageError for a label or an item that is not there.
    """
    batch = decision.batch or uuid.uuid4().hex
    with store.writing() as connection:
        done = [row[0] for row in connection.execute("SELECT item FROM log WHERE batch = ? ORDER BY id", (batch,))]
        if done:
            return done
        _check(connection, person, decision)
        items = [decision.item, *_followers(connection, decision, person)]
        for item in items:
            _add(connection, person, decision, item, batch)
            follow_log(connection, item, person.name)
        connection.execute("DELETE FROM lease WHERE item = ?", (decision.item,))
    return items


def undo(store: Store, person: Person, others: Collection[str] = ()) -> list[int]:
    """Take back what this person decided last, and is not taken back yet. The items that it was about; none if there is
    nothing left. What the sessions `others`, which go on beside this one under the same name, decided is not touched."""
    with store.writing() as connection:
        row = connection.execute(
            f"""SELECT batch FROM log WHERE person = ? AND action <> '{UNDO}'
            AND holder NOT IN ({", ".join("?" * len(others))})
            AND {STANDS} ORDER BY id DESC LIMIT 1""",
            (person.name, *others),
        ).fetchone()
        if row is None:
            return []
        entries = connection.execute("SELECT id, item FROM log WHERE batch = ? ORDER BY id", (row["batch"],)).fetchall()
        batch = uuid.uuid4().hex
        for entry in entries:
            connection.execute(
                "INSERT INTO log (at, person, holder, action, item, batch, undoes) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (time.time(), person.name, person.holder, UNDO, entry["item"], batch, entry["id"]),
            )
            follow_log(connection, entry["item"], person.name)
    return [entry["item"] for entry in entries]


def _check(connection: sqlite3.Connection, person: Person, decision: Decision) -> None:
    row = connection.execute("SELECT asked FROM item WHERE id = ?", (decision.item,)).fetchone()
    if row is None:
        raise UsageError(f"there is no picture of number {decision.item}")
    if not row["asked"]:  # it would have no weight
        raise UsageError(f"nobody is asked about the picture of number {decision.item}")
    if decision.action not in (LABEL, SKIP, SETTLE):
        raise UsageError(f"a decision is a label, a skip or a settlement, not '{decision.action}'")
    labels = design_in(connection).labels
    if decision.action != SKIP and decision.label not in labels:
        raise UsageError(f"there is no label '{decision.label}'; there is {', '.join(labels)}")
    if len(decision.note) > LONGEST_NOTE:
        raise UsageError(f"a note has at most {LONGEST_NOTE:,} letters")
    lease = connection.execute("SELECT holder, until FROM lease WHERE item = ?", (decision.item,)).fetchone()
    if lease is not None and lease["holder"] != person.holder and lease["until"] > time.time():
        raise TakenError("somebody else has this picture in hand now")


def _followers(connection: sqlite3.Connection, decision: Decision, person: Person) -> list[int]:
    """The items that look like the one decided, stand behind it, and have no opinion of this person yet."""
    if decision.action == SETTLE:
        return []
    rows = connection.execute(
        """SELECT id FROM item WHERE leader = ? AND id <> ? AND asked = 1
        AND NOT EXISTS (SELECT 1 FROM opinion WHERE opinion.item = item.id AND person = ?) ORDER BY id""",
        (decision.item, decision.item, person.name),
    )
    return [row[0] for row in rows]


def _add(connection: sqlite3.Connection, person: Person, decision: Decision, item: int, batch: str) -> None:
    label = "" if decision.action == SKIP else decision.label
    connection.execute(
        """INSERT INTO log (at, person, holder, action, item, label, note, seconds, batch)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            *(time.time(), person.name, person.holder, decision.action, item, label),
            *(decision.note, decision.seconds, batch),
        ),
    )


# --- what follows from the log ---


def follow_log(connection: sqlite3.Connection, item: int, person: str) -> None:
    """Make what is known of an item follow from the log again, where this person's entries may have changed it."""
    connection.execute("DELETE FROM opinion WHERE item = ? AND person = ?", (item, person))
    connection.execute(
        f"""INSERT INTO opinion SELECT item, person, label, id FROM log WHERE item = ? AND person = ?
        AND action IN ('{LABEL}', '{SKIP}') AND {STANDS} ORDER BY id DESC LIMIT 1""",
        (item, person),
    )
    connection.execute("DELETE FROM settled WHERE item = ?", (item,))
    connection.execute(
        f"""INSERT INTO settled SELECT item, label, id FROM log
        WHERE item = ? AND action = '{SETTLE}' AND {STANDS} ORDER BY id DESC LIMIT 1""",
        (item,),
    )
    connection.execute(
        "UPDATE item SET given = (SELECT count(*) FROM opinion WHERE opinion.item = item.id AND label <> '') WHERE id = ?",
        (item,),
    )


def notes_of(connection: sqlite3.Connection, items: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    """(person, note) of these items, of entries that stand, in the order of the log."""
    found: dict[int, list[tuple[str, str]]] = {}
    for item in items:
        rows = connection.execute(
            f"SELECT person, note FROM log WHERE item = ? AND note <> '' AND {STANDS} ORDER BY id", (item,)
        )
        found[item] = [(row["person"], row["note"]) for row in rows]
    return found
