"""The messages between the command's process and one that decodes, and the check that makes bytes into messages.

What the decoding process says is as trustworthy as the picture that it was given: a decoder that a picture has broken may
write anything. So nothing is taken as a message that is not one to the last field, and no answer belongs to a request
whose number it does not carry.

On the wire a message is the length of a header (32 bits, big-endian), that of a payload (64 bits), the header in JSON, the
payload. Standard library only.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Optional, Union

from open_nsfw.errors import ERROR_CODES, InputError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.formats import SIDE, quick_pixels
from open_nsfw.pictures.picture import Failure, Found, Picture

_LENGTHS = struct.Struct(">IQ")
LONGEST_HEADER = 1 << 16  # bytes; a path has 4,096 at most, which JSON may write as six characters each
LONGEST_PAYLOAD = 3 * SIDE * SIDE  # bytes of an answer: the pixels of one picture
LONGEST_TEXT = 1000  # characters of an error's sentence; what a library says may hold half of the file
LARGEST = 2**63 - 1  # of whole numbers: what rows can hold
REQUEST_BITS = 48  # of a request's number, which is drawn by lot: answers in advance cannot know it


class ProtocolError(Exception):
    """What came is no message, or none that may come there; the text says why, without a word of the sender's."""


@dataclass(frozen=True)
class Request:
    """One file to decode: at `path`, in an open `descriptor`, or `data` itself."""

    number: int
    path: str | None = None
    descriptor: int | None = None
    quick_side: int | None = None
    """Pixels a side that the net reads, if a quick decode will do."""
    data: bytes = b""


@dataclass(frozen=True)
class Ready:
    """The process has come up."""


@dataclass(frozen=True)
class FileInfo:
    """What is known about a file before its pictures."""

    request: int
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class FoundPicture:
    """One picture of a file, or why it is not there; others follow."""

    request: int
    found: Found


@dataclass(frozen=True)
class End:
    """A file has no further picture."""

    request: int


@dataclass(frozen=True)
class FileFailure:
    """A file has no further picture that can be had."""

    request: int
    error: InputError
    worn: bool = False
    """The process is out of memory or descriptors, which earlier files may have used up."""


Answer = Union[FileInfo, FoundPicture, End, FileFailure]
Message = Union[Request, Ready, Answer]

# ------------------------------------------------------------------------------------------------------------- fields


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


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


# kind -> the fields of its header, each with what it must be. Exactly these, no more and no less.
_FIELDS: dict[str, dict[str, Callable[[object], bool]]] = {
    "request": {
        "number": _count,
        "path": _or_none(_path),
        "descriptor": _or_none(_count),
        "quick_side": _or_none(_size),
    },
    "ready": {},
    "file": {"request": _count, "bytes": _count, "sha256": _or_none(_sha256)},
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
    },
    "failure": {
        "request": _count,
        "code": _code,
        "message": _text,
        "frame": _count,
        "seconds": _or_none(_seconds),
        "track": _or_none(_count),
    },
    "end": {"request": _count},
    "file-failure": {"request": _count, "code": _code, "message": _text, "worn": _flag},
}
_WITH_PAYLOAD = ("request", "picture")


def _message(kind: str, fields: dict[str, Any], payload: bytes) -> Message:
    """The message of fields that were checked."""
    if kind == "request":
        return Request(**fields, data=payload)
    if kind == "ready":
        return Ready()
    if kind == "file":
        return FileInfo(**fields)
    request = fields.pop("request")
    if kind == "picture":
        return FoundPicture(request, Picture(payload, **fields))
    if kind == "end":
        return End(request)
    error = InputError(fields.pop("code"), fields.pop("message"))
    if kind == "failure":
        return FoundPicture(request, Failure(error, **fields))
    return FileFailure(request, error, **fields)


