"""Facts of a file as the cache of scores keeps them: JSON, with the columns that hold something."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from open_nsfw.errors import InputError
from open_nsfw.rows.parse import json_object
from open_nsfw.rows.reader import checked
from open_nsfw.rows.row import Row
from open_nsfw.scan.facts import OF_THE_ITEM, Facts

_DEFAULTS = {each.name: each.default for each in fields(Row) if each.name not in OF_THE_ITEM}


def to_bytes(facts: Facts) -> bytes:
    """As JSON. Raises ValueError for a number that JSON does not have."""
    values = {
        "pictures": [_differing(row) for row in facts.rows],
        "error": None if facts.error is None else [facts.error.code, facts.error.reason],
        "opened": facts.was_opened,
        "format": facts.format,
    }
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode()


def _differing(row: Row) -> dict[str, Any]:
    """The columns of a row that hold something, by name."""
    return {name: getattr(row, name) for name, default in _DEFAULTS.items() if getattr(row, name) != default}


def _word(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(value)
    return value


def from_bytes(data: bytes) -> Facts:
    """From what `to_bytes` gave. Raises ValueError for anything else."""
    found = json_object(data)
    try:
        rows = tuple(Row(**checked({**each, "path": ""})) for each in found["pictures"])
        error = None if found["error"] is None else InputError(*found["error"])
        return Facts(rows, error, bool(found["opened"]), _word(found.get("format")))
    except (KeyError, TypeError) as problem:
        raise ValueError("no facts of a file") from problem
