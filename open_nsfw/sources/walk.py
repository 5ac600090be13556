"""What the user names -> a stream of pictures: files, folders, globs, archives, standard input, lists of paths.

Nothing is listed or read before its turn comes, and nothing is kept: a folder's names are the most that is in memory.
Standard library only, and little of it: this is on the way of every run. The readers of archives are imported when one
comes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace

from open_nsfw.errors import InputError
from open_nsfw.pictures.containers import HEAD
from open_nsfw.pictures.formats import is_url, read_head
from open_nsfw.sources.failures import unreadable
from open_nsfw.sources.item import STDIN, Item, SourceOptions, is_picture, may_be_only_sound, named_like_picture
from open_nsfw.sources.selection import Selection, Skip
from open_nsfw.sources.stdin import is_own_descriptor, opened, pipe_items, stdin_items


class Sources:
    """The pictures that `arguments` name, one after the other, as `Item`s.

    `skip(path, member)` tells what need not come again; it is asked once for each picture that is found. No argument
    raises: what cannot be had is an Item with its error.
    """

    def __init__(
        self, arguments: Iterable[str], options: SourceOptions = SourceOptions(), skip: Skip | None = None
    ) -> None:
        self._arguments = arguments
        self._selection = Selection(options, skip)

    @property
    def passed_over(self) -> int:
        """Files in folders and members of archives that were no pictures and get no row."""
        return self._selection.passed_over

    def __iter__(self) -> Iterator[Item]:
        for argument in self._arguments:
            for item in self._argument(argument):
                if item.member is not None:  # asked for before it was read
                    yield item
                elif self._selection.wants(item.path):
                    yield self._readable_elsewhere(item)

    def below(self, path: str) -> Iterator[Item]:
        """The pictures in a folder, or of one file that was found in a folder, as a walk finds them: what is no picture is
        passed over, and of what is gone there is nothing."""
        for item in self._folder(path):
            if item.member is not None:
                yield item
            elif self._selection.wants(item.path):
                yield self._readable_elsewhere(item)

    def _readable_elsewhere(self, item: Item) -> Item:
        """The Item as another process can read it."""
        if item.error is not None or item.data is not None or item.file is not None or item.path == STDIN:
            return item
        # Only links lead to /dev/stdin and the like; the look at one is cheap, that at all folders above it is not.
        may_be_own = os.path.islink(item.path) or item.path.startswith("/dev/")
        return opened(item) if may_be_own and is_own_descriptor(item.path) else item

    def _argument(self, argument: str) -> Iterator[Item]:
        if argument == STDIN:
            yield from self._answered(argument, stdin_items(self._selection))
            return
        try:
            status = os.stat(argument)
        except (OSError, ValueError) as error:
            absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
            if absent and not is_url(argument) and any(letter in argument for letter in "*?["):
                yield from self._glob(argument)
            else:
                yield Item(argument, error=unreadable(error))
            return
        yield from self._named(argument, status)

    def _named(self, path: str, status: os.stat_result) -> Iterator[Item]:
        """What the user asked for by name: it has a row, whatever it is."""
        if stat.S_ISDIR(status.st_mode):
            items = self._folder(path)
        elif stat.S_ISREG(status.st_mode):
            items = self._file(path, status, named=True)
        else:
            items = pipe_items(path, self._selection)
        yield from self._answered(path, items)

    def _answered(self, path: str, items: Iterator[Item]) -> Iterator[Item]:
        """The items of what was asked for; one that says so where there is no picture among them."""
        skipped, sure, unsure = self._selection.skipped, 0, 0
        for item in items:
            sure, unsure = sure + (not item.by_content), unsure + item.by_content
            yield item
        if not sure and self._selection.skipped == skipped:
            yield Item(path, error=InputError("no-pictures", "there is no picture in it"), unless_seen=unsure)

    def _glob(self, pattern: str) -> Iterator[Item]:
        from open_nsfw.sources.globs import expand, split_pattern

        base, _ = split_pattern(pattern)
        matches = others = 0
        for path in expand(pattern, self._selection.options.hidden):
            matches += 1
            if self._selection.leaves_out_match(path, base):
                continue
            try:
                status = os.stat(path)
            except OSError as error:
                yield Item(path, error=unreadable(error))
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                yield from self._named(path, status)
            else:  # nobody asked for this pipe or device; opening one could wait for ever
                others += 1
                self._selection.pass_over()
        if matches == others:
            yield Item(pattern, error=_nothing_found(matches))

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
            elif (status.st_dev, status.st_ino) not in seen and not (
                path != top and self._selection.leaves_out(status)
            ):
                seen.add((status.st_dev, status.st_ino))
                try:
                    stack.append(self._listing(path))
                except OSError as error:
                    yield Item(path, error=unreadable(error, "this folder cannot be listed"))

    def _listing(self, folder: str) -> Iterator[str]:
        """The paths in a folder, sorted by name. Raises OSError at once if it cannot be listed."""
        hidden = self._selection.options.hidden
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if hidden or not entry.name.startswith("."))
        return (os.path.join(folder, name) for name in names)

    def _lost(self, path: str, error: OSError) -> Iterator[Item]:
        """A name in a folder with nothing behind it: a broken symlink, or a file that went away meanwhile."""
        if named_like_picture(path):
            yield Item(path, error=unreadable(error))
        else:
            self._selection.pass_over()

    def _file(self, path: str, status: os.stat_result, named: bool) -> Iterator[Item]:
        """A picture as it is, an archive's members; anything else only if it was asked for by name."""
        item = Item(path, size=status.st_size, modified=status.st_mtime)
        if not stat.S_ISREG(status.st_mode):
            self._selection.pass_over()  # a pipe or a device; opening one could wait for ever
        elif named_like_picture(path) and not os.path.basename(path).startswith("._"):
            yield item
        else:
            yield from self._by_content(item, named)

    def _by_content(self, item: Item, named: bool) -> Iterator[Item]:
        try:
            with open(item.path, "rb") as file:
                head = file.read(HEAD)
        except OSError as error:
            yield from self._unread(item, error, named)
            return
        looks_like_picture = named_like_picture(item.path)  # "._x.jpg" does, and is judged by its content
        if is_picture("" if looks_like_picture else item.path, head):
            yield replace(item, by_content=not named and may_be_only_sound(item.path, head))
            return
        from open_nsfw.sources.archives import archive_kind

        kind = archive_kind(item.path, head, item.path)
        if kind:
            yield from self._archive(item, kind)
        elif named:
            yield item
        else:
            self._selection.pass_over()

    def _unread(self, item: Item, error: OSError, named: bool) -> Iterator[Item]:
        """A file that cannot be looked into: whatever its name, it may be a picture."""
        if isinstance(error, FileNotFoundError) and not named:
            yield from self._lost(item.path, error)
        else:
            yield replace(item, error=unreadable(error))

    def _archive(self, item: Item, kind: str) -> Iterator[Item]:
        if not self._selection.options.unpack:
            yield replace(item, packed=True)
        else:
            yield from _members(item, kind, self._selection)


