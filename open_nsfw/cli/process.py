"""What surrounds `classify_nsfw` and every verb of `open-nsfw`: its standard streams, how it ends, and what it prints.

Standard library only, and little of it: this is on the way of every run.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence

from open_nsfw.cli.status import Status
from open_nsfw.errors import OpenNsfwError
from open_nsfw.rows.files import Stdout


def begin() -> None:
    """The first act of a process. Ctrl-C ends it without a word until the scan listens for it: Python's own handler would
    print a traceback out of some import, or lose the Ctrl-C there."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was started to ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    open_closed_streams()
    if isinstance(sys.stderr, io.TextIOWrapper):
        own = open(2, "wb", closefd=False)
        sys.stderr = _Stderr(own, sys.stderr.encoding, errors="backslashreplace", line_buffering=True)


class _Stderr(io.TextIOWrapper):
    """Standard error, which nobody need read: where its reader has gone, or the disk behind it is full, what is told there is
    lost, and the work goes on to its end."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            _give_stderr_up()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            _give_stderr_up()


def _give_stderr_up() -> None:
    """Put /dev/null in its place, also for what is left in a buffer."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def open_closed_streams() -> None:
    """Put /dev/null where standard input, output or error is closed, as by `>&-`: the system gives the next file that is
    opened the lowest free number, and what is printed on stdout or stderr, here or in a process of ours, would go into
    that file. `sys.stdin` and `sys.stdout` stay None, so that reading and writing there is still an error."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        os.set_inheritable(descriptor, True)
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)


def end(status: int) -> int:
    """The last act of a process that has nothing left to do but to end: end it now. Python would take apart every object
    of NumPy and ONNX Runtime before, one after the other, which takes 25 to 40 ms, a fifth of the time of one picture.

    Only returns, with the status, if something that was printed cannot be written; Python then says so in its own way.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):  # nobody reads the pipe any more; ValueError: it was closed
        return status
    os._exit(status)


def guarded(program: str, arguments: Sequence[str], run: Callable[[], int]) -> int:
    """The exit status of `run()`; for an error that people can mend one line on stderr and `Status.ERROR`, after the
    traceback where --debug is among the arguments."""
    try:
        return run()
    except (OpenNsfwError, ImportError, MemoryError) as error:
        if isinstance(error, ImportError) and (error.name or "").startswith("open_nsfw"):
            raise  # a fault in this package, which no library mends
        if "--debug" in arguments:
            import traceback

            traceback.print_exc()
        print(f"{program}: error: {_explained(error)}", file=sys.stderr)
        return Status.ERROR
    except KeyboardInterrupt:  # before the scan listens for signals, or the second one
        return Status.INTERRUPTED


def log_to_stderr(program: str) -> None:
    """What the package logs, warnings and faults, on stderr, each line with the program's name, as all that it tells."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{program}: %(message)s"))
    logger = logging.getLogger("open_nsfw")
    logger.handlers = [handler]
    logger.propagate = False


def _explained(error: BaseException) -> str:
    """What is wrong, and what to do about it, on one line."""
    if isinstance(error, OpenNsfwError):
        return str(error)
    from open_nsfw.address_space import hint
    from open_nsfw.installing import broken_library

    return (broken_library(error) if isinstance(error, ImportError) else "there is not enough memory") + hint()


def print_text(text: str) -> None:
    """Text on stdout, if that is not closed; what its encoding does not have is escaped. Raises OutputError for a pipe
    that nobody reads or a full disk."""
    if sys.stdout is None:
        return  # as by `>&-`: the exit status is what is wanted
    if not hasattr(sys.stdout, "buffer"):  # a StringIO in its place
        sys.stdout.write(text)
        return
    Stdout().put([text.encode(sys.stdout.encoding or "utf-8", "backslashreplace")])
