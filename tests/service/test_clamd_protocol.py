"""clamd's protocol by itself: literal bytes in, events out, in whatever pieces the bytes come."""

from __future__ import annotations

import struct

import pytest

from open_nsfw.service.clamd_protocol import (
    LONGEST_COMMAND,
    Begin,
    Chunk,
    ClamdProtocol,
    Close,
    Event,
    Reply,
    Whole,
)

MOST = 1000
COMMANDS = b"open_nsfw 1.0| COMMANDS: PING VERSION VERSIONCOMMANDS INSTREAM IDSESSION END"


def chunk(data: bytes) -> bytes:
    """With its length before it."""
    return struct.pack(">I", len(data)) + data


END = chunk(b"")


def told(*pieces: bytes, ends: bool = False) -> str:
    """What a connection comes to: answers as they are, chunks together, a stream's answer as `OK`."""
    protocol = ClamdProtocol("open_nsfw 1.0", MOST)
    events: list[Event] = []
    for piece in pieces:
        events += protocol.receive(piece)
    if ends:
        events += protocol.end()
    words: list[str] = []
    for event in events:
        if isinstance(event, Reply):
            words.append(repr(event.data))
        elif isinstance(event, Chunk) and words and words[-1].startswith("("):
            words[-1] = words[-1][:-1] + event.data.decode() + ")"
        elif isinstance(event, Chunk):
            words.append(f"({event.data.decode()})")
        elif isinstance(event, Whole):
            words.append(repr(event.address.answer(b"stream: OK")))
        else:
            words.append({Begin: "begin", Close: "close"}[type(event)])
    return " ".join(words)


