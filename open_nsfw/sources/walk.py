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
from dataclasses import replace
from typing import BinaryIO, cast

from open_nsfw.errors import InputError
from open_nsfw.pictures.formats import read_head, read_stream
from open_nsfw.sources.item import (
    HEAD,
    STDIN,
    Item,
    Skip,
    SourceOptions,
    _never,
    _unreadable,
    is_picture,
    named_like_picture,
)
from open_nsfw.sources.stdin import Prefixed, standard_input


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
            yield replace(item, by_content=not named and not named_like_picture(item.path))
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
