"""The process that decodes strangers' pictures, so that a decoder that crashes, hangs or eats memory takes only this
along.

    python -m open_nsfw.pictures.decode_worker

says whether it could start. worker_process.py starts it with two arguments, a descriptor to write answers to and an
`Extraction` as JSON; it then reads requests on stdin, in the form of wire.py.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BufferedReader
from typing import BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import HEAD, container_of
from open_nsfw.pictures.decode import OUT_OF_MEMORY
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.formats import Limits, read_bytes, read_head, read_stream, sniff
from open_nsfw.pictures.frames import pictures
from open_nsfw.pictures.messages import (
    End,
    FileFailure,
    FileInfo,
    FoundPicture,
    Message,
    Ready,
    Request,
)
from open_nsfw.pictures.picture import Found
from open_nsfw.pictures.wire import receive_request, send

_USED_UP = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def answer(request: Request, options: Extraction, stream: BinaryIO) -> None:
    """Decode one file: sends what is known of it, each of its pictures, and a last message."""
    last: Message = End(request.number)
    if request.frames is not None:
        options = replace(options, frames=request.frames)
    try:
        for message in _messages(request, options):
            send(stream, message)
    except InputError as error:
        last = FileFailure(request.number, error, _is_worn(error))
    except MemoryError:
        last = FileFailure(request.number, InputError("out-of-memory", OUT_OF_MEMORY), worn=True)
    except Exception as error:  # noqa: BLE001  whatever a library throws is this file's error, not the run's
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        failure = InputError("undecodable", f"the decoder failed: {reason}")
        last = FileFailure(request.number, failure, _is_worn(error))
    send(stream, last)


def _is_worn(error: BaseException | None) -> bool:
    """Whether something failed because this process has no memory or no descriptors left."""
    try:
        os.close(os.dup(0))
    except OSError:
        return True
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _USED_UP):
            return True
        error = error.__cause__ or error.__context__
    return False


def _messages(request: Request, options: Extraction) -> Iterator[Message]:
    film = _film(request)
    if film is None:
        data = _data(request, options.limits)
        found, size, form = pictures(data, options, request.quick_side), len(data), _format(data)
        digest = _sha256([data]) if options.hash else None
    else:  # not read into memory
        form = _format(film.peek(HEAD))
        size, digest = os.fstat(film.fileno()).st_size, _sha256(_pieces(film)) if options.hash else None
        found = _video_pictures(film, options)
    yield FileInfo(request.number, size, digest, form)
    for each in found:
        yield FoundPicture(request.number, each)


def _format(data: bytes) -> str | None:
    """The format of a picture, or the container of a film, by its first bytes."""
    container = container_of(data)
    return sniff(data) if container is None else container.upper()


def _film(request: Request) -> BufferedReader | None:
    """The file of the request, open, if it is a video."""
    if request.descriptor is not None:
        file = _inherited(request.descriptor)
        return file if container_of(file.peek(HEAD)) else None
    if request.path is not None and container_of(read_head(request.path, HEAD)):
        return open(request.path, "rb")
    return None


def _data(request: Request, limits: Limits) -> bytes:
    if request.descriptor is not None:
        return read_stream(_inherited(request.descriptor), limits, os.fstat(request.descriptor).st_size)
    return request.data if request.path is None else read_bytes(request.path, limits)


def _inherited(descriptor: int) -> BufferedReader:
    """A file that the process was started with, from its beginning. It stays open: the process ends with its answer."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return open(descriptor, "rb", closefd=False)


def _video_pictures(film: BinaryIO, options: Extraction) -> Iterator[Found]:
    from open_nsfw.pictures.video import video_pictures

    with film:
        yield from video_pictures(film, options)


def _sha256(pieces: Iterable[bytes]) -> str:
    import hashlib  # 2 ms of a process's start, for what is seldom asked for

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """What is in a file, which then is at its beginning again."""
    while piece := file.read(1 << 20):
        yield piece
    file.seek(0)


def _limit_memory(most: int) -> None:
    """Let allocations past `most` bytes of address space fail, as a MemoryError here rather than a kill from outside."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash of a decoder is a row, not a file on the user's disk
    if most:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _end_with_command(requests: int, answers: int) -> None:
    """Start a process that ends this one, and all that it has started, when the command is gone, however that ended: then
    the pipe of the requests has no other end.

    A decoder that hangs reads no pipe and runs no handler of a signal, and a signal for the parent's death
    (PR_SET_PDEATHSIG) would not reach what the decoder has started, nor exist outside Linux.
    """
    try:
        is_guard = os.fork() == 0
    except OSError:  # no further process may be started: the end of the requests has to do, which most decoders notice
        return
    if not is_guard:
        return
    try:
        os.close(answers)  # they must end with the process that gives them
        poll = select.poll()
        poll.register(requests, 0)  # no event but that the other end is closed
        poll.poll()
    finally:
        os.killpg(0, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Answer requests until stdin ends."""
    if not arguments:
        print("the decoding process starts")
        return 0
    answers, options = os.fdopen(int(arguments[0]), "wb"), Extraction.from_json(arguments[1])
    for number in (signal.SIGINT, signal.SIGTERM):  # systemd signals every process of a service; the parent decides
        signal.signal(number, signal.SIG_IGN)
    requests = os.dup(0)
    _end_with_command(requests, answers.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a library that reads stdin must not get the requests
    _limit_memory(options.max_memory)
    warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata, which no one could act on
    send(answers, Ready())
    with open(requests, "rb") as stream:
        while (request := receive_request(stream)) is not None:
            answer(request, options, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
