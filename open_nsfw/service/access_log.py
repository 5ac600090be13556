"""The access log: a line of JSON for each request, on standard output.

A thread writes it: where the reader of a pipe stalls, the service does not. Lines that do not fit into the queue then are
left out, and counted for `/metrics`.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from datetime import datetime, timezone

from starlette.types import Scope

from open_nsfw.service.notes import Notes

MOST_WAITING = 10_000  # lines
LONGEST_PATH = 200  # letters of a path, which a stranger may have written
CLOSE_SECONDS = 1.0  # for the last lines to be written


class AccessLog:
    """Takes requests; a context manager."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self.left_out = 0
        """Lines for which there was no room, or that could not be written."""
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)

    def __enter__(self) -> AccessLog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._lines.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def add(self, scope: Scope, notes: Notes) -> None:
        """Note a request that is over."""
        client = scope.get("client") or ("", 0)
        values = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "id": notes.request_id,
            "client": client[0],
            "key": notes.key,
            "method": scope["method"],
            "path": scope["path"][:LONGEST_PATH],
            "status": notes.status,
            "seconds": round(notes.seconds, 4),
            "bytes": notes.received,
            **notes.decisions,
        }
        try:
            self._lines.put_nowait(json.dumps(values) + "\n")
        except queue.Full:
            self.left_out += 1

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                _print(line)
            except (OSError, ValueError):  # a full disk, a pipe that nobody reads: scoring goes on
                self.left_out += 1


def _print(line: str) -> None:
    if sys.stdout is not None:
        sys.stdout.write(line)
        sys.stdout.flush()
