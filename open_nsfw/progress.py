"""A progress bar on stderr where somebody watches, and lines that leave it whole."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from open_nsfw.errors import OpenNsfwError

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """A bar that counts pictures, their rate and the time left. Use as a context manager, or `close` it."""

    def __init__(
        self, total: int | Callable[[], int | None] | None = None, shown: bool = True, reading: str = ""
    ) -> None:
        """`total`: pictures to come, or what counts them, which is called in a thread; None where that is not known. The
        bar is there if `shown` and if stderr is a terminal.

        `reading`: what is read, so that bytes are counted in place of pictures. Such a bar comes after a second, and goes
        when all is read."""
        self._bar = _bar(reading) if shown and sys.stderr.isatty() else None
        if self._bar is None:
            return
        if callable(total):
            threading.Thread(target=_count, args=(self._bar, total), name="counter", daemon=True).start()
        else:
            self._bar.total = total

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, note: str = "", count: int = 1) -> None:
        """One more picture is done, or `count`. `note` stands at the bar's end from now on."""
        if self._bar is not None:
            self._bar.update(count)
            if note:
                self._bar.set_postfix_str(note, refresh=False)

    def say(self, line: str) -> None:
        """A line on stderr."""
        if self._bar is None:
            print(line, file=sys.stderr)
        else:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is; lines come after it."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _bar(reading: str) -> tqdm[NoReturn]:
    from tqdm import tqdm

    if reading:
        return tqdm(desc=f"reading {reading}", unit="B", unit_scale=True, delay=1, leave=False, dynamic_ncols=True)
    return tqdm(unit=" pictures", smoothing=0.1, dynamic_ncols=True)


def _count(bar: tqdm[NoReturn], count: Callable[[], int | None]) -> None:
    """Give the bar its end, from which it reckons the time left."""
    try:
        bar.total = count()
    except OpenNsfwError:
        pass  # who reads what is counted here tells it
