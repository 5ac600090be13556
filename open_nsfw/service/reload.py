"""Policy and keys read anew, on SIGHUP and when a file has changed. A request has the policy that it began with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Optional

from open_nsfw.errors import OpenNsfwError
from open_nsfw.service.keys import read_keys
from open_nsfw.service.service import Service

LOOK_SECONDS = 1.0  # between two looks at the files
Signature = tuple[Optional[tuple[int, int, int]], ...]


class Reloader:
    """Keeps a service's policy and keys as their files are."""

    def __init__(self, service: Service, tell: Callable[[str], None]) -> None:
        """`tell` takes lines for people."""
        self._service, self._tell = service, tell
        self.asked = asyncio.Event()
        """Set it to have the files read now."""
        self._seen = self._signature()

    async def run(self) -> None:
        """Look at the files again and again."""
        while True:
            try:
                await asyncio.wait_for(self.asked.wait(), LOOK_SECONDS)
            except asyncio.TimeoutError:
                if self._signature() == self._seen:
                    continue
            self.asked.clear()
            self._seen = self._signature()
            self.reload()

    def reload(self) -> None:
        """Read both files. What is wrong with one leaves that as it was."""
        for what, read in (("keys", self._read_keys), ("policy", self._service.core.read_policy)):
            try:
                if not read():
                    continue
            except OpenNsfwError as error:
                self._tell(f"{what} not changed: {error}")
                self._service.core.metrics.add_reload(False)
            else:
                self._tell(f"{what} read anew")
                self._service.core.metrics.add_reload(True)

    def _read_keys(self) -> bool:
        if self._service.options.key_file is None:
            return False
        self._service.keys = read_keys(self._service.options.key_file)
        return True

    def _signature(self) -> Signature:
        """What changes when somebody writes the files, or puts others in their place."""
        paths = (self._service.options.key_file, self._service.options.core.policy)
        return tuple(None if path is None else _state(path) for path in paths)


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
