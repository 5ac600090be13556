"""Decoding in processes of its own: the parent's end of decode_worker.py.

A decoder that crashes, hangs or is killed costs the picture it was at; the next one gets a fresh process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from open_nsfw.errors import InputError, SetupError
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.messages import receive, send

if TYPE_CHECKING:
    Process = subprocess.Popen[bytes]

# Blocks of memory that Pillow keeps for the next picture instead of getting them afresh from the system, page by page:
# 12 megapixels, which take twelve of them, go through the recipe in 68 ms instead of 92. A block that a smaller picture
# needs next is cut to its size, so with Pillow's own blocks of 16 MiB nothing large would be left of them.
WORKER_MEMORY = {
    "PILLOW_BLOCK_SIZE": "4m",
    "PILLOW_BLOCKS_MAX": "32",
    # glibc hands buffers of over 128 KiB back to the kernel after each picture and has them cleared anew for the next,
    # which took a tenth of the time of a web-sized one. Other C libraries do not read these.
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}
F_SETPIPE_SZ = 1031  # linux/fcntl.h; Python has a name for it from 3.10 on
PIPE_BYTES = 1 << 20  # how far a worker may run ahead of the scoring: six pictures
START_SECONDS = 60  # for a worker to come up on a very busy machine
LONGEST_ANSWER = 1 << 20  # bytes; five times what a picture takes, as a worker that is out of its mind may say anything
BURIAL_SECONDS = 5  # between a closed pipe and the exit status that explains it
WATCH_SECONDS = 0.05  # between two looks at the deadlines


class Watchdog:
    """Kills workers that miss their deadline: one thread for all of them."""

    def __init__(self) -> None:
        self._deadlines: dict[Process, float] = {}
        self._killed: set[Process] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def expect(self, process: Process, seconds: float) -> None:
        """`process` must do its next thing within `seconds`."""
        with self._lock:
            self._deadlines[process] = time.monotonic() + seconds

    def relax(self, process: Process) -> None:
        """Nothing is expected of `process` for now."""
        with self._lock:
            self._deadlines.pop(process, None)

    def has_killed(self, process: Process) -> bool:
        """Whether `process` was killed for being late."""
        with self._lock:
            return process in self._killed

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            with self._lock:
                late = [process for process, deadline in self._deadlines.items() if deadline < time.monotonic()]
                for process in late:
                    del self._deadlines[process]
                    self._killed.add(process)
                    process.kill()


class DecodeWorker:
    """One decoding process, started when it is needed and again after it died. For one thread."""

    def __init__(self, options: Extraction, seconds: float, watchdog: Watchdog) -> None:
        """`seconds` is how long one picture may take."""
        self._options, self._seconds, self._watchdog = options, seconds, watchdog
        self._process: Process | None = None
        self._ready = False
        self._used = False  # whether it has answered for a file
        self._ended = False

    def start(self) -> None:
        """Start the process, without waiting for it to be ready. Raises CancelledError after `kill`."""
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it died with nothing to do; the next picture is not to blame
        if self._process is None and not self._ended:
            self._process = _start_process(self._options)
            self._ready = self._used = False
        if self._ended:  # perhaps only since
            self.close()
            raise CancelledError

    def messages(
        self, path: str | None, data: bytes | None, quick_side: int | None = None
    ) -> Iterator[tuple[dict[str, Any], bytes]]:
        """What the worker has to say about one file: a `file` message, then a `picture` with its pixels for each,
        by the quick decode for a net of `quick_side` x `quick_side` pixels if that is given; a `failure` stands for a
        picture that cannot be had while others of the file can.

        Raises InputError for whatever went wrong, `timeout` and `decoder-crashed` among it; SetupError if no worker
        starts.
        """
        self.start()
        used, begun = self._used, False
        try:
            for each in self._messages(path, data, quick_side):
                begun = True
                yield each
        except InputError as error:
            if error.code != "decoder-crashed" or begun or not used:
                raise
            # It may have been dying of an earlier file; a fresh process tells.
            yield from self._messages(path, data, quick_side)

    def _messages(
        self, path: str | None, data: bytes | None, quick_side: int | None
    ) -> Iterator[tuple[dict[str, Any], bytes]]:
        self.start()
        process = self._process
        assert process is not None
        answered = False
        try:
            for message, payload in self._exchange(process, {"path": path, "quick_side": quick_side}, data):
                answered = message["kind"] in ("end", "error")
                if not answered:
                    yield message, payload
            self._used = True
        finally:
            self._watchdog.relax(process)
            if not answered:  # it died, or the caller lost interest half way
                self.close()
        if message["kind"] == "error":
            raise InputError(message["code"], message["message"])

    def _exchange(
        self, process: Process, request: dict[str, Any], data: bytes | None
    ) -> Iterator[tuple[dict[str, Any], bytes]]:
        """All messages of an answer, the last one included, each within the time allowed."""
        requests, answers = _pipes(process)
        self._await_ready(process)
        self._watchdog.expect(process, self._seconds)
        try:
            send(requests, request, data or b"")
            requests.flush()
        except BrokenPipeError:
            raise self._death(process) from None
        while True:
            answer = receive(answers, LONGEST_ANSWER)
            self._watchdog.relax(process)
            if answer is None:
                raise self._death(process)
            last = answer[0]["kind"] in ("end", "error")
            yield answer
            if last:
                return
            self._watchdog.expect(process, self._seconds)

    def _await_ready(self, process: Process) -> None:
        if self._ready:
            return
        self._watchdog.expect(process, START_SECONDS)
        if receive(_pipes(process)[1]) is None:
            raise SetupError(
                f"the decoding process does not start (exit status {process.wait()}); "
                f"try: {sys.executable} -m open_nsfw.pictures.decode_worker"
            )
        self._ready = True

    def _death(self, process: Process) -> InputError:
        """Why a process is gone."""
        try:
            status = process.wait(BURIAL_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            process.kill()
            status = process.wait()
        if self._watchdog.has_killed(process):
            return InputError("timeout", f"not decoded within {self._seconds:g} s (--max-seconds)")
        return InputError("decoder-crashed", f"the decoder crashed on it ({_exit_text(status)})")

    def kill(self) -> None:
        """End what the process is doing, from another thread, for good; `messages` then raises there."""
        self._ended = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process; it has nothing to finish."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            _close_pipes(self._process)
            self._process = None


def _start_process(options: Extraction) -> Process:
    # The worker takes over the parent's import path, so that it has this very package, wherever the parent found it,
    # and need not look for packages itself (-S).
    paths = [str(Path(__file__).resolve().parents[2]), *sys.path]
    start = (
        f"import sys; sys.path[:] = {paths!r}; from open_nsfw.pictures import decode_worker; "
        "sys.exit(decode_worker.main(sys.argv[1:]))"
    )
    try:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", start, options.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff and others print there what the row says anyway
            env={**os.environ, **WORKER_MEMORY},
            start_new_session=True,  # what a terminal or `timeout` signals is the parent's group; the parent decides
        )
    except OSError as error:
        raise SetupError(
            f"a decoding process cannot be started: {error.strerror or error}; try fewer --jobs"
        ) from error
    _widen_pipe(process)
    return process


def _widen_pipe(process: Process) -> None:
    if sys.platform != "linux":
        return
    import fcntl

    try:
        fcntl.fcntl(_pipes(process)[1].fileno(), F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass  # the user's share of such memory is used up; the narrow pipe works too


def _pipes(process: Process) -> tuple[BinaryIO, BinaryIO]:
    """(where it reads requests, where it writes answers)."""
    assert process.stdin is not None and process.stdout is not None
    return cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)


def _close_pipes(process: Process) -> None:
    for pipe in _pipes(process):
        try:
            pipe.close()
        except BrokenPipeError:
            pass  # what was still in the buffer was for a process that is gone


def _exit_text(status: int) -> str:
    """`signal SIGSEGV` or `exit status 3`."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
