"""How many requests, and how many bytes of them, the service holds at one time."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

from open_nsfw.service.options import Bounds
from open_nsfw.service.refusals import busy, stopping, too_many_requests


class Admission:
    """Counts what is under way. For the thread of the event loop alone."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._by_key: Counter[str] = Counter()
        self.requests = 0
        """Under way."""
        self.held = 0
        """Bytes of their uploads."""
        self.is_stopping = False
        """Whether no further request is taken."""

    def enter(self, key: str) -> Ticket:
        """Take one request of the key with this name; an empty name is nobody's, and has no share of its own. Raises
        Refusal: 503 where the service has no room, 429 where the key has none."""
        if self.is_stopping:
            raise stopping()
        if self.requests >= self._bounds.max_requests:
            raise busy(f"{self.requests} requests are under way already (--max-requests)")
        if key and self._by_key[key] >= self._bounds.max_requests_per_key:
            raise too_many_requests(self._bounds.max_requests_per_key)
        self.requests += 1
        self._by_key[key] += 1
        return Ticket(self, key)

    def hold(self, size: int) -> None:
        """Count bytes. Raises Refusal (503) where there is no room for them."""
        if self.held + size > self._bounds.max_held:
            raise busy(f"no room for {size:,} more bytes of uploads (--max-held)")
        self.held += size

    def leave(self, key: str, size: int) -> None:
        """Count a request, and its bytes, no longer."""
        self.requests -= 1
        self.held -= size
        self._by_key[key] -= 1
        if not self._by_key[key]:
            del self._by_key[key]


class Ticket:
    """One request under way; a context manager that ends with it."""

    def __init__(self, admission: Admission, key: str) -> None:
        self._admission, self._key, self._size = admission, key, 0

    def hold(self, size: int) -> None:
        """Count so many more bytes of the request's upload. Raises Refusal (503)."""
        self._admission.hold(size)
        self._size += size

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.leave(self._key, self._size)
