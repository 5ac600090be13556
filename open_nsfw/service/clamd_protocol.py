"""clamd's protocol, without a socket: the bytes of one connection in, events and the bytes of answers out.

Only what a program needs that sends files to be judged: INSTREAM, PING, VERSION, VERSIONCOMMANDS, IDSESSION and END. Commands
that name files or control the daemon (SCAN, RELOAD, SHUTDOWN, ...) are refused like unknown ones.
The protocol: clamd(8), and clamd/session.c of ClamAV for the words of its answers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Union

LONGEST_COMMAND = 1024  # bytes, its end included
LENGTH = struct.Struct(">I")  # before each chunk; 0 ends the stream
TERMINATORS = {b"z": b"\0", b"n": b"\n"}  # by the letter before a command: what ends it, and its answer
COMMANDS = (b"PING", b"VERSION", b"VERSIONCOMMANDS", b"INSTREAM", b"IDSESSION", b"END")
OLD_STYLE = (b"PING", b"VERSION")  # those that may come without such a letter, and also without an end
UNKNOWN = b"UNKNOWN COMMAND"
TOO_LARGE = b"INSTREAM size limit exceeded. ERROR"
SMALL = b"INSTREAM: too many small chunks. ERROR"
# Each chunk costs time, however small it is, and clients have chunks of kilobytes.
FREE_CHUNKS, LEAST_MEAN = 10_000, 512  # a stream may have so many chunks, and one more for so many bytes
NO_STREAM = b"INSTREAM: the stream ends before its end. ERROR"
INVALID = b"Command invalid inside IDSESSION. ERROR"


@dataclass(frozen=True)
class Reply:
    """Bytes to send now."""

    data: bytes


@dataclass(frozen=True)
class Begin:
    """A stream begins: `Chunk`s follow, and then `Whole`."""

    address: Address


@dataclass(frozen=True)
class Chunk:
    """Some bytes of the stream."""

    data: bytes


@dataclass(frozen=True)
class Whole:
    """The stream has ended as it should: it is to be judged, and `Address.answer` gives the bytes of the answer."""

    address: Address


@dataclass(frozen=True)
class Close:
    """Nothing further is read; the connection is closed when what was asked for is answered."""


Event = Union[Reply, Begin, Chunk, Whole, Close]


@dataclass(frozen=True)
class Address:
    """Which command an answer is to, and how it ends."""

    terminator: bytes
    number: int | None = None
    """In a session, the command's number, from 1."""

    def answer(self, text: bytes) -> bytes:
        """An answer as it is sent."""
        before = b"" if self.number is None else b"%d: " % self.number
        return before + text + self.terminator


class _State(Enum):
    COMMAND = "waits for a command"
    LENGTH = "waits for the length of a chunk"
    CHUNK = "is in a chunk"
    CLOSED = "reads nothing more"


class ClamdProtocol:
    """One connection. `receive` takes what comes, in whatever pieces."""

    def __init__(self, version: str, max_bytes: int) -> None:
        """`version`: what VERSION answers. `max_bytes`: of one stream."""
        self._version, self._max_bytes = version.encode(), max_bytes
        self._state = _State.COMMAND
        self._buffer = bytearray()  # an unfinished command or length: never more than LONGEST_COMMAND and one read
        self._left = 0  # of the chunk
        self._taken = self._chunks = 0  # bytes and chunks of the stream
        self._address = Address(b"\n")
        self._commands: int | None = None
        """In a session: how many commands there were."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing has come of a next command."""
        return self._state is _State.COMMAND and not self._buffer

    @property
    def is_in_session(self) -> bool:
        """Whether the other side may let the connection stand between two commands."""
        return self._commands is not None

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes bring about."""
        self._buffer += data
        while self._state is not _State.CLOSED:
            if self._state is _State.COMMAND and self._commands is None and self._buffer in OLD_STYLE:
                self._buffer += b"\n"  # clamd takes such a command as it comes, without an end
            events = self._next()
            if events is None:
                return
            yield from events

    def end(self) -> Iterator[Event]:
        """The other side sends nothing more."""
        if self._state in (_State.LENGTH, _State.CHUNK):
            yield Reply(self._address.answer(NO_STREAM))
        if self._state is not _State.CLOSED:
            self._state = _State.CLOSED
            yield Close()

    def _next(self) -> list[Event] | None:
        """What the next part of the buffer brings about; None where it is not there yet."""
        if self._state is _State.COMMAND:
            return self._command()
        return self._length() if self._state is _State.LENGTH else self._chunk()

    def _command(self) -> list[Event] | None:
        prefix = bytes(self._buffer[:1])
        terminator = TERMINATORS.get(prefix, b"\n")
        end = self._buffer.find(terminator, 0, LONGEST_COMMAND)
        if end < 0:
            return self._refused(UNKNOWN) if len(self._buffer) >= LONGEST_COMMAND else None
        has_prefix = prefix in TERMINATORS
        name = bytes(self._buffer[has_prefix:end])
        if terminator == b"\n":
            name = name.removesuffix(b"\r")
        del self._buffer[: end + 1]
        if self._commands is not None:
            self._commands += 1
        self._address = Address(terminator, self._commands)
        return self._done(name) if name in (COMMANDS if has_prefix else OLD_STYLE) else self._refused(UNKNOWN)

    def _done(self, name: bytes) -> list[Event]:
        """The events of a known command."""
        if name == b"INSTREAM":
            self._state, self._taken, self._chunks = _State.LENGTH, 0, 0
            return [Begin(self._address)]
        if name == b"IDSESSION":
            if self._commands is not None:
                return self._refused(INVALID)
            self._commands = 0
            return []
        if name == b"END":
            return self._closed() if self._commands is not None else self._refused(UNKNOWN)
        text = {
            b"PING": b"PONG",
            b"VERSION": self._version,
            b"VERSIONCOMMANDS": self._version + b"| COMMANDS: " + b" ".join(COMMANDS),
        }[name]
        return self._answered(text)

    def _answered(self, text: bytes) -> list[Event]:
        """One command has its answer, and outside a session that was all."""
        reply = Reply(self._address.answer(text))
        return [reply] if self._commands is not None else [reply, *self._closed()]

    def _refused(self, text: bytes) -> list[Event]:
        return [Reply(self._address.answer(text)), *self._closed()]

    def _closed(self) -> list[Event]:
        self._state = _State.CLOSED
        self._buffer.clear()
        return [Close()]

    def _length(self) -> list[Event] | None:
        if len(self._buffer) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._buffer)
        del self._buffer[: LENGTH.size]
        if length == 0:
            self._state = _State.COMMAND
            whole = Whole(self._address)
            return [whole] if self._commands is not None else [whole, *self._closed()]
        if self._taken + length > self._max_bytes:
            return self._refused(TOO_LARGE)
        self._state, self._left = _State.CHUNK, length
        self._taken, self._chunks = self._taken + length, self._chunks + 1
        if self._chunks > FREE_CHUNKS + self._taken // LEAST_MEAN:
            return self._refused(SMALL)
        return []

    def _chunk(self) -> list[Event] | None:
        if not self._buffer:
            return None
        data = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(data)
        if not self._left:
            self._state = _State.LENGTH
        return [Chunk(data)]
