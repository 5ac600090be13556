"""PhotoPrism: the `nsfw` part of its vision interface, `POST /api/v1/vision/nsfw`.

Pictures come as data URLs in JSON, and each has its result, in order. PhotoPrism knows three answers, so that --undecided
is of no concern here: what is undecided is `unavailable`. It would decide anew by a score, with a threshold of its own, so
it gets none: only the decision, and as the probabilities of classes 1 or 0, which is what releases before 2026 go by.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import Limits, too_many_bytes
from open_nsfw.service.body import pieces
from open_nsfw.service.decisions import Decision
from open_nsfw.service.json_body import MOST_BYTES, WHY_SO_FEW, is_unicode, object_in
from open_nsfw.service.options import Bounds
from open_nsfw.service.outcomes import Outcome, outcomes_for
from open_nsfw.service.refusals import Refusal, bad_request
from open_nsfw.service.service import Service, service_of
from open_nsfw.sources.item import Item

PATH = "/api/v1/vision/nsfw"
MODEL = "open_nsfw"
RESOLUTION = 224  # pixels a side that Yahoo's network reads
LONGEST_ID = 128  # letters of a request's id, which is sent back
CLASSES = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")


async def vision_nsfw(request: Request) -> Response:
    """One request. Raises Refusal, whose body is PhotoPrism's."""
    identifier = ""
    service = service_of(request)
    try:
        with service.admit(request) as ticket:
            options = service.options
            content = b"".join(
                [piece async for piece in pieces(request, ticket, options.bounds, MOST_BYTES, WHY_SO_FEW)]
            )
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(None, parsed, content, options.bounds)
            identifier = body.get("id", "")[:LONGEST_ID]
            limits, most = options.core.extraction.limits, options.bounds.max_parts
            items = await loop.run_in_executor(None, items_in, body, limits, most)
            found = await outcomes_for(request, service, items)
    except Refusal as refusal:
        refusal.body = {"id": identifier, "code": int(refusal.status), "error": refusal.message}
        raise
    return JSONResponse(response(identifier, service, found))


def parsed(content: bytes, bounds: Bounds) -> dict[str, Any]:
    """The object that a body is. Raises Refusal (400)."""
    body = object_in(content, bounds)
    identifier = body.get("id", "")
    if not isinstance(identifier, str) or not is_unicode(identifier):
        raise bad_request('"id" must be a text')
    return body


def items_in(body: dict[str, Any], limits: Limits, most: int) -> list[Item]:
    """The pictures of a request. Raises Refusal (400) where it names none, or more than `most`."""
    images = body.get("images") or ([body["url"]] if body.get("url") else [])
    if not isinstance(images, list) or not images or not all(isinstance(each, str) for each in images):
        raise bad_request('the body must have "images", a list of data URLs')
    if len(images) > most:
        raise bad_request(f"more than {most} images (--max-parts)")
    return [_item(image, number, limits) for number, image in enumerate(images)]


def _item(image: str, number: int, limits: Limits) -> Item:
    head, comma, encoded = image.partition(",")
    if not head.lower().startswith("data:"):
        return Item(str(number), error=InputError("not-found", "this is an address, and nothing is fetched"))
    if not comma or not head.lower().endswith(";base64"):
        return Item(str(number), error=InputError("undecodable", "its data is not base64"))
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return Item(str(number), error=InputError("undecodable", "its data is not base64"))
    if len(data) > limits.max_bytes:
        return Item(str(number), error=too_many_bytes(limits))
    return Item(str(number), data=data) if data else Item(str(number), error=InputError("empty", "the file is empty"))


def response(identifier: str, service: Service, found: list[Outcome]) -> dict[str, Any]:
    """The whole answer."""
    model = {"type": "nsfw", "name": MODEL, "version": service.core.model, "resolution": RESOLUTION}
    return {
        "id": identifier,
        "code": int(HTTPStatus.OK),
        "model": model,
        "result": {"nsfw": [result(outcome) for outcome in found]},
    }


def result(outcome: Outcome) -> dict[str, Any]:
    """The result of one picture."""
    classes = dict.fromkeys(CLASSES, 0.0)
    if outcome.decision is Decision.UNDECIDED:
        reason = f"{outcome.code}: {outcome.reason}" if outcome.code else "the score lies between the thresholds"
        return {"status": "unavailable", "reason": reason, **classes}
    is_safe = outcome.decision is Decision.ALLOWED
    return {"status": "safe" if is_safe else "unsafe", **classes, ("Neutral" if is_safe else "Porn"): 1.0}


ROUTES = [Route(PATH, vision_nsfw, methods=["POST"])]
