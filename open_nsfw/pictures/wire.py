"""Messages as bytes: the length of a header (32 bits, big-endian), that of a payload (64 bits), the header in JSON, the
payload. Each field of a header is checked before there is a message. Standard library only.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import astuple
from typing import Any, BinaryIO

from open_nsfw.errors import ERROR_CODES, InputError
from open_nsfw.pictures.extraction import FRAME_MODES, FrameChoice
from open_nsfw.pictures.formats import SIDE
from open_nsfw.pictures.messages import (
    LARGEST,
    Answer,
    End,
    FileFailure,
    FileInfo,
    FoundPicture,
    Message,
    ProtocolError,
    Ready,
    Request,
)
from open_nsfw.pictures.picture import FOUND_AS, Failure, Part, Picture

_LENGTHS = struct.Struct(">IQ")
LONGEST_HEADER = 1 << 16  # bytes of an answer; what it says of a picture or an error has some thousands
LONGEST_PAYLOAD = (
    3 * SIDE * SIDE
)  # bytes of an answer: the pixels of one picture; behind so many, the picture in full size
LONGEST_TEXT = 1000  # characters of an error's sentence; what a library says may hold half of the file


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _size(value: object) -> bool:
    return type(value) is int and 0 < value < LARGEST


def _flag(value: object) -> bool:
    return type(value) is bool


def _seconds(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < LARGEST  # type: ignore[arg-type]


def _text(value: object) -> bool:
    return type(value) is str and len(value) <= LONGEST_TEXT


def _path(value: object) -> bool:
    return type(value) is str


def _word(value: object) -> bool:
    return type(value) is str and re.fullmatch(r"[\w .,+/-]{1,40}", value, re.ASCII) is not None


def _sha256(value: object) -> bool:
    return type(value) is str and re.fullmatch("[0-9a-f]{64}", value) is not None


def _code(value: object) -> bool:
    return type(value) is str and value in ERROR_CODES


def _frame_choice(value: object) -> bool:
    """The fields of a `FrameChoice`, in its order."""
    if type(value) is not list or len(value) != len(astuple(FrameChoice())):
        return False
    mode, count, every_seconds, max_frames, scenes = value
    is_mode = type(mode) is str and mode in FRAME_MODES
    has_numbers = _size(count) and _seconds(every_seconds) and every_seconds > 0 and _size(max_frames)
    return is_mode and has_numbers and _flag(scenes)


def _part(value: object) -> bool:
    """The fields of a `Part`, in its order."""
    if type(value) is not list or len(value) != len(Part._fields):
        return False
    number, found_as, left, top, right, bottom = value
    is_box = all(map(_count, (left, top, right, bottom))) and left < right and top < bottom
    return _count(number) and type(found_as) is str and found_as in FOUND_AS and is_box


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


# kind -> the fields of its header, each with what it must be. Exactly these, no more and no less.
_FIELDS: dict[str, dict[str, Callable[[object], bool]]] = {
    "request": {
        "number": _count,
        "path": _or_none(_path),
        "descriptor": _or_none(_count),
        "quick_side": _or_none(_size),
        "frames": _or_none(_frame_choice),
    },
    "ready": {},
    "file": {"request": _count, "bytes": _count, "sha256": _or_none(_sha256), "format": _or_none(_word)},
    "picture": {
        "request": _count,
        "width": _size,
        "height": _size,
        "format": _word,
        "frame": _or_none(_count),
        "seconds": _or_none(_seconds),
        "track": _or_none(_count),
        "exact": _flag,
        "reduced": _flag,
        "upright": _or_none(_flag),
        "part": _or_none(_part),
    },
    "failure": {
        "request": _count,
        "code": _code,
        "message": _text,
        "frame": _or_none(_count),
        "seconds": _or_none(_seconds),
        "track": _or_none(_count),
        "part": _or_none(_part),
    },
    "end": {"request": _count},
    "file-failure": {"request": _count, "code": _code, "message": _text, "worn": _flag},
}
_WITH_PAYLOAD = ("request", "picture")


def _message(kind: str, fields: dict[str, Any], payload: bytes) -> Message:
    """The message of fields that were checked."""
    if kind == "request":
        choice = fields.pop("frames")
        return Request(**fields, frames=None if choice is None else FrameChoice(*choice), data=payload)
    if kind == "ready":
        return Ready()
    if kind == "file":
        return FileInfo(**fields)
    request = fields.pop("request")
    if kind == "end":
        return End(request)
    if kind in ("picture", "failure"):
        part = fields.pop("part")
        fields["part"] = None if part is None else Part(*part)
    if kind == "picture":
        pixels, whole = payload[:LONGEST_PAYLOAD], payload[LONGEST_PAYLOAD:]
        return FoundPicture(request, Picture(pixels, whole=whole, **fields))
    error = InputError(fields.pop("code"), fields.pop("message"))
    if kind == "failure":
        return FoundPicture(request, Failure(error, **fields))
    return FileFailure(request, error, **fields)


def _parts(message: Message) -> tuple[dict[str, Any], bytes]:
    """A message's header and payload."""
    if isinstance(message, Ready):
        return {"kind": "ready"}, b""
    if isinstance(message, Request):
        choice = None if message.frames is None else list(astuple(message.frames))
        return {"kind": "request", **_fields_of(message, "request", but="frames"), "frames": choice}, message.data
    if isinstance(message, FileInfo):
        return {"kind": "file", **_fields_of(message, "file")}, b""
    header: dict[str, Any] = {"request": message.request}
    if isinstance(message, End):
        return {"kind": "end", **header}, b""
    if isinstance(message, FileFailure):
        return {"kind": "file-failure", **header, **_error(message.error), "worn": message.worn}, b""
    found = message.found
    part = None if found.part is None else list(found.part)
    if isinstance(found, Picture):
        fields = {**_fields_of(found, "picture", but="request"), "part": part}
        return {"kind": "picture", **header, **fields}, found.pixels + found.whole
    failed = {"frame": found.frame, "seconds": found.seconds, "track": found.track, "part": part}
    return {"kind": "failure", **header, **_error(found.error), **failed}, b""


