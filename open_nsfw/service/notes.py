"""What is known of one request, for the log and the metrics."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request
from starlette.types import Scope

_PLACE = "open_nsfw.notes"


@dataclass
class Notes:
    """Filled while the request is served."""

    request_id: str
    """The client's, or a new one."""
    key: str = ""
    """The name of the key."""
    received: int = 0
    """Bytes of the body."""
    decisions: Counter[str] = field(default_factory=Counter)
    """How many rows have each decision."""
    status: int = 0
    """Of the answer; 0 where there is none."""
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the head of the request was read."""
        return time.monotonic() - self.began


def begin_notes(scope: Scope, request_id: str) -> Notes:
    """Notes for a request that begins."""
    notes = scope[_PLACE] = Notes(request_id)
    return notes


def notes_of(request: Request) -> Notes:
    """The notes of a request."""
    return cast(Notes, request.scope[_PLACE])
