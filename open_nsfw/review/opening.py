"""What happens before the page is there: rows in, who is asked for, look-alikes together, files looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from open_nsfw.errors import UsageError
from open_nsfw.review.design import Design, Wishes, settle_design
from open_nsfw.review.inputs import Rows
from open_nsfw.review.intake import Taken, take_in
from open_nsfw.review.options import OpeningOptions
from open_nsfw.review.sampling import QUEUES, choose
from open_nsfw.review.store import Store
from open_nsfw.review.together import put_together, take_apart
from open_nsfw.review.whereabouts import Whereabouts, look_for
from open_nsfw.text import printable

MOST_NAMED = 10  # files in a message


@dataclass(frozen=True)
class Opened:
    """What there is now."""

    design: Design
    taken: Taken
    behind: int
    """Pictures that stand behind a look-alike."""
    whereabouts: Whereabouts
    items: int
    queues: dict[str, tuple[int, int]]
    """Queue -> (asked for, still open)."""


def prepare(store: Store, rows: Rows | None, wishes: Wishes, options: OpeningOptions = OpeningOptions()) -> Opened:
    """Make a store ready for people. Raises UsageError for rows, labels or a policy that cannot be used, OutputError."""
    taken = Taken(unchanged=True) if rows is None else take_in(store, rows)
    with store.writing() as connection:
        models = {row[0] for row in connection.execute("SELECT DISTINCT model FROM item")}
        design, is_new = settle_design(connection, wishes)
        if wishes.policy is not None and not options.any_model:
            for model in sorted(models):
                wishes.policy.check_model(model)
        if is_new or taken.changes:
            choose(connection, design)
    behind = 0
    if options.together:
        behind = put_together(store, options.jobs, options.quiet)
    else:
        take_apart(store)
    whereabouts = look_for(store, options.find)
    with store.reading() as connection:
        counts = connection.execute(
            "SELECT queue, count(*), sum(given < wanted AND place_on_disk IS NOT NULL) FROM item WHERE asked = 1 GROUP BY queue"
        ).fetchall()
        items = int(connection.execute("SELECT count(*) FROM item").fetchone()[0])
    if not items:
        raise UsageError(
            f"{printable(store.path)}: there is no picture with a score in it; give rows, or a folder of pictures"
        )
    queues = {row[0]: (row[1], row[2]) for row in counts}
    return Opened(design, taken, behind, whereabouts, items, {each: queues.get(each, (0, 0)) for each in QUEUES})


def told(opened: Opened) -> Iterator[str]:
    """What there is, for people, line by line."""
    taken = opened.taken
    if not taken.unchanged:
        counts = (
            (taken.added, "new"),
            (taken.known, "known"),
            (taken.moved, "known under another name"),
            (taken.same, "with the content of another one"),
            (taken.rescored, "with another score than before"),
            (taken.without, "without a score, left out"),
        )
        yield "rows: " + ", ".join(f"{count:,} {words}" for count, words in counts if count or words == "new")
    queues = ", ".join(f"{queue} {left:,} of {asked:,}" for queue, (asked, left) in opened.queues.items())
    yield f"{opened.items:,} pictures; still to decide: {queues}"
    if opened.behind:
        yield f"{opened.behind:,} pictures look like another one, and are decided with it"
    if opened.whereabouts.found:
        yield f"{opened.whereabouts.found:,} files were found elsewhere, by their content"
    yield from _lost(opened.whereabouts.lost)


def _lost(names: Sequence[str]) -> Iterator[str]:
    if names:
        some = ", ".join(map(printable, names[:MOST_NAMED])) + (", ..." if len(names) > MOST_NAMED else "")
        yield f"{len(names):,} files are not there, and nobody is asked about them (--find FOLDER looks there): {some}"
