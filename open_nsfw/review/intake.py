"""Pictures with scores -> items of the store: what is new is added, what moved is recognized by its content.

A file that was read before and has not changed since is not read again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from open_nsfw.review.inputs import Found, Rows
from open_nsfw.review.item import text_in, text_out, values_of
from open_nsfw.review.sampling import number_of
from open_nsfw.review.store import Store

ITEMS_AT_ONCE = 5000  # in a transaction, between which another process has its turn


@dataclass
class Taken:
    """What became of the rows."""

    added: int = 0
    known: int = 0
    moved: int = 0
    """Known by their content, under another name than before."""
    same: int = 0
    """With the content of another one, which stands for both."""
    rescored: int = 0
    """Known, and with another score now."""
    without: int = 0
    """Rows that have no score, so that there is no picture to show."""
    unchanged: bool = False
    """The file is the one that was read before."""

    @property
    def changes(self) -> bool:
        """Whether the store has to choose anew what it asks for."""
        return bool(self.added or self.rescored)


def take_in(store: Store, rows: Rows) -> Taken:
    """Add what is new. Raises UsageError if the file holds anything but rows, OutputError if the store cannot be written."""
    status = os.stat(rows.path)
    key = (text_out(os.path.abspath(rows.path)), status.st_size, status.st_mtime)
    taken = Taken()
    with store.reading() as connection:
        known = connection.execute("SELECT * FROM source WHERE path = ?", key[:1]).fetchone()
        taken.unchanged = known is not None and tuple(known) == key
    if taken.unchanged:
        return taken
    found = iter(rows)
    while batch := list(islice(found, ITEMS_AT_ONCE)):
        with store.writing() as connection:
            _add(connection, batch, rows.bases, taken)
    with store.writing() as connection:
        connection.execute("INSERT OR REPLACE INTO source VALUES (?, ?, ?)", key)
    return taken


def _add(connection: sqlite3.Connection, batch: Iterable[Found], bases: tuple[str, ...], taken: Taken) -> None:
    for each in batch:
        if each.row.score is None:
            taken.without += 1
            continue
        values = values_of(each.row, each.frames, on_disk(each.row.path, bases), number_of(each.row))
        known = _known(connection, values)
        if known is not None:
            taken.known += 1
            taken.rescored += _refresh(connection, known, values)
        elif not _same_content(connection, values, taken):
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            connection.execute(f"INSERT INTO item ({names}) VALUES ({marks})", values)
            taken.added += 1


def on_disk(path: str, bases: tuple[str, ...]) -> str | None:
    """Where the file is, absolute: `path` seen from one of `bases`; None if it is not there."""
    places = (os.path.join(base, path) for base in bases)
    return next((place for place in places if os.path.exists(place)), None)


def _known(connection: sqlite3.Connection, values: dict[str, object]) -> sqlite3.Row | None:
    """The item of this name and, as far as anybody knows, of this content."""
    rows = connection.execute(
        "SELECT id, sha256, score, model, place_on_disk FROM item WHERE path = :path AND member = :member", values
    )
    return next((row for row in rows if values["sha256"] is None or row["sha256"] in (None, values["sha256"])), None)


def _refresh(connection: sqlite3.Connection, known: sqlite3.Row, values: dict[str, object]) -> int:
    """Note what the row knows better; 1 if its score is another one."""
    names = ["score", "engine", "model", "frames", "frame_choice"]
    names += ["sha256"] if values["sha256"] is not None else []
    names += ["place_on_disk"] if values["place_on_disk"] is not None else []
    changes = ", ".join(f"{name} = :{name}" for name in names)
    rescored = (known["score"], known["model"]) != (values["score"], values["model"])
    if rescored or any(name in names and known[name] != values[name] for name in ("sha256", "place_on_disk")):
        connection.execute(f"UPDATE item SET {changes} WHERE id = :id", {**values, "id": known["id"]})
    return int(rescored)


def _same_content(connection: sqlite3.Connection, values: dict[str, object], taken: Taken) -> bool:
    """Whether the store has this content under another name; if no file is there under that any more, it has moved."""
    row = connection.execute(
        "SELECT id, place_on_disk FROM item WHERE sha256 = :sha256 ORDER BY place_on_disk IS NULL", values
    ).fetchone()
    if row is None:
        return False
    place = text_in(row["place_on_disk"])
    if place is not None and os.path.exists(place):
        taken.same += 1
    else:
        taken.moved += 1
        connection.execute(
            "UPDATE item SET path = :path, member = :member, place_on_disk = :place_on_disk WHERE id = :id",
            {**values, "id": row["id"]},
        )
    return True