@pytest.mark.parametrize(
    ("sent", "comes"),
    [
        (b"zPING\0", "b'PONG\\x00' close"),
        (b"nPING\n", "b'PONG\\n' close"),
        (b"PING\n", "b'PONG\\n' close"),
        (b"PING\r\n", "b'PONG\\n' close"),
        (b"PING", "b'PONG\\n' close"),  # one packet is one command: such clients wait for the answer
        (b"VERSION", "b'open_nsfw 1.0\\n' close"),
        (b"nPING\r\n", "b'PONG\\n' close"),
        (b"nINSTREAM\r\n" + chunk(b"a") + END, "begin (a) b'stream: OK\\n' close"),
        (b"zPING\r\0", "b'UNKNOWN COMMAND\\x00' close"),
        (b"zVERSION\0", "b'open_nsfw 1.0\\x00' close"),
        (b"VERSION\n", "b'open_nsfw 1.0\\n' close"),
        (b"nVERSIONCOMMANDS\n", repr(COMMANDS + b"\n") + " close"),
        (b"zINSTREAM\0" + chunk(b"ab") + chunk(b"c") + END, "begin (abc) b'stream: OK\\x00' close"),
        (b"nINSTREAM\n" + END, "begin b'stream: OK\\n' close"),
        (b"zINSTREAM\0" + END + b"zPING\0", "begin b'stream: OK\\x00' close"),
        (b"zIDSESSION\0zPING\0zPING\0zEND\0zPING\0", "b'1: PONG\\x00' b'2: PONG\\x00' close"),
        (
            b"nIDSESSION\nnINSTREAM\n" + chunk(b"a") + END + b"zVERSION\0nINSTREAM\n" + chunk(b"b") + END,
            "begin (a) b'1: stream: OK\\n' b'2: open_nsfw 1.0\\x00' begin (b) b'3: stream: OK\\n'",
        ),
        (b"zIDSESSION\0zIDSESSION\0zPING\0", "b'1: Command invalid inside IDSESSION. ERROR\\x00' close"),
        (b"zIDSESSION\0zSCAN /etc/passwd\0zPING\0", "b'1: UNKNOWN COMMAND\\x00' close"),
        (b"zINSTREAM\0" + chunk(b"x" * MOST) + END, f"begin ({'x' * MOST}) b'stream: OK\\x00' close"),
    ],
)
def test_commands(sent: bytes, comes: str) -> None:
    """At once, byte by byte, and cut in two anywhere."""
    assert told(sent) == comes
    assert told(*(sent[index : index + 1] for index in range(len(sent)))) == comes
    for cut in range(0, len(sent), 1 + len(sent) // 40):
        assert told(sent[:cut], sent[cut:]) == comes


@pytest.mark.parametrize(
    "sent",
    [
        b"zSCAN /etc/passwd\0",
        b"nSCAN /etc/passwd\n",
        b"zSHUTDOWN\0",
        b"SHUTDOWN\n",
        b"zRELOAD\0",
        b"zFILDES\0",
        b"zSTATS\0",
        b"zEND\0",
        b"INSTREAM\n",
        b"IDSESSION\n",
        b"zping\0",
        b"zPING \0",
        b"z\0",
        b"\n",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
        b"z" + b"x" * LONGEST_COMMAND,
        b"z" + b"PING" * LONGEST_COMMAND + b"\0",
    ],
)
def test_anything_else_is_refused(sent: bytes) -> None:
    """In one line, and nothing behind it is read."""
    end = "\\x00" if sent[:1] == b"z" and sent[1:2] != b"x" and b"\0" in sent[:LONGEST_COMMAND] else "\\n"
    assert told(sent + b"zPING\0nPING\n") in (f"b'UNKNOWN COMMAND{end}' close", "b'UNKNOWN COMMAND\\n' close")


@pytest.mark.parametrize("lengths", [[MOST + 1], [0xFFFFFFFF], [MOST, 1], [1] * MOST + [1]])
def test_a_stream_over_the_limit_ends_before_its_bytes_come(lengths: list[int]) -> None:
    """Its length alone is enough."""
    sent = b"".join(chunk(b"x" * length) for length in lengths[:-1]) + struct.pack(">I", lengths[-1])
    comes = told(b"zINSTREAM\0" + sent)
    assert comes.endswith("b'INSTREAM size limit exceeded. ERROR\\x00' close")


@pytest.mark.parametrize("rest", [b"", b"\0", chunk(b"abc"), struct.pack(">I", 10) + b"abc"])
def test_a_stream_that_ends_too_early_is_never_judged(rest: bytes) -> None:
    """What came of it is no file."""
    comes = told(b"zINSTREAM\0" + rest, ends=True)
    assert comes.endswith("b'INSTREAM: the stream ends before its end. ERROR\\x00' close")
    assert "OK" not in comes


def test_a_stream_of_many_small_chunks_ends_early() -> None:
    """Those of a patient client, of hundreds of bytes, may be as many as they want."""
    protocol = ClamdProtocol("v", 1 << 30)
    events = list(protocol.receive(b"zINSTREAM\0" + chunk(b"x") * 20_000))
    assert events[-2:] == [Reply(b"INSTREAM: too many small chunks. ERROR\0"), Close()]
    assert sum(isinstance(event, Chunk) for event in events) < 10_100
    protocol = ClamdProtocol("v", 1 << 30)
    events = list(protocol.receive(b"zINSTREAM\0" + chunk(b"x" * 512) * 50_000 + END))
    assert isinstance(events[-2], Whole)


def test_the_end_of_what_is_sent() -> None:
    """Half a command is nothing; a session may just end; what was closed stays closed."""
    assert told(b"zPIN", ends=True) == told(b"PIN", ends=True) == told(b"zPING", ends=True) == "close"
    assert told(b"", ends=True) == "close"
    assert told(b"zIDSESSION\0zPING\0", ends=True) == "b'1: PONG\\x00' close"
    assert told(b"zPING\0", ends=True) == "b'PONG\\x00' close"


def test_what_is_waited_for() -> None:
    protocol = ClamdProtocol("v", MOST)
    assert protocol.is_idle and not protocol.is_in_session
    assert list(protocol.receive(b"zIDSESSION\0")) == []
    assert protocol.is_idle and protocol.is_in_session
    list(protocol.receive(b"z"))
    assert not protocol.is_idle
    list(protocol.receive(b"INSTREAM\0"))
    assert not protocol.is_idle


def test_a_large_chunk_passes_in_pieces() -> None:
    """It is not gathered."""
    protocol = ClamdProtocol("v", 1 << 30)
    list(protocol.receive(b"zINSTREAM\0" + struct.pack(">I", 1 << 30)))
    for _ in range(100):
        (event,) = protocol.receive(b"x" * 65536)
        assert event == Chunk(b"x" * 65536)
    assert len(protocol._buffer) == 0
