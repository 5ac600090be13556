"""Where the pages of a TIFF file are, and each of them by itself.

Pillow goes from page to page; one that it cannot read ends its count of them, and the first one keeps it from opening
the file. Here every page is opened as if it were the first.
"""

from __future__ import annotations

import io
from typing import Literal

from open_nsfw.errors import InputError

_CLASSIC, _BIG = 42, 43  # the number after the byte order
# Of each: where the header has the first page's offset, bytes of an offset, of a count of tags, and of a tag.
_LAYOUTS = {_CLASSIC: (4, 4, 2, 12), _BIG: (8, 8, 8, 20)}


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
