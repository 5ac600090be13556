"""What comes of one file as a whole: for hosts that ask about files and not about rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request

from open_nsfw.service.client import while_connected
from open_nsfw.service.core import Answer, Core
from open_nsfw.service.decisions import Decision
from open_nsfw.service.notes import notes_of
from open_nsfw.service.service import Service
from open_nsfw.sources.item import Item

_WORST = (Decision.ALLOWED, Decision.UNDECIDED, Decision.BLOCKED)


@dataclass(frozen=True)
class Outcome:
    """Of one file. As it stands: of one that has no row."""

    decision: Decision = Decision.UNDECIDED
    """`blocked` if anything in it is, `allowed` only if all of it is."""
    score: float | None = None
    """The highest one in it."""
    code: str = "no-pictures"
    """Of the last error in it, which `decision` and `score` do not show; empty without one."""
    reason: str = "there is no picture in it"
    """The sentence of that error."""
    rows: int = 0


def with_answer(outcome: Outcome, answer: Answer) -> Outcome:
    """What comes of a file with one more row of it."""
    row, is_first = answer.row, outcome.rows == 0
    code, reason = ("", "") if is_first else (outcome.code, outcome.reason)
    if row.error is not None:
        code, _, reason = row.error.partition(": ")
    known = [] if is_first else [outcome.decision]
    scores = [score for score in (outcome.score, row.score) if score is not None]
    return replace(
        outcome,
        decision=max(*known, answer.decision, key=_WORST.index) if known else answer.decision,
        score=max(scores, default=None),
        code=code,
        reason=reason,
        rows=outcome.rows + 1,
    )


async def outcomes_of(core: Core, items: Sequence[Item]) -> list[Outcome]:
    """What comes of each item, in their order. Takes the items over. Raises what `Core.answers` raises."""
    found = [Outcome()] * len(items)
    answers = core.answers(items)
    try:
        async for answer in answers:
            found[answer.upload] = with_answer(found[answer.upload], answer)
    finally:
        await answers.aclose()
    return found


async def outcomes_for(request: Request, service: Service, items: Sequence[Item]) -> list[Outcome]:
    """The same for a request whose body was read, and noted in its log. Raises ClientGone, too."""
    notes = notes_of(request)
    service.core.metrics.add_seconds("body", notes.seconds)
    async with while_connected(request):
        found = await outcomes_of(service.core, items)
    for each in found:
        notes.decisions[each.decision.value] += 1
    return found
