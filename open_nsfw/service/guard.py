"""Around every request: what is refused whatever its route, and what every answer has.

Refused are shapes that two programs could read as different requests, other names than the service's own (a web page
whose name was made to lead here), and requests that another site's page sends from a visitor's browser.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from contextlib import suppress
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from open_nsfw.errors import OpenNsfwError
from open_nsfw.service.metrics import known_path
from open_nsfw.service.notes import Notes, begin_notes
from open_nsfw.service.refusals import ClientGone, Refusal, bad_request
from open_nsfw.service.service import Service

logger = logging.getLogger("open_nsfw")

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
DRAIN_SECONDS = 2.0
DRAIN_BYTES = 8 * 1024 * 1024  # of a refused body that are still read, so that the client comes to read the answer
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=-]{1,128}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """Wraps the application."""

    def __init__(self, app: Router, service: Service | None, hosts: frozenset[str] | None) -> None:
        """`hosts`: the names that a Host header may have, without a port; None for any."""
        self._app, self._service, self._hosts = app, service, hosts
        self._paths = frozenset(route.path for route in app.routes if isinstance(route, Route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        notes = begin_notes(scope, _request_id(scope))
        answer = _Answer(scope, notes, receive, send)
        try:
            await self._serve(scope, answer)
        finally:
            self._note(scope, notes)

    async def _serve(self, scope: Scope, answer: _Answer) -> None:
        try:
            self._check(scope)
        except Refusal as refusal:
            await answer.refuse(refusal, closes=True)
            return
        try:
            await self._app({**scope, "app": self._service}, answer.receive, answer.send)
        except ClientGone:
            pass
        except Refusal as refusal:
            await answer.refuse(refusal)
        except HTTPException as error:  # of the router: 404, 405
            await answer.refuse(_refusal(error))
        except OpenNsfwError as error:  # the engine, or no decoding process comes up
            logger.error("%s", error)
            await answer.refuse(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "cannot-score", str(error)))
        except Exception:
            logger.exception("request %s failed", answer.notes.request_id)
            await answer.refuse(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the service has a fault"))

    def _note(self, scope: Scope, notes: Notes) -> None:
        """The request is over. A review on its own machine keeps no log of requests."""
        if self._service is not None:
            self._service.note(known_path(scope["path"], self._paths), scope, notes)

    def _check(self, scope: Scope) -> None:
        """Raises Refusal. A target in absolute form becomes its path."""
        names = [name for name, _ in scope["headers"]]
        if names.count(b"host") != 1 and scope["http_version"] != "1.0":
            raise bad_request("one header Host is needed")
        if b"content-length" in names and b"transfer-encoding" in names:
            raise bad_request("the headers Content-Length and Transfer-Encoding exclude each other")
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        # HTTP/1.0 may leave it out, as health checks of load balancers do; no browser does.
        if self._hosts is not None and b"host" in headers and without_port(host) not in self._hosts:
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "wrong-host",
                "this name is not the service's; start it with --allow-host NAME to allow one",
            )
        if not _is_link(scope["method"], headers):
            _check_origin(headers, host)
        scope["path"] = _path_in(scope["path"], host)


def _path_in(target: str, host: str) -> str:
    """The path of a target, which may name scheme and host before it (RFC 9112, section 3.2.2), as clients of proxies send it.
    Raises Refusal for another host than the header's."""
    scheme, mark, rest = target.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return target
    authority, _, path = rest.partition("/")
    if authority.lower() != host:
        raise bad_request("the target and the header Host name two hosts")
    return f"/{path}"


def _refusal(error: HTTPException) -> Refusal:
    status = HTTPStatus(error.status_code)
    code = {HTTPStatus.NOT_FOUND: "no-such-path", HTTPStatus.METHOD_NOT_ALLOWED: "wrong-method"}.get(status, "refused")
    return Refusal(status, code, error.detail, dict(error.headers or {}))


def _check_origin(headers: dict[bytes, bytes], host: str) -> None:
    """Raises Refusal for what a page of another origin sends. Pages of our own have our own name; programs send neither."""
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    is_foreign = bool(origin) and origin.partition("://")[2] != host
    if is_foreign or headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site"):
        raise Refusal(HTTPStatus.FORBIDDEN, "other-origin", "pages of other origins may not use this service")


def _is_link(method: str, headers: dict[bytes, bytes]) -> bool:
    """Whether a person comes here by a link on another site's page, which gives that page nothing."""
    return method == "GET" and headers.get(b"sec-fetch-mode") == b"navigate" and b"origin" not in headers


def without_port(host: str) -> str:
    """The name in a Host header."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


class _Answer:
    """One request on its way: knows whether its answer has begun and its body has ended."""

    def __init__(self, scope: Scope, notes: Notes, receive: Receive, send: Send) -> None:
        self.notes = notes
        self._scope, self._receive, self._send = scope, receive, send
        self._has_begun = self._body_ended = False

    async def receive(self) -> Message:
        """As the application receives."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._body_ended = True
        return message

    async def send(self, message: Message) -> None:
        """As the application sends."""
        if message["type"] == "http.response.start":
            self._has_begun = True
            self.notes.status = int(message["status"])  # an HTTPStatus has another text on Python 3.9
            own = {name.lower() for name, _ in message.get("headers", ())}
            usual = [header for header in _HEADERS if header[0] not in own]
            headers = [*message.get("headers", ()), *usual, (b"x-request-id", self.notes.request_id.encode())]
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, refusal: Refusal, closes: bool = False) -> None:
        """Say why, unless the answer has begun: then its end is missing, which tells the client. The connection ends where
        the request's body was not read, and if it `closes`."""
        if self._has_begun:
            return
        headers = dict(refusal.headers)
        given = dict(self._scope["headers"])
        has_body = given.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in given
        is_unread = has_body and not self._body_ended
        if is_unread or closes:
            headers["Connection"] = "close"
        body = refusal.body or {"error": {"code": refusal.code, "message": refusal.message}}
        response = JSONResponse(body, refusal.status, headers)
        await self.send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        await self._send({"type": "http.response.body", "body": response.body, "more_body": True})
        if is_unread and b"expect" not in given:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drain(), DRAIN_SECONDS)
        await self._send({"type": "http.response.body", "body": b""})

    async def _drain(self) -> None:
        """Read some of the body that nobody wants. Closed at once, the connection would take the answer with it."""
        left = DRAIN_BYTES
        while left > 0 and not self._body_ended:
            message = await self.receive()
            left -= len(message.get("body", b""))


def _request_id(scope: Scope) -> str:
    """The client's own, if it has one of a usual form; otherwise a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value).decode()
    return secrets.token_hex(16)
