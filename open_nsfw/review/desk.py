"""A desk: where people sit down, are given pictures and decide. It knows nothing of HTTP; what it gives is ready for JSON."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from open_nsfw.errors import InputError, UsageError
from open_nsfw.review.agreement import disagreements
from open_nsfw.review.design import Design, design_in
from open_nsfw.review.explaining import HeatMaps
from open_nsfw.review.item import Item
from open_nsfw.review.log import Decision, Person, decide, undo
from open_nsfw.review.options import DeskOptions
from open_nsfw.review.previews import Previews
from open_nsfw.review.sampling import QUEUES
from open_nsfw.review.serving import Wanted, give_back, item_by_id, left_for, left_in_queues, next_items, take_in_hand
from open_nsfw.review.store import Store
from open_nsfw.text import printable

MOST_AT_ONCE = 18  # pictures that one browser has in hand: a grid of nine, and the next nine
ABSENT_SECONDS = 900.0  # after which a session no longer counts as going on


@dataclass
class Session:
    """One browser's."""

    holder: str
    name: str = ""
    began: float = field(default_factory=time.time)
    decided: int = 0
    """Since it began."""
    seen: float = field(default_factory=time.time)
    """When it last asked for something."""

    @property
    def person(self) -> Person:
        """Raises UsageError as long as nobody has said who it is."""
        return Person(self.name, self.holder)