def _parts(message: Message) -> tuple[dict[str, Any], bytes]:
    """A message's header and payload."""
    if isinstance(message, Ready):
        return {"kind": "ready"}, b""
    if isinstance(message, Request):
        return {"kind": "request", **_named("request", message)}, message.data
    if isinstance(message, FileInfo):
        return {"kind": "file", **_named("file", message)}, b""
    header: dict[str, Any] = {"request": message.request}
    if isinstance(message, End):
        return {"kind": "end", **header}, b""
    if isinstance(message, FileFailure):
        return {"kind": "file-failure", **header, **_error(message.error), "worn": message.worn}, b""
    found = message.found
    if isinstance(found, Picture):
        return {"kind": "picture", **_named("picture", found), **header}, found.pixels
    failed = {"frame": found.frame, "seconds": found.seconds, "track": found.track}
    return {"kind": "failure", **header, **_error(found.error), **failed}, b""


def _named(kind: str, message: object) -> dict[str, Any]:
    return {name: getattr(message, name, None) for name in _FIELDS[kind]}


def _error(error: InputError) -> dict[str, str]:
    return {"code": error.code, "message": str(error)[:LONGEST_TEXT]}


# -------------------------------------------------------------------------------------------------------------- bytes


def send(stream: BinaryIO, message: Message) -> None:
    """Write one message, and flush it."""
    fields, payload = _parts(message)
    header = json.dumps(fields).encode()
    stream.write(_LENGTHS.pack(len(header), len(payload)) + header)
    stream.write(payload)
    stream.flush()


def receive_request(stream: BinaryIO) -> Request | None:
    """The next request; None where there is none any more."""
    message = _receive(stream, most=LARGEST)
    if message is not None and not isinstance(message, Request):
        raise ProtocolError("no request")
    return message


def receive_answer(stream: BinaryIO) -> Ready | Answer | None:
    """The next message of a decoding process; None where the stream ends before it is whole. Raises ProtocolError for
    anything that is no such message."""
    message = _receive(stream, LONGEST_PAYLOAD)
    if isinstance(message, Request):
        raise ProtocolError("no answer")
    return message


def _receive(stream: BinaryIO, most: int) -> Message | None:
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    header_length, payload_length = _LENGTHS.unpack(lengths)
    if header_length > LONGEST_HEADER or payload_length > most:
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


# -------------------------------------------------------------------------------------------------------------- order


def in_order(answers: Iterable[Answer], request: Request, options: Extraction) -> Iterator[Answer]:
    """The answers to one request, up to the last one: `FileInfo`, then each picture, then `End`; or `FileFailure` anywhere.

    Raises ProtocolError for one to another request, one out of order, a picture twice, more pictures than `options` allow,
    and pixels that were not asked for.
    """
    begun, shown, count = False, dict[Optional[int], int](), 0
    for answer in answers:
        if answer.request != request.number:
            raise ProtocolError("an answer to another request")
        if not isinstance(answer, FileFailure) and isinstance(answer, FileInfo) == begun:
            raise ProtocolError("an answer out of order")
        if isinstance(answer, FileInfo):
            begun = True
            if (answer.sha256 is not None) != options.hash:
                raise ProtocolError("a hash that was not asked for, or none")
        elif isinstance(answer, FoundPicture):
            _note_shown(answer.found, shown)
            count += 1
            if count > 2 * options.frames.max_frames:  # as many pictures, and as many that failed
                raise ProtocolError("more pictures than it may")
            if isinstance(answer.found, Picture):
                _check_pixels(answer.found, request.quick_side)
        yield answer
        if isinstance(answer, (End, FileFailure)):
            return


def _note_shown(found: Found, shown: dict[int | None, int]) -> None:
    """Note a picture's index, which must come behind the last one of its track. A picture without an index is alone."""
    if found.frame is None:
        repeated, index = bool(shown), LARGEST
    else:
        index = found.frame
        repeated = index <= shown.get(found.track, -1)
    if repeated or LARGEST in shown.values():
        raise ProtocolError("a picture that was there already")
    shown[found.track] = index


def _check_pixels(picture: Picture, quick_side: int | None) -> None:
    if picture.exact:
        side, fits = SIDE, not picture.reduced
    else:
        side, fits = quick_pixels(quick_side or SIDE), quick_side is not None
    if not fits or len(picture.pixels) != 3 * side * side:
        raise ProtocolError("pixels that were not asked for")
