"""`/review/`: the page on which people decide about pictures, and what it asks for.

GET  /review/                          the page; with ?token=TOKEN it lets a browser in
GET  /review/review.css, review.js, icon.svg
POST /review/api/ACTION                overview, begin, next, decide, undo, disagreements: JSON in, JSON out
GET  /review/picture/ID/NUMBER.jpg     a small picture that the isolated decoder made
GET  /review/picture/ID/NUMBER/GROUND.png   its heat map
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from open_nsfw.errors import OpenNsfwError, UsageError
from open_nsfw.review.desk import Desk, Session
from open_nsfw.review.log import Decision, TakenError
from open_nsfw.review.serving import Wanted
from open_nsfw.service.body import media_type
from open_nsfw.service.json_body import is_unicode
from open_nsfw.service.refusals import Refusal, bad_request, too_large
from open_nsfw.service.review_sessions import TOKEN, Sessions, Tokens
from open_nsfw.service.service import service_of
from open_nsfw.text import whole

PREFIX = "/review"
LONGEST_BODY = 64 * 1024  # bytes; a note has 2,000 letters
STATIC = Path(__file__).with_name("static")
PAGE = "review.html"
MEDIA_TYPES = {
    PAGE: "text/html",
    "review.css": "text/css",
    "review.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Review:
    """The routes of one desk."""

    def __init__(self, desk: Desk, tokens: Tokens | None) -> None:
        """`tokens` let browsers in; None: the service's keys do."""
        self._desk, self._tokens = desk, tokens
        self._sessions = Sessions(PREFIX)
        self._files = {name: (STATIC / name).read_bytes() for name in MEDIA_TYPES}
        self._actions: dict[str, Callable[[Session, dict[str, Any]], dict[str, Any]]] = {
            "overview": lambda session, _: desk.overview(session),
            "begin": lambda session, data: desk.sit_down(session, _text(data, "name")),
            "next": lambda session, data: desk.next(session, _wanted(data)),
            "decide": lambda session, data: desk.decide(session, _decision(data)),
            "undo": lambda session, _: desk.undo(session),
            "disagreements": lambda session, _: desk.disagreements(session),
        }

    def routes(self) -> list[BaseRoute]:
        """For the application of the service."""
        return [
            Route(PREFIX, _with_slash, methods=["GET"]),
            Route(f"{PREFIX}/", self.page, methods=["GET"]),
            Route(f"{PREFIX}/api/{{action}}", self.api, methods=["POST"]),
            Route(f"{PREFIX}/picture/{{item}}/{{number}}.jpg", self.picture, methods=["GET"]),
            Route(f"{PREFIX}/picture/{{item}}/{{number}}/{{ground}}.png", self.heat_map, methods=["GET"]),
            Route(f"{PREFIX}/{{name}}", self.file, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """The page, or the way to it."""
        if self._tokens is None:
            service_of(request).key_name(request)
        elif TOKEN in request.query_params:
            self._tokens.redeem(request.query_params[TOKEN])
            response: Response = RedirectResponse(f"{PREFIX}/", HTTPStatus.SEE_OTHER, HEADERS)
            self._sessions.begin(request, response)
            return response
        response = Response(self._files[PAGE], media_type=MEDIA_TYPES[PAGE], headers=HEADERS)
        if self._sessions.find(request) is None:
            if self._tokens is not None:
                raise self._stranger()
            self._sessions.begin(request, response)
        return response

    async def file(self, request: Request) -> Response:
        """The style sheet and the script."""
        name = request.path_params["name"]
        self._session(request)
        if name not in self._files:
            raise Refusal(HTTPStatus.NOT_FOUND, "no-such-path", "there is nothing of this name")
        return Response(self._files[name], media_type=MEDIA_TYPES[name], headers=HEADERS)

    async def api(self, request: Request) -> Response:
        """One action."""
        session = self._session(request)
        action = self._actions.get(request.path_params["action"])
        if action is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "no-such-path", "there is no action of this name")
        if "origin" not in request.headers:  # the guard compares it; programs that send none are no page of ours
            raise Refusal(HTTPStatus.FORBIDDEN, "other-origin", "the header Origin is needed")
        data = await _json(request)
        return JSONResponse(await run_in_threadpool(_answered, action, session, data), headers=HEADERS)

    async def picture(self, request: Request) -> Response:
        """A small JPEG."""
        self._session(request)
        item, number = (_number_in(request, name) for name in ("item", "number"))
        content = await run_in_threadpool(_answered, self._desk.preview, item, number)
        return Response(content, media_type="image/jpeg", headers=HEADERS)

    async def heat_map(self, request: Request) -> Response:
        """A PNG."""
        self._session(request)
        item, number = (_number_in(request, name) for name in ("item", "number"))
        content = await run_in_threadpool(_answered, self._desk.heat_map, item, number, request.path_params["ground"])
        return Response(content, media_type="image/png", headers=HEADERS)

    def _session(self, request: Request) -> Session:
        """Raises Refusal for a browser that was not let in."""
        if self._tokens is None:
            service_of(request).key_name(request)
        session = self._sessions.find(request)
        if session is None:
            raise self._stranger()
        return session

    def _stranger(self) -> Refusal:
        if self._tokens is None:  # the service was started anew since
            advice = f"this browser is not known any more; open {PREFIX}/ again"
        else:
            advice = "this browser has not opened the address that was printed; open that"
        return Refusal(HTTPStatus.FORBIDDEN, "no-session", advice)


async def _with_slash(request: Request) -> Response:
    """What people type; the page's own links want the slash."""
    return RedirectResponse(f"{PREFIX}/", HTTPStatus.SEE_OTHER, HEADERS)


def _answered(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives; its errors as Refusals."""
    try:
        return function(*arguments)
    except TakenError as error:
        raise Refusal(HTTPStatus.CONFLICT, "taken", str(error)) from error
    except UsageError as error:
        raise bad_request(str(error)) from error
    except OpenNsfwError as error:
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "store", str(error)) from error


# --- what the page sends ---


def _number_in(request: Request, name: str) -> int:
    """A number in the path, of no more digits than SQLite gives. Raises Refusal (404) for anything else."""
    found = whole(request.path_params[name])
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "no-such-path", "there is nothing of this name")
    return found


async def _json(request: Request) -> dict[str, Any]:
    if media_type(request) != "application/json":
        raise bad_request("JSON is needed, with Content-Type: application/json")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_BODY:
            raise too_large(f"more than {LONGEST_BODY:,} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise bad_request("a JSON object is needed")
    return found


def _text(data: dict[str, Any], name: str, default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str) or not is_unicode(value):
        raise UsageError(f"{name}: a text is needed")
    return value


def _number(data: dict[str, Any], name: str, default: int | None = None) -> int:
    value = data.get(name, default)
    if type(value) is not int or not 0 <= value < 2**63:
        raise UsageError(f"{name}: a whole number is needed")
    return value


def _wanted(data: dict[str, Any]) -> Wanted:
    return Wanted(_number(data, "count", 1), _text(data, "queue", ""), data.get("skipped") is True)


def _decision(data: dict[str, Any]) -> Decision:
    seconds = data.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e6:
        seconds = None
    texts = {name: _text(data, name, "") for name in ("action", "label", "note", "batch")}
    if len(texts["batch"]) > 64:
        raise UsageError("batch: at most 64 letters")
    return Decision(_number(data, "item"), seconds=None if seconds is None else float(seconds), **texts)
