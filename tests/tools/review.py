"""Rows and stores for the tests of reviewing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from open_nsfw.review.design import Wishes, settle_design
from open_nsfw.review.inputs import Rows
from open_nsfw.review.intake import Taken, take_in
from open_nsfw.review.log import Decision, Person, decide, follow_log
from open_nsfw.review.sampling import choose
from open_nsfw.review.serving import Wanted, next_items
from open_nsfw.review.store import Store, open_store
from open_nsfw.rows.lines import json_line
from open_nsfw.rows.row import Row

AS_BEFORE = Wishes()
ANNA, BEN = Person("Anna", "browser 1"), Person("Ben", "browser 2")


def rows_of(scores: Sequence[float], folder: Path, hashed: bool = True) -> list[Row]:
    """A row for each score, about files that are empty but there."""
    rows = []
    for number, score in enumerate(scores):
        path = folder / f"{number:06}.jpg"
        path.touch()
        digest = hashlib.sha256(str(number).encode()).hexdigest() if hashed else None
        rows.append(
            Row(str(path), score=float(score), exact=True, bytes=0, sha256=digest, engine="onnxruntime", model="m")
        )
    return rows


def spread_scores(count: int, seed: int = 0) -> list[float]:
    """Scores as traffic has them: most near 0, some near 1, few between."""
    random = np.random.default_rng(seed)
    nsfw = random.random(count) < 0.2
    logits = np.where(nsfw, 2.5, -3.0) + 1.5 * random.normal(size=count)
    scores: list[float] = (1 / (1 + np.exp(-logits))).tolist()
    return scores


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """JSON lines, as the command writes them."""
    path.write_bytes(b"".join(map(json_line, rows)))
    return path


def add_rows(store: Store, path: Path, wishes: Wishes = AS_BEFORE) -> Taken:
    """Take in a file of rows, and choose who is asked for."""
    taken = take_in(store, Rows(str(path), (str(path.parent),)))
    with store.writing() as connection:
        design, _ = settle_design(connection, wishes)
        choose(connection, design)
    return taken


def new_store(folder: Path, rows: Sequence[Row], wishes: Wishes = AS_BEFORE) -> Store:
    """A store of these rows in `folder`."""
    store = open_store(str(folder / "review.sqlite"), create=True)
    add_rows(store, write_rows(folder / "rows.jsonl", rows), wishes)
    return store


def label_next(store: Store, person: Person, label: str, count: int = 1) -> list[int]:
    """Decide about the next pictures of a person, one after the other; the items."""
    done = []
    for _ in range(count):
        (item,) = next_items(store, person, Wanted())
        done += decide(store, person, Decision(item.id, "label", label, seconds=1.0))
    return done


def follow_log_anew(store: Store) -> None:
    """Make everything that follows from the log from nothing again."""
    with store.writing() as connection:
        pairs = connection.execute("SELECT DISTINCT item, person FROM log").fetchall()
        connection.execute("DELETE FROM opinion")
        connection.execute("DELETE FROM settled")
        for item, person in pairs:
            follow_log(connection, item, person)


def column(store: Store, query: str, *values: object) -> list[object]:
    """The first column of what a query finds."""
    with store.reading() as connection:
        return [row[0] for row in connection.execute(query, values)]
