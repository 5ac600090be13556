"""`POST /v1/score`: pictures in, rows out.

The answer has a line of JSON for each row, as `classify_nsfw --format jsonl` writes it, with a `decision` more. Rows of
animations, films and archives are sent as they come.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from http import HTTPStatus

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from open_nsfw.errors import SetupError, UsageError
from open_nsfw.pictures.containers import HEAD, container_of
from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.rows.row import cells
from open_nsfw.service.admission import Ticket
from open_nsfw.service.client import while_connected
from open_nsfw.service.core import Answer, Core
from open_nsfw.service.notes import Notes, notes_of
from open_nsfw.service.refusals import Refusal, bad_request
from open_nsfw.service.service import Service, service_of
from open_nsfw.service.uploads import items_of
from open_nsfw.sources.item import Item, is_picture
from open_nsfw.text import number

PATH = "/v1/score"
MEDIA_TYPE = "application/x-ndjson"
MOST_SECONDS = 1e9  # between two frames
PARAMETERS = ("frames", "every", "scenes", "explain")


class Score:
    """The endpoint, an ASGI application: it sends its answer in pieces."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises Refusal before anything is sent, and ClientGone."""
        request = Request(scope, receive)
        service = service_of(request)
        with service.admit(request) as ticket:
            await _answer(request, service, ticket, send)


async def _answer(request: Request, service: Service, ticket: Ticket, send: Send) -> None:
    choice = frame_choice(request.query_params, service.core)
    explain = await _explains(request.query_params, service.core)
    items = await items_of(request, ticket, service.options.bounds, service.options.core.extraction.limits)
    notes = notes_of(request)
    service.core.metrics.add_seconds("body", notes.seconds)
    at_once = len(items) == 1 and _has_one_row(items[0], choice)
    answers = service.core.answers(items, choice, explain)
    try:
        if at_once:
            async with while_connected(request):
                content = b"".join([_noted(answer, notes) async for answer in answers])
            await Response(content, media_type=MEDIA_TYPE)(request.scope, request.receive, send)
        else:
            await _stream(request, answers, send)
    finally:
        await answers.aclose()


async def _stream(request: Request, answers: AsyncGenerator[Answer, None], send: Send) -> None:
    """Send each row as it comes. What goes wrong before the first one is still a Refusal."""
    async with while_connected(request):
        begun = False
        async for answer in answers:
            if not begun:
                headers = [(b"content-type", MEDIA_TYPE.encode())]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                begun = True
            await send({"type": "http.response.body", "body": _noted(answer, notes_of(request)), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _noted(answer: Answer, notes: Notes) -> bytes:
    notes.decisions[answer.decision.value] += 1
    return line(answer)


def line(answer: Answer) -> bytes:
    """A row with its decision, as a line of JSON: ASCII, all fields, fixed order."""
    values = {**cells(answer.row), "decision": answer.decision.value}
    return json.dumps(values, allow_nan=False).encode("ascii") + b"\n"


def frame_choice(parameters: QueryParams, core: Core) -> FrameChoice:
    """Which frames a request asks for with `frames` and `every`, as the options of the command. Raises Refusal (400)."""
    for name in parameters:
        if name not in PARAMETERS:
            raise bad_request(f"there is no parameter {name!a}; there are {', '.join(PARAMETERS)}")
        if len(parameters.getlist(name)) > 1:
            raise bad_request(f"the parameter {name} is there twice")
    try:
        return core.frame_choice(
            parameters.get("frames"), _seconds(parameters.get("every")), _flag("scenes", parameters.get("scenes"))
        )
    except UsageError as error:
        raise bad_request(str(error).replace("--", "")) from None


async def _explains(parameters: QueryParams, core: Core) -> bool:
    """Whether a request asks for explanations. Raises Refusal (400)."""
    if not _flag("explain", parameters.get("explain")):
        return False
    try:
        await core.prepare_explaining()
    except SetupError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "cannot-explain", str(error)) from None
    return True


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    value = number(text)
    if not 0 < value <= MOST_SECONDS:
        raise bad_request(f"every={text!a}: a number of seconds above 0 is needed, {MOST_SECONDS:g} at most")
    return value


def _flag(name: str, text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in ("true", "false"):
        raise bad_request(f"{name}={text!a}: true or false is needed")
    return text == "true"


def _has_one_row(item: Item, choice: FrameChoice) -> bool:
    """Whether an item is surely one picture with one row, which can be sent with its length."""
    head = (item.data or b"")[:HEAD]
    is_film = item.file is not None or container_of(head) is not None
    return item.error is not None or (choice.mode == "first" and not is_film and is_picture("", head))
