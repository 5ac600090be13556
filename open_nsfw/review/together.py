"""Pictures that look alike are shown once and decided together: which ones stand behind which.

How they look is calibration's perceptual hash (calibration/looks.py), kept in the store.
"""

from __future__ import annotations

from open_nsfw.calibration.looks import BLANK, linked, look_of
from open_nsfw.calibration.redecode import decoded_again
from open_nsfw.cores import default_jobs
from open_nsfw.progress import Progress
from open_nsfw.review.item import text_in
from open_nsfw.review.store import Store

LOOKS_AT_ONCE = 200  # between two writes: what an interruption loses


def put_together(store: Store, jobs: int | None = None, quiet: bool = False) -> int:
    """Look at every picture that is asked for and was not looked at, and put look-alikes behind the first of them. How many
    stand behind another now."""
    _look(store, jobs or default_jobs(), quiet)
    with store.writing() as connection:
        rows = connection.execute(
            "SELECT id, look FROM item WHERE asked = 1 AND look IS NOT NULL AND look <> ? ORDER BY place, id", (BLANK,)
        ).fetchall()
        groups: dict[str | None, list[int]] = {}
        for row, name in zip(rows, linked([row["look"] for row in rows])):
            groups.setdefault(name, []).append(row["id"])
        connection.execute("UPDATE item SET leader = NULL WHERE leader IS NOT NULL")
        alike = [members for members in groups.values() if len(members) > 1]
        connection.executemany(
            "UPDATE item SET leader = ? WHERE id = ?", [(members[0], each) for members in alike for each in members]
        )
    return sum(len(members) - 1 for members in alike)


def take_apart(store: Store) -> None:
    """Show every picture by itself again."""
    with store.writing() as connection:
        connection.execute("UPDATE item SET leader = NULL WHERE leader IS NOT NULL")


def _look(store: Store, jobs: int, quiet: bool) -> None:
    with store.reading() as connection:
        rows = connection.execute(
            """SELECT id, place_on_disk, member FROM item
            WHERE asked = 1 AND look IS NULL AND place_on_disk IS NOT NULL"""
        ).fetchall()
    ids = {(text_in(row["place_on_disk"]) or "", text_in(row["member"] or None)): row["id"] for row in rows}
    if not ids:
        return
    looks: list[tuple[str, int]] = []
    with Progress(len(ids), shown=not quiet) as progress:
        for key, picture in decoded_again(ids, jobs):
            looks.append((look_of(picture), ids[key]))
            progress.advance("comparing")
            if len(looks) >= LOOKS_AT_ONCE:
                _keep(store, looks)
                looks = []
    _keep(store, looks)


def _keep(store: Store, looks: list[tuple[str, int]]) -> None:
    with store.writing() as connection:
        connection.executemany("UPDATE item SET look = ? WHERE id = ?", looks)
