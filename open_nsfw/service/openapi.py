"""What the service says about itself: `/openapi.json` for programs, `/docs` for people, both made of the routes.

Routes of which nothing is written here are described by the first sentence of their docstring.
"""

from __future__ import annotations

import html
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from open_nsfw.service.decisions import Decision
from open_nsfw.service.host_operations import OPERATIONS
from open_nsfw.service.page import security_headers
from open_nsfw.service.row_schema import row_schema
from open_nsfw.service.score import MOST_SECONDS
from open_nsfw.service.service import service_of
from open_nsfw.version import __version__

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_REFUSED = {
    "description": "Refused, for a reason that the code names.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_JSON_BODY = {
    "type": "object",
    "required": ["items"],
    "additionalProperties": False,
    "properties": {
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["data"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "maxLength": 1000},
                    "data": {"type": "string", "description": "the file, in base64"},
                },
            },
        }
    },
}
_MULTIPART = {"type": "object", "minProperties": 1, "description": "each part is a file, whatever its name"}
_FRAMES = "first, all, every=N or max=N: which frames of animations and pages of TIFFs are scored"
_PARAMETERS = (
    ("frames", {"type": "string", "pattern": "^(first|all|(every|max)=[1-9][0-9]{0,8})$"}, _FRAMES),
    (
        "every",
        {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_SECONDS},
        "a video's frames are so many seconds apart",
    ),
    ("scenes", {"type": "boolean"}, "whether the first frame of each scene of a video is scored"),
    ("explain", {"type": "boolean"}, "whether rows have what each of 7 x 7 parts of the picture adds to its score"),
)
_SCORE = {
    "summary": "Score files",
    "description": "Each file of the body has its rows in the answer, one a line, in order. A file that cannot be scored has "
    "a row with an error.",
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
        for name, schema, text in _PARAMETERS
    ],
    "requestBody": {
        "required": False,
        "content": {
            "application/octet-stream": _BINARY,
            "multipart/form-data": {"schema": _MULTIPART},
            "application/json": {"schema": _JSON_BODY},
        },
    },
    "responses": {
        "200": {
            "description": "Rows, as lines of JSON.",
            "content": {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/Row"}}},
        }
    },
}
_STATE = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}, "model": {"type": "string"}},
}
_STATE_ANSWER = {"description": "The state.", "content": {"application/json": {"schema": _STATE}}}


def _text(kind: str) -> dict[str, Any]:
    return {"responses": {"200": {"description": "The text.", "content": {kind: {"schema": {"type": "string"}}}}}}


_KNOWN: dict[str, dict[str, Any]] = {
    "/v1/score": _SCORE,
    "/healthz": {"responses": {"200": _STATE_ANSWER}},
    "/readyz": {"responses": {"200": _STATE_ANSWER, "503": _STATE_ANSWER}},
    "/metrics": _text("text/plain"),
    "/openapi.json": {
        "responses": {
            "200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}
        }
    },
    "/docs": _text("text/html"),
    "/": _text("text/html"),
    **OPERATIONS,
}


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes with a path."""
    paths: dict[str, Any] = {}
    for route in routes:
        if isinstance(route, Route):
            methods = sorted((route.methods or {"GET"}) - {"HEAD"})
            paths.setdefault(route.path, {}).update({method.lower(): _operation(route) for method in methods})
    row = row_schema()
    row["properties"]["decision"] = {"type": "string", "enum": [each.value for each in Decision]}
    row["required"].append("decision")
    del row["$schema"]
    return {
        "openapi": "3.1.0",
        "info": {"title": "open_nsfw", "version": __version__, "description": "The score over HTTP."},
        "paths": paths,
        "components": {
            "schemas": {"Row": row, "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    text = inspect.getdoc(route.endpoint) or route.path
    operation = {
        "summary": " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip("."),
        **_KNOWN.get(route.path, {}),
    }
    names = re.findall(r"\{(\w+)(?::\w+)?\}", route.path)
    if names:
        given = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
        operation["parameters"] = [*given, *operation.get("parameters", [])]
    operation["responses"] = {"default": _REFUSED, **operation.get("responses", {})}
    return operation


def routes_of_document(routes: Sequence[BaseRoute]) -> list[Route]:
    """`/openapi.json` and `/docs` for these routes and themselves."""

    async def openapi(request: Request) -> Response:
        """This description."""
        service_of(request).key_name(request)
        return JSONResponse(content)

    async def docs(request: Request) -> Response:
        """This description, for people."""
        service_of(request).key_name(request)
        return HTMLResponse(text, headers=security_headers(text))

    own = [Route("/openapi.json", openapi, methods=["GET"]), Route("/docs", docs, methods=["GET"])]
    content = document([*routes, *own])
    text = readable(content)
    return own


_STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --back: #fff; --link: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --back: #16181b; --link: #8ab8ff; } }
html { background: var(--back); color: var(--text); }
a { color: var(--link); }
body { margin: 0 auto; max-width: 50rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
code, pre { font: .9em ui-monospace, monospace; }
pre { overflow-x: auto; padding: .5rem; border: 1px solid; border-radius: .5rem; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
"""


def readable(content: dict[str, Any]) -> str:
    """The description as one HTML page that loads nothing."""
    body = "\n".join(
        part
        for path, methods in sorted(content["paths"].items())
        for method, each in methods.items()
        for part in _html_of(method, path, each)
    )
    row = html.escape(json.dumps(content["components"]["schemas"]["Row"]["properties"], indent=1))
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>open_nsfw, for programs</title>'
        f"<style>{_STYLE}</style></head>\n<body><main>\n<h1>open_nsfw, for programs</h1>\n"
        f'<p>The same for programs: <a href="openapi.json">openapi.json</a>. By hand: <a href="./">the page</a>.</p>\n{body}\n'
        f'<h2>A row</h2>\n<pre tabindex="0" aria-label="The fields of a row">{row}</pre>\n</main></body>\n</html>\n'
    )


def _html_of(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>\n<p>{html.escape(operation['summary'])}.</p>"
    if "description" in operation:
        yield f"<p>{html.escape(operation['description'])}</p>"
    if operation.get("parameters"):
        cells = (
            f"<tr><td><code>{html.escape(each['name'])}</code></td><td>{html.escape(each.get('description', ''))}</td></tr>"
            for each in operation["parameters"]
        )
        yield f"<table><tr><th>Parameter</th><th>What it is</th></tr>{''.join(cells)}</table>"
    kinds = operation.get("requestBody", {}).get("content", {})
    if kinds:
        yield f"<p>Body: {', '.join(f'<code>{html.escape(kind)}</code>' for kind in kinds)}.</p>"
