"""What the user names -> a stream of pictures: files, folders, globs, archives, standard input, lists of paths.

Nothing is listed or read before its turn comes, and nothing is kept: a folder's names are the most that is in memory.
Standard library only, and little of it: this is on the way of every run. The readers of archives are imported when one
comes.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Callable, cast

from open_nsfw.errors import InputError, UsageError
from open_nsfw.pictures.formats import Limits, is_video, read_head, read_stream, sniff

STDIN = "-"
HEAD = 4096  # bytes that tell what a file is: a tar header ends at 512, the rest is for one inside gzip
LIST_CHUNK = 64 * 1024  # bytes of a list that are read at once; sixteen times the longest path of Linux
LONGEST_LINE = 1024 * 1024  # bytes; a list with a longer "path" is no list, and must not be gathered in memory
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # Windows editors begin UTF-8 text with it

# A file whose name ends like this is taken for a picture or a video whatever it holds: a broken one gets its row.
# MPEG transport streams are known by content alone: most files called *.ts are TypeScript.
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff"),
    *(".avif", ".avifs", ".heic", ".heif"),
)
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mpe", ".vob", ".flv", ".ogv", ".wmv"),
    *(".3gp", ".3g2", ".m2ts", ".mts"),
)
_SUFFIXES = PICTURE_SUFFIXES + VIDEO_SUFFIXES
_APPLE_DOUBLE = b"\x00\x05\x16\x07"  # what macOS stores beside x.jpg as ._x.jpg: attributes, no picture


@dataclass(frozen=True)
class SourceOptions:
    """What is taken from folders and archives, and what an archive may cost."""

    hidden: bool = False
    """Also files and folders whose name begins with a dot; the members of an archive are never hidden."""
    limits: Limits = field(default_factory=Limits)
    """Of one picture; a member of an archive or standard input beyond `max_bytes` is not read."""
    max_archive_bytes: int = 64 * 1024**3
    """What unpacking one archive may add to its size; pictures, which are compressed already, add next to nothing."""
    max_archive_ratio: float = 200.0
    """Unpacked to packed size of one member of a zip or of a whole compressed tar; judged past 10 MiB unpacked."""


@dataclass(frozen=True)
class Item:
    """One thing to score, or the reason why there is nothing to score."""

    path: str
    """As the user knows it; a name that is not UTF-8 is carried by surrogate escapes (`os.fsdecode`)."""
    member: str | None = None
    """The name inside an archive: a label, never a path that anything is written to."""
    data: bytes | None = None
    """The encoded picture or video; None where whoever scores it reads the file `path`."""
    error: InputError | None = None
    """Why there is nothing to score."""
    size: int | None = None
    """Bytes of the file, or of the archive's file; None for standard input."""
    modified: float | None = None
    """When that file was last changed, in seconds since 1970."""


Skip = Callable[[str, "str | None"], bool]


