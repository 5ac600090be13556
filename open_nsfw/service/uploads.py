"""A request -> the items in it. Its body is one of three:

    application/json       {"items": [{"name": "a.jpg", "data": "BASE64"}, ...]}
    multipart/form-data    each part is a file
    anything else          the file itself

What is wrong with one item is the error of its row; what is wrong with the request is a Refusal.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from starlette.requests import Request

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import Limits, too_many_bytes
from open_nsfw.service.admission import Ticket
from open_nsfw.service.body import media_type, pieces
from open_nsfw.service.json_body import LONGEST_NAME, MOST_BYTES, WHY_SO_FEW, object_in
from open_nsfw.service.multipart import multipart_items
from open_nsfw.service.options import Bounds
from open_nsfw.service.refusals import bad_request
from open_nsfw.sources.item import STDIN, Item
from open_nsfw.sources.payload import PayloadBuffer


async def items_of(request: Request, ticket: Ticket, bounds: Bounds, limits: Limits) -> list[Item]:
    """The items in a request's body, at least one. Raises Refusal and ClientGone."""
    kind = media_type(request)
    if kind == "application/json":
        return await _json_items(request, ticket, bounds, limits)
    if kind == "multipart/form-data":
        return await multipart_items(request, ticket, bounds, limits)
    return [await raw_item(request, ticket, bounds, limits)]


async def raw_item(request: Request, ticket: Ticket, bounds: Bounds, limits: Limits) -> Item:
    """The body itself as one item. Raises Refusal and ClientGone."""
    buffer = PayloadBuffer()
    try:
        async for piece in pieces(request, ticket, bounds, limits.max_bytes, "--max-bytes"):
            buffer.add(piece)
        if not buffer.size:
            return Item(STDIN, error=InputError("empty", "the file is empty"))
        payload = buffer.payload()
        return Item(STDIN, data=payload.data, file=payload.file)
    except InputError as error:  # no room on the disk
        buffer.close()
        return Item(STDIN, error=error)
    except BaseException:
        buffer.close()
        raise


async def _json_items(request: Request, ticket: Ticket, bounds: Bounds, limits: Limits) -> list[Item]:
    content = b"".join([piece async for piece in pieces(request, ticket, bounds, MOST_BYTES, WHY_SO_FEW)])
    # In a thread: the event loop goes on with other requests meanwhile.
    return await asyncio.get_running_loop().run_in_executor(None, _parsed, content, bounds, limits)


def _parsed(content: bytes, bounds: Bounds, limits: Limits) -> list[Item]:
    body = object_in(content, bounds)
    entries = body.get("items")
    if not isinstance(entries, list) or not entries or len(body) > 1:
        raise bad_request('the body must be {"items": [{"name": "NAME", "data": "BASE64"}, ...]}')
    if len(entries) > bounds.max_parts:
        raise bad_request(f"more than {bounds.max_parts} items (--max-parts)")
    return [_json_item(entry, number, limits) for number, entry in enumerate(entries)]


def _json_item(entry: Any, number: int, limits: Limits) -> Item:
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), str) or set(entry) - {"name", "data"}:
        raise bad_request(f'item {number} must have "data", a text, may have "name", and nothing else')
    name = entry.get("name", str(number))
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise bad_request(f'the "name" of item {number} must be a text of at most {LONGEST_NAME} letters')
    try:
        data = base64.b64decode(entry["data"], validate=True)
    except (binascii.Error, ValueError):
        return Item(name, error=InputError("undecodable", "its data is not base64"))
    if not data:
        return Item(name, error=InputError("empty", "the file is empty"))
    if len(data) > limits.max_bytes:
        return Item(name, error=too_many_bytes(limits))
    return Item(name, data=data)
