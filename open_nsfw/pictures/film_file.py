"""A film's file, opened by FFmpeg (PyAV) as one of the containers that are read, and the packets in it.

FFmpeg gets an open file, never a name: it takes names for addresses, patterns and lists of other files. It also gets the
one container whose magic bytes the file has, and no protocol by which it could open anything else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from open_nsfw.errors import InputError
from open_nsfw.installing import install_command

MOST_ATOMS = 10_000  # of a film that are looked at for where it ends
READ_ERRORS = 16  # in a row, after which nothing more of the file is expected

OPTIONS = {"protocol_whitelist": "none"}  # there is no protocol of that name


class FilmFile:
    """What FFmpeg may do with a film's file: read and seek, from `start` on as if it began there."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._start = file, start
        self.size = file.seek(0, os.SEEK_END) - start
        """Bytes from there to its end."""
        self.error: OSError | None = None
        """Why it could not be read to its end; releases of PyAV differ in whether they keep that."""
        file.seek(start)

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end, or where reading fails."""
        try:
            return self._file.read(count)
        except OSError as error:
            self.error = self.error or error
            return b""

    def seek(self, to: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; where that is, in bytes from `start`. A place that no file has, which only a damaged film tells of, is
        an error that FFmpeg gets as its own: the negative number of it."""
        at = self._start + to if whence == os.SEEK_SET else to
        try:
            return self._file.seek(max(at, self._start) if whence == os.SEEK_SET else at, whence) - self._start
        except (OSError, ValueError, OverflowError):  # ValueError: before the beginning, of a file in memory
            return -errno.EINVAL

    def tell(self) -> int:
        """Where the next bytes come from, counted from `start`."""
        return self._file.tell() - self._start

    def seekable(self) -> bool:
        """Always."""
        return True


class Damage:
    """What of a film could not be read or decoded: one row says it all."""

    def __init__(self) -> None:
        self._count = 0
        self._first = ""

    def add(self, where: str, error: Exception | str) -> None:
        """Something at `where` was lost."""
        self._count += 1
        self._first = self._first or f"{where}: {error if isinstance(error, str) else reason_of(error)}"

    def check(self) -> None:
        """Raises InputError if there was any damage."""
        if self._count:
            places = "in one place" if self._count == 1 else f"in {self._count:,} places, the first"
            text = f"a damaged video: {places} {self._first}; all else of it is scored"
            raise InputError("damaged-in-part", text)


def import_av() -> Any:
    """PyAV, silenced. Raises InputError if it is not there."""
    try:
        import av
        import av.error
        import av.filter
        import av.video.reformatter
    except ImportError:
        raise InputError("missing-library", f"videos need PyAV: {install_command('video')}") from None
    av.logging.set_level(av.logging.PANIC)
    return av


def open_film(av: Any, file: FilmFile, container: str) -> Any:
    """PyAV's container of a file that is one. Raises InputError if it is none."""
    options = {**OPTIONS, "format_whitelist": container}
    arguments = {"mode": "r", "format": container, "container_options": options}
    try:
        try:
            # A title in another encoding is no reason to stop.
            return av.open(file, metadata_errors="ignore", **arguments)
        except TypeError:  # PyAV 19 ignores such errors by itself, and has no option for it
            return av.open(file, **arguments)
    except (av.error.FFmpegError, ValueError) as error:
        if file.error is not None:
            raise file.error from error
        if isinstance(error, av.error.EOFError) or getattr(error, "errno", 0) == errno.EIO or _is_cut(file, container):
            raise InputError("truncated", "a damaged video: it ends before a frame of it can be decoded") from error
        raise InputError("undecodable", f"a damaged or unknown video: {reason_of(error)}") from error


def _is_cut(file: FilmFile, container: str) -> bool:
    """Whether the file is shorter than the film says itself, as one that was not fetched or recorded to its end."""
    file.seek(0)
    if container == "avi":
        return 8 + int.from_bytes(file.read(8)[4:], "little") > file.size
    return container == "mov" and _atoms_end(file) > file.size


def _atoms_end(file: FilmFile) -> int:
    """Where the last of the atoms ends that stand one behind the other from the beginning on; 0 where that is not said."""
    at = 0
    for _ in range(MOST_ATOMS):
        if at + 8 > file.size:
            return at
        file.seek(at)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if size < 8:
            return 0
        at += size
    return 0


def packets(av: Any, container: Any, streams: list[Any], damage: Damage) -> Iterator[Any]:
    """The encoded packets of `streams` in the order of the file, to its real end: what cannot be read in between is passed
    over, as by FFmpeg."""
    failures = 0
    while failures < READ_ERRORS:
        try:
            for packet in container.demux(streams):
                if packet.size:  # those without content would end the decoder
                    failures = 0
                    yield packet
            return
        except IndexError:  # at the end, PyAV stumbles over tracks that FFmpeg found only on the way
            return
        except (av.error.FFmpegError, ValueError, OSError) as error:
            failures += 1
            if failures == 1:
                damage.add("between two packets", error)


def reason_of(error: Exception) -> str:
    """What FFmpeg has to say, on one line."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__