class Sources:
    """The pictures that `arguments` name, one after the other, as `Item`s.

    `skip(path, member)` tells what need not come again: asked before a member is read and before a file is yielded.
    No argument raises: what cannot be had is an Item with its error.
    """

    def __init__(
        self, arguments: Iterable[str], options: SourceOptions = SourceOptions(), skip: Skip | None = None
    ) -> None:
        self.arguments = arguments
        self.options = options
        self.skip: Skip = skip or _never
        self.passed_over = 0
        """Files in folders and members of archives that were no pictures and get no row."""

    def __iter__(self) -> Iterator[Item]:
        for argument in self.arguments:
            for item in self._argument(argument):
                # Members were asked for before they were read.
                if item.member is not None or not self.skip(item.path, None):
                    yield item

    def _argument(self, argument: str) -> Iterator[Item]:
        if argument == STDIN:
            yield from self._stdin()
            return
        try:
            status = os.stat(argument)
        except (OSError, ValueError) as error:
            if any(letter in argument for letter in "*?[") and isinstance(
                error, (FileNotFoundError, NotADirectoryError)
            ):
                yield from self._glob(argument)
            else:
                yield Item(argument, error=_unreadable(error))
            return
        yield from self._named(argument, status)

    def _named(self, path: str, status: os.stat_result) -> Iterator[Item]:
        """What the user asked for by name: it has a row, whatever it is."""
        if stat.S_ISDIR(status.st_mode):
            items = self._folder(path)
        elif stat.S_ISREG(status.st_mode):
            items = self._file(path, status, named=True)
        else:
            items = iter((self._pipe(path),))
        empty = True
        for item in items:
            empty = False
            yield item
        if empty and self.skip is _never:  # what is to be skipped may be all that there is
            yield Item(path, error=InputError("no-pictures", "there is no picture in it"))

    def _glob(self, pattern: str) -> Iterator[Item]:
        from open_nsfw.sources.globs import expand

        matches = 0
        for path in expand(pattern, self.options.hidden):
            matches += 1
            try:
                status = os.stat(path)
            except OSError as error:
                yield Item(path, error=_unreadable(error))
            else:
                yield from self._named(path, status)
        if not matches:
            yield Item(
                pattern, error=InputError("no-match", "there is no such file, and none that matches it as a pattern")
            )

    def _folder(self, top: str) -> Iterator[Item]:
        """Depth first, by name. A folder that is reached again, through a symlink, is not entered a second time."""
        seen: set[tuple[int, int]] = set()
        stack = [iter((top,))]
        while stack:
            path = next(stack[-1], None)
            if path is None:
                stack.pop()
                continue
            try:
                status = os.stat(path)
            except OSError as error:
                yield from self._lost(path, error)
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield from self._file(path, status, named=False)
            elif (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                try:
                    stack.append(self._listing(path))
                except OSError as error:
                    yield Item(path, error=_unreadable(error, "this folder cannot be listed"))

    def _listing(self, folder: str) -> Iterator[str]:
        """The paths in a folder, sorted by name. Raises OSError at once if it cannot be listed."""
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if self.options.hidden or not entry.name.startswith("."))
        return (os.path.join(folder, name) for name in names)

    def _lost(self, path: str, error: OSError) -> Iterator[Item]:
        """A name in a folder with nothing behind it: a broken symlink, or a file that went away meanwhile."""
        if named_like_picture(path):
            yield Item(path, error=_unreadable(error))
        else:
            self.passed_over += 1

    def _file(self, path: str, status: os.stat_result, named: bool) -> Iterator[Item]:
        """A picture as it is, an archive's members; anything else only if it was asked for by name."""
        item = Item(path, size=status.st_size, modified=status.st_mtime)
        if not stat.S_ISREG(status.st_mode):
            self.passed_over += 1  # a pipe or a device; opening one could wait for ever
        elif named_like_picture(path) and not os.path.basename(path).startswith("._"):
            yield item
        else:
            yield from self._by_content(item, named)

    def _by_content(self, item: Item, named: bool) -> Iterator[Item]:
        head = read_head(item.path, HEAD)
        if is_picture("", head):
            yield item
            return
        from open_nsfw.sources.archives import archive_kind, read_archive

        kind = archive_kind(item.path, head, item.path)
        if kind:
            try:
                with open(item.path, "rb") as file:
                    yield from read_archive(file, kind, item, self)
            except OSError as error:
                yield replace(item, error=_unreadable(error))
        elif named:
            yield item
        else:
            self.passed_over += 1

    def _pipe(self, path: str) -> Item:
        """A named pipe or a device that was asked for: read here, because it can be read only once."""
        try:
            with open(path, "rb") as file:
                return Item(path, data=read_stream(file, self.options.limits))
        except OSError as error:
            return Item(path, error=_unreadable(error))
        except InputError as error:
            return Item(path, error=error)

    def _stdin(self) -> Iterator[Item]:
        """A picture on standard input; an archive there gives its members (a zip, which is read from its end, only up
        to `limits.max_bytes`)."""
        item = Item(STDIN)
        try:
            if sys.stdin is None:
                raise InputError("unreadable", "standard input is closed")
            prefixed = Prefixed(standard_input())
            head, file = prefixed.head, cast(BinaryIO, prefixed)
            if is_picture("", head):
                yield replace(item, data=read_stream(file, self.options.limits))
                return
            from open_nsfw.sources.archives import archive_kind, read_archive

            kind = archive_kind("", head)
            if kind and kind != "zip":
                yield from read_archive(file, kind, item, self)
                return
            data = read_stream(file, self.options.limits)
            if kind:
                yield from read_archive(io.BytesIO(data), kind, item, self)
            else:
                yield replace(item, data=data)
        except InputError as error:
            yield replace(item, error=error)
        except (OSError, ValueError) as error:
            yield replace(item, error=_unreadable(error))