def _fields_of(message: object, kind: str, but: str = "") -> dict[str, Any]:
    """What a header of this kind says of `message`, without the field `but`."""
    return {name: getattr(message, name) for name in _FIELDS[kind] if name != but}


def _error(error: InputError) -> dict[str, str]:
    return {"code": error.code, "message": str(error)[:LONGEST_TEXT]}


def send(stream: BinaryIO, message: Message) -> None:
    """Write one message, and flush it."""
    fields, payload = _parts(message)
    header = json.dumps(fields).encode()
    stream.write(_LENGTHS.pack(len(header), len(payload)) + header)
    stream.write(payload)
    stream.flush()


def receive_request(stream: BinaryIO) -> Request | None:
    """The next request; None where there is none any more."""
    message = _receive(stream, LARGEST, LARGEST)
    if message is not None and not isinstance(message, Request):
        raise ProtocolError("no request")
    return message


def receive_answer(stream: BinaryIO, most_whole: int = 0) -> Ready | Answer | None:
    """The next message of a decoding process; None where the stream ends before it is whole. `most_whole`: bytes that a
    picture in full size may have. Raises ProtocolError for anything that is no such message."""
    message = _receive(stream, LONGEST_HEADER, LONGEST_PAYLOAD + most_whole)
    if isinstance(message, Request):
        raise ProtocolError("no answer")
    return message


def _receive(stream: BinaryIO, longest_header: int, longest_payload: int) -> Message | None:
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    header_length, payload_length = _LENGTHS.unpack(lengths)
    if header_length > longest_header or payload_length > longest_payload:
        raise ProtocolError("a message that is too long")
    header, payload = stream.read(header_length), stream.read(payload_length)
    if len(header) < header_length or len(payload) < payload_length:
        return None
    return parse(header, payload)


def parse(header: bytes, payload: bytes) -> Message:
    """The message of these bytes. Raises ProtocolError if they are not exactly one."""
    fields = _fields(header)
    kind = fields.pop("kind", None)
    checks = _FIELDS.get(kind) if isinstance(kind, str) else None
    if checks is None:
        raise ProtocolError("a message of no known kind")
    if fields.keys() != checks.keys():
        raise ProtocolError(f"a message `{kind}` with other fields than it has")
    for name, check in checks.items():
        if not check(fields[name]):
            raise ProtocolError(f"a message `{kind}` with a wrong `{name}`")
    if payload and kind not in _WITH_PAYLOAD:
        raise ProtocolError(f"a message `{kind}` with a payload")
    return _message(kind, fields, payload)


def _fields(header: bytes) -> dict[str, Any]:
    try:
        found = json.loads(header, object_pairs_hook=_unique)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number of too many digits; nested without end
        raise ProtocolError("a message that is not JSON") from None
    if not isinstance(found, dict):
        raise ProtocolError("a message that is no object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found
