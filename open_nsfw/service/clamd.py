"""clamd's door: hosts that have their uploads scanned for viruses ask here whether pictures may stay.

A server beside the HTTP one, on the same core and within the same bounds. What it says is clamd_protocol.py's.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from contextlib import suppress
from http import HTTPStatus

from open_nsfw.errors import InputError, OpenNsfwError
from open_nsfw.pictures.containers import HEAD
from open_nsfw.pictures.formats import is_other_picture
from open_nsfw.service.admission import Ticket
from open_nsfw.service.clamd_protocol import Address, Begin, Chunk, ClamdProtocol, Close, Event, Reply
from open_nsfw.service.decisions import Decision
from open_nsfw.service.notes import Notes
from open_nsfw.service.options import HostOptions
from open_nsfw.service.outcomes import Outcome, outcomes_of
from open_nsfw.service.refusals import Refusal
from open_nsfw.service.service import Service
from open_nsfw.sources.item import STDIN, Item
from open_nsfw.sources.payload import PayloadBuffer
from open_nsfw.version import __version__

LABEL = "clamd"  # in metrics and the log, in the place of a path
SHARE = "clients of clamd"  # what their requests are counted by, as if it were a key: no key's name has a blank
READ_BYTES = 65536
DRAIN_SECONDS = 2.0
DRAIN_BYTES = 8 * 1024 * 1024  # of a refused stream that are still read
CLEAN, BLOCKED, UNDECIDED, OTHER = b"OK", b"NSFW.Blocked FOUND", b"NSFW.Undecided FOUND", b"NSFW.NotAPicture FOUND"
NOT_PICTURES = ("not-a-picture", "no-pictures", "empty")
TOO_SLOW = b"COMMAND READ TIMED OUT"
TOO_MANY = b"too many connections. ERROR\n"


def verdict(outcome: Outcome, options: HostOptions, head: bytes) -> bytes:
    """What clamd's clients are told about a file that begins with `head`."""
    if outcome.decision is Decision.BLOCKED:
        return BLOCKED
    if outcome.decision is Decision.ALLOWED:
        return CLEAN
    if outcome.rows <= 1 and outcome.code in NOT_PICTURES and not is_other_picture(head):
        return OTHER if options.others_block else CLEAN
    return UNDECIDED if options.undecided_blocks else CLEAN


