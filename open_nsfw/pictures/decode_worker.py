"""The process that decodes strangers' pictures, so that a decoder that crashes, hangs or eats memory takes only this
along.

    python -m open_nsfw.pictures.decode_worker EXTRACTION_AS_JSON

reads requests on stdin and answers on stdout, both as the messages of extraction.py. isolation.py starts it and has the
other end.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.pictures.decode import OUT_OF_MEMORY
from open_nsfw.pictures.extraction import Extraction
from open_nsfw.pictures.formats import is_video, read_bytes, read_head
from open_nsfw.pictures.frames import pictures
from open_nsfw.pictures.messages import receive, send
from open_nsfw.pictures.picture import Failure

_FIELDS = ("width", "height", "format", "frame", "seconds", "exact", "reduced", "track")  # of Picture


def answer(request: dict[str, Any], payload: bytes, options: Extraction, stream: BinaryIO) -> None:
    """Decode one file, the payload or the one at the request's `path`; by the quick decode if it has a `quick_side`.

    Sends `file` with its size and hash, a `picture` with its pixels for each, a `failure` in place of one that cannot be
    had while others can, and in the end `end` or `error`.
    """
    try:
        for message, pixels in _messages(request, payload, options):
            send(stream, message, pixels)
            stream.flush()
        send(stream, {"kind": "end"})
    except InputError as error:
        send(stream, {"kind": "error", "code": error.code, "message": str(error)})
    except MemoryError:
        send(stream, {"kind": "error", "code": "out-of-memory", "message": OUT_OF_MEMORY})
    except Exception as error:  # noqa: BLE001  whatever a library throws is this file's error, not the run's
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        send(stream, {"kind": "error", "code": "undecodable", "message": f"the decoder failed: {reason}"})
    stream.flush()


def _messages(request: dict[str, Any], payload: bytes, options: Extraction) -> Iterator[tuple[dict[str, Any], bytes]]:
    path: str | None = request["path"]
    if path is not None and is_video(read_head(path)):  # a film is not read into memory
        from open_nsfw.pictures.video import video_pictures

        found, size = video_pictures(path, options), os.path.getsize(path)
        digest = _file_sha256(path) if options.hash else None
    else:
        data = payload if path is None else read_bytes(path, options.limits)
        found, size = pictures(data, options, request["quick_side"]), len(data)
        digest = hashlib.sha256(data).hexdigest() if options.hash else None
    yield {"kind": "file", "bytes": size, "sha256": digest}, b""
    for one in found:
        if isinstance(one, Failure):
            where = {"frame": one.frame, "seconds": one.seconds, "track": one.track}
            yield {"kind": "failure", "code": one.error.code, "message": str(one.error), **where}, b""
        else:
            yield {"kind": "picture", **{name: getattr(one, name) for name in _FIELDS}}, one.pixels


def _file_sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


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


def main(arguments: list[str]) -> int:
    """Answer requests until stdin ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # systemd signals every process of a service; the parent decides
        signal.signal(number, signal.SIG_IGN)
    options = Extraction.from_json(arguments[0])
    _limit_memory(options.max_memory)
    warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata, which no one could act on
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    send(answers, {"kind": "ready"})
    answers.flush()
    while (message := receive(requests)) is not None:
        answer(*message, options, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
