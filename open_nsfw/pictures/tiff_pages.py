"""Where the pages of a TIFF file are, and each of them by itself.

Pillow goes from page to page; one that it cannot read ends its count of them, and the first one keeps it from opening
the file. Here every page is opened as if it were the first.
"""

from __future__ import annotations

import io
import struct
from operator import add
from typing import Literal

from open_nsfw.errors import InputError

_CLASSIC, _BIG = 42, 43  # the number after the byte order
# Of each: where the header has the first page's offset, bytes of an offset, of a count of tags, and of a tag.
_LAYOUTS = {_CLASSIC: (4, 4, 2, 12), _BIG: (8, 8, 8, 20)}
# Bytes of a value of each type (TIFF 6.0, page 15; 16 to 18 are BigTIFF's).
_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_PIECES = ((273, 279), (324, 325))  # tags: where the strips are and how long they are; the same of tiles


class TiffPages:
    """The pages of a TIFF file."""

    def __init__(self, data: bytes, most: int) -> None:
        """`most` pages are looked for."""
        self._order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
        layout = _LAYOUTS[self._number(data, 2, 2)]
        self._first, self._offset_bytes, self._count_bytes, self._tag_bytes = layout
        self._data = data
        self._file = io.BytesIO(data)
        self.offsets = self._offsets(most)
        """Where each page's tags begin; the last may be beyond the end of the file."""

    def file(self, page: int) -> io.BytesIO:
        """The file with this page as its first. The same object for all: one page at a time. Raises InputError for a page
        beyond the end of the file."""
        if self.offsets[page] + self._count_bytes > len(self._data):
            raise InputError("truncated", f"a damaged TIFF file: it ends before page {page}")
        self._file.seek(self._first)
        self._file.write(self.offsets[page].to_bytes(self._offset_bytes, self._order))
        self._file.seek(0)
        return self._file

    def end(self, page: int) -> int:
        """How many bytes the file must have for this page: its tags, what they lead to, and its strips or tiles. Of what lies
        behind the end of the file no more is looked at."""
        at = self.offsets[page] if page < len(self.offsets) else self._first + self._offset_bytes
        count = self._number(self._data, at, self._count_bytes)
        first = at + self._count_bytes
        end = first + count * self._tag_bytes
        if end > len(self._data):
            return end
        values: dict[int, tuple[int, int, int]] = {}  # of each tag: where they are, how many, and bytes of each
        for tag in range(first, end, self._tag_bytes):
            number, start, many, size = self._tag(tag)
            values[number] = start, many, size
            end = max(end, start + many * size)
        if end > len(self._data):
            return end
        return max(end, *(self._pieces_end(values, offsets, sizes) for offsets, sizes in _PIECES))

    def _tag(self, at: int) -> tuple[int, int, int, int]:
        """The tag that stands at `at`: its number, where its values are, how many, and bytes of each."""
        number, kind = self._number(self._data, at, 2), self._number(self._data, at + 2, 2)
        many = self._number(self._data, at + 4, self._offset_bytes)
        size, inside = _TYPES.get(kind, 0), at + 4 + self._offset_bytes
        is_inside = many * size <= self._offset_bytes
        return number, inside if is_inside else self._number(self._data, inside, self._offset_bytes), many, size

    def _pieces_end(self, values: dict[int, tuple[int, int, int]], offsets: int, sizes: int) -> int:
        """Where the last strip or tile ends, by these two tags; 0 if there are none."""
        starts, lengths = (self._values(*values.get(tag, (0, 0, 0))) for tag in (offsets, sizes))
        return max(map(add, starts, lengths), default=0)

    def _values(self, start: int, many: int, size: int) -> tuple[int, ...]:
        code = {1: "B", 2: "H", 4: "L", 8: "Q"}.get(size)
        if code is None:
            return ()
        return struct.unpack_from(f"{'<' if self._order == 'little' else '>'}{many}{code}", self._data, start)

    def _offsets(self, most: int) -> list[int]:
        found: dict[int, None] = {}  # in order, and a page that leads back to an earlier one is the last
        at = self._number(self._data, self._first, self._offset_bytes)
        while at and at not in found and len(found) < most:
            found[at] = None
            tags = self._number(self._data, at, self._count_bytes)
            at = self._number(self._data, at + self._count_bytes + tags * self._tag_bytes, self._offset_bytes)
        return list(found)

    def _number(self, data: bytes, at: int, count: int) -> int:
        """The number of `count` bytes at `at`; 0 where the file ends before it."""
        digits = data[at : at + count]
        return int.from_bytes(digits, self._order) if len(digits) == count else 0