class ClamdServer:
    """The door. Use as an asynchronous context manager, inside the event loop of the core."""

    def __init__(self, service: Service, listener: socket.socket) -> None:
        """`listener`: bound, of TCP or of a Unix socket."""
        self._service, self._listener = service, listener
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.AbstractServer | None = None

    async def __aenter__(self) -> ClamdServer:
        is_unix = self._listener.family not in (socket.AF_INET, socket.AF_INET6)
        start = asyncio.start_unix_server if is_unix else asyncio.start_server
        self._server = await start(self._serve, sock=self._listener, limit=READ_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()  # type: ignore[attr-defined]  # of every transport that has a socket

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if len(self._writers) > self._service.options.bounds.max_connections:
                writer.write(TOO_MANY)
            else:
                await _Conversation(self._service, reader, writer).run()
            await asyncio.wait_for(writer.drain(), self._service.options.bounds.write_seconds)
            await _ended(reader, writer)
        except (OSError, asyncio.TimeoutError):
            writer.transport.abort()  # type: ignore[attr-defined]
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class _Conversation:
    """One connection."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        self._bounds = service.options.bounds
        version = f"open_nsfw {__version__}/{service.core.model}"
        self._limits = service.options.core.extraction.limits
        self._protocol = ClamdProtocol(version, self._limits.max_bytes)
        self._upload: _Upload | None = None
        self._address = Address(b"\n")
        self._notes = Notes("")
        """Of the stream that is under way, or was the last one."""
        self._is_noted = True
        """Whether metrics and log have that one."""
        self._gone = asyncio.ensure_future(_gone(writer))

    async def run(self) -> None:
        """To its end. Raises OSError for a client that has gone, TimeoutError for one that takes no answer."""
        try:
            while await self._step():
                pass
        except Refusal as refusal:
            self._note(refusal.status)
            self._writer.write(self._address.answer(f"{refusal.message}. ERROR".encode()))
        except OpenNsfwError as error:  # the engine, or no decoding process comes up
            self._note(HTTPStatus.INTERNAL_SERVER_ERROR)
            self._writer.write(self._address.answer(f"{error}. ERROR".encode()))
        finally:
            self._note(0)  # whoever has gone has no answer
            if self._upload is not None:
                self._upload.close()

    async def _step(self) -> bool:
        """Read once, and do what comes of it. False at the end."""
        try:
            data = await asyncio.wait_for(self._reader.read(READ_BYTES), self._seconds_left())
        except asyncio.TimeoutError:
            self._note(HTTPStatus.REQUEST_TIMEOUT)
            self._writer.write(self._address.answer(TOO_SLOW))
            return False
        for event in self._protocol.receive(data) if data else self._protocol.end():
            if isinstance(event, Close):
                return False
            await self._handle(event)
        return True

    def _seconds_left(self) -> float:
        """Until something must have come: the rest of a stream, a command, or between two of them the next one."""
        if self._upload is not None:
            return max(self._upload.deadline - asyncio.get_running_loop().time(), 0)
        is_between = self._protocol.is_in_session and self._protocol.is_idle
        return self._bounds.idle_seconds if is_between else self._bounds.header_seconds

    async def _handle(self, event: Event) -> None:
        if isinstance(event, Reply):
            self._note(HTTPStatus.BAD_REQUEST)  # a stream that is under way is refused
            self._writer.write(event.data)
        elif isinstance(event, Begin):
            self._address, self._notes, self._is_noted = event.address, Notes(secrets.token_hex(16)), False
            self._upload = _Upload(self._service.admission.enter(SHARE), self._bounds.body_seconds)
        elif self._upload is not None:
            if isinstance(event, Chunk):
                self._notes.received += len(event.data)
                self._upload.add(event.data)
                return
            upload, self._upload = self._upload, None
            with upload.ticket:
                text = await self._judged(upload)
            self._note(HTTPStatus.OK)
            self._writer.write(self._address.answer(b"stream: " + text))
        await asyncio.wait_for(self._writer.drain(), self._bounds.write_seconds)

    def _note(self, status: int) -> None:
        """The stream is over, for the metrics and the log, if one is under way."""
        if self._is_noted:
            return
        self._is_noted = True
        self._notes.status = int(status)
        client = self._writer.get_extra_info("peername") or ("", 0)
        self._service.note(LABEL, {"client": client, "method": "INSTREAM", "path": LABEL}, self._notes)

    async def _judged(self, upload: _Upload) -> bytes:
        """The verdict on a whole stream. Raises ConnectionResetError where nobody waits for it any more."""
        head, item = upload.head, upload.item()
        work = asyncio.ensure_future(outcomes_of(self._service.core, [item]))
        try:
            await asyncio.wait({work, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ConnectionResetError
            (outcome,) = work.result()
            self._notes.decisions[outcome.decision.value] += 1
            return verdict(outcome, self._service.options.hosts, head)
        finally:
            work.cancel()
            await asyncio.wait({work})


class _Upload:
    """A stream on its way in."""

    def __init__(self, ticket: Ticket, seconds: float) -> None:
        """`seconds`: until it must have come."""
        self.ticket, self.deadline = ticket, asyncio.get_running_loop().time() + seconds
        self.head = b""
        """Its first bytes."""
        self._buffer = PayloadBuffer()
        self._error: InputError | None = None

    def add(self, data: bytes) -> None:
        """Take some bytes. Raises Refusal where the service has no room for them."""
        self.ticket.hold(len(data))
        self.head += data[: max(HEAD - len(self.head), 0)]
        if self._error is None:
            try:
                self._buffer.add(data)
            except InputError as error:  # no room on the disk
                self._error = error

    def item(self) -> Item:
        """All of it."""
        if self._error is None and not self._buffer.size:
            self._error = InputError("empty", "the file is empty")
        try:
            if self._error is None:
                payload = self._buffer.payload()
                return Item(STDIN, data=payload.data, file=payload.file)
        except InputError as error:
            self._error = error
        self._buffer.close()
        return Item(STDIN, error=self._error)

    def close(self) -> None:
        """Nobody wants it."""
        self._buffer.close()
        self.ticket.__exit__(None, None, None)


async def _gone(writer: asyncio.StreamWriter) -> None:
    """Comes to its end with the connection."""
    with suppress(OSError):
        await writer.wait_closed()


async def _ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that nothing more is sent, and for a while read what nobody wants: closed at once, the connection would take the
    last answer with it."""
    writer.write_eof()
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_drained(reader), DRAIN_SECONDS)


async def _drained(reader: asyncio.StreamReader) -> None:
    left = DRAIN_BYTES
    while left > 0 and (data := await reader.read(READ_BYTES)):
        left -= len(data)
