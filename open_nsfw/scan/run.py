"""One run of the command: sources -> pipeline -> writer, with an orderly end on a signal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType

from open_nsfw.rows.row import Row
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import STDIN, Item, SourceOptions
from open_nsfw.sources.walk import Sources


class Interruption:
    """SIGINT and SIGTERM as a request to finish what is under way; a second one ends at once.

    Only a process's main thread can listen for signals; in another, they stay whose they were. One that the process was
    started to ignore, as a shell does with Ctrl-C for what it runs in the background, stays ignored.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self.signal: int | None = None
        self._stop = stop

    def __enter__(self) -> Interruption:
        can_listen = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGINT, signal.SIGTERM) if can_listen else ()
        heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self._stop()


def run(
    items: Iterable[Item],
    load: Callable[[], Models],
    options: PipelineOptions,
    write: Callable[[list[Row]], None],
    stop: Callable[[], None] | None = None,
) -> int | None:
    """Score `items` and hand the rows of each to `write`. The signal that cut it short, or None.

    Decoding begins while `load` brings up the model. `stop` is called in the handler of a signal, for items that come
    without an end. Raises SetupError, and OutputError from `write`.
    """

    def stop_all() -> None:
        if stop is not None:
            stop()
        pipeline.stop()

    with Pipeline(options) as pipeline, Interruption(stop_all) as interruption:
        pipeline.start(items)
        pipeline.use(load())
        for rows in pipeline.rows():
            write(rows)
    return interruption.signal


def count_ahead(
    arguments: list[str],
    options: SourceOptions = SourceOptions(),
    skip: Callable[[str, str | None], bool] | None = None,
) -> int | None:
    """How many items `arguments` will give beside those that `skip` knows; None where an archive is among them, whose
    members cannot be counted without unpacking it, or standard input."""
    if STDIN in arguments or any(os.path.exists(each) and not _is_plain(each) for each in arguments):
        return None  # to be read once
    total = 0

    def note(path: str, member: str | None) -> bool:
        nonlocal total
        if member is not None:
            raise _Uncountable
        total += skip is None or not skip(path, member)
        return True  # counted is all that is wanted: nothing is read or given

    try:
        for _ in Sources(arguments, options, note):
            pass
    except _Uncountable:
        return None
    return total


def _is_plain(path: str) -> bool:
    return os.path.isfile(path) or os.path.isdir(path)


class _Uncountable(Exception):
    """An archive is among the sources."""
