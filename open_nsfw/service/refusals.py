"""Why a request is not answered with rows: its HTTP status, a stable code and a sentence."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

RETRY_SECONDS = 1  # for a client that was turned away because of load; the queue moves within a second


class Refusal(Exception):
    """A request that is not served. `headers` go with the answer."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}
        self.body: dict[str, Any] | None = None
        """The answer's, as JSON, where a host wants another one than the service's own."""


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


def bad_request(message: str) -> Refusal:
    """400: the request makes no sense."""
    return Refusal(HTTPStatus.BAD_REQUEST, "bad-request", message)


def too_large(message: str) -> Refusal:
    """413: more than the service takes."""
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", message)


def busy(message: str) -> Refusal:
    """503: no room at the moment."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message, {"Retry-After": str(RETRY_SECONDS)})


def stopping() -> Refusal:
    """503: the service ends."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "stopping", "the service is about to end", headers)


def too_many_requests(limit: int) -> Refusal:
    """429: this key has as many requests under way as it may."""
    message = f"{limit} requests of this key are under way already (--max-requests-per-key)"
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", message, {"Retry-After": str(RETRY_SECONDS)})


def key_needed() -> Refusal:
    """401: no key, or a wrong one."""
    headers = {"WWW-Authenticate": 'Basic realm="open_nsfw", charset="UTF-8"'}
    message = "a key is needed: send the header `Authorization: Bearer KEY`"
    return Refusal(HTTPStatus.UNAUTHORIZED, "key-needed", message, headers)


def too_slow(what: str, seconds: float, option: str) -> Refusal:
    """408: the client takes too long to send something."""
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, "too-slow", f"{what} did not come within {seconds:g} s ({option})")
