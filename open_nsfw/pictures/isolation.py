"""Decoding in processes of its own: the parent's end of decode_worker.py.

A decoder that crashes, hangs, is killed or says what makes no sense costs the picture it was at; the next one gets a fresh
process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import BinaryIO

from open_nsfw.errors import InputError, SetupError
from open_nsfw.pictures import worker_process
from open_nsfw.pictures.extraction import Encoded, Extraction, FrameChoice
from open_nsfw.pictures.messages import (
    REQUEST_BITS,
    Answer,
    End,
    FileFailure,
    FileInfo,
    ProtocolError,
    Ready,
    Request,
    in_order,
)
from open_nsfw.pictures.picture import Found
from open_nsfw.pictures.watchdog import Watchdog
from open_nsfw.pictures.wire import receive_answer, send
from open_nsfw.pictures.worker_process import WorkerProcess

START_SECONDS = 60  # for a worker to come up on a very busy machine
START_ATTEMPTS = 4
RETRY_SECONDS = 1
# All pictures of a file together may take twice the seconds of one, and as long as one again for every so many bytes of
# the file: small animations cannot cost hours, and films, a gigabyte and more, may take them.
FILE_BYTES = 6_000_000
# After so many files, or when it has grown by so much, a worker is replaced, which takes a tenth of a second: libraries
# lose memory and descriptors on damaged files.
FILES_PER_WORKER = 2000
MOST_GROWTH = 1 << 30  # bytes of address space, or a third of what a worker may have, whichever is less
MOST_DESCRIPTORS = 64


class DecodeWorker:
    """One decoding process, started when it is needed and again after it died. For one thread."""

    def __init__(self, options: Extraction, seconds: float, watchdog: Watchdog) -> None:
        """`seconds` is how long one picture may take."""
        self._options, self._seconds, self._watchdog = options, seconds, watchdog
        self._process: WorkerProcess | None = None
        self._files = 0  # that the process has answered for
        self._has_come_up = self._ended = False

    def decode(
        self, encoded: Encoded, quick_side: int | None = None, frames: FrameChoice | None = None
    ) -> Iterator[FileInfo | Found]:
        """What is in one file: first what is known of the file, then its pictures; by the quick decode for a net of
        `quick_side` x `quick_side` pixels if that is given. `frames`: other ones than the worker's options have.

        Raises InputError for whatever goes wrong, `timeout` and `decoder-crashed` among it; SetupError if no worker
        starts; CancelledError after `kill`.
        """
        given = 0
        while True:
            process, is_fresh = self._started(encoded), self._files == 0
            try:
                for index, each in enumerate(self._decode(process, encoded, quick_side, frames)):
                    if index >= given:
                        given += 1
                        yield each
                return
            except WorkerFailure:
                if self._ended:  # it was ended from outside
                    raise CancelledError from None
                if is_fresh:
                    raise
                # An earlier file may be to blame, which a fresh process tells: it gives again what was given already.

    def _decode(
        self, process: WorkerProcess, encoded: Encoded, quick_side: int | None, frames: FrameChoice | None
    ) -> Iterator[FileInfo | Found]:
        """The answer of one process. Raises WorkerFailure where that may be to blame rather than the file."""
        request = _request(encoded, quick_side, frames)
        last: Answer | None = None
        try:
            limit = self._seconds * (2 + _size(encoded) / FILE_BYTES)
            for answer in self._answers(process, request, limit):
                if isinstance(answer, (End, FileFailure)):
                    last = answer
                else:
                    yield answer if isinstance(answer, FileInfo) else answer.found
        finally:
            self._files += 1
            if last is None or request.descriptor is not None or self._is_worn(process):
                self.close()  # it died, or the caller lost interest half way, or it has done enough
        if isinstance(last, FileFailure):
            if last.worn:
                self.close()
                raise WorkerFailure(last.error.code, str(last.error))
            raise last.error

    def _answers(self, process: WorkerProcess, request: Request, limit: float) -> Iterator[Answer]:
        """What the process answers, the last message included, each in time, and all within `limit` seconds."""
        options = self._options if request.frames is None else replace(self._options, frames=request.frames)
        try:
            yield from in_order(self._received(process, request, limit), request, options)
        except ProtocolError as error:
            raise _crash(f"it answered with {error}") from None

    def _received(self, process: WorkerProcess, request: Request, limit: float) -> Iterator[Answer]:
        most_whole = 3 * self._options.limits.max_pixels if self._options.whole else 0
        spent = 0.0
        to_send: Request | None = request
        while True:
            with self._watchdog.deadline(process, min(self._seconds, limit - spent)) as deadline:
                answer = _exchange(process, to_send, most_whole)
            to_send, spent = None, spent + deadline.spent
            if answer is None:
                raise self._timeout(spent, limit) if deadline.missed else _crash(process.end())
            yield answer
            # Behind the answer: where that was the last one, the process that was killed is no longer of interest.
            if deadline.missed or spent >= limit:
                raise self._timeout(spent, limit)

    def _timeout(self, spent: float, limit: float) -> InputError:
        if spent < limit:
            return InputError("timeout", f"not decoded within {self._seconds:g} s (--max-seconds)")
        return InputError("timeout", f"its pictures are not decoded within {round(limit, 1):g} s (--max-seconds)")

    def _started(self, encoded: Encoded) -> WorkerProcess:
        """The process for a file, started where there is none that can take it, and ready."""
        descriptor = _descriptor(encoded)
        if self._process is not None and (descriptor is not None or self._process.has_ended()):
            self.close()  # if it died with nothing to do, this file is not to blame
        if self._process is None:
            self._start(descriptor)
        if self._ended or self._process is None:  # perhaps only since
            self.close()
            raise CancelledError
        return self._process

    def _start(self, descriptor: int | None) -> None:
        """Bring up a process. Where one came up before, the machine may be short of something for a moment."""
        for attempts_left in reversed(range(START_ATTEMPTS if self._has_come_up else 1)):
            if self._ended:
                return
            try:
                self._process = worker_process.start(self._options, descriptor)
                self._files = 0
                self._await_ready(self._process)
            except SetupError:
                if not attempts_left:
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                self._has_come_up = True
                return

    def _await_ready(self, process: WorkerProcess) -> None:
        try:
            with self._watchdog.deadline(process, START_SECONDS):
                answer = receive_answer(process.answers)
            ended = process.end() if answer is None else "it does not say that it is ready"
        except ProtocolError as error:
            answer, ended = None, f"it says {error}"
        if isinstance(answer, Ready):
            process.note_size()
        elif not self._ended:
            self.close()
            raise worker_process.start_error(ended)

    def _is_worn(self, process: WorkerProcess) -> bool:
        """Whether the process has done enough."""
        most_growth = min(MOST_GROWTH, self._options.max_memory // 3 or MOST_GROWTH)
        growth, descriptors = process.growth()
        return self._files >= FILES_PER_WORKER or growth > most_growth or descriptors > MOST_DESCRIPTORS

    def kill(self) -> None:
        """End what the process is doing, from another thread, for good; `decode` then raises there."""
        self._ended = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process; it has nothing to finish."""
        if self._process is not None:
            self._process.close()
            self._process = None


