"""multipart/form-data -> items, as the body comes: no part is kept beyond the limit of one picture, and no more parts than
a request may have."""

from __future__ import annotations

import logging
from typing import NamedTuple

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import Limits, too_many_bytes
from open_nsfw.service.admission import Ticket
from open_nsfw.service.body import pieces
from open_nsfw.service.options import Bounds
from open_nsfw.service.refusals import bad_request, too_large
from open_nsfw.sources.item import Item
from open_nsfw.sources.payload import PayloadBuffer

# It would write a line into the log for each odd header of a stranger's.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
MOST_HEADER_BYTES = 8192  # of one part's headers
LONGEST_NAME = 1000  # letters of an item's name; rows repeat it


class Part(NamedTuple):
    """One part of a body."""

    item: Item
    media_type: str
    """Of its header Content-Type, in lower case and without parameters; empty without one."""
    is_file: bool
    """Whether its header Content-Disposition has a file's name."""


async def multipart_items(request: Request, ticket: Ticket, bounds: Bounds, limits: Limits) -> list[Item]:
    """The items in the parts of a body, in order, at least one. Raises Refusal and ClientGone."""
    return [part.item for part in await multipart_parts(request, ticket, bounds, limits)]


async def multipart_parts(request: Request, ticket: Ticket, bounds: Bounds, limits: Limits) -> list[Part]:
    """The parts of a body, in order, at least one. Raises Refusal and ClientGone."""
    boundary = _options(request.headers["content-type"]).get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise bad_request("the header Content-Type has no boundary of 1 to 70 letters")
    parts = _Parts(bounds, limits)
    parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
    try:
        async for piece in pieces(request, ticket, bounds):
            parser.write(piece)
        parser.finalize()
        if not parts.is_whole:
            raise bad_request("the multipart body ends before its last boundary")
        if not parts.parts:
            raise bad_request("the multipart body has no part")
        return parts.parts
    except MultipartParseError:
        parts.close()
        raise bad_request("the multipart body is damaged") from None
    except BaseException:
        parts.close()
        raise


def _options(header: str | bytes) -> dict[bytes, bytes]:
    """The parameters of a header, by their names. Raises Refusal (400)."""
    try:
        return parse_options_header(header)[1]
    except (ValueError, TypeError):  # of versions for Python 3.9, at odd numbers of RFC 2231's
        raise bad_request("a header of the multipart body is damaged") from None


class _Parts:
    """What the parser calls, and the items that come of it."""

    def __init__(self, bounds: Bounds, limits: Limits) -> None:
        self.parts: list[Part] = []
        self.is_whole = False
        self._bounds, self._limits = bounds, limits
        self._buffer = PayloadBuffer()
        self._error: InputError | None = None
        self._field, self._value, self._name = b"", b"", ""
        self._media_type, self._is_file = "", False
        self._header_bytes = 0

    def callbacks(self) -> dict[str, object]:
        """By the parser's names for them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_field,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def close(self) -> None:
        """Nobody wants the items."""
        self._buffer.close()
        for part in self.parts:
            part.item.close()

    def _begin(self) -> None:
        if len(self.parts) >= self._bounds.max_parts:
            raise too_large(f"more than {self._bounds.max_parts} parts (--max-parts)")
        self._buffer, self._error = PayloadBuffer(), None
        self._field, self._value, self._name = b"", b"", str(len(self.parts))
        self._header_bytes = 0
        self._media_type, self._is_file = "", False

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += self._header_part(data[start:end])

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._header_part(data[start:end])

    def _header_part(self, part: bytes) -> bytes:
        self._header_bytes += len(part)
        if self._header_bytes > MOST_HEADER_BYTES:
            raise too_large(f"the headers of a part have more than {MOST_HEADER_BYTES:,} bytes")
        return part

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            options = _options(self._value)
            name = (options.get(b"filename") or options.get(b"name") or b"").decode("utf-8", "surrogateescape")
            self._name = name[:LONGEST_NAME] or self._name
            self._is_file = b"filename" in options
        elif self._field.lower() == b"content-type":
            self._media_type = self._value.partition(b";")[0].strip().lower().decode("latin-1")
        self._field, self._value = b"", b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._error is not None:
            return
        try:
            if self._buffer.size + end - start > self._limits.max_bytes:
                raise too_many_bytes(self._limits)
            self._buffer.add(data[start:end])
        except InputError as error:
            self._error = error
            self._buffer.close()

    def _end(self) -> None:
        if self._error is None and not self._buffer.size:
            self._error = InputError("empty", "the file is empty")
        if self._error is not None:
            self._add(Item(self._name, error=self._error))
            return
        payload = self._buffer.payload()
        self._add(Item(self._name, data=payload.data, file=payload.file))

    def _add(self, item: Item) -> None:
        self.parts.append(Part(item, self._media_type, self._is_file))

    def _finish(self) -> None:
        self.is_whole = True
