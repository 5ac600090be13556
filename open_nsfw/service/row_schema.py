"""A row as JSON Schema: for docs/row.schema.json, and as part of what the service says about itself."""

from __future__ import annotations

import math
from typing import Any

from open_nsfw.errors import ERROR_CODES
from open_nsfw.pictures.extraction import VIEWS
from open_nsfw.pictures.picture import FOUND_AS
from open_nsfw.rows.reader import KINDS
from open_nsfw.rows.row import FIELDS, Field

JSON_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "Grid": "array"}
_CONSTRAINTS: dict[str, dict[str, Any]] = {
    "kind": {"enum": list(KINDS)},
    "found_as": {"enum": [*FOUND_AS, None]},
    "views": {"enum": [*VIEWS, None]},
    "error": {"pattern": f"^({'|'.join(ERROR_CODES)}): "},
    "sha256": {"pattern": "^[0-9a-f]{64}$"},
    "cells": {"items": {"type": "array", "items": {"type": "number"}}},
}


def row_schema() -> dict[str, Any]:
    """The rows of `classify_nsfw --format jsonl`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A row of classify_nsfw --format jsonl",
        "type": "object",
        "properties": {one.name: _property(one) for one in FIELDS},
        "required": [one.name for one in FIELDS],
        "additionalProperties": False,
    }


def _property(one: Field) -> dict[str, Any]:
    kind = JSON_TYPES[one.type]
    return {
        "description": one.means,
        "type": [kind, "null"] if one.nullable else kind,
        **({} if one.least == -math.inf else {"minimum": one.least}),
        **({} if one.most == math.inf else {"maximum": one.most}),
        **_CONSTRAINTS.get(one.name, {}),
    }
