"""`Item`: a picture or video that may be asked for, as rows tell of it and as the store keeps it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from open_nsfw.review.store import reads
from open_nsfw.rows.parquet import spell, unspell
from open_nsfw.rows.row import Row

MOST_FRAMES = 6  # of a video or animation that are shown


@dataclass(frozen=True)
class Frame:
    """One frame of a video or animation."""

    frame: int
    track: int | None
    seconds: float | None
    """When it is shown, from the start; None where nobody knows."""
    score: float


@dataclass(frozen=True)
class Item:
    """One picture, or one video or animation as a whole."""

    id: int
    path: str
    """As the rows name it."""
    member: str | None
    place_on_disk: str | None
    """Where the file was found last; None: nowhere."""
    kind: str
    """`picture` or `summary`."""
    score: float
    sha256: str | None
    bytes: int | None
    frame_choice: str | None
    frames: tuple[Frame, ...]
    """Those that score highest, the highest first."""
    queue: str
    """`undecided`, `audit` or `calibration`; empty where nobody is asked."""
    probability: float
    """With which it is asked for."""
    band: int

    @property
    def name(self) -> str:
        """For people: the path, and the member behind `!`."""
        return self.path if self.member is None else f"{self.path}!{self.member}"


COLUMNS = "id, path, member, place_on_disk, kind, score, sha256, bytes, frame_choice, frames, queue, probability, band"


def item_of(row: sqlite3.Row) -> Item:
    """The item in a row with `COLUMNS`."""
    with reads(f"what is kept of the frames of item {row['id']}"):
        frames = tuple(Frame(*each) for each in json.loads(row["frames"]))
    return Item(
        id=row["id"],
        path=text_in(row["path"]) or "",
        member=text_in(row["member"] or None),
        place_on_disk=text_in(row["place_on_disk"]),
        kind=row["kind"],
        score=row["score"],
        sha256=row["sha256"],
        bytes=row["bytes"],
        frame_choice=row["frame_choice"],
        frames=frames,
        queue=row["queue"],
        probability=row["probability"],
        band=row["band"],
    )


def text_out(name: str | None) -> str | None:
    """A name as SQLite keeps it, whose texts are UTF-8; as in Parquet, one that is not is percent-encoded."""
    return spell(name)


def text_in(name: str | None) -> str | None:
    """The name that `text_out` was given."""
    return unspell(name)


def values_of(row: Row, frames: list[Row], place_on_disk: str | None, number: float) -> dict[str, Any]:
    """The columns of a new item: `row` is a picture's or a summary, with a score; `frames` its frames with scores."""
    highest = sorted(frames, key=lambda each: -(each.score or 0.0))[:MOST_FRAMES]
    return {
        "path": text_out(row.path),
        "member": text_out(row.member) or "",
        "place_on_disk": text_out(place_on_disk),
        "kind": row.kind,
        "score": row.score,
        "sha256": row.sha256,
        "bytes": row.bytes,
        "width": row.width,
        "height": row.height,
        "format": row.format,
        "frame_choice": row.frame_choice,
        "frames": json.dumps([[each.frame or 0, each.track, each.seconds, each.score] for each in highest]),
        "engine": row.engine,
        "model": row.model,
        "number": number,
    }
