"""HTTP/1.1 on one connection, by uvicorn and h11, with the deadlines and the bound on chunks that these do not have.

uvicorn ends a connection on which nothing is sent between two requests. It waits without end for a head, or a body, of
which a byte comes now and then, and for a client that does not read its answer. The deadlines here are absolute: they
count from the begin of a phase, whatever comes meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from open_nsfw.service.options import Bounds

BODY_MARGIN = 3.0  # seconds after the application's own deadline of a body, for what no application reads
HEAD, BODY = "head", "body"
# Each chunk of a body takes h11 as long as kilobytes of a larger one, in the thread that all connections share: a client that
# sends bytes one by one would hold up everybody.
FREE_CHUNKS, LEAST_MEAN = 1000, 64  # a body may have so many chunks, and one more for so many bytes


class Fault(NamedTuple):
    """What is wrong with what came, as it is answered."""

    status: HTTPStatus
    code: str
    message: str


NO_HTTP = Fault(HTTPStatus.BAD_REQUEST, "bad-request", "what came is no valid HTTP")
SMALL_CHUNKS = Fault(HTTPStatus.BAD_REQUEST, "bad-request", "the body comes in too many small chunks")
LARGE_HEAD = Fault(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too-large", "the head of the request is too large")
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _Reader(h11.Connection):
    """h11's connection, which reads no body of many small chunks."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER)
        self.fault = NO_HTTP
        """What is wrong with what came, where that is refused."""
        self._chunks = self._bytes = 0  # of the body

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As h11 gives it. Raises RemoteProtocolError, also for too many chunks."""
        is_head = self.their_state is h11.IDLE
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            if is_head and error.error_status_hint == LARGE_HEAD.status:
                self.fault = LARGE_HEAD
            raise
        if isinstance(event, h11.Request):
            self._chunks = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks, self._bytes = self._chunks + event.chunk_start, self._bytes + len(event.data)
            if self._chunks > FREE_CHUNKS + self._bytes // LEAST_MEAN:
                self.fault = SMALL_CHUNKS
                raise h11.RemoteProtocolError(SMALL_CHUNKS.message)
        return event


Told = Callable[["tuple[str, int] | None", HTTPStatus], None]
"""Takes the address of a client, and the status that it was answered with."""


class Connection(H11Protocol):
    """One connection."""

    bounds: ClassVar[Bounds]
    conn: _Reader

    def tell(self, status: HTTPStatus) -> None:
        """Something was answered that is no request yet; see `connection_class`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; at once at an end where there are too many connections."""
        self._phase: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self.conn = _Reader()
        transport.set_write_buffer_limits(high=0)  # every byte that a client does not take counts
        if len(self.connections) > self.bounds.max_connections:
            transport.abort()
            return
        self._enter(HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """No deadline any more."""
        self._enter(None)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a request."""
        super().data_received(data)
        self._enter(self._current_phase())

    def on_response_complete(self) -> None:
        """The next request may have come already."""
        super().on_response_complete()
        self._enter(self._current_phase())

    def send_400_response(self, msg: str) -> None:
        """The answer to what is refused as it comes; none where another answer has begun."""
        fault = self.conn.fault
        body = json.dumps({"error": {"code": fault.code, "message": fault.message}}).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        try:
            for event in (
                h11.Response(status_code=int(fault.status), headers=headers, reason=fault.status.phrase),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            self.transport.abort()
        else:
            self.transport.close()
            self._tell(fault.status)

    def _tell(self, status: HTTPStatus) -> None:
        """What was answered here; the application tells of the requests that it has."""
        if self.cycle is None or self.cycle.response_complete:
            self.tell(status)

    def pause_writing(self) -> None:
        """The client does not take what was sent."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.bounds.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken it."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _current_phase(self) -> str | None:
        """What the client is in the middle of."""
        if self.conn.their_state is h11.SEND_BODY:
            return BODY
        return HEAD if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0] else None

    def _enter(self, phase: str | None) -> None:
        """Begin to count the time of a phase, unless it is being counted."""
        if phase == self._phase:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._phase = phase
        if phase is HEAD:
            self._timer = self.loop.call_later(self.bounds.header_seconds, self._end_head)
        elif phase is BODY:
            self._timer = self.loop.call_later(self.bounds.body_seconds + BODY_MARGIN, self.transport.abort)

    def _end_head(self) -> None:
        """The head did not come in time."""
        if self.conn.trailing_data[0] and not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self._tell(HTTPStatus.REQUEST_TIMEOUT)
        self.transport.close()


def connection_class(limits: Bounds, told: Told | None = None) -> type[Connection]:
    """The class of connections with these bounds, as uvicorn wants it. `told`: of answers to what is no request yet."""

    class Bounded(Connection):
        bounds = limits

        def tell(self, status: HTTPStatus) -> None:
            if told is not None:
                told(self.client, status)

    return Bounded
