"""A request's body as JSON, at a cost that its form bounds and not its length: sixteen megabytes of `{},{},{},` would take
half a gigabyte as Python's objects."""

from __future__ import annotations

import json
from typing import Any

from open_nsfw.service.options import Bounds
from open_nsfw.service.refusals import bad_request

MOST_BYTES = 16 * 1024 * 1024  # of a body, which is in memory as a whole, several times
WHY_SO_FEW = "the most of JSON; send the file itself, or multipart/form-data"
LONGEST_NAME = 1000  # letters of an item's name; rows repeat it
# In front of or behind each value and each object there is one of these; base64 has none of them, a name may have many.
_STRUCTURE = (b'"', b"[", b"{", b",", b":")
_OF_AN_ITEM, _OF_THE_REST = 50, 1000  # of them, beside those in its name


def is_unicode(text: str) -> bool:
    """Whether a text can be sent on: JSON may spell half of a pair of surrogates, which no encoding has."""
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in text)


def object_in(content: bytes, bounds: Bounds) -> dict[str, Any]:
    """The object that a body is. Raises Refusal (400) for anything else, and for more values than `bounds.max_parts` items
    can have."""
    most = bounds.max_parts * (_OF_AN_ITEM + LONGEST_NAME) + _OF_THE_REST
    if sum(map(content.count, _STRUCTURE)) > most:
        raise bad_request(f"the body has more values than {bounds.max_parts} items can have (--max-parts)")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise bad_request("the body is no JSON") from None
    if not isinstance(body, dict):
        raise bad_request("the body must be a JSON object")
    return body