def _nothing_found(matches: int) -> InputError:
    """Why a pattern gave nothing that could be read."""
    if not matches:
        return InputError("no-match", "there is no such file, and none that matches it as a pattern")
    return InputError(
        "no-pictures", "only pipes or devices match it, which are read where they are named without a pattern"
    )


def is_container(path: str) -> bool:
    """Whether the walk looks into what is at a path now: a folder or an archive."""
    if os.path.isdir(path):
        return True
    head = read_head(path, HEAD)
    if is_picture(path, head):
        return False
    from open_nsfw.sources.archives import archive_kind

    return archive_kind(path, head, path) is not None


def unpacked(item: Item, options: SourceOptions = SourceOptions()) -> Iterator[Item]:
    """The pictures in an archive that came `packed`; what cannot be had is an Item with its error."""
    from open_nsfw.sources.archives import archive_kind

    kind = archive_kind(item.path, read_head(item.location, HEAD), item.location)
    yield from _members(replace(item, packed=False), kind or "tar", Selection(options, None))


def in_bytes(item: Item, options: SourceOptions = SourceOptions()) -> Iterator[Item]:
    """What the walk through a folder would give for a file whose content is the `data` of an Item: a picture as it is, an
    archive's members, nothing for a file of another kind."""
    from open_nsfw.sources.archives import archive_kind

    data = item.data or b""
    head, name = data[:HEAD], os.path.basename(item.path)
    looks_like_picture = named_like_picture(name)
    if looks_like_picture and not name.startswith("._"):
        yield item
    elif is_picture("" if looks_like_picture else name, head):
        yield replace(item, by_content=may_be_only_sound(name, head))
    elif kind := archive_kind(name, data):
        yield from _members(item, kind, Selection(options, None))


def _members(item: Item, kind: str, selection: Selection) -> Iterator[Item]:
    from io import BytesIO

    from open_nsfw.sources.archives import read_archive

    archive = replace(item, data=None)
    try:
        with open(item.location, "rb") if item.data is None else BytesIO(item.data) as file:
            yield from read_archive(file, kind, archive, selection)
    except OSError as error:
        yield replace(archive, error=unreadable(error))
