"""What OpenAPI says of the interfaces that belong to hosts."""

from __future__ import annotations

from typing import Any

from open_nsfw.service import misskey, photoprism, pictrs
from open_nsfw.service.decisions import Decision

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refused(schema: dict[str, Any]) -> dict[str, Any]:
    """By the host's own interface, in its form; or before that, as whatever has another Host or Origin, in the service's."""
    return _answer("Refused as a whole.", {"anyOf": [schema, {"$ref": "#/components/schemas/Error"}]})


_ERROR = _object({"code": _TEXT, "message": _TEXT})
_MISSKEY_RESULT = {
    "oneOf": [
        _object(
            {
                "success": {"const": True},
                "predictions": {"type": "array", "items": _object({"className": _TEXT, "probability": _NUMBER})},
            }
        ),
        _object({"success": {"const": False}, "error": _ERROR}),
    ]
}
_MISSKEY = {
    "summary": "Judge pictures for Misskey",
    "description": "As its sensitive-detector does: a result for each part of the body, in order.",
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {"type": "object"}}}},
    "responses": {
        "200": _answer(
            "A result for each part.",
            _object(
                {
                    "success": {"const": True},
                    "result": _object({"results": {"type": "array", "items": _MISSKEY_RESULT}}),
                }
            ),
        ),
        "default": _refused(_object({"success": {"const": False}, "error": _ERROR})),
    },
}
_PHOTOPRISM_RESULT = _object(
    {
        "status": {"type": "string", "enum": ["safe", "unsafe", "unavailable"]},
        **dict.fromkeys(photoprism.CLASSES, _NUMBER),
    },
    {"reason": _TEXT},
)
_PHOTOPRISM = {
    "summary": "Judge pictures for PhotoPrism",
    "description": "As its vision interface does: a status for each picture, in order. Only the status may be acted on.",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _object(
                    {
                        "images": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "description": "a data URL"},
                        }
                    },
                    {"id": _TEXT},
                )
            }
        },
    },
    "responses": {
        "200": _answer(
            "A status for each picture.",
            _object(
                {
                    "id": _TEXT,
                    "code": {"const": 200},
                    "model": {"type": "object"},
                    "result": _object({"nsfw": {"type": "array", "items": _PHOTOPRISM_RESULT}}),
                }
            ),
        ),
        "default": _refused(_object({"id": _TEXT, "code": {"type": "integer"}, "error": _TEXT})),
    },
}
_PICTRS_ANSWER = _object(
    {
        "decision": {"type": "string", "enum": [each.value for each in Decision]},
        "score": {"type": ["number", "null"]},
        "error": {"type": ["string", "null"]},
    }
)
_PICTRS = {
    "summary": "Say whether pict-rs may keep an upload",
    "description": "The body is the upload. Any other status than 200 keeps it out.",
    "requestBody": {
        "required": False,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    "responses": {
        "200": _answer("It may be kept.", _PICTRS_ANSWER),
        "406": _answer("It may not.", _PICTRS_ANSWER),
    },
}
OPERATIONS: dict[str, dict[str, Any]] = {misskey.PATH: _MISSKEY, photoprism.PATH: _PHOTOPRISM, pictrs.PATH: _PICTRS}
"""By path."""
