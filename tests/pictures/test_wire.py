"""Messages as bytes: every message is read as it was sent, and nothing else is read as one."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from open_nsfw.errors import ERROR_CODES, InputError
from open_nsfw.pictures import wire
from open_nsfw.pictures.extraction import FrameChoice
from open_nsfw.pictures.messages import (
    End,
    FileFailure,
    FileInfo,
    FoundPicture,
    Message,
    ProtocolError,
    Ready,
    Request,
)
from open_nsfw.pictures.picture import Failure, Part, Picture
from open_nsfw.pictures.wire import parse, receive_answer, receive_request, send
from tests.tools.helpers import examples

PIXELS = bytes(3 * 256 * 256)
PICTURE = Picture(PIXELS, 8, 6, "PNG")
DIGEST = "0f" * 32
ERROR = InputError("truncated", "it ends too early")
ALL: list[Message] = [
    Ready(),
    Request(7, path="/photos/\udcff.jpg", quick_side=224),
    Request(7, data=b"encoded"),
    Request(7, descriptor=5),
    Request(7, data=b"encoded", frames=FrameChoice("max", 3, 0.5, 99, scenes=True)),
    FileInfo(7, 1000, None),
    FileInfo(7, 1000, DIGEST, "MATROSKA"),
    FoundPicture(7, PICTURE),
    FoundPicture(7, Picture(PIXELS, 8, 6, "MATROSKA", frame=3, seconds=0.5, track=1)),
    FoundPicture(7, Picture(PIXELS, 8, 6, "PNG", upright=True, part=Part(3, "cell", 1, 2, 8, 6))),
    FoundPicture(7, Failure(ERROR, 4, 0.75, 1)),
    FoundPicture(7, Failure(ERROR, None, part=Part(0, "content", 0, 0, 1, 1))),
    FileFailure(7, ERROR, worn=True),
    End(7),
]


def sent(message: Message) -> bytes:
    """A message's bytes."""
    stream = io.BytesIO()
    send(stream, message)
    return stream.getvalue()


def same(one: Message, other: Message) -> bool:
    """Exceptions are not equal to their copies."""
    return repr(one) == repr(other) and type(one) is type(other)


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_a_message_is_read_as_it_was_sent(message: Message) -> None:
    stream = io.BytesIO(sent(message))
    receive: Callable[..., Message | None] = receive_request if isinstance(message, Request) else receive_answer
    read = receive(stream)
    assert read is not None and same(read, message)
    assert receive(stream) is None


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_a_message_that_breaks_off_is_the_end(message: Message) -> None:
    whole = sent(message)
    receive: Callable[..., Message | None] = receive_request if isinstance(message, Request) else receive_answer
    for end in {0, 1, 11, 12, len(whole) // 2, len(whole) - 1}:
        assert receive(io.BytesIO(whole[:end])) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(sorted(ERROR_CODES)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=examples(300), deadline=None)
@given(message=st.sampled_from(ALL), data=st.data())
def test_a_message_with_anything_in_a_field_is_one_or_is_refused(message: Message, data: st.DataObject) -> None:
    """A value that is taken comes out as it is, of the right type; every other is a ProtocolError, and nothing else is
    raised."""
    header, payload = wire._parts(message)
    name = data.draw(st.sampled_from(sorted(header)))
    changed = {**header, name: data.draw(VALUES)}
    try:
        read = parse(json.dumps(changed).encode(), payload)
    except ProtocolError:
        return
    if name == "message":
        changed[name] = str(InputError("empty", changed[name]))  # which escapes what is not printable
    assert wire._parts(read)[0] == changed
    assert type(wire._parts(read)[0][name]) is type(changed[name])


@settings(max_examples=examples(300), deadline=None)
@given(message=st.sampled_from(ALL), data=st.data())
def test_flipped_bytes_are_a_message_or_are_refused(message: Message, data: st.DataObject) -> None:
    whole = bytearray(sent(message)[:4000])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        receive_answer(io.BytesIO(bytes(whole)))
    except ProtocolError as error:
        assert str(error).isprintable()


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(header, b"")


@pytest.mark.parametrize("header", [b"9" * 60000, b"[" * 60000, b'{"a":' * 10000, b"1e999999", b"NaN", b"\xff\xfe{}"])
def test_what_takes_long_or_deep_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(header, b"")


def test_what_is_too_long_is_not_read() -> None:
    """Nothing is allocated for a length that is only claimed."""
    for lengths in (
        (2**32 - 1, 0),
        (2, 2**64 - 1),
        (wire.LONGEST_HEADER + 1, 0),
        (2, wire.LONGEST_PAYLOAD + 1),
    ):
        with pytest.raises(ProtocolError, match="^a message that is too long$"):
            receive_answer(io.BytesIO(struct.pack(">IQ", *lengths) + b"{}"))


def test_a_picture_in_full_size() -> None:
    """Comes behind the recipe's pixels, and only where so many bytes are expected."""
    message = FoundPicture(7, Picture(PIXELS, 4, 2, "PNG", whole=bytes(range(24))))
    read = receive_answer(io.BytesIO(sent(message)), most_whole=24)
    assert read is not None and same(read, message)
    with pytest.raises(ProtocolError, match="^a message that is too long$"):
        receive_answer(io.BytesIO(sent(message)), most_whole=23)
