"""Which pictures a file of rows has finished, at 20 bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from open_nsfw.rows.row import Row
from open_nsfw.text import encode_name

KEY_BYTES = 16  # of a hash of the names: the chance that two of 10**9 pictures share one is below 10**-20

Skip = Callable[[str, "str | None"], bool]
"""Called with a path and the name of a member, or None, once for each picture in the order of the sources."""


class Finished:
    """The pictures that a file has all rows of, and how many times each: an archive may hold several members of one name,
    and an input may be named twice."""

    def __init__(
        self,
        keys: bytes | bytearray,
        kept: int,
        dropped: int,
        scores: array[float] | None = None,
        rows: Callable[[], Iterator[Row]] = lambda: iter(()),
    ) -> None:
        """`keys` are those of all pictures, one behind the other, in any order."""
        self.kept = kept
        """Rows that the file still has."""
        self.dropped = dropped
        """Rows that no longer counted; a torn one is not among them."""
        self.scores = array("d") if scores is None else scores
        """Of all pictures and frames that the file still has; NaN where there is an error."""
        self.rows = rows
        """Reads the rows that the file has now."""
        found, counts = np.unique(np.frombuffer(keys, dtype=f"S{KEY_BYTES}"), return_counts=True)
        self._keys: NDArray[np.bytes_] = found
        self._counts: NDArray[np.uint32] = counts.astype(np.uint32)

    def skip(self) -> Skip:
        """For one pass over the sources, which may hold a picture's names several times: answers `True` as often as the
        file has them."""
        left = self._counts.copy()

        def is_finished(path: str, member: str | None) -> bool:
            at = self._index(path, member)
            if at is None or not left[at]:
                return False
            left[at] -= 1
            return True

        return is_finished

    def is_done(self, path: str, member: str | None = None) -> bool:
        """Whether the file has all rows of a picture, video or member of an archive with these names."""
        return self._index(path, member) is not None

    def _index(self, path: str, member: str | None) -> int | None:
        wanted = key_of(path, member)
        at = int(self._keys.searchsorted(wanted))
        # NumPy leaves out the zeros at the end of such strings.
        return at if at < len(self._keys) and bytes(self._keys[at]) == wanted.rstrip(b"\0") else None

    def __len__(self) -> int:
        return int(self._counts.sum())


def key_of(path: str, member: str | None) -> bytes:
    """A hash of both names that no other pair of names has, the lengths being in it."""
    name = encode_name(path)
    inside = b"" if member is None else encode_name(member)
    lengths = b"%d %d " % (len(name), -1 if member is None else len(inside))
    return blake2b(lengths + name + inside, digest_size=KEY_BYTES).digest()
