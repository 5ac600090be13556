"""A request's body: of what type it is, and its bytes piece by piece, within its limit, its deadline and the service's room, and
nothing read ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.types import Message

from open_nsfw.service.admission import Ticket
from open_nsfw.service.notes import notes_of
from open_nsfw.service.options import Bounds
from open_nsfw.service.refusals import ClientGone, Refusal, bad_request, too_large, too_slow


def media_type(request: Request) -> str:
    """What a request's body is: its Content-Type in lower case, without parameters; empty without one."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def pieces(
    request: Request, ticket: Ticket, bounds: Bounds, most: int | None = None, why: str = ""
) -> AsyncIterator[bytes]:
    """The body of a request. `most`: bytes, if fewer than the bounds allow, and `why` they are so few. Raises Refusal: 413 as
    soon as it is known to be too large, 408 if it does not come in time, 503 where the service has no room for it; ClientGone."""
    notes = notes_of(request)
    # What is over --max-held by itself would be told to come again for ever.
    limits = [(bounds.max_body, "--max-body"), (bounds.max_held, "--max-held")]
    limit, why = min(limits if most is None else [*limits, (most, why)], key=lambda each: each[0])
    expected = _content_length(request)
    if expected is not None and expected > limit:
        raise _too_large(limit, why)
    ticket.hold(expected or 0)
    left = -(expected or 0)  # bytes that were not counted yet, if above 0
    size = 0
    deadline = asyncio.get_running_loop().time() + bounds.body_seconds
    while True:
        message = await _received(request, deadline, bounds)
        piece: bytes = message.get("body", b"")
        size, left = size + len(piece), left + len(piece)
        if size > limit:
            raise _too_large(limit, why)
        if left > 0:
            ticket.hold(left)
            left = 0
        if piece:
            yield piece
        if not message.get("more_body", False):
            notes.received = size
            return


async def _received(request: Request, deadline: float, bounds: Bounds) -> Message:
    try:
        left = deadline - asyncio.get_running_loop().time()
        message = await asyncio.wait_for(request.receive(), max(left, 0))
    except asyncio.TimeoutError:
        raise too_slow("the body", bounds.body_seconds, "--body-seconds") from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise bad_request("the header Content-Length is no number")
    return int(text)


def _too_large(limit: int, why: str) -> Refusal:
    return too_large(f"the body has more than {limit:,} bytes ({why})")
