"""Decide a review without a browser: every picture as the folder says that it is in, `nsfw` or `sfw`.

    python -m tests.tools.decide_review ROWS STORE

A stand-in for two people at the page, Anna and Ben, for the examples of docs/review.md; Ben errs about every eighth picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

from open_nsfw.review.design import Wishes
from open_nsfw.review.inputs import Rows
from open_nsfw.review.log import Decision, Person, decide
from open_nsfw.review.opening import prepare
from open_nsfw.review.serving import Wanted, next_items
from open_nsfw.review.store import open_store

ANNA, BEN = Person("Anna", "example 1"), Person("Ben", "example 2")


def main(rows: str, path: str) -> None:
    """Take the rows in, and decide all that people are asked for."""
    with open_store(path, create=True) as store:
        prepare(store, Rows(rows, (".",)), Wishes(audit_low=0.5, audit_high=0.5, second=0.3))
        for person in (ANNA, BEN):
            while items := next_items(store, person, Wanted()):
                (item,) = items
                is_nsfw = Path(item.path).parent.name == "nsfw"
                is_wrong = person is BEN and item.id % 8 == 0
                label = "nsfw" if is_nsfw != is_wrong else "sfw"
                decide(store, person, Decision(item.id, "label", label, seconds=1.0 + item.id % 5))


if __name__ == "__main__":
    main(*sys.argv[1:])