class Prefixed(io.RawIOBase):
    """A stream whose first bytes, `head`, can be seen before they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.head = file.read(HEAD)
        self._unread = self.head

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end; all of them for -1."""
        size = -1 if size is None else size
        first = self._unread if size < 0 else self._unread[:size]
        self._unread = self._unread[len(first) :]
        rest = self._file.read(size if size < 0 else size - len(first)) if len(first) != size else b""
        return first + rest if first else rest


def standard_input() -> BinaryIO:
    """The bytes of standard input, through a buffer of its own.

    A read that still waits when the process ends holds its buffer's lock; if that were sys.stdin's, which Python closes
    then, Python would abort. Raises AttributeError if standard input is closed.
    """
    try:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (io.UnsupportedOperation, ValueError):  # no descriptor behind it: a notebook, a test
        return sys.stdin.buffer


def named_like_picture(name: str) -> bool:
    """Whether a file's name ends like a picture's or a video's."""
    return name.lower().endswith(_SUFFIXES)


def is_picture(name: str, head: bytes) -> bool:
    """Whether a file that nobody asked for by name is to be scored: by its name, else by its first `HEAD` bytes."""
    if head.startswith(_APPLE_DOUBLE):
        return False
    if named_like_picture(name):
        return True
    # Some magic is two letters ("BM", a "G" every 188 bytes): no text is a picture for that.
    return (sniff(head) is not None or is_video(head)) and any(byte < 9 or 13 < byte < 32 for byte in head[:512])


def read_list(file: str, nul: bool = False) -> Iterator[str]:
    """The paths in the list `file` (`-` for standard input), as they come: one a line, or ended by NUL bytes, which is
    seen from the first NUL (`nul` says so beforehand: needed where a name with a line break may come first and slowly).

    LF and CRLF end a line, empty ones are left out. A `-` is a file of that name here, and comes as `./-`.
    Raises UsageError, at once, if the list cannot be opened.
    """
    try:
        stream = standard_input() if file == STDIN else open(file, "rb")
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"the list of paths {file!r} {_reason(error)}") from error
    return _paths(stream, file, nul)


def _paths(stream: BinaryIO, file: str, nul: bool) -> Iterator[str]:
    try:
        for path in _lines(stream, nul):
            yield "./-" if path == b"-" else os.fsdecode(path)
    except OSError as error:
        raise UsageError(f"the list of paths {file!r} {_reason(error)}") from error
    finally:
        if file != STDIN:
            stream.close()


def _lines(stream: BinaryIO, nul: bool) -> Iterator[bytes]:
    pending, at_start = b"", True
    for chunk in _chunks(stream):
        pending += chunk
        nul = nul or b"\0" in chunk
        if at_start and not nul and pending.startswith(BYTE_ORDER_MARK):
            pending = pending[len(BYTE_ORDER_MARK) :]
        at_start = False
        *whole, pending = pending.split(b"\0" if nul else b"\n")
        if len(pending) > LONGEST_LINE:
            whole, pending = [*whole, pending], b""
        yield from _stripped(whole, nul)
    yield from _stripped([pending], nul)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """What has come so far, without waiting for more: `find | classify_nsfw.py --from-list -` starts at once."""
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return iter(lambda: read(LIST_CHUNK), b"")


def _stripped(lines: list[bytes], nul: bool) -> Iterator[bytes]:
    return filter(None, (line if nul or not line.endswith(b"\r") else line[:-1] for line in lines))


def _unreadable(error: Exception, what: str = "cannot be read") -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError("not-found", "there is no such file")
    return InputError("unreadable", f"{what}: {_system(error)}")


def _reason(error: Exception) -> str:
    return "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {_system(error)}"


def _system(error: Exception) -> str:
    """What the operating system has to say, without the path that the caller names anyway."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _never(path: str, member: str | None) -> bool:
    return False