class Desk:
    """One store, for several browsers at once."""

    def __init__(self, store: Store, previews: Previews, heat_maps: HeatMaps | None, options: DeskOptions) -> None:
        self._store, self._previews, self._heat_maps, self.options = store, previews, heat_maps, options
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give back what its sessions have in hand: none of them can decide any more."""
        with self._lock:
            for holder in self._sessions:
                give_back(self._store, holder)

    def sit_down(self, session: Session, name: str) -> dict[str, Any]:
        """Begin a session under a name, or begin anew. Raises UsageError for a name that is none."""
        session.name = " ".join(name.split())
        _ = session.person
        session.began, session.decided = time.time(), 0
        with self._lock:
            self._sessions[session.holder] = session
        return self.overview(session)

    def overview(self, session: Session) -> dict[str, Any]:
        """What the page shows before the first picture."""
        with self._store.reading() as connection:
            design = design_in(connection)
        left = left_in_queues(self._store)
        return {
            "name": session.name,
            "labels": list(design.labels),
            "blind": self.options.blind,
            "pictures": self.options.pictures,
            "minutes": self.options.minutes,
            "queues": {queue: left.get(queue, 0) for queue in QUEUES},
            "heat_maps": self._heat_maps is not None and not self.options.blind,
        }

    def next(self, session: Session, wanted: Wanted) -> dict[str, Any]:
        """The next pictures, how many are left, and whether the session is over. Raises UsageError."""
        person = self._present(session)
        if wanted.queue not in ("", *QUEUES) or not 1 <= wanted.count <= MOST_AT_ONCE:
            raise UsageError(f"a queue is one of {', '.join(QUEUES)}, and a page takes 1 to {MOST_AT_ONCE} pictures")
        over = self._over(session)
        items: Sequence[Item] = ()
        if over is None:
            items = next_items(self._store, person, wanted, self.options.lease_seconds)
            for item in items:
                self._previews.ahead(item)
        else:
            give_back(self._store, session.holder)
        return {"items": self._views(items), "over": over, "left": self._left(person, wanted.queue)}

    def decide(self, session: Session, decision: Decision) -> dict[str, Any]:
        """Take a decision; tells the score, which may have been hidden. Raises UsageError, TakenError."""
        person = self._present(session)
        items = decide(self._store, person, decision)
        session.decided += 1
        item = item_by_id(self._store, decision.item)
        return {"items": items, "score": None if item is None else item.score, "over": self._over(session)}

    def undo(self, session: Session) -> dict[str, Any]:
        """Take back the last decision; the pictures that it was about are this browser's again."""
        person = self._present(session)
        now = time.time()
        with self._lock:
            others = {
                each.holder
                for each in self._sessions.values()
                if each.name == session.name and each.holder != session.holder and now - each.seen < ABSENT_SECONDS
            }
        numbers = undo(self._store, person, others)
        session.decided = max(session.decided - bool(numbers), 0)
        return {"items": self._views(take_in_hand(self._store, person, numbers, self.options.lease_seconds))}

    def disagreements(self, session: Session) -> dict[str, Any]:
        """Pictures that are to be settled, with what everybody said."""
        self._present(session)
        with self._store.reading() as connection:
            design = design_in(connection)
            found = disagreements(connection)
        views = []
        for each in found:
            view = _view(each.item, design, alike=0, blind=False)
            views.append({**view, "opinions": each.opinions, "notes": each.notes})
        return {"items": views}

    def preview(self, number: int, index: int) -> bytes:
        """One preview of an item, a JPEG. Raises UsageError; where it cannot be had any more, nobody is asked about the item
        again until it is back."""
        item = self._item(number)
        try:
            seen = self._previews.of(item)
        except InputError as error:
            with self._store.writing() as connection:
                connection.execute("UPDATE item SET place_on_disk = NULL WHERE id = ?", (number,))
                connection.execute("DELETE FROM lease WHERE item = ?", (number,))
            raise UsageError(f"{printable(item.name)} cannot be shown: {error.reason}") from error
        if item.sha256 is None and seen.sha256 is not None:
            with self._store.writing() as connection:
                connection.execute("UPDATE item SET sha256 = ? WHERE id = ? AND sha256 IS NULL", (seen.sha256, number))
        if not 0 <= index < len(seen.previews):
            raise UsageError(f"{printable(item.name)} has no picture of number {index}")
        return seen.previews[index].jpeg

    def heat_map(self, number: int, index: int, ground: str) -> bytes:
        """The heat map of one preview, a PNG. Raises UsageError where there is none."""
        if self._heat_maps is None or self.options.blind:
            raise UsageError("there are no heat maps in this review")
        item = self._item(number)
        with self._store.reading() as connection:
            model = connection.execute("SELECT model FROM item WHERE id = ?", (number,)).fetchone()[0]
        try:
            return self._heat_maps.draw(self._previews.picture(item, index), model, ground)
        except InputError as error:
            raise UsageError(f"{printable(item.name)} cannot be shown: {error.reason}") from error

    def _item(self, number: int) -> Item:
        item = item_by_id(self._store, number)
        if item is None:
            raise UsageError(f"there is no picture of number {number}")
        return item

    def _present(self, session: Session) -> Person:
        session.seen = time.time()
        with self._lock:
            self._sessions.setdefault(session.holder, session)
        return session.person

    def _over(self, session: Session) -> str | None:
        """Why the session is over; None while it is not."""
        minutes = (time.time() - session.began) / 60
        time_spent = _counted(round(minutes), "minute")
        if session.decided >= self.options.pictures:
            return f"You have decided {_counted(session.decided, 'picture')} in {time_spent}. Take a break."
        if minutes >= self.options.minutes:
            decided = f"{session.decided:,} decided" if session.decided else "none decided"
            return f"You have been at it for {time_spent}, with {decided}. Take a break."
        return None

    def _left(self, person: Person, queue: str) -> dict[str, int]:
        return vars(left_for(self._store, person, queue))

    def _views(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        with self._store.reading() as connection:
            design = design_in(connection)
            alike = {
                item.id: connection.execute("SELECT count(*) FROM item WHERE leader = ?", (item.id,)).fetchone()[0]
                for item in items
            }
        return [_view(item, design, max(alike[item.id] - 1, 0), self.options.blind) for item in items]


def _counted(number: int, what: str) -> str:
    """`1 minute`, `2 minutes`; at least one."""
    return f"{max(number, 1):,} {what}{'' if number <= 1 else 's'}"


def _view(item: Item, design: Design, alike: int, blind: bool) -> dict[str, Any]:
    """An item for the page; with `blind`, without whatever tells of its score."""
    told = {} if blind else {"score": item.score, "verdict": design.policy.bands[item.band], "queue": item.queue}
    frames = [
        {"frame": each.frame, "seconds": each.seconds, "score": None if blind else each.score} for each in item.frames
    ]
    return {"id": item.id, "name": printable(item.name), "frames": frames, "alike": alike, **told}
