"""Which pictures a file of rows has finished, at 24 bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from hashlib import blake2b

from open_nsfw.rows.row import Row
from open_nsfw.text import encode_name

KEY_BYTES = 16  # of a hash of the names: the chance that two of 10**9 pictures share one is below 10**-20


class Finished:
    """The pictures that a file has all rows of: 24 bytes for each, whatever its name."""

    def __init__(
        self,
        keys: bytearray,
        kept: int,
        dropped: int,
        scores: array[float] | None = None,
        rows: Callable[[], Iterator[Row]] = lambda: iter(()),
    ) -> None:
        import numpy as np

        self.kept = kept
        """Rows that the file still has."""
        self.dropped = dropped
        """Rows that no longer counted; a torn one is not among them."""
        self.scores = array("d") if scores is None else scores
        """Of all pictures and frames that the file still has; NaN where there is an error."""
        self.rows = rows
        """Reads the rows that the file has now."""
        self._keys = np.frombuffer(keys, dtype=f"S{KEY_BYTES}")
        self._keys.sort()

    def is_done(self, path: str, member: str | None = None) -> bool:
        """Whether the file has all rows of this picture, video or member of an archive."""
        wanted = key_of(path, member)
        at = int(self._keys.searchsorted(wanted))
        # NumPy leaves out the zeros at the end of such strings.
        return at < len(self._keys) and bytes(self._keys[at]) == wanted.rstrip(b"\0")

    def __len__(self) -> int:
        return len(self._keys)


def key_of(path: str, member: str | None) -> bytes:
    """A hash of both names that no other pair of names has, the lengths being in it."""
    name = encode_name(path)
    inside = b"" if member is None else encode_name(member)
    lengths = b"%d %d " % (len(name), -1 if member is None else len(inside))
    return blake2b(lengths + name + inside, digest_size=KEY_BYTES).digest()