class WorkerFailure(InputError):
    """A file has no answer, for a reason that may lie in the process or the machine rather than in the file."""


def _request(encoded: Encoded, quick_side: int | None, frames: FrameChoice | None) -> Request:
    number = int.from_bytes(os.urandom(REQUEST_BITS // 8), "big")
    if isinstance(encoded, bytes):
        return Request(number, quick_side=quick_side, frames=frames, data=encoded)
    descriptor = _descriptor(encoded)
    if descriptor is not None:
        return Request(number, descriptor=descriptor, quick_side=quick_side, frames=frames)
    path = _absolute(encoded) if isinstance(encoded, str) else _name(encoded)
    return Request(number, path=path, quick_side=quick_side, frames=frames)


def _absolute(path: str) -> str:
    """A path for a process that may be in another folder: a decoder can have gone there."""
    try:
        return os.path.join(os.getcwd(), path)
    except OSError:  # the folder is gone, and nothing can be found from it
        return path


def _size(encoded: Encoded) -> int:
    """Bytes, as far as this process knows; a decoder may say anything."""
    if isinstance(encoded, bytes):
        return len(encoded)
    try:
        return os.stat(encoded if isinstance(encoded, str) else encoded.fileno()).st_size
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return 0


def _name(file: BinaryIO) -> str:
    """A name by which another process of this user can open an open file, as long as it is open here."""
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _descriptor(encoded: Encoded) -> int | None:
    """What the process must be started with, to be able to read an open file that has no name for it."""
    if isinstance(encoded, (str, bytes)) or os.path.exists(_name(encoded)):
        return None
    return encoded.fileno()


def _exchange(process: WorkerProcess, request: Request | None, most_whole: int) -> Answer | None:
    """The next answer, to `request` if that is to be sent yet; None where the process ends instead. `most_whole`: bytes that
    a picture in full size may have."""
    try:
        if request is not None:
            send(process.requests, request)
    except OSError:  # it does not read any more
        return None
    answer = receive_answer(process.answers, most_whole)
    if isinstance(answer, Ready):
        raise ProtocolError("a message out of order")
    return answer


def _crash(reason: str) -> WorkerFailure:
    return WorkerFailure("decoder-crashed", f"the decoder crashed on it ({reason})")
